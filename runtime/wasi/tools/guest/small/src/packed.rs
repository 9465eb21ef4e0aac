//! `gzip`, `bzip2` and `xz` with their other names: files packed and unpacked in their place.

use crate::io::{Options, misuse, read, reason, warn, write};
use bzip2::Compression as Bzip2Level;
use flate2::Compression;
use std::fs;
use std::io::{self, Read, Write};

/// Most bytes that a file may have unpacked: 1 GiB.
const MOST: u64 = 1 << 30;

/// Why a file is left out.
enum Trouble {
    /// It cannot be read; the system's words.
    Unread(String),
    Directory,
    /// Its name does not end as a packed file's.
    Suffix,
    /// Its name ends so already.
    Packed,
    /// The other name is taken.
    Taken(String),
    /// It is no packed file.
    Foreign,
    /// It is damaged, or its end is missing.
    Damaged(String),
}

/// A way of packing, with the names of its command and files.
pub struct Format {
    name: &'static str,
    /// What a packed file's name ends in, and what takes its place when unpacked; the first is given.
    suffixes: &'static [(&'static str, &'static str)],
    magic: &'static [u8],
    level: u32,
    pack: fn(&[u8], u32) -> io::Result<Vec<u8>>,
    unpack: fn(&[u8]) -> io::Result<Vec<u8>>,
    /// What is said, and the status.
    says: fn(&Trouble, &str) -> (String, i32),
}

/// `.gz`
pub const GZIP: Format = Format {
    name: "gzip",
    suffixes: &[(".gz", ""), (".tgz", ".tar"), (".Z", "")],
    magic: b"\x1f\x8b",
    level: 6,
    pack: |data, level| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), Compression::new(level));
        packer.write_all(data)?;
        packer.finish()
    },
    unpack: |data| whole(flate2::read::MultiGzDecoder::new(data)),
    says: |trouble, file| match trouble {
        Trouble::Unread(why) => (format!("gzip: {file}: {why}"), 1),
        Trouble::Directory => (format!("gzip: {file} is a directory -- ignored"), 2),
        Trouble::Suffix => (format!("gzip: {file}: unknown suffix -- ignored"), 2),
        Trouble::Packed => (format!("gzip: {file} already has .gz suffix -- unchanged"), 0),
        Trouble::Taken(name) => (format!("gzip: {name} already exists;\tnot overwritten"), 2),
        Trouble::Foreign => (format!("\ngzip: {file}: not in gzip format"), 1),
        Trouble::Damaged(_) => (format!("\ngzip: {file}: unexpected end of file"), 1),
    },
};

/// `.bz2`
pub const BZIP2: Format = Format {
    name: "bzip2",
    suffixes: &[(".bz2", ""), (".bz", ""), (".tbz2", ".tar"), (".tbz", ".tar")],
    magic: b"BZh",
    level: 9,
    pack: |data, level| {
        let mut packer = bzip2::write::BzEncoder::new(Vec::new(), Bzip2Level::new(level));
        packer.write_all(data)?;
        packer.finish()
    },
    unpack: |data| whole(bzip2::read::MultiBzDecoder::new(data)),
    says: |trouble, file| match trouble {
        Trouble::Unread(why) => (format!("bzip2: Can't open input file {file}: {why}."), 1),
        Trouble::Directory => (format!("bzip2: Input file {file} is a directory."), 1),
        Trouble::Suffix => (format!("bzip2: Can't guess original name for {file} -- using {file}.out"), 0),
        Trouble::Packed => (format!("bzip2: Input file {file} already has .bz2 suffix."), 1),
        Trouble::Taken(name) => (format!("bzip2: Output file {name} already exists."), 1),
        Trouble::Foreign => (format!("bzip2: {file} is not a bzip2 file."), 2),
        Trouble::Damaged(_) => (
            format!(
                "\nbzip2: Data integrity error when decompressing.\n\tInput file = {file}, output file = (stdout)\n"
            ),
            2,
        ),
    },
};

