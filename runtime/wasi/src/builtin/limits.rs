//! `umask`, `ulimit`, `times`.

use super::Done;
use crate::shell::Shell;

pub(super) fn umask(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut symbolic = false;
    for argument in &argv[1..] {
        match argument.as_slice() {
            b"-S" => symbolic = true,
            b"-p" => {}
            text if text.first().is_some_and(u8::is_ascii_digit) => {
                let parsed = std::str::from_utf8(text).ok().and_then(|s| u32::from_str_radix(s, 8).ok());
                match parsed.filter(|mask| *mask <= 0o777) {
                    Some(mask) => {
                        shell.umask = mask;
                        return Ok(0);
                    }
                    None => {
                        shell.complain_about(&argv[0], text, "octal number out of range");
                        return Ok(1);
                    }
                }
            }
            text => match symbolic_mask(shell.umask, text) {
                Some(mask) => {
                    shell.umask = mask;
                    return Ok(0);
                }
                None => {
                    let character = [b"`", &text[..1], b"'"].concat();
                    shell.complain_about(&argv[0], &character, "invalid symbolic mode operator");
                    return Ok(1);
                }
            },
        }
    }
    let text = if symbolic {
        let letters = |shift: u32| {
            let bits = !shell.umask >> shift & 7;
            [(4, 'r'), (2, 'w'), (1, 'x')]
                .iter()
                .filter(|(b, _)| bits & b != 0)
                .map(|(_, l)| *l)
                .collect::<String>()
        };
        format!("u={},g={},o={}\n", letters(6), letters(3), letters(0))
    } else {
        format!("{:04o}\n", shell.umask)
    };
    shell.printed(&argv[0], text.as_bytes())
}

/// The mask after `u=rwx,go-w`.
fn symbolic_mask(mask: u32, text: &[u8]) -> Option<u32> {
    let mut allowed = !mask & 0o777;
    for clause in text.split(|b| *b == b',') {
        let at = clause.iter().position(|b| b"+-=".contains(b))?;
        let mut who = 0;
        for letter in &clause[..at] {
            who |= match letter {
                b'u' => 0o700,
                b'g' => 0o070,
                b'o' => 0o007,
                b'a' => 0o777,
                _ => return None,
            };
        }
        if at == 0 {
            who = 0o777;
        }
        let mut bits = 0;
        for letter in &clause[at + 1..] {
            bits |= match letter {
                b'r' => 0o444,
                b'w' => 0o222,
                b'x' | b'X' => 0o111,
                _ => return None,
            };
        }
        match clause[at] {
            b'+' => allowed |= bits & who,
            b'-' => allowed &= !(bits & who),
            _ => allowed = allowed & !who | bits & who,
        }
    }
    Some(!allowed & 0o777)
}

pub(super) fn ulimit(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let letter = argv.get(1).filter(|a| a.starts_with(b"-")).and_then(|a| a.last().copied()).unwrap_or(b'f');
    if let Some(wanted) = argv[1..].iter().find(|a| !a.starts_with(b"-")) {
        let (what, most) = match letter {
            b'n' => ("open files", 1024),
            b'c' => ("core file size", 0),
            _ => ("limit", u64::MAX),
        };
        let wanted = super::number(wanted).unwrap_or(if wanted == b"unlimited" { u64::MAX } else { 0 });
        if wanted > most {
            let why = format!("{what}: cannot modify limit: Operation not permitted");
            shell.complain_as(&argv[0], &why);
            return Ok(1);
        }
        // A lower limit than the policy's is not kept; it harms nobody.
        return Ok(0);
    }
    let text = match letter {
        b'n' => "1024\n",
        b'c' => "0\n",
        b's' => "8192\n",
        _ => "unlimited\n",
    };
    shell.printed(&argv[0], text.as_bytes())
}

pub(super) fn times(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let used = shell.budget.cpu().as_secs_f64();
    let shown = |seconds: f64| format!("{}m{:.3}s", (seconds / 60.0) as u64, seconds % 60.0);
    let text = format!("{0} {0}\n{1} {0}\n", shown(0.0), shown(used));
    shell.printed(&argv[0], text.as_bytes())
}
