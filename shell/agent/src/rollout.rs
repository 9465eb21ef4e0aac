//! One rollout: the model's turns, the sandbox's answers, and the patch at the end, however it ends.

use crate::Error;
use crate::budget::{self, Budget};
use crate::checkout::Checkout;
use crate::hands::{Hands, SYNTAX_TIME};
use crate::harness::{Act, Call, Harness, Limits, Submit, UNLIMITED};
use crate::server::{Ask, Pool, Reply, ServerError, Usage};
use crate::spending::Spending;
use crate::trace::RolloutSpan;
use sbx_records::{ExitStatus, Instance, Message, ObservationCounts, PolicyStamp, Rollout};
use sbx_runtime::{Observation, Outcome, Policy};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::UnboundedSender;

/// Longest reason in a record, in characters.
const MAX_DETAIL: usize = 200;
const NOT_FOUND: i32 = 127;
const DENIED: i32 = 126;

/// What all rollouts of a run share.
pub(crate) struct Shared {
    pub servers: Pool,
    /// The servers' context, once they were asked; 0 when they do not tell it.
    pub context: AtomicU64,
    pub harness: Arc<dyn Harness>,
    /// Further keys of each request, the harness's.
    pub request: serde_json::Map<String, serde_json::Value>,
    pub limits: Limits,
    pub tools: Option<serde_json::Value>,
    /// Whether thinking is sent back.
    pub echo: bool,
    pub policy: Policy,
    pub stamp: PolicyStamp,
    pub model: String,
    pub temperature: f64,
    pub seed: Option<u64>,
    pub spending: Spending,
    /// Set when running rollouts shall end at their next turn.
    pub stop: AtomicBool,
}

/// Which rollout to run, and who hears of its turns.
pub(crate) struct Order {
    pub instance: Arc<Instance>,
    pub checkout: Checkout,
    pub number: u32,
    pub turns: UnboundedSender<Turn>,
}

/// A turn has been made.
pub(crate) struct Turn {
    pub instance: Arc<Instance>,
    pub rollout: u32,
    pub turn: u64,
    pub command: String,
    pub tokens: u64,
    pub blocked: u64,
}

/// A rollout that has ended, and what on our side ended it, if anything did.
pub(crate) struct Ended {
    pub record: Rollout,
    pub trouble: Option<Trouble>,
}

/// What on our side can end a rollout.
#[derive(Debug)]
pub(crate) enum Trouble {
    Server(ServerError),
    Sandbox(String),
    /// The whole run ends.
    Stopped,
}

/// Why a conversation ended.
struct End {
    status: ExitStatus,
    detail: String,
    trouble: Option<Trouble>,
}

impl End {
    fn new(status: ExitStatus, detail: impl Into<String>) -> End {
        End { status, detail: detail.into(), trouble: None }
    }

    fn trouble(detail: impl Into<String>, trouble: Trouble) -> End {
        End { status: ExitStatus::Errored, detail: detail.into(), trouble: Some(trouble) }
    }

    fn sandbox(what: &str, why: String) -> End {
        End::trouble(format!("{what}: {why}"), Trouble::Sandbox(why))
    }
}

/// Runs one rollout to its end. Nothing of it is lost: whatever goes wrong is in the record.
pub(crate) async fn run(shared: Arc<Shared>, order: Order) -> Ended {
    let started = Instant::now();
    let mut record = Rollout {
        schema: Rollout::SCHEMA.into(),
        instance_id: order.instance.instance_id.clone(),
        repo: order.instance.repo.clone(),
        base_commit: order.checkout.commit.clone(),
        rollout: order.number,
        model: shared.model.clone(),
        harness: shared.harness.name().into(),
        started_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64()),
        seed: shared.seed,
        temperature: shared.temperature,
        policy: shared.stamp.clone(),
        sbx_version: env!("CARGO_PKG_VERSION").into(),
        ..Rollout::default()
    };
    let span = RolloutSpan::begin(&record);
    let end = match Hands::open(&shared, order.checkout.clone()).await {
        Ok(hands) => converse(&shared, &order, hands, &mut record, &span).await,
        Err(e) => End::sandbox("sandbox", e.to_string()),
    };
    record.exit_status = end.status;
    record.exit_status_detail = end.detail.chars().take(MAX_DETAIL).collect();
    record.n_turns = record.messages.iter().filter(|m| m.role == "assistant").count() as u64;
    record.duration_sec = started.elapsed().as_secs_f64();
    span.end(&record);
    Ended { record, trouble: end.trouble }
}

