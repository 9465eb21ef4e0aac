//! What a name means: `type`, `command`, `which`, `hash`, `alias`, `compgen`.

use super::{Done, escape};
use crate::shell::{Expanded, Meaning, Shell};
use std::sync::Arc;

/// Words that the grammar knows.
const KEYWORDS: [&str; 22] = [
    "!", "[[", "]]", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if",
    "in", "select", "then", "time", "until", "while", "{", "}",
];

fn is_keyword(name: &[u8]) -> bool {
    KEYWORDS.iter().any(|k| k.as_bytes() == name)
}

pub(super) fn type_(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut flags = Vec::new();
    let mut at = 1;
    while let Some([b'-', letters @ ..]) = argv.get(at).map(Vec::as_slice) {
        at += 1;
        if letters == b"-" {
            break;
        }
        flags.extend_from_slice(letters);
    }
    let has = |l: u8| flags.contains(&l);
    let mut out = Vec::new();
    let mut status = 0;
    for name in &argv[at.min(argv.len())..] {
        let meaning =
            if has(b'P') || has(b'p') && !has(b'a') { None } else { shell.meaning(name, !has(b'f')) };
        let keyword = is_keyword(name) && !has(b'P') && !has(b'p');
        if has(b'P') || has(b'p') {
            let own = has(b'p')
                && (keyword
                    || matches!(shell.meaning(name, true), Some(Meaning::Builtin | Meaning::Function)));
            match shell.on_path(name) {
                Some(Meaning::Program(path) | Meaning::Script(path)) if !own => {
                    out.extend([&path[..], b"\n"].concat());
                }
                _ if own => {}
                _ => status = 1,
            }
            continue;
        }
        let mut found: Vec<Vec<u8>> = Vec::new();
        let short = has(b't');
        if let Some(value) = shell.aliases.get(name)
            && shell.shopt("expand_aliases")
        {
            found.push(if short {
                b"alias".to_vec()
            } else {
                [&name[..], b" is aliased to `", value, b"'"].concat()
            });
        }
        if keyword {
            found.push(if short {
                b"keyword".to_vec()
            } else {
                [&name[..], b" is a shell keyword"].concat()
            });
        }
        if let Some(Meaning::Function) = &meaning {
            found.push(if short {
                b"function".to_vec()
            } else {
                let text = crate::shell::function_text(&shell.functions[name].function);
                [&name[..], b" is a function\n", &text].concat()
            });
        }
        let is_builtin = shell.meaning(name, false) == Some(Meaning::Builtin);
        if is_builtin && (found.is_empty() || has(b'a')) {
            found.push(if short {
                b"builtin".to_vec()
            } else {
                [&name[..], b" is a shell builtin"].concat()
            });
        }
        if (found.is_empty() || has(b'a'))
            && let Some(Meaning::Program(path) | Meaning::Script(path)) = shell.on_path(name)
        {
            let hashed = shell.hashed.contains_key(name);
            found.push(if short {
                b"file".to_vec()
            } else if hashed {
                [&name[..], b" is hashed (", &path, b")"].concat()
            } else {
                [&name[..], b" is ", &path].concat()
            });
        }
        if found.is_empty() {
            status = 1;
            if !short {
                shell.complain_about(&argv[0], name, "not found");
            }
            continue;
        }
        if !has(b'a') {
            found.truncate(1);
        }
        for text in found {
            out.extend(text);
            out.push(b'\n');
        }
    }
    let printed = shell.printed(&argv[0], &out)?;
    Ok(printed.max(status))
}

