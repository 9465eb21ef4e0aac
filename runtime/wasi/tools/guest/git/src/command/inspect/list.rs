//! `git ls-files` and `git ls-tree`

use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal};
use crate::ignore::Ignore;
use crate::object::{Id, Kind};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::show::quote;
use crate::worktree::{Found, Untracked};
use bstr::ByteSlice;

/// `git ls-files`
pub fn ls_files(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "cdmosuzvit"));
    let (
        mut cached,
        mut deleted,
        mut modified,
        mut others,
        mut staged,
        mut unmerged,
        mut zero,
        mut ignored,
        mut exclude,
        mut full,
        mut fail,
        mut dirs,
    ) = (false, false, false, false, false, false, false, false, false, false, false, false);
    let mut tagged = false;
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-c" | "--cached" => cached = true,
            "-d" | "--deleted" => deleted = true,
            "-m" | "--modified" => modified = true,
            "-o" | "--others" => others = true,
            "-s" | "--stage" => staged = true,
            "-u" | "--unmerged" => unmerged = true,
            "-i" | "--ignored" => ignored = true,
            "-z" => zero = true,
            "-t" | "-v" => tagged = true,
            "--exclude-standard" => exclude = true,
            "--full-name" => full = true,
            "--error-unmatch" => fail = true,
            "--directory" => dirs = true,
            "--no-empty-directory" | "--deduplicate" | "--recurse-submodules" | "--eol" | "--abbrev" => {}
            "-x" | "--exclude" | "-X" | "--exclude-from" => {
                args.value(&option)?;
            }
            option => return Err(unknown(option, "ls-files [<options>] [<file>...]")),
        }
    }
    let specs = Pathspec::new(repo, &args.plain)?;
    let index = repo.index()?;
    let end = if zero { 0 } else { b'\n' };
    let name = |path: &[u8]| {
        let shown = if full { path.to_vec() } else { repo.shown(path) };
        if zero { shown } else { quote(repo, &shown) }
    };
    let below = |path: &[u8]| {
        !args.plain.is_empty() || full && repo.prefix.is_empty() || path.starts_with(&repo.prefix)
    };
    if !(cached || deleted || modified || others || unmerged) {
        cached = true;
    }
    let mut put = |tag: &str, text: Vec<u8>| {
        if tagged {
            out.bytes.extend_from_slice(tag.as_bytes());
        }
        out.bytes.extend_from_slice(&text);
        out.bytes.push(end);
    };
    if others {
        let how = if dirs { Untracked::Normal } else { Untracked::All };
        let mut paths = if ignored { Vec::new() } else { repo.untracked(&index, &specs, how, false)? };
        if ignored || !exclude {
            paths.extend(repo.untracked(&index, &specs, how, true)?);
        }
        paths.sort();
        for path in paths.iter().filter(|path| below(path)) {
            put("? ", name(path));
        }
    }
    let mut ignore = Ignore::new(repo);
    let mut matched = Vec::new();
    for entry in &index.entries {
        if !specs.has(&entry.path) || !below(&entry.path) {
            continue;
        }
        matched.push(entry.path.as_slice());
        if unmerged && entry.stage == 0 {
            continue;
        }
        if ignored && !others && !ignore.covers(&entry.path, false).is_some_and(|rule| rule.ignored) {
            continue;
        }
        if cached || unmerged || staged && !(deleted || modified || others) {
            if staged || unmerged {
                let head = format!("{:06o} {} {}\t", entry.mode, entry.id, entry.stage);
                put("H ", [head.as_bytes(), &name(&entry.path)].concat());
            } else {
                put("H ", name(&entry.path));
            }
        }
        if deleted || modified {
            let found = repo.compare(&index, entry)?;
            if deleted && matches!(found, Found::Missing) {
                put("R ", name(&entry.path));
            }
            if modified && !matches!(found, Found::Same) {
                put("C ", name(&entry.path));
            }
        }
    }
    if fail && let Some(typed) = specs.unmatched(matched.into_iter()) {
        return Err(die(
            1,
            [
                b"error: pathspec '",
                typed,
                b"' did not match any file(s) known to git\nDid you forget to 'git add'?",
            ]
            .concat(),
        ));
    }
    Ok(0)
}

