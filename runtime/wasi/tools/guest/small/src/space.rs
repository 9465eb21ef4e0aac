//! Room taken: `du` and `df`.

use crate::io::{Options, misuse, quoted, reason, warn, write};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

struct Du {
    all: bool,
    summary: bool,
    apparent: bool,
    block: u64,
    human: Option<u64>,
    depth: usize,
    end: u8,
    exclude: Vec<String>,
    total: u64,
    seen: HashSet<(u64, u64)>,
    status: i32,
    out: Vec<u8>,
}

pub fn du(argv: &[Vec<u8>]) -> i32 {
    let known = "a all s summarize b bytes h human-readable k m c total x L S 0 null apparent-size si \
        one-file-system";
    let options = match Options::read(argv, known, "d max-depth B block-size exclude t") {
        Ok(options) => options,
        Err(error) => return misuse("du", &error, 1),
    };
    let block = match options.value(&["B", "block-size"]) {
        Some(text) => size(text).unwrap_or(1024),
        None if options.has(&["b", "bytes"]) => 1,
        None if options.has(&["m"]) => 1 << 20,
        None => 1024,
    };
    let human =
        if options.has(&["si"]) { Some(1000) } else { options.has(&["h", "human-readable"]).then_some(1024) };
    let summary = options.has(&["s", "summarize"]);
    let mut du = Du {
        all: options.has(&["a", "all"]),
        summary,
        apparent: options.has(&["b", "bytes", "apparent-size"]),
        block,
        human,
        depth: options
            .value(&["d", "max-depth"])
            .and_then(|value| value.parse().ok())
            .unwrap_or(if summary { 0 } else { usize::MAX }),
        end: if options.has(&["0", "null"]) { 0 } else { b'\n' },
        exclude: options
            .given
            .iter()
            .filter(|(name, _)| name == "exclude")
            .filter_map(|(_, value)| value.clone())
            .collect(),
        total: 0,
        seen: HashSet::new(),
        status: 0,
        out: Vec::new(),
    };
    let dot: &[&[u8]] = &[b"."];
    for file in if options.rest.is_empty() { dot } else { &options.rest } {
        let path = guest_host::path_of(file);
        if let Err(error) = fs::symlink_metadata(path) {
            warn("du", format!("cannot access {}: {}", quoted(file), reason(&error)));
            du.status = 1;
            continue;
        }
        du.total += du.walk(path, 0);
    }
    if options.has(&["c", "total"]) {
        let total = du.total;
        du.line(total, b"total");
    }
    write(&du.out);
    du.status
}

impl Du {
    fn walk(&mut self, path: &Path, depth: usize) -> u64 {
        let Ok(stat) = guest_host::stat(path, false) else { return 0 };
        if stat.links > 1 && stat.mode & 0o170000 != 0o040000 && !self.seen.insert((stat.device, stat.inode))
        {
            return 0;
        }
        let mut bytes = if self.apparent { stat.size } else { stat.blocks * 512 };
        let dir = stat.mode & 0o170000 == 0o040000;
        if dir {
            let mut names: Vec<_> = fs::read_dir(path).into_iter().flatten().flatten().collect();
            names.sort_by_key(|name| name.file_name());
            for name in names {
                let excluded = self.exclude.iter().any(|pattern| {
                    guest_git::glob_matches(pattern.as_bytes(), guest_host::bytes_of(&name.file_name()))
                });
                if !excluded {
                    bytes += self.walk(&name.path(), depth + 1);
                }
            }
        }
        if depth == 0 || (depth <= self.depth && !self.summary && (dir || self.all)) {
            self.line(bytes, guest_host::bytes_of(path.as_os_str()));
        }
        bytes
    }

    fn line(&mut self, bytes: u64, name: &[u8]) {
        let text = match self.human {
            Some(unit) => human(bytes, unit),
            None => bytes.div_ceil(self.block).to_string(),
        };
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'\t');
        self.out.extend_from_slice(name);
        self.out.push(self.end);
    }
}

/// `4.0K`, rounded up as the system's tools do.
pub fn human(bytes: u64, unit: u64) -> String {
    if bytes < unit {
        return bytes.to_string();
    }
    let letters = if unit == 1000 { ["k", "M", "G", "T", "P"] } else { ["K", "M", "G", "T", "P"] };
    let mut scale = unit;
    for letter in letters {
        let tenths = (u128::from(bytes) * 10).div_ceil(u128::from(scale));
        if tenths < 100 {
            return format!("{}.{}{letter}", tenths / 10, tenths % 10);
        }
        let whole = bytes.div_ceil(scale);
        if whole < unit || letter == "P" {
            return format!("{whole}{letter}");
        }
        scale = scale.saturating_mul(unit);
    }
    bytes.to_string()
}

fn size(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = if end == 0 { 1 } else { text[..end].parse().ok()? };
    let unit = match &text[end..] {
        "" => 1,
        "K" | "k" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "KB" | "kB" => 1000,
        "MB" => 1_000_000,
        _ => return None,
    };
    Some(number * unit)
}

pub fn df(argv: &[Vec<u8>]) -> i32 {
    let options = match Options::read(argv, "h human-readable k m T a i P H", "B block-size t output") {
        Ok(options) => options,
        Err(error) => return misuse("df", &error, 1),
    };
    for file in &options.rest {
        if let Err(error) = fs::symlink_metadata(guest_host::path_of(file)) {
            warn("df", format!("{}: {}", String::from_utf8_lossy(file), reason(&error)));
            return 1;
        }
    }
    // The sandbox tells no sizes of the host's disks.
    let head = if options.has(&["h", "human-readable", "H"]) {
        "Filesystem      Size  Used Avail Use% Mounted on\nsandbox            0     0     0    - /\n"
    } else {
        "Filesystem     1K-blocks  Used Available Use% Mounted on\nsandbox                0     0         0    - /\n"
    };
    write(head.as_bytes());
    0
}
