//! Names of files that a pattern finds.

use super::pattern;
use super::state::{Leave, Shell};
use crate::fs::Kind;

/// Most names that one pattern finds.
const MAX_NAMES: usize = 4_000_000;
/// Directories within directories that `**` goes through.
const MAX_DEPTH: usize = 256;

impl Shell {
    /// The names that a pattern finds, sorted; none when nothing does.
    pub(crate) fn glob(&mut self, text: &[u8]) -> Result<Vec<Vec<u8>>, Leave> {
        let absolute = text.starts_with(b"/");
        let mut parts: Vec<&[u8]> = text.split(|b| *b == b'/').collect();
        let directories_only = parts.len() > 1 && parts.last().is_some_and(|p| p.is_empty());
        parts.retain(|p| !p.is_empty());
        let slashes = text.iter().take_while(|b| **b == b'/').count();
        let start: Vec<u8> = if absolute { vec![b'/'; slashes] } else { Vec::new() };
        let mut found = Vec::new();
        self.step(&start, &parts, directories_only, &mut found, 0)?;
        found.sort();
        found.dedup();
        if let Some(ignored) = self.get(b"GLOBIGNORE").map(<[u8]>::to_vec) {
            let rules = self.rules();
            found.retain(|name| !ignored.split(|b| *b == b':').any(|p| pattern::matches(p, name, rules)));
        }
        Ok(found)
    }

    fn step(
        &mut self,
        base: &[u8],
        parts: &[&[u8]],
        directories_only: bool,
        found: &mut Vec<Vec<u8>>,
        depth: usize,
    ) -> Result<(), Leave> {
        self.check()?;
        if found.len() > MAX_NAMES || depth > MAX_DEPTH {
            return Err(self.out_of_memory(found.len() * 64));
        }
        let Some((part, rest)) = parts.split_first() else {
            found.push(base.to_vec());
            return Ok(());
        };
        let mut rules = self.rules();
        rules.ignore_case = self.shopt("nocaseglob");
        if !pattern::is_pattern(part, rules) {
            let path = [base, &pattern::unescape(part)].concat();
            if self.world.tree.stat(&self.cwd, &path, false).is_err() {
                return Ok(());
            }
            return self.next(path, rest, directories_only, found, depth);
        }
        if *part == b"**" && self.shopt("globstar") {
            return self.everywhere(base, rest, directories_only, found, depth, false);
        }
        let dots = self.shopt("dotglob");
        let wants_dot = part.starts_with(b".") || part.starts_with(b"\\.");
        let mut names = self.entries(base);
        if wants_dot {
            names.extend([(b".".to_vec(), Kind::Dir), (b"..".to_vec(), Kind::Dir)]);
        }
        for (name, _) in names {
            if name.starts_with(b".") && !wants_dot && !dots {
                continue;
            }
            if (name == b"." || name == b"..") && self.shopt("globskipdots") {
                continue;
            }
            if pattern::matches(part, &name, rules) {
                self.next([base, &name].concat(), rest, directories_only, found, depth)?;
            }
        }
        Ok(())
    }

    /// Goes on behind a name.
    fn next(
        &mut self,
        mut path: Vec<u8>,
        rest: &[&[u8]],
        directories_only: bool,
        found: &mut Vec<Vec<u8>>,
        depth: usize,
    ) -> Result<(), Leave> {
        if rest.is_empty() && !directories_only {
            found.push(path);
            return Ok(());
        }
        let is_directory = self.world.tree.stat(&self.cwd, &path, true).is_ok_and(|s| s.kind == Kind::Dir);
        if !is_directory {
            return Ok(());
        }
        path.push(b'/');
        if rest.is_empty() {
            found.push(path);
            return Ok(());
        }
        self.step(&path, rest, directories_only, found, depth + 1)
    }

    /// `**`: all directories below, and at the end all files.
    fn everywhere(
        &mut self,
        base: &[u8],
        rest: &[&[u8]],
        directories_only: bool,
        found: &mut Vec<Vec<u8>>,
        depth: usize,
        below: bool,
    ) -> Result<(), Leave> {
        if rest.is_empty() {
            // The directory where `**` begins is found too; those below were, by their names.
            if !base.is_empty() && (directories_only || !below) {
                found.push(base.to_vec());
            }
        } else {
            self.step(base, rest, directories_only, found, depth + 1)?;
        }
        for (name, kind) in self.entries(base) {
            if name.starts_with(b".") && !self.shopt("dotglob") {
                continue;
            }
            let mut path = [base, &name].concat();
            if kind == Kind::Dir {
                if rest.is_empty() && !directories_only {
                    found.push(path.clone());
                }
                path.push(b'/');
                self.everywhere(&path, rest, directories_only, found, depth + 1, true)?;
            } else if rest.is_empty() && !directories_only {
                found.push(path);
            }
        }
        Ok(())
    }

    fn entries(&self, base: &[u8]) -> Vec<(Vec<u8>, Kind)> {
        let directory: &[u8] = if base.is_empty() { b"." } else { base };
        let mut names = self.world.tree.list(&self.cwd, directory).unwrap_or_default();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        names
    }
}
