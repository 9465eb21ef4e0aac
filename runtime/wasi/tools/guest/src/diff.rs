//! `diff` and `cmp`, front ends over the diffutils library.

use diffutilslib::params::Format;
use std::ffi::OsString;
use std::io::{Read, Write};

/// Runs `diff`: 0 same, 1 different, 2 trouble.
pub fn main(argv: Vec<OsString>) -> i32 {
    let params = match diffutilslib::params::parse_params(argv.into_iter().peekable()) {
        Ok(params) => params,
        Err(error) => {
            eprintln!("{error}");
            return 2;
        }
    };
    let (Some(from), Some(to)) = (read(&params.from), read(&params.to)) else { return 2 };
    let mut out = std::io::stdout().lock();
    let text = match params.format {
        Format::Normal => diffutilslib::normal_diff(&from, &to, &params),
        Format::Unified => diffutilslib::unified_diff(&from, &to, &params),
        Format::Context => diffutilslib::context_diff(&from, &to, &params),
        Format::Ed => match diffutilslib::ed_diff(&from, &to, &params) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{error}");
                return 2;
            }
        },
        Format::SideBySide => diffutilslib::side_by_side_diff(&from, &to, &mut out, &params),
    };
    let different = !text.is_empty();
    if params.brief && different {
        let (from, to) = (params.from.to_string_lossy(), params.to.to_string_lossy());
        let _ = writeln!(out, "Files {from} and {to} differ");
    } else {
        let _ = out.write_all(&text);
    }
    i32::from(different)
}

/// Runs `cmp`: 0 same, 1 different, 2 trouble.
pub fn cmp(argv: Vec<OsString>) -> i32 {
    let compared = diffutilslib::cmp::parse_params(argv.into_iter().peekable())
        .and_then(|params| diffutilslib::cmp::cmp(&params));
    match compared {
        Ok(diffutilslib::cmp::Cmp::Equal) => 0,
        Ok(diffutilslib::cmp::Cmp::Different) => 1,
        Err(error) => {
            eprintln!("{error}");
            2
        }
    }
}

fn read(path: &OsString) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let result = if path == "-" {
        std::io::stdin().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    match result {
        Ok(()) => Some(bytes),
        Err(error) => {
            eprintln!("diff: {}: {error}", path.to_string_lossy());
            None
        }
    }
}
