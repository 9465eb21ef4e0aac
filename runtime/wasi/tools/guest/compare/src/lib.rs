//! The same scripts with the system's tools and with the guest's: output, status and files must be the same.
//!
//! A table has a script a line; a line that begins with `#` is a comment.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What the system's side finds its tools by.
const PATH: &str = "/usr/bin:/bin";
/// Files whose bytes may differ: what they unpack to is what counts.
const PACKED: [&str; 6] = ["gz", "bz2", "xz", "tar", "tgz", "bundle"];

/// What a script left.
#[derive(PartialEq, Debug)]
struct Seen {
    stdout: String,
    status: Option<i32>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

/// Runs a script by the system's bash, in a small and known environment.
pub fn bash(dir: &Path, path: &str, script: &str) -> Output {
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(dir).env_clear().env("PATH", path).env("TERM", "dumb");
    command.env("HOME", dir.parent().unwrap_or(dir)).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    for (name, value) in [("NAME", "a"), ("EMAIL", "a@b"), ("DATE", "2024-01-01T00:00:00Z")] {
        command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    command.output().expect("bash runs")
}

/// Runs each script of a table twice, in equal directories that `fill` has filled, the second time with `program` under
/// each of these names before the system's tools. Scripts with a command of `names` that the system lacks are skipped,
/// aloud.
///
/// # Panics
/// If a script sees something else.
pub fn scripts(table: &str, program: &Path, names: &[&str], fill: &dyn Fn(&Path)) {
    let top = tempfile::tempdir().expect("a directory for the scripts is made");
    let bin = top.path().join("bin");
    fs::create_dir_all(&bin).expect("a directory for the commands is made");
    for name in names {
        std::os::unix::fs::symlink(program, bin.join(name)).expect("a command gets its name");
    }
    let own = format!("{}:{PATH}", bin.display());
    let mut different = Vec::new();
    for (number, script) in
        table.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
    {
        let lacking = script
            .split([';', '|', '&', ' '])
            .find(|word| names.contains(word) && !Path::new("/usr/bin").join(word).exists());
        if let Some(name) = lacking {
            eprintln!("SKIPPED: no {name} here: {script}");
            continue;
        }
        let real = see(&top.path().join(format!("{number}/real")), PATH, script, fill);
        let ours = see(&top.path().join(format!("{number}/ours")), &own, script, fill);
        if real != ours {
            different.push(format!("{script}\n{}", difference(&real, &ours)));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}

fn see(base: &Path, path: &str, script: &str, fill: &dyn Fn(&Path)) -> Seen {
    let dir = base.join("w");
    fs::create_dir_all(&dir).expect("a directory for a script is made");
    fill(&dir);
    let output = bash(&dir, path, script);
    let mut files = BTreeMap::new();
    collect(&dir, &dir, &mut files);
    let stdout = String::from_utf8_lossy(&output.stdout).replace(&base.display().to_string(), "BASE");
    Seen { stdout, status: output.status.code(), files }
}

fn collect(dir: &Path, top: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.strip_prefix(top).unwrap_or(&path).to_owned();
        if name.ends_with(".git") {
            continue;
        }
        if let Ok(target) = fs::read_link(&path) {
            found.insert(name, target.into_os_string().into_encoded_bytes());
        } else if path.is_dir() {
            collect(&path, top, found);
        } else {
            let packed = PACKED.iter().any(|end| name.extension().is_some_and(|extension| extension == *end));
            let bytes = if packed { Vec::new() } else { fs::read(&path).unwrap_or_default() };
            found.insert(name, bytes);
        }
    }
}

/// The lines of one side that the other has not.
fn difference(real: &Seen, ours: &Seen) -> String {
    let only = |a: &str, b: &str| -> String {
        let other: Vec<&str> = b.lines().collect();
        a.lines().filter(|line| !other.contains(line)).map(|line| format!("    {line}\n")).collect()
    };
    let mut text = format!(
        "  real, status {:?}:\n{}  ours, status {:?}:\n{}",
        real.status,
        only(&real.stdout, &ours.stdout),
        ours.status,
        only(&ours.stdout, &real.stdout)
    );
    for name in real.files.keys().chain(ours.files.keys()) {
        if real.files.get(name) != ours.files.get(name) && !text.ends_with(&format!("{}\n", name.display())) {
            text += &format!("  file {}\n", name.display());
        }
    }
    text
}
