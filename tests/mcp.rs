//! `sbx mcp`, spoken to as a host speaks to it: a message a line.

mod world;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use world::World;

/// Longest time that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server and what it says.
struct Host {
    server: Child,
    input: Option<ChildStdin>,
    said: Receiver<Value>,
    asked: u64,
}

impl Host {
    /// Starts a server in the world's workspace, and shakes hands.
    fn new(world: &World, args: &[&str]) -> Host {
        let mut host = Host::unmet(world, args);
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        let met = host.ask("initialize", hello);
        assert_eq!(met["result"]["serverInfo"]["name"], "sbx", "{met}");
        assert!(met["result"]["instructions"].as_str().unwrap().contains("sandbox"));
        host.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        host
    }

    fn unmet(world: &World, args: &[&str]) -> Host {
        let mut sbx = world.sbx();
        sbx.arg("mcp").args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = sbx.spawn().expect("sbx starts");
        let (input, output) = (server.stdin.take(), server.stdout.take().expect("a pipe"));
        let (tell, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let message = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
                if tell.send(message).is_err() {
                    break;
                }
            }
        });
        Host { server, input, said, asked: 0 }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input.as_mut().expect("it is open"), "{message}").expect("it reads");
    }

    /// Begins a request; its number.
    fn begin(&mut self, method: &str, params: Value) -> u64 {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    fn next(&self) -> Value {
        self.said.recv_timeout(PATIENCE).expect("the server says something")
    }

    fn answer(&self, id: u64) -> Value {
        loop {
            let message = self.next();
            if message["id"] == id {
                return message;
            }
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        self.answer(id)
    }

    /// Calls a tool; its result.
    fn call(&mut self, name: &str, arguments: Value) -> Value {
        let mut answer = self.ask("tools/call", json!({"name": name, "arguments": arguments}));
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].take()
    }

    /// Begins a script whose first line of output is `begun`, and waits for that; the call's number.
    fn begin_bash(&mut self, script: &str) -> u64 {
        let call =
            json!({"name": "bash", "arguments": {"command": script}, "_meta": {"progressToken": "begun"}});
        let id = self.begin("tools/call", call);
        while self.next()["params"]["message"] != "begun" {}
        id
    }

    fn bash(&mut self, command: &str) -> Value {
        self.call("bash", json!({"command": command}))
    }

    /// Closes stdin; the status that the server ends with.
    fn close(mut self) -> Option<i32> {
        self.input = None;
        self.status()
    }

    fn status(&mut self) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.server.try_wait().expect("its status") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not end");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

fn seen(result: &Value) -> &Value {
    &result["structuredContent"]
}

#[test]
fn each_tool_says_what_it_takes_answers_and_does() {
    let world = World::new();
    let mut host = Host::new(&world, &[]);
    let tools = host.ask("tools/list", json!({}));
    let tools = tools["result"]["tools"].as_array().expect("tools").clone();
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, ["bash", "read_file", "write_file", "list_dir", "policy"]);
    for tool in &tools {
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
        assert_eq!(tool["annotations"]["openWorldHint"], false, "the preset has no network: {tool}");
        let reads_only = !["bash", "write_file"].contains(&tool["name"].as_str().unwrap_or_default());
        assert_eq!(tool["annotations"]["readOnlyHint"], reads_only, "{tool}");
    }
    let takes = &tools[0]["inputSchema"]["properties"]["timeout_s"];
    assert_eq!((&takes["type"], takes.get("format"), takes.get("default")), (&"number".into(), None, None));
    assert!(!tools.iter().any(|tool| tool.to_string().contains("uint")), "formats that no client knows");
    assert_eq!(tools[0]["inputSchema"]["required"], json!(["command"]));
    assert!(tools[0]["description"].as_str().unwrap().contains("grep"));
    let allowed = host.call("policy", json!({}));
    assert_eq!(seen(&allowed)["name"], "whitelist");
    assert!(seen(&allowed)["commands"].as_array().unwrap().contains(&"grep".into()));
    assert!(text(&allowed).contains("Network: none"), "{allowed}");
    assert_eq!(host.close(), Some(0));
}

