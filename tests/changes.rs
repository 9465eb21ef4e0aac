//! What becomes of the changes of `sbx exec`: committed, withheld, discarded, or a patch.

mod world;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use world::{World, text};

#[test]
fn harmless_changes_are_committed_and_others_withheld() {
    let world = World::new();
    std::fs::create_dir_all(world.path(".git/hooks")).unwrap();
    std::fs::write(world.path("gone"), "x").unwrap();
    let script = "echo two > file.txt; mkdir -p a/b; echo n > a/b/new; rm gone; ln -s /etc/passwd out; echo x > .git/hooks/pre-commit";
    let object = world.json(&["-c", script]);
    assert_eq!(std::fs::read_to_string(world.path("file.txt")).unwrap(), "two\n");
    assert_eq!(std::fs::read_to_string(world.path("a/b/new")).unwrap(), "n\n");
    assert!(
        !world.path("gone").exists()
            && !world.path("out").exists()
            && !world.path(".git/hooks/pre-commit").exists()
    );
    let withheld: Vec<_> = object["changes"]["withheld"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w["path"].as_str().unwrap())
        .collect();
    assert!(withheld.contains(&"out") && withheld.contains(&".git/hooks/pre-commit"), "{withheld:?}");
}

#[test]
fn the_cache_that_programs_are_started_from_is_not_written_from_inside() {
    for (script, withheld) in [
        ("mkdir -p .cache/sbx/trees && echo evil > .cache/sbx/trees/x", ".cache/sbx"),
        ("rm -rf .cache; mkdir -p evil/sbx && ln -s evil .cache", ".cache"),
    ] {
        let world = World::new();
        let mut sbx = world.sbx();
        sbx.env("HOME", world.workspace()).env_remove("XDG_CACHE_HOME");
        let output = sbx.args(["exec", "--json", "-c", script]).output().expect("sbx starts");
        let object: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
        let paths = object["changes"]["withheld"].as_array().expect("a list");
        assert!(paths.iter().any(|w| w["path"] == withheld), "{object:#}");
        assert!(!world.path(".cache/sbx/trees/x").exists());
        assert!(!world.path(".cache").is_symlink());
    }
}

#[test]
fn changes_can_be_discarded_or_taken_as_a_patch() {
    let world = World::new();
    world.exec(&["--changes", "discard", "-c", "echo two > file.txt"]);
    assert_eq!(std::fs::read_to_string(world.path("file.txt")).unwrap(), "one\n");
    let patch = world.dir.path().join("p.patch");
    world.exec(&["--changes", patch.to_str().unwrap(), "-c", "echo two > file.txt"]);
    assert_eq!(std::fs::read_to_string(world.path("file.txt")).unwrap(), "one\n");
    assert!(std::fs::read_to_string(&patch).unwrap().ends_with("-one\n+two\n"));
}

#[test]
fn a_patch_replaces_an_older_one_as_a_whole() {
    let world = World::new();
    let (patch, link) = (world.dir.path().join("p.patch"), world.dir.path().join("latest"));
    std::fs::write(&patch, "old").unwrap();
    std::fs::set_permissions(&patch, PermissionsExt::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(&patch, &link).unwrap();
    let mut old = std::fs::File::open(&patch).unwrap();
    world.exec(&["--changes", link.to_str().unwrap(), "-c", "echo two > file.txt"]);
    assert!(link.is_symlink());
    assert_eq!(patch.metadata().unwrap().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&patch).unwrap().ends_with("-one\n+two\n"));
    let mut kept = String::new();
    old.read_to_string(&mut kept).unwrap();
    assert_eq!(kept, "old", "whoever reads the older one reads it to its end");
}

#[test]
fn a_place_for_the_patch_is_looked_at_before_the_action() {
    let world = World::new();
    for changes in ["", "Commit", "DISCARD", "none", ".", "/no/such/directory/x.patch"] {
        let output = world.exec(&["--changes", changes, "-c", "touch /tmp/ran; echo ran"]);
        let stderr = text(&output.stderr);
        assert_eq!(
            (output.status.code(), text(&output.stdout).as_str()),
            (Some(125), ""),
            "{changes}: {stderr}"
        );
        assert!(stderr.contains("--changes") && stderr.contains("expected"), "{changes}: {stderr}");
    }
    assert!(!world.path("none").exists());
}

