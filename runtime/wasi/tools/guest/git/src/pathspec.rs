//! What paths a command is about.

use crate::error::{Result, fatal};
use crate::glob;
use crate::repo::Repo;
use bstr::ByteSlice;

struct Spec {
    typed: Vec<u8>,
    path: Vec<u8>,
    pattern: bool,
    not: bool,
    fold: bool,
    paths: bool,
}

/// A list of paths and patterns; an empty one takes everything.
#[derive(Default)]
pub struct Pathspec(Vec<Spec>);

impl Pathspec {
    pub fn new(repo: &Repo, typed: &[Vec<u8>]) -> Result<Pathspec> {
        let mut specs = Vec::new();
        for typed in typed {
            if typed.is_empty() {
                return Err(fatal(
                    "empty string is not a valid pathspec. please use . instead if you meant to match all paths",
                ));
            }
            let mut text = typed.as_slice();
            let mut spec = Spec {
                typed: typed.clone(),
                path: Vec::new(),
                pattern: true,
                not: false,
                fold: false,
                paths: false,
            };
            let mut top = false;
            if let Some(rest) = text.strip_prefix(b":(") {
                let end =
                    rest.find_byte(b')').ok_or_else(|| fatal("Missing ')' at the end of pathspec magic"))?;
                for word in rest[..end].split_str(",") {
                    match word {
                        b"exclude" => spec.not = true,
                        b"top" => top = true,
                        b"icase" => spec.fold = true,
                        b"literal" => spec.pattern = false,
                        b"glob" => spec.paths = true,
                        _ => {}
                    }
                }
                text = &rest[end + 1..];
            } else if text.len() > 1 && text[0] == b':' {
                text = &text[1..];
                while let Some(first) = text.first() {
                    match first {
                        b'!' | b'^' => spec.not = true,
                        b'/' => top = true,
                        b':' => {
                            text = &text[1..];
                            break;
                        }
                        _ => break,
                    }
                    text = &text[1..];
                }
            }
            spec.path = if top { text.trim_end_with(|c| c == '/').to_vec() } else { repo.inside(text)? };
            spec.pattern &= glob::is_pattern(&spec.path);
            if spec.fold {
                spec.path.make_ascii_lowercase();
            }
            specs.push(spec);
        }
        Ok(Pathspec(specs))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn has(&self, path: &[u8]) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let only_not = self.0.iter().all(|spec| spec.not);
        let taken = only_not || self.0.iter().filter(|spec| !spec.not).any(|spec| spec.fits(path));
        taken && !self.0.iter().filter(|spec| spec.not).any(|spec| spec.fits(path))
    }

    /// Whether something below a directory may fit.
    pub fn may_have_below(&self, dir: &[u8]) -> bool {
        let inside = |long: &[u8], short: &[u8]| {
            short.is_empty()
                || long == short
                || (long.starts_with(short) && long.get(short.len()) == Some(&b'/'))
        };
        self.0.is_empty()
            || self.0.iter().all(|spec| spec.not)
            || self.0.iter().filter(|spec| !spec.not).any(|spec| {
                if spec.fold {
                    return true;
                }
                let literal = match spec.path.find_byteset(b"*?[") {
                    Some(at) if spec.pattern => {
                        spec.path[..at].rfind_byte(b'/').map_or(&b""[..], |at| &spec.path[..at])
                    }
                    _ => &spec.path,
                };
                inside(dir, literal) || inside(literal, dir)
            })
    }

    /// What was typed and none of these paths fits, if any.
    pub fn unmatched<'a>(&'a self, paths: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
        let mut missing: Vec<&Spec> =
            self.0.iter().filter(|spec| !spec.not && !spec.path.is_empty()).collect();
        for path in paths {
            if missing.is_empty() {
                break;
            }
            missing.retain(|spec| !spec.fits(path));
        }
        missing.first().map(|spec| spec.typed.as_slice())
    }
}

impl Spec {
    fn fits(&self, path: &[u8]) -> bool {
        if self.path.is_empty() {
            return true;
        }
        let folded;
        let path = if self.fold {
            folded = path.to_ascii_lowercase();
            &folded
        } else {
            path
        };
        if path.starts_with(&self.path) && (path.len() == self.path.len() || path[self.path.len()] == b'/') {
            return true;
        }
        self.pattern && glob::matches(&self.path, path, self.paths)
    }
}
