//! Runs against the scripted server, with real checkouts and real sandboxes.

use super::*;
use crate::scripted::{Fault, Script, ScriptedServer, Turns};
use crate::server::Retry;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

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

    fn options(&self, base_url: String, rollouts: u32) -> RunOptions {
        let row = r#"{"instance_id":"org__name-1","repo":"org/name","base_commit":"HEAD","problem_statement":"one"}"#;
        RunOptions {
            instances: sbx_records::read_instances(row.as_bytes(), "t").unwrap(),
            repos: Some(self.dir.path().join("repos")),
            cache: self.dir.path().join("cache"),
            out: self.dir.path().join("out"),
            server: ServerOptions {
                base_url,
                model: "m".into(),
                api_key: None,
                extra_body: serde_json::Map::new(),
                timeout: Duration::from_secs(20),
                retry: Retry {
                    attempts: 4,
                    first: Duration::from_millis(5),
                    longest: Duration::from_millis(20),
                },
            },
            harness: "swe-zero".into(),
            policy: Policy::preset("whitelist").unwrap(),
            rollouts,
            concurrency: 3,
            temperature: 1.0,
            seed: Some(7),
            max_turns: None,
            max_total_tokens: None,
            reserve_tokens: None,
            max_turn_tokens: None,
        }
    }

    fn journal(&self) -> Vec<Rollout> {
        let mut all = Vec::new();
        sbx_records::read_journal(&self.dir.path().join("out"), |r| all.push(r)).unwrap();
        all
    }
}

/// Keeps what it hears; wishes an end after so many rollouts.
#[derive(Default)]
struct Ears {
    ended: Mutex<usize>,
    enough: Option<usize>,
}

