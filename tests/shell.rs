//! `sbx shell`: a persistent bash for people and for programs.

mod world;

use serde_json::Value;
use std::io::Write;
use std::process::Stdio;
use world::{World, text};

fn fed(world: &World, args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = world.sbx();
    child.arg("shell").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn lines_share_one_bash_and_the_workspace_stays() {
    let world = World::new();
    let input = "n=5\ncd /tmp\necho $n $PWD\nfor i in 1 2\ndo\necho $i\ndone\necho new > /dev/null; cd -\necho x > file.txt\n(exit 3)\n";
    let (status, out, err) = fed(&world, &[], input);
    assert!(out.starts_with("5 /tmp\n1\n2\n"), "{out}{err}");
    assert_eq!(status, Some(3));
    assert_eq!(std::fs::read_to_string(world.path("file.txt")).unwrap(), "one\n");
    fed(&world, &["--changes", "commit"], "echo two > file.txt\n");
    assert_eq!(std::fs::read_to_string(world.path("file.txt")).unwrap(), "two\n");
}

#[test]
fn a_program_speaks_json_lines() {
    let world = World::new();
    let requests = [
        r#"{"run": "n=7; echo $n"}"#,
        r#"{"start": "read x; echo got $x"}"#,
        r#"{"wait": "20s", "quiet": "300ms"}"#,
        r#"{"send": "it\n"}"#,
        r#"{"wait": "20s"}"#,
        r#"{"run": "sleep 60", "timeout": "200ms"}"#,
        r#"{"run": "echo $n"}"#,
        r#"{"write": "dir/new", "text": "hello\n"}"#,
        r#"{"read": "dir/new"}"#,
        r#"{"read": "nowhere"}"#,
        r#"{"changes": true}"#,
        r#"{"run": "git push"}"#,
        r#"{"oops": 1}"#,
        r#"{}"#,
    ];
    let (_, out, err) = fed(&world, &["--json"], &(requests.join("\n") + "\n"));
    let answers: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(answers.len(), requests.len(), "{out}{err}");
    assert!(answers.iter().all(|a| a["schema"] == "sbx.shell/1"));
    assert_eq!((&answers[0]["stdout"], &answers[0]["exit_code"]), (&"7\n".into(), &0.into()));
    assert_eq!((&answers[1]["running"], &answers[2]["running"]), (&true.into(), &true.into()));
    assert_eq!(answers[4]["stdout"], "got it\n");
    assert_eq!((&answers[5]["outcome"], &answers[6]["stdout"]), (&"timed_out".into(), &"7\n".into()));
    assert_eq!(answers[8]["text"], "hello\n");
    assert!(answers[9]["error"].as_str().unwrap().contains("no such file"));
    assert!(answers[10]["patch"].as_str().unwrap().contains("+hello"));
    assert_eq!(answers[11]["outcome"], "refused");
    assert!(answers[12]["error"].as_str().unwrap().contains("unknown field `oops`"));
    assert!(answers[13]["error"].as_str().unwrap().contains("expected one of run"));
}
