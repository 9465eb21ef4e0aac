//! `git apply`

use crate::args::{Args, unbundle, unknown};
use crate::diff::{Change, Side};
use crate::error::{Result, die, fatal, reason};
use crate::index::{Entry, Index};
use crate::object::{Id, Kind};
use crate::patch::{self, Ends, FilePatch, Target};
use crate::repo::Repo;
use crate::show::{self, Style};
use crate::worktree::LINK;
use crate::{Out, warn};
use bstr::ByteSlice;
use std::collections::BTreeMap;
use std::io::Read;

/// Most bytes of a patch: 256 MiB.
const MOST: u64 = 256 << 20;

#[derive(Default)]
pub struct Options {
    pub check: bool,
    pub reverse: bool,
    pub index: bool,
    pub cached: bool,
    pub strip: Option<usize>,
    pub reject: bool,
    pub stat: bool,
    pub numstat: bool,
    pub summary: bool,
    pub apply: bool,
    pub verbose: bool,
    pub quiet: bool,
    pub three: bool,
    pub ignore_space: bool,
    pub allow_empty: bool,
    pub space: Option<String>,
    pub directory: Option<String>,
    pub recount: bool,
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    pub context: Option<usize>,
}

/// `git apply`
pub fn apply(repo: Option<&Repo>, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut options = Options::default();
    let mut args = Args::new(unbundle(args, "Rvq3N"));
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "--check" => options.check = true,
            "-R" | "--reverse" => options.reverse = true,
            "--index" => options.index = true,
            "--cached" => options.cached = true,
            "--reject" => options.reject = true,
            "--stat" => options.stat = true,
            "--numstat" => options.numstat = true,
            "--summary" => options.summary = true,
            "--apply" => options.apply = true,
            "-v" | "--verbose" => options.verbose = true,
            "-q" | "--quiet" => options.quiet = true,
            "-3" | "--3way" => options.three = true,
            "--ignore-whitespace" | "--ignore-space-change" => options.ignore_space = true,
            "--allow-empty" => options.allow_empty = true,
            "--recount" => options.recount = true,
            "--whitespace" => options.space = Some(args.value(&option)?),
            "--directory" => options.directory = Some(args.value(&option)?),
            "--include" => options.include.push(args.value(&option)?),
            "--exclude" => options.exclude.push(args.value(&option)?),
            "-p" => options.strip = args.value(&option)?.parse().ok(),
            "-C" => options.context = args.value(&option)?.parse().ok(),
            "--unsafe-paths"
            | "--inaccurate-eof"
            | "--unidiff-zero"
            | "--binary"
            | "--allow-binary-replacement"
            | "--allow-overlap"
            | "-N"
            | "--intent-to-add"
            | "--no-add"
            | "-z" => {}
            option if option.starts_with("-p") => options.strip = option[2..].parse().ok(),
            option if option.starts_with("-C") => options.context = option[2..].parse().ok(),
            option => return Err(unknown(option, "apply [<options>] [<patch>...]")),
        }
    }
    if options.space.is_none() {
        options.space = repo.and_then(|repo| repo.config.get("apply.whitespace")).map(str::to_owned);
    }
    let mut inputs = args.plain.clone();
    if inputs.is_empty() {
        inputs.push(b"-".to_vec());
    }
    let mut status = 0;
    for input in &inputs {
        let mut text = Vec::new();
        let name = if input == b"-" { "<stdin>".to_owned() } else { input.to_str_lossy().into_owned() };
        let read = if input == b"-" {
            std::io::stdin().lock().take(MOST).read_to_end(&mut text)
        } else {
            std::fs::File::open(guest_host::path_of(input))
                .and_then(|file| file.take(MOST).read_to_end(&mut text))
        };
        read.map_err(|error| die(128, format!("error: can't open patch '{name}': {}", reason(&error))))?;
        status |= run(repo, &text, &name, &options, out)?;
    }
    Ok(status)
}

