//! One checkout of each commit, shared by all its rollouts and never written by them.
//!
//! It holds exactly that commit: no other commit, no remote, no reflog, nothing that could tell the future. The objects
//! lie in a store of their own, which the sandbox shows read-only, so git inside never copies packs.

use crate::Error;
use rustix::fs::{FlockOperation, flock};
use sbx_records::Instance;
use sbx_runtime::{OBJECTS, Workspace};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A checkout of one commit: `tree/` with a small `.git`, and `store.git/` with the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    dir: PathBuf,
    /// The commit's full name.
    pub commit: String,
}

impl Checkout {
    /// The workspace of a rollout on it, at `at` in the sandbox.
    pub fn workspace(&self, at: &str) -> Workspace {
        Workspace::new(self.dir.join("tree")).at(at).objects(self.dir.join("store.git/objects"))
    }
}

/// Makes checkouts in a cache directory, each once, also between processes.
#[derive(Clone, Debug)]
pub struct Checkouts {
    cache: PathBuf,
    repos: Option<PathBuf>,
}

impl Checkouts {
    /// A cache of checkouts; `repos` is where repositories named `org/name` are.
    pub fn new(cache: impl Into<PathBuf>, repos: Option<PathBuf>) -> Checkouts {
        Checkouts { cache: cache.into(), repos }
    }

    /// Makes the checkouts of all instances, one for each repository and commit; `made` hears of each.
    ///
    /// # Errors
    /// Names every instance that cannot be checked out, and why.
    pub fn make_all(
        &self,
        instances: &[Instance],
        mut made: impl FnMut(&str),
    ) -> Result<HashMap<String, Checkout>, Error> {
        let mut by_source: HashMap<(String, String), Result<Checkout, String>> = HashMap::new();
        let (mut checkouts, mut faults) = (HashMap::new(), Vec::new());
        for instance in instances {
            let key = (instance.repo.clone(), instance.base_commit.clone());
            let checkout = by_source.entry(key).or_insert_with(|| {
                made(&instance.instance_id);
                self.make(&instance.repo, &instance.base_commit)
            });
            match checkout {
                Ok(checkout) => {
                    checkouts.insert(instance.instance_id.clone(), checkout.clone());
                }
                Err(why) => faults.push(format!("{}: {why}", instance.instance_id)),
            }
        }
        if faults.is_empty() { Ok(checkouts) } else { Err(Error::Checkout(faults.join("\n"))) }
    }

    fn make(&self, repo: &str, commit: &str) -> Result<Checkout, String> {
        let source = self.find(repo)?;
        let commit = resolve(&source, commit)?;
        // The commit's name is enough: a checkout holds nothing but that commit.
        let dir = self.cache.join("checkouts").join(&commit);
        let checkout = Checkout { dir: dir.clone(), commit: commit.clone() };
        if dir.join("tree/.git/HEAD").is_file() {
            return Ok(checkout);
        }
        let io = |e: std::io::Error| format!("the cache {}: {e}", self.cache.display());
        fs::create_dir_all(self.cache.join("checkouts")).map_err(io)?;
        let lock =
            fs::File::create(self.cache.join("checkouts").join(format!("{commit}.lock"))).map_err(io)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| io(e.into()))?;
        // Another process may have made it while this one waited.
        if dir.join("tree/.git/HEAD").is_file() {
            return Ok(checkout);
        }
        let draft = self.cache.join("checkouts").join(format!(".{commit}.{}", std::process::id()));
        let _ = fs::remove_dir_all(&draft);
        let made = build(&source, &commit, &draft).and_then(|()| {
            let _ = fs::remove_dir_all(&dir);
            fs::rename(&draft, &dir).map_err(io)
        });
        if made.is_err() {
            let _ = fs::remove_dir_all(&draft);
        }
        made.map(|()| checkout)
    }

    /// The git URL or path of a repository.
    fn find(&self, repo: &str) -> Result<String, String> {
        if repo.contains("://") {
            return Ok(repo.into());
        }
        let mut places = Vec::new();
        if let Some(root) = &self.repos {
            if !repo.starts_with('/') && !repo.split('/').any(|part| part == "..") {
                let flat = repo.replace('/', "__");
                let name = repo.rsplit('/').next().unwrap_or(repo);
                for form in [repo, flat.as_str(), name] {
                    places.extend([root.join(form), root.join(format!("{form}.git"))]);
                }
            }
        }
        if repo.starts_with('/') || repo.starts_with('.') {
            places.push(PathBuf::from(repo));
        }
        if let Some(found) = places.iter().find(|p| is_repository(p)) {
            let path = fs::canonicalize(found).map_err(|e| format!("{}: {e}", found.display()))?;
            return Ok(path.to_string_lossy().into_owned());
        }
        let looked = places.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
        Err(if looked.is_empty() {
            format!("repository {repo:?}: expected a path, a git URL, or --repos DIR with {repo} in it")
        } else {
            format!("repository {repo:?} is not there; looked for {looked}{}", self.near(repo))
        })
    }

    /// Names in --repos, for a message.
    fn near(&self, repo: &str) -> String {
        let Some(root) = &self.repos else { return String::new() };
        let tail = repo.rsplit('/').next().unwrap_or(repo).to_lowercase();
        let list = |dir: &Path| -> Vec<String> {
            let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.file_name());
            names.map(|n| n.to_string_lossy().into_owned()).collect()
        };
        let mut names: Vec<String> = list(root);
        names.extend(
            list(root)
                .iter()
                .flat_map(|org| list(&root.join(org)).into_iter().map(move |n| format!("{org}/{n}"))),
        );
        names.retain(|n| {
            n.to_lowercase().contains(tail.get(..3.min(tail.len())).unwrap_or(&tail)) && !n.contains("/.")
        });
        names.sort();
        names.truncate(5);
        if names.is_empty() { String::new() } else { format!("; there is {}", names.join(", ")) }
    }
}

