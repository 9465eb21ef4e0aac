//! Arguments: revisions and paths told apart.

use crate::error::{Result, fatal};
use crate::glob;
use crate::object::{Id, Kind};
use crate::repo::Repo;
use bstr::ByteSlice;

/// Revisions of a command line, resolved.
#[derive(Default)]
pub struct Revs {
    /// What was named to be taken, in order, with its text.
    pub from: Vec<(String, Id)>,
    pub not: Vec<Id>,
    /// The two ends of `A..B` or `A...B`, when one was typed.
    pub range: Option<(Id, Id)>,
    /// The range had three dots.
    pub three: bool,
}

impl Repo {
    /// Takes a revision or range if the text is one.
    pub fn take_rev(&self, text: &str, revs: &mut Revs) -> Result<bool> {
        let head = |side: &str| if side.is_empty() { "HEAD".to_owned() } else { side.to_owned() };
        if let Some((left, right)) = text.split_once("...")
            && !text.contains(':')
        {
            let (Some(a), Some(b)) = (self.try_rev(&head(left))?, self.try_rev(&head(right))?) else {
                return Ok(false);
            };
            let (Some(a), Some(b)) = (self.peel(a, Kind::Commit)?, self.peel(b, Kind::Commit)?) else {
                return Ok(false);
            };
            revs.from.push((head(left), a));
            revs.from.push((head(right), b));
            revs.not.extend(self.merge_base(a, b)?);
            revs.range = Some((a, b));
            revs.three = true;
            return Ok(true);
        }
        if let Some((left, right)) = text.split_once("..")
            && !text.contains(':')
            && text != ".."
            && !right.starts_with('/')
        {
            let (Some(a), Some(b)) = (self.try_rev(&head(left))?, self.try_rev(&head(right))?) else {
                return Ok(false);
            };
            revs.range = Some((a, b));
            revs.not.push(a);
            revs.from.push((head(right), b));
            return Ok(true);
        }
        if let Some(name) = text.strip_prefix('^') {
            return Ok(match self.try_rev(name)? {
                Some(id) => {
                    revs.not.push(id);
                    true
                }
                None => false,
            });
        }
        if let Some(name) = text.strip_suffix("^!")
            && let Some(id) = self.try_rev(name)?.map(|id| self.peel(id, Kind::Commit)).transpose()?.flatten()
        {
            revs.not.extend(&self.odb.commit(&id)?.parents);
            revs.range = self.odb.commit(&id)?.parents.first().map(|parent| (*parent, id));
            revs.from.push((name.to_owned(), id));
            return Ok(true);
        }
        Ok(match self.try_rev(text)? {
            Some(id) => {
                revs.from.push((text.to_owned(), id));
                true
            }
            None => false,
        })
    }

    /// Sorts arguments that are no options into revisions and paths. `dashes` is where `--` stood among them.
    pub fn sort_args(&self, args: &[Vec<u8>], dashes: Option<usize>) -> Result<(Revs, Vec<Vec<u8>>)> {
        let mut revs = Revs::default();
        let mut paths = Vec::new();
        for (at, arg) in args.iter().enumerate() {
            if dashes.is_some_and(|dashes| at >= dashes) {
                paths.push(arg.clone());
                continue;
            }
            let text = arg.to_str_lossy();
            if dashes.is_some() {
                if !self.take_rev(&text, &mut revs)? {
                    return Err(fatal(format!("bad revision '{text}'")));
                }
                continue;
            }
            let exists = self.typed_exists(arg);
            if paths.is_empty() && self.take_rev(&text, &mut revs)? {
                if exists && !text.contains("..") && !text.contains(':') && text != "@" {
                    return Err(fatal(format!(
                        "ambiguous argument '{text}': both revision and filename\nUse '--' to separate paths from revisions, \
                         like this:\n'git <command> [<revision>...] -- [<file>...]'"
                    )));
                }
                continue;
            }
            if exists
                || glob::is_pattern(arg)
                || arg.starts_with(b":(")
                || arg.starts_with(b":!")
                || arg.starts_with(b":/")
                || arg.starts_with(b":^")
            {
                paths.push(arg.clone());
                continue;
            }
            self.rev(&text)?;
            return Err(fatal(format!("bad revision '{text}'")));
        }
        Ok((revs, paths))
    }

    fn typed_exists(&self, typed: &[u8]) -> bool {
        std::fs::symlink_metadata(guest_host::path_of(typed)).is_ok()
    }
}

/// The arguments of a command, one after the other.
pub struct Args {
    rest: std::vec::IntoIter<Vec<u8>>,
    /// What is no option.
    pub plain: Vec<Vec<u8>>,
    /// Where `--` stood among those.
    pub dashes: Option<usize>,
}

impl Args {
    pub fn new(args: Vec<Vec<u8>>) -> Args {
        Args { rest: args.into_iter(), plain: Vec::new(), dashes: None }
    }

    /// The next option; what is none goes to `plain`. Bundled letters must be taken apart by the caller.
    pub fn option(&mut self) -> Option<String> {
        loop {
            let arg = self.rest.next()?;
            if self.dashes.is_some() || !arg.starts_with(b"-") || arg == b"-" {
                self.plain.push(arg);
            } else if arg == b"--" {
                self.dashes = Some(self.plain.len());
            } else {
                return Some(arg.to_str_lossy().into_owned());
            }
        }
    }

    /// The value of an option: what follows its `=`, or the next argument.
    pub fn value(&mut self, option: &str) -> Result<String> {
        if let Some((_, value)) = option.split_once('=')
            && option.starts_with("--")
        {
            return Ok(value.to_owned());
        }
        let missing = || {
            let name = option.trim_start_matches('-');
            let kind = if option.starts_with("--") { "option" } else { "switch" };
            crate::error::die(129, format!("error: {kind} `{name}' requires a value"))
        };
        self.rest.next().map(|arg| arg.to_str_lossy().into_owned()).ok_or_else(missing)
    }

    pub fn next(&mut self) -> Option<String> {
        self.rest.next().map(|arg| arg.to_str_lossy().into_owned())
    }

    /// Plain arguments as texts.
    pub fn words(&self) -> Vec<String> {
        self.plain.iter().map(|arg| arg.to_str_lossy().into_owned()).collect()
    }
}

/// Takes bundled letters apart: `-sb` is `-s -b`. Only letters of `known` are.
pub fn unbundle(args: Vec<Vec<u8>>, known: &str) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut plain = false;
    for arg in args {
        plain |= arg == b"--";
        let letters = !plain
            && arg.len() > 2
            && arg[0] == b'-'
            && arg[1] != b'-'
            && arg[1..].iter().all(|byte| known.as_bytes().contains(byte));
        if letters {
            out.extend(arg[1..].iter().map(|byte| vec![b'-', *byte]));
        } else {
            out.push(arg);
        }
    }
    out
}

/// What an unknown option is answered with.
pub fn unknown(option: &str, usage: &str) -> crate::error::Die {
    let name = option.trim_start_matches('-').split('=').next().unwrap_or_default();
    let what = if option.starts_with("--") {
        format!("unknown option `{name}'")
    } else {
        format!("unknown switch `{}'", name.chars().next().unwrap_or(' '))
    };
    crate::error::die(129, format!("error: {what}\nusage: git {usage}"))
}
