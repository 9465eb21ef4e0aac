//! Attributes: only what a patch and an archive look at.

use crate::glob;
use crate::repo::Repo;
use bstr::ByteSlice;

/// How a file is compared.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Diff {
    #[default]
    Auto,
    Text,
    Binary,
    Python,
}

/// What is known of a path.
#[derive(Default)]
pub struct Attributes {
    /// How it is compared.
    pub diff: Diff,
    /// `git archive` leaves it out.
    pub ignored_in_archives: bool,
}

/// Reads `.gitattributes` of the path's directories, the nearest last.
pub fn of(repo: &Repo, path: &[u8]) -> Attributes {
    let mut found = Attributes::default();
    let Some(work) = &repo.work else { return found };
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at + 1);
    for end in std::iter::once(0).chain(ends) {
        let file = work.join(guest_host::path_of(&path[..end])).join(".gitattributes");
        apply(&mut found, &std::fs::read(file).unwrap_or_default(), &path[end..]);
    }
    apply(&mut found, &std::fs::read(repo.common.join("info/attributes")).unwrap_or_default(), path);
    found
}

fn apply(found: &mut Attributes, text: &[u8], path: &[u8]) {
    for line in text.lines() {
        let mut words = line.fields();
        let Some(pattern) = words.next().filter(|pattern| !pattern.starts_with(b"#")) else { continue };
        let name = path.rfind_byte(b'/').map_or(path, |at| &path[at + 1..]);
        let fits = match pattern.strip_prefix(b"/") {
            Some(pattern) => glob::matches(pattern, path, true),
            None if pattern.contains(&b'/') => glob::matches(pattern, path, true),
            None => glob::matches(pattern, name, true),
        };
        if !fits {
            continue;
        }
        for word in words {
            match word {
                b"binary" | b"-diff" => found.diff = Diff::Binary,
                b"diff" => found.diff = Diff::Text,
                b"diff=python" => found.diff = Diff::Python,
                b"export-ignore" => found.ignored_in_archives = true,
                b"-export-ignore" | b"!export-ignore" => found.ignored_in_archives = false,
                b"!diff" => found.diff = Diff::Auto,
                _ => {}
            }
        }
    }
}
