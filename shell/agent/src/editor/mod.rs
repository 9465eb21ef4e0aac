//! The file editor tool of SWE-agent and OpenHands, with their replies, on files of the sandbox.
//!
//! Nothing of the host is looked at: a file is read and written by a program in the sandbox, so its walls hold for the
//! editor too. SWE-agent's runs as a Python script in the environment; this one needs no Python there.

mod text;
mod words;

use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use text::{Place, Text, expanded, parted, place};
use words::Words;

/// Lines around an insertion that are shown.
const SNIPPET_LINES: usize = 4;
/// Largest file that is edited, in bytes.
pub(crate) const MAX_FILE: usize = 16 << 20;
/// Bytes of earlier versions that are kept for `undo_edit`.
const MAX_HISTORY: usize = 64 << 20;

/// Whose replies the editor gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// SWE-agent's `edit_anthropic`.
    SweAgent,
    /// OpenHands' `openhands-aci`.
    OpenHands,
}

/// One call of the editor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// `view`, `create`, `str_replace`, `insert` or `undo_edit`.
    pub command: String,
    /// An absolute path in the sandbox.
    pub path: String,
    /// The whole text of `create`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_text: Option<String>,
    /// What `str_replace` replaces; it must be there once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_str: Option<String>,
    /// What it is replaced with, or what `insert` inserts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_str: Option<String>,
    /// The line after which `insert` inserts; 0 is the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insert_line: Option<i64>,
    /// First and last line of `view`, from 1; a last line of -1 is the file's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_range: Option<Vec<i64>>,
}

impl Edit {
    /// Reads the arguments of a tool call.
    ///
    /// # Errors
    /// A key is missing, unknown or of another kind; the message says which.
    pub fn parse(arguments: &Value) -> Result<Edit, String> {
        let Value::Object(map) = arguments else {
            return Err("expected the arguments of a tool as a JSON object".into());
        };
        let mut edit = Edit::default();
        for (key, value) in map {
            let text = || match value {
                Value::Null => Ok(None),
                Value::String(text) => Ok(Some(text.clone())),
                other => Err(format!("Parameter '{key}' is expected to be a string, found {other}.")),
            };
            match key.as_str() {
                "command" => edit.command = text()?.unwrap_or_default(),
                "path" => edit.path = text()?.unwrap_or_default(),
                "file_text" => edit.file_text = text()?,
                "old_str" => edit.old_str = text()?,
                "new_str" => edit.new_str = text()?,
                "insert_line" => edit.insert_line = whole(key, value)?,
                "view_range" => edit.view_range = range(value)?,
                // OpenHands asks for it and does nothing with it.
                "security_risk" => {}
                other => return Err(format!("Unexpected argument(s): {other}")),
            }
        }
        for (key, given) in [("command", &edit.command), ("path", &edit.path)] {
            if given.is_empty() {
                return Err(format!("Required argument(s) missing: {key}"));
            }
        }
        Ok(edit)
    }
}

/// A number, or a text that is one: models write both.
fn whole(key: &str, value: &Value) -> Result<Option<i64>, String> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64(),
    };
    number.map(Some).ok_or_else(|| format!("Parameter '{key}' is expected to be an integer, found {value}."))
}

/// A list of numbers, or the text of one.
fn range(value: &Value) -> Result<Option<Vec<i64>>, String> {
    let list = match value {
        Value::Null => return Ok(None),
        Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        other => other.clone(),
    };
    let numbers = list.as_array().and_then(|l| l.iter().map(Value::as_i64).collect::<Option<Vec<_>>>());
    numbers.map(Some).ok_or_else(|| {
        format!("Parameter 'view_range' is expected to be an array of integers, found {value}.")
    })
}

/// Files of the sandbox.
pub(crate) trait Files {
    /// What is at a path.
    fn kind(&mut self, path: &str) -> Result<Kind, String>;
    /// What a file holds; `Err` is for the model to read.
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String>;
    /// Writes a file.
    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String>;
    /// Files and directories up to two levels deep, hidden ones left out, as `find` prints them.
    fn list(&mut self, path: &str) -> Result<String, String>;
    /// As [`Files::list`], but through links and with a `/` behind each directory; and how many hidden ones there are on
    /// the first level.
    fn list_marked(&mut self, path: &str) -> Result<(String, usize), String>;
    /// The directory from which a path that is not absolute would lead on.
    fn cwd(&mut self) -> String {
        "/".into()
    }
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nothing,
    File,
    Directory,
}