fn is_repository(path: &Path) -> bool {
    path.join(".git").exists() || (path.join("HEAD").is_file() && path.join("objects").is_dir())
}

/// Git on the host, on repositories that no agent wrote: without configuration of user or system, without hooks.
fn git(dir: Option<&Path>, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    if let Some(dir) = dir {
        command.arg("-C").arg(dir);
    }
    for setting in [
        "core.fsmonitor=false",
        "core.hooksPath=/dev/null",
        "protocol.ext.allow=never",
        "safe.directory=*",
        "gc.auto=0",
        "advice.detachedHead=false",
        "init.defaultBranch=main",
        "core.autocrlf=false",
        "core.symlinks=true",
        "filter.lfs.smudge=",
        "filter.lfs.process=",
        "filter.lfs.required=false",
    ] {
        command.args(["-c", setting]);
    }
    command.args(args).env_clear().stdin(std::process::Stdio::null());
    for key in ["PATH", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE", "SSH_AUTH_SOCK"] {
        if let Some(value) = std::env::var_os(key) {
            command.env(key, value);
        }
    }
    let settings = [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("LC_ALL", "C.UTF-8"),
    ];
    let output =
        command.envs(settings).output().map_err(|e| format!("git: {e}; git is needed to make checkouts"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_string());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no reason given");
    Err(format!("git {}: {last}", args.first().unwrap_or(&"")))
}

/// The full name of a commit. A URL's is taken as it is.
fn resolve(source: &str, commit: &str) -> Result<String, String> {
    let is_name = |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if source.contains("://") && !source.starts_with("file://") {
        return if is_name(commit) {
            Ok(commit.to_lowercase())
        } else {
            Err(format!("base_commit {commit:?}: expected all 40 digits for a repository at a URL"))
        };
    }
    if commit.starts_with('-') {
        return Err(format!("base_commit {commit:?}: expected a commit"));
    }
    let path = source.strip_prefix("file://").unwrap_or(source);
    git(
        Some(Path::new(path)),
        &["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{commit}^{{commit}}")],
    )
    .map_err(|_| format!("base_commit {commit:?} is not in {source}"))
}

