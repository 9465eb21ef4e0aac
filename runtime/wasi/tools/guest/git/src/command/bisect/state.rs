//! What a search knows, kept in the files and references that git keeps it in.

use crate::error::{Result, die};
use crate::object::Id;
use crate::repo::Repo;
use std::fs;
use std::io::Write;

/// The files of a search.
const FILES: [&str; 10] = [
    "BISECT_EXPECTED_REV",
    "BISECT_ANCESTORS_OK",
    "BISECT_LOG",
    "BISECT_NAMES",
    "BISECT_RUN",
    "BISECT_TERMS",
    "BISECT_FIRST_PARENT",
    "BISECT_HEAD",
    "head-name",
    "BISECT_START",
];

/// A search under way, or none.
pub struct State<'a> {
    repo: &'a Repo,
    /// The words for bad and good.
    pub terms: (String, String),
}

impl<'a> State<'a> {
    /// Reads what there is.
    pub fn open(repo: &'a Repo) -> State<'a> {
        let text = fs::read_to_string(repo.dir.join("BISECT_TERMS")).unwrap_or_default();
        let mut lines = text.lines().map(str::to_owned);
        let terms =
            (lines.next().unwrap_or_else(|| "bad".into()), lines.next().unwrap_or_else(|| "good".into()));
        State { repo, terms }
    }

    /// Begins a search.
    pub fn begin(
        repo: &'a Repo,
        begun: &str,
        terms: &(String, String),
        paths: &[String],
        no_checkout: bool,
        first_parent: bool,
    ) -> Result<State<'a>> {
        let state = State { repo, terms: terms.clone() };
        state.write("BISECT_START", &format!("{begun}\n"))?;
        let names: String = paths.iter().map(|path| format!(" {}", quoted(path))).collect();
        state.write("BISECT_NAMES", &format!("{names}\n"))?;
        state.write("BISECT_TERMS", &format!("{}\n{}\n", terms.0, terms.1))?;
        state.write("BISECT_LOG", "")?;
        if first_parent {
            state.write("BISECT_FIRST_PARENT", "\n")?;
        }
        if no_checkout && let Some(head) = repo.head_id() {
            state.set_head(head)?;
        }
        Ok(state)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.repo.dir.join(name), text)?)
    }

    fn has(&self, name: &str) -> bool {
        self.repo.dir.join(name).exists()
    }

    /// Returns where HEAD was when the search began.
    pub fn began(&self) -> Option<String> {
        let text = fs::read_to_string(self.repo.dir.join("BISECT_START")).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Refuses what needs a search under way.
    pub fn started(&self) -> Result<()> {
        match self.began() {
            Some(_) => Ok(()),
            None => Err(die(1, "You need to start by \"git bisect start\"\n")),
        }
    }

    /// Whether the words were written down.
    pub fn has_terms(&self) -> bool {
        self.has("BISECT_TERMS")
    }

    /// Whether this is one of the two words.
    pub fn is_term(&self, name: &str) -> bool {
        name == self.terms.0 || name == self.terms.1
    }

    /// Returns this search's word for one of the usual four.
    pub fn term(&self, name: &str) -> Result<String> {
        let usual = self.terms == ("bad".into(), "good".into());
        // The first mark decides between bad and good, and new and old.
        if usual && matches!(name, "new" | "old") && self.bad().is_none() && self.goods().is_empty() {
            self.write("BISECT_TERMS", "new\nold\n")?;
        } else if !self.is_term(name) {
            let (bad, good) = &self.terms;
            return Err(die(1, format!("error: Invalid command: you're currently in a {bad}/{good} bisect")));
        }
        Ok(name.to_owned())
    }

    /// Returns the log.
    pub fn log(&self) -> Option<Vec<u8>> {
        fs::read(self.repo.dir.join("BISECT_LOG")).ok()
    }

    /// Adds to the log.
    pub fn note(&self, text: &str) -> Result<()> {
        let path = self.repo.dir.join("BISECT_LOG");
        let mut log = fs::OpenOptions::new().append(true).create(true).open(path)?;
        Ok(log.write_all(text.as_bytes())?)
    }

    /// Marks a commit, in the log too.
    pub fn mark(&self, name: &str, id: Id) -> Result<()> {
        let full = if State::open(self.repo).terms.0 == name {
            format!("refs/bisect/{name}")
        } else {
            format!("refs/bisect/{name}-{id}")
        };
        self.repo.set_ref(&full, id, "")?;
        self.note(&format!("# {name}: {}\n", self.named(id)?))
    }

    /// Returns the bad commit.
    pub fn bad(&self) -> Option<Id> {
        self.repo.find_ref(&format!("refs/bisect/{}", self.terms.0))
    }

    /// Returns the good commits, by name.
    pub fn goods(&self) -> Vec<Id> {
        self.marked(&self.terms.1)
    }

    /// Returns the skipped commits, by name.
    pub fn skipped(&self) -> Vec<Id> {
        self.marked("skip")
    }

    fn marked(&self, name: &str) -> Vec<Id> {
        let prefix = format!("refs/bisect/{name}-");
        let all = self.repo.refs("refs/bisect/");
        all.into_iter().filter(|(full, _)| full.starts_with(&prefix)).map(|(_, id)| id).collect()
    }

    /// Reads commits; without any, the one that is tested.
    pub fn read_revs(&self, words: &[String]) -> Result<Vec<Id>> {
        let head = if self.no_checkout() { "BISECT_HEAD" } else { "HEAD" }.to_owned();
        let words = if words.is_empty() { std::slice::from_ref(&head) } else { words };
        let read = |word: &String| {
            self.repo.rev_commit(word).map_err(|_| die(1, format!("error: Bad rev input: {word}")))
        };
        words.iter().map(read).collect()
    }

    /// Notes the commit that is tested next.
    pub fn expect(&self, id: Id) -> Result<()> {
        self.write("BISECT_EXPECTED_REV", &format!("{id}\n"))
    }

    /// Returns the commit that is tested.
    pub fn expected(&self) -> Option<Id> {
        let text = fs::read_to_string(self.repo.dir.join("BISECT_EXPECTED_REV")).ok()?;
        Id::parse(text.trim().as_bytes())
    }

    /// Forgets it, with what was found out of merge bases, if others were marked.
    pub fn forget_expected(&self, revs: &[Id]) {
        let expected = self.expected();
        if revs.iter().any(|id| Some(*id) != expected) {
            for name in ["BISECT_EXPECTED_REV", "BISECT_ANCESTORS_OK"] {
                let _ = fs::remove_file(self.repo.dir.join(name));
            }
        }
    }

    /// Whether the good commits are known to lie before the bad one.
    pub fn bases_known(&self) -> bool {
        self.has("BISECT_ANCESTORS_OK")
    }

    /// Notes that they are.
    pub fn know_bases(&self) -> Result<()> {
        self.write("BISECT_ANCESTORS_OK", "")
    }

    /// Whether the worktree stays as it is.
    pub fn no_checkout(&self) -> bool {
        self.has("BISECT_HEAD")
    }

    /// Whether only first parents are followed.
    pub fn first_parent(&self) -> bool {
        self.has("BISECT_FIRST_PARENT")
    }

    /// Notes the commit that is tested where the worktree stays.
    pub fn set_head(&self, id: Id) -> Result<()> {
        self.write("BISECT_HEAD", &format!("{id}\n"))
    }

    /// Returns the paths that are looked at; all if none.
    pub fn paths(&self) -> Vec<String> {
        let text = fs::read_to_string(self.repo.dir.join("BISECT_NAMES")).unwrap_or_default();
        unquoted(&text).into_iter().filter(|word| word != "--").collect()
    }

    /// Returns a commit as `[id] subject`.
    pub fn named(&self, id: Id) -> Result<String> {
        let subject = self.repo.odb.commit(&id)?.subject();
        Ok(format!("[{id}] {}", String::from_utf8_lossy(&subject)))
    }

    /// Removes all that a search keeps.
    pub fn clear(&self) -> Result<()> {
        for name in self.repo.refs("refs/bisect/").into_keys() {
            self.repo.delete_ref(&name)?;
        }
        let _ = fs::remove_dir(self.repo.dir.join("refs/bisect"));
        for name in FILES {
            let _ = fs::remove_file(self.repo.dir.join(name));
        }
        Ok(())
    }
}

/// A word as a shell reads it.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Words that were quoted so, or not at all.
pub fn unquoted(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut inside = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                inside = !inside;
                word.get_or_insert_default();
            }
            '\\' if !inside => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() && !inside => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_are_read_back() {
        let words = ["a", "it's", "", "b c"];
        let text: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        assert_eq!(unquoted(&text.join(" ")), words);
        assert_eq!(unquoted(" 'x' plain\n"), ["x", "plain"]);
    }
}
