//! The current directory: `cd`, `pwd`, and the stack of directories.

use super::{Done, number};
use crate::shell::{Shell, message};
use std::sync::Arc;

/// A path from the root without `.`, `..` and doubled slashes, as far as its text tells.
fn normal(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    [&b"/"[..], &parts.join(&b'/')].concat()
}

impl Shell {
    /// Goes to a directory; `physical`: links in the way do not show.
    fn enter(&mut self, who: &[u8], path: &[u8], physical: bool) -> bool {
        let pwd = self.get(b"PWD").map_or_else(|| self.cwd.to_vec(), <[u8]>::to_vec);
        let logical =
            if path.starts_with(b"/") { normal(path) } else { normal(&[&pwd[..], b"/", path].concat()) };
        let entered = if physical || self.world.tree.stat(b"/", &logical, true).is_err() {
            self.world.tree.enter(&self.cwd, path)
        } else {
            // `a/..` leads back even when `a` is a link; but `a` must be there.
            match self.world.tree.stat(&self.cwd, path, true) {
                Ok(_) => self.world.tree.enter(b"/", &logical),
                Err(errno) => Err(errno),
            }
        };
        match entered {
            Ok(real) => {
                let new = if physical { real.clone() } else { logical };
                self.cwd = Arc::new(real);
                self.set_own(b"OLDPWD", pwd);
                self.set_own(b"PWD", new);
                self.variables.entry(b"OLDPWD").exported = true;
                true
            }
            Err(errno) => {
                self.complain_about(who, path, &message(errno));
                false
            }
        }
    }

    /// A path with the home directory's as `~`.
    fn shortened(&self, path: &[u8]) -> Vec<u8> {
        match self.get(b"HOME") {
            Some(home) if home.len() > 1 && path.starts_with(home) => {
                let rest = &path[home.len()..];
                if rest.is_empty() || rest.starts_with(b"/") {
                    return [b"~", rest].concat();
                }
                path.to_vec()
            }
            _ => path.to_vec(),
        }
    }

    fn print_stack(&mut self, who: &[u8]) -> Done {
        let mut names = vec![self.shortened(self.get(b"PWD").unwrap_or_default())];
        names.extend(self.directories.iter().rev().map(|d| self.shortened(d)));
        let line = [&names.join(&b' ')[..], b"\n"].concat();
        self.printed(who, &line)
    }
}

pub(super) fn cd(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut physical = shell.option_is_on(b"physical");
    let mut at = 1;
    while let Some([b'-', letters @ ..]) = argv.get(at).map(Vec::as_slice) {
        if letters == b"-" {
            at += 1;
            break;
        }
        if letters.is_empty() || !letters.iter().all(|l| b"LPe@".contains(l)) {
            if letters.is_empty() {
                break;
            }
            let shown = [b"-", &letters[..1]].concat();
            shell.complain_about(&argv[0], &shown, "invalid option");
            shell.print_error(b"cd: usage: cd [-L|[-P [-e]] [-@]] [dir]\n");
            return Ok(2);
        }
        physical = letters.last() == Some(&b'P');
        at += 1;
    }
    if argv.len() > at + 1 {
        shell.complain_as(&argv[0], "too many arguments");
        return Ok(1);
    }
    let (target, shows) = match argv.get(at).map(Vec::as_slice) {
        None => match shell.get(b"HOME") {
            Some(home) => (home.to_vec(), false),
            None => {
                shell.complain_as(&argv[0], "HOME not set");
                return Ok(1);
            }
        },
        Some(b"-") => match shell.get(b"OLDPWD") {
            Some(old) => (old.to_vec(), true),
            None => {
                shell.complain_as(&argv[0], "OLDPWD not set");
                return Ok(1);
            }
        },
        Some(b"") => return Ok(0),
        Some(path) => (path.to_vec(), false),
    };
    if !target.starts_with(b"/")
        && !target.starts_with(b".")
        && let Some(paths) = shell.get(b"CDPATH").map(<[u8]>::to_vec)
    {
        for base in paths.split(|b| *b == b':').filter(|b| !b.is_empty()) {
            let whole = [base, b"/", &target].concat();
            if shell.world.tree.stat(&shell.cwd, &whole, true).is_ok_and(|s| s.kind == crate::fs::Kind::Dir) {
                if !shell.enter(&argv[0], &whole, physical) {
                    return Ok(1);
                }
                let line = [shell.get(b"PWD").unwrap_or_default(), b"\n"].concat();
                return shell.printed(&argv[0], &line);
            }
        }
    }
    if !shell.enter(&argv[0], &target, physical) {
        return Ok(1);
    }
    if shows {
        let line = [shell.get(b"PWD").unwrap_or_default(), b"\n"].concat();
        return shell.printed(&argv[0], &line);
    }
    Ok(0)
}

pub(super) fn pwd(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let physical = argv[1..].iter().any(|a| a.as_slice() == b"-P");
    if let Some(option) =
        argv[1..].iter().find(|a| a.starts_with(b"-") && !matches!(a.as_slice(), b"-P" | b"-L" | b"--"))
    {
        shell.complain_about(&argv[0], &option.clone(), "invalid option");
        shell.print_error(b"pwd: usage: pwd [-LP]\n");
        return Ok(2);
    }
    let path = if physical { shell.cwd.to_vec() } else { shell.get(b"PWD").unwrap_or(&shell.cwd).to_vec() };
    shell.printed(&argv[0], &[&path[..], b"\n"].concat())
}

