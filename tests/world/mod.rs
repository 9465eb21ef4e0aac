//! A workspace of its own for each test, and the binary.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod corpus;

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

pub struct World {
    pub dir: tempfile::TempDir,
}

impl World {
    pub fn new() -> World {
        let world = World { dir: tempfile::tempdir().expect("a temporary directory") };
        std::fs::create_dir(world.workspace()).expect("a workspace");
        std::fs::write(world.workspace().join("file.txt"), "one\n").expect("a file");
        world
    }

    pub fn workspace(&self) -> PathBuf {
        self.dir.path().join("ws")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.workspace().join(name)
    }

    pub fn sbx(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sbx"));
        command.current_dir(self.workspace()).stdin(Stdio::null()).env_remove("SBX_POLICY");
        command
    }

    /// Runs `sbx exec ARGS`.
    pub fn exec(&self, args: &[&str]) -> Output {
        self.sbx().arg("exec").args(args).output().expect("sbx starts")
    }

    /// Runs `sbx exec --json ARGS` and reads the object.
    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.sbx().args(["exec", "--json"]).args(args).output().expect("sbx starts");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}{}", text(&output.stdout), text(&output.stderr)))
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
