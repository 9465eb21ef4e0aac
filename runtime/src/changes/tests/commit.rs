//! The filtering commit: what it takes, what it withholds, and that git is not led astray by what it took.

use super::*;
use std::os::unix::fs::MetadataExt;

fn withheld(commit: &Commit) -> Vec<&str> {
    commit.withheld.iter().map(|w| w.path.to_str().unwrap()).collect()
}

fn committed(commit: &Commit) -> Vec<&str> {
    commit.committed.iter().map(|p| p.to_str().unwrap()).collect()
}

#[test]
fn what_could_harm_is_withheld_and_the_rest_is_taken() {
    let l = Layers::new();
    l.write("lower", ".git/config", "[core]\n");
    l.write("lower", ".git/HEAD", "ref: refs/heads/main\n");
    l.write("upper", "fine.txt", "fine");
    l.write("upper", ".git/HEAD", "ref: refs/heads/x\n");
    l.write("upper", ".git/config", "[core]\nfsmonitor = evil\n");
    l.write("upper", ".git/hooks/post-checkout", "evil");
    l.write("upper", ".git/objects/info/alternates", "/elsewhere");
    l.write("upper", ".git/index", "i");
    l.write("upper", "sub/.git/config", "evil");
    symlink("../../evil", l.path("upper", ".git/objects/pack")).unwrap();
    symlink("/etc/passwd", l.path("upper", "out")).unwrap();
    symlink("../../etc", l.path("upper", "sub/up")).unwrap();
    symlink("../fine.txt", l.path("upper", "sub/inner")).unwrap();
    make_node(&l.path("upper", "pipe"), rustix::fs::FileType::Fifo);
    make_node(&l.path("upper", "socket"), rustix::fs::FileType::Socket);
    let commit = l.commit();
    let expected = [
        ".git/config",
        ".git/hooks",
        ".git/objects/info/alternates",
        ".git/objects/pack",
        "out",
        "pipe",
        "socket",
        "sub/.git",
        "sub/up",
    ];
    assert_eq!(withheld(&commit), expected);
    let expected =
        [".git/HEAD", ".git/index", ".git/objects", ".git/objects/info", "fine.txt", "sub", "sub/inner"];
    assert_eq!(committed(&commit), expected);
    assert_eq!(fs::read_to_string(l.path("lower", ".git/config")).unwrap(), "[core]\n");
    assert_eq!(fs::read_to_string(l.path("lower", "sub/inner")).unwrap(), "fine");
    for path in expected_absent() {
        assert!(fs::symlink_metadata(l.path("lower", path)).is_err(), "{path}");
    }
}

fn expected_absent() -> [&'static str; 8] {
    [
        ".git/hooks",
        ".git/objects/info/alternates",
        ".git/objects/pack",
        "out",
        "pipe",
        "socket",
        "sub/.git",
        "sub/up",
    ]
}

/// A configuration that makes `git status` write a file.
fn evil_config(mark: &Path, more: &str) -> String {
    format!(
        "[core]\nrepositoryformatversion = 0\n{more}fsmonitor = \"echo ran > {}; false\"\n",
        mark.display()
    )
}

#[test]
fn no_repository_can_be_planted_that_makes_git_run_something() {
    /// Plants a repository in a directory of the upper layer, seen from the top.
    type Plant = fn(&Layers, &str);
    let plants: [(&str, Plant, &str); 4] = [
        (".git file", |l, _| l.write("upper", ".git", "gitdir: evil\n"), "."),
        (".git link", |l, _| symlink("evil", l.path("upper", ".git")).unwrap(), "."),
        ("bare", |_, _| {}, "evil"),
        (".git directory", |l, config| l.write("upper", ".git/config", config), "."),
    ];
    for (name, plant, start) in plants {
        for guarded in [true, false] {
            let l = Layers::new();
            l.write("lower", "f", "f\n");
            l.commit_lower();
            let mark = l.path("", "ran");
            l.write("upper", "evil/HEAD", "ref: refs/heads/main\n");
            let config = evil_config(&mark, "worktree = ..\n");
            l.write("upper", "evil/config", &config);
            for dir in ["evil/objects", "evil/refs"] {
                fs::create_dir_all(l.path("upper", dir)).unwrap();
            }
            plant(&l, &evil_config(&mark, ""));
            if guarded {
                let commit = l.commit();
                assert!(!commit.withheld.is_empty(), "{name}");
            } else {
                // Without the guard the plant works: this test could fail.
                if !name.ends_with("directory") && start == "." {
                    fs::rename(l.path("lower", ".git"), l.path("", "moved")).unwrap();
                }
                let (from, to) = (l.path("upper", "."), l.path("lower", "."));
                let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
                assert!(copied.success());
            }
            let status = Command::new("git")
                .current_dir(l.path("lower", start))
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .arg("status")
                .output()
                .unwrap();
            let seen = String::from_utf8_lossy(&status.stderr);
            assert_eq!(mark.exists(), !guarded, "{name}, guarded: {guarded}: {seen}");
        }
    }
}