/// The editor of one rollout: it remembers what it changed.
#[derive(Debug)]
pub(crate) struct Editor {
    words: Words,
    history: HashMap<String, Vec<Vec<u8>>>,
    kept: usize,
}

impl Editor {
    pub(crate) fn new(style: Style) -> Editor {
        Editor { words: Words(style), history: HashMap::new(), kept: 0 }
    }

    /// Does what a call asks for; returns what the model reads.
    pub(crate) fn run(&mut self, edit: &Edit, files: &mut dyn Files) -> String {
        self.try_run(edit, files).unwrap_or_else(|why| self.words.error(&why))
    }

    fn try_run(&mut self, edit: &Edit, files: &mut dyn Files) -> Result<String, String> {
        let words = self.words;
        let edit = &Edit { path: plain(&edit.path), ..edit.clone() };
        let path = edit.path.as_str();
        if !path.starts_with('/') {
            return Err(words.not_absolute(path, &files.cwd()));
        }
        // No file has such a name, and no program can be asked about it.
        if path.contains('\0') {
            return Err(words.missing(path));
        }
        let kind = files.kind(path)?;
        match (kind, edit.command.as_str()) {
            (Kind::Nothing, "create") => {}
            (Kind::Nothing, _) => return Err(words.missing(path)),
            (_, "create") => return Err(words.exists(path)),
            (Kind::Directory, "view") => return self.view_directory(edit, files),
            (Kind::Directory, _) => return Err(words.is_directory(path)),
            (Kind::File, _) => {}
        }
        match edit.command.as_str() {
            "view" => self.view(edit, files),
            "create" => self.create(edit, files),
            "str_replace" => self.replace(edit, files),
            "insert" => self.insert(edit, files),
            "undo_edit" => self.undo(path, files),
            other => Err(words.unknown_command(other)),
        }
    }

    /// What a file holds, and its text.
    fn read(&self, path: &str, files: &mut dyn Files) -> Result<(Vec<u8>, Text), String> {
        let bytes = files.read(path)?;
        if self.words.refuses_binary_files() && bytes.contains(&0) && std::str::from_utf8(&bytes).is_err() {
            return Err(self.words.binary(path));
        }
        let text = Text::of(&bytes);
        Ok((bytes, text))
    }

    fn create(&mut self, edit: &Edit, files: &mut dyn Files) -> Result<String, String> {
        let (words, path) = (self.words, edit.path.as_str());
        let text = edit.file_text.as_deref().ok_or_else(|| words.needs("file_text", "create"))?;
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if !parent.is_empty() && files.kind(parent)? == Kind::Nothing {
            return Err(words.no_parent(path, parent));
        }
        files.write(path, text.as_bytes())?;
        self.remember(path, text.into());
        Ok(format!("File created successfully at: {path}"))
    }

    fn view_directory(&self, edit: &Edit, files: &mut dyn Files) -> Result<String, String> {
        let (words, path) = (self.words, edit.path.as_str());
        if let Some(range) = &edit.view_range {
            return Err(words.range_of_directory(range));
        }
        if !words.marks_directories() {
            return Ok(words.directory(path, &files.list(path)?, 0));
        }
        let (list, hidden) = files.list_marked(path)?;
        Ok(words.directory(path, &list, hidden))
    }

    fn view(&self, edit: &Edit, files: &mut dyn Files) -> Result<String, String> {
        let (words, path) = (self.words, edit.path.as_str());
        let (_, text) = self.read(path, files)?;
        let Some(range) = &edit.view_range else { return Ok(words.numbered(text.as_str(), path, 1)) };
        let [first, last] = range[..] else { return Err(words.not_a_range(range)) };
        let lines = words.lines(text.as_str());
        let count = lines.len() as i64;
        if first < 1 || first > count {
            return Err(words.bad_first(range, first, count));
        }
        if last > count && words.refuses_a_range_beyond_the_end() {
            return Err(words.bad_last(range, last, count));
        }
        if last != -1 && last < first {
            return Err(words.backwards(range, first, last));
        }
        let end = if last == -1 { count } else { last.min(count) };
        // Both are within the lines, which are as many as fit in memory.
        let shown = lines[(first - 1) as usize..end as usize].join("\n");
        let shown = words.numbered(&shown, path, first as usize);
        Ok(if last > count { words.shortened(count, &shown) } else { shown })
    }

