//! A text file, written whole.

use super::{Call, Tool};
use crate::cli::exec::{Fate, on_a_line};
use crate::cli::mcp::answer::{Answer, Changed, append};
use crate::cli::mcp::place::Place;
use rmcp::model::ToolAnnotations;
use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

pub struct WriteFile;

/// A text file to write.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Takes {
    /// File, absolute or relative to the workspace. Directories that lead to it are made.
    pub path: String,
    /// All that it holds from then on.
    pub text: String,
}

/// A file that was written.
#[derive(Serialize, JsonSchema)]
pub struct FileWritten {
    pub path: String,
    pub bytes: usize,
    pub changes: Changed,
    /// It is not of the workspace, or held this already.
    #[serde(skip)]
    is_unkept: bool,
}

impl Tool for WriteFile {
    const NAME: &'static str = "write_file";
    const WRITES: bool = true;
    type Takes = Takes;
    type Answers = FileWritten;

    fn about(_: &Place) -> String {
        "Write a text file: a new one, or all of one that is there.".into()
    }

    fn hints(_: &Place) -> ToolAnnotations {
        ToolAnnotations::with_title("Write file")
            .read_only(false)
            .destructive(true)
            .idempotent(true)
            .open_world(false)
    }

    fn act(takes: Takes, call: &Call<'_>) -> anyhow::Result<FileWritten> {
        let bytes = takes.text.len();
        let ((), kept) = call.place.act(|shell| shell.write_file(&takes.path, takes.text))?;
        let is_unkept = matches!(call.place.fate, Fate::Commit)
            && kept.as_ref().is_ok_and(|settled| settled.committed.is_empty());
        Ok(FileWritten { path: takes.path, bytes, changes: Changed::new(&kept), is_unkept })
    }
}

impl Answer for FileWritten {
    fn is_error(&self) -> bool {
        self.changes.is_lost()
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {} bytes written", on_a_line(&self.path), self.bytes);
        if self.is_unkept {
            append(&mut text, "[the workspace is as it was]");
        }
        self.changes.tell(&mut |line| append(&mut text, &format!("[{line}]")));
        text
    }
}