#[test]
fn a_script_is_confined_and_its_changes_are_committed_after_each_call() {
    let world = World::new();
    let mut host = Host::new(&world, &[]);
    let failed = host.bash("cat file.txt; echo oops >&2; exit 3");
    assert_eq!((&seen(&failed)["exit_code"], &seen(&failed)["stdout"]), (&3.into(), &"one\n".into()));
    assert_eq!(text(&failed), "one\noops\n[exit code 3]");
    assert!(failed["isError"] != true, "what the script does wrong is no failure of the tool");
    let wrote = host
        .bash("echo two > file.txt; mkdir -p .git/hooks; echo x > .git/hooks/pre-commit; echo x > /tmp/x");
    assert_eq!(std::fs::read_to_string(world.path("file.txt")).unwrap(), "two\n");
    assert!(!world.path(".git/hooks/pre-commit").exists());
    assert!(text(&wrote).contains("not committed: .git/hooks"), "{wrote}");
    // Somebody else works there too.
    std::fs::write(world.path("file.txt"), "three\n").unwrap();
    assert_eq!(text(&host.bash("cat file.txt; ls /tmp")), "three\n");
    assert_eq!(text(&host.bash("true")), "[no output]");
    let denied = host.bash("python3 -c 1");
    assert_eq!(
        (&seen(&denied)["exit_code"], &seen(&denied)["denied"][0]["what"]),
        (&127.into(), &"python3".into())
    );
    let refused = host.bash("git push");
    assert_eq!((&seen(&refused)["outcome"], &seen(&refused)["exit_code"]), (&"refused".into(), &126.into()));
    let late = host.call("bash", json!({"command": "echo begun; sleep 60", "timeout_s": 0.3}));
    assert_eq!((&seen(&late)["timed_out"], &seen(&late)["exit_code"]), (&true.into(), &124.into()));
    assert!(text(&late).starts_with("begun\n[timed out after"), "{late}");
    let there = host.call("bash", json!({"command": "pwd", "cwd": "/tmp"}));
    assert_eq!(text(&there), "/tmp\n");
    assert_eq!(host.close(), Some(0));
}

#[test]
fn files_are_read_written_and_listed_within_the_sandbox() {
    for backend in ["native", "wasi"] {
        let world = World::new();
        let mut host = Host::new(&world, &["--backend", backend]);
        let wrote = host.call("write_file", json!({"path": "src/new.txt", "text": "a\nb\nc\n"}));
        assert_eq!(seen(&wrote)["bytes"], 6, "{backend}: {wrote}");
        assert_eq!(std::fs::read_to_string(world.path("src/new.txt")).unwrap(), "a\nb\nc\n", "{backend}");
        let part = host.call("read_file", json!({"path": "src/new.txt", "first_line": 2, "lines": 1}));
        assert_eq!((text(&part), &seen(&part)["total_lines"]), ("b\n", &3.into()), "{backend}");
        assert_eq!(text(&host.call("list_dir", json!({}))), "file.txt\nsrc/", "{backend}");
        std::os::unix::fs::symlink("/etc/passwd", world.path("out")).unwrap();
        for (tool, arguments, why) in [
            ("read_file", json!({"path": "nowhere"}), "nowhere: no such file or directory"),
            ("read_file", json!({"path": "src"}), "src: is a directory"),
            ("list_dir", json!({"path": "file.txt"}), "file.txt: permission denied"),
            ("write_file", json!({"path": "src", "text": ""}), "src: is a directory"),
            ("read_file", json!({"path": "file.txt", "lines": 0}), "lines: expected at least 1"),
            ("read_file", json!({"file": "x"}), "unknown field `file`"),
            ("bash", json!({}), "missing field `command`"),
            ("bash", json!({"command": 1}), "command: invalid type"),
            ("bash", json!({"command": "true", "timeout_s": 0}), "timeout_s: expected seconds"),
        ] {
            let failed = host.call(tool, arguments);
            assert!(failed["isError"] == true && text(&failed).contains(why), "{backend}: {why}: {failed}");
        }
        let secret = host.call("read_file", json!({"path": "out"}));
        assert!(!text(&secret).contains("root:x:0:0:root:/root:/bin/bash"), "{backend}: {secret}");
        let unknown = host.ask("tools/call", json!({"name": "nonesuch", "arguments": {}}));
        assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
        let wrong = host.ask("tools/call", json!({"name": "bash", "arguments": ["echo"]}));
        assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
        let away = host.call("write_file", json!({"path": "/tmp/x", "text": "x"}));
        assert!(text(&away).contains("as it was"), "{backend}: {away}");
        assert_eq!(host.close(), Some(0));
    }
}

