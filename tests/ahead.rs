//! The bash that is started ahead is the `bash -c SCRIPT` that a plain start makes.

mod world;

use sbx::{Action, Policy, Sandbox};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use world::corpus;

/// Longer than a sandbox waits before it holds a bash. Where the machine is too busy for that, the plain start is
/// compared with itself, which proves nothing and breaks nothing.
const PAUSE: Duration = Duration::from_millis(40);

const SCRIPTS: [&str; 24] = [
    r#"echo "$0 $- $# $PPID $SHLVL $LINENO $((SECONDS < 60))"; echo "$BASH_EXECUTION_STRING""#,
    "[ $$ = $BASHPID ] && echo same",
    "env | sort",
    "ls /proc/self/fd; ls /proc/$$/fd",
    "cat; echo read",
    "pwd; cd /tmp; pwd; echo $OLDPWD",
    "if",
    "echo 'unclosed",
    "foo; cat /nonexistent",
    "set -euo pipefail; false | true; echo not reached",
    "trap 'echo bye' EXIT; exit 7",
    "kill -TERM $$",
    "cat <<'E'\n$x `y`\nE",
    "f() { return 3; }; f; echo $?; return 4",
    "sleep 0 & wait; jobs; echo ${PIPESTATUS[@]}",
    "umask; ulimit -n; trap -p; set -o | grep on$; shopt | grep on$",
    "tr '\\0' '\\n' < /proc/$$/cmdline; tr '\\0' '\\n' < /proc/$$/environ | sort; cat /proc/$$/comm",
    "locale charmap; printf '%s\\n' é | wc -m",
    "git --version > f; cat f; rm f; exec ls -d .",
    "declare -p | grep -Ev 'RANDOM|EPOCH|BASHPID|PPID|SECONDS'; declare -F; alias; hash",
    "echo $_ $BASH_COMMAND $BASH_SUBSHELL ${BASH_ARGV[@]} ${BASH_SOURCE[@]} ${FUNCNAME[@]} $OPTIND $OPTERR",
    "grep -hE '^(Sig[^Q]|Cap|NoNewPrivs|Seccomp|Threads|Umask|Uid|Gid|Groups|Cpus_allowed_list)' /proc/self/status /proc/$$/status",
    "read a; read b; echo \"$a|$b\"; exec 3<&0; cat <&3",
    "bash -c 'echo $((PPID == '$$'))'; (echo $BASHPID) | wc -l; wait; times | wc -l; type -t cd",
];

#[test]
fn a_held_bash_cannot_be_told_from_a_fresh_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = Policy::preset("whitelist").expect("a preset");
    let mut shell = Sandbox::open(&policy, dir.path()).expect("a sandbox");
    for script in SCRIPTS {
        for stdin in ["", "a\nb\n"] {
            let fresh = Sandbox::open(&policy, dir.path())
                .and_then(|mut s| s.run(&Action::bash(script).stdin(stdin)))
                .expect("a fresh one");
            std::thread::sleep(PAUSE);
            let held = shell.run(&Action::bash(script).stdin(stdin)).expect("a held one");
            assert_eq!(told(&held), told(&fresh), "{script}");
        }
    }
}

fn open(dir: &Path) -> Sandbox {
    Sandbox::open(&Policy::preset("whitelist").expect("a preset"), dir).expect("a sandbox")
}

/// What can be told of an action.
fn told(seen: &sbx::Observation) -> (sbx::Outcome, i32, String, String, u32) {
    (seen.outcome, seen.exit_code, seen.stdout.text(), seen.stderr.text(), seen.killed)
}

