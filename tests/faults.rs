//! Set-up with a system call that fails, and hosts that lack something: a command runs with every wall, or not at all, and
//! what is missing has a name.

mod world;

use serde_json::Value;
use std::process::Command;
use world::World;

/// Printed by an action that has every wall around it.
const PROOF: &str = "s=/proc/self/status; grep -q 'NoNewPrivs:.1' $s && grep -q 'Seccomp:.2' $s && grep -q 'CapBnd:.0*$' $s && \
    grep -q 'CapEff:.0*$' $s && [ $(id -u) = 1000 ] && [ $$ -lt 99 ] && [ $(cat /proc/sys/kernel/hostname) = sbx ] && \
    ! [ -e /etc/shadow ] && cp /usr/bin/true t && ! ./t 2>/dev/null && ! (echo x > /usr/bin/x) 2>/dev/null && \
    [ $(tail -n +3 /proc/net/dev | wc -l) -le 1 ] && echo WALLS";

/// Linux x86_64 numbers of the calls that set-up makes, the library's and process 1's.
const CALLS: [(&str, u32); 49] = [
    ("fstat", 5),
    ("ioctl", 16),
    ("socket", 41),
    ("socketpair", 53),
    ("sendmsg", 46),
    ("recvmsg", 47),
    ("clone", 56),
    ("execve", 59),
    ("fcntl", 72),
    ("flock", 73),
    ("getcwd", 79),
    ("mkdir", 83),
    ("symlink", 88),
    ("umask", 95),
    ("getrusage", 98),
    ("setsid", 112),
    ("setresuid", 117),
    ("setresgid", 119),
    ("capget", 125),
    ("capset", 126),
    ("pivot_root", 155),
    ("prctl", 157),
    ("mount", 165),
    ("umount2", 166),
    ("sethostname", 170),
    ("uname", 63),
    ("rmdir", 84),
    ("fstatfs", 138),
    ("sched_setaffinity", 203),
    ("getdents64", 217),
    ("newfstatat", 262),
    ("readlinkat", 267),
    ("tee", 276),
    ("utimensat", 280),
    ("signalfd4", 289),
    ("pipe2", 293),
    ("prlimit64", 302),
    ("seccomp", 317),
    ("memfd_create", 319),
    ("execveat", 322),
    ("pidfd_send_signal", 424),
    ("open_tree", 428),
    ("move_mount", 429),
    ("close_range", 436),
    ("openat2", 437),
    ("mount_setattr", 442),
    ("landlock_create_ruleset", 444),
    ("landlock_add_rule", 445),
    ("landlock_restrict_self", 446),
];

fn python() -> Option<&'static str> {
    let found =
        ["/usr/bin/python3", "/usr/local/bin/python3"].into_iter().find(|p| std::path::Path::new(p).exists());
    if found.is_none() {
        eprintln!("SKIPPED: this host has no python3");
    }
    found
}

/// Runs `sbx exec` with calls that fail; exit status, output and errors.
fn denied(world: &World, specs: &[String], args: &[&str]) -> (Option<i32>, String, String) {
    let sbx = env!("CARGO_BIN_EXE_sbx");
    let deny = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/deny.py");
    let output = Command::new(python().unwrap())
        .current_dir(world.workspace())
        .arg(deny)
        .args(specs)
        .args(["--", sbx, "exec", "--changes", "discard"])
        .args(args)
        .output()
        .unwrap();
    (output.status.code(), world::text(&output.stdout), world::text(&output.stderr))
}

#[test]
fn a_call_that_fails_never_leaves_a_wall_out() {
    if python().is_none() {
        return;
    }
    let world = World::new();
    let (status, out, err) = denied(&world, &[], &["-c", PROOF]);
    assert!(out.contains("WALLS"), "without a fault: {status:?} {out}{err}");
    for (name, number) in CALLS {
        // EPERM, ENOSYS, ENOMEM
        for errno in [1, 38, 12] {
            // What runs before the program has a record to begin with.
            denied(&world, &[], &["-c", "true"]);
            let (status, out, err) = denied(&world, &[format!("{number}:{errno}")], &["-c", PROOF]);
            let refused = status != Some(0) && !out.contains("WALLS") && out.is_empty();
            let whole = status == Some(0) && out.contains("WALLS");
            // A program that cannot make the call itself may fail behind whole walls.
            let failed_inside = out.is_empty() && status.is_some_and(|s| s != 0);
            assert!(refused || whole || failed_inside, "{name} fails with {errno}: {status:?} {out}{err}");
        }
    }
    // Nothing of all that is left.
    let left = std::fs::read_dir("/proc").unwrap().flatten().filter(|p| {
        std::fs::read(p.path().join("comm")).is_ok_and(|c| c == b"sbx-init\n")
            && std::fs::read_link(p.path().join("cwd")).is_ok_and(|d| d.starts_with(world.dir.path()))
    });
    assert_eq!(left.count(), 0);
}

fn object(text: &str, err: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}{err}"))
}

