//! The default locale as an archive, as the C library has them for locales that are not its own. It reads a locale's
//! directory with forty system calls and a dozen mappings, at the start of every program, and an archive with four and
//! one.
//!
//! An archive is a header, a table that finds names by their hash, the names, a record of each locale, and the contents of
//! their files (glibc's `locale/locarchive.h`).

use std::fs;
use std::io;
use std::path::Path;

/// The locale that every program has.
pub(super) const DIRECTORY: &str = "/usr/lib/locale/C.utf8";
/// Where the C library looks first.
pub(super) const ARCHIVE: &str = "/usr/lib/locale/locale-archive";

/// The file of each category, by the category's number. There is none for `LC_ALL`.
const FILES: [&str; 13] = [
    "LC_CTYPE",
    "LC_NUMERIC",
    "LC_TIME",
    "LC_COLLATE",
    "LC_MONETARY",
    "LC_MESSAGES/SYS_LC_MESSAGES",
    "",
    "LC_PAPER",
    "LC_NAME",
    "LC_ADDRESS",
    "LC_TELEPHONE",
    "LC_MEASUREMENT",
    "LC_IDENTIFICATION",
];
const MAGIC: u32 = 0xde02_0109;
/// Entries of the table of names: a prime, so that every probe comes to one that is empty.
const NAMES: u32 = 7;
/// Where an archive's parts begin, all of 32-bit numbers: the header of 14, entries of 3, the name, and a record of 1 and 2
/// for each category.
const NAMES_AT: u32 = 14 * 4;
const TEXT_AT: u32 = NAMES_AT + NAMES * 12;
const TEXT_LEN: u32 = 16;
const RECORD_AT: u32 = TEXT_AT + TEXT_LEN;
const CONTENTS_AT: u32 = RECORD_AT + 4 + 8 * FILES.len() as u32;
/// Contents begin at multiples of this.
const ALIGNED: usize = 16;

/// An archive of the locale in a directory, under the directory's name.
pub(super) fn archive(directory: &Path) -> io::Result<Vec<u8>> {
    let name = directory.file_name().unwrap_or_default().as_encoded_bytes();
    if name.len() >= TEXT_LEN as usize {
        return Err(io::Error::other("the name of the locale is too long"));
    }
    let mut contents = vec![0; (CONTENTS_AT as usize).next_multiple_of(ALIGNED)];
    let mut record = vec![1];
    for file in FILES {
        let (offset, before) = (contents.len(), contents.len());
        if !file.is_empty() {
            contents.extend(fs::read(directory.join(file))?);
        }
        record.extend([offset as u32, (contents.len() - before) as u32]);
        contents.resize(contents.len().next_multiple_of(ALIGNED), 0);
    }
    // Magic and serial number; of the names, the text, the records and the sums: where, how many, and room for how many.
    let header =
        [MAGIC, 0, NAMES_AT, 1, NAMES, TEXT_AT, TEXT_LEN, TEXT_LEN, RECORD_AT, 1, 1, CONTENTS_AT, 0, 0];
    let hash = hash(name);
    let entry = [hash, TEXT_AT, RECORD_AT];
    let mut put = |at: u32, numbers: &[u32]| {
        let bytes = numbers.iter().flat_map(|n| n.to_ne_bytes());
        contents.iter_mut().skip(at as usize).zip(bytes).for_each(|(to, from)| *to = from);
    };
    put(0, &header);
    put(NAMES_AT + hash % NAMES * 12, &entry);
    put(RECORD_AT, &record);
    contents.iter_mut().skip(TEXT_AT as usize).zip(name).for_each(|(to, from)| *to = *from);
    Ok(contents)
}

/// The C library's hash of a name: never 0, which an empty entry has.
fn hash(name: &[u8]) -> u32 {
    let add = |hash: u32, byte: &u8| hash.rotate_left(9).wrapping_add((*byte).into());
    match name.iter().fold(name.len() as u32, add) {
        0 => !0,
        hash => hash,
    }
}
