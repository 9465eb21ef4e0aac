//! A run that three workers of a job array share, joined at the end.

mod world;

use sbx_agent::{Script, ScriptedServer};
use std::fs;
use std::process::Command;
use world::{World, text};

#[test]
fn the_tasks_of_a_job_array_share_a_run() {
    let world = World::new();
    let repo = world.path("repos/org/name");
    fs::create_dir_all(&repo).unwrap();
    fs::write(repo.join("file.txt"), "one\n").unwrap();
    for args in [
        &["init", "-q"][..],
        &["add", "-A"],
        &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "base"],
    ] {
        assert!(Command::new("git").current_dir(&repo).args(args).status().unwrap().success());
    }
    let row =
        r#"{"instance_id":"org__name-1","repo":"org/name","base_commit":"HEAD","problem_statement":"one"}"#;
    fs::write(world.path("tasks.jsonl"), row).unwrap();
    let script: Script = serde_json::from_str(
        r#"{"rollouts": [{"replies": ["```bash\nsed -i s/one/two/ file.txt\n```",
            "```bash\necho COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff\n```"]}]}"#,
    )
    .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(ScriptedServer::start(script)).unwrap();
    let url = server.base_url();
    let worker = |task: Option<u32>| {
        let mut sbx = world.sbx();
        sbx.args(["agent", "--tasks", "tasks.jsonl", "--repos", "repos", "--cache", "cache", "--out", "run"])
            .args(["--base-url", &url, "--model", "m", "--rollouts", "9", "--shard", "auto"])
            .env_remove("JOB_COMPLETION_INDEX");
        if let Some(task) = task {
            sbx.env("SLURM_ARRAY_TASK_ID", task.to_string());
        }
        sbx.env("SLURM_ARRAY_TASK_MIN", "5").env("SLURM_ARRAY_TASK_COUNT", "3").output().unwrap()
    };
    let none = worker(None);
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("no engine tells which shard this is"), "{}", text(&none.stderr));
    assert!(worker(Some(5)).status.success());
    let early = world.sbx().args(["dataset", "finalize", "run"]).output().unwrap();
    assert!(text(&early.stderr).contains("2 of 3 shards are missing: 1, 2"), "{}", text(&early.stderr));
    for task in [6, 7, 6] {
        let done = worker(Some(task));
        assert!(done.status.success(), "{}", text(&done.stderr));
    }
    let joined = world.sbx().args(["dataset", "finalize", "run", "--json"]).output().unwrap();
    let object: serde_json::Value = serde_json::from_slice(&joined.stdout).unwrap();
    assert_eq!((&object["stats"]["rollouts"], &object["stats"]["submitted"]), (&9.into(), &9.into()));
    let compared = world.sbx().args(["stats", "run", "run/shard-00000-of-00003", "--json"]).output().unwrap();
    let object: serde_json::Value = serde_json::from_slice(&compared.stdout).unwrap();
    assert_eq!(object["comparison"]["before"]["rollouts"], 9);
    // What was run can be run again.
    let replayed = world
        .sbx()
        .args(["replay", "run", "--workspace", "repos/org/name", "--at", "/workspace", "--json"])
        .output()
        .unwrap();
    let report = text(&replayed.stdout).lines().last().unwrap_or_default().to_string();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["report"]["recordings"], 9, "{}", text(&replayed.stderr));
    assert_eq!(report["report"]["actions"]["refused"], serde_json::Value::Null, "{report}");
}
