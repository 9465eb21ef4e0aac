//! A text file, or some lines of it.

use super::{Call, Tool, reads_only};
use crate::cli::mcp::answer::Answer;
use crate::cli::mcp::place::Place;
use rmcp::model::ToolAnnotations;
use rmcp::schemars::{self, JsonSchema};
use sbx::Output;
use serde::{Deserialize, Serialize};

/// Largest file that is read, in bytes.
const MAX_FILE: usize = 32 << 20;

pub struct ReadFile;

/// A text file to read.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Takes {
    /// File, absolute or relative to the workspace.
    pub path: String,
    /// First line to read; 1 is the file's first.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub first_line: Option<usize>,
    /// Lines to read at most.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub lines: Option<usize>,
}

/// A part of a text file.
#[derive(Serialize, JsonSchema)]
pub struct FileRead {
    pub path: String,
    /// The lines that were asked for. What is not UTF-8 is replaced.
    pub text: String,
    pub first_line: usize,
    /// Lines of the file in all.
    pub total_lines: usize,
    /// Bytes left out in the middle of the text.
    pub truncated_bytes: u64,
}

impl Tool for ReadFile {
    const NAME: &'static str = "read_file";
    const WRITES: bool = false;
    type Takes = Takes;
    type Answers = FileRead;

    fn about(_: &Place) -> String {
        "Read a text file, or some lines of it.".into()
    }

    fn hints(_: &Place) -> ToolAnnotations {
        reads_only("Read file")
    }

    fn check(takes: &Takes) -> Result<(), String> {
        let given = [("first_line", takes.first_line), ("lines", takes.lines)];
        let wrong = given.iter().find(|(_, value)| *value == Some(0));
        wrong.map_or(Ok(()), |(key, _)| Err(format!("{key}: expected at least 1")))
    }

    fn act(takes: Takes, call: &Call<'_>) -> anyhow::Result<FileRead> {
        let bytes = call.place.look(|shell| shell.read_file(&takes.path, MAX_FILE))?;
        let (first, lines) = (takes.first_line.unwrap_or(1), takes.lines.unwrap_or(usize::MAX));
        Ok(FileRead::new(takes.path, &bytes, first, lines, call.place.policy.limits.output.0))
    }
}

impl FileRead {
    /// The lines that are asked for of a file, of which `most` bytes are kept.
    pub fn new(path: String, bytes: &[u8], first: usize, lines: usize, most: u64) -> FileRead {
        let total_lines = bytes.split_inclusive(|b| *b == b'\n').count();
        let mut part = Output::with_limit(most);
        for line in bytes.split_inclusive(|b| *b == b'\n').skip(first.saturating_sub(1)).take(lines) {
            part.push(line);
        }
        FileRead { path, text: part.text(), first_line: first, total_lines, truncated_bytes: part.omitted() }
    }
}

impl Answer for FileRead {
    fn text(&self) -> String {
        self.text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_file_are_counted_as_an_editor_does() {
        let read = |bytes: &[u8], first, lines| {
            let part = FileRead::new("f".into(), bytes, first, lines, 1 << 10);
            (part.text, part.total_lines)
        };
        assert_eq!(read(b"a\nb\nc", 1, usize::MAX), ("a\nb\nc".into(), 3));
        assert_eq!(read(b"a\nb\nc\n", 2, 1), ("b\n".into(), 3));
        assert_eq!(read(b"a\n", 5, 1), (String::new(), 1));
        assert_eq!(read(b"", 1, 1), (String::new(), 0));
        let long = FileRead::new("f".into(), &[b'x'; 100], 1, 1, 10);
        assert_eq!((long.truncated_bytes, long.text.starts_with("xxxxx\n[... 90")), (90, true));
    }
}
