//! Runs against the scripted server, with real checkouts and real sandboxes.

use super::*;
use crate::TurnSeen;
use crate::scripted::{Asked, Dialect, Fault, Script, ScriptedServer, Turns};
use crate::server::Retry;
use sbx_records::{Message, Rollout, trajectory_path};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

mod begin;
mod context;
mod faults;
mod mini;
mod pool;
mod resume;
mod tools;

fn reply(command: &str) -> String {
    format!("THOUGHT: next.\n\n```bash\n{command}\n```")
}

fn script(commands: &[&str]) -> Script {
    Script { rollouts: vec![Turns { replies: commands.iter().map(|c| reply(c)).collect() }] }
}

const FIX: [&str; 4] = [
    "grep -n one file.txt",
    "sed -i 's/one/two/' file.txt && python3 -V",
    "git diff | head -n 3",
    "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff --stat",
];

fn repository(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("file.txt"), "one\n").unwrap();
    for args in [
        &["init", "-q"][..],
        &["add", "-A"],
        &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "base"],
    ] {
        assert!(Command::new("git").current_dir(dir).args(args).status().unwrap().success());
    }
}

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        repository(&dir.path().join("repos/org/name"));
        World { dir }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn options(&self, base_url: String, rollouts: u32) -> RunOptions {
        let row = r#"{"instance_id":"org__name-1","repo":"org/name","base_commit":"HEAD","problem_statement":"one"}"#;
        RunOptions {
            instances: sbx_records::read_instances(row.as_bytes(), "t").unwrap(),
            repos: Some(self.dir.path().join("repos")),
            cache: self.dir.path().join("cache"),
            out: self.out(),
            server: ServerOptions {
                base_urls: vec![base_url],
                model: "m".into(),
                api_key: None,
                extra_body: serde_json::Map::new(),
                timeout: Duration::from_secs(20),
                idle: None,
                retry: Retry {
                    attempts: 4,
                    first: Duration::from_millis(5),
                    longest: Duration::from_millis(20),
                },
            },
            harness: "swe-zero".into(),
            harness_config: None,
            policy: Policy::preset("whitelist").unwrap(),
            rollouts,
            shard: Shard::default(),
            retry: RetryFailed::default(),
            echo: Echo::default(),
            concurrency: 3,
            temperature: 1.0,
            seed: Some(7),
            max_turns: None,
            max_total_tokens: None,
            reserve_tokens: None,
            max_turn_tokens: None,
            spending: Spending::default(),
        }
    }

    fn journal(&self) -> Vec<Rollout> {
        let mut all = Vec::new();
        sbx_records::read_journal(&self.out(), |r| all.push(r)).unwrap();
        all
    }

    /// Runs one rollout of these commands and returns it.
    async fn one(&self, commands: &[&str]) -> Rollout {
        let server = ScriptedServer::start(script(commands)).await.unwrap();
        run(self.options(server.base_url(), 1), &Ears::default()).await.unwrap();
        self.journal().remove(0)
    }
}

/// Keeps what it hears; wishes what it is told to, after so many rollouts.
#[derive(Default)]
struct Ears {
    heard: Mutex<Heard>,
    wish: u8,
    after: usize,
}

#[derive(Default)]
struct Heard {
    started: Vec<u32>,
    turns: usize,
    ended: usize,
}

