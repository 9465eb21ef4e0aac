//! Everyday commands of coding agents: the same in the sandbox as in bash on the host, in output, status and files.

mod world;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use world::corpus::{self, environment, repository};

/// What a script left: output, errors, status, and every file with its mode.
#[derive(PartialEq, Debug)]
struct Seen {
    stdout: String,
    stderr: String,
    status: Option<i32>,
    files: BTreeMap<String, (u32, String)>,
}

fn files(dir: &Path, at: &str, found: &mut BTreeMap<String, (u32, String)>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let name = format!("{at}{}", entry.file_name().to_string_lossy());
        // What git keeps for itself has times and process numbers in it.
        if name == ".git" {
            continue;
        }
        let meta = entry.path().symlink_metadata().unwrap();
        let mode = meta.permissions().mode();
        if meta.is_dir() {
            found.insert(name.clone(), (mode, "directory".into()));
            files(&entry.path(), &format!("{name}/"), found);
        } else if meta.is_symlink() {
            found.insert(name, (0, fs::read_link(entry.path()).unwrap().display().to_string()));
        } else {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            let text = if bytes.len() > 4096 {
                format!("{} bytes", bytes.len())
            } else {
                String::from_utf8_lossy(&bytes).into_owned()
            };
            // The sandbox commits files, not pipes; archives hold times.
            if meta.is_file()
                && ![".tgz", ".tar", ".gz", ".xz", ".bz2", ".bundle"].iter().any(|end| name.ends_with(end))
            {
                found.insert(name, (mode, text));
            }
        }
    }
}

fn run(script: &str, sandboxed: bool) -> Seen {
    let world = world::World::new();
    let ws = world.workspace();
    fs::remove_file(ws.join("file.txt")).unwrap();
    fs::create_dir(world.dir.path().join("home")).unwrap();
    repository(&ws);
    let mut command = if sandboxed {
        let mut command = world.sbx();
        command.args(["exec", "--timeout", "20s"]);
        for (key, value) in environment(&ws).iter().filter(|(k, _)| k.starts_with("GIT_")) {
            command.args(["--env", &format!("{key}={value}")]);
        }
        command.args(["-c", script]);
        command
    } else {
        let mut command = Command::new("timeout");
        command.args(["20", "bash", "-c", script]).env_clear().envs(environment(&ws));
        command
    };
    let output = command.current_dir(&ws).stdin(Stdio::null()).output().unwrap();
    // Temporary folders differ.
    let plain = |bytes: &[u8]| world::text(bytes).replace(&world.dir.path().display().to_string(), "DIR");
    let mut found = BTreeMap::new();
    files(&ws, "", &mut found);
    Seen {
        stdout: plain(&output.stdout),
        stderr: plain(&output.stderr),
        status: output.status.code(),
        files: found,
    }
}

#[test]
fn everyday_commands_are_the_same_as_on_the_host() {
    let cases = corpus::scripts();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let different = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((name, script)) =
                    cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let (bare, ours) = (run(script, false), run(script, true));
                    if bare != ours {
                        different
                            .lock()
                            .unwrap()
                            .push(format!("{name}: {script}\n  bare {bare:?}\n  sbx  {ours:?}"));
                    }
                }
            });
        }
    });
    let different = different.into_inner().unwrap();
    assert!(different.is_empty(), "{} of {} differ:\n{}", different.len(), cases.len(), different.join("\n"));
}
