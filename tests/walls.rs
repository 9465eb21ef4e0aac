//! The ordinary attacks: each is a script whose success would print `ESCAPED`.

mod world;

use std::time::{Duration, Instant};
use world::World;

/// Ways to run a program that the policy does not allow. `perl` and `python3` are on most hosts; `ls` under another name
/// is foreign too.
const FOREIGN_PROGRAMS: [&str; 24] = [
    "/usr/bin/perl -e 'print \"ESCAPED\"'",
    "/bin/perl -e 'print \"ESCAPED\"'",
    "/usr/bin/../bin/perl -e 'print \"ESCAPED\"'",
    "/proc/self/root/usr/bin/perl -e 'print \"ESCAPED\"'",
    "/proc/1/root/usr/bin/perl -e 'print \"ESCAPED\"'",
    "PATH=/usr/local/bin:/usr/bin:/bin perl -e 'print \"ESCAPED\"'",
    "command -p perl -e 'print \"ESCAPED\"'",
    "env PATH=/usr/bin perl -e 'print \"ESCAPED\"'",
    "exec -a ls perl -e 'print \"ESCAPED\"'",
    "hash -p /usr/bin/perl ls; ls -e 'print \"ESCAPED\"'",
    "cp /usr/bin/echo copy; ./copy ESCAPED",
    "cp /usr/bin/echo /tmp/copy; /tmp/copy ESCAPED",
    "cp /usr/bin/echo /dev/shm/copy; /dev/shm/copy ESCAPED",
    "cp /usr/bin/echo ~/copy; ~/copy ESCAPED",
    "cp /usr/bin/echo copy; /lib64/ld-linux-x86-64.so.2 ./copy ESCAPED",
    "cp /usr/bin/echo /tmp/copy; /lib64/ld-linux-x86-64.so.2 /tmp/copy ESCAPED",
    "ln -s /usr/bin/echo link; cp -L link copy; chmod +x copy; env ./copy ESCAPED",
    "printf '#!/bin/bash\\necho ESCAPED\\n' > s; chmod +x s; ./s",
    "cp /usr/bin/echo copy; find . -name copy -exec {} ESCAPED \\;",
    "cp /usr/bin/echo copy; echo ESCAPED | xargs ./copy",
    "awk 'BEGIN{system(\"/usr/bin/perl -e \\\"print q(ESCAPED)\\\"\")}'",
    "git -c alias.x='!perl -e \"print q(ESCAPED)\"' x",
    "cp /lib/x86_64-linux-gnu/libc.so.6 evil.so; enable -f ./evil.so x && echo ESCAPED",
    "cat /usr/bin/echo | (exec 9<&0; /lib64/ld-linux-x86-64.so.2 /proc/self/fd/9 ESCAPED)",
];

#[test]
fn no_program_outside_the_whitelist_runs_by_any_spelling() {
    let world = World::new();
    for script in FOREIGN_PROGRAMS {
        let object = world.json(&["--changes", "discard", "-c", script]);
        assert!(!object["stdout"].as_str().unwrap().contains("ESCAPED"), "{script}: {object}");
        assert_eq!(object["outcome"], "exited", "{script}");
    }
}

#[test]
fn the_same_attacks_succeed_where_the_policy_opens_the_wall() {
    let world = World::new();
    let open = world.dir.path().join("open.toml");
    std::fs::write(&open, "extends = \"whitelist\"\nloosens = [\"exec\"]\nexec = \"workspace\"\n").unwrap();
    for script in [
        "cp /usr/bin/echo copy; ./copy ESCAPED",
        "printf '#!/bin/bash\\necho ESCAPED\\n' > s; chmod +x s; ./s",
        "cp /usr/bin/echo copy; /lib64/ld-linux-x86-64.so.2 ./copy ESCAPED",
    ] {
        let object = world.json(&["--policy", open.to_str().unwrap(), "--changes", "discard", "-c", script]);
        assert!(object["stdout"].as_str().unwrap().contains("ESCAPED"), "{script}: {object}");
    }
}

