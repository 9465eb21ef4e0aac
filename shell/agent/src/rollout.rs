//! One rollout: the model's turns, the sandbox's answers, and the patch at the end, however it ends.

use crate::budget::{self, Budget};
use crate::checkout::Checkout;
use crate::harness::{Harness, Limits};
use crate::server::{Ask, Client, Reply, ServerError, Usage};
use sbx_bash::Shell;
use sbx_records::{ExitStatus, Instance, Message, ObservationCounts, PolicyStamp, Rollout};
use sbx_runtime::{Action, Observation, Outcome, Policy};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Longest reason in a record, in characters.
const MAX_DETAIL: usize = 200;
/// Where a checkout appears in the sandbox.
pub(crate) const WORKSPACE: &str = "/workspace";
const NOT_FOUND: i32 = 127;
const DENIED: i32 = 126;

/// What all rollouts of a run share.
pub(crate) struct Shared {
    pub client: Client,
    pub harness: &'static dyn Harness,
    pub limits: Limits,
    pub policy: Policy,
    pub model: String,
    pub temperature: f64,
    pub seed: Option<u64>,
    /// Set when running rollouts shall end at their next turn.
    pub stop: AtomicBool,
}

/// A rollout that has ended, and what was wrong with the server if that ended it.
pub(crate) struct Ended {
    pub record: Rollout,
    pub server: Option<ServerError>,
}

/// Why a conversation ended.
struct End {
    status: ExitStatus,
    detail: String,
    server: Option<ServerError>,
}

impl End {
    fn new(status: ExitStatus, detail: impl Into<String>) -> End {
        End { status, detail: detail.into(), server: None }
    }
}

/// Runs one rollout to its end. Nothing of it is lost: whatever goes wrong is in the record.
pub(crate) async fn run(
    shared: Arc<Shared>,
    instance: Arc<Instance>,
    checkout: Checkout,
    number: u32,
) -> Ended {
    let started = Instant::now();
    let mut record = Rollout {
        schema: Rollout::SCHEMA.into(),
        instance_id: instance.instance_id.clone(),
        repo: instance.repo.clone(),
        base_commit: checkout.commit.clone(),
        rollout: number,
        model: shared.model.clone(),
        harness: shared.harness.name().into(),
        started_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64()),
        seed: shared.seed,
        temperature: shared.temperature,
        policy: PolicyStamp { name: shared.policy.name.clone(), sha256: shared.policy.sha256() },
        sbx_version: env!("CARGO_PKG_VERSION").into(),
        ..Rollout::default()
    };
    let policy = shared.policy.clone();
    let opened = blocking(move || Shell::open(&policy, checkout.workspace(WORKSPACE))).await;
    let end = match opened {
        Ok(Ok(mut shell)) => {
            let plan = shell.sandbox().plan();
            (record.enforced, record.missing) = (plan.enforced.clone(), plan.missing.clone());
            converse(&shared, &instance, shell, &mut record).await
        }
        Ok(Err(e)) => End::new(ExitStatus::Errored, format!("sandbox: {e}")),
        Err(why) => End::new(ExitStatus::Errored, why),
    };
    record.exit_status = end.status;
    record.exit_status_detail = end.detail.chars().take(MAX_DETAIL).collect();
    record.n_turns = record.messages.iter().filter(|m| m.role == "assistant").count() as u64;
    record.duration_sec = started.elapsed().as_secs_f64();
    Ended { record, server: end.server }
}

async fn converse(shared: &Arc<Shared>, instance: &Instance, shell: Shell, record: &mut Rollout) -> End {
    record.messages = shared.harness.opening(instance, &shared.policy);
    let mut hands = Hands { shell: Some(shell) };
    let end = turns(shared, &mut hands, record).await;
    match hands.patch().await {
        Ok(patch) => {
            record.patch = patch;
            end
        }
        // A conversation without its patch is not a finished rollout.
        Err(why) => End { status: ExitStatus::Errored, detail: format!("patch: {why}"), ..end },
    }
}