#[test]
fn the_repository_itself_is_neither_removed_nor_replaced() {
    let l = Layers::new();
    l.write("lower", ".git/config", "mine");
    l.remove(".git");
    assert_eq!(withheld(&l.commit()), [".git"]);
    let l = Layers::new();
    l.write("lower", ".git/config", "mine");
    l.write("upper", ".git/HEAD", "other");
    l.mark(".git", "user.overlay.opaque");
    assert_eq!(withheld(&l.commit()), [".git"]);
    assert_eq!(fs::read_to_string(l.path("lower", ".git/config")).unwrap(), "mine");
    assert!(!l.path("lower", ".git/HEAD").exists());
}

#[test]
fn a_planted_repository_is_seen_even_in_two_steps_whatever_comes_last() {
    let parts = ["x/HEAD", "x/config", "x/objects", "x/refs"];
    let plant = |l: &Layers, path: &str| match path {
        "x/objects" | "x/refs" => fs::create_dir_all(l.path("upper", path)).unwrap(),
        _ => l.write("upper", path, "ref: refs/heads/main\n"),
    };
    for last in parts.into_iter().filter(|part| *part != "x/config") {
        let l = Layers::new();
        parts.into_iter().filter(|part| *part != last).for_each(|part| plant(&l, part));
        assert_eq!(withheld(&l.commit()), [""; 0], "{last}");
        plant(&l, last);
        assert_eq!(withheld(&l.commit()), [last]);
        // A sandbox of its own, as each `sbx exec` has.
        fs::remove_dir_all(l.path("upper", "x")).unwrap();
        plant(&l, last);
        assert_eq!(withheld(&l.commit()), [last]);
    }
    // One that is whole already is its owner's, and goes on working.
    let l = Layers::new();
    for path in ["x/HEAD", "x/objects/a", "x/refs/b"] {
        l.write("lower", path, "");
    }
    l.write("upper", "x/objects/c", "");
    l.write("upper", "x/refs/d", "");
    assert_eq!((withheld(&l.commit()), l.path("lower", "x/refs/d").exists()), (vec![], true));
}