    fn replace(&mut self, edit: &Edit, files: &mut dyn Files) -> Result<String, String> {
        let (words, path) = (self.words, edit.path.as_str());
        let old = edit.old_str.as_deref().ok_or_else(|| words.needs("old_str", "str_replace"))?;
        let new = edit.new_str.as_deref().unwrap_or("");
        if old == new && words.compares_before_it_looks() {
            return Err(words.same(old, new));
        }
        let (bytes, text) = self.read(path, files)?;
        let [before, new, after] = self.parts(path, text.as_str(), &text.fitted(old), &text.fitted(new))?;
        let changed = [before.as_str(), &new, &after].concat();
        files.write(path, &text.bytes_of(&changed).map_err(|why| words.not_written(path, &why))?)?;
        self.remember(path, bytes);
        let line = before.matches('\n').count();
        let (above, below) = words.around_a_replacement();
        let first = line.saturating_sub(above);
        let end = line + new.matches('\n').count() + 1 + below;
        let lines: Vec<&str> = changed.split('\n').collect();
        let snippet = words.replaced(&lines, first, end);
        Ok(words.edited(path, &words.numbered(&snippet, &format!("a snippet of {path}"), first + 1)))
    }

    /// What comes before a replacement, the replacement, and what comes after it. What is verbatim in the file is taken
    /// first; then what the model may mean by it.
    fn parts(&self, path: &str, text: &str, old: &str, new: &str) -> Result<[String; 3], String> {
        let words = self.words;
        let whole = |at: usize, old: &str| [text[..at].to_string(), text[at + old.len()..].to_string()];
        let ([before, after], old, new) = match place(text, old) {
            Place::Several => return Err(words.many(old, text)),
            Place::At(at) => (whole(at, old), old.to_string(), new.to_string()),
            // It was shown blanks for tabs.
            Place::Nowhere if words.expands_tabs() => {
                let (shown, old, new) = (expanded(text), expanded(old), expanded(new));
                let at = match place(&shown, &old) {
                    Place::Nowhere => return Err(words.no_match(&old, path)),
                    Place::Several => return Err(words.many(&old, &shown)),
                    Place::At(at) => at,
                };
                ([parted(text, at).0, parted(text, at + old.len()).1], old, new)
            }
            Place::Nowhere => {
                let (old, new) = (old.trim(), new.trim());
                match place(text, old) {
                    Place::Nowhere => return Err(words.no_match(old, path)),
                    Place::Several => return Err(words.many(old, text)),
                    Place::At(at) => (whole(at, old), old.to_string(), new.to_string()),
                }
            }
        };
        if old == new && !words.compares_before_it_looks() {
            return Err(words.same(&old, &new));
        }
        Ok([before, new, after])
    }

    fn insert(&mut self, edit: &Edit, files: &mut dyn Files) -> Result<String, String> {
        let (words, path) = (self.words, edit.path.as_str());
        let line = edit.insert_line.ok_or_else(|| words.needs("insert_line", "insert"))?;
        let new = edit.new_str.as_deref().ok_or_else(|| words.needs("new_str", "insert"))?;
        let (bytes, text) = self.read(path, files)?;
        let (lines, count) =
            (text.as_str().split('\n').collect::<Vec<_>>(), words.lines(text.as_str()).len());
        let Some(at) = usize::try_from(line).ok().filter(|at| *at <= count) else {
            return Err(words.bad_line(line, count));
        };
        let new = text.fitted(new);
        let added: Vec<&str> = new.split('\n').collect();
        let all: Vec<&str> = lines[..at].iter().chain(&added).chain(&lines[at..]).copied().collect();
        files.write(path, &text.bytes_of(&all.join("\n")).map_err(|why| words.not_written(path, &why))?)?;
        self.remember(path, bytes);
        let first = at.saturating_sub(SNIPPET_LINES);
        let snippet = words.snippet(&all, first, at + added.len() + SNIPPET_LINES);
        Ok(words.grown(path, &words.numbered(&snippet, "a snippet of the edited file", first + 1)))
    }

    fn undo(&mut self, path: &str, files: &mut dyn Files) -> Result<String, String> {
        let before =
            self.history.get_mut(path).and_then(Vec::pop).ok_or_else(|| self.words.no_history(path))?;
        self.kept -= before.len();
        files.write(path, &before)?;
        Ok(self.words.undone(path, Text::of(&before).as_str()))
    }

    fn remember(&mut self, path: &str, before: Vec<u8>) {
        self.kept += before.len();
        self.history.entry(path.to_string()).or_default().push(before);
        if self.kept > MAX_HISTORY {
            // Whoever edits that much does not undo the beginning.
            self.history.clear();
            self.kept = 0;
        }
    }
}

/// A path as Python's `Path` writes it: without `.`, doubled slashes and one at the end.
fn plain(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests;
