//! Rolls a model out on instances: prompts it, runs its actions in a sandbox, and journals what came of it.
//!
//! `Instance ─▶ checkout ─▶ rollout (model ⇄ sandbox) ─▶ journal`
//!
//! ```
//! use sbx_agent::{RunOptions, Script, ScriptedServer, ServerOptions, Turns, Watch};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let (repos, cache, out) = (dir.path().join("repos"), dir.path().join("cache"), dir.path().join("out"));
//! # let git = |args: &[&str]| std::process::Command::new("git").arg("-C").arg(repos.join("org/name")).args(args).status();
//! # std::fs::create_dir_all(repos.join("org/name"))?;
//! # std::fs::write(repos.join("org/name/greeting"), "helo\n")?;
//! # git(&["init", "-q"])?;
//! # git(&["add", "-A"])?;
//! # git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "base"])?;
//! let task = r#"{"instance_id": "name-1", "repo": "org/name", "base_commit": "HEAD", "problem_statement": "A typo."}"#;
//! let fix = "A typo.\n```bash\nsed -i s/helo/hello/ greeting && echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT\n```";
//! let script = Script { rollouts: vec![Turns { replies: vec![fix.into()] }] };
//!
//! struct Quiet;
//! impl Watch for Quiet {}
//!
//! let summary = tokio::runtime::Runtime::new()?.block_on(async {
//!     let server = ScriptedServer::start(script).await?;
//!     let options = RunOptions {
//!         instances: sbx_records::read_instances(task.as_bytes(), "tasks")?,
//!         repos: Some(repos),
//!         cache,
//!         out: out.clone(),
//!         server: ServerOptions::new(server.base_url(), "scripted"),
//!         harness: "swe-zero".into(),
//!         harness_config: None,
//!         policy: sbx_runtime::Policy::preset("whitelist")?,
//!         rollouts: 2,
//!         shard: sbx_agent::Shard::default(),
//!         retry: sbx_agent::RetryFailed::default(),
//!         echo: sbx_agent::Echo::default(),
//!         concurrency: 2,
//!         temperature: 1.0,
//!         seed: None,
//!         max_turns: None,
//!         max_total_tokens: None,
//!         reserve_tokens: None,
//!         max_turn_tokens: None,
//!         spending: sbx_agent::Spending::default(),
//!     };
//!     Ok::<_, Box<dyn std::error::Error>>(sbx_agent::run(options, &Quiet).await?)
//! })?;
//! assert_eq!(summary.missing(), 0);
//! assert!(std::fs::read_to_string(out.join("preds.json"))?.contains("+hello"));
//! # Ok(())
//! # }
//! ```
//!
//! This crate prints nothing and draws nothing: who starts a run watches it through [`Watch`]. It writes the journal,
//! the trajectories and `preds.json`; datasets are made from these files by another crate.
#![forbid(unsafe_code)]

mod budget;
mod checkout;
mod editor;
mod error;
mod hands;
pub mod harness;
mod replay;
mod rollout;
mod run;
mod scripted;
mod server;
mod settings;
mod shard;
mod spending;
mod trace;
mod watch;

pub use checkout::{Checkout, Checkouts};
pub use editor::{Edit, Style};
pub use error::Error;
pub use replay::{Fate, Finding, ProgramCount, ReplayReport, judge_recording, replay};
pub use run::{Echo, RetryFailed, RunOptions, Summary, run};
pub use scripted::{Asked, Dialect, Fault, Script, ScriptedServer, Turns};
pub use server::{Client, Retry, ServerError, ServerOptions, install_tls};
pub use shard::Shard;
pub use spending::{Prices, Spending};
pub use trace::Traces;
pub use watch::{TurnSeen, Watch};
