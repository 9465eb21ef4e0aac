//! One file of a patch, applied.

use super::{Options, Result_};
use crate::diff::{Change, Side};
use crate::error::{Result, die, fatal, reason};
use crate::object::{Id, Kind};
use crate::patch::{Ends, FilePatch, Target};
use crate::repo::Repo;
use crate::warn;
use crate::worktree::LINK;
use bstr::ByteSlice;
use std::collections::BTreeMap;

// What a patch adds and git warns of: space at the end of a line, space before a tab.
pub(super) fn spaces(files: &[FilePatch], name: &str, options: &Options) {
    if matches!(options.space.as_deref(), Some("nowarn")) {
        return;
    }
    let fixed = options.space.as_deref() == Some("fix") && !options.check;
    let mut found = 0;
    let mut lines = Vec::new();
    for file in files {
        for hunk in &file.hunks {
            for (number, (sign, line)) in hunk.lines.iter().enumerate() {
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                if *sign != b'+' {
                    continue;
                }
                let end = text.trim_end().len() < text.len();
                let indent = &text[..text.iter().take_while(|byte| b" \t".contains(byte)).count()];
                let tab = indent.find(b" \t").is_some();
                if !end && !tab {
                    continue;
                }
                found += 1;
                let what = match (end, tab) {
                    (true, true) => "trailing whitespace, space before tab in indent",
                    (true, false) => "trailing whitespace",
                    _ => "space before tab in indent",
                };
                if found <= 5 {
                    lines.push(
                        [format!("{name}:{}: {what}.\n", hunk.line + 1 + number).as_bytes(), text].concat(),
                    );
                }
            }
        }
    }
    for line in lines {
        warn(line);
    }
    if found > 5 {
        warn(format!(
            "warning: squelched {} whitespace error{}",
            found - 5,
            if found == 6 { "" } else { "s" }
        ));
    }
    match found {
        0 => {}
        1 if fixed => warn("warning: 1 line applied after fixing whitespace errors."),
        found if fixed => warn(format!("warning: {found} lines applied after fixing whitespace errors.")),
        1 => warn("warning: 1 line adds whitespace errors."),
        found => warn(format!("warning: {found} lines add whitespace errors.")),
    }
}

