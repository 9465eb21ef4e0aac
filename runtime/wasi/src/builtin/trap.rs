//! `trap`, and the names of signals.

use super::{Done, escape, number};
use crate::shell::Shell;
use std::sync::Arc;

/// Signals by number, from 1.
pub(super) const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The number of a signal's name or number.
pub(super) fn signal(text: &[u8]) -> Option<i32> {
    if let Some(number) = number::<i32>(text) {
        return (0..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix(b"SIG").unwrap_or(&upper);
    SIGNALS.iter().position(|s| s.as_bytes() == name).map(|at| at as i32 + 1)
}

/// The name under which a trap is kept.
fn trap_name(text: &[u8]) -> Option<Vec<u8>> {
    let upper = text.to_ascii_uppercase();
    match upper.as_slice() {
        b"EXIT" | b"0" => return Some(b"EXIT".to_vec()),
        b"ERR" | b"DEBUG" | b"RETURN" => return Some(upper),
        _ => {}
    }
    let number = signal(text)?;
    SIGNALS.get(usize::try_from(number).ok()?.checked_sub(1)?).map(|name| name.as_bytes().to_vec())
}

pub(super) fn trap(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut words = &argv[1..];
    match words.first().map(Vec::as_slice) {
        Some(b"-l") => return list(shell, &argv[0]),
        Some(b"-p") => return print(shell, &argv[0], &words[1..]),
        Some(b"--") => words = &words[1..],
        _ => {}
    }
    let Some((action, names)) = words.split_first() else { return print(shell, &argv[0], &[]) };
    let (action, names) = if names.is_empty() { (&b"-"[..], words) } else { (action.as_slice(), names) };
    let mut status = 0;
    for name in names {
        let Some(known) = trap_name(name) else {
            shell.complain_about(&argv[0], name, "invalid signal specification");
            status = 1;
            continue;
        };
        let traps = Arc::make_mut(&mut shell.traps);
        if action == b"-" {
            traps.remove(&known);
        } else {
            traps.insert(known, action.to_vec());
        }
    }
    Ok(status)
}

fn print(shell: &mut Shell, who: &[u8], names: &[Vec<u8>]) -> Done {
    let wanted: Vec<Vec<u8>> = names.iter().filter_map(|n| trap_name(n)).collect();
    let mut all: Vec<(i32, Vec<u8>, Vec<u8>)> = shell
        .traps
        .iter()
        .filter(|(name, _)| names.is_empty() || wanted.contains(name))
        .map(|(name, action)| {
            let order = match name.as_slice() {
                b"EXIT" => 0,
                b"DEBUG" => 65,
                b"ERR" => 66,
                b"RETURN" => 67,
                name => signal(name).unwrap_or(64),
            };
            (order, name.clone(), action.clone())
        })
        .collect();
    all.sort();
    let mut out = Vec::new();
    for (_, name, action) in all {
        let shown = if signal(&name).is_some() { [b"SIG", &name[..]].concat() } else { name };
        out.extend([b"trap -- ", &escape::single_quoted(&action)[..], b" ", &shown, b"\n"].concat());
    }
    shell.printed(who, &out)
}

/// All signals, as `kill -l` shows them.
pub(super) fn list(shell: &mut Shell, who: &[u8]) -> Done {
    let mut out = String::new();
    for (n, name) in SIGNALS.iter().enumerate() {
        let end = if n % 5 == 4 || n + 1 == SIGNALS.len() { "\n" } else { "\t" };
        out.push_str(&format!("{:2}) SIG{name}{end}", n + 1));
    }
    shell.printed(who, out.as_bytes())
}
