//! `sbx plan`: what would be done, in order.

use super::limits::PolicyArgs;
use anyhow::Context;
use sbx::{Backend, Host, Plan, Policy, Shell, View, Workspace};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Directory to work in
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A backend that starts nothing has no steps: its view is the workspace, and its walls stand when it is opened.
fn without_processes(policy: &Policy, args: &Args) -> anyhow::Result<ExitCode> {
    let shell = Shell::open(policy, Workspace::new(&args.workspace))?;
    let (enforced, hash) = (shell.enforced(), policy.sha256());
    if args.json {
        let object = serde_json::json!({
            "schema": "sbx.plan/1",
            "policy": {"name": policy.name, "sha256": hash},
            "backend": "wasi",
            "absent": [],
            "plan": {"steps": [], "enforced": enforced, "missing": []},
        });
        say!("{}", serde_json::to_string_pretty(&object)?);
        return Ok(ExitCode::SUCCESS);
    }
    say!("policy {} ({})", policy.name, &hash[..12]);
    say!("backend wasi: no process is started, so there are no steps");
    say!("enforced: {}", enforced.join(", "));
    Ok(ExitCode::SUCCESS)
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let policy = args.policy.resolve()?;
    if policy.backend == Backend::Wasi {
        return without_processes(&policy, &args);
    }
    let named = || format!("workspace {}", args.workspace.display());
    let place = std::fs::canonicalize(&args.workspace).with_context(named)?;
    let (view, _in_use) = View::prepare(&policy, &place);
    let workspace = Workspace::new(place);
    let plan = Plan::compile(&policy, &Host::probe(), &view, &workspace)?;
    if args.json {
        let plan = serde_json::to_value(&plan).context("the plan as JSON; without --json it is shown")?;
        let object = serde_json::json!({
            "schema": "sbx.plan/1",
            "policy": {"name": policy.name, "sha256": policy.sha256()},
            "absent": view.absent,
            "plan": plan,
        });
        say!("{}", serde_json::to_string_pretty(&object)?);
        return Ok(ExitCode::SUCCESS);
    }
    say!("policy {} ({})", policy.name, &policy.sha256()[..12]);
    for (i, step) in plan.steps.iter().enumerate() {
        say!("{i:4}  {step}");
    }
    if plan.enforced.iter().any(|wall| wall.starts_with("cgroup1:")) {
        say!("      enter the cgroup, before the first action begins");
    }
    say!("enforced: {}", plan.enforced.join(", "));
    if !plan.missing.is_empty() {
        say!("missing: {}", plan.missing.join(", "));
    }
    if !view.absent.is_empty() {
        say!("allowed, but not on this host: {}", view.absent.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}
