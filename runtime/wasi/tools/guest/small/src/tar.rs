//! `tar`: makes, lists and unpacks archives, plain or packed by gzip, bzip2 or xz.

use crate::chmod::letters;
use crate::io::{reason, warn};
use crate::packed::{BZIP2, Format, GZIP, XZ};
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Write};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, Builder, EntryType, Header};

/// Most bytes of a file in an archive: 1 GiB.
const MOST: u64 = 1 << 30;
/// The ways of packing.
const FORMATS: [&Format; 3] = [&GZIP, &BZIP2, &XZ];

#[derive(Default)]
struct Asked {
    action: char,
    packed: Option<&'static Format>,
    /// The archive's name says how it is packed.
    by_name: bool,
    verbose: bool,
    keep: bool,
    file: Option<String>,
    dir: Option<String>,
    strip: usize,
    exclude: Vec<String>,
    to_stdout: bool,
    names: Vec<String>,
}

fn ask(argv: &[Vec<u8>]) -> Result<Asked, String> {
    let mut asked = Asked::default();
    let mut args: std::collections::VecDeque<String> =
        argv.iter().skip(1).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
    // The old form: letters without a dash.
    if let Some(first) = args.front_mut().filter(|first| !first.starts_with('-')) {
        first.insert(0, '-');
    }
    while let Some(arg) = args.pop_front() {
        if let Some(long) = arg.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let mut take = || {
                value
                    .clone()
                    .or_else(|| args.pop_front())
                    .ok_or_else(|| format!("option '--{name}' requires an argument"))
            };
            match name {
                "create" => asked.action = 'c',
                "extract" | "get" => asked.action = 'x',
                "list" => asked.action = 't',
                "gzip" | "gunzip" => asked.packed = Some(&GZIP),
                "bzip2" => asked.packed = Some(&BZIP2),
                "xz" => asked.packed = Some(&XZ),
                "auto-compress" => asked.by_name = true,
                "verbose" => asked.verbose = true,
                "file" => asked.file = Some(take()?),
                "directory" => asked.dir = Some(take()?),
                "strip-components" => {
                    asked.strip = take()?.parse().map_err(|_| "invalid number of elements".to_owned())?
                }
                "exclude" => asked.exclude.push(take()?),
                "to-stdout" => asked.to_stdout = true,
                "keep-old-files" => asked.keep = true,
                "no-same-owner"
                | "same-owner"
                | "no-same-permissions"
                | "preserve-permissions"
                | "overwrite"
                | "wildcards"
                | "no-recursion"
                | "numeric-owner" => {}
                "owner" | "group" | "mtime" | "sort" | "format" | "mode" => {
                    take()?;
                }
                "" => asked.names.extend(args.drain(..)),
                _ => return Err(format!("unrecognized option '--{name}'")),
            }
        } else if arg.starts_with('-') && arg.len() > 1 {
            let letters: Vec<char> = arg[1..].chars().collect();
            for (at, letter) in letters.iter().enumerate() {
                let rest: String = letters[at + 1..].iter().collect();
                let takes = "fCX".contains(*letter);
                // In the old form further letters may follow `f`; its value is the next argument all the same.
                let inline = takes && !rest.is_empty() && !rest.chars().all(|c| "cxtzjJavpkO".contains(c));
                let value = match (takes, inline) {
                    (true, true) => Some(rest.clone()),
                    (true, false) => Some(
                        args.pop_front()
                            .ok_or_else(|| format!("option requires an argument -- '{letter}'"))?,
                    ),
                    _ => None,
                };
                match letter {
                    'c' | 'x' | 't' => asked.action = *letter,
                    'z' => asked.packed = Some(&GZIP),
                    'j' => asked.packed = Some(&BZIP2),
                    'J' => asked.packed = Some(&XZ),
                    'a' => asked.by_name = true,
                    'v' => asked.verbose = true,
                    'k' => asked.keep = true,
                    'O' => asked.to_stdout = true,
                    'f' => asked.file = value,
                    'C' => asked.dir = value,
                    'p' | 'm' | 'h' | 'o' => {}
                    'X' => {}
                    letter => return Err(format!("invalid option -- '{letter}'")),
                }
                if inline {
                    break;
                }
            }
        } else {
            asked.names.push(arg);
        }
    }
    Ok(asked)
}

