use super::git::{git, git_over};
use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

mod hostile;

/// A repository with three commits and a tag for each; returns the commits.
fn repository(dir: &Path) -> Vec<String> {
    fs::create_dir_all(dir).unwrap();
    let run =
        |args: &[&str]| git(dir, &[&["-c", "user.name=a", "-c", "user.email=a@b"], args].concat()).unwrap();
    run(&["init", "-q", "."]);
    (0..3)
        .map(|i| {
            fs::write(dir.join("file"), format!("{i}\n")).unwrap();
            fs::write(dir.join(format!("only{i}")), format!("only {i}\n")).unwrap();
            run(&["add", "-A"]);
            run(&["commit", "-q", "-m", &format!("commit {i}")]);
            run(&["tag", &format!("v{i}")]);
            run(&["rev-parse", "HEAD"])
        })
        .collect()
}

fn instance(repo: &str, commit: &str) -> Instance {
    let row = serde_json::json!({"instance_id": "i", "repo": repo, "base_commit": commit, "problem_statement": "p"});
    sbx_records::read_instances(row.to_string().as_bytes(), "t").unwrap().remove(0)
}

struct Place {
    dir: tempfile::TempDir,
    commits: Vec<String>,
    checkouts: Checkouts,
}

/// A `--repos` folder with `org/name`.
fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let commits = repository(&dir.path().join("repos/org/name"));
    let checkouts = Checkouts::new(dir.path().join("cache"), Some(dir.path().join("repos")));
    Place { dir, commits, checkouts }
}

impl Place {
    fn error(&self, repo: &str, commit: &str) -> String {
        self.checkouts.make_all(&[instance(repo, commit)], |_| true).unwrap_err().to_string()
    }
}

#[test]
fn a_checkout_holds_one_commit_and_nothing_else() {
    let place = place();
    let wanted = instance("org/name", &place.commits[1][..10]);
    let made = place.checkouts.make_all(&[wanted], |_| true).unwrap().remove("i").unwrap();
    assert_eq!(made.commit, place.commits[1]);
    let (tree, store) = (made.dir.join("tree"), made.dir.join("store.git"));
    assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "1\n");
    assert!(!tree.join("only2").exists());
    let mut objects: Vec<String> = git(&store, &["cat-file", "--batch-all-objects", "--batch-check"])
        .unwrap()
        .lines()
        .map(|l| l.split(' ').next().unwrap().into())
        .collect();
    let source = place.dir.path().join("repos/org/name");
    let mut expected: Vec<String> = git(&source, &["ls-tree", "-r", "--format=%(objectname)", &made.commit])
        .unwrap()
        .lines()
        .map(String::from)
        .collect();
    expected.push(git(&source, &["rev-parse", &format!("{}^{{tree}}", made.commit)]).unwrap());
    expected.push(made.commit.clone());
    objects.sort();
    expected.sort();
    assert_eq!(objects, expected, "the commit, its tree and its blobs");
    let mut own: Vec<_> = fs::read_dir(tree.join(".git")).unwrap().map(|e| e.unwrap().file_name()).collect();
    own.sort();
    assert_eq!(own, ["HEAD", "config", "index", "objects", "refs", "shallow"], "no logs, no packed refs");
    assert_eq!(fs::read_dir(tree.join(".git/refs/heads")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(tree.join(".git/refs")).unwrap().count(), 2, "heads, and tags without any");
    assert_eq!(fs::read_dir(tree.join(".git/refs/tags")).map_or(0, Iterator::count), 0);
    assert_eq!(fs::read_to_string(tree.join(".git/objects/info/alternates")).unwrap(), "/.sbx/objects\n");
}

#[test]
fn the_index_is_younger_than_every_file_so_git_trusts_it() {
    let place = place();
    let made = place.checkouts.make("org/name", "HEAD").unwrap();
    let seconds = |path: &str| fs::metadata(made.dir.join("tree").join(path)).unwrap().mtime();
    let source = place.dir.path().join("repos/org/name");
    let committed: i64 = git(&source, &["show", "-s", "--format=%ct", "HEAD"]).unwrap().parse().unwrap();
    assert!(seconds("file") <= committed && seconds("file") + 30 < seconds(".git/index"));
}

