//! `sbx completions`.

use clap::CommandFactory;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// Shell to complete in
    shell: clap_complete::Shell,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    clap_complete::generate(args.shell, &mut super::Cli::command(), "sbx", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
