//! `git clean`

use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, fatal, reason};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::worktree::Untracked;
use bstr::ByteSlice;

/// `git clean`
pub fn clean(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "fdqnxX"));
    let (mut force, mut dirs, mut quiet, mut dry, mut ignored, mut only) =
        (!repo.config.is("clean.requireforce", true), false, false, false, false, false);
    let mut excluded = Vec::new();
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "-f" | "--force" => force = true,
            "-d" => dirs = true,
            "-q" | "--quiet" => quiet = true,
            "-n" | "--dry-run" => dry = true,
            "-x" => ignored = true,
            "-X" => {
                ignored = true;
                only = true;
            }
            "-e" | "--exclude" => excluded.push(args.value(&option)?),
            option => {
                return Err(unknown(
                    option,
                    "clean [-d] [-f] [-i] [-n] [-q] [-e <pattern>] [-x | -X] [--] [<pathspec>...]",
                ));
            }
        }
    }
    if !force && !dry {
        return Err(fatal(
            "clean.requireForce defaults to true and neither -i, -n, nor -f given; refusing to clean",
        ));
    }
    let specs = Pathspec::new(repo, &args.plain)?;
    let index = repo.index()?;
    let mut paths = if only { Vec::new() } else { repo.untracked(&index, &specs, Untracked::Normal, false)? };
    if ignored {
        paths.extend(repo.untracked(&index, &specs, Untracked::Normal, true)?);
    }
    paths.sort();
    for path in paths {
        let is_dir = path.ends_with(b"/");
        let name = path.trim_end_with(|c| c == '/');
        let base = name.rfind_byte(b'/').map_or(name, |at| &name[at + 1..]);
        if (is_dir && !dirs && specs.is_empty())
            || excluded
                .iter()
                .any(|pattern| crate::glob::matches(pattern.trim_end_matches('/').as_bytes(), base, true))
        {
            continue;
        }
        if !path.starts_with(&repo.prefix) {
            continue;
        }
        if is_dir && repo.at(name)?.join(".git").exists() {
            if !quiet {
                out.line(
                    [
                        if dry { b"Would skip repository ".as_slice() } else { b"Skipping repository " },
                        &repo.shown(&path),
                    ]
                    .concat(),
                );
            }
            continue;
        }
        if dry || !quiet {
            out.line(
                [if dry { b"Would remove ".as_slice() } else { b"Removing " }, &repo.shown(&path)].concat(),
            );
        }
        if !dry {
            let at = repo.at(name)?;
            let removed = if is_dir { std::fs::remove_dir_all(&at) } else { std::fs::remove_file(&at) };
            removed.map_err(|error| {
                fatal(format!("failed to remove {}: {}", name.to_str_lossy(), reason(&error)))
            })?;
        }
    }
    Ok(0)
}
