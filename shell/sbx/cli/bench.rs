//! `sbx bench`: a first look at speed and walls on this machine. The figures of the table in `benches/README.md` come from
//! `cargo bench`.

use super::selftest;
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use sbx::{Action, Policy, Sandbox};
use serde_json::json;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Attacks with and without walls, and behind those of others: `sbx selftest --full`
    Security(selftest::Args),
    /// Start-up times, in turns with bash alone and with bubblewrap where it is installed
    Speed {
        /// Rounds; each runs everything once
        #[arg(long, value_name = "N", default_value_t = 100)]
        rounds: usize,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Security(args) => selftest::run(args.in_full()),
        What::Speed { rounds, json } => speed(rounds.max(1), json),
    }
}

/// What is measured: its name, and one go of it.
type Contest<'a> = (&'static str, Box<dyn FnMut() -> anyhow::Result<()> + 'a>);

fn speed(rounds: usize, as_json: bool) -> anyhow::Result<ExitCode> {
    let dir = tempfile::tempdir().context("a temporary directory")?;
    let policy = Policy::preset("whitelist")?;
    let me = std::env::current_exe().context("this program's own file")?;
    let mut warm = Sandbox::open(&policy, dir.path())?;
    let ws = dir.path().display().to_string();
    let command = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let once = |mut command: Command| -> anyhow::Result<()> {
        let status = command.status().with_context(|| format!("{:?}", command.get_program()))?;
        anyhow::ensure!(status.success(), "{:?} ended with {status}", command.get_program());
        Ok(())
    };
    let bwrap = selftest::bwrap(&ws, "true");
    let bwrap = &bwrap[1..];
    let mut contests: Vec<Contest<'_>> = vec![
        ("bash alone", Box::new(|| once(command("bash", &["-c", "true"])))),
        (
            "an action in a sandbox that is there",
            Box::new(|| {
                warm.run(&Action::bash("true"))?;
                Ok(())
            }),
        ),
        (
            "a sandbox, an action, and its end",
            Box::new(|| {
                Sandbox::open(&policy, dir.path())?.run(&Action::bash("true"))?;
                Ok(())
            }),
        ),
        (
            "sbx exec, the whole program",
            Box::new(|| {
                once(command(
                    &me.display().to_string(),
                    &["exec", "--changes", "discard", "--", "bash", "-c", "true"],
                ))
            }),
        ),
    ];
    if once(command("bwrap", bwrap)).is_ok() {
        contests.push(("bubblewrap, every namespace", Box::new(|| once(command("bwrap", bwrap)))));
    }
    let bar = ProgressBar::new(rounds as u64).with_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} rounds · {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut times: Vec<Vec<Duration>> = contests.iter().map(|_| Vec::with_capacity(rounds)).collect();
    // One after the other, round by round: what disturbs the machine disturbs all alike.
    for _ in 0..rounds {
        for ((_, go), times) in contests.iter_mut().zip(&mut times) {
            let started = Instant::now();
            go()?;
            times.push(started.elapsed());
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let medians: Vec<f64> = times.iter_mut().map(|t| median(t)).collect();
    let base = medians[0];
    if as_json {
        let rows: Vec<_> = contests
            .iter()
            .zip(&medians)
            .map(|((name, _), m)| json!({"what": name, "median_ms": m, "ratio": m / base}))
            .collect();
        say!("{}", json!({"schema": "sbx.bench/1", "rounds": rounds, "peer": "bash alone", "rows": rows}));
        return Ok(ExitCode::SUCCESS);
    }
    say!("{:40} {:>10} {:>8}", format!("median of {rounds} rounds"), "ms", "ratio");
    for ((name, _), m) in contests.iter().zip(&medians) {
        say!("{name:40} {m:>10.2} {:>8.2}", m / base);
    }
    Ok(ExitCode::SUCCESS)
}

/// In milliseconds.
fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |t| t.as_secs_f64() * 1e3)
}
