//! `git log`, `git show` and what else lists commits.

use super::format::{Form, Names, Pretty};
use crate::Out;
use crate::args::{Args, Revs, unbundle};
use crate::date;
use crate::error::{Result, die, fatal};
use crate::object::{Commit, Id, Kind};
use crate::pathspec::Pathspec;
use crate::pattern::{self, Form as PatternForm};
use crate::rename;
use crate::repo::Repo;
use crate::show::Style;
use bstr::ByteSlice;
use regex::bytes::Regex;
use std::collections::{BTreeMap, HashSet};

/// What commits are taken.
struct Choice {
    most: usize,
    skip: usize,
    grep: Vec<Regex>,
    invert: bool,
    all_match: bool,
    author: Option<Regex>,
    committer: Option<Regex>,
    since: Option<i64>,
    until: Option<i64>,
    merges: Option<bool>,
    first_parent: bool,
    reverse: bool,
    follow: bool,
    graph: bool,
    all: Vec<&'static str>,
    pickaxe: Option<Regex>,
    full: bool,
    reflog: bool,
    merge_diffs: bool,
}

#[derive(Default)]
struct Patterns {
    grep: Vec<String>,
    author: Option<String>,
    committer: Option<String>,
    lines: Option<String>,
    fold: bool,
    form: Option<PatternForm>,
}

struct Asked {
    choice: Choice,
    style: Style,
    pretty: Pretty,
    revs: Revs,
    specs: Pathspec,
    paths: Vec<Vec<u8>>,
    extra: Vec<String>,
}

fn ask(repo: &Repo, args: Vec<Vec<u8>>, usage: &str, known: &[&str]) -> Result<Asked> {
    let mut style = Style::new(Some(repo));
    let mut pretty = Pretty::new(repo);
    let mut patterns = Patterns::default();
    let mut extra = Vec::new();
    let mut choice = Choice {
        most: usize::MAX,
        skip: 0,
        grep: Vec::new(),
        invert: false,
        all_match: false,
        author: None,
        committer: None,
        since: None,
        until: None,
        merges: None,
        first_parent: false,
        reverse: false,
        follow: repo.config.is("log.follow", false),
        graph: false,
        all: Vec::new(),
        pickaxe: None,
        full: false,
        reflog: false,
        merge_diffs: false,
    };
    let mut args = Args::new(args);
    let number = |text: &str| text.parse::<i64>().map_err(|_| fatal(format!("'{text}': not an integer")));
    let when = |text: &str| {
        date::read(text).map(|(time, _)| time).ok_or_else(|| fatal(format!("invalid date: {text}")))
    };
    while let Some(option) = args.option() {
        if known.contains(&option.as_str()) {
            extra.push(option);
            continue;
        }
        if option.starts_with("-G") {
            patterns.lines =
                Some(if option.len() > 2 { option[2..].to_owned() } else { args.next().unwrap_or_default() });
            continue;
        }
        if pretty.option(&option, repo)? || style.option(&option, &mut || args.next())? {
            continue;
        }
        match option.split('=').next().unwrap_or_default() {
            "-n" | "--max-count" => {
                choice.most = number(&args.value(&option)?)?.try_into().unwrap_or(usize::MAX)
            }
            "--skip" => choice.skip = number(&args.value(&option)?)?.try_into().unwrap_or(0),
            "--grep" => patterns.grep.push(args.value(&option)?),
            "--author" => patterns.author = Some(args.value(&option)?),
            "--committer" => patterns.committer = Some(args.value(&option)?),
            "--since" | "--after" => choice.since = Some(when(&args.value(&option)?)?),
            "--until" | "--before" => choice.until = Some(when(&args.value(&option)?)?),
            "-i" | "--regexp-ignore-case" => patterns.fold = true,
            "-E" | "--extended-regexp" => patterns.form = Some(PatternForm::Extended),
            "-F" | "--fixed-strings" => patterns.form = Some(PatternForm::Fixed),
            "-P" | "--perl-regexp" => patterns.form = Some(PatternForm::Perl),
            "--invert-grep" => choice.invert = true,
            "--all-match" => choice.all_match = true,
            "--merges" => choice.merges = Some(true),
            "--no-merges" => choice.merges = Some(false),
            "--first-parent" => choice.first_parent = true,
            "--reverse" => choice.reverse = true,
            "--follow" => choice.follow = true,
            "--graph" => choice.graph = true,
            "--all" => choice.all.push("refs/"),
            "--branches" => choice.all.push("refs/heads/"),
            "--tags" => choice.all.push("refs/tags/"),
            "--remotes" => choice.all.push("refs/remotes/"),
            "--full-history" => choice.full = true,
            "-g" | "--walk-reflogs" => choice.reflog = true,
            "-m" | "--diff-merges" => choice.merge_diffs = true,
            "-c"
            | "--cc"
            | "--date-order"
            | "--topo-order"
            | "--author-date-order"
            | "--no-notes"
            | "--notes"
            | "--sparse"
            | "--simplify-merges"
            | "--dense"
            | "--no-mailmap"
            | "--mailmap"
            | "--use-mailmap"
            | "--no-expand-tabs"
            | "--show-signature"
            | "--clear-decorations"
            | "--no-graph"
            | "--source"
            | "--pickaxe-regex"
            | "-t"
            | "-r"
            | "--root"
            | "--boundary"
            | "--left-right"
            | "--ignore-missing" => {}
            _ if option.len() > 1 && option[1..].bytes().all(|byte| byte.is_ascii_digit()) => {
                choice.most = number(&option[1..])?.try_into().unwrap_or(usize::MAX);
            }
            _ if option.starts_with("-n") => {
                choice.most = number(&option[2..])?.try_into().unwrap_or(usize::MAX)
            }
            _ if option.starts_with("--") => return Err(fatal(format!("unrecognized argument: {option}"))),
            _ => return Err(fatal(format!("unrecognized argument: {option}"))),
        }
    }
    let _ = usage;
    let form = patterns.form.unwrap_or(PatternForm::Basic);
    let compile = |text: &String| pattern::compile(text, form, patterns.fold, false);
    choice.grep = patterns.grep.iter().map(compile).collect::<Result<_>>()?;
    choice.author = patterns.author.as_ref().map(compile).transpose()?;
    choice.committer = patterns.committer.as_ref().map(compile).transpose()?;
    choice.pickaxe = patterns
        .lines
        .as_ref()
        .map(|text| pattern::compile(text, PatternForm::Extended, patterns.fold, false))
        .transpose()?;
    let (revs, paths) = repo.sort_args(&args.plain, args.dashes)?;
    let specs = Pathspec::new(repo, &paths)?;
    Ok(Asked { choice, style, pretty, revs, specs, paths, extra })
}