#[test]
fn with_a_patch_all_calls_share_one_sandbox_and_the_workspace_stays() {
    let world = World::new();
    let patch = world.dir.path().join("mine.patch");
    let mut host = Host::new(&world, &["--changes", patch.to_str().unwrap()]);
    host.bash("echo two > file.txt; echo kept > /tmp/kept");
    let first = std::fs::read_to_string(&patch).unwrap();
    assert!(first.contains("+two"), "{first}");
    assert_eq!(text(&host.bash("cat file.txt /tmp/kept")), "two\nkept\n");
    host.bash("git init -q . ; echo one > file.txt");
    assert_eq!(std::fs::read_to_string(&patch).unwrap(), "", "what was taken back is in no patch");
    assert_eq!(std::fs::read_to_string(world.path("file.txt")).unwrap(), "one\n");
    assert_eq!(host.close(), Some(0));
}

#[test]
fn a_call_that_is_cancelled_ends_with_its_processes_and_others_go_on() {
    for backend in ["native", "wasi"] {
        let world = World::new();
        let mut host = Host::new(&world, &["--backend", backend]);
        let cancelled = host.begin_bash("echo begun | tee mark; while true; do sleep 0.1; done");
        let reason = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": cancelled}});
        host.send(&reason);
        let begun = Instant::now();
        while !world.path("mark").exists() {
            assert!(
                begun.elapsed() < PATIENCE / 3,
                "{backend}: it ends, and what was done until then is kept"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(text(&host.bash("echo on")), "on\n");
        assert_eq!(host.close(), Some(0));
    }
}

#[test]
fn calls_that_are_made_at_once_lose_nothing_of_each_other() {
    for fate in ["commit", "discard"] {
        let world = World::new();
        let mut host = Host::new(&world, &["--changes", fate]);
        let call = |i: u32| json!({"name": "bash", "arguments": {"command": format!("sleep 0.02; echo {i} >> all")}});
        let mut left: Vec<u64> = (0..20).map(|i| host.begin("tools/call", call(i))).collect();
        while !left.is_empty() {
            let answer = host.next();
            assert_eq!(seen(&answer["result"])["exit_code"], 0, "{fate}: {answer}");
            left.retain(|id| answer["id"] != *id);
        }
        let lines = host.call("read_file", json!({"path": "all"}));
        assert_eq!(seen(&lines)["total_lines"], 20, "{fate}: {lines}");
    }
}

#[test]
fn a_reader_does_not_wait_for_a_script_and_what_waits_can_be_cancelled() {
    let world = World::new();
    let mut host = Host::new(&world, &[]);
    let call = |command: &str| json!({"name": "bash", "arguments": {"command": command}});
    let long = host.begin_bash("echo begun; sleep 60");
    let waits = host.begin("tools/call", call("echo never > never"));
    assert_eq!(text(&host.call("read_file", json!({"path": "file.txt"}))), "one\n");
    for id in [waits, long] {
        host.send(
            &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}),
        );
    }
    assert!(!text(&host.bash("ls")).contains("never"));
    assert_eq!(host.close(), Some(0));
}