#[test]
fn hosts_that_lack_something_refuse_or_report_it() {
    if python().is_none() {
        return;
    }
    let world = World::new();
    let report = world.dir.path().join("report.toml");
    std::fs::write(&report, "extends = \"whitelist\"\nloosens = [\"missing\"]\nmissing = \"report\"\n")
        .unwrap();
    let report = report.display().to_string();
    const NEWUSER: u32 = 0x1000_0000;
    for (what, specs, named) in [
        ("no Landlock", vec!["444:38".to_string()], Some("landlock")),
        ("clone3 answers ENOSYS", vec!["435:38".to_string()], None),
    ] {
        let (status, out, err) = denied(&world, &specs, &["--json", "-c", "echo ran"]);
        match named {
            None => assert_eq!(object(&out, &err)["stdout"], "ran\n", "{what}"),
            Some(wall) => {
                assert_eq!(status, Some(125), "{what}: strict refuses: {out}{err}");
                assert!(err.contains(wall), "{what}: {err}");
                let (_, out, err) =
                    denied(&world, &specs, &["--policy", &report, "--json", "-c", "echo ran"]);
                let seen = object(&out, &err);
                assert_eq!(seen["stdout"], "ran\n", "{what}: {seen}");
                assert!(seen["missing"].to_string().contains(wall), "{what}: {seen}");
                assert!(!seen["enforced"].to_string().contains(wall), "{what}: {seen}");
            }
        }
    }
    // Without user namespaces there is nothing to report: every other wall stands in one.
    let (status, out, err) =
        denied(&world, &[format!("56:1:0:{NEWUSER}")], &["--policy", &report, "-c", "echo ran"]);
    assert!(status == Some(125) && out.is_empty(), "{out}{err}");
    assert!(err.contains("user namespaces"), "{err}");
}

#[test]
fn inside_other_sandboxes_it_works_or_says_why_not() {
    let world = World::new();
    let sbx = env!("CARGO_BIN_EXE_sbx");
    let ws = world.workspace().display().to_string();
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).current_dir(world.workspace()).args(args).output().ok()?;
        Some((output.status.code(), world::text(&output.stdout), world::text(&output.stderr)))
    };
    let clear = |what: &str, seen: Option<(Option<i32>, String, String)>| match seen {
        None => eprintln!("SKIPPED: {what} is not on this host"),
        Some((status, out, err)) => {
            let works = status == Some(0) && out.contains("WALLS");
            let refuses = status == Some(125) && out.is_empty() && err.starts_with("sbx: ");
            println!("{what}: {}", if works { "works" } else { err.trim() });
            assert!(works || refuses, "{what}: {status:?} {out}{err}");
        }
    };
    // An installed bubblewrap that can do nothing here tells nothing.
    let usable = run(
        "bwrap",
        &["--dev-bind", "/", "/", "--unshare-user", "--unshare-pid", "--proc", "/proc", "--", "true"],
    )
    .is_some_and(|(status, ..)| status == Some(0));
    let inner = [sbx, "exec", "--changes", "discard", "-c", PROOF];
    let bwrap = [
        &["--dev-bind", "/", "/", "--unshare-user", "--unshare-pid", "--proc", "/proc", "--chdir", &ws, "--"]
            [..],
        &inner,
    ]
    .concat();
    clear("bubblewrap", run("bwrap", &bwrap).filter(|_| usable));
    let strict = [
        &[
            "--dev-bind",
            "/",
            "/",
            "--unshare-all",
            "--cap-drop",
            "ALL",
            "--proc",
            "/proc",
            "--chdir",
            &ws,
            "--",
        ][..],
        &inner,
    ]
    .concat();
    clear("bubblewrap without capabilities", run("bwrap", &strict).filter(|_| usable));
    // A container masks /proc: whoever accepts that says so in the policy, and sees it in the observation.
    let report = world.dir.path().join("report.toml");
    std::fs::write(&report, "extends = \"whitelist\"\nloosens = [\"missing\"]\nmissing = \"report\"\n")
        .unwrap();
    let reported = [
        sbx,
        "exec",
        "--json",
        "--changes",
        "discard",
        "--policy",
        report.to_str().unwrap(),
        "-c",
        "echo ran",
    ];
    let masked = [&bwrap[..bwrap.len() - inner.len()], &reported].concat();
    if let Some((_, out, err)) = run("bwrap", &masked).filter(|_| usable) {
        let seen = object(&out, &err);
        assert_eq!(seen["stdout"], "ran\n", "{seen}");
        // An ordinary user's bubblewrap shows a whole /proc, root's a masked one.
        let missing = seen["missing"].to_string();
        assert!(missing == "[]" || missing.contains("proc"), "{seen}");
    }
    // In itself: nested user namespaces are off in there, so it must say so.
    let policy = world.dir.path().join("nest.toml");
    let dir = std::path::Path::new(sbx).parent().unwrap().display().to_string();
    std::fs::write(&policy, format!("extends = \"whitelist\"\nloosens = [\"commands.allow\", \"commands.path\"]\n[commands]\nallow = [\"sbx\"]\npath = [\"/usr/bin\", \"/bin\", \"{dir}\"]\n")).unwrap();
    let nested = [
        &["exec", "--changes", "discard", "--policy", policy.to_str().unwrap(), "--"][..],
        &["sbx", "exec", "-c", "echo WALLS"],
    ]
    .concat();
    clear("itself", run(sbx, &nested));
}
