//! What became of files, in a line each.

use super::name::quote;
use super::stat::rename_name;
use crate::diff::Change;
use crate::rename;
use crate::repo::Repo;

/// ` create mode 100644 name` and the like.
pub fn write_summary(repo: &Repo, change: &Change, out: &mut Vec<u8>) {
    let name = quote(repo, change.path());
    let mut line = |head: String, name: &[u8]| {
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(name);
        out.push(b'\n');
    };
    match (&change.old, &change.new) {
        (None, Some(new)) if !change.unmerged => line(format!(" create mode {:06o} ", new.mode), &name),
        (Some(old), None) => line(format!(" delete mode {:06o} ", old.mode), &name),
        (Some(old), Some(new)) => {
            if let Some(score) = change.score {
                let what = if change.copy { "copy" } else { "rename" };
                let mut names = rename_name(repo, &old.path, &new.path);
                names.extend_from_slice(format!(" ({}%)", score * 100 / rename::MOST).as_bytes());
                line(format!(" {what} "), &names);
                if old.mode != new.mode {
                    line(format!(" mode change {:06o} => {:06o}", old.mode, new.mode), b"");
                }
            } else if old.mode != new.mode {
                line(format!(" mode change {:06o} => {:06o} ", old.mode, new.mode), &name);
            }
        }
        _ => {}
    }
}
