//! Programs that run another: `bash`, `env`, `timeout`, `nice`, `nohup`, `time`; and `sleep`, which waits as they do.

use super::Done;
use crate::engine::budget::Stop;
use crate::shell::{Shell, Variable, message};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Status of a command that was ended because its time was over.
const TIMED_OUT: i32 = 124;

pub(super) fn bash(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut letters: Vec<(u8, bool)> = Vec::new();
    let mut options: Vec<(Vec<u8>, bool)> = Vec::new();
    let mut shopts: Vec<(Vec<u8>, bool)> = Vec::new();
    let (mut takes_command, mut from_input) = (false, false);
    let mut at = 1;
    while let Some(word) = argv.get(at) {
        match word.as_slice() {
            b"--" | b"-" => {
                at += 1;
                break;
            }
            b"--version" => {
                let text = b"GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)\n";
                return shell.printed(&argv[0], text);
            }
            b"--norc" | b"--noprofile" | b"--posix" | b"--login" | b"--noediting" => at += 1,
            b"--rcfile" | b"--init-file" => at += 2,
            [b'-', b'-', ..] => {
                let shown = [&argv[0][..], b": ", word, b": invalid option\n"].concat();
                shell.print_error(&shown);
                return Ok(2);
            }
            [sign @ (b'-' | b'+'), rest @ ..] if !rest.is_empty() => {
                at += 1;
                for letter in rest {
                    match letter {
                        b'c' => takes_command = true,
                        b's' => from_input = true,
                        b'l' | b'i' | b'r' | b'D' => {}
                        b'o' | b'O' => {
                            let Some(name) = argv.get(at) else { break };
                            let target = if *letter == b'o' { &mut options } else { &mut shopts };
                            target.push((name.clone(), *sign == b'-'));
                            at += 1;
                        }
                        letter => letters.push((*letter, *sign == b'-')),
                    }
                }
            }
            _ => break,
        }
    }
    let rest = argv.get(at..).unwrap_or_default();
    let own_name = crate::shell::split_path(&argv[0]).1.to_vec();
    let prepare = move |child: &mut Shell| {
        for (letter, on) in letters {
            child.set_letter(letter, on);
        }
        for (name, on) in options {
            child.set_option(&name, on);
        }
        for (name, on) in shopts {
            let known = super::options::SHOPT.iter().find(|(k, _)| k.as_bytes() == name.as_slice());
            if let Some((known, _)) = known {
                let set = &mut Arc::make_mut(&mut child.options).shopt;
                if on {
                    set.insert(known)
                } else {
                    set.remove(known)
                };
            }
        }
    };
    if takes_command {
        let Some((text, rest)) = rest.split_first() else {
            let shown = [&own_name[..], b": -c: option requires an argument\n"].concat();
            shell.print_error(&shown);
            return Ok(2);
        };
        let (name, rest) = match rest.split_first() {
            Some((name, rest)) => (name.clone(), rest.to_vec()),
            None => (own_name.clone(), Vec::new()),
        };
        let text = text.clone();
        return shell.child(&name, rest, &name, true, |child| {
            prepare(child);
            child.script(&text, 1, " -c:")
        });
    }
    match rest.split_first() {
        Some((path, rest)) if !from_input => {
            let mut found = path.clone();
            if !path.contains(&b'/')
                && shell.world.tree.stat(&shell.cwd, path, true).is_err()
                && let Some(crate::shell::Meaning::Script(on_path)) = shell.on_path(path)
            {
                found = on_path;
            }
            let handle = match shell.open(&found, crate::fs::Open::read()) {
                Ok(handle) if handle.stat().kind == crate::fs::Kind::Dir => {
                    shell.print_error(&[&found[..], b": ", &found, b": Is a directory\n"].concat());
                    return Ok(126);
                }
                Ok(handle) => handle,
                Err(errno) => {
                    let why = message(errno);
                    shell.print_error(&[&own_name[..], b": ", path, b": ", why.as_bytes(), b"\n"].concat());
                    return Ok(if errno == crate::shell::Errno::NOENT { 127 } else { 126 });
                }
            };
            let text = shell.read_all(&handle)?;
            drop(handle);
            if text.split(|b| *b == b'\n').next().is_some_and(|line| line.contains(&0)) {
                shell.print_error(&[path, &b": "[..], path, b": cannot execute binary file\n"].concat());
                return Ok(126);
            }
            shell.child(path, rest.to_vec(), path, false, |child| {
                prepare(child);
                child.script(&text, 1, "")
            })
        }
        _ => {
            let Some(input) = shell.descriptor(0) else { return Ok(0) };
            let text = shell.read_all(&input)?;
            shell.child(&own_name, rest.to_vec(), &own_name, false, |child| {
                prepare(child);
                child.script(&text, 1, "")
            })
        }
    }
}

