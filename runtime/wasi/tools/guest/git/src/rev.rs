//! Revisions: `HEAD~2`, `v1^{tree}`, `main..topic`, `:path`, `HEAD:path`.

use crate::error::{Result, fatal};
use crate::object::{Commit, Id, Kind};
use crate::repo::Repo;
use bstr::ByteSlice;
use std::collections::{BinaryHeap, HashMap, HashSet};

impl Repo {
    /// What a revision names, or git's refusal.
    pub fn rev(&self, text: &str) -> Result<Id> {
        self.try_rev(text)?.ok_or_else(|| {
            fatal(format!(
                "ambiguous argument '{text}': unknown revision or path not in the working tree.\nUse '--' to separate \
                 paths from revisions, like this:\n'git <command> [<revision>...] -- [<file>...]'"
            ))
        })
    }

    /// What a revision names, if it names something.
    pub fn try_rev(&self, text: &str) -> Result<Option<Id>> {
        if let Some((rev, path)) = split_path(text) {
            return self.rev_path(rev, path);
        }
        let base_end = text
            .char_indices()
            .find(|(at, c)| matches!(c, '^' | '~') && *at > 0)
            .map_or(text.len(), |(at, _)| at);
        let Some(mut id) = self.base(&text[..base_end])? else { return Ok(None) };
        let mut rest = &text[base_end..];
        while let Some(first) = rest.chars().next() {
            let tail = &rest[1..];
            if first == '^' && tail.starts_with('{') {
                let Some(end) = tail.find('}') else { return Ok(None) };
                id = match &tail[1..end] {
                    "" => self.peel_tag(id)?,
                    "commit" => match self.peel(id, Kind::Commit)? {
                        Some(id) => id,
                        None => return Ok(None),
                    },
                    "tree" => match self.peel(id, Kind::Tree)? {
                        Some(id) => id,
                        None => return Ok(None),
                    },
                    "blob" => match self.peel(id, Kind::Blob)? {
                        Some(id) => id,
                        None => return Ok(None),
                    },
                    _ => return Ok(None),
                };
                rest = &tail[end + 1..];
                continue;
            }
            let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
            let Ok(count) = (if digits == 0 { "1" } else { &tail[..digits] }).parse::<usize>() else {
                return Ok(None);
            };
            rest = &tail[digits..];
            let Some(commit) = self.peel(id, Kind::Commit)? else { return Ok(None) };
            id = commit;
            match first {
                '~' => {
                    for _ in 0..count {
                        match self.odb.commit(&id)?.parents.first() {
                            Some(parent) => id = *parent,
                            None => return Ok(None),
                        }
                    }
                }
                '^' if count == 0 => {}
                '^' => match self.odb.commit(&id)?.parents.get(count - 1) {
                    Some(parent) => id = *parent,
                    None => return Ok(None),
                },
                _ => return Ok(None),
            }
        }
        Ok(Some(id))
    }