#[test]
fn set_user_id_is_taken_off_and_said() {
    let l = Layers::new();
    l.write("upper", "suid", "s");
    l.chmod("upper", "suid", 0o6755);
    let commit = l.commit();
    assert_eq!((committed(&commit), withheld(&commit)), (vec!["suid"], vec!["suid"]));
    assert_eq!(fs::metadata(l.path("lower", "suid")).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn modes_and_times_are_kept_and_what_did_not_change_is_not_written() {
    let l = Layers::new();
    l.write("lower", "same", "s");
    l.write("upper", "same", "s");
    let modified = fs::metadata(l.path("lower", "same")).unwrap().modified().unwrap();
    let same = fs::File::options().write(true).open(l.path("upper", "same")).unwrap();
    same.set_modified(modified).unwrap();
    l.write("upper", "secret", "s");
    l.chmod("upper", "secret", 0o600);
    l.write("upper", "closed/f", "f");
    l.chmod("upper", "closed", 0o555);
    let inode = fs::metadata(l.path("lower", "same")).unwrap().ino();
    assert_eq!(committed(&l.commit()), ["closed", "closed/f", "secret"]);
    let of = |path: &str| fs::metadata(l.path("lower", path)).unwrap();
    assert_eq!(of("same").ino(), inode);
    assert_eq!((of("secret").mode() & 0o777, of("closed").mode() & 0o777), (0o600, 0o555));
    assert_eq!(
        of("secret").modified().unwrap(),
        fs::metadata(l.path("upper", "secret")).unwrap().modified().unwrap()
    );
    assert_eq!(committed(&l.commit()), [""; 0], "a second commit finds nothing to do");
    l.chmod("lower", "closed", 0o755);
    l.chmod("upper", "closed", 0o755);
    let left = fs::read_dir(l.dir.path().join("lower")).unwrap().filter_map(Result::ok);
    assert!(left.map(|e| e.file_name()).all(|name| !name.to_string_lossy().starts_with(".sbx")));
}

#[test]
fn holes_stay_holes() {
    let l = Layers::new();
    l.write("upper", "sparse", "start");
    let file = fs::OpenOptions::new().write(true).open(l.path("upper", "sparse")).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(committed(&l.commit()), ["sparse"]);
    let written = fs::metadata(l.path("lower", "sparse")).unwrap();
    assert_eq!(written.len(), 1 << 40);
    assert!(written.blocks() * 512 < 1 << 20, "{} blocks", written.blocks());
}

#[test]
fn a_directory_made_anew_holds_only_what_the_agent_put_there() {
    let l = Layers::new();
    for path in ["d/old", "d/sub/old", "d/keep"] {
        l.write("lower", path, "1");
    }
    l.write("upper", "d/keep", "2");
    l.write("upper", "d/sub/new", "2");
    l.mark("d", "user.overlay.opaque");
    l.commit();
    for (path, there) in [("d/old", false), ("d/sub/old", false), ("d/keep", true), ("d/sub/new", true)] {
        assert_eq!(l.path("lower", path).exists(), there, "{path}");
    }
}

#[test]
fn files_and_directories_take_each_others_place() {
    let l = Layers::new();
    l.write("lower", "file", "1");
    l.write("lower", "dir/deep/x", "1");
    l.write("upper", "file/inner", "2");
    l.mark("file", "user.overlay.opaque");
    l.write("upper", "dir", "2");
    assert_eq!(l.commit().withheld, []);
    assert_eq!(fs::read_to_string(l.path("lower", "file/inner")).unwrap(), "2");
    assert_eq!(fs::read_to_string(l.path("lower", "dir")).unwrap(), "2");
}

#[test]
fn no_link_that_was_planted_in_the_real_directory_is_followed() {
    let l = Layers::new();
    l.write("", "outside/victim", "whole");
    l.write("lower", "dir/victim", "old");
    symlink("../outside/victim", l.path("lower", "file")).unwrap();
    l.write("upper", "file", "new");
    l.write("upper", "dir/victim", "evil");
    l.write("upper", "dir/sub/more", "evil");
    let changes = l.changes();
    // Meanwhile, the directory becomes a link.
    fs::remove_dir_all(l.path("lower", "dir")).unwrap();
    symlink("../outside", l.path("lower", "dir")).unwrap();
    let commit = changes.commit(&l.dir.path().join("lower")).unwrap();
    assert_eq!((committed(&commit), withheld(&commit)), (vec!["file"], vec!["dir"]));
    assert!(fs::symlink_metadata(l.path("lower", "file")).unwrap().is_file());
    // The same for a whiteout below it.
    let l2 = Layers::new();
    l2.write("", "outside/victim", "whole");
    symlink("../outside", l2.path("lower", "dir")).unwrap();
    l2.remove("dir/victim");
    assert_eq!(withheld(&l2.commit()), ["dir"]);
    for layers in [&l, &l2] {
        assert_eq!(fs::read_to_string(layers.path("", "outside/victim")).unwrap(), "whole");
        assert_eq!(fs::read_dir(layers.path("", "outside")).unwrap().count(), 1);
    }
}

#[test]
fn a_removed_directory_takes_links_with_it_and_not_what_they_lead_to() {
    let l = Layers::new();
    l.write("", "outside/victim", "whole");
    l.write("lower", "dir/deep/f", "1");
    symlink("../../outside", l.path("lower", "dir/link")).unwrap();
    l.remove("dir");
    assert_eq!(committed(&l.commit()), ["dir"]);
    assert!(!l.path("lower", "dir").exists());
    assert!(l.path("", "outside/victim").exists());
}

#[test]
fn a_touched_file_gets_its_time_and_a_directory_its_sticky_bit() {
    let l = Layers::new();
    for layer in ["lower", "upper"] {
        l.write(layer, "same", "text");
        l.write(layer, "touched", "text");
    }
    let then = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = |layer, name| fs::File::options().write(true).open(l.path(layer, name)).unwrap();
    for (layer, name) in [("upper", "touched"), ("lower", "same"), ("upper", "same")] {
        file(layer, name).set_modified(then).unwrap();
    }
    for dir in ["new", "old"] {
        fs::create_dir(l.path("upper", dir)).unwrap();
    }
    fs::create_dir(l.path("lower", "old")).unwrap();
    l.chmod("upper", "new", 0o1777);
    l.chmod("upper", "old", 0o2750);
    let commit = l.commit();
    assert_eq!(committed(&commit), ["new", "old", "touched"]);
    let modified = |name| fs::metadata(l.path("lower", name)).unwrap().modified().unwrap();
    assert_eq!(modified("touched"), then);
    let mode = |name| fs::metadata(l.path("lower", name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("new"), mode("old")), (0o1777, 0o750));
    // The set-group-id bit is said.
    assert_eq!(withheld(&commit), ["old"]);
    assert!(!commit.withheld[0].failed);
    assert_eq!(l.commit().committed, Vec::<PathBuf>::new());
}

#[test]
fn a_directory_that_is_closed_to_its_owner_is_changed_and_closed_again() {
    let l = Layers::new();
    l.write("lower", "stays/old", "1");
    l.write("lower", "goes/deep/f", "1");
    fs::create_dir(l.path("lower", "dark")).unwrap();
    for (dir, mode) in [("stays", 0o555), ("goes/deep", 0o500), ("goes", 0o555), ("dark", 0)] {
        l.chmod("lower", dir, mode);
    }
    l.write("upper", "stays/old", "2");
    l.write("upper", "stays/new", "2");
    l.chmod("upper", "stays", 0o555);
    l.remove("goes");
    l.remove("dark");
    let commit = l.commit();
    assert_eq!(commit.withheld, []);
    assert_eq!(committed(&commit), ["dark", "goes", "stays/new", "stays/old"]);
    let mode = fs::metadata(l.path("lower", "stays")).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o555);
    assert!(!l.path("lower", "goes").exists() && !l.path("lower", "dark").exists());
    for layer in ["lower", "upper"] {
        l.chmod(layer, "stays", 0o755);
    }
}