async fn converse(
    shared: &Arc<Shared>,
    order: &Order,
    mut hands: Hands,
    record: &mut Rollout,
    span: &RolloutSpan,
) -> End {
    (record.enforced, record.missing) = hands.walls();
    record.messages = shared.harness.opening(&order.instance, &shared.policy);
    let end = turns(shared, order, &mut hands, record, span).await;
    match hands.patch().await {
        Ok(patch) => {
            record.patch = patch;
            end
        }
        // The reason that came first says more.
        Err(_) if end.trouble.is_some() => end,
        // A conversation without its patch is not a finished rollout.
        Err(why) => End::sandbox("patch", why),
    }
}

async fn turns(
    shared: &Arc<Shared>,
    order: &Order,
    hands: &mut Hands,
    record: &mut Rollout,
    span: &RolloutSpan,
) -> End {
    let (harness, limits) = (shared.harness.as_ref(), shared.limits);
    let mut room = Room::of(shared);
    let mut budget = Budget::new(room.total, limits.reserve_tokens, limits.turn_tokens);
    let sticky = format!("{}/{}", record.instance_id, record.rollout);
    let problem = order.instance.problem_statement.clone();
    let mut state = State { problem, ..State::default() };
    let (mut turn, spending) = (0, shared.spending);
    let end = Deadline::after(spending.time);
    while turn < limits.turns {
        if shared.stop.load(Ordering::Relaxed) {
            return End::trouble("the run was stopped", Trouble::Stopped);
        }
        let sent = harness.trimmed(&record.messages);
        // What is left out is not paid for, and the server's count is not of what is here.
        let estimate: &[Message] = if matches!(sent, Cow::Owned(_)) { &sent } else { &record.messages };
        let seed = shared.seed.map(|seed| derive(seed, &record.instance_id, record.rollout, turn));
        let (tools, more) = (shared.tools.as_ref(), &shared.request);
        let mut ask =
            Ask { max_tokens: None, temperature: shared.temperature, seed, tools, more, echo: shared.echo };
        if budget.is_close(estimate)
            && let Some(Some(count)) =
                end.hold(shared.servers.count(&sticky, &sent, budget.counted(), ask)).await
        {
            budget.take(count, estimate);
        }
        let Some(max_tokens) = budget.next(estimate) else {
            return End::new(ExitStatus::Incomplete, room.used());
        };
        ask.max_tokens = (limits.turn_tokens != UNLIMITED).then_some(max_tokens);
        if let Some(most) = spending.cost.filter(|most| record.cost >= *most) {
            return End::new(ExitStatus::Incomplete, format!("cost limit of {most} reached"));
        }
        if end.is_over() {
            return end.told();
        }
        let chat = span.chat(record, ask);
        let Some(answer) = end.hold(shared.servers.chat(&sticky, &sent, ask)).await else {
            return end.told();
        };
        chat.end(&answer);
        let reply = match answer {
            Ok(reply) => reply,
            Err(e @ ServerError::ContextOverflow { .. }) => {
                // A server that had not told its context before: from now on it is kept.
                if room.learn(shared, &e) {
                    budget.shrink(room.total);
                    continue;
                }
                return End::new(ExitStatus::Incomplete, e.to_string());
            }
            Err(e) => {
                return End::trouble(format!("API error at turn {}: {e}", turn + 1), Trouble::Server(e));
            }
        };
        turn += 1;
        let finish = take(reply, ask, record, &mut budget, shared);
        let calls = record.messages.last().map(|reply| harness.calls(reply)).unwrap_or_default();
        record_actions(record, &calls);
        let first =
            calls.first().map(|call| if call.text().is_empty() { call.tool.as_str() } else { call.text() });
        let heard = Turn {
            instance: order.instance.clone(),
            rollout: order.number,
            turn,
            command: first
                .and_then(|c| c.trim_start().lines().next())
                .unwrap_or_default()
                .chars()
                .take(MAX_DETAIL)
                .collect(),
            tokens: record.completion_tokens,
            blocked: record.observations.not_found + record.observations.denied,
        };
        // Nobody hears when the run is being taken down.
        let _ = order.turns.send(heard);
        if calls.is_empty() {
            state.without_call += 1;
            if let Some(end) = answer_no_call(harness, &finish, &mut state, record) {
                return end;
            }
            if state.failed_from.is_some() {
                budget.forget();
            }
            continue;
        }
        match state.refusal(shared, &calls, hands, end).await {
            Err(why) => return End::sandbox("sandbox", why),
            Ok(Some(text)) => {
                state.without_call += 1;
                state.pass(record);
                record.messages.push(Message::new("user", text));
                budget.forget();
                if state.without_call >= harness.most_faults() {
                    return End::new(ExitStatus::Other, "exit_format");
                }
                continue;
            }
            Ok(None) => {}
        }
        state.without_call = 0;
        if let Some(from) = state.failed_from.take() {
            // The exchanges that failed are not part of the conversation.
            let last = record.messages.len() - 1;
            record.messages.drain(from..last);
            budget.forget();
        }
        for call in calls {
            if end.is_over() {
                return end.told();
            }
            if let Some(end) = act(shared, &call, hands, record, &mut state, end, span).await {
                return end;
            }
        }
    }
    End::new(ExitStatus::Incomplete, format!("turn limit of {} reached", limits.turns))
}