pub(super) fn command(shell: &mut Shell, words: &[Expanded<'_>]) -> Done {
    let mut at = 1;
    let mut shows = 0;
    while let Some(Expanded::Field(field)) = words.get(at) {
        match field.as_slice() {
            b"-v" => shows = 1,
            b"-V" => shows = 2,
            b"-p" => {}
            b"--" => {
                at += 1;
                break;
            }
            _ => break,
        }
        at += 1;
    }
    let rest = words[at..].to_vec();
    if shows == 0 {
        let Some(Expanded::Field(name)) = rest.first().cloned() else { return Ok(0) };
        shell.invoke(&name, rest, false)?;
        return Ok(shell.status);
    }
    let names = shell.fields_of(rest, 0)?;
    if shows == 2 {
        let mut argv = vec![b"type".to_vec()];
        argv.extend(names);
        // `command -V` complains under its own name.
        argv[0] = b"command".to_vec();
        return type_(shell, &argv);
    }
    let mut out = Vec::new();
    let mut status = if names.is_empty() { 0 } else { 1 };
    for name in names {
        let line = if is_keyword(&name) {
            name.clone()
        } else if let Some(value) = shell.aliases.get(&name).filter(|_| shell.shopt("expand_aliases")) {
            [b"alias ", &name[..], b"=", &escape::single_quoted(value)].concat()
        } else {
            match shell.meaning(&name, true) {
                Some(Meaning::Function | Meaning::Builtin) => name.clone(),
                Some(Meaning::Program(path) | Meaning::Script(path)) => path,
                None => continue,
            }
        };
        status = 0;
        out.extend(line);
        out.push(b'\n');
    }
    let printed = shell.printed(b"command", &out)?;
    Ok(printed.max(status))
}

pub(super) fn builtin(shell: &mut Shell, words: &[Expanded<'_>]) -> Done {
    let Some(Expanded::Field(name)) = words.get(1).cloned() else { return Ok(0) };
    if super::find(&name).is_none() || super::stands_for_program(&name) {
        shell.complain_about(b"builtin", &name, "not a shell builtin");
        return Ok(1);
    }
    shell.invoke(&name, words[1..].to_vec(), false)?;
    Ok(shell.status)
}

pub(super) fn which(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let all = argv[1..].iter().any(|a| a == b"-a");
    let mut out = Vec::new();
    let mut status = 0;
    for name in argv[1..].iter().filter(|a| !a.starts_with(b"-")) {
        // The shell's own commands that are programs elsewhere have a path too.
        let found = match shell.on_path(name) {
            Some(Meaning::Program(path) | Meaning::Script(path)) => Some(path),
            _ => None,
        };
        match found {
            Some(path) => {
                out.extend([&path[..], b"\n"].concat());
                if all && let Some(base) = path.strip_prefix(b"/usr/bin/") {
                    out.extend([b"/bin/", base, b"\n"].concat());
                }
            }
            None => status = 1,
        }
    }
    let printed = shell.printed(&argv[0], &out)?;
    Ok(printed.max(status))
}

pub(super) fn hash(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut status = 0;
    for name in &argv[1..] {
        match name.as_slice() {
            b"-r" => shell.hashed = Arc::default(),
            [b'-', ..] => {}
            name => {
                if super::find(name).is_some() && !super::stands_for_program(name) {
                    continue;
                }
                if shell.on_path(name).is_none() {
                    shell.complain_about(&argv[0], name, "not found");
                    status = 1;
                } else {
                    Arc::make_mut(&mut shell.hashed).insert(name.to_vec(), 0);
                }
            }
        }
    }
    Ok(status)
}

pub(super) fn alias(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut status = 0;
    let mut out = Vec::new();
    let shown = |name: &[u8], value: &[u8]| {
        [b"alias ", name, b"=", &escape::single_quoted(value)[..], b"\n"].concat()
    };
    if argv[1..].iter().all(|a| a.starts_with(b"-")) {
        for (name, value) in shell.aliases.iter() {
            out.extend(shown(name, value));
        }
    }
    for word in argv[1..].iter().filter(|a| !a.starts_with(b"-")) {
        match word.iter().position(|b| *b == b'=') {
            Some(at) if at > 0 => {
                Arc::make_mut(&mut shell.aliases).insert(word[..at].to_vec(), word[at + 1..].to_vec());
            }
            _ => match shell.aliases.get(word) {
                Some(value) => out.extend(shown(word, value)),
                None => {
                    shell.complain_about(&argv[0], word, "not found");
                    status = 1;
                }
            },
        }
    }
    let printed = shell.printed(&argv[0], &out)?;
    Ok(printed.max(status))
}

pub(super) fn unalias(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut status = 0;
    for name in &argv[1..] {
        if name == b"-a" {
            shell.aliases = Arc::default();
        } else if Arc::make_mut(&mut shell.aliases).remove(name).is_none() {
            shell.complain_about(&argv[0], name, "not found");
            status = 1;
        }
    }
    Ok(status)
}

pub(super) fn compgen(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let (mut letters, mut prefix, mut words) = (Vec::new(), Vec::new(), argv[1..].iter());
    let mut is_list = false;
    while let Some(word) = words.next() {
        match word.as_slice() {
            b"-W" => {
                is_list = true;
                let list = words.next().cloned().unwrap_or_default();
                let list = shell.expand_text(&list)?;
                names.extend(
                    list.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).map(<[u8]>::to_vec),
                );
            }
            b"-A" => letters.push(match words.next().map(Vec::as_slice) {
                Some(b"alias") => b'a',
                Some(b"builtin") => b'b',
                Some(b"command") => b'c',
                Some(b"directory") => b'd',
                Some(b"export" | b"variable") => b'v',
                Some(b"file") => b'f',
                Some(b"keyword") => b'k',
                _ => b'F',
            }),
            b"-P" | b"-S" | b"-X" | b"-F" | b"-C" | b"-G" | b"-o" => drop(words.next()),
            [b'-', more @ ..] if !more.is_empty() => letters.extend_from_slice(more),
            _ => prefix = word.clone(),
        }
    }
    for letter in letters {
        match letter {
            b'a' => names.extend(shell.aliases.keys().cloned()),
            b'b' => names.extend(super::names().map(|n| n.as_bytes().to_vec())),
            b'k' => names.extend(KEYWORDS.iter().map(|k| k.as_bytes().to_vec())),
            b'v' => names.extend(shell.variables.names()),
            b'c' => {
                names.extend(super::names().map(|n| n.as_bytes().to_vec()));
                names.extend(shell.world.programs.names());
            }
            b'f' | b'd' => names.extend(shell.glob(&[&prefix[..], b"*"].concat())?),
            b'F' => names.extend(shell.functions.keys().cloned()),
            _ => {}
        }
    }
    names.retain(|n| n.starts_with(&prefix));
    if !is_list {
        names.sort();
    }
    let mut out = names.join(&b'\n');
    if names.is_empty() {
        return Ok(1);
    }
    out.push(b'\n');
    shell.printed(&argv[0], &out)
}

pub(super) fn help(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let text = "GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu): an interpreter of the sandbox\n";
    shell.printed(&argv[0], text.as_bytes())
}
