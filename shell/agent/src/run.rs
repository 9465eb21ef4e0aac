//! Many rollouts: which are missing, so many at a time, each journalled when it ends.

use crate::checkout::{Checkout, Checkouts};
use crate::harness::Harness;
use crate::rollout::{self, Ended, Shared};
use crate::server::{Client, ServerError, ServerOptions};
use crate::settings::Settings;
use crate::{Error, harness};
use sbx_records::{ExitStatus, Instance, Journal, Predictions, Rollout, write_trajectory};
use sbx_runtime::Policy;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;

/// What to roll out, and how.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// What is to be solved.
    pub instances: Vec<Instance>,
    /// Where repositories named `org/name` are.
    pub repos: Option<PathBuf>,
    /// Where checkouts are kept between runs.
    pub cache: PathBuf,
    /// The run folder.
    pub out: PathBuf,
    /// The server.
    pub server: ServerOptions,
    /// The harness's name.
    pub harness: String,
    /// What actions may do.
    pub policy: Policy,
    /// Rollouts of each instance.
    pub rollouts: u32,
    /// Rollouts at a time.
    pub concurrency: usize,
    /// Sampling temperature.
    pub temperature: f64,
    /// Seed of the run; each turn has one derived from it.
    pub seed: Option<u64>,
    /// Replies of the model, if not the harness's limit.
    pub max_turns: Option<u64>,
    /// Tokens of a conversation, if not the harness's limit.
    pub max_total_tokens: Option<u64>,
    /// Tokens kept free, if not the harness's number.
    pub reserve_tokens: Option<u64>,
    /// Tokens of a reply, if not the harness's limit.
    pub max_turn_tokens: Option<u64>,
}

