//! What a sandbox shows of the host, the second time too, when it is opened from a record.

mod world;

use std::io::Write;
use std::process::{Command, Stdio};
use world::{World, text};

#[test]
fn a_path_of_the_policy_that_goes_and_comes_is_noticed_by_a_sandbox_that_is_opened_from_a_record() {
    let world = World::new();
    // Not below /tmp, which is the sandbox's own.
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (data, away) = (dir.path().join("data"), dir.path().join("away"));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("file"), "one\n").unwrap();
    let policy = world.dir.path().join("own.toml");
    let text_of =
        format!("extends = \"whitelist\"\nloosens = [\"files.read\"]\n[files]\nread = [{data:?}]\n");
    std::fs::write(&policy, text_of).unwrap();
    let cache = world.dir.path().join("cache");
    let run = || {
        let mut sbx = world.sbx();
        sbx.args(["exec", "--policy", policy.to_str().unwrap(), "-c"]);
        sbx.arg(format!("cat {} || echo none", data.join("file").display())).env("XDG_CACHE_HOME", &cache);
        let output = sbx.stdin(Stdio::null()).output().unwrap();
        text(&output.stdout)
    };
    for _ in 0..2 {
        assert_eq!([run(), run()], ["one\n", "one\n"]);
        std::fs::rename(&data, &away).unwrap();
        assert_eq!([run(), run()], ["none\n", "none\n"]);
        std::fs::rename(&away, &data).unwrap();
    }
    // Something else under the same name.
    std::fs::rename(&data, &away).unwrap();
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("file"), "two\n").unwrap();
    assert_eq!([run(), run()], ["two\n", "two\n"]);
}

#[test]
fn a_program_that_changes_is_noticed_by_a_sandbox_that_is_opened_from_a_record() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let (bin, cache) = (world.dir.path().join("bin"), world.dir.path().join("cache"));
    std::fs::create_dir(&bin).unwrap();
    let tool = bin.join("tool");
    let write = |word: &str| {
        std::fs::write(&tool, format!("#!/bin/sh\necho {word}\n")).unwrap();
        std::fs::set_permissions(&tool, PermissionsExt::from_mode(0o755)).unwrap();
    };
    let policy = world.dir.path().join("own.toml");
    let dirs = format!("[{:?}, \"/usr/bin\", \"/bin\"]", bin.display());
    std::fs::write(
        &policy,
        format!("extends = \"base\"\n[commands]\nallow = [\"tool\", \"cat\"]\npath = {dirs}\n"),
    )
    .unwrap();
    let run = |stdin: Stdio| {
        let mut sbx = world.sbx();
        sbx.args(["exec", "--timings", "--policy", policy.to_str().unwrap(), "-c", "tool; cat"]);
        let output = sbx.env("XDG_CACHE_HOME", &cache).stdin(stdin).output().unwrap();
        (text(&output.stdout), text(&output.stderr))
    };
    let pipe = || {
        let (read, mut write) = std::io::pipe().unwrap();
        write.write_all(b"read\n").unwrap();
        read.into()
    };
    for word in ["one", "two", "three"] {
        write(word);
        // With nothing on stdin the action begins before the program is looked at, and begins again.
        assert_eq!(run(Stdio::null()).0, format!("{word}\n"));
        assert_eq!(run(pipe()).0, format!("{word}\nread\n"));
        let (said, timings) = run(Stdio::null());
        assert_eq!(said, format!("{word}\n"));
        assert!(timings.contains("the record of the last time"), "{timings}");
    }
    write("four");
    assert_eq!(run(pipe()).0, "four\nread\n");
    // A damaged record is no answer.
    run(Stdio::null());
    let records: Vec<_> =
        std::fs::read_dir(cache.join("sbx/opened")).unwrap().map(|e| e.unwrap().path()).collect();
    for (back, bit) in [(1, 1), (300, 128), (3000, 4)] {
        let mut bytes = std::fs::read(&records[0]).unwrap();
        let at = bytes.len() - back;
        bytes[at] ^= bit;
        std::fs::write(&records[0], bytes).unwrap();
        let (said, timings) = run(Stdio::null());
        assert_eq!(said, "four\n");
        assert!(!timings.contains("the record of the last time"), "{timings}");
        assert!(run(Stdio::null()).1.contains("the record of the last time"));
    }
    // Nor is one that others may have written, or an action.
    std::fs::set_permissions(cache.join("sbx/opened"), PermissionsExt::from_mode(0o777)).unwrap();
    assert!(!run(Stdio::null()).1.contains("the record of the last time"));
    for _ in 0..2 {
        let mut sbx = world.sbx();
        sbx.args(["exec", "--timings", "-c", "true"]).env("XDG_CACHE_HOME", world.dir.path().join("cache"));
        assert!(!text(&sbx.output().unwrap().stderr).contains("the record of the last time"));
    }
}

