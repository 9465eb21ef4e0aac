//! Changes, written as git writes them: names, statistics, patches.

mod name;
mod options;
mod patch;
mod stat;
mod summary;

use crate::diff::{Change, Side};
use crate::error::Result;
use crate::object::Id;
use crate::rename;
use crate::repo::Repo;
use crate::text::Lines;
use bstr::ByteSlice;
use imara_diff::Algorithm;
pub use name::{quote, unquote};
pub use stat::totals;
use stat::{Counts, total};
pub use summary::write_summary;

/// What of the changes is written, and how.
#[derive(Clone)]
pub struct Style {
    pub patch: bool,
    pub stat: bool,
    pub stat_width: usize,
    pub numstat: bool,
    pub shortstat: bool,
    pub names: bool,
    pub name_status: bool,
    pub raw: bool,
    pub summary: bool,
    pub quiet: bool,
    pub exit_code: bool,
    pub lines: Lines,
    pub renames: bool,
    pub copies: bool,
    pub least: u32,
    pub reverse: bool,
    pub full_index: bool,
    pub text: bool,
    pub binary: bool,
    pub zero: bool,
    pub relative: bool,
    pub filter: Option<String>,
    pub pickaxe: Option<Vec<u8>>,
    pub old_prefix: Vec<u8>,
    pub new_prefix: Vec<u8>,
    pub word_diff: bool,
    pub abbrev: Option<usize>,
    /// No format was asked for.
    pub unset: bool,
    pub none: bool,
}

impl Style {
    pub fn new(repo: Option<&Repo>) -> Style {
        let renames = repo.and_then(|repo| repo.config.get("diff.renames")).unwrap_or("true").to_owned();
        let mut lines = Lines::default();
        if let Some(context) =
            repo.and_then(|repo| repo.config.get("diff.context")).and_then(|value| value.parse().ok())
        {
            lines.context = context;
        }
        match repo.and_then(|repo| repo.config.get("diff.algorithm")) {
            Some("histogram" | "patience") => lines.algorithm = Algorithm::Histogram,
            Some("minimal") => lines.algorithm = Algorithm::MyersMinimal,
            _ => {}
        }
        let bare = repo.is_some_and(|repo| repo.config.is("diff.noprefix", false));
        Style {
            patch: false,
            stat: false,
            stat_width: std::env::var("COLUMNS")
                .ok()
                .and_then(|value| value.parse().ok())
                .filter(|width| *width > 0)
                .unwrap_or(80),
            numstat: false,
            shortstat: false,
            names: false,
            name_status: false,
            raw: false,
            summary: false,
            quiet: false,
            exit_code: false,
            lines,
            renames: renames != "false",
            copies: renames == "copies" || renames == "copy",
            least: rename::MOST / 2,
            reverse: false,
            full_index: false,
            text: false,
            binary: false,
            zero: false,
            relative: false,
            filter: None,
            pickaxe: None,
            old_prefix: if bare { Vec::new() } else { b"a/".to_vec() },
            new_prefix: if bare { Vec::new() } else { b"b/".to_vec() },
            word_diff: false,
            abbrev: None,
            unset: true,
            none: false,
        }
    }

    /// Finds renames, filters, and turns changes around.
    pub fn prepare(&self, repo: &Repo, mut changes: Vec<Change>) -> Result<Vec<Change>> {
        if self.relative && !repo.prefix.is_empty() {
            changes.retain(|change| change.path().starts_with(&repo.prefix));
        }
        if self.reverse {
            changes.iter_mut().for_each(Change::reverse);
        }
        if self.renames {
            changes = rename::find(repo, changes, self.least, self.copies)?;
        }
        if let Some(text) = &self.pickaxe {
            let count = |side: &Option<Side>| -> Result<usize> {
                Ok(match side {
                    Some(side) => side.content(repo)?.find_iter(text).count(),
                    None => 0,
                })
            };
            let mut kept = Vec::new();
            for change in changes {
                if count(&change.old)? != count(&change.new)? {
                    kept.push(change);
                }
            }
            changes = kept;
        }
        if let Some(filter) = &self.filter {
            let lower = filter.chars().all(|c| c.is_ascii_lowercase());
            changes.retain(|change| {
                let status = change.status();
                if lower { !filter.contains(status.to_ascii_lowercase()) } else { filter.contains(status) }
            });
        }
        Ok(changes)
    }

