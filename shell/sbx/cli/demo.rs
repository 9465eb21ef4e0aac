//! `sbx demo`: the whole road with nothing else installed: an embedded repository with a real bug, a scripted model that
//! fixes it in several turns, and the same agent, sandbox and data set as in a real run.

use super::agent::roll_out;
use anyhow::{Context, ensure};
use sbx::Policy;
use sbx_agent::{Echo, Retry, RetryFailed, RunOptions, Script, ScriptedServer, ServerOptions, Shard};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Files of the repository, from `examples/demo/repo`.
const FILES: [(&str, &str); 4] = [
    ("README.md", include_str!("../../../examples/demo/repo/README.md")),
    ("semver/__init__.py", include_str!("../../../examples/demo/repo/semver/__init__.py")),
    ("semver/version.py", include_str!("../../../examples/demo/repo/semver/version.py")),
    ("tests/test_version.py", include_str!("../../../examples/demo/repo/tests/test_version.py")),
];
const TASKS: &str = include_str!("../../../examples/demo/tasks.jsonl");
const MODEL: &str = include_str!("../../../examples/demo/model.json");

#[derive(clap::Args)]
pub struct Args {
    /// Run folder; it must be new
    #[arg(long, value_name = "DIR", default_value = "runs/demo")]
    out: PathBuf,
    /// Rollouts
    #[arg(long, value_name = "N", default_value_t = 4)]
    rollouts: u32,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let journal = args.out.join(sbx_records::JOURNAL);
    ensure!(!journal.exists(), "{} is there already; choose another --out", journal.display());
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let repos = args.out.join("repos");
    make_repository(&repos.join("demo/semver")).context("making the demo's repository")?;
    let script: Script = serde_json::from_str(MODEL).context("examples/demo/model.json")?;
    let runtime = tokio::runtime::Runtime::new()?;
    let server = runtime.block_on(ScriptedServer::start(script)).context("the scripted model's port")?;
    let options = RunOptions {
        instances: sbx_records::read_instances(TASKS.as_bytes(), "examples/demo/tasks.jsonl")?,
        repos: Some(repos),
        cache: std::path::absolute(args.out.join("cache"))?,
        out: args.out,
        server: ServerOptions {
            base_urls: vec![server.base_url()],
            model: "scripted".into(),
            api_key: None,
            extra_body: serde_json::Map::new(),
            timeout: Duration::from_secs(60),
            idle: None,
            retry: Retry::default(),
        },
        harness: "swe-zero".into(),
        harness_config: None,
        policy: Policy::preset("whitelist")?,
        rollouts: args.rollouts.max(1),
        shard: Shard::default(),
        retry: RetryFailed::default(),
        echo: Echo::default(),
        concurrency: 2,
        temperature: 1.0,
        seed: Some(0),
        max_turns: None,
        max_total_tokens: None,
        reserve_tokens: None,
        max_turn_tokens: None,
        spending: Default::default(),
    };
    roll_out(&runtime, options, false, false, None)
}

fn make_repository(dir: &Path) -> anyhow::Result<()> {
    for (name, text) in FILES {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(dir))?;
        std::fs::write(&path, text)?;
    }
    let git = |args: &[&str]| -> anyhow::Result<()> {
        let output = Command::new("git")
            .arg("-C")
            .arg(dir)
            .args([
                "-c",
                "user.name=demo",
                "-c",
                "user.email=demo@sbx.invalid",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(args)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .context("git is needed")?;
        ensure!(output.status.success(), "git {}: {}", args[0], String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    git(&["init", "-q"])?;
    git(&["add", "-A"])?;
    git(&["commit", "-q", "-m", "semver 1.2.0"])
}
