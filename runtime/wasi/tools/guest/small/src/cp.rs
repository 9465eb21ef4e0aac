//! `cp`: copies with modes and times, which the coreutils cannot on WASI.

use crate::io::{Options, misuse, quoted, reason, warn, write};
use std::fs;
use std::path::{Path, PathBuf};

const KNOWN: &str = "a archive b backup d f force i interactive H l link L dereference n no-clobber P \
    no-dereference p preserve no-preserve parents R r recursive remove-destination s \
    symbolic-link T no-target-directory u update v verbose x one-file-system reflink sparse \
    strip-trailing-slashes attributes-only";

struct Copy<'a> {
    options: Options<'a>,
    recursive: bool,
    keep: bool,
    links: bool,
    status: i32,
}

pub fn main(argv: &[Vec<u8>]) -> i32 {
    let options = match Options::read(argv, KNOWN, "S suffix t target-directory") {
        Ok(options) => options,
        Err(error) => return misuse("cp", &error, 1),
    };
    let archive = options.has(&["a", "archive"]);
    let mut sources: Vec<&[u8]> = options.rest.clone();
    let target = match options.value(&["t", "target-directory"]) {
        Some(dir) => dir.as_bytes().to_vec(),
        None => match sources.pop() {
            None => return misuse("cp", "missing file operand", 1),
            Some(last) if sources.is_empty() => {
                return misuse("cp", &format!("missing destination file operand after {}", quoted(last)), 1);
            }
            Some(last) => last.to_vec(),
        },
    };
    let recursive = archive || options.has(&["r", "R", "recursive"]);
    let mut copy = Copy {
        recursive,
        keep: archive || options.has(&["p", "preserve"]),
        links: (recursive && !options.has(&["L", "dereference", "H"]))
            || options.has(&["d", "P", "no-dereference"]),
        options,
        status: 0,
    };
    let to = guest_host::path_of(&target);
    let into = to.is_dir() && !copy.options.has(&["T", "no-target-directory"]);
    if !into && (sources.len() > 1 || copy.options.has(&["t", "target-directory"])) {
        let why =
            if to.exists() { "target {}: Not a directory" } else { "target {}: No such file or directory" };
        warn("cp", why.replace("{}", &quoted(&target)));
        return 1;
    }
    if !into && target.ends_with(b"/") && !recursive {
        warn("cp", format!("cannot create regular file {}: Not a directory", quoted(&target)));
        return 1;
    }
    for source in sources {
        let from = guest_host::path_of(source);
        let path = if copy.options.has(&["parents"]) {
            let path = to.join(guest_host::path_of(source.strip_prefix(b"/").unwrap_or(source)));
            if let Some(dir) = path.parent() {
                let _ = fs::create_dir_all(dir);
            }
            path
        } else if into {
            match from.file_name() {
                Some(name) => to.join(name),
                None => to.to_owned(),
            }
        } else {
            to.to_owned()
        };
        copy.one(from, &path, true);
    }
    copy.status
}

