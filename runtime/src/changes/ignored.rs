//! Which new files `git add -A` would leave out: those that a `.gitignore` names. Files that were there before count as
//! tracked.

use super::Changes;
use super::layer::{Layer, split};
use super::version;
use super::walk::{Node, What};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

/// Longest line of an ignore file that counts, in bytes; git's own patterns are paths.
const MAX_PATTERN: usize = 4096;
/// Most lines of an ignore file that count.
const MAX_PATTERNS: usize = 10_000;
/// Largest ignore file that counts, in bytes.
const MAX_IGNORE_FILE: u64 = 1 << 20;

pub(super) struct Ignored<'a> {
    upper: &'a Layer,
    lower: &'a Layer,
    index: HashMap<&'a [u8], &'a Node>,
    by_dir: RefCell<HashMap<Vec<u8>, Rc<Gitignore>>>,
}

impl<'a> Ignored<'a> {
    pub(super) fn new(changes: &'a Changes, upper: &'a Layer, lower: &'a Layer) -> Ignored<'a> {
        Ignored { upper, lower, index: changes.index(), by_dir: RefCell::default() }
    }

    /// Whether a path, or a directory on the way to it, is ignored.
    pub(super) fn is(&self, path: &[u8]) -> bool {
        let ends = (0..path.len()).filter(|i| path[*i] == b'/').map(|i| (i, true));
        ends.chain([(path.len(), false)]).any(|(end, is_dir)| self.names(&path[..end], is_dir))
    }

    /// Whether an ignore file names exactly this path: the deepest one that says something decides.
    fn names(&self, path: &[u8], is_dir: bool) -> bool {
        let mut end = path.len();
        while let Some(slash) = path[..end].iter().rposition(|b| *b == b'/') {
            if let Some(said) = self.said(&path[..slash], &path[slash + 1..], is_dir) {
                return said;
            }
            end = slash;
        }
        self.said(b"", path, is_dir).unwrap_or(false)
    }

    fn said(&self, dir: &[u8], rest: &[u8], is_dir: bool) -> Option<bool> {
        let rules = self.rules(dir);
        let matched = rules.matched(Path::new(OsStr::from_bytes(rest)), is_dir);
        if matched.is_ignore() {
            Some(true)
        } else if matched.is_whitelist() {
            Some(false)
        } else {
            None
        }
    }

    fn rules(&self, dir: &[u8]) -> Rc<Gitignore> {
        if let Some(rules) = self.by_dir.borrow().get(dir) {
            return rules.clone();
        }
        let mut builder = GitignoreBuilder::new("");
        let mut add = |text: &[u8]| {
            let text = String::from_utf8_lossy(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text));
            for line in text.lines().take(MAX_PATTERNS).filter(|l| l.len() <= MAX_PATTERN) {
                // A pattern that is none says nothing, as in git.
                let _ = builder.add_line(None, line);
            }
        };
        if dir.is_empty() {
            // The one of the lower directory: the agent's own is its own affair.
            version::content(self.lower, b".git/info/exclude", MAX_IGNORE_FILE).iter().for_each(|t| add(t));
        }
        let path = if dir.is_empty() { b".gitignore".to_vec() } else { [dir, b"/.gitignore"].concat() };
        self.merged(&path).iter().for_each(|t| add(t));
        let rules = Rc::new(builder.build().unwrap_or_else(|_| Gitignore::empty()));
        self.by_dir.borrow_mut().insert(dir.to_vec(), rules.clone());
        rules
    }

    /// The content that the agent's git would see.
    fn merged(&self, path: &[u8]) -> Option<Vec<u8>> {
        match self.index.get(path).map(|node| node.what) {
            Some(What::File) => version::content(self.upper, path, MAX_IGNORE_FILE),
            Some(_) => None,
            None if self.hides_lower(path) => None,
            None => version::content(self.lower, path, MAX_IGNORE_FILE),
        }
    }

    /// Whether a directory on the way to a path lets nothing of the lower one through.
    fn hides_lower(&self, path: &[u8]) -> bool {
        let mut dir = split(path).0;
        while !dir.is_empty() {
            match self.index.get(dir).map(|node| node.what) {
                None | Some(What::Directory { opaque: false }) => dir = split(dir).0,
                Some(_) => return true,
            }
        }
        false
    }
}
