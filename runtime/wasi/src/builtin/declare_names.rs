//! `unset`.

use super::Done;
use crate::shell::{Shell, Value, is_name};
use std::sync::Arc;

pub(super) fn unset(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let (mut functions, mut variables, mut references) = (false, false, false);
    let mut at = 1;
    while let Some([b'-', letters @ ..]) = argv.get(at).map(Vec::as_slice) {
        at += 1;
        if letters == b"-" {
            break;
        }
        for letter in letters {
            match letter {
                b'f' => functions = true,
                b'v' => variables = true,
                b'n' => references = true,
                _ => {
                    shell.complain_about(&argv[0], &[b'-', *letter], "invalid option");
                    shell.print_error(b"unset: usage: unset [-f] [-v] [-n] [name ...]\n");
                    return Ok(2);
                }
            }
        }
    }
    let mut status = 0;
    for name in &argv[at.min(argv.len())..] {
        if functions {
            Arc::make_mut(&mut shell.functions).remove(name);
            continue;
        }
        if let Some(open) = name.iter().position(|b| *b == b'[')
            && name.ends_with(b"]")
            && is_name(&name[..open])
        {
            status |= element(shell, &argv[0], &name[..open], &name[open + 1..name.len() - 1])?;
            continue;
        }
        if !is_name(name) {
            if shell.functions.contains_key(name) {
                Arc::make_mut(&mut shell.functions).remove(name);
                continue;
            }
            // What is no name cannot be set; bash says nothing.
            continue;
        }
        let real = if references { name.clone() } else { shell.real_name(name) };
        match shell.variables.get(&real) {
            Some(variable) if variable.readonly => {
                shell.complain_about(&argv[0], &real, "cannot unset: readonly variable");
                status = 1;
            }
            Some(variable) => {
                let size = variable.size();
                let _ = shell.memory.change(-(size as i64));
                shell.variables.remove(&real);
            }
            None if !variables => {
                Arc::make_mut(&mut shell.functions).remove(name);
            }
            None => {}
        }
    }
    Ok(status)
}

fn element(shell: &mut Shell, who: &[u8], name: &[u8], index: &[u8]) -> Done {
    let name = shell.real_name(name);
    if shell.variables.get(&name).is_some_and(|v| v.readonly) {
        shell.complain_about(who, &name, "cannot unset: readonly variable");
        return Ok(1);
    }
    if matches!(index, b"@" | b"*") && !shell.is_map(&name) {
        shell.clear_array(&name)?;
        return Ok(0);
    }
    if shell.is_map(&name) {
        let index = shell.expand_text(index)?;
        if let Value::Map(map) = &mut shell.variables.entry(&name).value {
            map.remove(&index);
        }
        return Ok(0);
    }
    let at = shell.evaluate(index, b"")?;
    match &mut shell.variables.entry(&name).value {
        Value::Array(array) => {
            let at = if at < 0 { at + array.keys().last().map_or(0, |k| k + 1) } else { at };
            array.remove(&at);
        }
        value if at == 0 => *value = Value::Unset,
        _ => {}
    }
    Ok(0)
}