impl Copy<'_> {
    fn fail(&mut self, text: String) {
        warn("cp", text);
        self.status = 1;
    }

    fn has(&self, names: &[&str]) -> bool {
        self.options.has(names)
    }

    fn one(&mut self, from: &Path, to: &Path, top: bool) {
        let shown = |path: &Path| quoted(guest_host::bytes_of(path.as_os_str()));
        let stat = match guest_host::stat(
            from,
            !self.links && (top || self.has(&["L", "dereference"]) || !self.recursive),
        ) {
            Ok(stat) => stat,
            Err(error) => return self.fail(format!("cannot stat {}: {}", shown(from), reason(&error))),
        };
        let kind = stat.mode & 0o170000;
        let there = guest_host::stat(to, false).ok();
        if kind == 0o040000 {
            return self.dir(from, to, stat.mode, there.is_some());
        }
        if let Some(there) = there {
            let same = (there.device, there.inode) == (stat.device, stat.inode)
                && fs::canonicalize(from).ok() == fs::canonicalize(to).ok();
            if same {
                return self.fail(format!("{} and {} are the same file", shown(from), shown(to)));
            }
            if guest_host::stat(to, true).is_ok_and(|stat| stat.mode & 0o170000 == 0o040000) {
                return self.fail(format!("cannot overwrite directory {} with non-directory", shown(to)));
            }
            if self.has(&["n", "no-clobber"])
                || (self.has(&["u", "update"]) && there.modified >= stat.modified)
            {
                return;
            }
            if self.has(&["b", "backup"]) {
                let mut name = to.as_os_str().to_owned();
                name.push("~");
                let _ = fs::rename(to, PathBuf::from(name));
            }
            if self.has(&["remove-destination", "l", "link", "s", "symbolic-link"]) || kind == 0o120000 {
                let _ = fs::remove_file(to);
            }
        }
        if self.has(&["v", "verbose"]) {
            write(format!("{} -> {}\n", shown(from), shown(to)).as_bytes());
        }
        let fresh = !to.exists();
        let result = if self.has(&["l", "link"]) {
            guest_host::hard_link(from, to)
        } else if self.has(&["s", "symbolic-link"]) {
            guest_host::symlink(from, to)
        } else if kind == 0o120000 {
            fs::read_link(from).and_then(|target| guest_host::symlink(&target, to))
        } else {
            let copied = copy_bytes(from, to);
            let copied = match copied {
                Err(error)
                    if self.has(&["f", "force"]) && error.kind() == std::io::ErrorKind::PermissionDenied =>
                {
                    fs::remove_file(to).and_then(|()| copy_bytes(from, to))
                }
                copied => copied,
            };
            copied.and_then(|()| {
                if fresh || self.keep {
                    // A new file's mode is the source's, less what the mask took when it was made.
                    let made = guest_host::mode(to, true)?;
                    let bits =
                        if self.keep { stat.mode & 0o7777 } else { stat.mode & (made | (made & 0o444) >> 2) };
                    guest_host::set_mode(to, bits)?;
                }
                Ok(())
            })
        };
        if let Err(error) = result {
            return self.fail(match fs::metadata(from) {
                Err(_) if kind != 0o120000 => {
                    format!("cannot open {} for reading: {}", shown(from), reason(&error))
                }
                _ => format!("cannot create regular file {}: {}", shown(to), reason(&error)),
            });
        }
        if self.keep && kind == 0o100000 {
            keep_times(to, &stat);
        }
    }

    fn dir(&mut self, from: &Path, to: &Path, mode: u32, there: bool) {
        let shown = |path: &Path| quoted(guest_host::bytes_of(path.as_os_str()));
        if !self.recursive {
            return self.fail(format!("-r not specified; omitting directory {}", shown(from)));
        }
        if there && !to.is_dir() {
            return self.fail(format!(
                "cannot overwrite non-directory {} with directory {}",
                shown(to),
                shown(from)
            ));
        }
        if let (Ok(inner), Ok(outer)) = (parent_of(to), fs::canonicalize(from))
            && inner.starts_with(&outer)
        {
            return self.fail(format!(
                "cannot copy a directory, {}, into itself, {}",
                shown(from),
                shown(to)
            ));
        }
        // The names are read first: the copy may lie beside them.
        let mut names: Vec<_> = match fs::read_dir(from) {
            Ok(names) => names.flatten().map(|name| name.file_name()).collect(),
            Err(error) => return self.fail(format!("cannot access {}: {}", shown(from), reason(&error))),
        };
        names.sort();
        if !there {
            if let Err(error) = fs::create_dir(to) {
                return self.fail(format!("cannot create directory {}: {}", shown(to), reason(&error)));
            }
            if self.has(&["v", "verbose"]) {
                write(format!("{} -> {}\n", shown(from), shown(to)).as_bytes());
            }
        }
        for name in names {
            self.one(&from.join(&name), &to.join(&name), false);
        }
        if !there || self.keep {
            let made = guest_host::mode(to, true).unwrap_or(0o777);
            let _ = guest_host::set_mode(to, if self.keep { mode & 0o7777 } else { mode & made });
            if self.keep
                && let Ok(stat) = guest_host::stat(from, false)
            {
                keep_times(to, &stat);
            }
        }
    }
}

fn parent_of(path: &Path) -> std::io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(_) => {
            let parent =
                path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Ok(fs::canonicalize(parent)?.join(path.file_name().unwrap_or_default()))
        }
    }
}

fn copy_bytes(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut source = fs::File::open(from)?;
    let mut target = fs::File::create(to)?;
    std::io::copy(&mut source, &mut target).map(|_| ())
}

fn keep_times(path: &Path, stat: &guest_host::Stat) {
    if let Ok(file) = fs::File::options().write(true).open(path).or_else(|_| fs::File::open(path)) {
        let _ = file.set_times(fs::FileTimes::new().set_accessed(stat.accessed).set_modified(stat.modified));
    }
}