#[test]
fn a_bash_that_has_begun_takes_only_what_it_has_begun_for() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("sub")).expect("a directory");
    let policy = Policy::preset("whitelist").expect("a preset");
    let mut shell = Sandbox::open(&policy, dir.path()).expect("a sandbox");
    let script = "pwd; env | sort; echo \"$X $0 $- $SHLVL $OLDPWD $BASH_EXECUTION_STRING\"; set -o posix; shopt -op posix";
    let plain = || Action::bash(script);
    let socket = || std::os::unix::net::UnixStream::pair().expect("a pair").0;
    let actions: [&dyn Fn() -> Action; 12] = [
        &plain,
        &plain,
        &|| plain().env("X", "1"),
        &|| plain().env("X", "2").env("LC_ALL", "C"),
        &|| plain().env("POSIXLY_CORRECT", "1"),
        &|| plain().env("POSIXLY_CORRECT", "1"),
        &|| plain().env("BASH_COMPAT", "4.2").env("OLDPWD", "/tmp"),
        &|| plain().cwd("sub"),
        &|| plain().cwd("sub"),
        &|| plain().stdin_from(socket().into()),
        &|| plain().env("SSH_CLIENT", "1").env("SHLVL", "0"),
        &|| plain().env("X", "x".repeat(60_000)),
    ];
    for (i, action) in actions.iter().enumerate() {
        let fresh =
            Sandbox::open(&policy, dir.path()).and_then(|mut s| s.run(&action())).expect("a fresh one");
        // The first finds what the one before has left, the second what itself has.
        for _ in 0..2 {
            std::thread::sleep(PAUSE);
            assert_eq!(told(&shell.run(&action()).expect("a held one")), told(&fresh), "action {i}");
        }
    }
}

#[test]
fn the_time_that_a_bash_has_waited_is_not_the_scripts() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut shell = open(dir.path());
    for _ in 0..3 {
        let seen = shell.run(&Action::bash("sleep 0.01; echo $SECONDS")).expect("runs");
        assert!(["0\n", "1\n"].contains(&seen.stdout.text().as_str()), "{seen:?}");
        std::thread::sleep(Duration::from_millis(2200));
    }
}

#[test]
fn scripts_of_every_length_run_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut shell = open(dir.path());
    // Around a page, the longest argument, and what goes through a descriptor.
    for length in [1, 4095, 4096, 4097, 120 << 10, (120 << 10) + 1, (128 << 10) - 1, 128 << 10, 1 << 20] {
        std::thread::sleep(PAUSE);
        let end = "\necho end";
        let script = format!(":{}{end}", " ".repeat(length));
        let seen = shell.run(&Action::bash(&script)).expect("runs");
        assert_eq!(seen.stdout.text(), "end\n", "{length}: {seen:?}");
    }
    std::thread::sleep(PAUSE);
    assert_eq!(shell.run(&Action::bash("echo a\0b")).expect("runs").stdout.text(), "ab\n");
}

#[test]
fn process_1_becomes_a_bash_after_a_script() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut shell = open(dir.path());
    assert!(shell.plan().works_ahead, "the bash of this machine does not load our library");
    let mut arguments = || {
        let seen =
            shell.run(&Action::bash("tr '\\0' ' ' < /proc/1/cmdline; cat /proc/1/comm")).expect("runs");
        seen.stdout.text()
    };
    // After a millisecond without an action it has left the memory in which its arguments were.
    std::thread::sleep(PAUSE);
    assert_eq!(arguments(), "sbx-init\n");
    // After a pause it is one already, unless the machine is too busy; after two scripts in any case.
    std::thread::sleep(PAUSE);
    arguments();
    assert_eq!(arguments(), "sbx-init -c exit 1 sbx-init\n");
    assert_eq!(arguments(), "sbx-init -c exit 1 sbx-init\n");
}

#[test]
fn what_a_script_does_to_process_1_and_to_all_others_is_not_felt_by_the_next() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut shell = open(dir.path());
    for attack in [
        "kill -9 -1",
        "kill -9 1; kill -STOP 1; kill -TERM 1; exit 1",
        "head -c 1 /proc/1/mem",
        "cat /proc/1/environ",
        "readlink /proc/1/fd/3",
        "exec 3>&-; for i in 1 2 3; do (sleep 60 &); done; exit 1",
        "exec -a sbx-init env LD_PRELOAD=/usr/libexec/sbx/ahead.so bash -c 'exit 1'",
    ] {
        shell.run(&Action::bash("true")).expect("runs");
        std::thread::sleep(PAUSE);
        let seen = shell.run(&Action::bash(attack)).expect("runs");
        assert!(!seen.success(), "{attack}: {seen:?}");
        assert_eq!(shell.run(&Action::bash("echo on")).expect("runs").stdout.text(), "on\n", "{attack}");
    }
}

#[test]
fn the_priority_of_process_1_is_not_a_scripts_to_change() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = Policy::preset("python").expect("a preset");
    let mut shell = Sandbox::open(&policy, dir.path()).expect("a sandbox");
    // setpriority(2) and ioprio_set(2): of process 1, of its group, of all of its user; at last the script's own.
    let attack = r"python3 - <<'E'