impl Watch for Ears {
    fn started(&self, _: &str, rollout: u32) {
        self.heard.lock().unwrap().started.push(rollout);
    }
    fn turn(&self, _: &TurnSeen<'_>) {
        self.heard.lock().unwrap().turns += 1;
    }
    fn ended(&self, _: &Rollout) {
        self.heard.lock().unwrap().ended += 1;
    }
    fn wish(&self) -> u8 {
        if self.heard.lock().unwrap().ended >= self.after { self.wish } else { 0 }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_ends_with_its_patch_and_its_messages() {
    let world = World::new();
    let server = ScriptedServer::start(script(&FIX)).await.unwrap();
    let ears = Ears::default();
    let summary = run(world.options(server.base_url(), 2), &ears).await.unwrap();
    assert_eq!(summary.ended[&ExitStatus::Submitted], 2);
    assert_eq!(ears.heard.lock().unwrap().started, [0, 1]);
    assert!(ears.heard.lock().unwrap().turns > 0);
    let rollout = &world.journal()[0];
    let said: Vec<_> = rollout.messages[2..].iter().map(|m| (m.role.as_str(), m.content.as_str())).collect();
    let replies: Vec<String> = FIX.iter().map(|c| reply(c)).collect();
    let expected = [
        ("assistant", replies[0].as_str()),
        ("user", "Observation: 1:one\n"),
        ("assistant", &replies[1]),
        ("user", "Observation: \nbash: line 1: python3: command not found\n"),
        ("assistant", &replies[2]),
        (
            "user",
            "Observation: diff --git a/file.txt b/file.txt\nindex 5626abf..f719efd 100644\n--- a/file.txt\n",
        ),
        // The observation that ends a rollout is not among the messages.
        ("assistant", &replies[3]),
    ];
    assert_eq!(said, expected);
    let last = rollout.final_observation.as_deref().unwrap();
    assert!(
        last.starts_with("Observation: COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT\n file.txt | 2 +-\n"),
        "{last}"
    );
    assert!(rollout.submission.starts_with(" file.txt | 2 +-\n"), "{}", rollout.submission);
    assert_eq!((rollout.n_turns, rollout.observations.total, rollout.observations.not_found), (4, 4, 1));
    assert!(rollout.patch.contains("-one\n+two\n"), "{}", rollout.patch);
    assert_eq!(std::fs::read_to_string(world.dir.path().join("repos/org/name/file.txt")).unwrap(), "one\n");
    let preds = std::fs::read_to_string(world.out().join("preds.json")).unwrap();
    assert!(preds.contains("org__name-1") && preds.contains("+two"));
    assert!(world.out().join("trajectories/org__name-1/1.traj.json").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_only_grow_and_tokens_are_their_sum() {
    let world = World::new();
    let server = ScriptedServer::start(script(&FIX)).await.unwrap();
    let mut options = world.options(server.base_url(), 1);
    options.server.extra_body.insert("top_p".into(), 0.5.into());
    run(options, &Ears::default()).await.unwrap();
    let requests = server.requests();
    let keys: Vec<_> = requests[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["model", "messages", "temperature", "max_tokens", "seed", "top_p"]);
    for pair in requests.windows(2) {
        let [before, after] = [0, 1].map(|i| pair[i]["messages"].as_array().unwrap());
        assert_eq!(before[..], after[..before.len()], "a server's prefix cache holds");
        assert_eq!(after.len(), before.len() + 2);
        assert_ne!(pair[0]["seed"], pair[1]["seed"]);
    }
    assert!(requests.iter().all(|r| r["max_tokens"] == 1024 && r["temperature"] == 1.0));
    let prompt: u64 = requests.iter().map(|r| (r["messages"].to_string().len() as u64).div_ceil(4)).sum();
    let rollout = world.journal().remove(0);
    assert_eq!(rollout.prompt_tokens, prompt, "the sum over all turns");
    // Each turn's own seed and cost are kept, and what else the server said.
    let replies: Vec<_> = rollout.messages.iter().filter(|m| m.role == "assistant").collect();
    for (reply, request) in replies.iter().zip(&requests) {
        let extra = &reply.extra["extra"];
        assert_eq!((&extra["seed"], &extra["max_tokens"]), (&request["seed"], &request["max_tokens"]));
        assert_eq!((&extra["finish_reason"], &extra["response"]["id"]), (&"stop".into(), &"scripted".into()));
        assert!(extra["usage"]["prompt_tokens"].as_u64() > Some(100));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_has_the_variables_of_the_data_set() {
    let world = World::new();
    let show = "env | grep -E '^(HOME|LANG|LC_ALL|PAGER|PWD|REPO_PATH|SHELL|TERM)=' | sort";
    let rollout = world.one(&[show, FIX[3]]).await;
    let expected = "Observation: HOME=/workspace\nLANG=C.UTF-8\nLC_ALL=C.UTF-8\nPAGER=cat\nPWD=/workspace\n\
        REPO_PATH=/workspace\nSHELL=/bin/bash\nTERM=dumb\n";
    assert_eq!(rollout.messages[3].content, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_output_is_counted_though_it_is_not_kept() {
    let world = World::new();
    let rollout = world.one(&["head -c 3000000 /dev/zero | tr '\\0' a", FIX[3]]).await;
    let text = &rollout.messages[3].content;
    assert!(
        text.contains("\n\n... (output truncated, 2992000 chars elided) ...\n\n"),
        "{}",
        &text[3990..4100]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn git_in_a_rollout_sees_one_commit_and_a_clean_tree() {
    let world = World::new();
    let rollout = world
        .one(&["git status --short && git log --all --oneline | wc -l && git fsck 2>&1 | wc -l", FIX[3]])
        .await;
    assert_eq!(rollout.messages[3].content, "Observation: 1\n0\n");
    assert_eq!(rollout.patch, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_end_a_rollout_as_incomplete_and_its_patch_is_kept() {
    let world = World::new();
    let more = script(&["echo more >> file.txt && seq 1 3000"]);
    let server = ScriptedServer::start_with(more, |_| Some(Fault::Strict(32_768))).await.unwrap();
    run(world.options(server.base_url(), 1), &Ears::default()).await.unwrap();
    let rollout = &world.journal()[0];
    let end = (rollout.exit_status, rollout.exit_status_detail.as_str());
    assert_eq!(end, (ExitStatus::Incomplete, "token budget of 32768 used"));
    assert!(rollout.patch.contains("+more"));

    let world = World::new();
    let mut options = world.options(server.base_url(), 1);
    options.max_turns = Some(3);
    run(options, &Ears::default()).await.unwrap();
    assert_eq!(world.journal()[0].exit_status_detail, "turn limit of 3 reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_and_money_end_a_rollout_as_incomplete() {
    let world = World::new();
    let more = ["echo more >> file.txt"];
    let server = ScriptedServer::start(script(&more)).await.unwrap();
    let mut options = world.options(server.base_url(), 1);
    // Prompts are free, so that the sum is that of the replies.
    options.spending.prices = crate::Prices { output: 1e6, ..Default::default() };
    options.spending.cost = Some(30.0);
    run(options, &Ears::default()).await.unwrap();
    let rollout = &world.journal()[0];
    assert_eq!(rollout.exit_status_detail, "cost limit of 30 reached");
    assert_eq!(rollout.cost, rollout.completion_tokens as f64);
    let last = rollout.completion_tokens / rollout.n_turns;
    assert!(rollout.cost >= 30.0 && rollout.cost < 30.0 + last as f64, "{}", rollout.cost);

    let world = World::new();
    // The second request is never answered.
    let hang = |asked: Asked| (asked.turn > 0).then(|| Fault::Slow(Duration::from_secs(600)));
    let server = ScriptedServer::start_with(script(&more), hang).await.unwrap();
    let mut options = world.options(server.base_url(), 1);
    options.server.timeout = Duration::from_secs(600);
    options.spending.time = Some(Duration::from_secs(3));
    run(options, &Ears::default()).await.unwrap();
    let rollout = &world.journal()[0];
    let end = (rollout.exit_status, rollout.exit_status_detail.as_str());
    assert_eq!(end, (ExitStatus::Incomplete, "wall time of 3 s used"));
    assert!(rollout.n_turns <= 1, "{}", rollout.n_turns);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_has_no_more_time_than_its_rollout() {
    for harness in ["swe-zero", "swe-agent", "openhands"] {
        let world = World::new();
        let command = "echo more >> file.txt; sleep 500";
        let replies = vec![reply(command)];
        let server = ScriptedServer::start(Script { rollouts: vec![Turns { replies }] }).await.unwrap();
        let mut options = world.options(server.base_url(), 1);
        options.harness = harness.into();
        options.spending.time = Some(Duration::from_secs(2));
        let started = Instant::now();
        run(options, &Ears::default()).await.unwrap();
        let (time, rollout) = (started.elapsed(), world.journal().remove(0));
        // Less than the terminal's patience with a command that is quiet.
        assert!(time < Duration::from_secs(9), "{harness}: {time:?}");
        let end = (rollout.exit_status, rollout.exit_status_detail.as_str());
        assert_eq!(end, (ExitStatus::Incomplete, "wall time of 2 s used"), "{harness}");
        assert!(rollout.patch.contains("+more") && rollout.n_turns == 1, "{harness}: {}", rollout.patch);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_action_ends_a_rollout_when_the_model_stopped_and_not_when_it_was_cut() {
    for (fault, turns, detail) in
        [(None, 1, "a reply without an action"), (Some(Fault::Length), 5, "turn limit of 5 reached")]
    {
        let world = World::new();
        let talk = Script { rollouts: vec![Turns { replies: vec!["Hm.\n```bash\nls".into()] }] };
        let server = ScriptedServer::start_with(talk, move |_| fault.clone()).await.unwrap();
        let mut options = world.options(server.base_url(), 1);
        options.max_turns = Some(5);
        run(options, &Ears::default()).await.unwrap();
        let rollout = &world.journal()[0];
        assert_eq!(rollout.exit_status, ExitStatus::Incomplete);
        assert_eq!((rollout.n_turns, rollout.exit_status_detail.as_str()), (turns, detail));
        let last = &rollout.messages.last().unwrap().content;
        assert_eq!(last, "Please always provide EXACTLY ONE action in triple backticks.");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_run_at_a_time_and_no_more() {
    let world = World::new();
    let slow = |_| Some(Fault::Slow(Duration::from_millis(500)));
    let server = ScriptedServer::start_with(script(&FIX[3..]), slow).await.unwrap();
    run(world.options(server.base_url(), 6), &Ears::default()).await.unwrap();
    assert_eq!((server.most_at_once(), world.journal().len()), (3, 6));
}
