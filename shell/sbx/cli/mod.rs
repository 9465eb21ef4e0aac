//! The command line: one file a subcommand, and this table.

/// `println!` that survives a closed stdout.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// `eprintln!` that survives a closed stderr.
macro_rules! tell {
    ($($text:tt)*) => { $crate::cli::patient::tell(format_args!($($text)*)) };
}

mod agent;
mod bench;
mod cache;
mod completions;
mod dataset;
mod demo;
mod doctor;
mod exec;
mod exit_codes;
mod grade;
mod limits;
mod mcp;
mod patient;
mod plan;
mod policy;
mod replay;
mod selftest;
mod shell;
mod stats;
mod store;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "sbx",
    version,
    about = "Confined bash for coding agents: a sandbox in milliseconds, rollouts, datasets"
)]
#[command(after_help = "First time here: `sbx demo`. What this machine can enforce: `sbx doctor`.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a command or a bash script in the sandbox
    Exec(exec::Args),
    /// A persistent bash in the sandbox, for people, or as JSON lines for programs
    Shell(shell::Args),
    /// Serve the sandbox to an agent as tools of the Model Context Protocol, on stdin and stdout
    Mcp(mcp::Args),
    /// Print the steps that would build the sandbox
    Plan(plan::Args),
    /// Tell which walls this machine can raise
    Doctor(doctor::Args),
    /// Try several hundred attacks on this machine and tell which were stopped
    Selftest(selftest::Args),
    /// Measure this machine: attacks stopped, start-up times
    Bench(bench::Args),
    /// Check, show and explain policies
    Policy(policy::Args),
    /// Roll a model out on instances
    Agent(Box<agent::Args>),
    /// Run the whole road on an embedded repository with a scripted model
    Demo(demo::Args),
    /// Write the dataset of a run folder
    Dataset(dataset::Args),
    /// Run recorded actions again under a policy: what is refused, what differs
    Replay(replay::Args),
    /// Statistics of a run, or of two side by side
    Stats(stats::Args),
    /// Show and clear what is kept between runs
    Cache(cache::Args),
    /// Judge a test log against an instance's FAIL_TO_PASS and PASS_TO_PASS
    Grade(grade::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// Parses the command line and runs the subcommand.
pub fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1).peekable();
    if words.peek().is_some_and(|word| word == "exec")
        && let Some(code) = exec::run_words(words)
    {
        return code;
    }
    // Help and complaints are those of the whole command line.
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // A closed stderr is no reason to fail differently.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { exit_codes::USAGE } else { 0 });
        }
    };
    let done = match cli.command {
        Command::Exec(args) => return exec::run(args),
        Command::Shell(args) => shell::run(args),
        Command::Mcp(args) => mcp::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Selftest(args) => selftest::run(args),
        Command::Policy(args) => policy::run(args),
        Command::Agent(args) => agent::run(*args),
        Command::Demo(args) => demo::run(args),
        Command::Dataset(args) => dataset::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Stats(args) => stats::run(args),
        Command::Cache(args) => cache::run(args),
        Command::Grade(args) => grade::run(args),
        Command::Completions(args) => completions::run(args),
    };
    match done {
        Ok(code) => code,
        Err(e) => {
            tell!("sbx: {e:#}");
            ExitCode::from(exit_codes::FAILED)
        }
    }
}

/// Writes to stdout. A reader that went away (`| head`) has seen enough; any other failure ends the program.
fn print(text: std::fmt::Arguments<'_>) {
    use std::io::{ErrorKind, Write};
    if let Err(e) = patient::stdout().write_all(text.to_string().as_bytes())
        && e.kind() != ErrorKind::BrokenPipe
    {
        tell!("sbx: stdout: {e}");
        std::process::exit(i32::from(exit_codes::SBX_FAILED));
    }
}