/// What a file becomes.
struct Result_ {
    change: Change,
    content: Option<Vec<u8>>,
    rejected: Vec<usize>,
    file: FilePatch,
    conflict: bool,
}

/// Applies one patch text; the status.
pub fn run(repo: Option<&Repo>, text: &[u8], name: &str, options: &Options, out: &mut Out) -> Result<i32> {
    let mut files = patch::parse(text).map_err(|line| {
        die(128, format!("error: corrupt patch at {name}:{line}").replace(&format!("{name}:"), "line "))
    })?;
    if files.is_empty() {
        if options.allow_empty {
            return Ok(0);
        }
        return Err(die(128, "error: No valid patches in input (allow with \"--allow-empty\")"));
    }
    if let Some(file) = files.iter().find(|file| {
        file.git
            && file.hunks.is_empty()
            && file.binary.is_none()
            && !file.untold
            && !file.created
            && !file.deleted
            && !file.renamed
            && !file.copied
            && file.old_mode == file.new_mode
    }) {
        return Err(die(128, format!("error: patch with only garbage at line {}", file.line + 1)));
    }
    if options.reverse {
        files.iter_mut().for_each(FilePatch::reverse);
        files.reverse();
    }
    if !options.quiet {
        spaces(&files, name, options);
    }
    let prefix = repo.map(|repo| repo.prefix.clone()).unwrap_or_default();
    let inside =
        |file: &FilePatch, side: &Option<Vec<u8>>, first: bool| -> Option<Vec<u8>> {
            let count = options.strip.unwrap_or(
                if file.git || side.as_ref().is_some_and(|name| name.contains(&b'/')) { 1 } else { 0 },
            );
            let name = side.clone().or_else(|| {
                let (a, b) = file.both.clone()?;
                let missing = if first { file.created } else { file.deleted };
                let from_git = file.old.is_none() && file.new.is_none();
                (!missing && from_git).then_some(if first { a } else { b })
            })?;
            let count = if (file.renamed || file.copied) && file.hunks.is_empty() { 1 } else { count };
            let mut path = patch::strip(&name, count)?;
            if let Some(dir) = &options.directory {
                path = [dir.trim_end_matches('/').as_bytes(), b"/", &path].concat();
            }
            Some(path)
        };
    let mut results: Vec<Result_> = Vec::new();
    let mut failed = false;
    // A file that was patched before in the same text is taken as that left it.
    let mut done: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    for file in files {
        let (old, new) = (inside(&file, &file.old, true), inside(&file, &file.new, false));
        let (old, new) = match (old, new) {
            (None, None) => {
                return Err(fatal(format!("unable to find filename in patch at line {}", file.line)));
            }
            (old, new) => (
                if file.created { None } else { old.or_else(|| new.clone()) },
                if file.deleted { None } else { new },
            ),
        };
        let new = if file.deleted { None } else { new.or_else(|| old.clone()) };
        let target = new.as_ref().or(old.as_ref()).cloned().unwrap_or_default();
        if target.split_str("/").any(|part| part == b".." || part == b".git") || target.starts_with(b"/") {
            return Err(die(128, format!("error: invalid path '{}'", target.to_str_lossy())));
        }
        let at_top =
            |path: &[u8]| if prefix.is_empty() { path.to_vec() } else { [prefix.as_slice(), path].concat() };
        // Names in a patch are of the top; in a subdirectory only what lies below it is touched.
        let (old, new) = match repo {
            Some(repo) if repo.work.is_some() && file.git && !prefix.is_empty() => {
                let keep =
                    |path: &Option<Vec<u8>>| path.as_ref().is_none_or(|path| path.starts_with(&prefix));
                if !keep(&old) || !keep(&new) {
                    if options.verbose {
                        warn(format!("Skipped patch '{}'.", target.to_str_lossy()));
                    }
                    continue;
                }
                (old, new)
            }
            _ => (old.map(|path| at_top(&path)), new.map(|path| at_top(&path))),
        };
        let shown = new.as_ref().or(old.as_ref()).cloned().unwrap_or_default();
        let name = shown.to_str_lossy().into_owned();
        let fits = |pattern: &String| crate::glob::matches(pattern.as_bytes(), &shown, false);
        if options.exclude.iter().any(fits)
            || (!options.include.is_empty() && !options.include.iter().any(fits))
        {
            continue;
        }
        if options.verbose || options.reject {
            warn(format!("Checking patch {name}..."));
        }
        match one(repo, options, file, old.as_deref(), new.as_deref(), &done) {
            Ok(result) => {
                if let Some(old) = old.filter(|_| !result.file.copied) {
                    done.insert(old, None);
                }
                if let Some(new) = new {
                    done.insert(new, result.content.clone());
                }
                results.push(result);
            }
            Err(error) => {
                if !options.quiet {
                    warn(&error.text);
                }
                failed = true;
            }
        }
    }
    if failed {
        return Ok(1);
    }
    report(repo, options, &results, out)?;
    if options.check || ((options.stat || options.numstat || options.summary) && !options.apply) {
        return Ok(0);
    }
    write(repo, options, results)
}

