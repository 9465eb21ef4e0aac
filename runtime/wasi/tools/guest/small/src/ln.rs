//! `ln` and `link`.

use crate::io::{Options, misuse, quoted, reason, warn, write};
use std::fs;
use std::path::{Component, Path, PathBuf};

const KNOWN: &str = "s symbolic f force n no-dereference v verbose r relative T no-target-directory b backup \
    i interactive P physical L logical d F directory";

/// Runs `ln`.
pub fn main(argv: &[Vec<u8>]) -> i32 {
    let options = match Options::read(argv, KNOWN, "t target-directory S suffix") {
        Ok(options) => options,
        Err(error) => return misuse("ln", &error, 1),
    };
    let has = |names: &[&str]| options.has(names);
    let mut targets: Vec<&[u8]> = options.rest.clone();
    let place = match options.value(&["t", "target-directory"]) {
        Some(dir) => dir.as_bytes().to_vec(),
        None => match targets.pop() {
            None => return misuse("ln", "missing file operand", 1),
            // One operand is linked into the current directory.
            Some(only) if targets.is_empty() => {
                if has(&["T", "no-target-directory"]) {
                    return misuse(
                        "ln",
                        &format!("missing destination file operand after {}", quoted(only)),
                        1,
                    );
                }
                targets.push(only);
                b".".to_vec()
            }
            Some(last) => last.to_vec(),
        },
    };
    let path = guest_host::path_of(&place);
    let is_link = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_symlink());
    let into =
        path.is_dir() && !has(&["T", "no-target-directory"]) && !(has(&["n", "no-dereference"]) && is_link);
    if !into && (targets.len() > 1 || has(&["t", "target-directory"])) {
        let why = if path.exists() { "Not a directory" } else { "No such file or directory" };
        warn("ln", format!("target {}: {why}", quoted(&place)));
        return 1;
    }
    let symbolic = has(&["s", "symbolic"]);
    let kind = if symbolic { "symbolic" } else { "hard" };
    let mut status = 0;
    for target in targets {
        let from = guest_host::path_of(target);
        let link: PathBuf =
            if into { path.join(from.file_name().unwrap_or_default()) } else { path.to_owned() };
        let shown = quoted(guest_host::bytes_of(link.as_os_str()));
        let mut fail = |text: String| {
            warn("ln", text);
            status = 1;
        };
        if !symbolic {
            match fs::symlink_metadata(from) {
                Err(error) => {
                    fail(format!("failed to access {}: {}", quoted(target), reason(&error)));
                    continue;
                }
                Ok(meta) if meta.is_dir() => {
                    fail(format!("{}: hard link not allowed for directory", String::from_utf8_lossy(target)));
                    continue;
                }
                Ok(_) => {}
            }
        }
        if fs::symlink_metadata(&link).is_ok() {
            if has(&["b", "backup"]) {
                let mut kept = link.as_os_str().to_owned();
                kept.push("~");
                let _ = fs::rename(&link, PathBuf::from(kept));
            } else if has(&["f", "force"]) {
                let same = !symbolic
                    && fs::canonicalize(from)
                        .ok()
                        .is_some_and(|from| fs::canonicalize(&link).ok() == Some(from));
                if same {
                    fail(format!("{} and {shown} are the same file", quoted(target)));
                    continue;
                }
                let _ = fs::remove_file(&link);
            }
        }
        let text = if symbolic && has(&["r", "relative"]) { relative(from, &link) } else { from.to_owned() };
        let made =
            if symbolic { guest_host::symlink(&text, &link) } else { guest_host::hard_link(from, &link) };
        match made {
            Ok(()) if has(&["v", "verbose"]) => {
                let arrow = if symbolic { "->" } else { "=>" };
                write(
                    format!("{shown} {arrow} {}\n", quoted(guest_host::bytes_of(text.as_os_str())))
                        .as_bytes(),
                );
            }
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                fail(format!("failed to create {kind} link {shown}: File exists"))
            }
            Err(error) if symbolic => {
                fail(format!("failed to create symbolic link {shown}: {}", reason(&error)))
            }
            Err(error) => {
                fail(format!("failed to create hard link {shown} => {}: {}", quoted(target), reason(&error)))
            }
        }
    }
    status
}

/// Runs `link`.
pub fn link(argv: &[Vec<u8>]) -> i32 {
    let [_, from, to] = argv else {
        return misuse("link", "missing operand", 1);
    };
    match guest_host::hard_link(guest_host::path_of(from), guest_host::path_of(to)) {
        Ok(()) => 0,
        Err(error) => {
            warn(
                "link",
                format!("cannot create link {} to {}: {}", quoted(to), quoted(from), reason(&error)),
            );
            1
        }
    }
}

// A target as seen from the link's directory.
fn relative(target: &Path, link: &Path) -> PathBuf {
    let whole = |path: &Path| -> PathBuf {
        fs::canonicalize(path).unwrap_or_else(|_| std::env::current_dir().unwrap_or_default().join(path))
    };
    let parent = link.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (target, dir) = (whole(target), whole(parent));
    let shared = target.components().zip(dir.components()).take_while(|(a, b)| a == b).count();
    let mut out = PathBuf::new();
    for _ in dir.components().skip(shared).filter(|part| matches!(part, Component::Normal(_))) {
        out.push("..");
    }
    out.extend(target.components().skip(shared));
    out
}