/// Who watches a run. Called from the run's own task; it must not block.
pub trait Watch: Sync + Send {
    /// An instance is being checked out.
    fn checking_out(&self, _instance: &str) {}
    /// The run begins: rollouts in all, and those that were done before.
    fn begin(&self, _total: usize, _done: usize) {}
    /// A rollout has ended and is in the journal.
    fn ended(&self, _rollout: &Rollout) {}
    /// Asked before each start: 0 go on, 1 start no more, 2 end the running ones too.
    fn wish(&self) -> u8 {
        0
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rollouts asked for.
    pub total: usize,
    /// Rollouts that were done before.
    pub done_before: usize,
    /// Rollouts that ended in this run, by status.
    pub ended: HashMap<ExitStatus, usize>,
}

impl Summary {
    /// Rollouts that are still missing: errored in this run, or never started.
    pub fn missing(&self) -> usize {
        let finished: usize =
            self.ended.iter().filter(|(s, _)| **s != ExitStatus::Errored).map(|(_, n)| n).sum();
        self.total.saturating_sub(self.done_before + finished)
    }
}

/// Rolls out what the run folder does not hold yet.
///
/// # Errors
/// The options, the checkouts or the server make it impossible, or the journal cannot be written. What had ended is in
/// the journal.
pub async fn run(options: RunOptions, watch: &dyn Watch) -> Result<Summary, Error> {
    let harness = harness::by_name(&options.harness).ok_or_else(|| {
        let names = harness::HARNESSES.iter().map(|h| h.name()).collect::<Vec<_>>().join(", ");
        Error::Options(format!("--harness: expected one of {names}, found {:?}", options.harness))
    })?;
    let shared = Arc::new(shared(&options, harness)?);
    settings(&options, &shared).hold(&options.out)?;
    let mut done: HashSet<(String, u32)> = HashSet::new();
    let mut predictions = Predictions::default();
    let mut journal = Journal::open(&options.out, |rollout| {
        predictions.add(&rollout);
        // What the server or the sandbox spoiled is tried again.
        if rollout.exit_status != ExitStatus::Errored {
            done.insert((rollout.instance_id, rollout.rollout));
        }
    })?;
    let wanted = wanted(&options);
    let missing: Vec<_> =
        wanted.iter().filter(|w| !done.contains(&(w.0.instance_id.clone(), w.1))).cloned().collect();
    let mut summary =
        Summary { total: wanted.len(), done_before: wanted.len() - missing.len(), ended: HashMap::new() };
    if missing.is_empty() {
        watch.begin(summary.total, summary.done_before);
        return Ok(summary);
    }
    let needed: HashSet<&str> = missing.iter().map(|(i, _)| i.instance_id.as_str()).collect();
    let instances: Vec<Instance> =
        options.instances.iter().filter(|i| needed.contains(i.instance_id.as_str())).cloned().collect();
    let checkouts = Checkouts::new(&options.cache, options.repos.clone()).make_all(&instances, |id| {
        watch.checking_out(id);
        watch.wish() == 0
    })?;
    shared.client.preflight().await.map_err(|e| Error::Server(e.to_string()))?;
    watch.begin(summary.total, summary.done_before);
    let outcome = serve(&options, &shared, missing, &checkouts, watch, &mut |ended| {
        let record = &ended.record;
        journal.append(record)?;
        write_trajectory(&options.out, record)?;
        predictions.add(record);
        *summary.ended.entry(record.exit_status).or_default() += 1;
        watch.ended(record);
        Ok(())
    })
    .await;
    // Finished work is complete even when the run is not.
    let written = predictions.write(&options.out);
    outcome?;
    written?;
    Ok(summary)
}

type Wanted = (Arc<Instance>, u32);

fn wanted(options: &RunOptions) -> Vec<Wanted> {
    let instances = options.instances.iter().cloned().map(Arc::new);
    instances.flat_map(|i| (0..options.rollouts).map(move |n| (i.clone(), n))).collect()
}

async fn serve(
    options: &RunOptions,
    shared: &Arc<Shared>,
    missing: Vec<Wanted>,
    checkouts: &HashMap<String, Checkout>,
    watch: &dyn Watch,
    keep: &mut dyn FnMut(&Ended) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut queue = missing.into_iter();
    let mut running: JoinSet<Ended> = JoinSet::new();
    let mut failed_in_a_row = 0;
    let mut fatal: Option<Error> = None;
    // So many failures in a row are the server's, not a rollout's.
    let most_failures = options.concurrency.max(3);
    loop {
        while running.len() < options.concurrency.max(1) && fatal.is_none() && watch.wish() == 0 {
            let Some((instance, number)) = queue.next() else { break };
            let Some(checkout) = checkouts.get(&instance.instance_id) else { continue };
            running.spawn(rollout::run(shared.clone(), instance, checkout.clone(), number));
        }
        if running.is_empty() {
            break;
        }
        let joined = tokio::select! {
            joined = running.join_next() => joined,
            () = tokio::time::sleep(std::time::Duration::from_millis(200)) => {
                if watch.wish() >= 2 {
                    shared.stop.store(true, Ordering::Relaxed);
                    running.abort_all();
                }
                continue;
            }
        };
        let ended = match joined {
            Some(Ok(ended)) => ended,
            // Aborted by the user's second Ctrl-C: it is missing, and will be tried again.
            Some(Err(_)) => continue,
            None => break,
        };
        if let Err(e) = keep(&ended) {
            // A full disk: what runs now could not be kept either.
            running.abort_all();
            return Err(e);
        }
        failed_in_a_row = if ended.server.is_some() { failed_in_a_row + 1 } else { 0 };
        if let Some(error) = ended.server
            && fatal.is_none()
            && (error.is_fatal() || failed_in_a_row >= most_failures)
        {
            fatal = Some(given_up(&error, failed_in_a_row));
            shared.stop.store(true, Ordering::Relaxed);
        }
    }
    fatal.map_or(Ok(()), Err)
}

fn given_up(error: &ServerError, failed: usize) -> Error {
    Error::Server(if error.is_fatal() {
        error.to_string()
    } else {
        format!(
            "{failed} rollouts in a row failed at the server, last with: {error}; run the same command again to go on"
        )
    })
}

fn shared(options: &RunOptions, harness: &'static dyn Harness) -> Result<Shared, Error> {
    let mut limits = harness.limits();
    let set = |slot: &mut u64, value: Option<u64>| *slot = value.unwrap_or(*slot);
    set(&mut limits.turns, options.max_turns);
    set(&mut limits.total_tokens, options.max_total_tokens);
    set(&mut limits.reserve_tokens, options.reserve_tokens);
    set(&mut limits.turn_tokens, options.max_turn_tokens);
    if limits.total_tokens <= limits.reserve_tokens {
        return Err(Error::Options(format!(
            "--max-total-tokens {}: expected more than the {} that are reserved",
            limits.total_tokens, limits.reserve_tokens
        )));
    }
    let client = Client::new(options.server.clone()).map_err(|e| Error::Options(e.to_string()))?;
    Ok(Shared {
        client,
        harness,
        limits,
        policy: options.policy.clone(),
        model: options.server.model.clone(),
        temperature: options.temperature,
        seed: options.seed,
        stop: AtomicBool::new(false),
    })
}

fn settings(options: &RunOptions, shared: &Shared) -> Settings {
    Settings {
        schema: Settings::SCHEMA.into(),
        model: shared.model.clone(),
        harness: shared.harness.name().into(),
        policy: options.policy.name.clone(),
        policy_sha256: options.policy.sha256(),
        temperature: options.temperature,
        seed: options.seed,
        max_turns: shared.limits.turns,
        max_total_tokens: shared.limits.total_tokens,
        reserve_tokens: shared.limits.reserve_tokens,
        max_turn_tokens: shared.limits.turn_tokens,
    }
}

#[cfg(test)]
mod tests;
