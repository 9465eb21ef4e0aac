//! A program on the other end: a request a line, and its answer. Schema `sbx.shell/1`.

use super::ended::{Ended, TICK};
use super::lines::outcome;
use super::request::Request;
use crate::cli::exit_codes::SBX_FAILED;
use crate::cli::patient;
use anyhow::{Context, ensure};
use sbx::{LiveShell, Observation, Waited};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

/// Largest file that is handed out, in bytes.
const MAX_FILE: usize = 64 << 20;

/// Answers all requests; returns the exit status.
pub fn answer_all(shell: &mut LiveShell, ended: &Ended) -> anyhow::Result<i32> {
    let mut input = ended.stdin().context("stdin")?;
    // Where a new bash begins.
    let home = shell.session().cwd();
    for number in 1.. {
        let mut line = Vec::new();
        let read = match super::read_line(&mut input, &mut line) {
            Ok(0) => break,
            Err(e) if e.kind() != ErrorKind::InvalidData => return Err(e).context("stdin"),
            read => read.map_err(anyhow::Error::from),
        };
        if ended.is() {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = read
            .and_then(|_| Request::parse(&line))
            .with_context(|| format!("line {number}"))
            .and_then(|request| answer(shell, &home, request, ended))
            .unwrap_or_else(|e| json!({"schema": "sbx.shell/1", "error": format!("{e:#}")}));
        match patient::stdout().write_all(format!("{answer}\n").as_bytes()) {
            // A reader that went away has seen enough.
            Err(e) if e.kind() != ErrorKind::BrokenPipe => {
                tell!("sbx: stdout: {e}");
                return Ok(SBX_FAILED.into());
            }
            _ => {}
        }
    }
    Ok(0)
}

fn answer(shell: &mut LiveShell, home: &OsStr, request: Request, ended: &Ended) -> anyhow::Result<Value> {
    let before = shell.session().restarts();
    let mut object = json!({"schema": "sbx.shell/1"});
    match request {
        Request::Run { script, time: Some(time) } => {
            merge(&mut object, observed(&shell.run_for(&script, time)?));
        }
        Request::Run { script, time: None } => {
            let seen = match shell.refuse(&script) {
                Some(refused) => Some(refused),
                None => {
                    shell.session().start(&script)?;
                    outcome(shell, ended)?.map(|seen| shell.explain(&script, seen))
                }
            };
            merge(&mut object, observed(&seen.context("the session was ended by a signal")?));
        }
        Request::Start(script) => match shell.refuse(&script) {
            Some(refused) => merge(&mut object, observed(&refused)),
            None => {
                shell.session().start(&script)?;
                object["running"] = true.into();
            }
        },
        Request::Wait { time, quiet } => match wait(shell, time, quiet, ended)? {
            Waited::Ended(seen) => merge(&mut object, observed(&seen)),
            Waited::Running => {
                object["running"] = true.into();
                object["stdout"] = shell.session().take_so_far().text().into();
            }
        },
        Request::Send(text) => shell.session().send(text)?,
        Request::Interrupt => shell.session().interrupt()?,
        Request::Read(path) => {
            let bytes = shell.session().read_file(&path, MAX_FILE)?;
            object["text"] = String::from_utf8_lossy(&bytes).into();
        }
        Request::Write { path, text } => shell.session().write_file(&path, text.as_bytes())?,
        Request::Changes => {
            object["patch"] = shell.changes()?.try_diff_text().context("the patch")?.into();
        }
    }
    if shell.session().restarts() > before {
        object["bash_ended"] = true.into();
    }
    let cwd = shell.session().cwd();
    object["cwd"] = if cwd.is_empty() { home.to_string_lossy() } else { cwd.to_string_lossy() }.into();
    Ok(object)
}

/// Waits as [`sbx::LiveSession::wait`] does, until a signal ends the session.
fn wait(
    shell: &mut LiveShell,
    time: Duration,
    quiet: Option<Duration>,
    ended: &Ended,
) -> anyhow::Result<Waited> {
    let (begun, mut last, mut written) = (Instant::now(), Instant::now(), shell.session().so_far().total());
    loop {
        let left = time.saturating_sub(begun.elapsed());
        let silence = quiet.map_or(TICK, |quiet| quiet.saturating_sub(last.elapsed()));
        let waited = shell.session().wait(TICK.min(left).min(silence), None)?;
        let total = shell.session().so_far().total();
        if total != written {
            (last, written) = (Instant::now(), total);
        }
        let is_quiet = quiet.is_some_and(|quiet| last.elapsed() >= quiet);
        if matches!(waited, Waited::Ended(_)) || is_quiet || left.is_zero() {
            return Ok(waited);
        }
        ensure!(!ended.is(), "the session was ended by a signal");
    }
}

fn observed(seen: &Observation) -> Value {
    json!({
        "outcome": seen.outcome,
        "exit_code": seen.exit_code,
        "stdout": seen.stdout.text() + &seen.stderr.text(),
        "truncated_bytes": seen.stdout.omitted(),
        "limits_hit": seen.limits_hit,
        "denied": seen.denied,
        "wall_s": seen.wall.as_secs_f64(),
    })
}

fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