/// Runs a command as `execvp` does: programs only.
pub(super) fn execute(shell: &mut Shell, who: &[u8], argv: &[Vec<u8>]) -> Done {
    let name = argv[0].clone();
    if shell.on_path(&name).is_none() {
        let (why, status) = match shell.world.tree.stat(&shell.cwd, &name, true) {
            Ok(_) if name.contains(&b'/') => ("Permission denied", 126),
            _ => ("No such file or directory", 127),
        };
        let shown = [who, b": ", &quoted(who, &name)[..], b": ", why.as_bytes(), b"\n"].concat();
        shell.print_error(&shown);
        return Ok(status);
    }
    shell.run_program(&name, argv)?;
    Ok(shell.status)
}

/// A name in the typographic quotes of the GNU tools; `xargs` and `nohup` of a POSIX kind have none.
fn quoted(who: &[u8], name: &[u8]) -> Vec<u8> {
    if who == b"xargs" {
        return name.to_vec();
    }
    ["‘".as_bytes(), name, "’".as_bytes()].concat()
}

pub(super) fn env(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut sub = shell.fork();
    sub.signal = shell.signal.clone();
    let mut words: Vec<Vec<u8>> = argv[1..].to_vec();
    let mut separator = b'\n';
    while let Some(word) = words.first().cloned() {
        match word.as_slice() {
            b"-i" | b"-" | b"--ignore-environment" => clear(&mut sub),
            b"-0" | b"--null" => separator = 0,
            b"-u" | b"--unset" | b"-C" | b"--chdir" | b"-S" if words.len() > 1 => {
                let value = words.remove(1);
                if !option(&mut sub, &word, value, &mut words) {
                    return Ok(125);
                }
            }
            [b'-', letter @ (b'u' | b'C' | b'S'), value @ ..] if !value.is_empty() => {
                let (letter, value) = ([b'-', *letter], value.to_vec());
                if !option(&mut sub, &letter, value, &mut words) {
                    return Ok(125);
                }
            }
            b"--" => {
                words.remove(0);
                break;
            }
            [b'-', b'-', rest @ ..] if rest.starts_with(b"unset=") || rest.starts_with(b"chdir=") => {
                let letter: &[u8] = if rest.starts_with(b"unset") { b"-u" } else { b"-C" };
                let value = rest[6..].to_vec();
                if !option(&mut sub, letter, value, &mut words) {
                    return Ok(125);
                }
            }
            [b'-', letter, ..] => {
                let letter = char::from(*letter);
                let text =
                    format!("env: invalid option -- '{letter}'\nTry 'env --help' for more information.\n");
                shell.print_error(text.as_bytes());
                return Ok(125);
            }
            _ => break,
        }
        words.remove(0);
    }
    while let Some(at) = words.first().and_then(|w| w.iter().position(|b| *b == b'=')) {
        let word = words.remove(0);
        sub.variables.put(&word[..at], Variable { exported: true, ..Variable::text(&word[at + 1..]) });
    }
    if words.is_empty() {
        let mut out = Vec::new();
        for (name, value) in sub.environment() {
            out.extend([&name[..], b"=", &value, &[separator]].concat());
        }
        return shell.printed(&argv[0], &out);
    }
    let mut status = 127;
    let ended = sub.run_to_end(|sub| {
        status = execute(sub, b"env", &words)?;
        sub.status = status;
        Ok(())
    });
    drop(sub);
    shell.check()?;
    Ok(ended)
}

fn clear(shell: &mut Shell) {
    for (name, _) in shell.variables.environment() {
        shell.variables.entry(&name).exported = false;
    }
}