import ctypes
c = ctypes.CDLL(None)
idle = 3 << 13
print([c.syscall(141, which, who, 19) for which, who in [(0, 1), (1, 1), (2, 0)]])
print([c.syscall(251, which, who, idle) for which, who in [(1, 1), (2, 1), (3, 0)]])
print(c.syscall(141, 0, 0, 19), c.syscall(251, 1, 0, idle))
E";
    let look = "nice; python3 -c 'import ctypes; print(ctypes.CDLL(None).syscall(252, 1, 0) >> 13)'";
    let before = shell.run(&Action::bash(look)).expect("runs").stdout.text();
    for _ in 0..3 {
        std::thread::sleep(PAUSE);
        let seen = shell.run(&Action::bash(attack)).expect("runs").stdout.text();
        assert_eq!(seen, "[-1, -1, -1]\n[-1, -1, -1]\n0 0\n");
        assert_eq!(shell.run(&Action::bash(look)).expect("runs").stdout.text(), before);
    }
}

#[test]
fn what_ends_an_action_comes_from_outside_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = Policy::preset("python").expect("a preset");
    let mut shell = Sandbox::open(&policy, dir.path()).expect("a sandbox");
    let queued =
        "import ctypes; b = (ctypes.c_int * 32)(12, 0, -1); print(ctypes.CDLL(None).syscall(129, 1, 12, b))";
    for script in ["kill -USR1 1; kill -USR2 1".to_string(), format!("python3 -c '{queued}' >&2")] {
        for _ in 0..2 {
            let seen = shell.run(&Action::bash(format!("{script}; sleep 0.1; echo here"))).expect("runs");
            assert_eq!(seen.stdout.text(), "here\n", "{script}: {seen:?}");
            assert!(["", "0\n"].contains(&seen.stderr.text().as_str()), "{script}: {seen:?}");
            std::thread::sleep(PAUSE);
        }
    }
}

#[test]
fn an_action_cannot_keep_the_word_of_its_end_from_process_1() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = Policy::preset("python").expect("a preset");
    let mut shell = Sandbox::open(&policy, dir.path()).expect("a sandbox");
    // While a signal is on its way another one like it is not kept: SIGUSR1 and SIGUSR2 to process 1, without a pause.
    let flood = r"trap '' TERM
python3 - <<'E'
import ctypes, os
for _ in range(4): os.fork()
kill = ctypes.CDLL(None).kill
while True: kill(1, 12); kill(1, 10)
E";
    for _ in 0..4 {
        let time = Duration::from_millis(400);
        let begun = std::time::Instant::now();
        let seen = shell.run(&Action::bash(flood).time(time)).expect("ends");
        assert_eq!((seen.outcome, seen.exit_code), (sbx::Outcome::TimedOut, 124), "{seen:?}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert_eq!(shell.run(&Action::bash("echo on")).expect("runs").stdout.text(), "on\n");
    }
}

#[test]
fn the_end_of_an_actions_time_is_not_the_next_ones() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut shell = open(dir.path());
    let mut outcomes = std::collections::BTreeSet::new();
    for i in 0..60 {
        // Some end before their time is over, some are ended, and some do both at once.
        let time = Duration::from_millis(15 + i % 12);
        outcomes.insert(format!(
            "{:?}",
            shell.run(&Action::bash("sleep 0.02").time(time)).expect("runs").outcome
        ));
        let next = shell.run(&Action::bash("sleep 0.01; echo on")).expect("runs");
        assert!(next.success() && next.stdout.text() == "on\n", "{next:?}");
    }
    assert!(outcomes.contains("TimedOut"), "{outcomes:?}");
}

#[test]
fn an_action_can_be_ended_at_every_moment_of_its_beginning() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut shell = open(dir.path());
    for i in 0..120 {
        // Between the message and the script a process takes it, tells process 1, and becomes a bash.
        if i % 2 == 0 {
            std::thread::sleep(Duration::from_millis(15));
        }
        let time = Duration::from_micros(i * 7 % 400);
        let seen = shell.run(&Action::bash("sleep 60").time(time)).expect("ends");
        assert_eq!((seen.outcome, seen.exit_code), (sbx::Outcome::TimedOut, 124), "{time:?}: {seen:?}");
        assert_eq!(shell.run(&Action::bash("echo on")).expect("runs").stdout.text(), "on\n", "{time:?}");
    }
}