fn report(repo: Option<&Repo>, options: &Options, results: &[Result_], out: &mut Out) -> Result<()> {
    if !(options.stat || options.numstat || options.summary) {
        return Ok(());
    }
    let style = Style { numstat: options.numstat, ..Style::new(repo) };
    let here = std::env::current_dir()?;
    let plain = Repo {
        dir: here.clone(),
        common: here.clone(),
        work: repo.and_then(|repo| repo.work.clone()).or(Some(here.clone())),
        prefix: Vec::new(),
        config: repo.map(|repo| repo.config.clone()).unwrap_or_default(),
        odb: crate::odb::Odb::open(
            repo.map_or_else(|| here.join(".git/objects"), |repo| repo.common.join("objects")),
        ),
    };
    let mut changes = Vec::new();
    for result in results {
        let mut change = result.change.clone();
        if let (Some(side), Some(content)) = (&mut change.new, &result.content) {
            side.work = false;
            side.id = plain.odb.write(Kind::Blob, content)?;
        }
        changes.push(change);
    }
    if options.stat {
        stat(results, out);
    }
    style.write(&plain, &changes, &mut out.bytes)?;
    if options.summary {
        for change in &changes {
            show::write_summary(&plain, change, &mut out.bytes);
        }
    }
    Ok(())
}

// Its own statistics: the patch is counted, not the files.
fn stat(results: &[Result_], out: &mut Out) {
    let count = |result: &Result_, sign: u8| {
        result.file.hunks.iter().flat_map(|hunk| &hunk.lines).filter(|(other, _)| *other == sign).count()
    };
    let rows: Vec<(String, usize, usize)> = results
        .iter()
        .map(|result| {
            (result.change.path().to_str_lossy().into_owned(), count(result, b'+'), count(result, b'-'))
        })
        .collect();
    let most = rows.iter().map(|(_, added, removed)| added + removed).max().unwrap_or(0);
    let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0).min(50);
    let graph = most.min(70 - width);
    for (name, added, removed) in &rows {
        let scale = |number: usize| if most == 0 { 0 } else { (number * graph + most / 2) / most };
        let total = scale(added + removed);
        let plus = scale(*added).min(total);
        out.line(format!(
            " {name:<width$} |{:5} {}{}",
            added + removed,
            "+".repeat(plus),
            "-".repeat(total - plus)
        ));
    }
    let sum = |of: fn(&(String, usize, usize)) -> usize| rows.iter().map(of).sum();
    out.bytes.extend_from_slice(&show::totals(rows.len(), sum(|row| row.1), sum(|row| row.2)));
}

// What a patch adds and git warns of: space at the end of a line, space before a tab.
fn spaces(files: &[FilePatch], name: &str, options: &Options) {
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

fn one(
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

fn write(repo: Option<&Repo>, options: &Options, results: Vec<Result_>) -> Result<i32> {
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