#[test]
fn nothing_of_the_host_can_be_read_or_written() {
    let world = World::new();
    let secret = world.dir.path().join("secret");
    std::fs::write(&secret, "ESCAPED").unwrap();
    let path = secret.display().to_string();
    let scripts = [
        "cat /etc/shadow && echo ESCAPED".to_string(),
        format!("cat {path}"),
        format!("cat /proc/self/root{path}"),
        format!("cat /proc/1/root{path}"),
        "cat ../secret".into(),
        format!("ln -s {path} l; cat l"),
        "cat /proc/1/environ && echo ESCAPED".into(),
        "ls /home/*/.ssh /root && echo ESCAPED".into(),
        "echo x > /etc/passwd && echo ESCAPED".into(),
        "echo x > /usr/bin/ls && echo ESCAPED".into(),
        "echo x > /proc/sys/kernel/core_pattern && echo ESCAPED".into(),
        "echo b > /proc/sysrq-trigger && echo ESCAPED".into(),
        "touch /x && echo ESCAPED".into(),
    ];
    for script in scripts {
        let object = world.json(&["--changes", "discard", "-c", &script]);
        assert!(!object["stdout"].as_str().unwrap().contains("ESCAPED"), "{script}: {object}");
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "ESCAPED");
}

/// What a policy shows in /dev has its place in a gathered view, and nothing else can be made there.
#[test]
fn devices_are_those_of_the_view_and_of_the_policy() {
    let world = World::new();
    let policy = world.dir.path().join("devices.toml");
    let read = "[files]\nread = [\"/dev/tty\", \"/dev/null\"]\n";
    std::fs::write(&policy, format!("extends = \"whitelist\"\nloosens = [\"files.read\"]\n{read}")).unwrap();
    let usual = "fd full null random shm stderr stdin stdout urandom zero";
    let script = "echo /dev/*; echo x > /dev/null && echo y > /dev/shm/y && cat /dev/shm/y; for f in /dev/x /dev/null; do
        mkdir $f 2> /dev/shm/error; rm -f $f 2>> /dev/shm/error; done; test -c /dev/null && grep -c Read-only /dev/shm/error";
    for (policy, more) in [("whitelist", ""), (policy.to_str().unwrap(), " tty")] {
        let object = world.json(&["--policy", policy, "-c", script]);
        let mut seen = object["stdout"].as_str().unwrap().lines();
        let mut names: Vec<&str> = seen.next().unwrap().split(' ').collect();
        names.sort_unstable();
        let expected =
            format!("{usual}{more}").split(' ').map(|name| format!("/dev/{name}")).collect::<Vec<_>>();
        assert!(expected.iter().all(|name| names.contains(&name.as_str())), "{object}");
        assert_eq!(names.len(), expected.len(), "{object}");
        assert_eq!(seen.collect::<Vec<_>>(), ["y", "1"], "{object}");
    }
}

#[test]
fn there_is_no_network() {
    let world = World::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let object = world.json(&[
        "-c",
        &format!(
            "echo hi > /dev/tcp/127.0.0.1/{port} && echo ESCAPED; cat /proc/net/dev | tail -n +3 | wc -l"
        ),
    ]);
    assert!(!object["stdout"].as_str().unwrap().contains("ESCAPED"), "{object}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody connected");
}

