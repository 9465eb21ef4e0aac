//! `sbx exec`: one action, and what becomes of its changes.

pub mod held;
mod object;
mod quick;
mod stdin;

use super::exit_codes::SBX_FAILED;
use super::limits::PolicyArgs;
use super::patient;
use anyhow::{Context, ensure};
use clap::Parser;
use held::Held;
use sbx::{
    Action, Backend, Changes, Early, Observation, Outcome, Recorded, Shell, Stream, Timings, Withheld,
    Workspace,
};
use sbx_records::Draft;
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args, Debug, PartialEq)]
#[command(
    after_help = "Exit status: the command's own; 124 timed out; 125 sbx failed; 126 refused or not executable;\n\
    127 not found; 128+n signal; 2 for a command line that is not understood."
)]
pub struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Directory to work in; it changes only by what --changes says
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
    /// What becomes of the changes: commit (to the workspace), discard, or a file for the patch
    #[arg(long, value_name = "commit|discard|FILE.patch", default_value = "commit")]
    changes: String,
    /// Print one JSON object instead of the output
    #[arg(long)]
    json: bool,
    /// Tell on stderr where the time went
    #[arg(long)]
    timings: bool,
    /// Bash script
    #[arg(short = 'c', value_name = "SCRIPT", conflicts_with = "command")]
    script: Option<OsString>,
    /// Bash script as one argument; for callers that prefix a command line, such as CLAUDE_CODE_SHELL_PREFIX
    #[arg(long, value_name = "STRING", conflicts_with_all = ["command", "script"])]
    shell: Option<OsString>,
    /// Program and its arguments
    #[arg(last = true, value_name = "CMD", required_unless_present_any = ["script", "shell"])]
    command: Vec<OsString>,
}

/// What becomes of the changes.
pub enum Fate {
    Commit,
    Discard,
    Patch(PathBuf),
}

impl Fate {
    /// Reads the value of --changes. A file must be one that can be written: what an action changed is not to be lost
    /// because of a name.
    pub fn parse(text: &str) -> anyhow::Result<Fate> {
        const ALMOST: [&str; 6] = ["commit", "discard", "none", "no", "false", ""];
        match text {
            "commit" => return Ok(Fate::Commit),
            "discard" => return Ok(Fate::Discard),
            _ => {}
        }
        let almost = ALMOST.iter().any(|word| text.eq_ignore_ascii_case(word));
        ensure!(!almost, "--changes {text:?}: expected commit, discard, or a file for the patch");
        let file = PathBuf::from(text);
        let place = if file.exists() { &file } else { directory_of(&file) };
        let why = || format!("--changes {text}: expected a file that can be written");
        ensure!(!file.is_dir(), "{}, found a directory", why());
        rustix::fs::access(place, rustix::fs::Access::WRITE_OK).with_context(why)?;
        Ok(Fate::Patch(file))
    }
}

/// How the sandbox is opened.
enum Begin {
    /// As everywhere.
    Plainly,
    /// Around a process 1 that was started before the arguments were read.
    Early(Option<Early>),
    /// As the last time that the same was asked for, if there was one.
    Again(Option<Recorded>),
}

/// Runs `sbx exec` with these words. `None` when they are to be complained about, or ask for help.
pub fn run_words(words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let words: Vec<OsString> = words.collect();
    if let Some(args) = quick::parse(&words) {
        let recorded = Recorded::of(&args.policy.policy, &args.workspace);
        return Some(answer(exec(&args, Begin::Again(recorded))));
    }
    Recorded::none();
    // Its namespaces are made while we read what is asked for.
    let early = Early::start();
    let only = OnlyExec::try_parse_from(words).ok()?;
    Some(answer(exec(&only.args, Begin::Early(early))))
}

/// `sbx exec` by itself. It lives for two milliseconds, and to describe the options of all subcommands takes a good part of
/// one.
#[derive(clap::Parser)]
#[command(name = "sbx exec")]
struct OnlyExec {
    #[command(flatten)]
    args: Args,
}

/// Runs the action.
pub fn run(args: Args) -> ExitCode {
    answer(exec(&args, Begin::Plainly))
}

fn answer(done: anyhow::Result<u8>) -> ExitCode {
    match done {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            tell!("sbx: {e:#}");
            ExitCode::from(SBX_FAILED)
        }
    }
}

