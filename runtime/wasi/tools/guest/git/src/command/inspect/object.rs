//! `git cat-file` and `git hash-object`

use crate::Out;
use crate::args::{Args, unknown};
use crate::error::{Result, die, fatal, reason, silent};
use crate::object::{Id, Kind, parse_tree};
use crate::repo::Repo;
use crate::show::quote;
use bstr::ByteSlice;
use std::io::Read;

/// `git cat-file`
pub fn cat_file(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut mode = String::new();
    let mut words = Vec::new();
    for arg in args {
        let text = arg.to_str_lossy().into_owned();
        if text.starts_with('-') && text.len() > 1 { mode = text } else { words.push(text) }
    }
    if mode.starts_with("--batch") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        for name in text.lines() {
            match repo.try_rev(name)?.and_then(|id| repo.odb.find(&id).map(|found| (id, found))) {
                Some((id, (kind, data))) => {
                    out.line(format!("{id} {} {}", kind.name(), data.len()));
                    if !mode.starts_with("--batch-check") {
                        out.line(data);
                    }
                }
                None => out.line(format!("{name} missing")),
            }
        }
        return Ok(0);
    }
    let wanted = if mode.is_empty() && words.len() == 2 { Some(words.remove(0)) } else { None };
    let Some(name) = words.first() else {
        return Err(die(
            129,
            "usage: git cat-file <type> <object>\n   or: git cat-file (-e | -p | -t | -s) <object>",
        ));
    };
    let id = repo.try_rev(name)?.ok_or_else(|| fatal(format!("Not a valid object name {name}")))?;
    let Some((kind, data)) = repo.odb.find(&id) else {
        return Err(if mode == "-e" { silent(1) } else { fatal(format!("Not a valid object name {name}")) });
    };
    match mode.as_str() {
        "-t" => out.line(kind.name()),
        "-s" => out.line(data.len().to_string()),
        "-e" => {}
        "-p" if kind == Kind::Tree => {
            for entry in parse_tree(&data)? {
                let what = match entry.mode {
                    0o40000 => "tree",
                    0o160000 => "commit",
                    _ => "blob",
                };
                out.bytes.extend_from_slice(format!("{:06o} {what} {}\t", entry.mode, entry.id).as_bytes());
                out.line(quote(repo, &entry.name));
            }
        }
        "-p" => out.bytes.extend_from_slice(&data),
        _ => match wanted.as_deref().map(|kind| Kind::parse(kind.as_bytes())) {
            Some(Some(wanted)) => {
                let id =
                    repo.peel(id, wanted)?.ok_or_else(|| fatal(format!("git cat-file {name}: bad file")))?;
                out.bytes.extend_from_slice(&repo.odb.read(&id)?.1);
            }
            _ => return Err(fatal(format!("invalid object type \"{}\"", wanted.unwrap_or_default()))),
        },
    }
    Ok(0)
}

/// `git hash-object`
pub fn hash_object(repo: Option<&Repo>, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let (mut write, mut stdin, mut kind) = (false, false, Kind::Blob);
    while let Some(option) = args.option() {
        match option.as_str() {
            "-w" => write = true,
            "--stdin" => stdin = true,
            "-t" => {
                let name = args.value(&option)?;
                kind = Kind::parse(name.as_bytes())
                    .ok_or_else(|| fatal(format!("invalid object type \"{name}\"")))?;
            }
            "--no-filters" | "--literally" => {}
            option if option.starts_with("--path") => {}
            option => return Err(unknown(option, "hash-object [-t <type>] [-w] [--stdin] [--] <file>...")),
        }
    }
    let mut put = |data: &[u8]| -> Result<()> {
        let id = match repo.filter(|_| write) {
            Some(repo) => repo.odb.write(kind, data)?,
            None => Id::of(kind, data),
        };
        out.line(id.hex());
        Ok(())
    };
    if stdin {
        let mut data = Vec::new();
        std::io::stdin().lock().read_to_end(&mut data)?;
        put(&data)?;
    }
    for path in &args.plain {
        let data = std::fs::read(guest_host::path_of(path)).map_err(|error| {
            fatal(format!("could not open '{}' for reading: {}", path.to_str_lossy(), reason(&error)))
        })?;
        put(&data)?;
    }
    Ok(0)
}