#[test]
fn changes_that_cannot_be_read_are_no_empty_patch() {
    let world = World::new();
    let script = "echo x >new; sleep 0.5";
    for changes in ["out.patch", "commit"] {
        let patch = world.dir.path().join("out.patch");
        let changes = if changes == "commit" { changes } else { patch.to_str().unwrap() };
        let workspace = world.workspace();
        let mut sbx = world.sbx();
        sbx.current_dir("/").args(["exec", "--workspace"]).arg(&workspace);
        let child = sbx.args(["--changes", changes, "-c", script]).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
        std::fs::remove_dir_all(&workspace).unwrap();
        let output = child.wait_with_output().unwrap();
        std::fs::create_dir(&workspace).unwrap();
        assert_eq!(output.status.code(), Some(125), "{changes}: {}", text(&output.stderr));
        assert!(!patch.exists());
    }
}

#[test]
fn what_could_not_be_committed_is_an_error() {
    let world = World::new();
    let full = "echo small >small; head -c 3000000 /dev/zero >big";
    let (script, output) = if rustix::process::geteuid().is_root() {
        // A disk that is full, in a mount namespace of this command.
        let command = "mount -t tmpfs -o size=1m tmpfs \"$1\" && cd \"$1\" && exec \"$0\" exec -c \"$2\"";
        let mut unshare = Command::new("unshare");
        unshare.args(["-m", "sh", "-c", command, env!("CARGO_BIN_EXE_sbx")]).arg(world.workspace()).arg(full);
        (full, unshare.stdin(Stdio::null()).output().unwrap())
    } else {
        let mode = PermissionsExt::from_mode(0o555);
        std::fs::set_permissions(world.workspace(), mode).unwrap();
        (full, world.exec(&["-c", full]))
    };
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{script}: {stderr}");
    assert!(stderr.contains("not committed: big: ") && stderr.contains("could not be committed"), "{stderr}");
    let mode = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(world.workspace(), mode).unwrap();
}

#[test]
fn the_directory_that_an_action_saw_gets_its_changes() {
    let world = World::new();
    let [one, two, link] = ["one", "two", "link"].map(|name| world.path(name));
    for dir in [&one, &two] {
        fs::create_dir(dir).unwrap();
    }
    std::os::unix::fs::symlink("one", &link).unwrap();
    let start = |dir: &Path, script: &str| {
        let mut child = world.sbx();
        child.args(["exec", "--workspace"]).arg(dir).args(["-c", script]);
        let mut child =
            child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        child
    };
    let end = |mut child: std::process::Child| {
        drop(child.stdin.take());
        child.wait().unwrap().code()
    };
    let child = start(&link, "echo begun; cat; echo x > f");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("two", &link).unwrap();
    assert_eq!(end(child), Some(0));
    assert!(one.join("f").exists() && !two.join("f").exists());
    let child = start(&one, "echo begun; cat; echo y > f");
    fs::remove_dir_all(&one).unwrap();
    fs::create_dir(&one).unwrap();
    assert_eq!(end(child), Some(125), "what has no place any more is lost");
    assert!(!one.join("f").exists());
}

#[test]
fn a_signal_waits_until_the_changes_are_settled() {
    let world = World::new();
    let script = "for n in 1 2 3 4; do head -c 60000000 /dev/zero | tr '\\0' x >big$n; done; echo done >z";
    let mut sbx = world.sbx();
    let mut child = sbx.args(["exec", "-c", script]).spawn().unwrap();
    // The commit has begun.
    while !world.path("big1").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let _ = rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::TERM,
    );
    child.wait().unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(world.workspace()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["big1", "big2", "big3", "big4", "file.txt", "z"]);
}

