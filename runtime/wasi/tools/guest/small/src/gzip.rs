//! `gzip`, `gunzip` and `zcat`.

use crate::io::{Options, misuse, read, reason, warn, write};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::fs;
use std::io::{Read, Write};

pub fn gzip(argv: &[Vec<u8>]) -> i32 {
    run("gzip", argv, false, false)
}

pub fn gunzip(argv: &[Vec<u8>]) -> i32 {
    run("gunzip", argv, true, false)
}

pub fn zcat(argv: &[Vec<u8>]) -> i32 {
    run("zcat", argv, true, true)
}

fn run(name: &str, argv: &[Vec<u8>], unpack: bool, stdout: bool) -> i32 {
    let known = [
        "d",
        "decompress",
        "uncompress",
        "c",
        "stdout",
        "to-stdout",
        "k",
        "keep",
        "f",
        "force",
        "n",
        "N",
        "q",
        "quiet",
        "v",
        "verbose",
        "r",
        "recursive",
        "t",
        "test",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "9",
        "best",
        "fast",
    ];
    let options = match Options::read(argv, &known, &["S", "suffix"]) {
        Ok(options) => options,
        Err(error) => return misuse(name, &error, 1),
    };
    let unpack = unpack || options.has(&["d", "decompress", "uncompress", "t", "test"]);
    let test = options.has(&["t", "test"]);
    let stdout = stdout || options.has(&["c", "stdout", "to-stdout"]);
    let level =
        (1..=9).rev().find(|level| options.has(&[&level.to_string()])).unwrap_or(if options.has(&["fast"]) {
            1
        } else if options.has(&["best"]) {
            9
        } else {
            6
        });
    let pack = |data: &[u8]| -> std::io::Result<Vec<u8>> {
        if unpack {
            let mut out = Vec::new();
            MultiGzDecoder::new(data).read_to_end(&mut out)?;
            Ok(out)
        } else {
            let mut packer = GzEncoder::new(Vec::new(), Compression::new(level));
            packer.write_all(data)?;
            packer.finish()
        }
    };
    let stdin: &[&[u8]] = &[b"-"];
    let mut status = 0;
    for file in if options.rest.is_empty() { stdin } else { &options.rest } {
        let shown = String::from_utf8_lossy(file).into_owned();
        let packed_name = if name == "zcat"
            && !shown.ends_with(".gz")
            && *file != b"-"
            && !guest_host::path_of(file).exists()
        {
            format!("{shown}.gz")
        } else {
            shown.clone()
        };
        let data = match read(packed_name.as_bytes()) {
            Ok(data) => data,
            Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => {
                warn(name, format!("{shown} is a directory -- ignored"));
                status = 2;
                continue;
            }
            Err(error) => {
                warn(name, format!("{packed_name}: {}", reason(&error)));
                status = 1;
                continue;
            }
        };
        let base = shown.strip_suffix(".gz").or_else(|| shown.strip_suffix(".tgz"));
        if unpack && !stdout && !test && *file != b"-" && base.is_none() {
            warn(name, format!("{shown}: unknown suffix -- ignored"));
            status = 2;
            continue;
        }
        let result = match pack(&data) {
            Ok(result) => result,
            Err(_) => {
                let shown = if *file == b"-" { "stdin" } else { &shown };
                let what = if data.starts_with(b"\x1f\x8b") {
                    "unexpected end of file"
                } else {
                    "not in gzip format"
                };
                let _ = write!(std::io::stderr().lock(), "\ngzip: {shown}: {what}\n");
                status = 1;
                continue;
            }
        };
        if test {
            continue;
        }
        if stdout || *file == b"-" {
            write(&result);
            continue;
        }
        let target = match base {
            Some(base) if unpack && shown.ends_with(".tgz") => format!("{base}.tar"),
            Some(base) if unpack => base.to_owned(),
            _ if shown.ends_with(".gz") && !options.has(&["f", "force"]) => {
                warn(name, format!("{shown} already has .gz suffix -- unchanged"));
                status = 2;
                continue;
            }
            _ => format!("{shown}.gz"),
        };
        if fs::symlink_metadata(&target).is_ok() && !options.has(&["f", "force"]) {
            warn(name, format!("{target} already exists;\tnot overwritten"));
            status = 2;
            continue;
        }
        let written = fs::write(&target, result).and_then(|()| {
            if options.has(&["k", "keep"]) { Ok(()) } else { fs::remove_file(guest_host::path_of(file)) }
        });
        if let Err(error) = written {
            warn(name, format!("{target}: {}", reason(&error)));
            status = 1;
        }
    }
    status
}