    fn base(&self, name: &str) -> Result<Option<Id>> {
        if let Some((name, at)) = name.strip_suffix('}').and_then(|name| name.split_once("@{")) {
            if let Some(back) = at.strip_prefix('-').and_then(|back| back.parse::<usize>().ok())
                && name.is_empty()
            {
                return Ok(self
                    .earlier_branch(back)
                    .and_then(|branch| self.named(&branch).map(|(_, id)| id)));
            }
            let full = if name.is_empty() || name == "HEAD" {
                "HEAD".to_owned()
            } else {
                match self.named(name) {
                    Some((full, _)) => full,
                    None => return Ok(None),
                }
            };
            return match at {
                "u" | "upstream" => Ok(self.upstream(full.strip_prefix("refs/heads/").map(str::to_owned))),
                at => {
                    let Ok(number) = at.parse::<usize>() else { return Ok(None) };
                    let log = self.log_of(&full);
                    match log.get(number) {
                        Some(line) => Ok(Some(line.new)),
                        None if number == 0 => Ok(self.find_ref(&full)),
                        None => Err(fatal(format!(
                            "log for '{}' only has {} entries",
                            if name.is_empty() { "HEAD" } else { name },
                            log.len()
                        ))),
                    }
                }
            };
        }
        if name == "@" {
            return Ok(self.head_id());
        }
        if let Some((_, id)) = self.named(name) {
            return Ok(Some(id));
        }
        if let Some(id) = Id::parse(name.as_bytes()) {
            return Ok(Some(id));
        }
        let hex = match name.rsplit_once("-g") {
            Some((_, hex)) if hex.len() >= 4 => hex,
            _ => name,
        };
        if (4..40).contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let mut found = self.odb.starting(&hex.to_lowercase());
            if found.len() > 1 {
                // A commit is meant rather than anything else.
                let commits: Vec<_> =
                    found.iter().copied().filter(|id| self.odb.kind(id) == Some(Kind::Commit)).collect();
                if commits.len() == 1 {
                    found = commits;
                }
            }
            return match found.as_slice() {
                [] => Ok(None),
                [id] => Ok(Some(*id)),
                _ => Err(fatal(format!(
                    "ambiguous argument '{name}': unknown revision or path not in the working tree."
                ))),
            };
        }
        Ok(None)
    }

    /// A reference by its short name: its full name and what it leads to.
    pub fn named(&self, name: &str) -> Option<(String, Id)> {
        if name.is_empty() {
            return None;
        }
        for form in ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"] {
            let full = format!("{form}{name}");
            if (form.is_empty()
                && !full.starts_with("refs/")
                && !full.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
                || full.ends_with('/')
            {
                continue;
            }
            if let Some(id) = self.find_ref(&full) {
                return Some((full, id));
            }
        }
        let full = format!("refs/remotes/{name}/HEAD");
        self.find_ref(&full).map(|id| (full, id))
    }

    /// The branch that HEAD was on, this many switches ago.
    pub fn earlier_branch(&self, back: usize) -> Option<String> {
        let log = self.log_of("HEAD");
        let moves = log.iter().filter_map(|line| line.why.strip_prefix(b"checkout: moving from "));
        let from = moves
            .filter_map(|why| why.split_once_str(" to ").map(|(from, _)| from))
            .nth(back.checked_sub(1)?)?;
        Some(from.to_str_lossy().into_owned())
    }

    /// What a branch follows.
    pub fn upstream(&self, branch: Option<String>) -> Option<Id> {
        self.find_ref(&self.upstream_name(&branch.or_else(|| self.branch())?)?)
    }

    pub fn upstream_name(&self, branch: &str) -> Option<String> {
        let remote = self.config.get(&format!("branch.{branch}.remote"))?;
        let merge = self.config.get(&format!("branch.{branch}.merge"))?;
        if remote == "." {
            return Some(merge.to_owned());
        }
        Some(format!("refs/remotes/{remote}/{}", merge.strip_prefix("refs/heads/")?))
    }

    fn peel_tag(&self, mut id: Id) -> Result<Id> {
        loop {
            match self.odb.read(&id)? {
                (Kind::Tag, data) => id = tagged(&data).ok_or_else(|| fatal(format!("bad tag {id}")))?,
                _ => return Ok(id),
            }
        }
    }

    /// Follows tags, and from a commit to its tree, until an object of this kind.
    pub fn peel(&self, id: Id, kind: Kind) -> Result<Option<Id>> {
        let Some((_, _)) = self.odb.find(&id) else { return Ok(None) };
        let id = self.peel_tag(id)?;
        match self.odb.read(&id)? {
            (found, _) if found == kind => Ok(Some(id)),
            (Kind::Commit, data) if kind == Kind::Tree => Ok(Some(Commit::parse(id, &data)?.tree)),
            _ => Ok(None),
        }
    }

    /// The commit that a revision names.
    pub fn rev_commit(&self, text: &str) -> Result<Id> {
        let id = self.rev(text)?;
        if self.odb.find(&id).is_none() {
            return Err(fatal(format!("bad object {text}")));
        }
        self.peel(id, Kind::Commit)?.ok_or_else(|| fatal(format!("{text} is not a commit")))
    }

    /// The tree that a revision names.
    pub fn rev_tree(&self, text: &str) -> Result<Id> {
        let id = self.rev(text)?;
        if self.odb.find(&id).is_none() {
            return Err(fatal(format!("bad object {text}")));
        }
        self.peel(id, Kind::Tree)?.ok_or_else(|| fatal(format!("{text} is not a tree")))
    }

    fn rev_path(&self, rev: &str, path: &str) -> Result<Option<Id>> {
        let inside = if path.starts_with("./") || path.starts_with("../") || path == "." {
            self.inside(path.as_bytes())?
        } else {
            path.trim_end_matches('/').as_bytes().to_vec()
        };
        if rev.is_empty() {
            let (stage, inside) = match path.as_bytes() {
                [stage @ b'0'..=b'3', b':', rest @ ..] => (stage - b'0', rest.to_vec()),
                _ => (0, inside),
            };
            let index = self.index()?;
            let found = index.stages(&inside).iter().find(|entry| entry.stage == stage).map(|entry| entry.id);
            if found.is_none() {
                let exists = self.work.as_ref().is_some_and(|work| work.join(path).exists());
                let text = if exists {
                    "exists on disk, but not in the index"
                } else {
                    "does not exist (neither on disk nor in the index)"
                };
                return Err(fatal(format!("path '{path}' {text}")));
            }
            return Ok(found);
        }
        let Some(id) = self.try_rev(rev)? else {
            return Err(fatal(format!("invalid object name '{rev}'.")));
        };
        let Some(tree) = self.peel(id, Kind::Tree)? else { return Ok(None) };
        if inside.is_empty() {
            return Ok(Some(tree));
        }
        match self.in_tree(tree, &inside)? {
            Some((_, id)) => Ok(Some(id)),
            None => {
                let exists =
                    self.work.as_ref().is_some_and(|work| work.join(guest_host::path_of(&inside)).exists());
                let inside = inside.to_str_lossy();
                Err(fatal(if exists {
                    format!("path '{inside}' exists on disk, but not in '{rev}'")
                } else {
                    format!("path '{inside}' does not exist in '{rev}'")
                }))
            }
        }
    }

    /// A path's mode and id in a tree.
    pub fn in_tree(&self, tree: Id, path: &[u8]) -> Result<Option<(u32, Id)>> {
        let mut at = (0o40000, tree);
        for part in path.split_str("/") {
            if at.0 != 0o40000 {
                return Ok(None);
            }
            match self.odb.tree(&at.1)?.iter().find(|entry| entry.name == part) {
                Some(entry) => at = (entry.mode, entry.id),
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The length of short ids, as git chooses it, and the id cut to it.
    pub fn short(&self, id: &Id) -> String {
        self.short_of(id, None)
    }

    pub fn short_of(&self, id: &Id, length: Option<usize>) -> String {
        let hex = id.hex();
        if id.is_zero() {
            return hex[..length.unwrap_or(7)].to_owned();
        }
        let set = self.config.get("core.abbrev").and_then(|value| value.parse::<usize>().ok());
        let mut length = length.or(set).unwrap_or_else(|| {
            let bits = 64 - self.odb.count().leading_zeros() as usize;
            bits.div_ceil(2).max(7)
        });
        while length < 40 && self.odb.starting(&hex[..length.max(4)]).len() > 1 {
            length += 1;
        }
        hex[..length.clamp(4, 40)].to_owned()
    }

    /// All commits from these back, but not those that `not` reaches; newest first.
    pub fn walk(&self, from: &[Id], not: &[Id], first_parent: bool) -> Walk<'_> {
        let mut walk = Walk {
            repo: self,
            queue: BinaryHeap::new(),
            seen: HashMap::new(),
            count: 0,
            first_parent,
            interesting: 0,
        };
        for id in not {
            walk.push(*id, true);
        }
        for id in from {
            walk.push(*id, false);
        }
        walk
    }

    /// The best common ancestors of two commits.
    pub fn merge_base(&self, a: Id, b: Id) -> Result<Vec<Id>> {
        let ancestors = |from: Id| -> Result<HashSet<Id>> {
            let mut seen = HashSet::new();
            let mut queue = vec![from];
            while let Some(id) = queue.pop() {
                if seen.insert(id) {
                    queue.extend(self.odb.commit(&id)?.parents);
                }
            }
            Ok(seen)
        };
        let of_a = ancestors(a)?;
        let mut bases = Vec::new();
        let mut covered = HashSet::new();
        for commit in self.walk(&[b], &[], false) {
            let commit = commit?;
            if of_a.contains(&commit.id) && !covered.contains(&commit.id) {
                bases.push(commit.id);
                covered.extend(ancestors(commit.id)?);
            }
        }
        // A base that another base reaches is none.
        let all = bases.clone();
        let mut best = Vec::new();
        for base in bases {
            let mut reached = false;
            for other in all.iter().filter(|other| **other != base) {
                reached |= ancestors(*other)?.contains(&base);
            }
            if !reached {
                best.push(base);
            }
        }
        Ok(best)
    }
}

/// The object that a tag names.
pub fn tagged(data: &[u8]) -> Option<Id> {
    Id::parse(data.strip_prefix(b"object ")?.get(..40)?)
}

fn split_path(text: &str) -> Option<(&str, &str)> {
    // A colon inside braces belongs to a revision.
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ':' if depth == 0 => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

struct Waiting {
    commit: Commit,
    order: u64,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Waiting) -> bool {
        self.order == other.order
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Waiting) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Waiting) -> std::cmp::Ordering {
        self.commit.committer.time.cmp(&other.commit.committer.time).then(other.order.cmp(&self.order))
    }
}

