//! `getopts`.

use super::{Done, number};
use crate::shell::Shell;

pub(super) fn getopts(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut words = &argv[1..];
    if words.first().is_some_and(|w| w == b"--") {
        words = &words[1..];
    }
    let [letters, name, rest @ ..] = words else {
        shell.print_error(b"getopts: usage: getopts optstring name [arg ...]\n");
        return Ok(2);
    };
    let arguments: Vec<Vec<u8>> = if rest.is_empty() { shell.arguments.to_vec() } else { rest.to_vec() };
    let mut index: usize = shell.get(b"OPTIND").and_then(number).unwrap_or(1).max(1);
    let quiet = letters.starts_with(b":") || shell.get(b"OPTERR") == Some(b"0");
    let silent = letters.starts_with(b":");
    let end = |shell: &mut Shell, index: usize| -> Done {
        shell.getopts_at = 0;
        shell.set_own(b"OPTIND", index.to_string());
        shell.variables.remove(b"OPTARG");
        shell.set(name, b"?".to_vec(), false)?;
        Ok(1)
    };
    if shell.getopts_at == 0 {
        match arguments.get(index - 1).map(Vec::as_slice) {
            Some(b"--") => return end(shell, index + 1),
            Some([b'-', _, ..]) => shell.getopts_at = 1,
            _ => return end(shell, index),
        }
    }
    let Some(word) = arguments.get(index - 1).cloned() else { return end(shell, index) };
    let Some(&letter) = word.get(shell.getopts_at) else {
        shell.getopts_at = 0;
        return end(shell, index);
    };
    shell.getopts_at += 1;
    let is_last = shell.getopts_at >= word.len();
    let place = letters.iter().position(|l| *l == letter).filter(|_| letter != b':');
    let origin = shell.name.to_vec();
    let result = match place {
        None => {
            if is_last {
                index += 1;
                shell.getopts_at = 0;
            }
            if silent {
                shell.set_own(b"OPTARG", vec![letter]);
            } else {
                shell.variables.remove(b"OPTARG");
                if !quiet {
                    shell.print_error(&[&origin[..], b": illegal option -- ", &[letter], b"\n"].concat());
                }
            }
            b'?'
        }
        Some(at) if letters.get(at + 1) == Some(&b':') => {
            let value = if !is_last {
                Some(word[shell.getopts_at..].to_vec())
            } else {
                index += 1;
                arguments.get(index - 1).cloned()
            };
            shell.getopts_at = 0;
            match value {
                Some(value) => {
                    index += 1;
                    shell.set_own(b"OPTARG", value);
                    letter
                }
                None if silent => {
                    shell.set_own(b"OPTARG", vec![letter]);
                    b':'
                }
                None => {
                    shell.variables.remove(b"OPTARG");
                    if !quiet {
                        let message =
                            [&origin[..], b": option requires an argument -- ", &[letter], b"\n"].concat();
                        shell.print_error(&message);
                    }
                    b'?'
                }
            }
        }
        Some(_) => {
            if is_last {
                index += 1;
                shell.getopts_at = 0;
            }
            shell.variables.remove(b"OPTARG");
            letter
        }
    };
    shell.set_own(b"OPTIND", index.to_string());
    shell.set(name, vec![result], false)?;
    Ok(0)
}
