//! What a directory holds.

use super::{Call, Tool, reads_only};
use crate::cli::exec::on_a_line;
use crate::cli::mcp::answer::{Answer, append};
use crate::cli::mcp::place::Place;
use rmcp::model::ToolAnnotations;
use rmcp::schemars::{self, JsonSchema};
use sbx::Listing;
use serde::{Deserialize, Serialize};

/// Most entries that are listed.
const MAX_ENTRIES: usize = 2_000;

pub struct ListDir;

/// A directory to list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Takes {
    /// Directory, absolute or relative to the workspace. Default: the workspace.
    #[serde(default)]
    pub path: Option<String>,
}

/// What a directory holds.
#[derive(Serialize, JsonSchema)]
pub struct DirListed {
    path: String,
    entries: Vec<Entry>,
    /// There are more.
    truncated: bool,
}

#[derive(Serialize, JsonSchema)]
struct Entry {
    name: String,
    /// file, directory, link or other.
    kind: &'static str,
}

impl Tool for ListDir {
    const NAME: &'static str = "list_dir";
    const WRITES: bool = false;
    type Takes = Takes;
    type Answers = DirListed;

    fn about(_: &Place) -> String {
        "List a directory.".into()
    }

    fn hints(_: &Place) -> ToolAnnotations {
        reads_only("List directory")
    }

    fn act(takes: Takes, call: &Call<'_>) -> anyhow::Result<DirListed> {
        let path = takes.path.filter(|path| !path.is_empty()).unwrap_or_else(|| ".".into());
        let listing = call.place.look(|shell| shell.list_dir(&path, MAX_ENTRIES))?;
        Ok(DirListed::new(path, listing))
    }
}

impl DirListed {
    pub fn new(path: String, listing: Listing) -> DirListed {
        let entry =
            |e: sbx::Entry| Entry { name: e.name.to_string_lossy().into_owned(), kind: e.kind.name() };
        let truncated = listing.is_cut;
        DirListed { path, entries: listing.entries.into_iter().map(entry).collect(), truncated }
    }
}

impl Answer for DirListed {
    /// As `ls -F` shows it.
    fn text(&self) -> String {
        let mut text = String::new();
        for Entry { name, kind } in &self.entries {
            let mark = match *kind {
                "directory" => "/",
                "link" => "@",
                _ => "",
            };
            append(&mut text, &format!("{}{mark}", on_a_line(name)));
        }
        if self.truncated {
            append(&mut text, "[there are more]");
        }
        if text.is_empty() { "[empty]".into() } else { text }
    }
}