pub(super) fn one(
    repo: Option<&Repo>,
    options: &Options,
    file: FilePatch,
    old: Option<&[u8]>,
    new: Option<&[u8]>,
    done: &BTreeMap<Vec<u8>, Option<Vec<u8>>>,
) -> Result<Result_> {
    let name = old.or(new).unwrap_or_default().to_str_lossy().into_owned();
    let path = |path: &[u8]| match repo.and_then(|repo| repo.work.as_ref()) {
        Some(work) => work.join(guest_host::path_of(path)),
        None => guest_host::path_of(path).to_owned(),
    };
    let index = match repo {
        Some(repo) if options.cached || options.index || options.three => Some(repo.index()?),
        _ => None,
    };
    let mut mode = file.old_mode.unwrap_or(0o100644);
    let mut content = Vec::new();
    if let Some(old) = old {
        content = match (done.get(old), &index) {
            (Some(Some(content)), _) => content.clone(),
            (Some(None), _) => return Err(die(1, format!("error: {name}: No such file or directory"))),
            (None, Some(index)) if options.cached || options.index || options.three => {
                let entry = index
                    .get(old)
                    .ok_or_else(|| die(1, format!("error: {name}: does not exist in index")))?;
                mode = entry.mode;
                let repo = repo.ok_or_else(|| fatal("not a git repository"))?;
                if !options.cached && !matches!(repo.compare(index, entry)?, crate::worktree::Found::Same) {
                    return Err(die(1, format!("error: {name}: does not match index")));
                }
                repo.odb.blob(&entry.id)?
            }
            (None, _) => {
                let at = path(old);
                let stat = guest_host::stat(&at, false)
                    .map_err(|error| die(1, format!("error: {name}: {}", reason(&error))))?;
                match stat.mode & 0o170000 {
                    0o120000 => {
                        mode = LINK;
                        guest_host::bytes_of(std::fs::read_link(&at)?.as_os_str()).to_vec()
                    }
                    0o040000 => return Err(die(1, format!("error: {name}: wrong type"))),
                    _ => {
                        mode = if stat.mode & 0o100 != 0 { 0o100755 } else { 0o100644 };
                        std::fs::read(&at)
                            .map_err(|error| die(1, format!("error: {name}: {}", reason(&error))))?
                    }
                }
            }
        };
    }
    if let Some(new) = new.filter(|new| Some(*new) != old) {
        let name = new.to_str_lossy();
        if let Some(index) = &index
            && index.get(new).is_some()
            && !done.get(new).is_some_and(Option::is_none)
        {
            return Err(die(1, format!("error: {name}: already exists in index")));
        }
        let gone = done.get(new).is_some_and(Option::is_none);
        if !options.cached && !gone && std::fs::symlink_metadata(path(new)).is_ok() {
            return Err(die(1, format!("error: {name}: already exists in working directory")));
        }
    }
    let old_id = Id::of(Kind::Blob, &content);
    let mut rejected = Vec::new();
    let mut conflict = false;
    let result = if let Some((new, before)) = &file.binary {
        if !content.is_empty() && &content != before {
            return Err(die(1, format!("error: {name}: patch does not apply")));
        }
        new.clone()
    } else if file.untold {
        return Err(die(
            1,
            format!(
                "error: cannot apply binary patch to '{name}' without full index line\nerror: {name}: patch does not apply"
            ),
        ));
    } else {
        let mut target = Target::new(&content, Ends::Git);
        let equal = |a: &[u8], b: &[u8]| a == b || (options.ignore_space && a.fields().eq(b.fields()));
        for (number, hunk) in file.hunks.iter().enumerate() {
            target.offset = 0;
            let before = hunk.old_start;
            match target.put(hunk, 0, &equal) {
                Some(placed) => {
                    if options.verbose && placed.offset != 0 {
                        let lines = if placed.offset.abs() == 1 { "line" } else { "lines" };
                        warn(format!(
                            "Hunk #{} succeeded at {} (offset {} {lines}).",
                            number + 1,
                            placed.at + 1,
                            placed.offset
                        ));
                    }
                }
                None if options.reject => {
                    let wanted: Vec<u8> = hunk.side(b'-').concat();
                    warn(format!(
                        "error: while searching for:\n{}\nerror: patch failed: {name}:{before}",
                        wanted.to_str_lossy()
                    ));
                    rejected.push(number);
                }
                None if options.three => conflict = true,
                None => {
                    return Err(die(
                        1,
                        format!("error: patch failed: {name}:{before}\nerror: {name}: patch does not apply"),
                    ));
                }
            }
        }
        let mut text = target.content();
        if options.space.as_deref() == Some("fix") {
            text = fix(&text, &file);
        }
        text
    };
    if conflict {
        return Err(die(
            1,
            format!(
                "error: patch failed: {name}:{}\nerror: repository lacks the necessary blob to perform 3-way merge.\nerror: {name}: patch does not apply",
                file.hunks[0].old_start
            ),
        ));
    }
    if new.is_none() && !result.is_empty() && rejected.is_empty() {
        return Err(die(
            1,
            format!("error: removal patch leaves file contents\nerror: {name}: patch does not apply"),
        ));
    }
    let new_mode = file.new_mode.filter(|_| file.created || file.new_mode != file.old_mode).unwrap_or(mode);
    let side =
        |path: &[u8], mode: u32, id: Id| Side { path: path.to_vec(), mode, id, work: false, unknown: false };
    let old_side = old.map(|path| Side { work: true, ..side(path, mode, old_id) });
    let new_side = new.map(|path| side(path, new_mode, Id::of(Kind::Blob, &result)));
    let mut change = Change::new(old_side, new_side);
    if file.renamed || file.copied {
        change.score = Some(crate::rename::MOST);
        change.copy = file.copied;
    }
    Ok(Result_ { change, content: new.map(|_| result), rejected, file, conflict })
}

// Added lines lose the space at their ends.
fn fix(text: &[u8], file: &FilePatch) -> Vec<u8> {
    let added: Vec<&[u8]> = file
        .hunks
        .iter()
        .flat_map(|hunk| &hunk.lines)
        .filter(|(sign, _)| *sign == b'+')
        .map(|(_, line)| line.as_slice())
        .collect();
    let mut out = Vec::new();
    for line in text.lines_with_terminator() {
        if added.contains(&line) {
            let (body, end) = match line.strip_suffix(b"\n") {
                Some(body) => (body, &b"\n"[..]),
                None => (line, &b""[..]),
            };
            out.extend_from_slice(body.trim_end());
            out.extend_from_slice(end);
        } else {
            out.extend_from_slice(line);
        }
    }
    out
}
