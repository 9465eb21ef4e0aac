//! The whole road: the demo from repository to data set, and what a run survives.

mod world;

use std::fs;
use world::{World, text};

#[test]
fn the_demo_ends_with_a_data_set_and_a_patch_that_fixes_the_bug() {
    let world = World::new();
    let output = world.sbx().args(["demo", "--out", "run"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("Submitted"));
    for file in [
        "journal.jsonl",
        "preds.json",
        "README.md",
        "report.html",
        "run.json",
        "data/train-00000-of-00001.parquet",
        "full/train-00000-of-00001.parquet",
        "trajectories/demo__semver-1/0.traj.json",
    ] {
        assert!(world.path("run").join(file).is_file(), "{file}");
    }
    let preds: serde_json::Value =
        serde_json::from_slice(&fs::read(world.path("run/preds.json")).unwrap()).unwrap();
    let patch = preds["demo__semver-1"]["model_patch"].as_str().unwrap();
    assert!(patch.contains("+        return tuple((0, int(part), \"\") if part.isdigit()"), "{patch}");
    let again = world.sbx().args(["demo", "--out", "run"]).output().unwrap();
    assert!(!again.status.success() && text(&again.stderr).contains("is there already"));
}

#[test]
fn a_data_set_can_be_written_again_from_the_journal() {
    let world = World::new();
    world.sbx().args(["demo", "--out", "run"]).output().unwrap();
    let before = fs::read(world.path("run/data/train-00000-of-00001.parquet")).unwrap();
    fs::remove_dir_all(world.path("run/data")).unwrap();
    let output = world.sbx().args(["dataset", "run", "--json"]).output().unwrap();
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["stats"]["rollouts"], 4);
    assert_eq!(fs::read(world.path("run/data/train-00000-of-00001.parquet")).unwrap(), before);
}

#[test]
fn bad_task_files_and_servers_are_named() {
    let world = World::new();
    let agent = |tasks: &str, url: &str| {
        fs::write(world.path("tasks.jsonl"), tasks).unwrap();
        let output = world
            .sbx()
            .args([
                "agent",
                "--tasks",
                "tasks.jsonl",
                "--model",
                "m",
                "--out",
                "out",
                "--cache",
                "cache",
                "--base-url",
                url,
            ])
            .output()
            .unwrap();
        assert!(!output.status.success());
        text(&output.stderr)
    };
    let row = r#"{"instance_id":"a","repo":"/no/such","base_commit":"HEAD","problem_statement":"p"}"#;
    assert!(agent("{\n", "http://127.0.0.1:9/v1").contains("tasks.jsonl:1: not JSON"));
    assert!(
        agent(&row.replace("\"problem_statement\":\"p\"", "\"x\":1"), "http://127.0.0.1:9/v1")
            .contains("tasks.jsonl:1: problem_statement")
    );
    assert!(agent(row, "http://127.0.0.1:9/v1").contains("a: repository \"/no/such\" is not there"));
    assert!(agent(row, "nonsense").contains("--base-url: expected a URL"));
}

#[test]
fn policies_and_their_examples_agree() {
    let world = World::new();
    let output = world.sbx().args(["policy", "check"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = world.sbx().args(["policy", "explain", "git push && python3 x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("python3"), "{}", text(&output.stdout));
}

#[test]
fn the_doctor_and_the_plan_speak_and_hold() {
    let world = World::new();
    let output = world.sbx().args(["doctor", "--json"]).output().unwrap();
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["ok"], true, "{object}");
    for (cache, state) in [(world.dir.path().join("cache"), "ok"), ("/proc".into(), "warn")] {
        let output = world.sbx().args(["doctor", "--json"]).env("XDG_CACHE_HOME", cache).output().unwrap();
        let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let views = object["findings"].as_array().unwrap().iter().find(|f| f["wall"] == "views").unwrap();
        assert_eq!((views["state"].as_str(), &object["ok"]), (Some(state), &true.into()), "{views}");
    }
    let output = world.sbx().arg("plan").output().unwrap();
    let plan = text(&output.stdout);
    let at = |needle: &str| plan.find(needle).unwrap_or_else(|| panic!("{needle}: {plan}"));
    // The order is the argument: view, then Landlock, capabilities, and seccomp last.
    assert!(at("enter the view") < at("landlock on") && at("landlock on") < at("drop all capabilities"));
    assert!(at("drop all capabilities") < at("seccomp on"));
}