    /// Writes prepared changes.
    pub fn write(&self, repo: &Repo, changes: &[Change], out: &mut Vec<u8>) -> Result<()> {
        if self.quiet || self.none {
            return Ok(());
        }
        let end: &[u8] = if self.zero { b"\0" } else { b"\n" };
        let gap: &[u8] = if self.zero { b"\0" } else { b"\t" };
        let name = |path: &[u8]| {
            if self.zero { self.cut(repo, path).to_vec() } else { quote(repo, self.cut(repo, path)) }
        };
        let mut written = false;
        if self.raw || self.name_status {
            for change in changes {
                if self.raw {
                    let mode = |side: &Option<Side>| side.as_ref().map_or(0, |side| side.mode);
                    let id = |side: &Option<Side>| {
                        let id = side.as_ref().filter(|side| !side.unknown).map_or(Id::ZERO, |side| side.id);
                        if self.full_index { id.hex() } else { repo.short_of(&id, self.abbrev) }
                    };
                    let head = format!(
                        ":{:06o} {:06o} {} {} ",
                        mode(&change.old),
                        mode(&change.new),
                        id(&change.old),
                        id(&change.new)
                    );
                    out.extend_from_slice(head.as_bytes());
                }
                out.push(change.status() as u8);
                if let (Some(score), Some(old)) = (change.score, &change.old) {
                    out.extend_from_slice(format!("{:03}", score * 100 / rename::MOST).as_bytes());
                    out.extend_from_slice(gap);
                    out.extend_from_slice(&name(&old.path));
                }
                out.extend_from_slice(gap);
                out.extend_from_slice(&name(change.path()));
                out.extend_from_slice(end);
            }
            written |= !changes.is_empty();
        }
        if self.names {
            for change in changes {
                out.extend_from_slice(&name(change.path()));
                out.extend_from_slice(end);
            }
            written |= !changes.is_empty();
        }
        if self.stat || self.numstat || self.shortstat {
            let counts: Vec<Counts> =
                changes.iter().map(|change| self.count(repo, change)).collect::<Result<_>>()?;
            if self.numstat {
                for (change, counts) in changes.iter().zip(&counts) {
                    match counts {
                        Counts::Lines(added, removed) => {
                            out.extend_from_slice(format!("{added}\t{removed}\t").as_bytes())
                        }
                        _ => out.extend_from_slice(b"-\t-\t"),
                    }
                    out.extend_from_slice(&self.pair(repo, change));
                    out.extend_from_slice(end);
                }
            }
            if self.stat {
                self.write_stat(repo, changes, &counts, out);
            }
            if (self.stat || self.shortstat) && !changes.is_empty() {
                out.extend_from_slice(&total(&counts));
            }
            written |= !changes.is_empty();
        }
        if self.summary {
            for change in changes {
                write_summary(repo, change, out);
            }
        }
        if self.patch {
            if written {
                out.push(b'\n');
            }
            for change in changes {
                self.write_patch(repo, change, out)?;
            }
        }
        Ok(())
    }

    fn cut<'a>(&self, repo: &Repo, path: &'a [u8]) -> &'a [u8] {
        if self.relative { path.strip_prefix(repo.prefix.as_slice()).unwrap_or(path) } else { path }
    }

    fn contents(&self, repo: &Repo, change: &Change) -> Result<(Vec<u8>, Vec<u8>)> {
        let read =
            |side: &Option<Side>| side.as_ref().map_or_else(|| Ok(Vec::new()), |side| side.content(repo));
        Ok((read(&change.old)?, read(&change.new)?))
    }
}
