//! The drawing beside the commits.

use super::choice::Asked;
use super::entry;
use crate::Out;
use crate::command::format::Names;
use crate::error::Result;
use crate::object::{Commit, Id};
use crate::repo::Repo;
use bstr::ByteSlice;

// A history without merges is one line of stars; with merges, side lines are drawn.
pub(super) fn graph(
    repo: &Repo,
    asked: &Asked,
    names: &Names,
    kept: Vec<(Commit, Vec<u8>)>,
    out: &mut Out,
) -> Result<i32> {
    let mut columns: Vec<Id> = Vec::new();
    let last = kept.len();
    for (at, (commit, body)) in kept.iter().enumerate() {
        let mut text = Vec::new();
        entry(repo, asked, commit, names, body, true, &mut text)?;
        let place = match columns.iter().position(|id| *id == commit.id) {
            Some(place) => place,
            None => {
                columns.push(commit.id);
                columns.len() - 1
            }
        };
        let width = columns.len();
        let star: String = (0..width).map(|column| if column == place { "* " } else { "| " }).collect();
        // Where the commit's line goes on.
        let mut parents = commit.parents.iter();
        match parents.next() {
            Some(parent) if !columns.contains(parent) => columns[place] = *parent,
            Some(_) | None => {
                columns.remove(place);
            }
        }
        let mut opened = 0;
        for parent in parents {
            if !columns.contains(parent) {
                columns.insert((place + 1).min(columns.len()), *parent);
                opened += 1;
            }
        }
        let bars: String = if at + 1 == last {
            "  ".repeat(columns.len().max(1))
        } else {
            "| ".repeat(columns.len().max(1))
        };
        for (number, line) in text.lines().enumerate() {
            let head = if number == 0 { &star } else { &bars };
            let whole = [head.as_bytes(), line].concat();
            out.line(whole);
        }
        if opened > 0 && at + 1 < last {
            out.line(format!("{}|\\  {}", "| ".repeat(place), "\\ ".repeat(width - place - 1)).trim_end());
        } else if columns.len() < width && at + 1 < last && !columns.is_empty() {
            out.line(
                format!(
                    "{}|/  {}",
                    "| ".repeat(place.saturating_sub(1)),
                    "/ ".repeat((width - place).saturating_sub(1))
                )
                .trim_end(),
            );
        }
        if asked.pretty.parted() && at + 1 < last {
            out.line("| ".repeat(columns.len().max(1)));
        }
    }
    Ok(0)
}