/// One option of `env` with its value; false when it failed.
fn option(shell: &mut Shell, letter: &[u8], value: Vec<u8>, words: &mut Vec<Vec<u8>>) -> bool {
    match letter {
        b"-u" | b"--unset" => {
            if shell.variables.get(&value).is_some() {
                shell.variables.entry(&value).exported = false;
            }
        }
        b"-C" | b"--chdir" => match shell.world.tree.enter(&shell.cwd, &value) {
            Ok(cwd) => {
                shell.cwd = Arc::new(cwd.clone());
                shell.set_own(b"PWD", cwd);
            }
            Err(errno) => {
                let text = format!(
                    "env: cannot change directory to ‘{}’: {}\n",
                    String::from_utf8_lossy(&value),
                    message(errno)
                );
                shell.print_error(text.as_bytes());
                return false;
            }
        },
        _ => {
            let parts: Vec<Vec<u8>> =
                value.split(u8::is_ascii_whitespace).filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect();
            words.splice(1..1, parts);
        }
    }
    true
}

/// A duration as `sleep` and `timeout` take it: a number and perhaps `s`, `m`, `h`, `d`.
fn duration(text: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(text).ok()?;
    let (digits, factor) = match text.as_bytes().last()? {
        b's' => (&text[..text.len() - 1], 1.0),
        b'm' => (&text[..text.len() - 1], 60.0),
        b'h' => (&text[..text.len() - 1], 3600.0),
        b'd' => (&text[..text.len() - 1], 86_400.0),
        _ => (text, 1.0),
    };
    if matches!(digits, "inf" | "infinity") {
        return Some(Duration::from_secs(u64::from(u32::MAX)));
    }
    let seconds = digits.parse::<f64>().ok().filter(|s| *s >= 0.0 && !s.is_nan())? * factor;
    Some(Duration::from_secs_f64(seconds.min(f64::from(u32::MAX))))
}

pub(super) fn sleep(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut total = Duration::ZERO;
    if argv.len() < 2 {
        shell.print_error(b"sleep: missing operand\nTry 'sleep --help' for more information.\n");
        return Ok(1);
    }
    for text in &argv[1..] {
        match duration(text) {
            Some(time) => total += time,
            None => {
                let text = String::from_utf8_lossy(text);
                let lines = format!(
                    "sleep: invalid time interval ‘{text}’\nTry 'sleep --help' for more information.\n"
                );
                shell.print_error(lines.as_bytes());
                return Ok(1);
            }
        }
    }
    let end = Instant::now() + total;
    loop {
        shell.check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(0);
        }
        // In pieces, so that a signal to this job alone is seen.
        let _ = shell.budget.sleep(left.min(Duration::from_millis(20)));
    }
}

pub(super) fn timeout(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let (mut preserves, mut signal) = (false, 15);
    let mut at = 1;
    while let Some(word) = argv.get(at) {
        match word.as_slice() {
            b"--preserve-status" => preserves = true,
            b"--foreground" | b"-v" | b"--verbose" => {}
            b"-s" | b"--signal" => {
                at += 1;
                signal = argv.get(at).and_then(|s| super::trap::signal(s)).unwrap_or(15);
            }
            b"-k" | b"--kill-after" => at += 1,
            b"--" => {
                at += 1;
                break;
            }
            [b'-', b'-', rest @ ..] if rest.starts_with(b"signal=") => {
                signal = super::trap::signal(&rest[7..]).unwrap_or(15);
            }
            [b'-', b'-', rest @ ..] if rest.starts_with(b"kill-after=") => {}
            [b'-', b's', rest @ ..] if !rest.is_empty() => signal = super::trap::signal(rest).unwrap_or(15),
            [b'-', b'k', rest @ ..] if !rest.is_empty() => {}
            [b'-', letter, ..] => {
                let letter = char::from(*letter);
                let lines = format!(
                    "timeout: invalid option -- '{letter}'\nTry 'timeout --help' for more information.\n"
                );
                shell.print_error(lines.as_bytes());
                return Ok(125);
            }
            _ => break,
        }
        at += 1;
    }
    let [time, command @ ..] = argv.get(at..).unwrap_or_default() else {
        shell.print_error(b"timeout: missing operand\nTry 'timeout --help' for more information.\n");
        return Ok(125);
    };
    let Some(time) = duration(time) else {
        let lines = format!(
            "timeout: invalid time interval ‘{}’\nTry 'timeout --help' for more information.\n",
            String::from_utf8_lossy(time)
        );
        shell.print_error(lines.as_bytes());
        return Ok(125);
    };
    if command.is_empty() {
        shell.print_error(b"timeout: missing operand\nTry 'timeout --help' for more information.\n");
        return Ok(125);
    }
    let mut sub = shell.fork();
    sub.signal = shell.signal.clone();
    if !time.is_zero() {
        sub.budget = shell.budget.child(Some(time));
        sub.around = sub.budget.clone();
    }
    let budget = sub.budget.clone();
    let command = command.to_vec();
    let status = sub.run_to_end(|sub| {
        sub.status = execute(sub, b"timeout", &command)?;
        Ok(())
    });
    drop(sub);
    shell.check()?;
    if budget.stopped() == Some(Stop::Time) {
        return Ok(if preserves || signal == 9 { 128 + signal } else { TIMED_OUT });
    }
    Ok(status)
}

