//! `sbx grade`: what a test log says of a patch.

use super::exit_codes::FAILED;
use anyhow::Context;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// Instances, a JSON object a line
    #[arg(long, value_name = "FILE")]
    tasks: PathBuf,
    /// The instance
    #[arg(long, value_name = "ID")]
    instance: String,
    /// The runner that wrote the log: cargo, django, go, pytest or sympy
    #[arg(long, value_name = "RUNNER", default_value = "pytest")]
    parser: String,
    /// What the test run printed
    log: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let instances = super::agent::instances(&args.tasks)?;
    let instance = instances
        .iter()
        .find(|i| i.instance_id == args.instance)
        .with_context(|| format!("{}: no instance is called {:?}", args.tasks.display(), args.instance))?;
    let reader = sbx_tasks::log::by_name(&args.parser).with_context(|| {
        let names = sbx_tasks::log::READERS.map(|(name, _)| name).join(", ");
        format!("--parser: expected one of {names}, found {:?}", args.parser)
    })?;
    let log = std::fs::read(&args.log).with_context(|| args.log.display().to_string())?;
    let statuses = reader(sbx_tasks::log::test_output(&String::from_utf8_lossy(&log)));
    let report = sbx_tasks::grade(instance, &statuses);
    say!("{}", serde_json::to_string_pretty(&report)?);
    Ok(if report.resolved { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