pub fn main(argv: &[Vec<u8>]) -> i32 {
    let asked = match ask(argv) {
        Ok(asked) => asked,
        Err(error) => {
            warn("tar", error);
            let _ = writeln!(io::stderr(), "Try 'tar --help' or 'tar --usage' for more information.");
            return 64;
        }
    };
    let result = match asked.action {
        'c' => create(&asked),
        'x' | 't' => read(&asked),
        _ => {
            warn("tar", "You must specify one of the '-Acdtrux', '--delete' or '--test-label' options");
            let _ = writeln!(io::stderr(), "Try 'tar --help' or 'tar --usage' for more information.");
            return 2;
        }
    };
    match result {
        Ok(status) => status,
        Err(error) => {
            warn("tar", error);
            warn("tar", "Error is not recoverable: exiting now");
            2
        }
    }
}

fn excluded(asked: &Asked, name: &str) -> bool {
    let base = name.trim_end_matches('/').rsplit('/').next().unwrap_or(name);
    asked.exclude.iter().any(|pattern| {
        let pattern = pattern.trim_end_matches('/').as_bytes();
        guest_git::glob_matches(pattern, name.trim_end_matches('/').as_bytes())
            || guest_git::glob_matches(pattern, base.as_bytes())
    })
}

fn create(asked: &Asked) -> Result<i32, String> {
    if asked.names.is_empty() {
        return Err("Cowardly refusing to create an empty archive".into());
    }
    let mut builder = Builder::new(Vec::new());
    let mut status = 0;
    let top = asked.dir.as_deref().unwrap_or(".");
    let own = asked.file.as_deref().filter(|file| *file != "-").and_then(|file| fs::canonicalize(file).ok());
    for name in &asked.names {
        let mut queue = vec![name.clone()];
        while let Some(name) = queue.pop() {
            if excluded(asked, &name) {
                continue;
            }
            let path = if Path::new(&name).is_absolute() {
                PathBuf::from(&name)
            } else {
                Path::new(top).join(&name)
            };
            let stat = match guest_host::stat(&path, false) {
                Ok(stat) => stat,
                Err(error) => {
                    warn("tar", format!("{name}: Cannot stat: {}", reason(&error)));
                    status = 2;
                    continue;
                }
            };
            if own.is_some() && fs::canonicalize(&path).ok() == own {
                warn("tar", format!("{name}: file is the archive; not dumped"));
                continue;
            }
            let stored = name.trim_start_matches('/').to_owned();
            let mut header = Header::new_gnu();
            header.set_mode(stat.mode & 0o7777);
            header.set_mtime(
                stat.modified.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            );
            header.set_uid(u64::from(stat.user));
            header.set_gid(u64::from(stat.group));
            header.set_size(0);
            let failed = |error: io::Error| format!("{name}: {}", reason(&error));
            let mut shown = stored.clone();
            match stat.mode & 0o170000 {
                0o040000 => {
                    header.set_entry_type(EntryType::Directory);
                    if !shown.ends_with('/') {
                        shown.push('/');
                    }
                    builder.append_data(&mut header, &shown, io::empty()).map_err(failed)?;
                    let mut below: Vec<String> = fs::read_dir(&path)
                        .map_err(|error| format!("{name}: Cannot open: {}", reason(&error)))?
                        .flatten()
                        .map(|entry| {
                            format!("{}/{}", name.trim_end_matches('/'), entry.file_name().to_string_lossy())
                        })
                        .collect();
                    below.sort();
                    below.reverse();
                    queue.extend(below);
                }
                0o120000 => {
                    header.set_entry_type(EntryType::Symlink);
                    let target = fs::read_link(&path).map_err(failed)?;
                    builder.append_link(&mut header, &shown, target).map_err(failed)?;
                }
                _ => {
                    header.set_entry_type(EntryType::Regular);
                    let data = fs::read(&path).map_err(failed)?;
                    header.set_size(data.len() as u64);
                    builder.append_data(&mut header, &shown, data.as_slice()).map_err(failed)?;
                }
            }
            if asked.verbose {
                let line = format!("{shown}\n");
                if asked.file.as_deref().is_none_or(|file| file == "-") {
                    let _ = io::stderr().write_all(line.as_bytes());
                } else {
                    crate::io::write(line.as_bytes());
                }
            }
        }
    }
    let mut bytes = builder.into_inner().map_err(|error| reason(&error))?;
    // Archives are whole records of 20 blocks.
    bytes.resize(bytes.len().div_ceil(10_240) * 10_240, 0);
    let by_name =
        || FORMATS.into_iter().find(|format| asked.file.as_ref().is_some_and(|file| format.names(file)));
    if let Some(format) = asked.packed.or_else(|| if asked.by_name { by_name() } else { None }) {
        bytes = format.pack(&bytes).map_err(|error| reason(&error))?;
    }
    match asked.file.as_deref().filter(|file| *file != "-") {
        Some(file) => {
            fs::write(file, bytes).map_err(|error| format!("{file}: Cannot open: {}", reason(&error)))?
        }
        None => crate::io::write(&bytes),
    }
    if status != 0 {
        warn("tar", "Exiting with failure status due to previous errors");
    }
    Ok(status)
}

