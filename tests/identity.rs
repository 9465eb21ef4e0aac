//! Root works on a tree that belongs to somebody else: actions are that somebody on the host, and nobody more.

mod world;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Output;
use world::{World, text};

/// A user that no machine has.
const OWNER: u32 = 12_345;

/// Gives a directory that only root may enter, in a tree that belongs to the user; `None` where the test cannot give.
fn given(world: &World) -> Option<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root gives files away");
        return None;
    }
    fs::set_permissions(world.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (dir, roots) = (world.workspace(), world.path("roots"));
    fs::write(world.path("theirs"), "theirs\n").unwrap();
    fs::create_dir(&roots).unwrap();
    fs::write(roots.join("secret"), "secret\n").unwrap();
    fs::set_permissions(&roots, fs::Permissions::from_mode(0o700)).unwrap();
    for path in [&dir, &world.path("theirs")] {
        chown(path, Some(OWNER), Some(OWNER)).unwrap();
    }
    Some(())
}

fn owner(path: &Path) -> u32 {
    fs::metadata(path).unwrap().uid()
}

#[test]
fn actions_may_what_the_owner_may() {
    let world = World::new();
    let Some(()) = given(&world) else { return };
    let script = "cat theirs; cat roots/secret; echo x > roots/mine; echo new > new; cat /proc/self/uid_map";
    // From within the tree, and from elsewhere: process 1 is started before it is known which tree is meant.
    let outside = World::new();
    let dir = world.workspace().display().to_string();
    let ways: [&dyn Fn() -> Output; 2] =
        [&|| world.exec(&["-c", script]), &|| outside.exec(&["--workspace", &dir, "-c", script])];
    for exec in ways {
        let seen = exec();
        let (stdout, stderr) = (text(&seen.stdout), text(&seen.stderr));
        let map: Vec<&str> = stdout.lines().last().unwrap_or_default().split_whitespace().collect();
        assert!(stdout.starts_with("theirs\n") && !stdout.contains("secret"), "{stdout}{stderr}");
        assert_eq!(map.get(1), Some(&"12345"), "{stdout}{stderr}");
        assert_eq!(stderr.matches("Permission denied").count(), 2, "{stderr}");
        assert_eq!(owner(&world.path("new")), OWNER);
        assert!(!world.path("roots/mine").exists());
        fs::remove_file(world.path("new")).unwrap();
    }
}

#[test]
fn a_tree_that_its_owner_cannot_reach_stays_roots() {
    let world = World::new();
    let Some(()) = given(&world) else { return };
    let hidden = world.path("roots/tree");
    fs::create_dir(&hidden).unwrap();
    chown(&hidden, Some(OWNER), Some(OWNER)).unwrap();
    let dir = hidden.display().to_string();
    let seen = world.exec(&["--workspace", &dir, "-c", "echo new > new; cat /proc/self/uid_map"]);
    let stdout = text(&seen.stdout);
    assert_eq!(stdout.split_whitespace().nth(1), Some("0"), "{stdout}{}", text(&seen.stderr));
    assert!(hidden.join("new").exists());
}

/// A program may open a sandbox as root and go on as somebody else. The limits were promised when it was opened.
#[test]
fn who_can_make_no_cgroup_any_more_runs_nothing_without_one() {
    let world = World::new();
    let policy = sbx::Policy::preset("whitelist").unwrap();
    let is_promised = |wall: &String| wall.starts_with("cgroup1:");
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root becomes somebody else");
    }
    let mut sandbox = sbx::Sandbox::open(&policy, world.workspace()).unwrap();
    if !sandbox.plan().enforced.iter().any(is_promised) {
        return eprintln!("skipped: no cgroup is made for an action on this host");
    }
    let seen = std::thread::scope(|scope| {
        let run = || {
            let user = rustix::thread::Uid::from_raw(OWNER);
            // Of this thread alone.
            rustix::thread::set_thread_res_uid(user, user, rustix::thread::Uid::ROOT).unwrap();
            sandbox.run(&sbx::Action::bash("true"))
        };
        scope.spawn(run).join().unwrap()
    });
    let error = seen.expect_err("the limits cannot be set").to_string();
    assert!(error.contains("cgroup"), "{error}");
    // Root can.
    assert!(sandbox.run(&sbx::Action::bash("true")).unwrap().success());
}