/// `.xz`, and `.lzma` to read.
pub const XZ: Format = Format {
    name: "xz",
    suffixes: &[(".xz", ""), (".txz", ".tar"), (".lzma", ""), (".tlz", ".tar")],
    magic: b"\xfd7zXZ\0",
    level: 6,
    pack: |data, level| {
        let mut options = lzma_rust2::XzOptions::with_preset(level);
        // A dictionary larger than the data is memory for nothing.
        let size = (data.len() as u64).next_power_of_two().clamp(1 << 16, 8 << 20) as u32;
        options.lzma_options.dict_size = options.lzma_options.dict_size.min(size);
        let mut packer = lzma_rust2::XzWriter::new(Vec::new(), options)?;
        packer.write_all(data)?;
        packer.finish()
    },
    unpack: |data| {
        if data.starts_with(XZ.magic) {
            whole(lzma_rust2::XzReader::new(data, true))
        } else {
            whole(lzma_rust2::LzmaReader::new_mem_limit(data, 1 << 20, None)?)
        }
    },
    says: |trouble, file| match trouble {
        Trouble::Unread(why) => (format!("xz: {file}: {why}"), 1),
        Trouble::Directory => (format!("xz: {file}: Is a directory, skipping"), 2),
        Trouble::Suffix => (format!("xz: {file}: Filename has an unknown suffix, skipping"), 2),
        Trouble::Packed => (format!("xz: {file}: File already has `.xz' suffix, skipping"), 2),
        Trouble::Taken(name) => (format!("xz: {name}: File exists"), 1),
        Trouble::Foreign => (format!("xz: {file}: File format not recognized"), 1),
        Trouble::Damaged(why) if why.contains("fill") => (format!("xz: {file}: Unexpected end of input"), 1),
        Trouble::Damaged(_) => (format!("xz: {file}: Compressed data is corrupt"), 1),
    },
};

fn whole(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    if reader.take(MOST + 1).read_to_end(&mut data)? as u64 > MOST {
        return Err(io::Error::other("too large when unpacked"));
    }
    Ok(data)
}

impl Format {
    /// Packs as usual.
    pub fn pack(&self, data: &[u8]) -> io::Result<Vec<u8>> {
        (self.pack)(data, self.level)
    }

    /// Unpacks, to 1 GiB at most.
    pub fn unpack(&self, data: &[u8]) -> io::Result<Vec<u8>> {
        (self.unpack)(data)
    }

    /// Whether this begins as a packed file does.
    pub fn made(&self, data: &[u8]) -> bool {
        data.starts_with(self.magic)
    }

    /// Whether a file of this name is packed so.
    pub fn names(&self, file: &str) -> bool {
        self.suffixes.iter().any(|(suffix, _)| file.ends_with(suffix))
    }
}

/// What to do with each file.
struct Run<'a> {
    format: &'a Format,
    unpack: bool,
    stdout: bool,
    test: bool,
    keep: bool,
    force: bool,
    verbose: bool,
    level: u32,
}

/// Runs one of the commands. `unpack` and `stdout` are what its name says.
fn run(format: &Format, argv: &[Vec<u8>], unpack: bool, stdout: bool) -> i32 {
    const KNOWN: &str = "d decompress uncompress z compress c stdout to-stdout k keep f force n no-name N name q quiet v \
        verbose t test 1 2 3 4 5 6 7 8 9 0 best fast s small e extreme no-sparse L rsyncable";
    const VALUED: &str = "S suffix T threads M memlimit F format C check";
    let valued = if format.name == "xz" { VALUED } else { "S suffix" };
    let options = match Options::read(argv, KNOWN, valued) {
        Ok(options) => options,
        Err(error) => return misuse(format.name, &error, 1),
    };
    let last_level = options.given.iter().rev().find_map(|(name, _)| match name.as_str() {
        "fast" => Some(1),
        "best" => Some(9),
        digit => digit.parse().ok(),
    });
    let test = options.has(&["t", "test"]);
    let run = Run {
        format,
        unpack: (unpack || test || options.has(&["d", "decompress", "uncompress"]))
            && !options.has(&["z", "compress"]),
        stdout: stdout || options.has(&["c", "stdout", "to-stdout"]),
        test,
        keep: options.has(&["k", "keep"]),
        force: options.has(&["f", "force"]),
        verbose: options.has(&["v", "verbose"]),
        level: last_level.unwrap_or(format.level).max(u32::from(format.name != "xz")),
    };
    let stdin: &[&[u8]] = &[b"-"];
    let mut status = 0;
    for file in if options.rest.is_empty() { stdin } else { &options.rest } {
        if let Err((said, code)) = run.file(file) {
            let _ = writeln!(io::stderr().lock(), "{said}");
            status = if status == 1 { 1 } else { code.max(status) };
        }
    }
    status
}

