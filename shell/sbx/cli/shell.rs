//! `sbx shell`: a persistent bash in the sandbox, for people line by line, and for programs as JSON lines.

mod ended;
mod lines;
mod request;
mod requests;
mod typed;

use super::exec::{Fate, settle};
use super::exit_codes::SBX_FAILED;
use super::limits::PolicyArgs;
use anyhow::Context;
use ended::Ended;
use sbx::{ByteSize, LiveShell, Workspace};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::{BufRead, ErrorKind, IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

/// Longest line that is read, in bytes.
const MAX_LINE: u64 = 64 << 20;

#[derive(clap::Args)]
#[command(
    after_help = "Each line of stdin is a script of one bash. The session ends with stdin, or when bash does (exit 3, \
    set -e), with its status. On a terminal Ctrl-C interrupts the script that runs, and what is typed meanwhile is for \
    it to read; the third Ctrl-C that it does not answer ends the session.\n\n\
    With --json each line of stdin is a request and each line of stdout its answer:\n\
    {\"run\": SCRIPT, \"timeout\": \"10s\"}  {\"start\": SCRIPT}  {\"wait\": \"5s\", \"quiet\": \"1s\"}  {\"send\": TEXT}\n\
    {\"interrupt\": true}  {\"read\": PATH}  {\"write\": PATH, \"text\": TEXT}  {\"changes\": true}\n\
    An answer with \"bash_ended\": true tells that bash has ended (exit 3, a limit); the next script gets a new one.\n\n\
    The workspace itself is changed at the end, and only with --changes commit."
)]
pub struct Args {
    /// Directory to work in [default: the current one]
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// What becomes of the changes at the end: commit, discard, or a file for the patch
    #[arg(long, value_name = "commit|discard|FILE.patch", default_value = "discard")]
    changes: String,
    /// Requests and answers as JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    policy: PolicyArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let fate = Fate::parse(&args.changes)?;
    let policy = args.policy.resolve()?;
    let workspace = match &args.workspace {
        Some(dir) => dir.clone(),
        None => std::env::current_dir().context("the current directory")?,
    };
    let env: Vec<(&str, &str)> = args.policy.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let mut shell = match LiveShell::open(&policy, Workspace::new(&workspace), &env) {
        Ok(shell) => shell,
        Err(e) => {
            tell!("sbx: {e}");
            return Ok(ExitCode::from(SBX_FAILED));
        }
    };
    let is_typed = !args.json && std::io::stdin().is_terminal();
    // At a terminal Ctrl-C is for what runs.
    let signals: &[i32] = if is_typed { &[SIGHUP, SIGTERM] } else { &[SIGHUP, SIGTERM, SIGINT] };
    let by_signal = Ended::by(signals).context("signals")?;
    let ended = if args.json {
        requests::answer_all(&mut shell, &by_signal)
    } else if is_typed {
        typed::run_all(&mut shell, &by_signal)
    } else {
        lines::run_all(&mut shell, &by_signal)
    };
    // Whatever ended the session, its work is kept.
    let settled = settle(|| shell.changes(), &fate, &workspace);
    let settled = settled.and_then(|settled| {
        settled.tell();
        settled.check()
    });
    if let (Err(_), Err(e)) = (&ended, &settled) {
        tell!("sbx: {e:#}");
    }
    if settled.is_ok() {
        by_signal.pass_on();
    }
    let status = ended?;
    settled?;
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
}

/// Reads a line onto the end of `line`; how many bytes it has. One that is too long is an error, and no other line begins in it.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    let read = (&mut *input).take(MAX_LINE).read_until(b'\n', line)?;
    if read as u64 == MAX_LINE && !line.ends_with(b"\n") {
        input.skip_until(b'\n')?;
        let why = format!("expected a line of at most {}", ByteSize(MAX_LINE));
        return Err(std::io::Error::new(ErrorKind::InvalidData, why));
    }
    Ok(read)
}