/// Commits by date, newest first.
pub struct Walk<'a> {
    repo: &'a Repo,
    queue: BinaryHeap<Waiting>,
    /// Whether a commit is excluded.
    seen: HashMap<Id, bool>,
    count: u64,
    first_parent: bool,
    interesting: usize,
}

impl Walk<'_> {
    fn push(&mut self, id: Id, not: bool) {
        match self.seen.get(&id).copied() {
            None => {
                if let Ok(commit) = self.repo.odb.commit(&id) {
                    self.seen.insert(id, not);
                    self.count += 1;
                    self.interesting += usize::from(!not);
                    self.queue.push(Waiting { commit, order: self.count });
                }
            }
            Some(false) if not => {
                self.seen.insert(id, true);
                if self.queue.iter().any(|waiting| waiting.commit.id == id) {
                    self.interesting -= 1;
                } else if let Ok(commit) = self.repo.odb.commit(&id) {
                    for parent in commit.parents {
                        self.push(parent, true);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Commit>;

    fn next(&mut self) -> Option<Result<Commit>> {
        while self.interesting > 0 {
            let commit = self.queue.pop()?.commit;
            let not = self.seen.get(&commit.id).copied().unwrap_or(false);
            self.interesting -= usize::from(!not);
            let parents = if self.first_parent && !not {
                &commit.parents[..commit.parents.len().min(1)]
            } else {
                &commit.parents
            };
            for parent in parents {
                self.push(*parent, not);
            }
            if !not {
                return Some(Ok(commit));
            }
        }
        None
    }
}