#[test]
fn no_process_outlives_its_action_or_sbx_itself() {
    let world = World::new();
    let mark = format!("2{:05}", std::process::id());
    let started = Instant::now();
    world.exec(&[
        "-c",
        &format!(
            "setsid sleep {mark} & (sleep {mark} &) ; nohup sleep {mark} >/dev/null 2>&1 & disown; exit 0"
        ),
    ]);
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(alive(&mark), 0);
    let mut child =
        world.sbx().args(["exec", "-c", &format!("setsid sleep {mark} & sleep {mark}")]).spawn().unwrap();
    wait_for(|| alive(&mark) == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for(|| alive(&mark) == 0);
}

/// Processes of the host with `sleep MARK` as command line.
fn alive(mark: &str) -> usize {
    let line = format!("sleep\0{mark}\0");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.filter(|p| std::fs::read(p.path().join("cmdline")).is_ok_and(|c| c == line.as_bytes())).count()
}

fn wait_for(mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(60), "it did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn bombs_end_and_leave_the_host_well() {
    let world = World::new();
    for script in [
        ":(){ :|:& };:; sleep 30",
        "tail /dev/zero",
        "while :; do mkdir d && cd d || exit; done",
        "yes",
        "trap '' TERM; while :; do :; done",
    ] {
        let started = Instant::now();
        let object = world.json(&[
            "--changes",
            "discard",
            "--timeout",
            "1s",
            "--memory",
            "128 MiB",
            "--processes",
            "32",
            "-c",
            script,
        ]);
        assert!(started.elapsed() < Duration::from_secs(60), "{script}");
        assert_ne!(object["outcome"], "refused", "{script}: {object}");
    }
    assert_eq!(world.json(&["-c", "echo well"])["stdout"], "well\n");
}

#[test]
fn two_sandboxes_do_not_see_each_other() {
    let world = World::new();
    world.exec(&[
        "--changes",
        "discard",
        "-c",
        "echo mine > /tmp/mine; echo mine > ~/mine; echo mine > mine; echo mine > /dev/shm/mine",
    ]);
    let object = world.json(&["-c", "cat /tmp/mine ~/mine mine /dev/shm/mine; ls /tmp"]);
    assert!(!object["stdout"].as_str().unwrap().contains("mine"), "{object}");
}

#[test]
fn everyday_work_runs_unchanged() {
    let world = World::new();
    for (script, expected) in [
        ("printf 'b\\na\\n' | sort | head -n 1", "a\n"),
        ("for i in 1 2 3; do echo $((i * i)); done | paste -sd+ ", "1+4+9\n"),
        ("diff <(echo a) <(echo b) | wc -l", "4\n"),
        ("cat <<'E' > f && sed -i s/x/y/ f && cat f\nx\nE", "y\n"),
        ("tar cf - file.txt | tar tf -", "file.txt\n"),
        ("mkfifo p; (echo hi > p &); cat p", "hi\n"),
        ("find . -name '*.txt' | xargs cat", "one\n"),
        (
            "git init -q r && cd r && echo a > a && git add a && git commit -qm m && git log --oneline | wc -l && git status --short",
            "1\n",
        ),
        ("exec 3> t; echo hi >&3; exec 3>&-; cat t", "hi\n"),
        ("trap 'echo bye' EXIT; echo hi", "hi\nbye\n"),
        ("awk 'BEGIN { print 1 + 1 }'", "2\n"),
        ("(sleep 0.1; echo later) & wait; echo done", "later\ndone\n"),
        ("a=(x y z); echo ${#a[@]} ${a[-1]}", "3 z\n"),
        ("/bin/ls file.txt; /bin/bash -c 'echo $0' ; /bin/sh -c 'echo sh'", "file.txt\n/bin/bash\nsh\n"),
        ("gzip -k file.txt && zcat file.txt.gz", "one\n"),
        ("id -un; hostname; umask; pwd | wc -l", "agent\nsbx\n0022\n1\n"),
    ] {
        let object = world.json(&["--changes", "discard", "-c", script]);
        assert_eq!(
            (object["stdout"].as_str().unwrap(), &object["exit_code"]),
            (expected, &0.into()),
            "{script}: {}",
            object["stderr"]
        );
    }
}

#[test]
fn a_directory_as_stdin_leads_nowhere() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let outside = world.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "").unwrap();
    std::fs::set_permissions(outside.join("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
    // The second time what was recorded of the first is used.
    for _ in 0..3 {
        let mut sbx = world.sbx();
        sbx.args(["exec", "-c", "chmod 777 /dev/stdin/secret"]);
        let output = sbx.stdin(std::fs::File::open(&outside).unwrap()).output().unwrap();
        let mode = std::fs::metadata(outside.join("secret")).unwrap().permissions().mode() & 0o777;
        assert_eq!((output.status.code(), mode), (Some(125), 0o600));
        assert!(world::text(&output.stderr).contains("stdin: expected a file"), "{output:?}");
        assert_eq!(world.exec(&["-c", "chmod 777 /dev/stdin/secret"]).status.code(), Some(1));
    }
}