#[test]
fn what_was_asked_for_before_is_begun_before_the_program_itself() {
    // As the build links it where it can: at a fixed address, and entered elsewhere.
    const EXECUTABLE: u8 = 2;
    let program = std::fs::read(env!("CARGO_BIN_EXE_sbx")).unwrap();
    if program[16] != EXECUTABLE || sbx::Host::probe().cgroup.version == 2 {
        eprintln!("SKIPPED: sbx is linked as any other program, or a process begins in its cgroup");
        return;
    }
    const BEGUN: &str = "process 1, which was begun already";
    let world = World::new();
    let cache = world.dir.path().join("cache");
    let (link, file) = (world.dir.path().join("link"), world.dir.path().join("own.toml"));
    std::os::unix::fs::symlink(world.path("."), &link).unwrap();
    std::fs::write(&file, "extends = \"whitelist\"\n").unwrap();
    let run = |words: &[&str]| {
        let mut sbx = world.sbx();
        sbx.args(["exec", "--timings"]).args(words).args(["-c", "pwd"]);
        let output = sbx.env("XDG_CACHE_HOME", &cache).output().unwrap();
        assert!(output.status.success(), "{words:?} {output:?}");
        (text(&output.stdout), text(&output.stderr))
    };
    let place = format!("{}\n", world.path(".").canonicalize().unwrap().display());
    let (file, link) = (file.to_str().unwrap(), link.to_str().unwrap());
    let requests: [&[&str]; 7] = [
        &[],
        &["--policy", "whitelist"],
        &["--policy=readonly"],
        &["--policy", file, "--json"],
        &["--workspace", link],
        &["--changes", "discard", "--workspace=."],
        &["--changes=commit", "--policy=readonly"],
    ];
    for words in requests {
        let (first, (said, timings)) = (run(words).0, run(words));
        assert!(timings.contains(BEGUN), "{words:?} {timings}");
        if !words.contains(&"--json") {
            assert_eq!([first, said], [place.clone(), place.clone()], "{words:?}");
        }
    }
    // Somebody else's place, and a policy that has changed meanwhile: what was begun is dropped.
    std::fs::write(file, "extends = \"readonly\"\n").unwrap();
    assert!(!run(&["--policy", file]).1.contains(BEGUN));
    assert!(run(&["--policy", file]).1.contains(BEGUN));
    // Without standard streams nothing is opened that could be taken for them.
    let closed = |streams: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec \"$0\" exec -c 'echo a >f' {streams}"), env!("CARGO_BIN_EXE_sbx")]);
        let status = shell.current_dir(world.path(".")).env("XDG_CACHE_HOME", &cache).status().unwrap();
        assert!(status.success(), "{streams}");
        std::fs::remove_file(world.path("f")).unwrap();
    };
    ["<&-", "<&- >&-", "<&- >&- 2>&-", "2>&-"].into_iter().for_each(closed);
    // What others may have written is not begun, and what cannot be read is said as ever.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(cache.join("sbx"), PermissionsExt::from_mode(0o777)).unwrap();
    assert!(!run(&[]).1.contains(BEGUN));
    let wrong = world.exec(&["--workspace", "/no/such/place", "-c", "true"]);
    assert_eq!(wrong.status.code(), Some(125), "{}", text(&wrong.stderr));
}

#[test]
fn python_is_there_under_the_name_that_agents_type() {
    let world = World::new();
    let output = world.exec(&["--policy", "python", "-c", "python -c 'print(6 * 7)'"]);
    assert_eq!(text(&output.stdout), "42\n", "{}", text(&output.stderr));
}

#[test]
fn the_view_of_python_is_gathered_like_the_others() {
    let world = World::new();
    // Beside the bash lies what it is loaded ahead with, where this host's can be.
    let beside = |policy: &str| {
        let mut sbx = world.sbx();
        sbx.args(["exec", "--policy", policy, "-c", "echo /usr/libexec/sbx/*"]);
        // Nothing was gathered before.
        let seen = sbx.env("XDG_CACHE_HOME", world.dir.path().join("cache")).output().expect("sbx");
        assert!(seen.status.success(), "{}", text(&seen.stderr));
        text(&seen.stdout)
    };
    assert_eq!(beside("python"), beside("whitelist"));
}

#[test]
fn the_default_locale_is_one_file_and_the_hosts() {
    if !std::path::Path::new("/usr/lib/locale/C.utf8").exists() {
        eprintln!("skipped: this host has no C.UTF-8");
        return;
    }
    let world = World::new();
    let script = "locale -k LC_CTYPE LC_NUMERIC LC_TIME LC_COLLATE LC_MONETARY LC_MESSAGES LC_PAPER LC_NAME LC_ADDRESS \
        LC_TELEPHONE LC_MEASUREMENT LC_IDENTIFICATION; locale -a | sort -u; printf 'É ß Ω\\n' | tr -d '[:punct:]' | sed 's/./x/g'; \
        printf 'Zebra\\nähre\\napfel\\n' | sort; ls --nothing; cat nothing";
    let fresh = |script: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-c", script]).env("LC_ALL", "C.UTF-8").current_dir(world.workspace());
        bash.output().expect("bash")
    };
    let inside = world.exec(&["-c", &format!("export LC_ALL=C.UTF-8; {script}")]);
    let outside = fresh(script);
    assert_eq!(text(&inside.stdout), text(&outside.stdout));
    assert_eq!(text(&inside.stderr), text(&outside.stderr));
    let maps = world.exec(&["-c", "LC_ALL=C.UTF-8 grep -c /usr/lib/locale/ /proc/self/maps"]);
    assert_eq!(text(&maps.stdout), "1\n");
}
