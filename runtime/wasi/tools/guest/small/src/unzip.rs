//! `unzip`: lists, tests and unpacks archives of stored and deflated files.

use crate::io::{misuse, reason, write};
use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

/// Most bytes of a file once unpacked: 1 GiB.
const MOST: u64 = 1 << 30;
/// Status of a file that was damaged or left out.
const WARNING: i32 = 1;
/// Status of an archive that cannot be read.
const NO_ARCHIVE: i32 = 9;
/// Status when nothing fits the names that were given.
const NO_MATCH: i32 = 11;

/// One name of an archive.
struct Entry {
    name: String,
    method: u16,
    crc: u32,
    packed: usize,
    size: u64,
    /// Date and clock, as zip has them.
    time: (u16, u16),
    mode: u32,
    at: usize,
}

/// What was asked for.
#[derive(Default)]
struct Asked {
    list: bool,
    names: bool,
    test: bool,
    print: bool,
    quiet: usize,
    overwrite: bool,
    keep: bool,
    flat: bool,
    dir: PathBuf,
    wanted: Vec<Vec<u8>>,
    unwanted: Vec<Vec<u8>>,
}

fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Runs `unzip`.
pub fn main(argv: &[Vec<u8>]) -> i32 {
    let mut asked = Asked::default();
    let mut file = None;
    let mut args = argv.iter().skip(1);
    let mut excluding = false;
    while let Some(arg) = args.next() {
        match arg.as_slice() {
            b"-d" => {
                asked.dir = args.next().map(|dir| guest_host::path_of(dir).to_owned()).unwrap_or_default()
            }
            b"-x" => excluding = true,
            b"-Z1" => asked.names = true,
            [b'-', letters @ ..] if !letters.is_empty() && file.is_none() => {
                for letter in letters {
                    match letter {
                        b'l' | b'v' => asked.list = true,
                        b't' => asked.test = true,
                        b'p' | b'c' => asked.print = true,
                        b'q' => asked.quiet += 1,
                        b'o' => asked.overwrite = true,
                        b'n' => asked.keep = true,
                        b'j' => asked.flat = true,
                        b'a' | b'b' | b'C' | b'L' | b'X' | b'K' | b'u' | b'f' => {}
                        letter => {
                            return misuse("unzip", &format!("unknown option -{}", *letter as char), 10);
                        }
                    }
                }
            }
            arg if file.is_none() => file = Some(arg.to_vec()),
            arg if excluding => asked.unwanted.push(arg.to_vec()),
            arg => asked.wanted.push(arg.to_vec()),
        }
    }
    let Some(file) = file else { return misuse("unzip", "no archive was named", 10) };
    let shown = String::from_utf8_lossy(&file).into_owned();
    let named = [file.clone(), [file.as_slice(), b".zip"].concat(), [file.as_slice(), b".ZIP"].concat()];
    let Some(path) = named.iter().find(|path| guest_host::path_of(path).is_file()) else {
        say(&format!("unzip:  cannot find or open {shown}, {shown}.zip or {shown}.ZIP.\n"));
        return NO_ARCHIVE;
    };
    let name = String::from_utf8_lossy(path).into_owned();
    let data = match fs::read(guest_host::path_of(path)) {
        Ok(data) => data,
        Err(error) => {
            say(&format!("unzip:  cannot open {name}: {}\n", reason(&error)));
            return NO_ARCHIVE;
        }
    };
    if asked.quiet == 0 && !asked.print && !asked.names {
        write(format!("Archive:  {name}\n").as_bytes());
    }
    let Some(entries) = entries(&data) else {
        say(&format!(
            "  End-of-central-directory signature not found.  Either this file is not\n  a zipfile, or it constitutes one \
             disk of a multi-part archive.  In the\n  latter case the central directory and zipfile comment will be found \
             on\n  the last disk(s) of this archive.\nunzip:  cannot find zipfile directory in one of {shown} or\n        \
             {shown}.zip, and cannot find {shown}.ZIP, period.\n"
        ));
        return NO_ARCHIVE;
    };
    asked.run(&data, &entries, &name)
}

/// Reads the directory at an archive's end.
fn entries(data: &[u8]) -> Option<Vec<Entry>> {
    let end = (0..data.len().saturating_sub(21))
        .rev()
        .take(1 << 16)
        .find(|at| data[*at..].starts_with(b"PK\x05\x06"))?;
    let half = |at: usize| Some(u16::from_le_bytes(data.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?));
    let count = half(end + 10)?;
    let mut at = word(end + 16)? as usize;
    let mut entries = Vec::new();
    for _ in 0..count {
        if !data.get(at..)?.starts_with(b"PK\x01\x02") {
            return None;
        }
        let lengths = [half(at + 28)?, half(at + 30)?, half(at + 32)?].map(usize::from);
        entries.push(Entry {
            name: String::from_utf8_lossy(data.get(at + 46..at + 46 + lengths[0])?).into_owned(),
            method: half(at + 10)?,
            crc: word(at + 16)?,
            packed: word(at + 20)? as usize,
            size: u64::from(word(at + 24)?),
            time: (half(at + 14)?, half(at + 12)?),
            mode: word(at + 38)? >> 16,
            at: word(at + 42)? as usize,
        });
        at += 46 + lengths.iter().sum::<usize>();
    }
    Some(entries)
}

impl Entry {
    fn is_dir(&self) -> bool {
        self.name.ends_with('/')
    }