/// `git ls-tree`
pub fn ls_tree(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "rtdlz"));
    let (mut recursive, mut trees, mut only, mut long, mut zero, mut names, mut full) =
        (false, false, false, false, false, false, false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "-r" => recursive = true,
            "-t" => trees = true,
            "-d" => only = true,
            "-l" | "--long" => long = true,
            "-z" => zero = true,
            "--name-only" | "--name-status" => names = true,
            "--full-tree" | "--full-name" => full = true,
            option if option.starts_with("--abbrev") => {}
            option => return Err(unknown(option, "ls-tree [<options>] <tree-ish> [<path>...]")),
        }
    }
    let mut words = args.plain.iter();
    let name =
        words.next().ok_or_else(|| die(129, "usage: git ls-tree [<options>] <tree-ish> [<path>...]"))?;
    let tree = repo
        .rev(&name.to_str_lossy())
        .map_err(|_| fatal([b"Not a valid object name ", name.as_slice()].concat()))?;
    let tree = repo.peel(tree, Kind::Tree)?.ok_or_else(|| fatal("not a tree object"))?;
    let mut wanted: Vec<Vec<u8>> = Vec::new();
    for word in words {
        let mut path = if full { word.trim_end_with(|c| c == '/').to_vec() } else { repo.inside(word)? };
        if word.ends_with(b"/") {
            path.push(b'/');
        }
        wanted.push(path);
    }
    if wanted.is_empty() && !full && !repo.prefix.is_empty() {
        wanted.push(repo.prefix.clone());
    }
    struct List<'a> {
        repo: &'a Repo,
        wanted: Vec<Vec<u8>>,
        recursive: bool,
        trees: bool,
        only: bool,
        long: bool,
        names: bool,
        full: bool,
        end: u8,
    }
    impl List<'_> {
        fn below(&self, tree: Id, base: &[u8], out: &mut Out) -> Result<()> {
            for entry in self.repo.odb.tree(&tree)?.iter() {
                let path = [base, &entry.name].concat();
                let as_dir = [path.as_slice(), b"/"].concat();
                let exact = self.wanted.is_empty()
                    || self.wanted.iter().any(|want| {
                        want.is_empty()
                            || *want == path
                            || path.starts_with(&[want.trim_end_with(|c| c == '/'), b"/"].concat())
                    });
                let leads = self.wanted.iter().any(|want| want.starts_with(&as_dir) && *want != path);
                if !(exact || leads && entry.is_tree()) {
                    continue;
                }
                let descend = entry.is_tree() && (leads || self.recursive);
                let show = exact
                    && (!entry.is_tree() && !self.only
                        || entry.is_tree() && (!self.recursive || self.trees || self.only))
                    && (!leads || self.wanted.contains(&path));
                if show {
                    self.show(entry, &path, out)?;
                }
                if descend {
                    self.below(entry.id, &as_dir, out)?;
                }
            }
            Ok(())
        }

        fn show(&self, entry: &crate::object::Entry, path: &[u8], out: &mut Out) -> Result<()> {
            let what = match entry.mode {
                0o40000 => "tree",
                0o160000 => "commit",
                _ => "blob",
            };
            if !self.names {
                out.bytes.extend_from_slice(format!("{:06o} {what} {}", entry.mode, entry.id).as_bytes());
                if self.long {
                    let size = if what == "blob" {
                        self.repo.odb.blob(&entry.id)?.len().to_string()
                    } else {
                        "-".into()
                    };
                    out.bytes.extend_from_slice(format!(" {size:>7}").as_bytes());
                }
                out.bytes.push(b'\t');
            }
            let shown = if self.full { path.to_vec() } else { self.repo.shown(path) };
            out.bytes.extend_from_slice(&if self.end == 0 { shown } else { quote(self.repo, &shown) });
            out.bytes.push(self.end);
            out.pass()
        }
    }
    let list =
        List { repo, wanted, recursive, trees, only, long, names, full, end: if zero { 0 } else { b'\n' } };
    list.below(tree, b"", out)?;
    Ok(0)
}
