//! What the tools answer: the same as an object for programs and as a text for the model.

use super::place::Kept;
use crate::cli::exec::{Settled, on_a_line};
use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use std::path::Path;

/// Most names of committed files in an answer; all are counted.
const NAMES: usize = 50;

/// An answer as an object and as a text.
pub trait Answer: Serialize {
    fn text(&self) -> String;

    /// Whether something was lost.
    fn is_error(&self) -> bool {
        false
    }

    fn result(&self) -> CallToolResult {
        let mut result = CallToolResult::success(vec![ContentBlock::text(self.text())]);
        result.structured_content = serde_json::to_value(self).ok();
        result.is_error = Some(self.is_error());
        result
    }
}

/// What the model reads where a tool could not do its work.
pub fn failure(why: impl std::fmt::Display) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(format!("sbx: {why:#}"))])
}

/// What was kept of the changes.
#[derive(Serialize, JsonSchema)]
pub struct Changed {
    /// How many paths of the workspace were changed.
    committed_count: usize,
    /// The first of them.
    committed: Vec<String>,
    /// Changes that were not committed, and why.
    withheld: Vec<Withheld>,
    /// Why none of them was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Withheld {
    path: String,
    why: String,
    /// It could not be written; otherwise it is kept back because of what it is.
    failed: bool,
}

impl Changed {
    pub fn new(kept: &Kept) -> Changed {
        let none = Settled::default();
        let (settled, error) = match kept {
            Ok(settled) => (settled, None),
            Err(e) => (&none, Some(format!("{e:#}"))),
        };
        let text = |path: &Path| path.to_string_lossy().into_owned();
        Changed {
            committed_count: settled.committed.len(),
            committed: settled.committed.iter().take(NAMES).map(|path| text(path)).collect(),
            withheld: settled
                .withheld
                .iter()
                .map(|w| Withheld { path: text(&w.path), why: w.why.clone(), failed: w.failed })
                .collect(),
            error,
        }
    }

    /// A line for each change that was not kept.
    pub fn tell(&self, say: &mut dyn FnMut(String)) {
        for Withheld { path, why, .. } in &self.withheld {
            say(on_a_line(&format!("not committed: {path}: {why}")));
        }
        if let Some(error) = &self.error {
            say(on_a_line(&format!("the changes could not be kept: {error}")));
        }
    }

    /// Whether changes were lost that should have been kept.
    pub fn is_lost(&self) -> bool {
        self.error.is_some() || self.withheld.iter().any(|path| path.failed)
    }
}

/// Adds a text on a line of its own.
pub fn append(text: &mut String, more: &str) {
    if !text.is_empty() && !text.ends_with('\n') && !more.is_empty() {
        text.push('\n');
    }
    text.push_str(more);
}