#[test]
fn all_can_read_a_checkout_whatever_the_mask() {
    let place = place();
    let made = place.checkouts.make("org/name", "HEAD").unwrap();
    let tight = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    tight(&made.dir.join("tree/file"), 0o600);
    tight(&made.dir.join("tree/only0"), 0o700);
    tight(&made.dir.join("tree"), 0o700);
    build::open(&made.dir).unwrap();
    let mode = |path: &str| fs::metadata(made.dir.join(path)).unwrap().mode() & 0o777;
    assert_eq!((mode("tree/file"), mode("tree/only0"), mode("tree")), (0o644, 0o755, 0o755));
}

#[test]
fn two_at_once_make_it_once() {
    let place = place();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| place.checkouts.make("org/name", &place.commits[0]).unwrap());
        }
    });
    let made = fs::read_dir(place.dir.path().join("cache/checkouts")).unwrap().count();
    assert_eq!(made, 2, "the checkout and its lock");
}

#[test]
fn a_cache_may_be_named_relative_to_here() {
    let place = place();
    let here = std::env::current_dir().unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let cache = up.join(place.dir.path().strip_prefix("/").unwrap()).join("relative");
    let checkouts = Checkouts::new(&cache, place.checkouts.repos.clone());
    let made = checkouts.make("org/name", "HEAD").unwrap();
    assert!(made.dir.is_absolute() && made.dir.join("tree/file").is_file());
}

#[test]
fn a_draft_of_a_killed_process_is_no_hindrance() {
    let place = place();
    let draft = place.dir.path().join(format!("cache/checkouts/.{}.draft", place.commits[0]));
    fs::create_dir_all(draft.join("store.git/objects")).unwrap();
    place.checkouts.make("org/name", &place.commits[0]).unwrap();
    assert!(!draft.exists());
}

#[test]
fn a_repository_has_many_spellings() {
    let place = place();
    let path = place.dir.path().join("repos/org/name");
    let (path, url) = (path.display().to_string(), format!("file://{}", path.display()));
    for repo in ["org/name", &path, &url] {
        assert_eq!(place.checkouts.make(repo, "HEAD").unwrap().commit, place.commits[2], "{repo}");
    }
    let bare = place.dir.path().join("repos/other__bare.git");
    git_over("file", place.dir.path(), &["clone", "-q", "--bare", &url, &bare.display().to_string()])
        .unwrap();
    assert_eq!(place.checkouts.make("other/bare", "v1").unwrap().commit, place.commits[1]);
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let place = place();
    let text = place.error("org/nama", "HEAD");
    assert!(
        text.starts_with("i: repository \"org/nama\" is not there") && text.contains("; there is org/name"),
        "{text}"
    );
    assert!(place.error("org/name", "0123456789").contains("base_commit \"0123456789\" is not in"));
    assert!(place.error("../../etc", "HEAD").contains("is not there"));
    let long = format!("{}ab", place.commits[0]);
    assert!(place.error("org/name", &long).contains("at most 40 digits, found 42"));
    assert!(place.error("org/name", "--help").contains("expected a commit"));
    assert!(place.error("file://org/name", "HEAD").contains("expected a URL of"));
    assert!(place.error("https://example.invalid/x", "main").contains("expected all 40 digits"));
    let bare = Checkouts::new(place.dir.path().join("cache"), None);
    assert!(bare.make("org/name", "HEAD").unwrap_err().contains("--repos DIR"));
}

#[test]
fn every_bad_instance_is_named_at_once() {
    let place = place();
    let mut second = instance("org/name", "0123456789");
    second.instance_id = "j".into();
    let error = place.checkouts.make_all(&[instance("no/such", "HEAD"), second], |_| true).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("i: ") && text.contains("\nj: "), "{text}");
}

#[test]
fn a_task_file_starts_no_program() {
    let place = place();
    let mark = place.dir.path().join("mark");
    let commit = "0123456789012345678901234567890123456789";
    for repo in [
        format!("--upload-pack=touch {};://", mark.display()),
        format!("-u touch {} ://x", mark.display()),
        format!("ext::sh -c touch% {}://", mark.display()),
        format!("ssh://-oProxyCommand=touch {}/x", mark.display()),
    ] {
        place.error(&repo, commit);
        assert!(!mark.exists(), "{repo}");
    }
}

