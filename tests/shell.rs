//! `sbx shell`: a persistent bash for people and for programs.

mod world;

use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};
use world::{World, text};

/// Longest time that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn fed(world: &World, args: &[&str], input: impl AsRef<[u8]>) -> (Option<i32>, String, String) {
    let mut child = world.sbx();
    child.arg("shell").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_ref()).unwrap();
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
    let (_, out, err) = fed(&world, &["--json"], requests.join("\n") + "\n");
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

/// `sbx shell --json`, asked step by step.
struct Program {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Program {
    fn new(world: &World, args: &[&str]) -> Program {
        let mut child = world.sbx();
        child.args(["shell", "--json"]).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().unwrap();
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Program { child, requests, answers }
    }

    fn ask(&mut self, request: &str) -> Value {
        writeln!(self.requests.as_mut().unwrap(), "{request}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// Asks again and again for what is under way.
    fn ask_until(&mut self, request: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let answer = self.ask(request);
            if is_it(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{request}: {answer}");
            sleep(Duration::from_millis(10));
        }
    }

    fn has_changed(&mut self, name: &str) {
        self.ask_until(r#"{"changes": true}"#, |a| a["patch"].as_str().unwrap().contains(name));
    }

    fn end(mut self) -> Option<i32> {
        drop(self.requests.take());
        self.child.wait().unwrap().code()
    }
}

#[test]
fn what_is_started_runs_before_it_is_waited_for() {
    let world = World::new();
    let mut program = Program::new(&world, &["--changes", "commit"]);
    program.ask(r#"{"start": "echo x > first; sleep 60"}"#);
    program.has_changed("first");
    let begun = Instant::now();
    let seen = loop {
        // Bash itself takes one that comes while it starts a program.
        program.ask(r#"{"interrupt": true}"#);
        let seen = program.ask(r#"{"wait": "500ms"}"#);
        if seen["running"] != true {
            break seen;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "it was interrupted");
    };
    assert_eq!(seen["exit_code"], 130);
    program.ask(r#"{"start": "echo ended"}"#);
    let mut output = String::new();
    let seen = program.ask_until(r#"{"wait": "0s"}"#, |a| {
        output += a["stdout"].as_str().unwrap();
        a["running"] != true
    });
    assert_eq!((output.as_str(), &seen["exit_code"]), ("ended\n", &0.into()));
    program.ask(r#"{"start": "echo x > second; sleep 60"}"#);
    program.has_changed("second");
    assert_eq!(program.end(), Some(0));
    assert!(world.path("first").exists() && world.path("second").exists());
}

#[test]
fn a_late_wait_finds_what_ended_in_time() {
    for backend in ["native", "wasi"] {
        let world = World::new();
        let mut program = Program::new(&world, &["--timeout", "1s", "--backend", backend]);
        program.ask(r#"{"start": "echo ran"}"#);
        sleep(Duration::from_millis(1_500));
        let seen = program.ask(r#"{"wait": "5s"}"#);
        assert_eq!((&seen["outcome"], &seen["stdout"]), (&"exited".into(), &"ran\n".into()), "{backend}");
    }
}

#[test]
fn the_work_of_a_session_that_fails_is_kept() {
    let kept = |world: &World, name: &str| fs::read_to_string(world.path(name)).unwrap_or_default();
    let world = World::new();
    let (_, out, err) = fed(&world, &["--changes", "commit"], b"echo x > kept\nprintf '%s' '\xff' > byte\n");
    assert_eq!(kept(&world, "kept"), "x\n", "{out}{err}");
    assert_eq!(fs::read(world.path("byte")).unwrap(), b"\xff");
    let requests = b"{\"run\": \"echo x > json\"}\n{\"run\": \"echo \xff\"}\n{\"run\": \"echo y > more\"}\n";
    let (status, out, err) = fed(&world, &["--changes", "commit", "--json"], requests);
    assert_eq!((status, out.lines().count()), (Some(0), 3), "{out}{err}");
    assert!(out.contains(r#""error":"line 2: "#), "{out}");
    assert_eq!((kept(&world, "json"), kept(&world, "more")), ("x\n".into(), "y\n".into()));
    for (args, input, status) in [
        (&[][..], "echo x > NAME\necho out\necho out\n", 1),
        (&["--json"], "{\"run\": \"echo x > NAME\"}\n{\"changes\": true}\n", 125),
    ] {
        let name = format!("full{status}");
        let mut child = world.sbx();
        child.args(["shell", "--changes", "commit"]).args(args).stdin(Stdio::piped());
        child.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::null());
        let mut child = child.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.replace("NAME", &name).as_bytes()).unwrap();
        assert_eq!((child.wait().unwrap().code(), kept(&world, &name)), (Some(status), "x\n".into()));
    }
    let mut child = world.sbx();
    child.args(["shell", "--changes", "commit"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(b"echo x > piped\necho out\n").unwrap();
    assert_eq!((child.wait().unwrap().code(), kept(&world, "piped")), (Some(1), "x\n".into()));
}

#[test]
fn a_bash_that_ends_ends_the_session() {
    let world = World::new();
    for (input, status) in [
        ("exit 3", 3),
        ("exit 3;", 3),
        ("(exit 4)\nexit", 4),
        ("(exit 4)\nexit;", 4),
        ("set -e; (exit 5)", 5),
        ("exec true", 0),
        ("kill -9 $$", 137),
    ] {
        for backend in ["native", "wasi"] {
            if backend == "wasi" && input.starts_with("kill") {
                continue;
            }
            let name = format!("kept{backend}");
            let input = format!("echo x > {name}\n{input}\necho y >> {name}\n");
            let args = ["--changes", "commit", "--backend", backend];
            let (found, out, err) = fed(&world, &args, &input);
            assert_eq!(found, Some(status), "{backend}: {input}: {out}{err}");
            assert_eq!(fs::read_to_string(world.path(&name)).unwrap(), "x\n", "{backend}: {input}");
        }
    }
    let mut program = Program::new(&world, &[]);
    let seen = program.ask(r#"{"run": "cd /tmp; n=1; exit 3"}"#);
    let home = world.workspace().canonicalize().unwrap();
    assert_eq!((&seen["exit_code"], &seen["bash_ended"]), (&3.into(), &true.into()));
    assert_eq!(seen["cwd"], home.to_str().unwrap());
    let seen = program.ask(r#"{"run": "echo n=$n $PWD"}"#);
    assert_eq!(seen["stdout"], format!("n= {}\n", home.display()));
    assert_eq!(seen["bash_ended"], Value::Null);
}

#[test]
fn a_request_asks_for_one_thing() {
    let world = World::new();
    let mut program = Program::new(&world, &[]);
    for (request, error) in [
        (r#"{"run": "echo a", "write": "f", "text": "x"}"#, "changes, found run, write"),
        (r#"{"text": "x"}"#, "changes, found none"),
        (
            r#"{"write": "f", "text": "x", "timeout": "1s"}"#,
            "timeout: expected beside run only, found beside write",
        ),
        (r#"{"run": "echo a", "quiet": "1s"}"#, "quiet: expected beside wait only"),
        (r#"{"send": "a", "text": "x"}"#, "text: expected beside write only"),
        (r#"{"write": "f"}"#, "write: expected the key text"),
        (r#"{"interrupt": false}"#, "interrupt: expected true"),
        (r#"{"changes": false}"#, "changes: expected true"),
        (r#"{"wait": "soon"}"#, "wait: expected a time"),
        (r#"{"run": 5}"#, "run: invalid type: integer `5`, expected a string"),
        (r#""ls""#, r#"expected an object such as {"run": SCRIPT}"#),
        (r#"{"run": "ls"} {"run": "ls"}"#, "trailing characters"),
    ] {
        let answer = program.ask(request);
        assert!(answer["error"].as_str().is_some_and(|e| e.contains(error)), "{request}: {answer}");
    }
    assert_eq!(program.ask(r#"{"changes": true}"#)["patch"], "");
}

#[test]
fn a_line_that_is_too_long_is_one_error() {
    let world = World::new();
    let long = ["echo ", &"x".repeat(65 << 20), "\n"].concat();
    let (status, out, err) = fed(&world, &[], format!("{long}echo after\n"));
    assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
    assert_eq!(err, "sbx: stdin: expected a line of at most 64 MiB\n");
    let (status, out, _) = fed(&world, &["--json"], format!("{long}{{\"run\": \"echo after\"}}\n"));
    let answers: Vec<&str> = out.lines().collect();
    assert_eq!((status, answers.len()), (Some(0), 2), "{out}");
    assert!(answers[0].contains("line 1: expected a line of at most 64 MiB"), "{out}");
    assert!(answers[1].contains(r#""stdout":"after\n""#), "{out}");
}

#[test]
fn a_limit_is_named() {
    let world = World::new();
    let (status, _, err) = fed(&world, &["--timeout", "1s"], "sleep 100\n");
    assert_eq!((status, err.as_str()), (Some(124), "sbx: limit reached: time\n"));
    let (_, _, err) = fed(&world, &["--output", "1 KiB"], "seq 10000\n");
    assert_eq!(err, "sbx: limit reached: output\n");
}

/// `sbx shell` on a terminal.
struct Person {
    child: Child,
    keys: File,
    shown: Receiver<Vec<u8>>,
    seen: String,
}

const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";
const PROMPT: &str = "/ws$ ";

impl Person {
    fn new(world: &World) -> Person {
        use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let theirs = ioctl_tiocgptpeer(&ours, flags).unwrap();
        // A terminal sends signals to the session that it controls.
        let mut child = Command::new("setsid");
        child.arg("--ctty").arg(world.sbx().get_program()).args(["shell", "--changes", "commit"]);
        child.current_dir(world.workspace()).env_remove("SBX_POLICY");
        child.stdin(theirs.try_clone().unwrap()).stdout(theirs.try_clone().unwrap()).stderr(theirs);
        let child = child.spawn().unwrap();
        let keys = File::from(ours);
        let mut screen = keys.try_clone().unwrap();
        let (told, shown) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut bytes) {
                if told.send(bytes[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut person = Person { child, keys, shown, seen: String::new() };
        person.see(PROMPT);
        person
    }

    fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Looks until this is shown; what comes up to it has been seen then.
    fn see(&mut self, what: &str) {
        let begun = Instant::now();
        loop {
            if let Some(at) = self.seen.find(what) {
                self.seen.drain(..at + what.len());
                return;
            }
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match self.shown.recv_timeout(left) {
                Ok(bytes) => self.seen += &text(&bytes),
                Err(_) => panic!("{what:?} is not in {:?}", self.seen),
            }
        }
    }

    fn end(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

#[test]
fn ctrl_c_interrupts_what_runs_and_the_session_stays() {
    let world = World::new();
    let mut person = Person::new(&world);
    person.type_in("n=5; echo x > kept; echo begun; sleep 60\n");
    person.see("\r\nbegun\r\n");
    // Bash itself takes one that comes while it starts a program.
    sleep(Duration::from_millis(300));
    person.type_in(CTRL_C);
    person.see(PROMPT);
    person.type_in("echo n=$n $?\n");
    person.see("\r\nn=5 130\r\n");
    person.see(PROMPT);
    person.type_in("touch half");
    person.type_in(CTRL_C);
    person.see(PROMPT);
    person.type_in("for i in 1 2\n");
    person.see("> ");
    person.type_in(CTRL_C);
    person.see(PROMPT);
    person.type_in("echo on\n");
    person.see("\r\non\r\n");
    person.see(PROMPT);
    person.type_in("exit 3\n");
    assert_eq!(person.end(), Some(3));
    assert!(world.path("kept").exists() && !world.path("half").exists());
}

#[test]
fn what_is_typed_while_a_program_runs_is_for_the_program() {
    let world = World::new();
    let mut person = Person::new(&world);
    person.type_in("echo ask; read x; echo got:$x; cat > typed\n");
    person.see("\r\nask\r\n");
    person.type_in("hello\n");
    person.see("\r\ngot:hello\r\n");
    person.type_in("touch oops\n");
    person.type_in(CTRL_D);
    person.see(PROMPT);
    // What was pasted is commands.
    person.type_in("echo one\necho two\n");
    person.see("\r\none\r\n");
    person.see("two\r\n");
    person.see(PROMPT);
    person.type_in(CTRL_D);
    assert_eq!(person.end(), Some(0));
    assert_eq!(fs::read_to_string(world.path("typed")).unwrap(), "touch oops\n");
    assert!(!world.path("oops").exists());
}

#[test]
fn a_program_that_heeds_no_ctrl_c_ends_the_session_at_the_third() {
    let world = World::new();
    let mut person = Person::new(&world);
    person.type_in("trap '' INT; echo x > kept; echo deaf; sleep 60\n");
    person.see("\r\ndeaf\r\n");
    let begun = Instant::now();
    while person.child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < PATIENCE, "it goes on");
        // It may end just now.
        let _ = person.keys.write_all(CTRL_C.as_bytes());
        sleep(Duration::from_millis(200));
    }
    assert_eq!(person.end(), Some(130));
    person.see("does not heed Ctrl-C");
    assert!(world.path("kept").exists());
}

#[test]
fn a_signal_ends_the_session_when_its_work_is_settled() {
    use rustix::process::{Pid, Signal, kill_process};
    use std::os::unix::process::ExitStatusExt;
    for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
        for (args, lines) in [
            (&["--changes", "commit"][..], "echo kept >kept\necho said\n"),
            (&["--changes", "commit"], "echo kept >kept; echo said; exec >/dev/null\nsleep 60\n"),
            (&["--json", "--changes", "commit"], "{\"run\": \"echo kept >kept; echo said\"}\n"),
            (&["--json", "--changes", "commit"], "{\"run\":\"echo kept >kept\"}\n{\"run\":\"sleep 60\"}\n"),
            (
                &["--json", "--changes", "commit"],
                "{\"start\":\"echo kept >kept; sleep 60\"}\n{\"wait\":\"50s\",\"quiet\":\"50s\"}\n",
            ),
        ] {
            let world = World::new();
            // Whoever runs the tests in the background ignores Ctrl-C, and so do those that he starts.
            let mut command = Command::new("env");
            command.arg("--default-signal").arg(world.sbx().get_program()).arg("shell").args(args);
            command.current_dir(world.workspace()).env_remove("SBX_POLICY");
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(lines.as_bytes()).unwrap();
            // The first has been answered.
            let mut out = BufReader::new(child.stdout.take().unwrap());
            out.read_line(&mut String::new()).unwrap();
            sleep(Duration::from_millis(100));
            let begun = Instant::now();
            kill_process(Pid::from_child(&child), signal).unwrap();
            let status = child.wait().unwrap();
            assert_eq!(status.signal(), Some(signal.as_raw()), "{args:?} {lines:?}");
            assert!(begun.elapsed() < Duration::from_secs(20), "{args:?} {lines:?}");
            assert_eq!(fs::read_to_string(world.path("kept")).unwrap(), "kept\n", "{args:?} {lines:?}");
            drop(stdin);
        }
    }
}

#[test]
fn a_terminal_that_goes_away_ends_the_session_when_its_work_is_settled() {
    use rustix::process::{Pid, Signal, kill_process};
    for runs in ["", "sleep 60\r", "yes\r"] {
        let world = World::new();
        let mut person = Person::new(&world);
        person.type_in("echo kept >kept\r");
        person.see(PROMPT);
        person.type_in(runs);
        sleep(Duration::from_millis(300));
        kill_process(Pid::from_child(&person.child), Signal::HUP).unwrap();
        assert_eq!(person.end(), None, "{runs:?}");
        assert_eq!(fs::read_to_string(world.path("kept")).unwrap(), "kept\n", "{runs:?}");
    }
}