/// Follows a history, leaving out the sides that did not touch the paths.
struct History<'a> {
    repo: &'a Repo,
    specs: &'a Pathspec,
    choice: &'a Choice,
    queue: Vec<Commit>,
    seen: HashSet<Id>,
    hidden: HashSet<Id>,
}

impl<'a> History<'a> {
    fn new(repo: &'a Repo, asked: &'a Asked, from: &[Id]) -> Result<History<'a>> {
        let mut hidden = HashSet::new();
        if !asked.revs.not.is_empty() {
            let mut queue: Vec<Id> = Vec::new();
            for id in &asked.revs.not {
                queue.extend(repo.peel(*id, Kind::Commit)?);
            }
            while let Some(id) = queue.pop() {
                if hidden.insert(id) {
                    queue.extend(repo.odb.commit(&id)?.parents);
                }
            }
        }
        let mut history = History {
            repo,
            specs: &asked.specs,
            choice: &asked.choice,
            queue: Vec::new(),
            seen: HashSet::new(),
            hidden,
        };
        for id in from {
            history.push(*id)?;
        }
        Ok(history)
    }

    // The queue is sorted, the newest last; of equally old ones the first pushed comes first.
    fn push(&mut self, id: Id) -> Result<()> {
        if self.hidden.contains(&id) || !self.seen.insert(id) {
            return Ok(());
        }
        let commit = match self.repo.odb.find(&id) {
            Some((Kind::Commit, data)) => Commit::parse(id, &data)?,
            // A shallow history ends here.
            _ => return Ok(()),
        };
        let at = self.queue.partition_point(|other| other.committer.time < commit.committer.time);
        self.queue.insert(at, commit);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Commit>> {
        while let Some(commit) = self.queue.pop() {
            if self.choice.since.is_some_and(|since| commit.committer.time < since) {
                continue;
            }
            let parents: Vec<Id> = if self.choice.first_parent {
                commit.parents.first().copied().into_iter().collect()
            } else {
                commit.parents.clone()
            };
            if self.specs.is_empty() || self.choice.follow {
                for parent in &parents {
                    self.push(*parent)?;
                }
                return Ok(Some(commit));
            }
            let mut touched = true;
            let mut same = None;
            for parent in &parents {
                let Some((Kind::Commit, data)) = self.repo.odb.find(parent) else { continue };
                let tree = Commit::parse(*parent, &data)?.tree;
                if !self.repo.trees_differ(Some(tree), Some(commit.tree), self.specs)? {
                    touched = false;
                    same = Some(*parent);
                    break;
                }
            }
            if parents.is_empty() {
                touched = self.repo.trees_differ(None, Some(commit.tree), self.specs)?;
            }
            match same.filter(|_| !self.choice.full) {
                Some(parent) => self.push(parent)?,
                None => {
                    for parent in &parents {
                        self.push(*parent)?;
                    }
                }
            }
            if touched {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }
}

impl Choice {
    fn takes(&self, commit: &Commit) -> bool {
        if self.until.is_some_and(|until| commit.committer.time > until) {
            return false;
        }
        if self.merges.is_some_and(|merges| merges != (commit.parents.len() > 1)) {
            return false;
        }
        let person = |who: &crate::object::Who| [who.name.as_slice(), b" <", &who.mail, b">"].concat();
        if self.author.as_ref().is_some_and(|author| !author.is_match(&person(&commit.author))) {
            return false;
        }
        if self.committer.as_ref().is_some_and(|committer| !committer.is_match(&person(&commit.committer))) {
            return false;
        }
        if self.grep.is_empty() {
            return true;
        }
        let fits = |regex: &Regex| regex.is_match(&commit.message);
        let fits = if self.all_match { self.grep.iter().all(fits) } else { self.grep.iter().any(fits) };
        fits != self.invert
    }
}

fn starts(repo: &Repo, asked: &Asked) -> Result<Vec<Id>> {
    let mut from = Vec::new();
    for (text, id) in &asked.revs.from {
        match repo.peel(*id, Kind::Commit)? {
            Some(id) => from.push(id),
            None if repo.odb.has(id) => return Err(fatal(format!("{text} is not a commit"))),
            None => return Err(fatal(format!("bad object {text}"))),
        }
    }
    for prefix in &asked.choice.all {
        for id in repo.refs(prefix).values() {
            from.extend(repo.peel(*id, Kind::Commit)?);
        }
        from.extend(repo.head_id());
    }
    if from.is_empty()
        && asked.choice.all.is_empty()
        && asked.revs.not.is_empty() | asked.revs.from.is_empty()
    {
        if let Some(head) = repo.head_id() {
            from.push(head);
        }
    }
    Ok(from)
}

fn no_commits(repo: &Repo) -> crate::error::Die {
    let branch = repo.branch().unwrap_or_else(|| "HEAD".into());
    fatal(format!("your current branch '{branch}' does not have any commits yet"))
}

/// `git log`
pub fn log(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut asked = ask(repo, args, "log", &[])?;
    if asked.choice.reflog {
        return show_reflog(repo, &asked, out);
    }
    let from = starts(repo, &asked)?;
    if from.is_empty() {
        return Err(no_commits(repo));
    }
    if asked.choice.graph && asked.pretty.parted() {
        asked.pretty.decorate &= true;
    }
    let names = names(repo, &asked.pretty)?;
    let mut history = History::new(repo, &asked, &from)?;
    let mut specs_now: Option<Pathspec> = None;
    let mut followed: Option<Vec<u8>> = match (asked.choice.follow, asked.paths.as_slice()) {
        (true, [path]) => Some(repo.inside(path)?),
        _ => None,
    };
    let mut kept: Vec<(Commit, Vec<u8>)> = Vec::new();
    let (mut taken, mut skipped, mut first) = (0, 0, true);
    while taken < asked.choice.most {
        let Some(commit) = history.next()? else { break };
        let mut moved = None;
        if let Some(path) = &followed {
            let Some(next) = follow(repo, &commit, path)? else { continue };
            specs_now = Some(Pathspec::new(&at_top(repo), std::slice::from_ref(path))?);
            if next != *path {
                specs_now = Some(Pathspec::new(&at_top(repo), &[path.clone(), next.clone()])?);
                moved = Some(next);
            }
        }
        if !asked.choice.takes(&commit) {
            followed = moved.or(followed);
            continue;
        }
        let specs = specs_now.as_ref().unwrap_or(&asked.specs);
        let body = body(repo, &asked, &commit, specs)?;
        if let Some(next) = moved {
            followed = Some(next);
        }
        let Some(body) = body else { continue };
        if skipped < asked.choice.skip {
            skipped += 1;
            continue;
        }
        taken += 1;
        if asked.choice.reverse || asked.choice.graph {
            kept.push((commit, body));
            continue;
        }
        entry(repo, &asked, &commit, &names, &body, first, &mut out.bytes)?;
        first = false;
        out.pass()?;
    }
    if asked.choice.graph {
        return graph(repo, &asked, &names, kept, out);
    }
    for (commit, body) in kept.iter().rev() {
        entry(repo, &asked, commit, &names, body, first, &mut out.bytes)?;
        first = false;
    }
    finish(&asked.pretty, first, out);
    Ok(0)
}

// A `format:` parts its entries by newlines; the last is not ended, but the terminal's pager is not here either.
fn finish(pretty: &Pretty, none: bool, out: &mut Out) {
    if let Form::User(_, false) = pretty.form
        && !none
        && out.bytes.last() == Some(&b'\n')
    {
        out.bytes.pop();
    }
}

fn names(repo: &Repo, pretty: &Pretty) -> Result<Names> {
    let wanted = pretty.decorate
        || matches!(&pretty.form, Form::User(text, _) if text.contains("%d") || text.contains("%D"));
    if wanted { Names::new(repo) } else { Ok(Names::default()) }
}

fn at_top(repo: &Repo) -> Repo {
    Repo {
        dir: repo.dir.clone(),
        common: repo.common.clone(),
        work: repo.work.clone(),
        prefix: Vec::new(),
        config: repo.config.clone(),
        odb: crate::odb::Odb::open(repo.common.join("objects")),
    }
}

// Whether a commit touched a file, and what the file was called before.
fn follow(repo: &Repo, commit: &Commit, path: &[u8]) -> Result<Option<Vec<u8>>> {
    let parent = match commit.parents.first() {
        Some(parent) => Some(repo.odb.commit(parent)?.tree),
        None => None,
    };
    if commit.parents.len() > 1 {
        return Ok(None);
    }
    let now = repo.in_tree(commit.tree, path)?;
    let before = match parent {
        Some(tree) => repo.in_tree(tree, path)?,
        None => None,
    };
    match (now, before) {
        (now, before) if now == before => Ok(None),
        (Some(_), None) => {
            let changes = rename::find(
                repo,
                repo.diff_trees(parent, Some(commit.tree), &Pathspec::default())?,
                rename::MOST / 2,
                false,
            )?;
            let found = changes.iter().find(|change| change.path() == path && change.score.is_some());
            Ok(Some(
                found
                    .and_then(|change| change.old.as_ref())
                    .map_or_else(|| path.to_vec(), |side| side.path.clone()),
            ))
        }
        _ => Ok(Some(path.to_vec())),
    }
}

// The changes of a commit as they are shown; `None` if the commit is left out for lack of them.
fn body(repo: &Repo, asked: &Asked, commit: &Commit, specs: &Pathspec) -> Result<Option<Vec<u8>>> {
    let searched =
        asked.choice.pickaxe.is_some() || asked.style.pickaxe.is_some() || asked.style.filter.is_some();
    let shown = !asked.style.unset && !asked.style.none;
    if !searched && !shown {
        return Ok(Some(Vec::new()));
    }
    let merge = commit.parents.len() > 1;
    if merge && !asked.choice.first_parent && !asked.choice.merge_diffs {
        return Ok((!searched).then(Vec::new));
    }
    let parent = match commit.parents.first().map(|parent| repo.odb.find(parent)) {
        Some(Some((Kind::Commit, data))) => Some(Commit::parse(commit.parents[0], &data)?.tree),
        _ => None,
    };
    let changes = repo.diff_trees(parent, Some(commit.tree), specs)?;
    let mut changes = asked.style.prepare(repo, changes)?;
    if let Some(regex) = &asked.choice.pickaxe {
        let mut kept = Vec::new();
        for change in changes {
            let mut text = Vec::new();
            Style {
                patch: true,
                text: true,
                lines: crate::text::Lines { context: 0, ..asked.style.lines.clone() },
                ..asked.style.clone()
            }
            .write_patch(repo, &change, &mut text)?;
            let changed = |line: &&[u8]| {
                (line.starts_with(b"+") && !line.starts_with(b"+++ "))
                    || (line.starts_with(b"-") && !line.starts_with(b"--- "))
            };
            if text.lines().filter(changed).any(|line| regex.is_match(&line[1..])) {
                kept.push(change);
            }
        }
        changes = kept;
    }
    if searched && changes.is_empty() {
        return Ok(None);
    }
    let mut out = Vec::new();
    if shown {
        asked.style.write(repo, &changes, &mut out)?;
    }
    Ok(Some(out))
}

fn entry(
    repo: &Repo,
    asked: &Asked,
    commit: &Commit,
    names: &Names,
    body: &[u8],
    first: bool,
    out: &mut Vec<u8>,
) -> Result<()> {
    let pretty = &asked.pretty;
    if !first && pretty.parted() {
        out.push(b'\n');
    }
    if !first && matches!(pretty.form, Form::User(_, false)) && !asked.style.unset && !asked.style.none {
        out.push(b'\n');
    }
    pretty.write(repo, commit, names, out)?;
    if body.is_empty() {
        return Ok(());
    }
    let both = asked.style.patch && (asked.style.stat || asked.style.shortstat || asked.style.numstat);
    match &pretty.form {
        Form::Oneline => {}
        Form::User(text, _) if text.is_empty() => {}
        Form::Email => out.extend_from_slice(b"---\n"),
        Form::User(..) if both => out.extend_from_slice(b"---\n"),
        _ if both => out.extend_from_slice(b"---\n"),
        _ => out.push(b'\n'),
    }
    out.extend_from_slice(body);
    Ok(())
}

// A history without merges is one line of stars; with merges, side lines are drawn.
fn graph(
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

/// `git show`
pub fn show(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut asked = ask(repo, args, "show", &[])?;
    if asked.style.unset {
        asked.style.patch = true;
        asked.style.unset = false;
    }
    let names = names(repo, &asked.pretty)?;
    let mut objects: Vec<(String, Id)> = asked.revs.from.clone();
    if asked.revs.range.is_some()
        || asked.choice.most != usize::MAX && !objects.is_empty() && !asked.revs.not.is_empty()
    {
        let from = starts(repo, &asked)?;
        let mut history = History::new(repo, &asked, &from)?;
        objects.clear();
        while objects.len() < asked.choice.most {
            let Some(commit) = history.next()? else { break };
            objects.push((commit.id.hex(), commit.id));
        }
    } else if objects.is_empty() {
        objects.push(("HEAD".into(), repo.head_id().ok_or_else(|| no_commits(repo))?));
    }
    let mut first = true;
    for (name, id) in objects {
        let mut id = id;
        loop {
            let (kind, data) = repo.odb.find(&id).ok_or_else(|| fatal(format!("bad object {name}")))?;
            match kind {
                Kind::Blob => out.bytes.extend_from_slice(&data),
                Kind::Tree => {
                    if !first {
                        out.line("");
                    }
                    out.line(format!("tree {name}\n"));
                    for entry in crate::object::parse_tree(&data)? {
                        out.bytes.extend_from_slice(&entry.name);
                        out.line(if entry.is_tree() { "/" } else { "" });
                    }
                }
                Kind::Tag => {
                    if !first {
                        out.line("");
                    }
                    show_tag(&data, &asked.pretty, out);
                    id = crate::rev::tagged(&data).ok_or_else(|| fatal(format!("bad tag {name}")))?;
                    first = false;
                    continue;
                }
                Kind::Commit => {
                    let commit = Commit::parse(id, &data)?;
                    let body = if commit.parents.len() > 1
                        && !asked.choice.first_parent
                        && !asked.choice.merge_diffs
                    {
                        merged(repo, &asked, &commit)?
                    } else {
                        body(repo, &asked, &commit, &asked.specs)?.unwrap_or_default()
                    };
                    entry(repo, &asked, &commit, &names, &body, first, &mut out.bytes)?;
                    if commit.parents.len() > 1
                        && body.is_empty()
                        && asked.pretty.parted()
                        && !asked.style.none
                    {
                        out.line("");
                    }
                }
            }
            break;
        }
        first = false;
        out.pass()?;
    }
    finish(&asked.pretty, true, out);
    Ok(0)
}

// A merge shows, as statistics, what it brought to its first parent.
fn merged(repo: &Repo, asked: &Asked, commit: &Commit) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    if asked.style.none {
        return Ok(out);
    }
    let first = repo.odb.commit(&commit.parents[0])?.tree;
    let changes =
        asked.style.prepare(repo, repo.diff_trees(Some(first), Some(commit.tree), &asked.specs)?)?;
    // As a patch, only files that differ from every parent.
    let mut both = Vec::new();
    for change in &changes {
        let mut differs = true;
        for parent in &commit.parents[1..] {
            let there = repo.in_tree(repo.odb.commit(parent)?.tree, change.path())?;
            differs &= there.map(|(_, id)| id) != change.new.as_ref().map(|side| side.id);
        }
        if differs {
            both.push(change.clone());
        }
    }
    Style { patch: false, names: false, name_status: false, raw: false, ..asked.style.clone() }
        .write(repo, &changes, &mut out)?;
    Style {
        patch: false,
        stat: false,
        numstat: false,
        shortstat: false,
        summary: false,
        ..asked.style.clone()
    }
    .write(repo, &both, &mut out)?;
    if asked.style.patch {
        for change in &both {
            let blob = |tree: Id| -> Result<Vec<u8>> {
                match repo.in_tree(tree, change.path())? {
                    Some((_, id)) => repo.odb.blob(&id),
                    None => Ok(Vec::new()),
                }
            };
            let result = blob(commit.tree)?;
            let a = blob(first)?;
            let b = blob(repo.odb.commit(&commit.parents[1])?.tree)?;
            let name = change.path().to_str_lossy();
            let id = |data: &[u8]| repo.short(&Id::of(Kind::Blob, data));
            let mut hunks = Vec::new();
            crate::merge::combined(
                &mut hunks,
                &crate::text::split(&a),
                &crate::text::split(&b),
                &crate::text::split(&result),
            );
            if hunks.is_empty() {
                continue;
            }
            out.extend_from_slice(
                format!(
                    "diff --cc {name}\nindex {},{}..{}\n--- a/{name}\n+++ b/{name}\n",
                    id(&a),
                    id(&b),
                    id(&result)
                )
                .as_bytes(),
            );
            out.extend_from_slice(&hunks);
        }
    }
    Ok(out)
}

fn show_tag(data: &[u8], pretty: &Pretty, out: &mut Out) {
    let (head, message) = data.split_once_str("\n\n").unwrap_or((data, b""));
    for line in head.lines() {
        if let Some(name) = line.strip_prefix(b"tag ") {
            out.line([b"tag ".as_slice(), name].concat());
        } else if let Some(who) = line.strip_prefix(b"tagger ") {
            let who = crate::object::Who::parse(who);
            out.line([b"Tagger: ".as_slice(), &who.name, b" <", &who.mail, b">"].concat());
            out.line(format!("Date:   {}", date::show(who.time, who.zone, &pretty.date)));
        }
    }
    out.line("");
    out.bytes.extend_from_slice(message);
}

/// `git rev-list`
pub fn rev_list(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let asked = ask(repo, args, "rev-list", &["--count", "--objects", "--quiet"])?;
    let from = starts(repo, &asked)?;
    if asked.revs.from.is_empty() && asked.choice.all.is_empty() && asked.revs.not.is_empty() {
        return Err(die(129, "usage: git rev-list [<options>] <commit>... [--] [<path>...]"));
    }
    let mut history = History::new(repo, &asked, &from)?;
    let mut ids = Vec::new();
    let mut skipped = 0;
    while ids.len() < asked.choice.most {
        let Some(commit) = history.next()? else { break };
        if !asked.choice.takes(&commit) {
            continue;
        }
        if skipped < asked.choice.skip {
            skipped += 1;
            continue;
        }
        ids.push(commit);
    }
    if asked.choice.reverse {
        ids.reverse();
    }
    if asked.extra.iter().any(|option| option == "--count") {
        out.line(ids.len().to_string());
    } else if !asked.extra.iter().any(|option| option == "--quiet") {
        let names = Names::default();
        for commit in &ids {
            match &asked.pretty.form {
                Form::User(..) => {
                    out.line(format!("commit {}", commit.id));
                    asked.pretty.write(repo, commit, &names, &mut out.bytes)?;
                }
                Form::Oneline => asked.pretty.write(repo, commit, &names, &mut out.bytes)?,
                _ if asked.pretty.short_ids => out.line(repo.short(&commit.id)),
                _ if asked.pretty.parents => {
                    let parents: String = commit.parents.iter().map(|parent| format!(" {parent}")).collect();
                    out.line(format!("{}{parents}", commit.id));
                }
                _ => out.line(commit.id.hex()),
            }
        }
    }
    Ok(0)
}

/// `git shortlog`
pub fn shortlog(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let asked = ask(
        repo,
        unbundle(args, "sne"),
        "shortlog",
        &["-s", "--summary", "--numbered", "-e", "--email", "-n"],
    )?;
    let has = |names: &[&str]| asked.extra.iter().any(|option| names.contains(&option.as_str()));
    let (summary, numbered, mail) =
        (has(&["-s", "--summary"]), has(&["-n", "--numbered"]), has(&["-e", "--email"]));
    let from = starts(repo, &asked)?;
    let mut history = History::new(repo, &asked, &from)?;
    let mut of: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    while let Some(commit) = history.next()? {
        if asked.choice.takes(&commit) {
            let who = if mail {
                [commit.author.name.as_slice(), b" <", &commit.author.mail, b">"].concat()
            } else {
                commit.author.name.clone()
            };
            of.entry(who).or_default().push(commit.subject());
        }
    }
    let mut people: Vec<_> = of.into_iter().collect();
    if numbered {
        people.sort_by_key(|(_, subjects)| std::cmp::Reverse(subjects.len()));
    }
    for (who, subjects) in people {
        if summary {
            out.line([format!("{:6}\t", subjects.len()).as_bytes(), &who].concat());
        } else {
            out.line([who.as_slice(), format!(" ({}):", subjects.len()).as_bytes()].concat());
            for subject in subjects.iter().rev() {
                out.line([b"      ".as_slice(), subject].concat());
            }
            out.line("");
        }
    }
    Ok(0)
}

/// `git reflog`
pub fn reflog(repo: &Repo, mut args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    if args.first().is_some_and(|arg| arg == b"show") {
        args.remove(0);
    }
    if args.first().is_some_and(|arg| {
        ["expire", "delete", "exists"].iter().any(|name| name.as_bytes() == arg.as_slice())
    }) {
        return Ok(0);
    }
    let mut asked = ask(repo, args, "reflog", &[])?;
    if asked.pretty.form == Form::Medium {
        asked.pretty.form = Form::Oneline;
        asked.pretty.short_ids = true;
    }
    show_reflog(repo, &asked, out)
}

fn show_reflog(repo: &Repo, asked: &Asked, out: &mut Out) -> Result<i32> {
    let name = asked.revs.from.first().map_or("HEAD", |(name, _)| name.as_str());
    let full = repo.named(name).map_or_else(|| "HEAD".to_owned(), |(full, _)| full);
    let names = if asked.pretty.decorate { Names::new(repo)? } else { Names::default() };
    let mut first = true;
    for (number, line) in repo.log_of(&full).into_iter().enumerate().take(asked.choice.most) {
        let selector = format!("{name}@{{{number}}}");
        let commit = repo.odb.commit(&line.new)?;
        match &asked.pretty.form {
            Form::Oneline => {
                let id = if asked.pretty.short_ids { repo.short(&line.new) } else { line.new.hex() };
                out.line([format!("{id} {selector}: ").as_bytes(), &line.why].concat());
            }
            Form::User(text, _) => {
                let text = text
                    .replace("%gd", &selector)
                    .replace("%gD", &selector)
                    .replace("%gs", &line.why.to_str_lossy());
                out.line(asked.pretty.expand(repo, &commit, &names, &text)?);
            }
            _ => {
                let mut text = Vec::new();
                asked.pretty.write(repo, &commit, &names, &mut text)?;
                if !first {
                    out.line("");
                }
                let (head, rest) = text.split_once_str("\n").unwrap_or((&text, b""));
                out.line(head);
                let who = [line.who.name.as_slice(), b" <", &line.who.mail, b">"].concat();
                out.line([format!("Reflog: {selector} (").as_bytes(), &who, b")"].concat());
                out.line([b"Reflog message: ".as_slice(), &line.why].concat());
                out.bytes.extend_from_slice(rest);
            }
        }
        first = false;
    }
    Ok(0)
}

/// `git format-patch`
pub fn format_patch(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut dir = None;
    let mut rest = Vec::new();
    let mut iter = args.into_iter();
    while let Some(arg) = iter.next() {
        match arg.as_slice() {
            b"-o" | b"--output-directory" => dir = iter.next(),
            _ => rest.push(arg),
        }
    }
    let mut asked = ask(
        repo,
        rest,
        "format-patch",
        &[
            "--stdout",
            "-k",
            "--keep-subject",
            "-N",
            "--no-numbered",
            "--no-signature",
            "--no-stat",
            "-s",
            "--signoff",
        ],
    )?;
    let has = |name: &str| asked.extra.iter().any(|option| option == name);
    let stdout = has("--stdout");
    let from = starts(repo, &asked)?;
    // One revision alone is what is left out, unless a count says how many are taken.
    if asked.revs.range.is_none() && asked.choice.most == usize::MAX {
        let base = from.clone();
        asked.revs.not = base;
        asked.revs.from = vec![("HEAD".into(), repo.head_id().ok_or_else(|| no_commits(repo))?)];
    }
    let from = starts(repo, &asked)?;
    let mut history = History::new(repo, &asked, &from)?;
    let mut commits = Vec::new();
    while commits.len() < asked.choice.most {
        let Some(commit) = history.next()? else { break };
        if commit.parents.len() < 2 {
            commits.push(commit);
        }
    }
    commits.reverse();
    let style =
        Style { patch: true, stat: true, summary: true, unset: false, stat_width: 72, ..asked.style.clone() };
    let count = commits.len();
    for (number, commit) in commits.iter().enumerate() {
        let mut text = Vec::new();
        let pretty = Pretty { form: Form::Email, ..asked.pretty.clone() };
        pretty.write(repo, commit, &Names::default(), &mut text)?;
        if count > 1 {
            text = text.replacen("[PATCH]", format!("[PATCH {}/{count}]", number + 1), 1);
        }
        text.extend_from_slice(b"---\n");
        let parent = commit
            .parents
            .first()
            .map(|parent| repo.odb.commit(parent).map(|parent| parent.tree))
            .transpose()?;
        let changes = style.prepare(repo, repo.diff_trees(parent, Some(commit.tree), &asked.specs)?)?;
        style.write(repo, &changes, &mut text)?;
        text.extend_from_slice(b"-- \n2.39.5\n\n");
        if stdout {
            out.bytes.append(&mut text);
            out.pass()?;
        } else {
            let name = asked.pretty.expand(repo, commit, &Names::default(), "%f")?;
            let name = format!(
                "{:04}-{}.patch",
                number + 1,
                name.to_str_lossy().chars().take(52).collect::<String>()
            );
            let path = match &dir {
                Some(dir) => {
                    std::fs::create_dir_all(guest_host::path_of(dir))?;
                    format!("{}/{name}", dir.to_str_lossy().trim_end_matches('/'))
                }
                None => name,
            };
            std::fs::write(&path, text)?;
            out.line(path);
        }
    }
    Ok(0)
}