/// An archive with one file for each path; a path that ends in `/` is a directory.
fn archive(to: &Path, entries: &[(&str, &str)]) {
    let file = flate2::write::GzEncoder::new(fs::File::create(to).unwrap(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(file);
    for (path, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder.append(&header, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap();
}

#[test]
fn an_sdist_is_a_repository_of_one_commit() {
    let place = place();
    let repos = place.dir.path().join("repos");
    archive(
        &repos.join("flask.tar.gz"),
        &[("flask-3.0/setup.py", "s\n"), ("flask-3.0/.gitignore", "setup.py\n")],
    );
    for _ in 0..2 {
        let made = place.checkouts.make_all(&[instance("pallets/flask", "HEAD")], |_| true).unwrap();
        let tree = made["i"].dir.join("tree");
        assert_eq!(fs::read_to_string(tree.join("setup.py")).unwrap(), "s\n");
        let store = made["i"].dir.join("store.git");
        assert_eq!(git(&store, &["rev-list", "--count", &made["i"].commit]).unwrap(), "1");
    }
    let error = place.error("pallets/flask", "0123456789abcdef0123456789abcdef01234567");
    assert!(error.contains("one commit, HEAD"), "{error}");
}

#[test]
fn an_archive_of_git_is_known_by_its_commit_and_one_of_a_repository_by_its_history() {
    let place = place();
    let repos = place.dir.path().join("repos");
    let from = repos.join("org/name");
    let out = repos.join("snapshot.tgz");
    git(
        &from,
        &["archive", "--format=tgz", "--prefix=name/", "-o", out.to_str().unwrap(), &place.commits[1]],
    )
    .unwrap();
    let made = place.checkouts.make_all(&[instance("snapshot", &place.commits[1])], |_| true).unwrap();
    assert_eq!(fs::read_to_string(made["i"].dir.join("tree/file")).unwrap(), "1\n");
    assert!(place.error("snapshot", &place.commits[0]).contains(&place.commits[1]));

    let file = fs::File::create(repos.join("whole.tar")).unwrap();
    let mut builder = tar::Builder::new(file);
    builder.append_dir_all("name", &from).unwrap();
    builder.into_inner().unwrap();
    let made = place.checkouts.make_all(&[instance("org/whole", &place.commits[0])], |_| true).unwrap();
    assert_eq!(
        (made["i"].commit.as_str(), made["i"].dir.join("tree/only1").exists()),
        (&*place.commits[0], false)
    );
}

#[test]
fn a_broken_or_hostile_archive_is_an_error_and_leaves_nothing() {
    let place = place();
    let repos = place.dir.path().join("repos");
    fs::write(repos.join("broken.tar.gz"), "no gzip").unwrap();
    archive(&repos.join("empty.tar.gz"), &[]);
    archive(&repos.join("up.tar.gz"), &[("a/x", "x"), ("../out", "evil")]);
    for (repo, why) in [("broken", "broken.tar.gz"), ("empty", "nothing is in it"), ("up", "leads out")] {
        let error = place.error(repo, "HEAD");
        assert!(error.contains(why), "{error}");
    }
    assert!(
        !place.dir.path().join("cache/out").exists() && !place.dir.path().join("cache/archives/out").exists()
    );
    let left = fs::read_dir(place.dir.path().join("cache/archives")).unwrap().flatten();
    assert!(left.into_iter().all(|e| e.file_name().to_string_lossy().ends_with(".lock")));
}

#[test]
fn a_repository_of_sha256_objects_is_checked_out_as_one() {
    let place = place();
    let dir = place.dir.path().join("repos/long");
    fs::create_dir_all(&dir).unwrap();
    git(&dir, &["init", "-q", "--object-format=sha256", "."]).unwrap();
    fs::write(dir.join("file"), "x\n").unwrap();
    git(&dir, &["add", "-A"]).unwrap();
    git(&dir, &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "x"]).unwrap();
    let made = place.checkouts.make_all(&[instance("long", "HEAD")], |_| true).unwrap();
    assert_eq!(made["i"].commit.len(), 64);
    assert_eq!(fs::read_to_string(made["i"].dir.join("tree/file")).unwrap(), "x\n");
    let format = git(&made["i"].dir.join("tree"), &["rev-parse", "--show-object-format"]).unwrap();
    assert_eq!(format, "sha256");
}