/// When the wall time of a rollout is over, if ever.
#[derive(Clone, Copy)]
struct Deadline {
    time: Option<Duration>,
    started: Instant,
}

impl Deadline {
    fn after(time: Option<Duration>) -> Deadline {
        Deadline { time, started: Instant::now() }
    }

    /// What is left of a time.
    fn left(self, of: Duration) -> Duration {
        self.time.map_or(of, |time| time.saturating_sub(self.started.elapsed()).min(of))
    }

    fn is_over(self) -> bool {
        self.left(Duration::MAX).is_zero()
    }

    /// Waits for something as long as there is time.
    async fn hold<T>(self, what: impl Future<Output = T>) -> Option<T> {
        match self.time {
            Some(_) => tokio::time::timeout(self.left(Duration::MAX), what).await.ok(),
            None => Some(what.await),
        }
    }

    fn told(self) -> End {
        let seconds = self.time.unwrap_or_default().as_secs_f64();
        End::new(ExitStatus::Incomplete, format!("wall time of {seconds} s used"))
    }
}

/// Tokens that a conversation may have: the harness's budget, or what the server can hold.
struct Room {
    total: u64,
    is_servers: bool,
}

impl Room {
    fn of(shared: &Shared) -> Room {
        let mut room = Room { total: shared.limits.total_tokens, is_servers: false };
        room.hold(shared.context.load(Ordering::Relaxed), shared.limits.reserve_tokens);
        room
    }

    /// Keeps to a server's context, if it is smaller; returns whether it is.
    fn hold(&mut self, context: u64, reserve: u64) -> bool {
        let is_smaller = context > reserve && context < self.total;
        if is_smaller {
            *self = Room { total: context, is_servers: true };
        }
        is_smaller
    }

    /// Learns the context from a refusal, for the rollouts to come too; returns whether it was not known.
    fn learn(&mut self, shared: &Shared, refusal: &ServerError) -> bool {
        let ServerError::ContextOverflow { limit: Some(limit), .. } = refusal else { return false };
        let learned = self.hold(*limit, shared.limits.reserve_tokens);
        if learned {
            shared.context.store(*limit, Ordering::Relaxed);
        }
        learned
    }

    fn used(&self) -> String {
        let what = if self.is_servers { "context" } else { "token budget" };
        format!("{what} of {} used", self.total)
    }
}