#[test]
fn memory_that_runs_out_takes_the_script_and_not_process_1() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut policy = Policy::preset("whitelist").expect("a preset");
    policy.limits.memory = sbx::ByteSize(32 << 20);
    let mut shell = Sandbox::open(&policy, dir.path()).expect("a sandbox");
    for _ in 0..5 {
        shell.run(&Action::bash("true")).expect("runs");
        std::thread::sleep(PAUSE);
        let seen =
            shell.run(&Action::bash("x=$(head -c 100M /dev/zero | tr '\\0' x); echo ${#x}")).expect("runs");
        assert!(!seen.success(), "{seen:?}");
        // Many small ones: process 1 alone is as large as any of them, and is not a better victim.
        let seen = shell.run(&Action::bash("cat /proc/self/oom_score_adj")).expect("runs");
        assert_eq!(seen.stdout.text(), "500\n");
        let bomb = "for i in {1..300}; do sleep 5 & done; wait; echo never";
        let seen = shell.run(&Action::bash(bomb).time(Duration::from_secs(1))).expect("runs");
        assert!(!seen.success(), "{seen:?}");
        assert_eq!(shell.run(&Action::bash("echo on")).expect("runs").stdout.text(), "on\n");
    }
}

#[test]
fn nothing_of_a_script_is_there_when_its_end_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = Policy::preset("python").expect("a preset");
    let mut shell = Sandbox::open(&policy, dir.path()).expect("a sandbox");
    let cases = [
        // What it has left running is killed before: a child, one that left its session, a grandchild, a thread.
        ("sleep 60 & exit 3", 3, "", 1),
        ("setsid bash -c 'sleep 0.05; echo late > late' > /dev/null 2>&1 & exit 4", 4, "", 1),
        ("(trap '' TERM HUP; (sleep 0.05; echo late > late) &)", 0, "", 1),
        ("exec 9> lock; flock 9; echo locked", 0, "locked\n", 0),
        ("flock -n lock echo free", 0, "free\n", 0),
        ("printf 'no line'; trap 'printf end' EXIT; exit 300", 44, "no lineend", 0),
        ("for i in {1..20000}; do echo $i; done | tail -n 1; (exit 9); exit", 9, "20000\n", 0),
        ("for i in {1..9000}; do echo -n 1234567; done | wc -c; (exit 2)", 2, "63000\n", 0),
        ("exec python3 -c 'raise SystemExit(5)'", 5, "", 0),
        ("kill -9 $$", 137, "", 0),
    ];
    for (script, status, out, killed) in cases {
        for _ in 0..3 {
            shell.run(&Action::bash("true")).expect("runs");
            std::thread::sleep(PAUSE);
            let seen = shell.run(&Action::bash(script)).expect("runs");
            let (text, errors) = (seen.stdout.text(), seen.stderr.text());
            assert_eq!((seen.exit_code, text.as_str(), errors.as_str()), (status, out, ""), "{script}");
            assert_eq!(seen.killed.min(1), killed, "{script}: {seen:?}");
        }
    }
    std::thread::sleep(2 * PAUSE);
    assert!(
        !dir.path().join("late").exists()
            && shell.changes().expect("changes").diff_text().find("late").is_none()
    );
}

