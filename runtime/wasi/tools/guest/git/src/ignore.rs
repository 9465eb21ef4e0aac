//! Ignored files: `.gitignore` of each directory, `info/exclude`, and the user's file.

use crate::glob;
use crate::repo::Repo;
use bstr::ByteSlice;
use std::collections::HashMap;
use std::path::PathBuf;

struct Rule {
    pattern: Vec<u8>,
    /// The directory of the rule's file, with a final slash; empty at the top.
    base: Vec<u8>,
    not: bool,
    only_dir: bool,
    whole: bool,
    source: String,
    line: usize,
    text: Vec<u8>,
}

/// The rule that decided about a path.
pub struct Decision {
    pub ignored: bool,
    /// `file:line:pattern`
    pub source: String,
    pub line: usize,
    pub text: Vec<u8>,
}

/// Tells which paths are ignored; reads the rules of a directory when it comes to it.
pub struct Ignore {
    work: PathBuf,
    general: Vec<Rule>,
    of_dir: HashMap<Vec<u8>, Vec<Rule>>,
}

impl Ignore {
    pub fn new(repo: &Repo) -> Ignore {
        let work = repo.work.clone().unwrap_or_default();
        let mut general = Vec::new();
        let user = repo.config.get("core.excludesfile").map(|path| {
            match (path.strip_prefix("~/"), std::env::var("HOME")) {
                (Some(rest), Ok(home)) => PathBuf::from(home).join(rest),
                _ => PathBuf::from(path),
            }
        });
        let user = user.or_else(|| {
            std::env::var("HOME").ok().map(|home| PathBuf::from(home).join(".config/git/ignore"))
        });
        for (path, name) in user
            .into_iter()
            .map(|path| (path.clone(), path.display().to_string()))
            .chain([(repo.common.join("info/exclude"), ".git/info/exclude".to_owned())])
        {
            if let Ok(text) = std::fs::read(path) {
                general.extend(parse(&text, b"", &name));
            }
        }
        Ignore { work, general, of_dir: HashMap::new() }
    }

    /// Whether a path itself is ignored, its parents not being so.
    pub fn is(&mut self, path: &[u8], dir: bool) -> bool {
        self.decide(path, dir).is_some_and(|decision| decision.ignored)
    }

    /// Whether a path or one of its parents is ignored.
    pub fn covers(&mut self, path: &[u8], dir: bool) -> Option<Decision> {
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if let Some(decision) = self.decide(&path[..at], true).filter(|decision| decision.ignored) {
                return Some(decision);
            }
        }
        self.decide(path, dir)
    }

    fn decide(&mut self, path: &[u8], dir: bool) -> Option<Decision> {
        let mut bases: Vec<&[u8]> =
            path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..=at]).collect();
        bases.insert(0, b"");
        for base in &bases {
            if !self.of_dir.contains_key(*base) {
                let file = self.work.join(guest_host::path_of(base)).join(".gitignore");
                let name = format!("{}.gitignore", base.to_str_lossy());
                let rules = std::fs::read(file).map(|text| parse(&text, base, &name)).unwrap_or_default();
                self.of_dir.insert(base.to_vec(), rules);
            }
        }
        for base in bases.iter().rev() {
            if let Some(rule) = find(&self.of_dir[*base], path, dir) {
                return Some(rule);
            }
        }
        find(&self.general, path, dir)
    }
}

fn find(rules: &[Rule], path: &[u8], dir: bool) -> Option<Decision> {
    let rule = rules.iter().rev().find(|rule| rule.fits(path, dir))?;
    Some(Decision {
        ignored: !rule.not,
        source: rule.source.clone(),
        line: rule.line,
        text: rule.text.clone(),
    })
}

impl Rule {
    fn fits(&self, path: &[u8], dir: bool) -> bool {
        if self.only_dir && !dir {
            return false;
        }
        let Some(below) = path.strip_prefix(self.base.as_slice()) else { return false };
        if self.whole {
            glob::matches(&self.pattern, below, true)
        } else {
            let name = below.rfind_byte(b'/').map_or(below, |at| &below[at + 1..]);
            glob::matches(&self.pattern, name, true)
        }
    }
}

fn parse(text: &[u8], base: &[u8], source: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut pattern = line;
        while pattern.ends_with(b" ") && !pattern.ends_with(b"\\ ") {
            pattern = &pattern[..pattern.len() - 1];
        }
        if pattern.is_empty() || pattern.starts_with(b"#") {
            continue;
        }
        let shown = pattern.to_vec();
        let not = pattern.starts_with(b"!");
        if not {
            pattern = &pattern[1..];
        }
        let only_dir = pattern.ends_with(b"/");
        if only_dir {
            pattern = &pattern[..pattern.len() - 1];
        }
        let whole = pattern.contains(&b'/');
        let pattern = pattern.strip_prefix(b"/").unwrap_or(pattern);
        rules.push(Rule {
            pattern: pattern.to_vec(),
            base: base.to_vec(),
            not,
            only_dir,
            whole,
            source: source.to_owned(),
            line: number + 1,
            text: shown,
        });
    }
    rules
}
