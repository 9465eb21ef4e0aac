//! Which commits are taken, and how they are shown: the options.

use crate::args::{Args, Revs};
use crate::command::format::Pretty;
use crate::date;
use crate::error::{Result, fatal};
use crate::object::{Commit, Id, Kind};
use crate::pathspec::Pathspec;
use crate::pattern::{self, Form as PatternForm};
use crate::repo::Repo;
use crate::show::Style;
use regex::bytes::Regex;

/// What commits are taken.
pub(super) struct Choice {
    pub(super) most: usize,
    pub(super) skip: usize,
    pub(super) grep: Vec<Regex>,
    pub(super) invert: bool,
    pub(super) all_match: bool,
    pub(super) author: Option<Regex>,
    pub(super) committer: Option<Regex>,
    pub(super) since: Option<i64>,
    pub(super) until: Option<i64>,
    pub(super) merges: Option<bool>,
    pub(super) first_parent: bool,
    pub(super) reverse: bool,
    pub(super) follow: bool,
    pub(super) graph: bool,
    pub(super) all: Vec<&'static str>,
    pub(super) pickaxe: Option<Regex>,
    pub(super) full: bool,
    pub(super) reflog: bool,
    pub(super) merge_diffs: bool,
}

#[derive(Default)]
struct Patterns {
    pub(super) grep: Vec<String>,
    pub(super) author: Option<String>,
    pub(super) committer: Option<String>,
    pub(super) lines: Option<String>,
    pub(super) fold: bool,
    pub(super) form: Option<PatternForm>,
}

pub(super) struct Asked {
    pub(super) choice: Choice,
    pub(super) style: Style,
    pub(super) pretty: Pretty,
    pub(super) revs: Revs,
    pub(super) specs: Pathspec,
    pub(super) paths: Vec<Vec<u8>>,
    pub(super) extra: Vec<String>,
}

pub(super) fn ask(repo: &Repo, args: Vec<Vec<u8>>, usage: &str, known: &[&str]) -> Result<Asked> {
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
        if let Some(typed) = option.strip_prefix("-G") {
            let lines = if typed.is_empty() { args.next().unwrap_or_default() } else { typed.to_owned() };
            patterns.lines = Some(lines);
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

impl Choice {
    pub(super) fn takes(&self, commit: &Commit) -> bool {
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

pub(super) fn starts(repo: &Repo, asked: &Asked) -> Result<Vec<Id>> {
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
        && let Some(head) = repo.head_id()
    {
        from.push(head);
    }
    Ok(from)
}

pub(super) fn no_commits(repo: &Repo) -> crate::error::Die {
    let branch = repo.branch().unwrap_or_else(|| "HEAD".into());
    fatal(format!("your current branch '{branch}' does not have any commits yet"))
}