pub(super) fn pushd(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut arguments: Vec<&Vec<u8>> = argv[1..].iter().collect();
    let stays = arguments.first().is_some_and(|a| a.as_slice() == b"-n");
    if stays {
        arguments.remove(0);
    }
    let here = shell.get(b"PWD").unwrap_or_default().to_vec();
    match arguments.first() {
        None => {
            let Some(top) = shell.directories.last().cloned() else {
                shell.complain_as(&argv[0], "no other directory");
                return Ok(1);
            };
            if !shell.enter(&argv[0], &top, false) {
                return Ok(1);
            }
            let stack = Arc::make_mut(&mut shell.directories);
            stack.pop();
            stack.push(here);
        }
        Some(text) if matches!(text.first(), Some(b'+' | b'-')) && number::<usize>(&text[1..]).is_some() => {
            let count: usize = number(&text[1..]).unwrap_or(0);
            let mut all = vec![here];
            all.extend(shell.directories.iter().rev().cloned());
            if count >= all.len() {
                shell.complain_about(&argv[0], text, "directory stack index out of range");
                return Ok(1);
            }
            let at = if text[0] == b'+' { count } else { all.len() - 1 - count };
            all.rotate_left(at);
            let top = all.remove(0);
            if !shell.enter(&argv[0], &top, false) {
                return Ok(1);
            }
            all.reverse();
            shell.directories = Arc::new(all);
        }
        Some(path) => {
            if stays {
                Arc::make_mut(&mut shell.directories).push((*path).clone());
            } else {
                let path = if path.as_slice() == b"-" {
                    shell.get(b"OLDPWD").unwrap_or_default().to_vec()
                } else {
                    (*path).clone()
                };
                if !shell.enter(&argv[0], &path, false) {
                    return Ok(1);
                }
                Arc::make_mut(&mut shell.directories).push(here);
            }
        }
    }
    shell.print_stack(&argv[0])
}

pub(super) fn popd(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut at = 0;
    for text in &argv[1..] {
        if matches!(text.first(), Some(b'+' | b'-'))
            && let Some(count) = number::<usize>(&text[1..])
        {
            let most = shell.directories.len();
            if count > most {
                shell.complain_about(&argv[0], text, "directory stack index out of range");
                return Ok(1);
            }
            at = if text[0] == b'+' { count } else { most - count };
        }
    }
    if shell.directories.is_empty() {
        shell.complain_as(&argv[0], "directory stack empty");
        return Ok(1);
    }
    if at > 0 {
        let length = shell.directories.len();
        Arc::make_mut(&mut shell.directories).remove(length - at);
    } else {
        let top = shell.directories.last().cloned().unwrap_or_default();
        if !shell.enter(&argv[0], &top, false) {
            return Ok(1);
        }
        Arc::make_mut(&mut shell.directories).pop();
    }
    shell.print_stack(&argv[0])
}

pub(super) fn dirs(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let letters: Vec<u8> = argv[1..].iter().flat_map(|a| a.iter().copied()).collect();
    if letters.contains(&b'c') {
        shell.directories = Arc::default();
        return Ok(0);
    }
    let mut all = vec![shell.get(b"PWD").unwrap_or_default().to_vec()];
    all.extend(shell.directories.iter().rev().cloned());
    if !letters.contains(&b'l') {
        all = all.iter().map(|d| shell.shortened(d)).collect();
    }
    let mut out = Vec::new();
    if letters.contains(&b'v') {
        for (n, name) in all.iter().enumerate() {
            out.extend_from_slice(format!("{n:2}  ").as_bytes());
            out.extend_from_slice(name);
            out.push(b'\n');
        }
    } else {
        let separator: &[u8] = if letters.contains(&b'p') { b"\n" } else { b" " };
        out = all.join(separator);
        out.push(b'\n');
    }
    shell.printed(&argv[0], &out)
}

/// Makes named pipes.
pub(super) fn mkfifo(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut mode = 0o666 & !shell.umask;
    let (mut names, mut words) = (Vec::new(), argv[1..].iter());
    while let Some(word) = words.next() {
        let given = match word.as_slice() {
            b"--" => {
                names.extend(words.by_ref());
                break;
            }
            b"-m" => words.next().map(Vec::as_slice).unwrap_or_default(),
            long if long.starts_with(b"--mode=") => &long[b"--mode=".len()..],
            short if short.starts_with(b"-m") => &short[2..],
            option if option.starts_with(b"-") && option.len() > 1 => {
                let shown = [&b"mkfifo: invalid option -- '"[..], &option[1..2], b"'\n"].concat();
                shell.print_error(&shown);
                shell.print_error(b"Try 'mkfifo --help' for more information.\n");
                return Ok(1);
            }
            _ => {
                names.push(word);
                continue;
            }
        };
        let octal = std::str::from_utf8(given).ok().and_then(|text| u32::from_str_radix(text, 8).ok());
        let Some(octal) = octal.filter(|mode| *mode <= 0o777) else {
            shell.print_error(b"mkfifo: invalid mode\n");
            return Ok(1);
        };
        mode = octal;
    }
    if names.is_empty() {
        shell.print_error(b"mkfifo: missing operand\nTry 'mkfifo --help' for more information.\n");
        return Ok(1);
    }
    let mut status = 0;
    for name in names {
        if let Err(errno) = shell.world.tree.make_pipe(&shell.cwd, name, mode) {
            let why = message(errno);
            let shown = [b"mkfifo: cannot create fifo '", &name[..], b"': ", why.as_bytes(), b"\n"];
            shell.print_error(&shown.concat());
            status = 1;
        }
    }
    Ok(status)
}