impl Watch for Ears {
    fn ended(&self, _: &Rollout) {
        *self.ended.lock().unwrap() += 1;
    }
    fn wish(&self) -> u8 {
        u8::from(self.enough.is_some_and(|n| *self.ended.lock().unwrap() >= n))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_ends_with_its_patch_and_its_messages() {
    let world = World::new();
    let server = ScriptedServer::start(script(&FIX)).await.unwrap();
    let summary = run(world.options(server.base_url(), 2), &Ears::default()).await.unwrap();
    assert_eq!(summary.ended[&ExitStatus::Submitted], 2);
    let rollout = &world.journal()[0];
    let roles: Vec<_> = rollout.messages.iter().map(|m| m.role.as_str()).collect();
    let expected =
        ["system", "user", "assistant", "user", "assistant", "user", "assistant", "user", "assistant"];
    assert_eq!(roles, expected, "the last observation is not among the messages");
    assert_eq!(rollout.messages[3].content, "Observation: 1:one\n");
    assert!(rollout.messages[5].content.contains("python3: command not found"));
    assert_eq!((rollout.n_turns, rollout.observations.total, rollout.observations.not_found), (4, 4, 1));
    assert!(rollout.patch.contains("-one\n+two\n"), "{}", rollout.patch);
    assert!(rollout.submission.contains("file.txt"));
    let requests = server.requests();
    let prompt: u64 = requests.iter().map(|r| (r["messages"].to_string().len() as u64).div_ceil(4)).sum();
    assert_eq!(
        world.journal().iter().map(|r| r.prompt_tokens).sum::<u64>(),
        prompt,
        "the sum over all turns"
    );
    assert!(
        requests.iter().all(|r| r["max_tokens"] == 1024 && r["temperature"] == 1.0 && r["seed"].is_u64())
    );
    let preds = std::fs::read_to_string(world.dir.path().join("out/preds.json")).unwrap();
    assert!(preds.contains("org__name-1") && preds.contains("+two"));
    assert!(world.dir.path().join("out/trajectories/org__name-1/1.traj.json").is_file());
    assert_eq!(std::fs::read_to_string(world.dir.path().join("repos/org/name/file.txt")).unwrap(), "one\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_stopped_goes_on_where_it_was() {
    let world = World::new();
    let server = ScriptedServer::start(script(&FIX)).await.unwrap();
    let mut options = world.options(server.base_url(), 6);
    options.concurrency = 1;
    let first = run(options.clone(), &Ears { enough: Some(2), ..Ears::default() }).await.unwrap();
    assert_eq!((first.missing(), world.journal().len()), (4, 2));
    let second = run(options.clone(), &Ears::default()).await.unwrap();
    assert_eq!((second.done_before, second.missing()), (2, 0));
    let mut numbers: Vec<_> = world.journal().iter().map(|r| r.rollout).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    let asked = server.requests().len();
    run(options.clone(), &Ears::default()).await.unwrap();
    assert_eq!(server.requests().len(), asked, "nothing is missing, nothing is asked");
    options.temperature = 0.5;
    let error = run(options, &Ears::default()).await.unwrap_err().to_string();
    assert!(error.contains("temperature: 1.0 there, 0.5 now"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_faults_are_tried_again() {
    let world = World::new();
    let busy = Fault::Status(429, "slow down".into(), Some(0));
    let faults = [
        busy,
        Fault::Html,
        Fault::EmptyChoices,
        Fault::Status(500, "x".into(), None),
        Fault::Cut,
        Fault::Status(503, String::new(), None),
    ];
    // Every other request fails, with another fault each time.
    let server =
        ScriptedServer::start_with(script(&FIX), move |n| (n % 2 == 0).then(|| faults[n / 2 % 6].clone()))
            .await
            .unwrap();
    // One at a time: with several, one rollout could meet every fault.
    let options = RunOptions { concurrency: 1, ..world.options(server.base_url(), 3) };
    let summary = run(options, &Ears::default()).await.unwrap();
    assert_eq!(summary.ended[&ExitStatus::Submitted], 3);
    assert!(world.journal().iter().all(|r| r.n_turns == 4 && !r.tokens_estimated));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_usage_tokens_are_estimated_and_marked() {
    let world = World::new();
    let server = ScriptedServer::start_with(script(&FIX), |_| Some(Fault::NoUsage)).await.unwrap();
    run(world.options(server.base_url(), 1), &Ears::default()).await.unwrap();
    let rollout = &world.journal()[0];
    assert!(rollout.tokens_estimated && rollout.prompt_tokens > 1000 && rollout.completion_tokens > 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_or_model_stops_the_run_with_a_reason() {
    for (status, words) in [(401, "--api-key-env"), (404, "--model")] {
        let world = World::new();
        let fault = move |_| Some(Fault::Status(status, "{\"error\":{\"message\":\"no\"}}".into(), None));
        let server = ScriptedServer::start_with(script(&FIX), fault).await.unwrap();
        let error =
            run(world.options(server.base_url(), 50), &Ears::default()).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(server.requests().len() <= 6, "no request is repeated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_for_good_stops_the_run_and_errored_rollouts_are_repeated() {
    let world = World::new();
    let server = ScriptedServer::start_with(script(&FIX), |n| {
        (n >= 4).then(|| Fault::Status(500, "down".into(), None))
    })
    .await
    .unwrap();
    let mut options = world.options(server.base_url(), 30);
    options.concurrency = 1;
    let error = run(options.clone(), &Ears::default()).await.unwrap_err().to_string();
    assert!(error.contains("3 rollouts in a row failed") && error.contains("down"), "{error}");
    let statuses: Vec<_> = world.journal().iter().map(|r| r.exit_status).collect();
    assert_eq!(statuses[0], ExitStatus::Submitted, "finished work is kept");
    assert_eq!(statuses.len(), 4);
    let well = ScriptedServer::start(script(&FIX)).await.unwrap();
    (options.server.base_url, options.rollouts) = (well.base_url(), 4);
    let summary = run(options, &Ears::default()).await.unwrap();
    assert_eq!((summary.done_before, summary.ended[&ExitStatus::Submitted]), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named() {
    let world = World::new();
    let error = run(world.options("http://127.0.0.1:9/v1".into(), 1), &Ears::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("127.0.0.1:9") && error.to_lowercase().contains("refused"), "{error}");
    let error = run(world.options("localhost".into(), 1), &Ears::default()).await.unwrap_err().to_string();
    assert!(error.contains("--base-url: expected a URL"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_end_a_rollout_as_incomplete_and_its_patch_is_kept() {
    let world = World::new();
    let server = ScriptedServer::start_with(script(&["echo more >> file.txt && seq 1 3000"]), |_| {
        Some(Fault::Strict(32_768))
    })
    .await
    .unwrap();
    run(world.options(server.base_url(), 1), &Ears::default()).await.unwrap();
    let rollout = &world.journal()[0];
    assert_eq!(
        (rollout.exit_status, rollout.exit_status_detail.as_str()),
        (ExitStatus::Incomplete, "token budget of 32768 used")
    );
    assert!(rollout.patch.contains("+more"));
    let world = World::new();
    let mut options = world.options(server.base_url(), 1);
    options.max_turns = Some(3);
    run(options, &Ears::default()).await.unwrap();
    assert_eq!(world.journal()[0].exit_status_detail, "turn limit of 3 reached");
    let world = World::new();
    let talk = Script { rollouts: vec![Turns { replies: vec!["I am done.".into()] }] };
    let server = ScriptedServer::start(talk).await.unwrap();
    run(world.options(server.base_url(), 1), &Ears::default()).await.unwrap();
    assert_eq!(world.journal()[0].exit_status_detail, "a reply without an action");
}