    /// Unpacks it; the error is in words.
    fn content(&self, data: &[u8]) -> Result<Vec<u8>, String> {
        let head = data
            .get(self.at..self.at + 30)
            .filter(|head| head.starts_with(b"PK\x03\x04"))
            .ok_or("bad header")?;
        let lengths = usize::from(u16::from_le_bytes([head[26], head[27]]))
            + usize::from(u16::from_le_bytes([head[28], head[29]]));
        let start = self.at + 30 + lengths;
        let packed = data.get(start..start + self.packed).ok_or("unexpected end of file")?;
        let mut content = Vec::new();
        match self.method {
            0 => content.extend_from_slice(packed),
            8 => {
                _ = DeflateDecoder::new(packed)
                    .take(MOST)
                    .read_to_end(&mut content)
                    .map_err(|_| "invalid compressed data to inflate")?
            }
            method => return Err(format!("unsupported compression method {method}")),
        }
        let mut crc = Crc::new();
        crc.update(&content);
        if crc.sum() != self.crc {
            return Err(format!("bad CRC {:08x}  (should be {:08x})", crc.sum(), self.crc));
        }
        Ok(content)
    }

    fn day(&self) -> String {
        let (date, clock) = self.time;
        let (year, month, day) = ((date >> 9) + 1980, date >> 5 & 15, date & 31);
        format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", clock >> 11, clock >> 5 & 63)
    }
}

impl Asked {
    fn run(&self, data: &[u8], entries: &[Entry], archive: &str) -> i32 {
        let fits = |patterns: &[Vec<u8>], entry: &Entry| {
            patterns.iter().any(|pattern| guest_git::glob_matches(pattern, entry.name.as_bytes()))
        };
        let chosen: Vec<&Entry> = entries
            .iter()
            .filter(|entry| {
                (self.wanted.is_empty() || fits(&self.wanted, entry)) && !fits(&self.unwanted, entry)
            })
            .collect();
        if self.names {
            chosen.iter().for_each(|entry| write(format!("{}\n", entry.name).as_bytes()));
            return 0;
        }
        if self.list {
            write(list(&chosen).as_bytes());
            return 0;
        }
        let mut status = 0;
        for entry in &chosen {
            match self.one(data, entry) {
                Ok(()) => {}
                Err(Some(why)) => {
                    say(&format!("    {}: {why}\n", entry.name));
                    status = WARNING;
                }
                // Nobody is there to say what becomes of files in the way.
                Err(None) => {
                    let shown = self.dir.join(&entry.name);
                    say(&format!(
                        "replace {}? [y]es, [n]o, [A]ll, [N]one, [r]ename:  NULL\n(EOF or read error, treating as \"[N]one\" ...)\n",
                        shown.display()
                    ));
                    return WARNING;
                }
            }
        }
        if self.test && self.quiet < 2 {
            let end = if status == 0 { "No errors" } else { "At least one error was" };
            write(format!("{end} detected in compressed data of {archive}.\n").as_bytes());
        }
        for pattern in &self.wanted {
            if !entries.iter().any(|entry| fits(std::slice::from_ref(pattern), entry)) {
                say(&format!("caution: filename not matched:  {}\n", String::from_utf8_lossy(pattern)));
                status = NO_MATCH;
            }
        }
        status
    }

    /// Does one file; an error without words is a file in the way.
    fn one(&self, data: &[u8], entry: &Entry) -> Result<(), Option<String>> {
        if self.test {
            entry.content(data)?;
            if self.quiet == 0 {
                write(format!("    testing: {:<22}   OK\n", entry.name).as_bytes());
            }
            return Ok(());
        }
        if self.print {
            write(&entry.content(data)?);
            return Ok(());
        }
        let name = Path::new(&entry.name);
        let name = if self.flat { Path::new(name.file_name().unwrap_or_default()) } else { name };
        // What leads out of the directory is cut off.
        let inside: PathBuf = name.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        let path = self.dir.join(&inside);
        let failed = |error: io::Error| Some(format!("cannot create {}: {}", path.display(), reason(&error)));
        let talks = self.quiet == 0;
        if entry.is_dir() {
            if !self.flat && !path.is_dir() {
                fs::create_dir_all(&path).map_err(failed)?;
                if talks {
                    write(format!("   creating: {}/\n", path.display()).as_bytes());
                }
            }
            return Ok(());
        }
        if fs::symlink_metadata(&path).is_ok() {
            if self.keep {
                return Ok(());
            }
            if !self.overwrite {
                return Err(None);
            }
            fs::remove_file(&path).map_err(failed)?;
        }
        let content = entry.content(data)?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let (what, is_link) = match (entry.mode & 0o170000 == 0o120000, entry.method) {
            (true, _) => ("    linking", true),
            (false, 0) => (" extracting", false),
            (false, _) => ("  inflating", false),
        };
        if is_link {
            guest_host::symlink(guest_host::path_of(&content), &path).map_err(failed)?;
        } else {
            fs::write(&path, content).map_err(failed)?;
            if entry.mode & 0o777 != 0 {
                let _ = guest_host::set_mode(&path, entry.mode & 0o777);
            }
        }
        if talks {
            write(format!("{what}: {:<22}  \n", path.display()).as_bytes());
        }
        Ok(())
    }
}

fn list(entries: &[&Entry]) -> String {
    let rule = "---------  ---------- -----   ----\n";
    let mut text = format!("  Length      Date    Time    Name\n{rule}");
    let mut sum = 0;
    for entry in entries {
        text += &format!("{:>9}  {}   {}\n", entry.size, entry.day(), entry.name);
        sum += entry.size;
    }
    let plural = if entries.len() == 1 { "" } else { "s" };
    text + &format!(
        "---------                     -------\n{sum:>9}                     {} file{plural}\n",
        entries.len()
    )
}
