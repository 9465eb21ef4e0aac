//! `chmod` and `install`.

use crate::io::{Options, misuse, quoted, reason, warn};
use std::fs;
use std::path::Path;

pub fn main(argv: &[Vec<u8>]) -> i32 {
    // A mode may begin with a dash: `-x`, `-w`.
    let mut args: Vec<Vec<u8>> = Vec::new();
    let mut minus = None;
    for (at, arg) in argv.iter().enumerate() {
        let is_mode = at > 0
            && arg.len() > 1
            && arg[0] == b'-'
            && arg[1..].iter().all(|byte| b"rwxXst,".contains(byte))
            && minus.is_none();
        if is_mode { minus = Some(String::from_utf8_lossy(arg).into_owned()) } else { args.push(arg.clone()) }
    }
    let options = match Options::read(&args, "R recursive v verbose c f quiet silent changes", "reference") {
        Ok(options) => options,
        Err(error) => return misuse("chmod", &error, 1),
    };
    let mut rest = options.rest.iter();
    let mode = match (minus, options.value(&["reference"])) {
        (Some(mode), _) => mode,
        (None, Some(file)) => match guest_host::mode(Path::new(file), true) {
            Ok(mode) => format!("{mode:o}"),
            Err(error) => {
                warn("chmod", format!("failed to get attributes of '{file}': {}", reason(&error)));
                return 1;
            }
        },
        (None, None) => match rest.next() {
            Some(mode) => String::from_utf8_lossy(mode).into_owned(),
            None => return misuse("chmod", "missing operand", 1),
        },
    };
    let files: Vec<&[u8]> = rest.copied().collect();
    if files.is_empty() {
        return misuse("chmod", &format!("missing operand after '{mode}'"), 1);
    }
    if change(&mode, 0o644, false).is_none() {
        return misuse("chmod", &format!("invalid mode: '{mode}'"), 1);
    }
    let quiet = options.has(&["f", "quiet", "silent"]);
    let mut status = 0;
    let mut queue: Vec<std::path::PathBuf> =
        files.iter().rev().map(|file| guest_host::path_of(file).to_owned()).collect();
    let top = queue.len();
    let mut done = 0;
    while let Some(path) = queue.pop() {
        done += 1;
        let name = guest_host::bytes_of(path.as_os_str()).to_vec();
        let below = done > top || queue.len() + 1 > top;
        let Ok(meta) = fs::symlink_metadata(&path) else {
            if !quiet {
                warn("chmod", format!("cannot access {}: No such file or directory", quoted(&name)));
            }
            status = 1;
            continue;
        };
        if meta.file_type().is_symlink() && below && options.has(&["R", "recursive"]) {
            continue;
        }
        let result = guest_host::mode(&path, true).and_then(|old| {
            let new = change(&mode, old, path.is_dir()).unwrap_or(old);
            let verbose = options.has(&["v", "verbose"]) || (options.has(&["c", "changes"]) && new != old);
            if verbose {
                let what = if new == old {
                    format!("mode of {} retained as {old:04o} ({})\n", quoted(&name), letters(old))
                } else {
                    format!(
                        "mode of {} changed from {old:04o} ({}) to {new:04o} ({})\n",
                        quoted(&name),
                        letters(old),
                        letters(new)
                    )
                };
                crate::io::write(what.as_bytes());
            }
            guest_host::set_mode(&path, new)
        });
        if let Err(error) = result {
            if !quiet {
                warn("chmod", format!("changing permissions of {}: {}", quoted(&name), reason(&error)));
            }
            status = 1;
        }
        if options.has(&["R", "recursive"]) && meta.is_dir() {
            let mut names: Vec<_> =
                fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            names.sort();
            queue.extend(names);
        }
    }
    status
}

/// `rwxr-xr-x`
pub fn letters(mode: u32) -> String {
    let mut text = String::new();
    for shift in [6, 3, 0] {
        let bits = mode >> shift & 7;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        let special = mode & (0o1000 << (shift / 3)) != 0;
        text.push(match (bits & 1 != 0, special, shift) {
            (true, true, 0) => 't',
            (false, true, 0) => 'T',
            (true, true, _) => 's',
            (false, true, _) => 'S',
            (true, false, _) => 'x',
            _ => '-',
        });
    }
    text
}