fn exec(args: &Args, begin: Begin) -> anyhow::Result<u8> {
    let fate = Fate::parse(&args.changes)?;
    let mut shell = open(args, begin)?;
    let mut action = match (&args.script, &args.shell) {
        (Some(script), _) | (None, Some(script)) => Action::bash(script),
        _ => Action::program(&args.command),
    };
    for (key, value) in &args.policy.env {
        action = action.env(key, value);
    }
    let (with_stdin, stdin) = stdin::pass(action)?;
    action = with_stdin;
    let collect = args.json || args.policy.output.is_some();
    let mut outputs = Outputs::default();
    let mut act = |shell: &mut Shell| {
        if collect {
            shell.act(&action)
        } else {
            shell.act_with(&action, &mut |stream, bytes| outputs.hand_on(stream, bytes))
        }
    };
    let mut seen = act(&mut shell);
    if matches!(seen, Err(sbx::Error::Changed)) {
        // Nothing of it was seen or kept.
        shell = open(args, Begin::Plainly)?;
        seen = act(&mut shell);
    }
    let seen = seen?;
    // The walls may have been built after the action was asked for.
    let mut timings = shell.timings().clone();
    timings.end("run the action");
    stdin.leave_the_rest();
    let settled = settle(|| shell.changes(), &fate, &args.workspace);
    timings.end("settle the changes");
    let (done, unsettled) = match settled {
        Ok(done) => (done, None),
        Err(e) => (Settled::default(), Some(e)),
    };
    if args.json {
        say!("{}", object::render(shell.policy(), &seen, &done)?);
    } else {
        report(&seen, &done, collect);
    }
    if args.timings {
        drop(shell);
        timings.end("take the sandbox down");
        tell_timings(&timings);
    } else {
        shell.leave();
    }
    unsettled.map_or(Ok(()), Err)?;
    done.check()?;
    outputs.check()?;
    Ok(u8::try_from(seen.exit_code.clamp(0, 255)).unwrap_or(SBX_FAILED))
}

fn open(args: &Args, begin: Begin) -> anyhow::Result<Shell> {
    let workspace = Workspace::new(&args.workspace);
    if let Begin::Again(Some(recorded)) = &begin
        && let Some(sandbox) = recorded.open()
    {
        return Ok(Shell::around(sandbox));
    }
    let (early, recorded) = match begin {
        Begin::Again(recorded) => (Early::start(), recorded),
        Begin::Early(early) => (early, None),
        Begin::Plainly => (None, None),
    };
    let policy = args.policy.resolve()?;
    let early = early.filter(|_| policy.backend == Backend::Native);
    let Some(early) = early else { return Ok(Shell::open(&policy, workspace)?) };
    let sandbox = early.open(&policy, workspace)?;
    if let Some(recorded) = recorded {
        recorded.keep(&sandbox);
    }
    Ok(Shell::around(sandbox))
}

/// A line a phase, in microseconds.
fn tell_timings(timings: &Timings) {
    for (phase, time) in timings.phases() {
        tell!("sbx: {:>8} µs  {phase}", time.as_micros());
    }
}

/// The command's stdout and stderr, which are written on as they come.
#[derive(Default)]
struct Outputs {
    /// Why one was not written to its end.
    failed: [Option<std::io::Error>; 2],
}

impl Outputs {
    const NAMES: [&str; 2] = ["stdout", "stderr"];

    fn hand_on(&mut self, stream: Stream, bytes: &[u8]) -> ControlFlow<()> {
        let [out, err] = &mut self.failed;
        let (written, failed) = match stream {
            Stream::Stdout => (patient::stdout().write_all(bytes), out),
            Stream::Stderr => (patient::stderr().write_all(bytes), err),
        };
        let Err(e) = written else { return ControlFlow::Continue(()) };
        *failed = Some(e);
        ControlFlow::Break(())
    }

    /// A reader that went away (`| head`) has seen enough; any other failure is an error.
    fn check(self) -> anyhow::Result<()> {
        for (error, name) in self.failed.into_iter().zip(Outputs::NAMES) {
            if let Some(e) = error.filter(|e| e.kind() != ErrorKind::BrokenPipe) {
                return Err(e).context(name);
            }
        }
        Ok(())
    }
}