fn build(source: &str, commit: &str, draft: &Path) -> Result<(), String> {
    let io = |e: std::io::Error| format!("{}: {e}", draft.display());
    let (store, tree) = (draft.join("store.git"), draft.join("tree"));
    fs::create_dir_all(&store).map_err(io)?;
    git(Some(&store), &["init", "-q", "--bare", "--template=", "."])?;
    // A fetch of depth one brings the commit, its trees and blobs, and nothing else.
    let url = if source.starts_with('/') { format!("file://{source}") } else { source.to_string() };
    let serve = "--upload-pack=git -c uploadpack.allowAnySHA1InWant=true -c safe.directory=* upload-pack";
    git(
        Some(&store),
        &["fetch", "-q", "--depth=1", "--no-tags", "--no-write-fetch-head", serve, &url, commit],
    )?;
    fs::create_dir_all(&tree).map_err(io)?;
    git(Some(&tree), &["init", "-q", "--template=", "."])?;
    let own = tree.join(".git");
    let write = |path: &str, text: &str| {
        let path = own.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&own)).and_then(|()| fs::write(&path, text)).map_err(io)
    };
    write("objects/info/alternates", &format!("{}\n", store.join("objects").display()))?;
    write("shallow", &format!("{commit}\n"))?;
    write("refs/heads/main", &format!("{commit}\n"))?;
    write("HEAD", "ref: refs/heads/main\n")?;
    // Owner and change time of a file are others inside a sandbox; only size and modification time tell here.
    write(
        "config",
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogAllRefUpdates = false\n\
         \tcheckStat = minimal\n\ttrustctime = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n",
    )?;
    git(Some(&tree), &["reset", "-q", "--hard"])?;
    git(Some(&tree), &["update-index", "-q", "--refresh"])?;
    for leftover in ["ORIG_HEAD", "FETCH_HEAD", "logs", "description", "branches"] {
        let path = own.join(leftover);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
    write("objects/info/alternates", &format!("{OBJECTS}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with three commits, a tag and a branch; returns the commits.
    fn repository(dir: &Path) -> Vec<String> {
        fs::create_dir_all(dir).unwrap();
        let run = |args: &[&str]| {
            git(Some(dir), &[&["-c", "user.name=a", "-c", "user.email=a@b"], args].concat()).unwrap()
        };
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
        let row = format!(
            r#"{{"instance_id":"i","repo":{},"base_commit":{},"problem_statement":"p"}}"#,
            serde_json::json!(repo),
            serde_json::json!(commit)
        );
        sbx_records::read_instances(row.as_bytes(), "t").unwrap().remove(0)
    }

    #[test]
    fn a_checkout_holds_one_commit_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let commits = repository(&dir.path().join("repos/org/name"));
        let checkouts = Checkouts::new(dir.path().join("cache"), Some(dir.path().join("repos")));
        let made = checkouts
            .make_all(&[instance("org/name", &commits[1][..10])], |_| {})
            .unwrap()
            .remove("i")
            .unwrap();
        assert_eq!(made.commit, commits[1]);
        let (tree, store) = (made.dir.join("tree"), made.dir.join("store.git"));
        assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "1\n");
        assert!(!tree.join("only2").exists());
        let objects = git(Some(&store), &["cat-file", "--batch-all-objects", "--batch-check"]).unwrap();
        // One commit, its tree, and its three blobs.
        assert_eq!(objects.lines().count(), 5, "{objects}");
        assert_eq!(objects.lines().filter(|l| l.contains(" commit ")).count(), 1);
        let refs = fs::read_dir(tree.join(".git/refs/heads")).unwrap().count();
        assert_eq!(
            (refs, tree.join(".git/logs").exists(), tree.join(".git/packed-refs").exists()),
            (1, false, false)
        );
        assert_eq!(fs::read_to_string(tree.join(".git/objects/info/alternates")).unwrap(), "/.sbx/objects\n");
    }

    #[test]
    fn two_at_once_make_it_once() {
        let dir = tempfile::tempdir().unwrap();
        let commits = repository(&dir.path().join("r"));
        let checkouts = Checkouts::new(dir.path().join("cache"), None);
        let path = dir.path().join("r").display().to_string();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| checkouts.make(&path, &commits[0]).unwrap());
            }
        });
        let made = fs::read_dir(dir.path().join("cache/checkouts")).unwrap().count();
        assert_eq!(made, 2, "the checkout and its lock");
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let dir = tempfile::tempdir().unwrap();
        repository(&dir.path().join("repos/pallets/flask"));
        let checkouts = Checkouts::new(dir.path().join("cache"), Some(dir.path().join("repos")));
        let error = |repo: &str, commit: &str| {
            checkouts.make_all(&[instance(repo, commit)], |_| {}).unwrap_err().to_string()
        };
        let text = error("pallets/flasq", "HEAD");
        assert!(
            text.contains("i: repository \"pallets/flasq\" is not there")
                && text.contains("there is pallets/flask"),
            "{text}"
        );
        assert!(error("pallets/flask", "0123456789").contains("base_commit \"0123456789\" is not in"));
        assert!(error("../../etc", "HEAD").contains("is not there"));
        assert!(error("pallets/flask", "--help").contains("expected a commit"));
    }
}