/// Applies a mode in digits or letters; `None` if it is not one.
pub fn change(text: &str, old: u32, dir: bool) -> Option<u32> {
    if !text.is_empty() && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        return u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
    }
    let mut mode = old;
    for clause in text.split(',') {
        let who_end = clause.find(|c| !"ugoa".contains(c))?;
        let who = &clause[..who_end];
        let (mut mask, all) = (0u32, who.is_empty() || who.contains('a'));
        for (letter, bits) in [('u', 0o4700), ('g', 0o2070), ('o', 0o1007)] {
            if all || who.contains(letter) {
                mask |= bits;
            }
        }
        if who.is_empty() {
            // Without a name the usual mask holds: others are not given the right to write.
            mask &= !0o022;
        }
        let mut rest = &clause[who_end..];
        while !rest.is_empty() {
            let sign = rest.chars().next()?;
            if !"+-=".contains(sign) {
                return None;
            }
            rest = &rest[1..];
            let end = rest.find(|c| "+-=".contains(c)).unwrap_or(rest.len());
            let mut bits = 0;
            for c in rest[..end].chars() {
                bits |= match c {
                    'r' => 0o444,
                    'w' => 0o222,
                    'x' => 0o111,
                    'X' if dir || mode & 0o111 != 0 => 0o111,
                    'X' => 0,
                    's' => 0o6000,
                    't' => 0o1000,
                    'u' => (mode >> 6 & 7) * 0o111,
                    'g' => (mode >> 3 & 7) * 0o111,
                    'o' => (mode & 7) * 0o111,
                    _ => return None,
                };
            }
            bits &= mask;
            mode = match sign {
                '+' => mode | bits,
                '-' => mode & !bits,
                _ => mode & !(mask & 0o777) | bits,
            };
            rest = &rest[end..];
        }
    }
    Some(mode)
}

pub fn install(argv: &[Vec<u8>]) -> i32 {
    let options = match Options::read(
        argv,
        "d directory D v verbose p C c T",
        "m mode t target-directory o g owner group",
    ) {
        Ok(options) => options,
        Err(error) => return misuse("install", &error, 1),
    };
    let mode = match change(options.value(&["m", "mode"]).unwrap_or("755"), 0, false) {
        Some(mode) => mode,
        None => return misuse("install", "invalid mode", 1),
    };
    let fail = |what: String, error: std::io::Error| {
        warn("install", format!("{what}: {}", reason(&error)));
        1
    };
    if options.has(&["d", "directory"]) {
        for dir in &options.rest {
            let path = guest_host::path_of(dir);
            if let Err(error) = fs::create_dir_all(path).and_then(|()| guest_host::set_mode(path, mode)) {
                return fail(format!("cannot create directory {}", quoted(dir)), error);
            }
        }
        return 0;
    }
    let mut files = options.rest.clone();
    let target = match options.value(&["t", "target-directory"]) {
        Some(dir) => dir.as_bytes().to_vec(),
        None => match files.pop() {
            Some(last) if !files.is_empty() => last.to_vec(),
            Some(last) => {
                return misuse(
                    "install",
                    &format!("missing destination file operand after {}", quoted(last)),
                    1,
                );
            }
            None => return misuse("install", "missing file operand", 1),
        },
    };
    let to = guest_host::path_of(&target);
    for file in files {
        let from = guest_host::path_of(file);
        let path = if to.is_dir() { to.join(from.file_name().unwrap_or_default()) } else { to.to_owned() };
        if options.has(&["D"])
            && let Some(parent) = path.parent()
        {
            let _ = fs::create_dir_all(parent);
        }
        let _ = fs::remove_file(&path);
        let data = match fs::read(from) {
            Ok(data) => data,
            Err(error) => return fail(format!("cannot stat {}", quoted(file)), error),
        };
        if let Err(error) = fs::write(&path, data).and_then(|()| guest_host::set_mode(&path, mode)) {
            return fail(format!("cannot create regular file '{}'", path.display()), error);
        }
        if options.has(&["v", "verbose"]) {
            crate::io::write(format!("{} -> '{}'\n", quoted(file), path.display()).as_bytes());
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::change;

    #[test]
    fn modes_in_letters_and_digits() {
        assert_eq!(change("+x", 0o644, false), Some(0o755));
        assert_eq!(change("u+x,go-r", 0o644, false), Some(0o700));
        assert_eq!(change("a=rX", 0o755, false), Some(0o555));
        assert_eq!(change("600", 0o755, false), Some(0o600));
        assert_eq!(change("go=u", 0o600, false), Some(0o666));
        assert_eq!(change("u+z", 0o600, false), None);
    }
}