/// What was kept of the changes.
#[derive(Default)]
pub struct Settled {
    pub committed: Vec<PathBuf>,
    pub withheld: Vec<Withheld>,
}

/// Does with the changes what was asked for. Signals that would end this program midway wait until it is done.
pub fn settle(
    changes: impl FnOnce() -> Result<Changes, sbx::Error>,
    fate: &Fate,
    workspace: &Path,
) -> anyhow::Result<Settled> {
    if matches!(fate, Fate::Discard) {
        return Ok(Settled::default());
    }
    let changes = changes()?;
    let _held = (!changes.is_empty()).then(Held::begin).transpose()?;
    settle_unheld(&changes, fate, workspace)
}

/// As [`settle`], for who listens to signals himself.
pub fn settle_unheld(changes: &Changes, fate: &Fate, workspace: &Path) -> anyhow::Result<Settled> {
    let mut settled = Settled::default();
    match fate {
        Fate::Discard => {}
        Fate::Commit => {
            let commit = changes
                .commit_in_place()
                .with_context(|| format!("committing the changes to {}", workspace.display()))?;
            (settled.committed, settled.withheld) = (commit.committed, commit.withheld);
        }
        Fate::Patch(file) => {
            let patch = changes.try_diff().context("the patch")?;
            write_patch(file, &patch).with_context(|| format!("writing the patch to {}", file.display()))?;
        }
    }
    Ok(settled)
}

/// A file is written as a whole or not at all, and keeps its mode. What is open already (`/dev/stdout`, `/dev/fd/3`) may
/// have more in it than the patch; it is written as it is, and so is what is no file, has another name or owner, or lies in
/// a directory that cannot be written.
fn write_patch(file: &Path, patch: &[u8]) -> anyhow::Result<()> {
    let is_open = file.starts_with("/dev") || file.starts_with("/proc");
    if file == Path::new("/dev/stdout") {
        return Ok(patient::stdout().write_all(patch)?);
    }
    let place = file.canonicalize().unwrap_or_else(|_| file.to_path_buf());
    let old = place.symlink_metadata().ok();
    let ours = rustix::process::geteuid().as_raw();
    let is_alone = old.as_ref().is_none_or(|old| old.is_file() && old.nlink() == 1 && old.uid() == ours);
    let may_replace = || rustix::fs::access(directory_of(&place), rustix::fs::Access::WRITE_OK).is_ok();
    if !is_open && is_alone && may_replace() {
        let draft = Draft::create(&place)?;
        if let Some(old) = old {
            draft.file()?.set_permissions(old.permissions())?;
        }
        draft.file()?.write_all(patch)?;
        return Ok(draft.publish(&place)?);
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).append(is_open).truncate(!is_open);
    Ok(options.open(file)?.write_all(patch)?)
}

fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Settled {
    /// Says what was not committed.
    pub fn tell(&self) {
        for Withheld { path, why, .. } in &self.withheld {
            tell!("sbx: not committed: {}", on_a_line(&format!("{}: {why}", path.display())));
        }
    }

    /// What harms is kept back; what could not be written is an error.
    pub fn check(&self) -> anyhow::Result<()> {
        let lost = self.withheld.iter().filter(|path| path.failed).count();
        ensure!(lost == 0, "{lost} of the changes could not be committed");
        Ok(())
    }
}

/// What names of an agent's are in, as one line: no name ends it, and none speaks to the terminal in our name.
pub fn on_a_line(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

fn report(seen: &Observation, done: &Settled, collected: bool) {
    if collected {
        super::print(format_args!("{}", seen.stdout.text()));
        let _ = patient::stderr().write_all(seen.stderr.text().as_bytes());
    }
    // What is handed on is never shortened.
    let is_shown = |limit: &&String| *limit != "output" || collected || seen.outcome == Outcome::OutputLimit;
    for limit in seen.limits_hit.iter().filter(is_shown) {
        tell!("sbx: limit reached: {limit}");
    }
    // A refusal's reason is on stderr already.
    for denied in seen.denied.iter().filter(|_| seen.outcome != Outcome::Refused) {
        tell!("sbx: {}", on_a_line(&format!("{}: {}", denied.what, denied.hint)));
    }
    done.tell();
    if !seen.missing.is_empty() {
        tell!("sbx: walls missing: {}", seen.missing.join(", "));
    }
}