#[test]
fn root_works_on_a_tree_as_its_owner() {
    use std::os::unix::fs::chown;
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root meets trees of others");
        return;
    }
    let world = World::new();
    // The owner must get there.
    std::fs::set_permissions(world.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(world.path("sub")).unwrap();
    std::fs::write(world.path("sub/f"), "one\n").unwrap();
    for path in ["sub/f", "sub", "."] {
        chown(world.path(path), Some(4321), Some(4321)).unwrap();
    }
    let output = world.exec(&["-c", "sed -i s/one/two/ sub/f && touch sub/new && id -u"]);
    assert_eq!(text(&output.stdout), "1000\n", "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(world.path("sub/f")).unwrap(), "two\n");
    for path in ["sub/f", "sub/new"] {
        assert_eq!(std::fs::metadata(world.path(path)).unwrap().uid(), 4321, "{path}");
    }
}

#[test]
fn a_repository_made_inside_is_like_one_made_outside() {
    if !std::path::Path::new("/usr/bin/git").exists() {
        eprintln!("skipped: no git in /usr/bin");
        return;
    }
    let world = World::new();
    let script = "umask 022; git init -q -b main made && cd made/.git && find . ! -name config -printf '%m %y %p\\n' | sort; \
        cat description info/exclude hooks/* | sha256sum; \
        ls /usr/lib/git-core/mergetools";
    let mut outside = Command::new("bash");
    outside
        .args(["-c", script])
        .env("PATH", "/usr/bin")
        .env("LC_ALL", "C.UTF-8")
        .current_dir(world.dir.path());
    let outside = outside.env("HOME", world.dir.path()).output().expect("bash");
    let inside = world.exec(&["-c", script]);
    assert_eq!(text(&inside.stdout), text(&outside.stdout), "{}", text(&inside.stderr));
    // What lies beside git's programs is no program.
    let started = "for f in /usr/lib/git-core/mergetools/* /usr/share/git-core/templates/hooks/*; do $f; done 2>&1 | sort -u";
    let tried = text(&world.exec(&["-c", started]).stdout);
    assert!(tried.lines().all(|line| line.ends_with("Permission denied")), "{tried}");
    assert!(text(&world.exec(&["-c", "git submodule status; echo $?"]).stdout).contains("128"));
}

#[test]
fn names_of_an_agents_do_not_speak_for_sbx() {
    let world = World::new();
    let output = world.exec(&["-c", "mkfifo $'a\\e]0;b\\nsbx: all is well'; ln -s $'/\\e[2J' out"]);
    assert_eq!(output.status.code(), Some(0));
    let mut lines: Vec<String> = text(&output.stderr).lines().map(String::from).collect();
    lines.sort();
    let [pipe, link] = &lines[..] else { panic!("{lines:?}") };
    assert!(
        pipe.starts_with("sbx: not committed: a\u{fffd}]0;b\u{fffd}sbx: all is well: a named pipe"),
        "{pipe}"
    );
    assert!(link.ends_with("to /\u{fffd}[2J"), "{link}");
}

#[test]
fn a_link_that_takes_the_place_of_the_workspace_meanwhile_is_not_followed() {
    for (changes, backend) in [("commit", "native"), ("out.patch", "native"), ("commit", "wasi")] {
        let world = World::new();
        let (place, moved, victim) =
            (world.workspace(), world.dir.path().join("moved"), world.dir.path().join("victim"));
        std::fs::create_dir(&victim).unwrap();
        std::fs::write(victim.join("file.txt"), "secret\n").unwrap();
        let (patch, script) = (
            world.dir.path().join("out.patch"),
            "echo new > planted; echo two >> file.txt; echo begun; read",
        );
        let changes = if changes == "commit" { changes } else { patch.to_str().unwrap() };
        let mut sbx = world.sbx();
        sbx.args(["exec", "--backend", backend, "--changes", changes, "--workspace"]).arg(&place);
        sbx.args(["-c", script]).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = sbx.spawn().unwrap();
        let mut begun = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
        std::fs::rename(&place, &moved).unwrap();
        std::os::unix::fs::symlink(&victim, &place).unwrap();
        writeln!(child.stdin.take().unwrap()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{changes} {backend}");
        assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 1, "{changes} {backend}");
        assert_eq!(std::fs::read_to_string(victim.join("file.txt")).unwrap(), "secret\n");
        if changes == "commit" {
            assert_eq!(std::fs::read_to_string(moved.join("file.txt")).unwrap(), "one\ntwo\n");
            assert_eq!(std::fs::read_to_string(moved.join("planted")).unwrap(), "new\n");
        } else {
            let patch = std::fs::read_to_string(patch).unwrap();
            assert!(patch.contains("+two") && !patch.contains("secret"), "{patch}");
        }
    }
}