/// What a conversation remembers from turn to turn.
#[derive(Default)]
struct State {
    problem: String,
    /// Replies in a row without an action.
    without_call: u64,
    /// Where exchanges that will be forgotten begin.
    failed_from: Option<usize>,
    submissions: u64,
    /// Actions in a row that timed out.
    timeouts: u64,
    /// The list that was noted last.
    note: Option<String>,
}

impl State {
    /// The last reply will leave the conversation. Of several in a row only the last is there, as text: so SWE-agent asks
    /// again. What it called stays in the record under another name.
    fn pass(&mut self, record: &mut Rollout) {
        let last = record.messages.len().saturating_sub(1);
        if let Some(from) = self.failed_from {
            record.messages.drain(from..last);
        } else {
            self.failed_from = Some(last);
        }
        drop_calls(record);
    }

    /// What the model reads instead of an observation, when the harness does not run a script.
    async fn refusal(
        &self,
        shared: &Arc<Shared>,
        calls: &[Call],
        hands: &mut Hands,
        end: Deadline,
    ) -> Result<Option<String>, String> {
        let harness = shared.harness.as_ref();
        let Some(Act::Script(script)) = calls.first().map(|call| &call.act) else { return Ok(None) };
        if let Some(text) = harness.blocks(script) {
            return Ok(Some(text));
        }
        if harness.syntax_fault("").is_none() {
            return Ok(None);
        }
        let said = hands.syntax_error(script.clone(), end.left(SYNTAX_TIME)).await?;
        Ok(said.and_then(|said| harness.syntax_fault(&said)))
    }
}

/// The last reply goes back as its text alone; the record keeps its calls under another name.
fn drop_calls(record: &mut Rollout) {
    if let Some(reply) = record.messages.last_mut()
        && let Some(calls) = reply.tool_calls.take_if(|calls| *calls != serde_json::json!([]))
    {
        reply.extra.insert("refused_tool_calls".into(), calls);
    }
}

fn answer_no_call(
    harness: &dyn Harness,
    finish: &str,
    state: &mut State,
    record: &mut Rollout,
) -> Option<End> {
    let reply = record.messages.last()?;
    let answer = harness.no_call(reply, finish, state.without_call);
    if answer.is_passing {
        state.pass(record);
    }
    if answer.drops_calls {
        drop_calls(record);
    }
    if !answer.keeps_reply {
        record.messages.pop();
    }
    record.messages.push(answer.message);
    answer.end.map(|(status, detail)| End::new(status, detail))
}

/// Does what a call asks for and takes what is seen of it into the record; returns the end, when it is one.
async fn act(
    shared: &Arc<Shared>,
    call: &Call,
    hands: &mut Hands,
    record: &mut Rollout,
    state: &mut State,
    end: Deadline,
    span: &RolloutSpan,
) -> Option<End> {
    let harness = shared.harness.as_ref();
    let tool = span.tool(call);
    let message = match &call.act {
        Act::Script(script) => {
            let time = end.left(shared.limits.action_time);
            let seen = match hands.act(shared, script.clone(), time).await {
                Ok(seen) => seen,
                Err(why) => return Some(End::sandbox("sandbox", why)),
            };
            tool.end(Some(&seen));
            count(&mut record.observations, &seen);
            let observation = harness.observation(call, &seen);
            if let Some(submission) = harness.submission(&seen) {
                return Some(submitted(record, submission, observation));
            }
            // What the rollout's own time cut short did not take too long.
            let timed_out = seen.outcome == Outcome::TimedOut && !end.is_over();
            state.timeouts = if timed_out { state.timeouts + 1 } else { 0 };
            observation
        }
        Act::Type(input) => match hands.type_in(input.clone(), end.left(Duration::MAX)).await {
            Ok((seen, text, cwd)) => {
                tool.end(Some(&seen));
                count(&mut record.observations, &seen);
                harness.said(call, &cwd, &text)
            }
            Err(why) => return Some(End::sandbox("sandbox", why)),
        },
        Act::Edit(edit) => match hands.edit(edit.clone()).await {
            Ok(text) => {
                tool.end(None);
                record.observations.total += 1;
                harness.said(call, "", &text)
            }
            Err(why) => return Some(End::sandbox("editor", why)),
        },
        Act::Say(text) => {
            tool.end(None);
            harness.said(call, "", text)
        }
        Act::Note { list, said } => {
            tool.end(None);
            state.note = Some(list.clone());
            harness.said(call, "", said)
        }
        Act::Notes(none) => {
            tool.end(None);
            harness.said(call, "", state.note.as_deref().unwrap_or(none))
        }
        Act::Submit(_) => {
            let patch = match hands.patch().await {
                Ok(patch) => patch,
                Err(why) => return Some(End::sandbox("patch", why)),
            };
            tool.end(None);
            state.submissions += 1;
            match harness.submit(call, &patch, &state.problem, state.submissions - 1) {
                Submit::Review(message) => message,
                Submit::Done { submission, observation } => {
                    return Some(submitted(record, submission, observation));
                }
            }
        }
    };
    record.messages.push(message);
    (state.timeouts >= harness.most_timeouts())
        .then(|| End::new(ExitStatus::Incomplete, "exit_command_timeout"))
}

