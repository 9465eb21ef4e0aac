//! `wait`, `jobs`, `kill`, `disown`.

use super::{Done, number, trap};
use crate::shell::{Job, Leave, Shell};

/// What a signal sent to a job is in `wait`'s words and in `$?`.
fn ended(status: i32) -> String {
    match status {
        0 => "Done".to_string(),
        129..=159 => {
            let name = match status - 128 {
                9 => "Killed",
                15 => "Terminated",
                2 => "Interrupt",
                1 => "Hangup",
                13 => "Broken pipe",
                11 => "Segmentation fault",
                6 => "Aborted",
                _ => "Terminated",
            };
            name.to_string()
        }
        status => format!("Exit {status}"),
    }
}

pub(super) fn wait(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut any = false;
    let mut variable = None;
    let mut at = 1;
    while let Some([b'-', letters @ ..]) = argv.get(at).map(Vec::as_slice) {
        at += 1;
        match letters {
            b"n" => any = true,
            b"f" => {}
            b"p" => {
                variable = argv.get(at).cloned();
                at += 1;
            }
            b"-" => break,
            _ => {
                shell.complain_about(&argv[0], &argv[at - 1].clone(), "invalid option");
                shell.print_error(b"wait: usage: wait [-fn] [-p var] [id ...]\n");
                return Ok(2);
            }
        }
    }
    let names = &argv[at.min(argv.len())..];
    if any {
        return wait_any(shell, names, variable.as_deref());
    }
    if names.is_empty() {
        for job in std::mem::take(&mut shell.jobs.0) {
            if job.waiter.wait(&shell.budget, &shell.signal, None).is_none() {
                shell.check()?;
            }
        }
        return Ok(0);
    }
    let mut status = 0;
    for name in names {
        let Some(job) = shell.jobs.find(name).cloned() else {
            if name.starts_with(b"%") {
                shell.complain_about(&argv[0], name, "no such job");
            } else if number::<i32>(name).is_some() {
                let pid = String::from_utf8_lossy(name).into_owned();
                shell.complain_as(&argv[0], &format!("pid {pid} is not a child of this shell"));
            } else {
                let shown = [b"`", &name[..], b"'"].concat();
                shell.complain_about(&argv[0], &shown, "not a pid or valid job spec");
                return Ok(1);
            }
            status = 127;
            continue;
        };
        match job.waiter.wait(&shell.budget, &shell.signal, None) {
            Some(ended) => status = ended,
            None => shell.check()?,
        }
        // It can be asked for again, as bash remembers statuses; it is no job any more.
        if let Some(kept) = shell.jobs.0.iter_mut().find(|j| j.pid == job.pid) {
            kept.disowned = true;
        }
        if let Some(variable) = &variable {
            shell.set(variable, job.pid.to_string().into_bytes(), false)?;
        }
    }
    Ok(status)
}

fn wait_any(shell: &mut Shell, names: &[Vec<u8>], variable: Option<&[u8]>) -> Done {
    let wanted: Vec<i32> = names.iter().filter_map(|n| shell.jobs.find(n).map(|j| j.pid)).collect();
    loop {
        let jobs: Vec<Job> = shell
            .jobs
            .0
            .iter()
            .filter(|j| !j.disowned && (names.is_empty() || wanted.contains(&j.pid)))
            .cloned()
            .collect();
        if jobs.is_empty() {
            return Ok(127);
        }
        for job in jobs {
            if let Some(status) = job.waiter.status() {
                shell.jobs.0.retain(|j| j.pid != job.pid);
                if let Some(variable) = variable {
                    shell.set(variable, job.pid.to_string().into_bytes(), false)?;
                }
                return Ok(status);
            }
        }
        shell.check()?;
        let _ = shell.budget.sleep(std::time::Duration::from_millis(1));
    }
}

pub(super) fn jobs(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let letters: Vec<u8> =
        argv[1..].iter().filter(|a| a.starts_with(b"-")).flat_map(|a| a[1..].to_vec()).collect();
    let mut out = Vec::new();
    let shown = if shell.jobs.0.is_empty() { &shell.jobs.1 } else { &shell.jobs.0 };
    let all: Vec<Job> = shown.iter().filter(|j| !j.disowned).cloned().collect();
    for (n, job) in all.iter().enumerate() {
        let status = job.waiter.status();
        if (letters.contains(&b'r') && status.is_some()) || letters.contains(&b's') {
            continue;
        }
        if letters.contains(&b'p') {
            out.extend_from_slice(format!("{}\n", job.pid).as_bytes());
            continue;
        }
        out.extend(shown_job(job, all.len() - n, letters.contains(&b'l')));
    }
    shell.jobs.0.retain(|j| j.waiter.status().is_none());
    shell.printed(&argv[0], &out)
}

/// A line about a job; `from_last` is 1 for the newest.
fn shown_job(job: &Job, from_last: usize, with_pid: bool) -> Vec<u8> {
    let mark = match from_last {
        1 => '+',
        2 => '-',
        _ => ' ',
    };
    let status = job.waiter.status();
    let state = status.map_or_else(|| "Running".to_string(), ended);
    let pid = if with_pid { format!("{} ", job.pid) } else { " ".into() };
    let mut line = format!("[{}]{mark} {pid}{state:<24}", job.number).into_bytes();
    line.extend_from_slice(&job.text);
    if status.is_none() {
        line.extend_from_slice(b" &");
    }
    line.push(b'\n');
    line
}