async fn turns(shared: &Arc<Shared>, hands: &mut Hands, record: &mut Rollout) -> End {
    let (harness, limits) = (shared.harness, shared.limits);
    let mut budget = Budget::new(limits.total_tokens, limits.reserve_tokens, limits.turn_tokens);
    for turn in 0..limits.turns {
        if shared.stop.load(Ordering::Relaxed) {
            return End::new(ExitStatus::Errored, "interrupted");
        }
        let Some(max_tokens) = budget.next(&record.messages) else {
            return End::new(ExitStatus::Incomplete, format!("token budget of {} used", limits.total_tokens));
        };
        let seed = shared.seed.map(|seed| derive(seed, &record.instance_id, record.rollout, turn));
        let ask = Ask { max_tokens, temperature: shared.temperature, seed };
        let reply = match shared.client.chat(&record.messages, ask).await {
            Ok(reply) => reply,
            Err(e @ ServerError::ContextOverflow { .. }) => {
                return End::new(ExitStatus::Incomplete, e.to_string());
            }
            Err(e) => {
                let detail = format!("API error at turn {}: {e}", turn + 1);
                return End { status: ExitStatus::Errored, detail, server: Some(e) };
            }
        };
        let finish = take(reply, record, &mut budget);
        let text = record.messages.last().map_or("", |m| m.content.as_str());
        let Some(action) = harness.action(text) else {
            record.messages.push(Message::new("user", harness.no_action()));
            if finish == "stop" {
                return End::new(ExitStatus::Incomplete, "a reply without an action");
            }
            continue;
        };
        let seen = match hands.act(shared, action).await {
            Ok(seen) => seen,
            Err(why) => return End::new(ExitStatus::Errored, format!("sandbox: {why}")),
        };
        count(&mut record.observations, &seen);
        let observation = harness.observation(&seen);
        if let Some(submission) = harness.submission(&seen) {
            record.submission = submission;
            record.final_observation = Some(observation);
            return End::new(ExitStatus::Submitted, "Submitted");
        }
        record.messages.push(Message::new("user", observation));
    }
    End::new(ExitStatus::Incomplete, format!("turn limit of {} reached", limits.turns))
}

/// Takes a reply into the record; returns why it ended.
fn take(reply: Reply, record: &mut Rollout, budget: &mut Budget) -> String {
    let usage = reply.usage.unwrap_or_else(|| {
        record.tokens_estimated = true;
        Usage {
            prompt_tokens: budget.estimate(&record.messages),
            completion_tokens: budget::estimate(std::slice::from_ref(&reply.message)),
            cached_tokens: 0,
        }
    });
    record.messages.push(reply.message);
    record.api_calls += 1;
    record.prompt_tokens += usage.prompt_tokens;
    record.completion_tokens += usage.completion_tokens;
    record.cached_tokens += usage.cached_tokens;
    budget.count(usage, &record.messages);
    reply.finish_reason
}

fn count(counts: &mut ObservationCounts, seen: &Observation) {
    counts.total += 1;
    counts.not_found += u64::from(seen.exit_code == NOT_FOUND);
    counts.denied += u64::from(seen.outcome == Outcome::Refused || seen.exit_code == DENIED);
    counts.timed_out += u64::from(seen.outcome == Outcome::TimedOut);
}

/// The seed of one turn: the same run gives the same seeds, whatever the order of its rollouts.
fn derive(seed: u64, instance: &str, rollout: u32, turn: u64) -> u64 {
    let hash = Sha256::digest(format!("{seed}\0{instance}\0{rollout}\0{turn}"));
    // Servers store seeds as signed 64-bit or even 32-bit numbers; 31 bits fit all.
    u64::from(u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]) >> 1)
}

/// The sandbox, lent to a blocking thread for each action.
struct Hands {
    shell: Option<Shell>,
}

impl Hands {
    async fn act(&mut self, shared: &Arc<Shared>, script: String) -> Result<Observation, String> {
        let shared = shared.clone();
        self.lend(move |shell| {
            let mut action = Action::bash(&script).time(shared.limits.action_time);
            for (key, value) in shared.harness.environment(WORKSPACE) {
                action = action.env(key, value);
            }
            shell.act(&action).map_err(|e| e.to_string())
        })
        .await
    }

    async fn patch(&mut self) -> Result<String, String> {
        self.lend(|shell| {
            let changes = shell.changes().map_err(|e| e.to_string())?;
            Ok(String::from_utf8_lossy(&changes.try_diff().map_err(|e| e.to_string())?).into_owned())
        })
        .await
    }

    async fn lend<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Shell) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let mut shell = self.shell.take().ok_or("the sandbox is gone")?;
        let (shell, done) = blocking(move || {
            let done = work(&mut shell);
            (shell, done)
        })
        .await?;
        self.shell = Some(shell);
        done
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        // Taking a sandbox down waits for the kernel; that is no work for a thread that serves others.
        if let (Some(shell), Ok(handle)) = (self.shell.take(), tokio::runtime::Handle::try_current()) {
            handle.spawn_blocking(move || drop(shell));
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|e| format!("a thread of ours failed: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turns_seed_depends_on_everything_and_fits_31_bits() {
        let all = [
            derive(1, "a", 0, 0),
            derive(2, "a", 0, 0),
            derive(1, "b", 0, 0),
            derive(1, "a", 1, 0),
            derive(1, "a", 0, 1),
        ];
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 5);
        assert!(all.iter().all(|s| *s < 1 << 31));
        assert_eq!(derive(1, "a", 0, 0), all[0]);
    }
}