fn submitted(record: &mut Rollout, submission: String, observation: Message) -> End {
    record.submission = submission;
    record.final_observation = Some(observation.content);
    End::new(ExitStatus::Submitted, "Submitted")
}

/// Takes a reply into the record; returns why it ended.
fn take(
    mut reply: Reply,
    ask: Ask<'_>,
    record: &mut Rollout,
    budget: &mut Budget,
    shared: &Shared,
) -> String {
    reply.message.without_content &= shared.harness.keeps_null();
    shared.harness.complete(&mut reply.message);
    // Where mini-swe-agent keeps such things; it is never sent.
    let mut extra = serde_json::Map::new();
    extra.extend(ask.seed.map(|seed| ("seed".into(), seed.into())));
    extra.extend(ask.max_tokens.map(|most| ("max_tokens".into(), most.into())));
    extra.insert("finish_reason".into(), reply.finish_reason.clone().into());
    extra.extend(reply.around);
    reply.message.extra.entry("extra").or_insert_with(|| extra.into());
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
    record.cost += shared.spending.prices.of(usage);
    budget.count(usage, &record.messages);
    reply.finish_reason
}

/// Every harness has a grammar of its own: where others would read something else out of the last reply, what it did is
/// recorded as mini-swe-agent does. Native calls that are done stand there already.
fn record_actions(record: &mut Rollout, calls: &[Call]) {
    let Some(reply) = record.messages.last_mut() else { return };
    let is_native = reply.tool_calls.as_ref().and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    let read = reply.acted();
    if is_native && !calls.is_empty()
        || read.len() == calls.len() && read.iter().zip(calls).all(|(read, call)| call.is(read))
    {
        return;
    }
    if let Some(extra) = reply.extra.get_mut("extra").and_then(Value::as_object_mut) {
        extra.insert("actions".into(), calls.iter().map(Call::recorded).collect());
    }
}

fn count(counts: &mut ObservationCounts, seen: &Observation) {
    counts.total += 1;
    counts.not_found += u64::from(seen.exit_code == NOT_FOUND);
    counts.denied += u64::from(seen.outcome == Outcome::Refused || seen.exit_code == DENIED);
    counts.timed_out += u64::from(seen.outcome == Outcome::TimedOut);
}

/// Builds one sandbox and takes it down again: whether this host can, before any rollout needs it.
pub(crate) async fn try_sandbox(shared: &Arc<Shared>, checkout: &Checkout) -> Result<(), Error> {
    Hands::open(shared, checkout.clone()).await.map(drop)
}

/// The seed of one turn: the same run gives the same seeds, whatever the order of its rollouts.
///
/// The first four bytes, little-endian, of SHA-256 over run seed, instance, rollout and turn (both from 0) in decimal
/// with NUL between them; without its lowest bit, because servers store seeds as signed 64-bit or even 32-bit numbers.
fn derive(seed: u64, instance: &str, rollout: u32, turn: u64) -> u64 {
    let hash = Sha256::digest(format!("{seed}\0{instance}\0{rollout}\0{turn}"));
    u64::from(u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]) >> 1)
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
