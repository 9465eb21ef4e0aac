//! `git notes`

use crate::args::{Args, unknown};
use crate::error::{Result, die, fatal};
use crate::object::{Commit, Id, Kind};
use crate::repo::Repo;
use crate::{Out, warn};
use bstr::ByteSlice;

/// `git notes`
pub fn notes(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let mut messages: Vec<String> = Vec::new();
    let mut force = false;
    while let Some(option) = args.option() {
        match option.as_str() {
            "-m" => messages.push(args.value(&option)?),
            "-f" | "--force" => force = true,
            option => {
                return Err(unknown(
                    option,
                    "notes [list [<object>]] | add [-f] -m <msg> [<object>] | show [<object>] | remove [<object>]",
                ));
            }
        }
    }
    let words = args.words();
    let what = words.first().map_or("list", String::as_str);
    let target = repo.rev(words.get(1).map_or("HEAD", String::as_str))?;
    let notes = repo.find_ref("refs/notes/commits");
    let mut files = repo.tree_files(notes.map(|id| repo.peel(id, Kind::Tree)).transpose()?.flatten())?;
    let key = files.keys().find(|path| path.replace("/", "") == target.hex().as_bytes()).cloned();
    match what {
        "list" => {
            for (path, (_, id)) in &files {
                out.line(format!("{id} {}", path.replace("/", "").to_str_lossy()));
            }
            return Ok(0);
        }
        "show" => {
            let key = key.ok_or_else(|| die(1, format!("error: no note found for object {target}.")))?;
            out.bytes.extend_from_slice(&repo.odb.blob(&files[&key].1)?);
            return Ok(0);
        }
        "add" | "append" => {
            if key.is_some() && !force && what == "add" {
                return Err(die(
                    1,
                    format!(
                        "error: Cannot add notes. Found existing notes for object {target}. Use '-f' to overwrite existing notes"
                    ),
                ));
            }
            let mut text = crate::command::commit::clean(messages.join("\n\n").as_bytes(), false);
            if let (Some(key), "append") = (&key, what) {
                text = [repo.odb.blob(&files[key].1)?, b"\n".to_vec(), text].concat();
            }
            let id = repo.odb.write(Kind::Blob, &text)?;
            files.insert(key.unwrap_or_else(|| target.hex().into_bytes()), (0o100644, id));
        }
        "remove" => {
            let key = key.ok_or_else(|| die(1, format!("Object {target} has no note")))?;
            files.remove(&key);
            warn(format!("Removing note for object {}", words.get(1).map_or("HEAD", String::as_str)));
        }
        what => return Err(fatal(format!("unknown subcommand: {what}"))),
    }
    let tree = crate::index::build_tree(&repo.odb, &files)?;
    let who = repo.who("COMMITTER")?;
    let message = format!("Notes added by 'git notes {what}'\n");
    let parents: Vec<Id> = notes.into_iter().collect();
    let data = crate::command::commit::text(tree, &parents, &repo.who("AUTHOR")?, &who, message.as_bytes());
    let id = repo.odb.write(Kind::Commit, &data)?;
    let _ = Commit::parse(id, &data)?;
    repo.set_ref("refs/notes/commits", id, "")?;
    Ok(0)
}
