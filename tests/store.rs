//! Runs whose folder is a store: goes on where the store's journal ends, on a machine that has nothing of it.

#![cfg(feature = "object-store")]

mod world;

use sbx_agent::{Script, ScriptedServer};
use std::fs;
use std::process::{Command, Output};
use world::{World, text};

struct Runs {
    world: World,
    server: ScriptedServer,
    _runtime: tokio::runtime::Runtime,
}

impl Runs {
    fn new() -> Runs {
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
        let row = r#"{"instance_id":"org__name-1","repo":"org/name","base_commit":"HEAD","problem_statement":"one"}"#;
        fs::write(world.path("tasks.jsonl"), row).unwrap();
        let script: Script = serde_json::from_str(
            r#"{"rollouts": [{"replies": ["```bash\nsed -i s/one/two/ file.txt\n```",
                "```bash\necho COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff\n```"]}]}"#,
        )
        .unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let server = runtime.block_on(ScriptedServer::start(script)).unwrap();
        Runs { world, server, _runtime: runtime }
    }

    fn url(&self, name: &str) -> String {
        format!("file://{}", self.world.path(name).display())
    }

    /// With a cache of its own.
    fn sbx(&self) -> Command {
        let mut sbx = self.world.sbx();
        sbx.env("SBX_CACHE", self.world.path("cache")).env("XDG_CACHE_HOME", self.world.path("cache"));
        sbx
    }

    fn agent(&self, rollouts: u32, spool: &str, more: &[&str]) -> Output {
        self.sbx()
            .args(["agent", "--tasks", "tasks.jsonl", "--repos", "repos", "--json"])
            .args(["--base-url", &self.server.base_url(), "--model", "m", "--spool", spool])
            .args(["--out", &self.url("store/run"), "--rollouts", &rollouts.to_string()])
            .args(more)
            .output()
            .unwrap()
    }
}

fn object(output: &Output) -> serde_json::Value {
    let last = text(&output.stdout).lines().last().unwrap_or_default().to_string();
    serde_json::from_str(&last).unwrap_or_else(|e| panic!("{e}: {last} {}", text(&output.stderr)))
}

#[test]
fn a_run_goes_on_from_the_store_on_another_machine() {
    let runs = Runs::new();
    assert_eq!(object(&runs.agent(2, "machine-a", &[]))["missing"], 0);
    let store = runs.world.path("store/run");
    for name in ["README.md", "run.json", "preds.json", "report.html", "data/train-00000-of-00001.parquet"] {
        assert_eq!(
            fs::read(store.join(name)).unwrap(),
            fs::read(runs.world.path("machine-a").join(name)).unwrap()
        );
    }
    let second = object(&runs.agent(5, "machine-b", &[]));
    assert_eq!((&second["done_before"], &second["missing"]), (&2.into(), &0.into()));
    assert_eq!(runs.server.requests().len(), 10, "no rollout was repeated");
    let journals =
        ["machine-a", "machine-b"].map(|m| fs::read(runs.world.path(m).join("journal.jsonl")).unwrap());
    assert!(journals[1].starts_with(&journals[0]));
    // The first machine goes on as well; nothing is left to do.
    let third = object(&runs.agent(5, "machine-a", &[]));
    assert_eq!((&third["done_before"], &third["missing"]), (&5.into(), &0.into()));
    let stats = runs.sbx().args(["stats", &runs.url("store/run"), "--json"]).output().unwrap();
    assert_eq!(object(&stats)["stats"]["rollouts"], 5);
    assert!(store.join("trajectories/org__name-1/4.traj.json").is_file());
}

#[test]
fn shards_are_joined_in_the_store() {
    let runs = Runs::new();
    for shard in ["1/2", "0/2"] {
        let done = runs.agent(6, "machine", &["--shard", shard]);
        assert_eq!(object(&done)["missing"], 0, "{}", text(&done.stderr));
    }
    for _ in 0..2 {
        let joined = runs
            .world
            .sbx()
            .args(["dataset", "finalize", &runs.url("store/run"), "--json"])
            .output()
            .unwrap();
        assert_eq!(object(&joined)["stats"]["submitted"], 6, "{}", text(&joined.stderr));
    }
    let store = runs.world.path("store/run");
    assert!(store.join("README.md").is_file() && store.join("shard-00001-of-00002/README.md").is_file());
    assert!(store.join("trajectories/org__name-1/5.traj.json").is_file());
}

#[test]
fn a_store_that_cannot_be_written_fails_the_run_and_keeps_it() {
    let runs = Runs::new();
    fs::create_dir_all(runs.world.path("store/run")).unwrap();
    // A file where the journal's folder belongs.
    fs::write(runs.world.path("store/run/journal"), "").unwrap();
    let done = runs.agent(2, "machine", &[]);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    let said = text(&done.stderr);
    assert!(said.contains("not all is copied") && said.contains("machine"), "{said}");
    assert!(runs.world.path("machine/data/train-00000-of-00001.parquet").is_file());
    fs::remove_file(runs.world.path("store/run/journal")).unwrap();
    assert_eq!(object(&runs.agent(2, "machine", &[]))["done_before"], 2);
    assert!(runs.world.path("store/run/README.md").is_file());
}
