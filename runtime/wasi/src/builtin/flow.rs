//! Where a script goes on: `exit`, `return`, `break`, `eval`, `source` and the like.

use super::{Done, number};
use crate::shell::{Leave, Shell};
use std::sync::Arc;

pub(super) fn yes(_: &mut Shell, _: &[Vec<u8>]) -> Done {
    Ok(0)
}

pub(super) fn no(_: &mut Shell, _: &[Vec<u8>]) -> Done {
    Ok(1)
}

pub(super) fn exit(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut arguments = argv[1..].iter().filter(|a| a.as_slice() != b"--");
    if let Some(text) = arguments.next() {
        match number::<i64>(text) {
            Some(status) => shell.status = (status & 0xFF) as i32,
            None => {
                shell.complain_about(&argv[0], text, "numeric argument required");
                shell.status = 2;
                return Err(Leave::Exit);
            }
        }
        if arguments.next().is_some() {
            shell.complain_as(&argv[0], "too many arguments");
            return Ok(1);
        }
    } else {
        shell.status = shell.before;
    }
    Err(Leave::Exit)
}

pub(super) fn return_(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut status = shell.before;
    if let Some(text) = argv[1..].iter().find(|a| a.as_slice() != b"--") {
        match number::<i64>(text) {
            Some(value) => status = (value & 0xFF) as i32,
            None => {
                shell.complain_about(&argv[0], text, "numeric argument required");
                status = 2;
            }
        }
    }
    if !shell.in_function() && shell.sourced == 0 {
        shell.complain_as(&argv[0], "can only `return' from a function or sourced script");
        return Ok(2);
    }
    shell.status = status;
    Err(Leave::Return)
}

fn loops(shell: &mut Shell, argv: &[Vec<u8>], leave: fn(u32) -> Leave) -> Done {
    if shell.loops == 0 {
        let name = String::from_utf8_lossy(&argv[0]).into_owned();
        shell.complain(&format!("{name}: only meaningful in a `for', `while', or `until' loop"));
        return Ok(0);
    }
    let count = match argv.get(1) {
        None => 1,
        Some(text) => match number::<i64>(text) {
            Some(n) if n > 0 => u32::try_from(n).unwrap_or(u32::MAX).min(shell.loops),
            Some(_) => {
                shell.complain_about(&argv[0], text, "loop count out of range");
                shell.status = 1;
                return Err(Leave::Break(shell.loops));
            }
            None => {
                shell.complain_about(&argv[0], text, "numeric argument required");
                shell.status = 128;
                return Err(Leave::Exit);
            }
        },
    };
    shell.status = 0;
    Err(leave(count))
}

pub(super) fn break_loop(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    loops(shell, argv, Leave::Break)
}

pub(super) fn continue_loop(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    loops(shell, argv, Leave::Continue)
}

pub(super) fn shift(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let count = match argv.get(1) {
        None => 1,
        Some(text) => match number::<i64>(text) {
            Some(n) => n,
            None => {
                shell.complain_about(&argv[0], text, "numeric argument required");
                return Ok(1);
            }
        },
    };
    if count < 0 {
        shell.complain_about(&argv[0], &argv[1].clone(), "shift count out of range");
        return Ok(1);
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > shell.arguments.len() {
        if shell.shopt("shift_verbose") {
            shell.complain_about(&argv[0], &argv[1].clone(), "shift count out of range");
        }
        return Ok(1);
    }
    Arc::make_mut(&mut shell.arguments).drain(..count);
    Ok(0)
}

pub(super) fn eval(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let text = match argv.get(1).map(Vec::as_slice) {
        Some(b"--") => argv[2..].join(&b' '),
        _ => argv[1..].join(&b' '),
    };
    let line = shell.line;
    shell.status = if text.trim_ascii().is_empty() { 0 } else { shell.before };
    let done = shell.script(&text, line, " eval:");
    shell.line = line;
    done?;
    Ok(shell.status)
}

pub(super) fn source(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut arguments = &argv[1..];
    if arguments.first().is_some_and(|a| a == b"--") {
        arguments = &arguments[1..];
    }
    let Some((path, rest)) = arguments.split_first() else {
        shell.complain_as(&argv[0], "filename argument required");
        let usage = [&argv[0][..], b": usage: ", &argv[0], b" filename [arguments]\n"].concat();
        shell.print_error(&usage);
        return Ok(2);
    };
    let mut found = path.clone();
    if !path.contains(&b'/') {
        let paths = shell.get(b"PATH").unwrap_or_default().to_vec();
        for directory in paths.split(|b| *b == b':') {
            let whole = [directory, b"/", path].concat();
            if shell.world.tree.stat(&shell.cwd, &whole, true).is_ok_and(|s| s.kind == crate::fs::Kind::File)
            {
                found = whole;
                break;
            }
        }
    }
    let handle = match shell.open(&found, crate::fs::Open::read()) {
        Ok(handle) if handle.stat().kind != crate::fs::Kind::Dir => handle,
        Ok(_) => {
            shell.complain_about(&argv[0], path, "is a directory");
            return Ok(1);
        }
        Err(errno) => {
            shell.complain_bytes(&[&path[..], b": ", crate::shell::message(errno).as_bytes()].concat());
            return Ok(1);
        }
    };
    let text = shell.read_all(&handle)?;
    drop(handle);
    let line = shell.line;
    let saved = (!rest.is_empty()).then(|| std::mem::replace(&mut shell.arguments, Arc::new(rest.to_vec())));
    let origin = std::mem::replace(&mut shell.origin, Arc::new(path.clone()));
    shell.sourced += 1;
    let call = crate::shell::Call { name: path.clone(), line, is_source: true };
    Arc::make_mut(&mut shell.calls).push(call);
    shell.status = 0;
    let done = shell.script(&text, 1, "");
    Arc::make_mut(&mut shell.calls).pop();
    shell.sourced -= 1;
    shell.origin = origin;
    shell.line = line;
    if let Some(saved) = saved {
        shell.arguments = saved;
    }
    match done {
        Ok(()) | Err(Leave::Return) => Ok(shell.status),
        Err(leave) => Err(leave),
    }
}

pub(super) fn calculate(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    if argv.len() < 2 {
        shell.complain_as(&argv[0], "expression expected");
        return Ok(1);
    }
    let mut value = 0;
    for text in &argv[1..] {
        value = match shell.evaluate(text, &argv[0]) {
            Ok(value) => value,
            Err(Leave::Discard) => return Ok(1),
            Err(leave) => return Err(leave),
        };
    }
    Ok(i32::from(value == 0))
}

pub(super) fn caller(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let depth: usize = argv.get(1).and_then(|a| number(a)).unwrap_or(0);
    let calls = shell.calls.clone();
    let Some(call) = calls.iter().rev().nth(depth) else { return Ok(1) };
    let file = if shell.is_command { b"NULL".to_vec() } else { shell.name.to_vec() };
    let mut line = call.line.to_string().into_bytes();
    if argv.len() > 1 {
        let name = calls.iter().rev().nth(depth + 1).map_or_else(|| b"main".to_vec(), |c| c.name.clone());
        line = [&line[..], b" ", &name].concat();
    }
    line = [&line[..], b" ", &file, b"\n"].concat();
    shell.printed(&argv[0], &line)
}