fn read(asked: &Asked) -> Result<i32, String> {
    let mut bytes = Vec::new();
    match asked.file.as_deref().filter(|file| *file != "-") {
        Some(file) => File::open(file)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(|error| format!("{file}: Cannot open: {}", reason(&error)))?,
        None => io::stdin().lock().read_to_end(&mut bytes).map_err(|error| reason(&error))?,
    };
    if let Some(format) = FORMATS.into_iter().find(|format| format.made(&bytes)) {
        bytes = format
            .unpack(&bytes)
            .map_err(|error| format!("Child returned status 1\ntar: {}", reason(&error)))?;
    }
    let bad = || "This does not look like a tar archive".to_owned();
    let mut archive = Archive::new(Cursor::new(bytes));
    let top = PathBuf::from(asked.dir.as_deref().unwrap_or("."));
    if asked.dir.is_some() && !top.is_dir() {
        return Err(format!("{}: Cannot open: No such file or directory", top.display()));
    }
    let mut found: Vec<bool> = vec![false; asked.names.len()];
    let mut status = 0;
    let mut dir_modes: Vec<(PathBuf, u32)> = Vec::new();
    for entry in archive.entries().map_err(|_| bad())? {
        let mut entry = entry.map_err(|_| bad())?;
        // What is said of all that follows is no file.
        if entry.header().entry_type() == EntryType::XGlobalHeader {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let bare = name.trim_end_matches('/');
        let mut wanted = asked.names.is_empty();
        for (at, want) in asked.names.iter().enumerate() {
            let want = want.trim_end_matches('/');
            if bare == want
                || bare.starts_with(&format!("{want}/"))
                || guest_git::glob_matches(want.as_bytes(), bare.as_bytes())
            {
                wanted = true;
                found[at] = true;
            }
        }
        if !wanted || excluded(asked, &name) {
            continue;
        }
        let kind = entry.header().entry_type();
        let mode = entry.header().mode().unwrap_or(0o644) & 0o7777;
        let link = entry.link_name_bytes().map(|name| name.to_vec());
        if asked.action == 't' {
            let line =
                if asked.verbose { long(&entry, &name, mode, kind, link.as_deref()) } else { name.clone() };
            crate::io::write(format!("{line}\n").as_bytes());
            continue;
        }
        if asked.verbose {
            crate::io::write(format!("{name}\n").as_bytes());
        }
        let mut data = Vec::new();
        entry
            .by_ref()
            .take(MOST)
            .read_to_end(&mut data)
            .map_err(|_| "Unexpected EOF in archive".to_owned())?;
        if asked.to_stdout {
            crate::io::write(&data);
            continue;
        }
        let parts: Vec<_> = Path::new(&name)
            .components()
            .filter(|part| !matches!(part, Component::CurDir | Component::RootDir))
            .collect();
        if parts.iter().any(|part| matches!(part, Component::ParentDir)) {
            warn("tar", format!("{name}: Member name contains '..'"));
            status = 2;
            continue;
        }
        let rest: PathBuf = parts.iter().skip(asked.strip).collect();
        if rest.as_os_str().is_empty() {
            continue;
        }
        let path = top.join(&rest);
        let result = put(&path, kind, mode, &data, link.as_deref(), &top, asked, &mut dir_modes);
        if let Err(error) = result {
            warn("tar", format!("{name}: Cannot open: {}", reason(&error)));
            status = 2;
        }
    }
    for (path, mode) in dir_modes.into_iter().rev() {
        let _ = guest_host::set_mode(&path, mode);
    }
    for (name, _) in asked.names.iter().zip(&found).filter(|(_, found)| !**found) {
        warn("tar", format!("{name}: Not found in archive"));
        status = 2;
    }
    if status != 0 {
        warn("tar", "Exiting with failure status due to previous errors");
    }
    Ok(status)
}

#[allow(clippy::too_many_arguments)]
fn put(
    path: &Path,
    kind: EntryType,
    mode: u32,
    data: &[u8],
    link: Option<&[u8]>,
    top: &Path,
    asked: &Asked,
    dirs: &mut Vec<(PathBuf, u32)>,
) -> io::Result<()> {
    if kind == EntryType::Directory {
        fs::create_dir_all(path)?;
        dirs.push((path.to_owned(), mode));
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    if fs::symlink_metadata(path).is_ok() {
        if asked.keep {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !path.is_dir() {
            fs::remove_file(path)?;
        }
    }
    match (kind, link) {
        (EntryType::Symlink, Some(target)) => guest_host::symlink(guest_host::path_of(target), path),
        (EntryType::Link, Some(target)) => {
            guest_host::hard_link(&top.join(guest_host::path_of(target)), path)
        }
        _ => {
            fs::write(path, data)?;
            guest_host::set_mode(path, mode & 0o777)
        }
    }
}

fn long<R: Read>(
    entry: &tar::Entry<'_, R>,
    name: &str,
    mode: u32,
    kind: EntryType,
    link: Option<&[u8]>,
) -> String {
    let header = entry.header();
    let first = match kind {
        EntryType::Directory => 'd',
        EntryType::Symlink => 'l',
        EntryType::Link => 'h',
        _ => '-',
    };
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(header.mtime().unwrap_or(0));
    let date = crate::stat::date(time);
    let owner = |text: Option<&[u8]>, id: u64| {
        text.filter(|text| !text.is_empty())
            .map_or_else(|| id.to_string(), |text| String::from_utf8_lossy(text).into_owned())
    };
    let who = format!(
        "{}/{}",
        owner(header.username_bytes(), header.uid().unwrap_or(0)),
        owner(header.groupname_bytes(), header.gid().unwrap_or(0))
    );
    let size = header.size().unwrap_or(0).to_string();
    let pad = 19usize.saturating_sub(who.len() + size.len() + 1).max(1);
    let target = match (kind, link) {
        (EntryType::Symlink, Some(target)) => format!(" -> {}", String::from_utf8_lossy(target)),
        (EntryType::Link, Some(target)) => format!(" link to {}", String::from_utf8_lossy(target)),
        _ => String::new(),
    };
    format!("{first}{} {who}{:pad$}{size} {} {name}{target}", letters(mode), "", &date[..16])
}
