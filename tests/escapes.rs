//! The attacks of `sbx selftest`: none reaches its aim, and enough of them do without walls.

use serde_json::Value;
use std::process::Command;

fn selftest(args: &[&str]) -> (Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sbx")).arg("selftest").args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {errors}")), errors)
}

#[test]
fn no_attack_reaches_its_aim() {
    let dir = tempfile::tempdir().unwrap();
    let junit = dir.path().join("junit.xml");
    let (object, _) = selftest(&["--json", "--junit", junit.to_str().unwrap()]);
    assert_eq!(object["schema"], "sbx.selftest/1");
    let cases = object["cases"].as_array().unwrap();
    assert!(cases.len() >= 400, "{}", cases.len());
    let escaped: Vec<&Value> =
        cases.iter().filter(|c| c["verdicts"]["sbx"]["verdict"] == "escaped").collect();
    assert!(escaped.is_empty(), "{escaped:#?}");
    assert!(std::fs::read_to_string(junit).unwrap().contains("failures=\"0\""));
}

#[test]
fn no_attack_reaches_its_aim_from_a_fork_of_process_1() {
    let (object, _) = selftest(&["--warm", "--json"]);
    let cases = object["cases"].as_array().unwrap();
    let escaped: Vec<&Value> =
        cases.iter().filter(|c| c["verdicts"]["sbx"]["verdict"] == "escaped").collect();
    assert!(escaped.is_empty(), "{escaped:#?}");
}

#[test]
fn the_attacks_have_teeth() {
    // One way of each kind; the whole table is `sbx selftest --full`.
    for only in ["exec/path/workspace", "files/read/cat", "network/tcp/bash", "processes/outlives/setsid"] {
        let (object, _) = selftest(&["--full", "--json", "--only", only]);
        let tried = object["cases"].as_array().unwrap().iter().map(|c| &c["verdicts"]["bare"]["verdict"]);
        let escaped = tried.clone().filter(|v| *v == "escaped").count();
        assert!(escaped > 0, "{only}: {:?}", tried.collect::<Vec<_>>());
    }
}
