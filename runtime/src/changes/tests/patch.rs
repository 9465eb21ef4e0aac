//! The patch, held against git's own.

use super::*;

#[test]
fn the_patch_is_gits_own() {
    let l = Layers::new();
    let body: String = (0..60).map(|i| format!("def f{i}():\n    return {i}\n\n")).collect();
    for (path, text) in [
        ("a.py", body.as_str()),
        ("gone.txt", "x\ny\n"),
        ("dir/b", "1\n2"),
        ("mode.sh", "m\n"),
        ("same", "s\n"),
        ("empty", ""),
        ("old/one", "1\n"),
        ("old/two", "2\n"),
        ("with blank", "b\n"),
        ("swap", "t\n"),
    ] {
        l.write("lower", path, text);
    }
    l.write("lower", "bin", [0u8, 1, 2, 3]);
    l.write("lower", ".gitignore", "*.log\n/build/\n!keep.log\n");
    l.commit_lower();
    l.write(
        "upper",
        "a.py",
        body.replace("return 7\n", "return 8\n")
            .replace("def f40", "def g40")
            .replace("return 59\n\n", "return 59"),
    );
    l.remove("gone.txt");
    l.write("upper", "dir/b", "1\n2\n");
    l.write("upper", "dir/new", "n");
    l.write("upper", "mode.sh", "m\n");
    fs::set_permissions(l.path("upper", "mode.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    l.write("upper", "same", "s\n");
    l.write("upper", "bin", [0u8, 9, 9, 9, 7]);
    l.write("upper", "newbin", (0..=255u8).cycle().take(3000).collect::<Vec<_>>());
    l.write("upper", "old/three", "3\n");
    l.mark("old", "user.overlay.opaque");
    l.write("upper", "with blank", "c\n");
    l.write("upper", "täb\t\"q\"", "q\n");
    symlink("t", l.path("upper", "swap")).unwrap();
    l.write("upper", "tab\tand blank", "q\n");
    l.write("upper", "new blank", "q\n");
    l.write("upper", "line\nfeed", "q\n");
    l.write("upper", "dos", "a\r\nb\r\n");
    l.write("upper", "x.log", "ignored");
    l.write("upper", "keep.log", "kept\n");
    l.write("upper", "build/deep/file", "ignored");
    l.write("upper", "newempty", "");
    l.write("upper", ".git/hooks/pre-commit", "evil");
    let changes = l.changes();
    let ours = changes.diff_text();
    let commit = changes.commit(&l.dir.path().join("lower")).unwrap();
    assert_eq!(
        commit.withheld.iter().map(|w| w.path.to_str().unwrap()).collect::<Vec<_>>(),
        [".git/hooks/pre-commit"]
    );
    let gits = String::from_utf8(l.gits_own_diff()).unwrap();
    assert_eq!(without_deflated(&ours), without_deflated(&gits));
    assert!(!ours.contains("x.log"));
    // Two deflaters need not agree on bytes, so the binary parts are held against what git makes of them.
    let after = l.git(&["ls-files", "-s"]);
    l.git(&["reset", "-q", "--hard"]);
    l.git(&["clean", "-q", "-fd"]);
    let patch = l.path("", "p.diff");
    fs::write(&patch, changes.diff()).unwrap();
    l.git(&["apply", "--index", patch.to_str().unwrap()]);
    l.git(&["update-index", "-q", "--refresh"]);
    assert_eq!(names(&l.git(&["ls-files"])), names_of_entries(&after));
    assert_eq!(String::from_utf8(l.git(&["diff", "--binary", "--no-renames", "HEAD"])).unwrap(), gits);
}

fn names(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(String::from).collect()
}

fn names_of_entries(bytes: &[u8]) -> Vec<String> {
    names(bytes)
        .iter()
        .map(|l| l.split_once('\t').unwrap().1.to_string())
        .filter(|n| !REMOVED.contains(&n.as_str()))
        .collect()
}

/// `add -N` keeps the index entries of removed files.
const REMOVED: [&str; 3] = ["gone.txt", "old/one", "old/two"];

/// A patch without the deflated lines of binary files.
fn without_deflated(patch: &str) -> String {
    let mut inside = false;
    let keep = |line: &&str| {
        let was = inside;
        inside = line.starts_with("literal ") || (was && !line.is_empty());
        !was || line.starts_with("literal ")
    };
    patch.lines().filter(keep).collect::<Vec<_>>().join("\n")
}

#[test]
fn random_edits_give_gits_own_patch_and_the_same_tree() {
    let mut random = Random(42);
    for round in 0..10 {
        let l = Layers::new();
        for i in 0..12 {
            l.write("lower", &format!("d{}/f{i}", i % 3), random.text());
        }
        for i in 0..3 {
            symlink(format!("f{i}"), l.path("lower", &format!("d0/link{i}"))).unwrap();
        }
        l.commit_lower();
        for i in 0..12 {
            let path = format!("d{}/f{i}", i % 3);
            match random.below(8) {
                0 => l.remove(&path),
                1 | 2 => {
                    let old = fs::read_to_string(l.path("lower", &path)).unwrap();
                    let mut lines: Vec<&str> = old.lines().collect();
                    for _ in 0..random.below(5) {
                        let at = random.below(lines.len() as u64 + 1) as usize;
                        if random.below(2) == 0 && at < lines.len() {
                            lines.remove(at);
                        } else {
                            lines.insert(at, if random.below(2) == 0 { "inserted" } else { "    line 3" });
                        }
                    }
                    l.write("upper", &path, lines.join("\n") + "\n");
                }
                3 => l.write("upper", &format!("new {i}"), random.text()),
                4 => {
                    l.write("upper", &path, fs::read(l.path("lower", &path)).unwrap());
                    l.chmod("upper", &path, 0o755);
                }
                5 => {
                    // A file becomes a directory.
                    l.write("upper", &format!("{path}/inner"), random.text());
                    l.mark(&path, "user.overlay.opaque");
                }
                6 => {
                    fs::create_dir_all(l.path("upper", &path).parent().unwrap()).unwrap();
                    symlink("elsewhere", l.path("upper", &path)).unwrap();
                }
                _ => l.write("upper", &format!("d{}/more/{i}", i % 3), random.text()),
            }
        }
        if random.below(3) == 0 {
            l.write("upper", "d0/link1", "a file now\n");
        }
        let changes = l.changes();
        let ours = changes.diff_text();
        changes.commit(&l.dir.path().join("lower")).unwrap();
        let gits = String::from_utf8(l.gits_own_diff()).unwrap();
        assert_eq!(ours, gits, "round {round}");
        l.git(&["add", "-A"]);
        let merged = l.git(&["write-tree"]);
        l.git(&["reset", "-q", "--hard"]);
        let patch = l.path("", "p.diff");
        fs::write(&patch, &ours).unwrap();
        if !ours.is_empty() {
            l.git(&["apply", "--index", patch.to_str().unwrap()]);
        }
        assert_eq!(l.git(&["write-tree"]), merged, "round {round}");
    }
}

#[test]
fn a_file_that_was_only_touched_is_no_change() {
    let l = Layers::new();
    l.write("lower", "a", "same\n");
    symlink("a", l.path("lower", "l")).unwrap();
    l.write("upper", "a", "same\n");
    symlink("a", l.path("upper", "l")).unwrap();
    assert_eq!(l.changes().entries().unwrap(), []);
    assert_eq!(l.changes().diff(), b"");
}

#[test]
fn only_the_value_y_makes_a_directory_opaque() {
    let l = Layers::new();
    l.write("lower", "d/old", "o\n");
    l.write("upper", "d/new", "n\n");
    let set = |value: &[u8]| {
        let dir = fs::File::open(l.path("upper", "d")).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::fsetxattr(&dir, "user.overlay.opaque", value, flags).unwrap();
        l.changes().entries().unwrap().iter().map(|c| c.kind).collect::<Vec<_>>()
    };
    // `x` only says that whiteouts inside may be marked files.
    assert_eq!(set(b"x"), [Kind::Added]);
    assert_eq!(set(b"y"), [Kind::Added, Kind::Deleted]);
}

#[test]
fn a_whiteout_may_also_be_a_marked_file() {
    let l = Layers::new();
    l.write("lower", "gone", "g\n");
    l.write("lower", "d/deep", "g\n");
    for path in ["gone", "d"] {
        l.write("upper", path, "");
        l.mark(path, "user.overlay.whiteout");
    }
    let deleted: Vec<_> = l.changes().entries().unwrap().into_iter().map(|c| (c.path, c.kind)).collect();
    assert_eq!(deleted, [("d/deep".into(), Kind::Deleted), ("gone".into(), Kind::Deleted)]);
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_a_deletion() {
    let l = Layers::new();
    l.write("lower", "f", "f\n");
    make_node(&l.path("upper", "f"), rustix::fs::FileType::Fifo);
    make_node(&l.path("upper", "g"), rustix::fs::FileType::Fifo);
    assert_eq!(l.changes().entries().unwrap(), [Change { path: "f".into(), kind: Kind::Deleted }]);
}

#[test]
fn a_large_file_is_compared_but_not_copied_into_the_patch() {
    let l = Layers::new();
    let large = |layer: &str, path: &str, last: u8| {
        use std::os::unix::fs::FileExt;
        l.write(layer, path, "");
        let file = fs::OpenOptions::new().write(true).open(l.path(layer, path)).unwrap();
        file.write_all_at(&[last], 65 << 20).unwrap();
    };
    for (path, last) in [("same", 1), ("other", 2)] {
        large("lower", path, 1);
        large("upper", path, last);
    }
    large("upper", "new", 1);
    let expected = "diff --git a/new b/new\nnew file mode 100644\nBinary files /dev/null and b/new differ\n\
                    diff --git a/other b/other\nBinary files a/other and b/other differ\n";
    assert_eq!(l.changes().diff_text(), expected);
}

#[test]
fn what_git_would_not_add_is_left_out() {
    let l = Layers::new();
    l.write("lower", ".git/info/exclude", "excluded\n");
    l.write("lower", ".gitignore", "\u{feff}*.log\r\ncache/\n!keep.log\n");
    l.write("lower", "tracked.log", "1\n");
    l.write("lower", "opaque/.gitignore", "*\n");
    l.write("lower", "clear/.gitignore", "*\n");
    for path in [
        "a.log",
        "sub/a.log",
        "cache/x",
        "excluded",
        "sub/.gitignore",
        ".GIT/x",
        "sub/.git/HEAD",
        "clear/new",
    ] {
        l.write("upper", path, if path.ends_with("ignore") { "skip\n!b.log\n" } else { "x" });
    }
    for path in ["keep.log", "sub/b.log", "sub/skip", "tracked.log", "opaque/new"] {
        l.write("upper", path, "2\n");
    }
    l.mark("opaque", "user.overlay.opaque");
    let entries = l.changes().entries().unwrap();
    let paths: Vec<_> = entries.iter().map(|c| c.path.to_str().unwrap()).collect();
    let expected =
        ["keep.log", "opaque/.gitignore", "opaque/new", "sub/.gitignore", "sub/b.log", "tracked.log"];
    assert_eq!(paths, expected);
}

#[test]
fn a_name_need_not_be_text() {
    let l = Layers::new();
    let name = OsStr::from_bytes(b"\xff\n\"");
    fs::write(l.dir.path().join("upper").join(name), "x\n").unwrap();
    assert_eq!(l.changes().entries().unwrap()[0].path, Path::new(name));
    assert!(l.changes().diff_text().contains(r#"+++ "b/\377\n\"""#));
}

#[test]
fn a_patch_in_text_loses_nothing_of_files_that_are_not_utf8() {
    let l = Layers::new();
    let long = format!("def {}\n", "é".repeat(60));
    for (layer, word) in [("lower", "old"), ("upper", "new")] {
        l.write(layer, "latin", [b"caf\xe9 ", word.as_bytes(), b"\n"].concat());
        l.write(layer, "long", format!("{long}{}{word}\n", "\n".repeat(9)));
        l.write(layer, "utf8", format!("café {word}\n"));
    }
    l.write("lower", "was", b"\xff\n");
    l.commit_lower();
    l.write("upper", "is", b"\xfe\n");
    l.remove("was");
    symlink(OsStr::from_bytes(b"\xfd"), l.path("upper", "link")).unwrap();
    let changes = l.changes();
    let patch = changes.try_diff_text().unwrap();
    assert!(patch.contains("+café new") && patch.matches("GIT binary patch").count() == 4, "{patch}");
    assert_eq!(changes.diff(), {
        l.commit();
        l.gits_own_diff()
    });
    l.git(&["add", "-A"]);
    let merged = l.git(&["write-tree"]);
    l.git(&["reset", "-q", "--hard"]);
    fs::write(l.path("", "p.diff"), &patch).unwrap();
    l.git(&["apply", "--index", l.path("", "p.diff").to_str().unwrap()]);
    assert_eq!(l.git(&["write-tree"]), merged);
}

#[test]
fn a_file_without_rights_is_read_all_the_same() {
    let l = Layers::new();
    l.write("upper", "locked/secret", "s\n");
    l.chmod("upper", "locked/secret", 0);
    l.chmod("upper", "locked", 0);
    assert!(l.changes().diff_text().contains("+s"));
}

#[test]
fn rights_of_the_lower_directory_are_never_changed() {
    let l = Layers::new();
    for dir in ["closed", "gone"] {
        l.write("lower", &format!("{dir}/f"), "s\n");
        l.chmod("lower", &format!("{dir}/f"), 0o200);
        l.chmod("lower", dir, 0o300);
    }
    l.write("upper", "closed/f", "other\n");
    l.remove("gone");
    l.changes().diff();
    for dir in ["closed", "gone"] {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&l.path("lower", dir)), 0o300);
        assert_eq!(mode(&l.path("lower", dir).join("f")), 0o200);
        l.chmod("lower", dir, 0o700);
    }
}

#[test]
fn a_tree_that_is_too_deep_is_an_error_and_not_a_crash() {
    let l = Layers::new();
    l.write("upper", &format!("{}x", "d/".repeat(300)), "");
    let upper = fs::File::open(l.dir.path().join("upper")).unwrap();
    let error = Changes::read(upper.into(), &l.dir.path().join("lower")).unwrap_err();
    assert!(error.to_string().contains("deeper than 256"), "{error}");
}
