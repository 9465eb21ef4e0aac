//! What came out, written.

use super::{Options, Result_};
use crate::error::Result;
use crate::index::{Entry, Index};
use crate::object::Kind;
use crate::repo::Repo;
use crate::warn;
use crate::worktree::LINK;
use bstr::ByteSlice;

pub(super) fn write(repo: Option<&Repo>, options: &Options, results: Vec<Result_>) -> Result<i32> {
    let here = std::env::current_dir()?;
    let plain;
    let place = match repo.filter(|repo| repo.work.is_some()) {
        Some(repo) => repo,
        None => {
            plain = Repo {
                dir: here.clone(),
                common: here.clone(),
                work: Some(here.clone()),
                prefix: Vec::new(),
                config: Default::default(),
                odb: crate::odb::Odb::open(here.join(".git/objects")),
            };
            &plain
        }
    };
    let mut index: Option<Index> = match repo {
        Some(repo) if options.cached || options.index || options.three => Some(repo.index()?),
        _ => None,
    };
    let mut status = 0;
    for result in &results {
        let old = result.change.old.as_ref();
        if let Some(old) = old.filter(|_| {
            !result.file.copied
                && result.change.new.as_ref().map(|new| &new.path)
                    != Some(&result.change.old.as_ref().expect("filtered on it").path)
        }) {
            if !options.cached {
                place.remove_file(&old.path)?;
            }
            if let Some(index) = &mut index {
                index.remove(&old.path);
            }
        }
    }
    for result in results {
        let (Some(new), Some(content)) = (&result.change.new, &result.content) else { continue };
        let mut stat = None;
        if !options.cached {
            // An unchanged kind of file is written in place, so that its other bits stay.
            let same = result
                .change
                .old
                .as_ref()
                .is_some_and(|old| old.path == new.path && old.mode == new.mode && new.mode != LINK);
            stat = Some(if same {
                let at = place.at(&new.path)?;
                std::fs::write(&at, content)?;
                guest_host::stat(&at, false)?
            } else {
                place.write_out(&new.path, new.mode, content)?
            });
        }
        if let (Some(index), Some(repo)) = (&mut index, repo) {
            let id = repo.odb.write(Kind::Blob, content)?;
            let mut entry = Entry::new(new.path.clone(), new.mode, id);
            if let Some(stat) = &stat {
                entry.seen(stat);
            }
            index.put(entry);
        }
        let name = new.path.to_str_lossy();
        if options.verbose || options.reject {
            if result.rejected.is_empty() {
                warn(format!("Applied patch {name} cleanly."));
            } else {
                let count = result.rejected.len();
                warn(format!(
                    "Applying patch {name} with {count} reject{}...",
                    if count == 1 { "" } else { "s" }
                ));
            }
        } else if options.three {
            warn(format!("Applied patch to '{name}' cleanly."));
        }
        let _ = result.conflict;
        if !result.rejected.is_empty() {
            status = 1;
            let mut text = format!("diff a/{name} b/{name}\t(rejected hunks)\n").into_bytes();
            for number in &result.rejected {
                warn(format!("Rejected hunk #{}.", number + 1));
                let hunk = &result.file.hunks[*number];
                let range = |start: usize, count: usize| {
                    if count == 1 { start.to_string() } else { format!("{start},{count}") }
                };
                text.extend_from_slice(
                    format!(
                        "@@ -{} +{} @@",
                        range(hunk.old_start, hunk.old_count),
                        range(hunk.new_start, hunk.new_count)
                    )
                    .as_bytes(),
                );
                text.extend_from_slice(&hunk.heading);
                text.push(b'\n');
                for (sign, line) in &hunk.lines {
                    text.push(*sign);
                    text.extend_from_slice(line);
                    if !line.ends_with(b"\n") {
                        text.extend_from_slice(b"\n\\ No newline at end of file\n");
                    }
                }
            }
            std::fs::write(place.at(format!("{name}.rej").as_bytes())?, text)?;
        }
    }
    if let (Some(index), Some(repo)) = (index, repo) {
        index.write(&repo.index_path())?;
    }
    Ok(status)
}