impl Run<'_> {
    fn file(&self, file: &[u8]) -> Result<(), (String, i32)> {
        let format = self.format;
        let shown = String::from_utf8_lossy(file).into_owned();
        let says =
            |trouble: Trouble| Err((format.says)(&trouble, if file == b"-" { "(stdin)" } else { &shown }));
        let stdin = file == b"-";
        // `zcat name` means the packed file of that name.
        let longer = format!("{shown}{}", format.suffixes[0].0);
        let (path, shown) =
            if self.unpack && !stdin && !guest_host::path_of(file).exists() && !format.names(&shown) {
                (longer.as_bytes(), longer.clone())
            } else {
                (file, shown.clone())
            };
        let data = match read(path) {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => return says(Trouble::Directory),
            Err(error) => return Err((format.says)(&Trouble::Unread(reason(&error)), &shown)),
        };
        // Of a name that is no packed file's, xz looks at the content first, the others at the name.
        if format.name == "xz" {
            self.check(&data, &shown)?;
        }
        let in_place = !self.stdout && !stdin && !self.test;
        let target = if in_place { self.target(&shown)? } else { String::new() };
        if in_place && !self.force && fs::symlink_metadata(&target).is_ok() {
            return says(Trouble::Taken(target));
        }
        if self.check(&data, &shown)? {
            write(&data);
            return Ok(());
        }
        let result = if self.unpack { format.unpack(&data) } else { (format.pack)(&data, self.level) };
        let result = match result {
            Ok(result) => result,
            Err(error) => return says(Trouble::Damaged(error.to_string())),
        };
        if self.verbose {
            warn(&shown.to_string(), format!("{} in, {} out", data.len(), result.len()));
        }
        if self.test {
            return Ok(());
        }
        if !in_place {
            write(&result);
            return Ok(());
        }
        let from = guest_host::path_of(path);
        let failed = |error: io::Error| (format!("{}: {target}: {}", format.name, reason(&error)), 1);
        fs::write(&target, result).map_err(failed)?;
        if let Ok(mode) = guest_host::mode(from, true) {
            let _ = guest_host::set_mode(target.as_ref(), mode);
        }
        if self.keep { Ok(()) } else { fs::remove_file(from).map_err(failed) }
    }

    /// Refuses what is not packed; true if it is to be given on as it is, as with `cat`.
    fn check(&self, data: &[u8], file: &str) -> Result<bool, (String, i32)> {
        let lzma = self.format.name == "xz" && data.starts_with(b"]\0\0");
        if !self.unpack || self.format.made(data) || lzma {
            return Ok(false);
        }
        if self.stdout && self.force {
            return Ok(true);
        }
        Err((self.format.says)(&Trouble::Foreign, file))
    }

    /// The name of what is made.
    fn target(&self, file: &str) -> Result<String, (String, i32)> {
        let format = self.format;
        let found =
            format.suffixes.iter().find_map(|(suffix, instead)| Some((file.strip_suffix(suffix)?, instead)));
        match found {
            Some((base, instead)) if self.unpack => Ok(format!("{base}{instead}")),
            None if self.unpack => match (format.says)(&Trouble::Suffix, file) {
                (said, 0) => {
                    let _ = writeln!(io::stderr().lock(), "{said}");
                    Ok(format!("{file}.out"))
                }
                end => Err(end),
            },
            Some(_) if !self.force => Err((format.says)(&Trouble::Packed, file)),
            _ => Ok(format!("{file}{}", format.suffixes[0].0)),
        }
    }
}

/// Runs `gzip`.
pub fn gzip(argv: &[Vec<u8>]) -> i32 {
    run(&GZIP, argv, false, false)
}

/// Runs `gunzip`.
pub fn gunzip(argv: &[Vec<u8>]) -> i32 {
    run(&GZIP, argv, true, false)
}

/// Runs `zcat`.
pub fn zcat(argv: &[Vec<u8>]) -> i32 {
    run(&GZIP, argv, true, true)
}

/// Runs `bzip2`.
pub fn bzip2(argv: &[Vec<u8>]) -> i32 {
    run(&BZIP2, argv, false, false)
}

/// Runs `bunzip2`.
pub fn bunzip2(argv: &[Vec<u8>]) -> i32 {
    run(&BZIP2, argv, true, false)
}

/// Runs `bzcat`.
pub fn bzcat(argv: &[Vec<u8>]) -> i32 {
    run(&BZIP2, argv, true, true)
}

/// Runs `xz`.
pub fn xz(argv: &[Vec<u8>]) -> i32 {
    run(&XZ, argv, false, false)
}

/// Runs `unxz`.
pub fn unxz(argv: &[Vec<u8>]) -> i32 {
    run(&XZ, argv, true, false)
}

/// Runs `xzcat`.
pub fn xzcat(argv: &[Vec<u8>]) -> i32 {
    run(&XZ, argv, true, true)
}