#[test]
fn who_says_that_he_ends_is_believed_of_himself_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let policy = Policy::preset("python").expect("a preset");
    let mut shell = Sandbox::open(&policy, dir.path()).expect("a sandbox");
    // exit_group(2) with the mark of an ending, by another process, a thread, and the script's own with children.
    let marked = "import ctypes; ctypes.CDLL(None).syscall(231, ctypes.c_ulong((0x73627800 << 32) | 6), ctypes.c_ulong(2**64 - 1), ctypes.c_ulong(2**64 - 1))";
    let script = format!("python3 -c '{marked}'; echo $?; sleep 0.01; echo here");
    let exec = format!("exec python3 -c '{marked}'");
    let forked = format!("exec python3 -c 'import os, time\nif os.fork() == 0: time.sleep(60)\n{marked}'");
    let program = || Action::program(["python3", "-c", marked]);
    // Where nobody can listen (Linux before 5.19) there is no such call, and the program goes on.
    let ends = shell.run(&program()).expect("runs").exit_code;
    assert!([0, 6].contains(&ends), "{ends}");
    for _ in 0..4 {
        shell.run(&Action::bash("true")).expect("runs");
        std::thread::sleep(PAUSE);
        assert_eq!(shell.run(&program()).expect("runs").exit_code, ends);
        std::thread::sleep(PAUSE);
        let seen = shell.run(&Action::bash(&script)).expect("runs");
        assert_eq!((seen.exit_code, seen.stdout.text()), (0, format!("{ends}\nhere\n")), "{seen:?}");
        std::thread::sleep(PAUSE);
        let seen = shell.run(&Action::bash(&exec)).expect("runs");
        assert_eq!((seen.exit_code, seen.killed), (ends, 0), "{seen:?}");
        // It said that it had used all the time there will ever be.
        assert!(seen.cpu < Duration::from_mins(10), "{seen:?}");
        let busy = "for ((i = 0; i < 300000; i++)); do :; done";
        assert!(shell.run(&Action::bash(busy)).expect("runs").cpu > Duration::from_millis(1), "{busy}");
        std::thread::sleep(PAUSE);
        let seen = shell.run(&Action::bash(&forked)).expect("runs");
        assert_eq!((seen.exit_code, seen.killed), (ends, 1), "{seen:?}");
        let seen = shell.run(&Action::bash("echo on")).expect("runs");
        assert_eq!(seen.stdout.text(), "on\n");
    }
}

#[test]
fn an_action_that_is_no_script_does_not_meet_the_held_bash() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut shell = open(dir.path());
    for _ in 0..3 {
        assert_eq!(shell.run(&Action::bash("echo a")).expect("runs").stdout.text(), "a\n");
        std::thread::sleep(PAUSE);
        let seen = shell.run(&Action::program(["pgrep", "-c", "bash"])).expect("runs");
        assert_eq!((seen.exit_code, seen.stdout.text()), (1, "0\n".into()));
    }
}

#[test]
fn a_held_bash_takes_environment_directory_and_long_scripts() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("sub")).expect("a directory");
    let mut shell = open(dir.path());
    let long = format!("echo \"$X ${{PWD##*/}} ${{#BASH_EXECUTION_STRING}}\" # {}", "x".repeat(50_000));
    let longer = format!("echo \"$X ${{PWD##*/}}\" # {}", "x".repeat(500_000));
    for script in [&long, &longer] {
        shell.run(&Action::bash("true")).expect("runs");
        std::thread::sleep(PAUSE);
        let seen = shell.run(&Action::bash(script).env("X", "x1").cwd("sub")).expect("runs");
        assert!(seen.stdout.text().starts_with("x1 sub"), "{seen:?}");
    }
    std::thread::sleep(PAUSE);
    let seen = shell.run(&Action::bash("true").cwd("no-such")).expect("runs");
    assert_eq!(seen.exit_code, 126);
    assert!(seen.stderr.text().contains("cannot enter the directory"), "{seen:?}");
    std::thread::sleep(PAUSE);
    assert_eq!(shell.run(&Action::bash("echo on")).expect("runs").stdout.text(), "on\n");
}

/// What an everyday script does in a sandbox of its own: outcome, status, output, errors and patch.
fn everyday(script: &str, dir: &Path, held: bool) -> (sbx::Outcome, i32, String, String, String) {
    let policy = Policy::preset("whitelist").expect("a preset");
    let mut sandbox = Sandbox::open(&policy, dir).expect("a sandbox");
    if held {
        sandbox.run(&Action::bash(":")).expect("runs");
        std::thread::sleep(PAUSE);
    }
    let mut action = Action::bash(script);
    for (key, value) in corpus::environment(dir).iter().filter(|(k, _)| k.starts_with("GIT_")) {
        action = action.env(key, value);
    }
    let seen = sandbox.run(&action).expect("runs");
    let patch = sandbox.changes().expect("changes").diff_text();
    (seen.outcome, seen.exit_code, seen.stdout.text(), seen.stderr.text(), patch)
}

#[test]
fn everyday_commands_are_the_same_in_a_held_bash_as_in_a_fresh_one() {
    let world = world::World::new();
    let dir = world.workspace();
    std::fs::create_dir(world.dir.path().join("home")).expect("a directory");
    corpus::repository(&dir);
    let cases = corpus::scripts();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, script)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (fresh, held) = (everyday(script, &dir, false), everyday(script, &dir, true));
                    assert_eq!(held, fresh, "{name}: {script}");
                }
            });
        }
    });
}
