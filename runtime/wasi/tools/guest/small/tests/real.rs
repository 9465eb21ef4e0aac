//! The same scripts with the system's tools: output, status and files must be the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCRIPTS: &str = include_str!("scripts.txt");

#[derive(PartialEq, Debug)]
struct Seen {
    stdout: String,
    status: Option<i32>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

fn files(dir: &Path, top: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let name = path.strip_prefix(top).unwrap().to_owned();
        if let Ok(target) = fs::read_link(&path) {
            found.insert(name, target.into_os_string().into_encoded_bytes());
        } else if path.is_dir() {
            files(&path, top, found);
        } else if ["gz", "bz2", "xz", "tar", "tgz"]
            .iter()
            .all(|end| !name.extension().is_some_and(|ext| ext == *end))
        {
            found.insert(name, fs::read(&path).unwrap());
        } else {
            // Packed bytes may differ; what they unpack to is what counts.
            found.insert(name, Vec::new());
        }
    }
}

fn see(base: &Path, path: &str, script: &str) -> Seen {
    let dir = base.join("w");
    fs::create_dir_all(dir.join("src")).unwrap();
    fs::write(dir.join("README.md"), "# Demo\n\nhello world\nmore\n").unwrap();
    fs::write(dir.join("src/app.py"), "import sys\n\n\ndef main():\n    print('hello')\n").unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(&dir).env_clear().env("PATH", path);
    command.env("LC_ALL", "C.UTF-8").env("TERM", "dumb").stdin(std::process::Stdio::null());
    let output = command.output().unwrap();
    let mut found = BTreeMap::new();
    files(&dir, &dir, &mut found);
    Seen {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        status: output.status.code(),
        files: found,
    }
}

/// The first words of a script's commands, as far as they are commands of this crate that the host lacks.
fn lacking(script: &str) -> Option<&str> {
    script
        .split([';', '|', '&', ' '])
        .map(str::trim)
        .find(|word| guest_small::command(word).is_some() && !Path::new("/usr/bin").join(word).exists())
}

#[test]
fn scripts_see_the_same_with_the_systems_tools() {
    let top = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("real-{}", std::process::id()));
    let bin = top.join("bin");
    fs::create_dir_all(&bin).unwrap();
    for (name, _) in guest_small::TABLE {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_guest-small"), bin.join(name)).unwrap();
    }
    let own = format!("{}:/usr/bin:/bin", bin.display());
    let mut different = Vec::new();
    for (number, script) in
        SCRIPTS.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty())
    {
        if let Some(name) = lacking(script) {
            eprintln!("SKIPPED: no {name} here: {script}");
            continue;
        }
        let real = see(&top.join(format!("{number}-real")), "/usr/bin:/bin", script);
        let ours = see(&top.join(format!("{number}-ours")), &own, script);
        if real != ours {
            different.push(format!(
                "{script}\n--- real {:?}\n{}\n--- ours {:?}\n{}",
                real.status, real.stdout, ours.status, ours.stdout
            ));
            if real.files != ours.files {
                different.push(format!("files {:?}\n      {:?}", real.files, ours.files));
            }
        }
    }
    fs::remove_dir_all(&top).unwrap();
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}