/// Takes the jobs that have ended from a shell, and gives the lines about them.
pub(crate) fn ended_jobs(shell: &mut Shell) -> Vec<u8> {
    let all = &mut shell.jobs.0;
    let count = all.len();
    let shown = all.iter().enumerate().filter(|(_, job)| !job.disowned && job.waiter.status().is_some());
    let lines = shown.flat_map(|(n, job)| shown_job(job, count - n, false)).collect();
    all.retain(|job| job.waiter.status().is_none());
    lines
}

pub(super) fn kill(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let mut signal = 15;
    let mut at = 1;
    match argv.get(1).map(Vec::as_slice) {
        Some(b"-l" | b"-L") => {
            if argv.len() == 2 {
                return trap::list(shell, &argv[0]);
            }
            let mut out = Vec::new();
            for name in &argv[2..] {
                match number::<usize>(name) {
                    Some(n) => {
                        let n = if n > 128 { n - 128 } else { n };
                        let text =
                            n.checked_sub(1).and_then(|n| trap::SIGNALS.get(n)).copied().unwrap_or("EXIT");
                        out.extend_from_slice(text.as_bytes());
                    }
                    None => match trap::signal(name) {
                        Some(n) => out.extend_from_slice(n.to_string().as_bytes()),
                        None => {
                            shell.complain_about(&argv[0], name, "invalid signal specification");
                            return Ok(1);
                        }
                    },
                }
                out.push(b'\n');
            }
            return shell.printed(&argv[0], &out);
        }
        Some(b"-s" | b"-n") => {
            let name = argv.get(2).cloned().unwrap_or_default();
            let Some(found) = trap::signal(&name) else {
                shell.complain_about(&argv[0], &name, "invalid signal specification");
                return Ok(1);
            };
            signal = found;
            at = 3;
        }
        Some(b"--") => at = 2,
        Some([b'-', name @ ..]) if !name.is_empty() => {
            let Some(found) = trap::signal(name) else {
                shell.complain_about(&argv[0], name, "invalid signal specification");
                return Ok(1);
            };
            signal = found;
            at = 2;
        }
        _ => {}
    }
    if argv.get(at).is_some_and(|a| a == b"--") {
        at += 1;
    }
    let names = &argv[at.min(argv.len())..];
    if names.is_empty() {
        shell.print_error(
            b"kill: usage: kill [-s sigspec | -n signum | -sigspec] pid | jobspec ... or kill -l [sigspec]\n",
        );
        return Ok(2);
    }
    let mut status = 0;
    for name in names {
        if let Some(pid) = number::<i32>(name)
            && (pid == shell.pid || pid == shell.main_pid || pid == 0)
        {
            if signal == 0 {
                continue;
            }
            let trapped = usize::try_from(signal - 1)
                .ok()
                .and_then(|n| trap::SIGNALS.get(n))
                .and_then(|n| shell.traps.get(n.as_bytes()).cloned());
            match trapped {
                Some(action) if signal != 9 => {
                    let (line, before) = (shell.line, shell.status);
                    shell.script(&action, line, " trap:")?;
                    shell.status = before;
                    continue;
                }
                _ if matches!(signal, 17 | 18 | 23 | 28) => continue,
                _ if pid == shell.main_pid => {
                    shell.main_signal.store(signal, std::sync::atomic::Ordering::Relaxed);
                    return Err(Leave::Killed(signal));
                }
                _ => return Err(Leave::Killed(signal)),
            }
        }
        match shell.jobs.find(name).filter(|j| j.number > 0) {
            Some(job) if job.waiter.status().is_none() => {
                if signal != 0 && signal != 18 {
                    job.kill(signal);
                }
            }
            Some(job) => {
                let pid = job.pid;
                shell.complain_as(&argv[0], &format!("({pid}) - No such process"));
                status = 1;
            }
            None if name.starts_with(b"%") => {
                shell.complain_about(&argv[0], name, "no such job");
                status = 1;
            }
            None if number::<i32>(name).is_some() => {
                let pid = String::from_utf8_lossy(name).into_owned();
                shell.complain_as(&argv[0], &format!("({pid}) - No such process"));
                status = 1;
            }
            None => {
                shell.complain_about(&argv[0], name, "arguments must be process or job IDs");
                status = 1;
            }
        }
    }
    Ok(status)
}

pub(super) fn disown(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let names: Vec<Vec<u8>> = argv[1..].iter().filter(|a| !a.starts_with(b"-")).cloned().collect();
    if names.is_empty() {
        if shell.jobs.0.is_empty() {
            shell.complain_as(&argv[0], "current: no such job");
            return Ok(1);
        }
        shell.jobs.0.pop();
        return Ok(0);
    }
    for name in names {
        match shell.jobs.find(&name).map(|j| j.pid) {
            Some(pid) => shell.jobs.0.retain(|j| j.pid != pid),
            None => {
                shell.complain_about(&argv[0], &name, "no such job");
                return Ok(1);
            }
        }
    }
    Ok(0)
}

pub(super) fn no_control(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    shell.complain_as(&argv[0], "no job control");
    Ok(1)
}