pub(super) fn nice(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut at = 1;
    while let Some(word) = argv.get(at) {
        match word.as_slice() {
            b"-n" | b"--adjustment" => at += 2,
            [b'-', ..] => at += 1,
            _ => break,
        }
    }
    match argv.get(at..) {
        Some(command) if !command.is_empty() => execute(shell, b"nice", command),
        _ => shell.printed(&argv[0], b"0\n"),
    }
}

pub(super) fn nohup(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    if argv.len() < 2 {
        shell.print_error(b"nohup: missing operand\nTry 'nohup --help' for more information.\n");
        return Ok(125);
    }
    execute(shell, b"nohup", &argv[1..])
}

pub(super) fn setsid(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let at = 1 + argv[1..].iter().take_while(|a| a.starts_with(b"-")).count();
    match argv.get(at..) {
        Some(command) if !command.is_empty() => execute(shell, b"setsid", command),
        _ => Ok(1),
    }
}

pub(super) fn stdbuf(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut at = 1;
    while let Some(word) = argv.get(at) {
        match word.as_slice() {
            b"-i" | b"-o" | b"-e" => at += 2,
            [b'-', ..] => at += 1,
            _ => break,
        }
    }
    match argv.get(at..) {
        Some(command) if !command.is_empty() => execute(shell, b"stdbuf", command),
        _ => Ok(125),
    }
}

/// `flock`: nobody else is there whom a lock would keep out, so the command just runs.
pub(super) fn flock(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut at = 1;
    while let Some(word) = argv.get(at) {
        match word.as_slice() {
            b"-w" | b"--timeout" | b"-E" => at += 2,
            [b'-', ..] => at += 1,
            _ => break,
        }
    }
    let Some((lock, command)) = argv.get(at..).and_then(<[Vec<u8>]>::split_first) else {
        shell.print_error(b"flock: not enough arguments\n");
        return Ok(64);
    };
    if command.is_empty() {
        // A descriptor that is open already.
        return Ok(0);
    }
    let how = crate::fs::Open {
        read: true,
        create: true,
        mode: 0o666 & !shell.umask,
        ..crate::fs::Open::default()
    };
    if let Err(errno) = shell.open(lock, how) {
        let lock = String::from_utf8_lossy(lock);
        let text = format!("flock: cannot open lock file {lock}: {}\n", message(errno));
        shell.print_error(text.as_bytes());
        return Ok(66);
    }
    match command {
        [option, text, ..] if matches!(option.as_slice(), b"-c" | b"--command") => {
            bash(shell, &[b"sh".to_vec(), b"-c".to_vec(), text.clone()])
        }
        command => execute(shell, b"flock", command),
    }
}

/// `/usr/bin/time`; the word of bash's grammar does the same to a whole pipeline.
pub(super) fn time(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let at = 1 + argv[1..].iter().take_while(|a| a.starts_with(b"-")).count();
    let Some(command) = argv.get(at..).filter(|c| !c.is_empty()) else { return Ok(125) };
    let start = Instant::now();
    let status = execute(shell, b"time", command)?;
    let seconds = start.elapsed().as_secs_f64();
    let text = format!("real {seconds:.2}\nuser 0.00\nsys 0.00\n");
    shell.print_error(text.as_bytes());
    Ok(status)
}