#[test]
fn changes_that_are_lost_are_an_error_and_the_output_is_there() {
    let world = World::new();
    let mut host = Host::new(&world, &[]);
    let id = host.begin_bash("echo x > lost; echo begun; sleep 3");
    std::fs::remove_dir_all(world.workspace()).unwrap();
    let lost = host.answer(id)["result"].take();
    let said = "begun\n[the changes could not be kept: ";
    assert!(lost["isError"] == true && text(&lost).starts_with(said), "{lost}");
    assert!(seen(&lost)["changes"]["error"].is_string(), "{lost}");
    let world = World::new();
    // A patch that cannot be written.
    let patch = world.dir.path().join("patches/mine.patch");
    std::fs::create_dir(patch.parent().unwrap()).unwrap();
    let mut host = Host::new(&world, &["--changes", patch.to_str().unwrap()]);
    std::fs::remove_dir(patch.parent().unwrap()).unwrap();
    let lost = host.bash("echo done; echo two > file.txt");
    assert!(
        lost["isError"] == true && text(&lost).starts_with("done\n[the changes could not be kept: "),
        "{lost}"
    );
    std::fs::create_dir(patch.parent().unwrap()).unwrap();
    assert!(host.bash("true")["isError"] != true);
    assert!(std::fs::read_to_string(&patch).unwrap().contains("+two"));
}

#[test]
fn progress_is_told_to_who_asks_for_it() {
    let world = World::new();
    let mut host = Host::new(&world, &[]);
    let script = "for i in 1 2 3 4 5 6; do echo line $i; sleep 0.5; done";
    let params =
        json!({"name": "bash", "arguments": {"command": script}, "_meta": {"progressToken": "mine"}});
    let id = host.begin("tools/call", params);
    let mut told: Vec<(f64, String)> = Vec::new();
    let answer = loop {
        let message = host.next();
        if message["id"] == id {
            break message;
        }
        assert_eq!(
            (&message["method"], &message["params"]["progressToken"]),
            (&"notifications/progress".into(), &"mine".into())
        );
        told.push((
            message["params"]["progress"].as_f64().unwrap(),
            message["params"]["message"].to_string(),
        ));
    };
    assert_eq!(seen(&answer["result"])["exit_code"], 0);
    assert!(told.len() >= 2 && told.windows(2).all(|two| two[0].0 < two[1].0), "{told:?}");
    assert!(told.iter().all(|(_, line)| line.starts_with("\"line ")), "{told:?}");
}

#[test]
fn the_end_of_stdin_and_a_signal_end_the_server_when_its_work_is_settled() {
    use std::os::unix::process::ExitStatusExt;
    let world = World::new();
    // A pipe that writes its requests and goes away is answered.
    let mut host = Host::new(&world, &[]);
    let id = host.begin(
        "tools/call",
        json!({"name": "bash", "arguments": {"command": "sleep 0.5; echo late | tee late"}}),
    );
    host.input = None;
    assert_eq!(text(&host.answer(id)["result"]), "late\n");
    assert_eq!(host.status(), Some(0));
    let mut host = Host::new(&world, &[]);
    host.begin_bash("echo begun | tee begun; sleep 60");
    let pid = host.server.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(host.status(), None);
    assert_eq!(host.server.try_wait().unwrap().and_then(|status| status.signal()), Some(15));
    assert!(world.path("begun").exists(), "what was done until then is kept");
    // Nothing was said at all.
    let mut host = Host::unmet(&world, &[]);
    host.input = None;
    assert_eq!(host.status(), Some(0));
}

#[test]
fn what_cannot_be_served_is_said_at_once() {
    let world = World::new();
    for (args, why) in [
        (&["--workspace", "/no/such/directory"][..], "/no/such/directory"),
        (&["--policy", "nonesuch"], "no preset is called"),
        (&["--changes", "/dev/stdout"], "stdout is for the protocol"),
        (&["--changes", "none"], "expected commit"),
    ] {
        let output = world.sbx().arg("mcp").args(args).output().expect("sbx starts");
        let said = world::text(&output.stderr);
        assert!(
            !output.status.success() && said.contains(why) && output.stdout.is_empty(),
            "{args:?}: {said}"
        );
    }
    // Garbage is answered, and the next message too.
    let mut host = Host::new(&world, &[]);
    writeln!(host.input.as_mut().unwrap(), "garbage\n{{\"jsonrpc\": \"2.0\"}}\n[]").unwrap();
    assert_eq!(text(&host.bash("echo on")), "on\n");
    assert_eq!(host.close(), Some(0));
}
