//! The zip format: deflated files with their times and modes, below 4 GiB.

use super::{Entry, Origin};
use crate::error::{Result, fatal};
use flate2::Compression;
use flate2::Crc;
use flate2::write::DeflateEncoder;
use std::io::Write;

/// The version that packed it, on a Unix system.
const MADE_BY: u16 = 0x0317;
/// The version that unpacks it.
const NEEDS: u16 = 10;
/// The name is in UTF-8.
const UTF8: u16 = 0x0800;

/// Packs entries.
pub fn pack(entries: &[Entry], origin: &Origin, level: u32) -> Result<Vec<u8>> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let (date, clock) = dos(origin.time);
    for entry in entries {
        let link = entry.mode & 0o170000 == 0o120000;
        let mut packed = entry.data.clone();
        let mut method: u16 = 0;
        if !link && level > 0 && !entry.data.is_empty() {
            let mut packer = DeflateEncoder::new(Vec::new(), Compression::new(level));
            packer.write_all(&entry.data)?;
            let smaller = packer.finish()?;
            if smaller.len() < packed.len() {
                (packed, method) = (smaller, 8);
            }
        }
        let mut crc = Crc::new();
        crc.update(&entry.data);
        let number = |size: usize| u32::try_from(size).map_err(|_| fatal("too large for a zip archive"));
        let flags = if entry.path.is_ascii() { 0 } else { UTF8 };
        let at = number(out.len())?;
        let mut common = Vec::new();
        for word in [NEEDS, flags, method, clock, date] {
            common.extend(word.to_le_bytes());
        }
        for word in [crc.sum(), number(packed.len())?, number(entry.data.len())?] {
            common.extend(word.to_le_bytes());
        }
        common.extend((entry.path.len() as u16).to_le_bytes());
        // The time in seconds, which zip's own field has not.
        let extra = [&b"UT\x05\x00\x01"[..], &(origin.time as u32).to_le_bytes()].concat();
        common.extend((extra.len() as u16).to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(&entry.path);
        out.extend(&extra);
        out.extend(&packed);
        directory.extend(b"PK\x01\x02");
        directory.extend(MADE_BY.to_le_bytes());
        directory.extend(&common);
        // No comment, the first disk, no hint whether it is text.
        directory.extend([0; 6]);
        let mode = match entry.mode & 0o170000 {
            0o120000 => entry.mode | 0o777,
            0o100000 if entry.mode & 0o100 != 0 => 0o100755,
            0o100000 => 0,
            _ => 0,
        };
        let is_directory = u32::from(entry.path.ends_with(b"/")) << 4;
        directory.extend((mode << 16 | is_directory).to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(&entry.path);
        directory.extend(&extra);
    }
    let count = u16::try_from(entries.len()).map_err(|_| fatal("too many files for a zip archive"))?;
    let at = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    let comment = origin.commit.map(|commit| commit.hex()).unwrap_or_default();
    out.extend((comment.len() as u16).to_le_bytes());
    out.extend(comment.as_bytes());
    Ok(out)
}

/// A time as a date and a clock of two seconds.
fn dos(time: i64) -> (u16, u16) {
    let text = crate::date::show(time, 0, "format:%Y %m %d %H %M %S");
    let parts: Vec<u16> = text.split(' ').filter_map(|part| part.parse().ok()).collect();
    let [year, month, day, hour, minute, second] = parts[..] else { return (0x21, 0) };
    (year.saturating_sub(1980) << 9 | month << 5 | day, hour << 11 | minute << 5 | (second / 2))
}
