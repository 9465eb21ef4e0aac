//! Which new files `git add -A` would leave out: those that a `.gitignore` names. Files that were there before count as
//! tracked.

use super::walk::{Lower, What};
use super::{Changes, Content, Version, walk};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

/// Longest line of an ignore file that counts; git's own patterns are paths.
const MAX_PATTERN: usize = 4096;

pub(super) struct Ignored<'a> {
    changes: &'a Changes,
    lower: &'a Lower,
    /// Ignore files in the upper directory, or hidden by it.
    changed: HashSet<&'a [u8]>,
    by_dir: RefCell<HashMap<Vec<u8>, Rc<Gitignore>>>,
}

impl<'a> Ignored<'a> {
    pub(super) fn new(changes: &'a Changes, lower: &'a Lower) -> Ignored<'a> {
        let is_ignore_file = |path: &[u8]| path == b".gitignore" || path.ends_with(b"/.gitignore");
        let changed = changes.nodes.iter().map(|n| n.path.as_slice()).filter(|p| is_ignore_file(p)).collect();
        Ignored { changes, lower, changed, by_dir: RefCell::default() }
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
            for line in String::from_utf8_lossy(text).lines().filter(|l| l.len() <= MAX_PATTERN) {
                // A pattern that is none says nothing, as in git.
                let _ = builder.add_line(None, line);
            }
        };
        if dir.is_empty() {
            self.text(b".git/info/exclude").iter().for_each(|t| add(t));
        }
        let path = if dir.is_empty() { b".gitignore".to_vec() } else { [dir, b"/.gitignore"].concat() };
        self.text(&path).iter().for_each(|t| add(t));
        let rules = Rc::new(builder.build().unwrap_or_else(|_| Gitignore::empty()));
        self.by_dir.borrow_mut().insert(dir.to_vec(), rules.clone());
        rules
    }

    /// The content that the agent's git would see.
    fn text(&self, path: &[u8]) -> Option<Vec<u8>> {
        let version = if self.changed.contains(path) {
            let node = self.changes.nodes.iter().find(|n| n.path == path)?;
            let upper = self.changes.upper.as_ref()?;
            matches!(node.what, What::File { .. }).then(|| walk::version(upper, node).ok())?
        } else {
            self.lower.version(path).ok()?
        };
        match version? {
            Version::File { content: Content::Bytes(bytes), .. } => Some(bytes),
            _ => None,
        }
    }
}
