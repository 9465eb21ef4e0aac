//! Commits, shown: the named forms and `--format`.

use crate::date;
use crate::error::Result;
use crate::object::{Commit, Id, Kind};
use crate::repo::Repo;
use bstr::ByteSlice;
use std::collections::BTreeMap;

/// How a commit's head is shown.
#[derive(Clone)]
pub struct Pretty {
    pub form: Form,
    pub short_ids: bool,
    pub abbrev: Option<usize>,
    pub date: String,
    pub decorate: bool,
    pub parents: bool,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Form {
    Oneline,
    Short,
    Medium,
    Full,
    Fuller,
    Raw,
    Email,
    Reference,
    /// A text with `%` marks; the flag says that each ends its line (`tformat`).
    User(String, bool),
}

impl Pretty {
    pub fn new(repo: &Repo) -> Pretty {
        Pretty {
            form: Form::Medium,
            short_ids: repo.config.is("log.abbrevcommit", false),
            abbrev: None,
            date: repo.config.get("log.date").unwrap_or("default").to_owned(),
            decorate: matches!(
                repo.config.get("log.decorate"),
                Some("short" | "full" | "true" | "1" | "yes")
            ),
            parents: false,
        }
    }

    /// Takes the value of `--format` or `--pretty`.
    pub fn form(&mut self, text: &str, repo: &Repo) -> bool {
        self.form = match text {
            "oneline" => Form::Oneline,
            "short" => Form::Short,
            "medium" => Form::Medium,
            "" => Form::User(String::new(), true),
            "full" => Form::Full,
            "fuller" => Form::Fuller,
            "raw" => Form::Raw,
            "email" | "mboxrd" => Form::Email,
            "reference" => Form::Reference,
            text => {
                if let Some(text) = text.strip_prefix("format:") {
                    Form::User(text.to_owned(), false)
                } else if let Some(text) = text.strip_prefix("tformat:") {
                    Form::User(text.to_owned(), true)
                } else if text.contains('%') {
                    Form::User(text.to_owned(), true)
                } else if let Some(known) = repo.config.get(&format!("pretty.{text}")).map(str::to_owned) {
                    return self.form(&known, repo);
                } else {
                    return false;
                }
            }
        };
        true
    }

    /// Takes an option about the head if it is one.
    pub fn option(&mut self, option: &str, repo: &Repo) -> Result<bool> {
        match option {
            "--oneline" => {
                self.form = Form::Oneline;
                self.short_ids = true;
            }
            "--abbrev-commit" => self.short_ids = true,
            "--no-abbrev-commit" => self.short_ids = false,
            "--no-abbrev" => self.abbrev = Some(40),
            "--decorate" | "--decorate=short" | "--decorate=full" => self.decorate = true,
            "--no-decorate" | "--decorate=no" | "--decorate=auto" => self.decorate = false,
            "--parents" => self.parents = true,
            "--relative-date" => self.date = "relative".into(),
            "--pretty" | "--format" => self.form = Form::Medium,
            option => {
                let (name, value) = option.split_once('=').unwrap_or((option, ""));
                match name {
                    "--pretty" | "--format" => {
                        if !self.form(value, repo) {
                            return Err(crate::error::fatal(format!("invalid --pretty format: {value}")));
                        }
                    }
                    "--date" => self.date = value.to_owned(),
                    "--abbrev" => {
                        self.abbrev = value.parse().ok();
                    }
                    _ => return Ok(false),
                }
            }
        }
        Ok(true)
    }

    fn id(&self, repo: &Repo, id: &Id) -> String {
        if self.short_ids { repo.short_of(id, self.abbrev) } else { id.hex() }
    }

    /// Whether entries are parted by a blank line rather than ended by one.
    pub fn parted(&self) -> bool {
        matches!(self.form, Form::Short | Form::Medium | Form::Full | Form::Fuller | Form::Raw)
    }

    /// Writes a commit's head and message, the last line ended.
    pub fn write(&self, repo: &Repo, commit: &Commit, names: &Names, out: &mut Vec<u8>) -> Result<()> {
        let decoration = if self.decorate {
            names.of(&commit.id).map_or(String::new(), |names| format!(" ({names})"))
        } else {
            String::new()
        };
        let line = |out: &mut Vec<u8>, text: &[u8]| {
            out.extend_from_slice(text);
            out.push(b'\n');
        };
        let who = |out: &mut Vec<u8>, role: &str, who: &crate::object::Who| {
            out.extend_from_slice(role.as_bytes());
            out.extend_from_slice(&who.name);
            out.extend_from_slice(b" <");
            out.extend_from_slice(&who.mail);
            out.extend_from_slice(b">\n");
        };
        let mut id = self.id(repo, &commit.id);
        if self.parents {
            for parent in &commit.parents {
                id += &format!(" {}", self.id(repo, parent));
            }
        }
        match &self.form {
            Form::Oneline => {
                out.extend_from_slice(format!("{id}{decoration} ").as_bytes());
                line(out, &commit.subject());
            }
            Form::User(text, _) if text.is_empty() => {}
            Form::User(text, _) => {
                out.extend_from_slice(&self.expand(repo, commit, names, text)?);
                out.push(b'\n');
            }
            Form::Reference => {
                let short = repo.short_of(&commit.id, self.abbrev);
                let date = date::show(commit.author.time, commit.author.zone, "short");
                line(
                    out,
                    &[format!("{short} (").as_bytes(), &commit.subject(), format!(", {date})").as_bytes()]
                        .concat(),
                );
            }
            Form::Email => {
                line(out, format!("From {} Mon Sep 17 00:00:00 2001", commit.id).as_bytes());
                who(out, "From: ", &commit.author);
                line(
                    out,
                    format!("Date: {}", date::show(commit.author.time, commit.author.zone, "rfc")).as_bytes(),
                );
                line(out, &[b"Subject: [PATCH] ".as_slice(), &commit.subject()].concat());
                line(out, b"");
                let body = commit.body().trim_end();
                if !body.is_empty() {
                    line(out, body);
                }
            }
            Form::Raw => {
                line(out, format!("commit {id}{decoration}").as_bytes());
                line(out, format!("tree {}", commit.tree).as_bytes());
                for parent in &commit.parents {
                    line(out, format!("parent {parent}").as_bytes());
                }
                line(out, &[b"author ".as_slice(), &commit.author.line()].concat());
                line(out, &[b"committer ".as_slice(), &commit.committer.line()].concat());
                line(out, b"");
                indent(out, &commit.message);
            }
            form => {
                line(out, format!("commit {id}{decoration}").as_bytes());
                if commit.parents.len() > 1 {
                    let parents: Vec<String> =
                        commit.parents.iter().map(|parent| repo.short_of(parent, self.abbrev)).collect();
                    line(out, format!("Merge: {}", parents.join(" ")).as_bytes());
                }
                let date = |who: &crate::object::Who| date::show(who.time, who.zone, &self.date);
                match form {
                    Form::Fuller => {
                        who(out, "Author:     ", &commit.author);
                        line(out, format!("AuthorDate: {}", date(&commit.author)).as_bytes());
                        who(out, "Commit:     ", &commit.committer);
                        line(out, format!("CommitDate: {}", date(&commit.committer)).as_bytes());
                    }
                    Form::Full => {
                        who(out, "Author: ", &commit.author);
                        who(out, "Commit: ", &commit.committer);
                    }
                    Form::Short => who(out, "Author: ", &commit.author),
                    _ => {
                        who(out, "Author: ", &commit.author);
                        line(out, format!("Date:   {}", date(&commit.author)).as_bytes());
                    }
                }
                line(out, b"");
                if *form == Form::Short {
                    indent(out, &commit.subject());
                } else {
                    indent(out, &commit.message);
                }
            }
        }
        Ok(())
    }

    /// Expands the marks of a user's format.
    pub fn expand(&self, repo: &Repo, commit: &Commit, names: &Names, text: &str) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            out.extend_from_slice(&rest.as_bytes()[..at]);
            rest = &rest[at + 1..];
            let before = out.len();
            let modifier = match rest.chars().next() {
                Some(c @ ('+' | '-' | ' ')) => {
                    rest = &rest[1..];
                    Some(c)
                }
                _ => None,
            };
            let used = self.mark(repo, commit, names, rest, &mut out)?;
            if used == 0 {
                out.push(b'%');
                continue;
            }
            rest = &rest[used..];
            match modifier {
                Some('+') if out.len() > before => out.insert(before, b'\n'),
                Some(' ') if out.len() > before => out.insert(before, b' '),
                Some('-') if out.len() == before => {
                    while out.last() == Some(&b'\n') {
                        out.pop();
                    }
                }
                _ => {}
            }
        }
        out.extend_from_slice(rest.as_bytes());
        Ok(out)
    }

    // Writes what a mark stands for and returns the mark's length, 0 if it is none.
    fn mark(
        &self,
        repo: &Repo,
        commit: &Commit,
        names: &Names,
        mark: &str,
        out: &mut Vec<u8>,
    ) -> Result<usize> {
        let mut chars = mark.chars();
        let (Some(first), second) = (chars.next(), chars.next()) else { return Ok(0) };
        let short = |id: &Id| repo.short_of(id, self.abbrev);
        let list =
            |ids: &[Id], show: &dyn Fn(&Id) -> String| ids.iter().map(show).collect::<Vec<_>>().join(" ");
        match first {
            'H' => out.extend_from_slice(commit.id.hex().as_bytes()),
            'h' => out.extend_from_slice(short(&commit.id).as_bytes()),
            'T' => out.extend_from_slice(commit.tree.hex().as_bytes()),
            't' => out.extend_from_slice(short(&commit.tree).as_bytes()),
            'P' => out.extend_from_slice(list(&commit.parents, &Id::hex).as_bytes()),
            'p' => out.extend_from_slice(list(&commit.parents, &short).as_bytes()),
            's' => out.extend_from_slice(&commit.subject()),
            'f' => {
                let subject = commit.subject().to_str_lossy().into_owned();
                let mut name = String::new();
                for c in subject.chars() {
                    if c.is_ascii_alphanumeric() || c == '.' || c == '_' {
                        if !(c == '.' && name.ends_with('.')) {
                            name.push(c);
                        }
                    } else if !name.ends_with('-') && !name.is_empty() {
                        name.push('-');
                    }
                }
                out.extend_from_slice(name.trim_end_matches(['-', '.']).as_bytes());
            }
            'b' => {
                out.extend_from_slice(commit.body().trim_end_with(|c| c == '\n'));
                if !commit.body().is_empty() {
                    out.push(b'\n');
                }
            }
            'B' => {
                out.extend_from_slice(
                    commit.message.trim_start_with(|c| c == '\n').trim_end_with(|c| c == '\n'),
                );
                out.push(b'\n');
            }
            'n' => out.push(b'\n'),
            '%' => out.push(b'%'),
            'd' => out.extend_from_slice(
                names.of(&commit.id).map_or(String::new(), |names| format!(" ({names})")).as_bytes(),
            ),
            'D' => out.extend_from_slice(names.of(&commit.id).unwrap_or_default().as_bytes()),
            'e' | 'N' => {}
            'x' => {
                let Some(byte) = mark.get(1..3).and_then(|hex| u8::from_str_radix(hex, 16).ok()) else {
                    return Ok(0);
                };
                out.push(byte);
                return Ok(3);
            }
            'C' => {
                for word in ["(auto)", "reset", "red", "green", "blue"] {
                    if mark[1..].starts_with(word) {
                        return Ok(1 + word.len());
                    }
                }
                return Ok(if mark[1..].starts_with('(') {
                    mark.find(')').map_or(0, |end| end + 1)
                } else {
                    0
                });
            }
            'a' | 'c' => {
                let who = if first == 'a' { &commit.author } else { &commit.committer };
                let date = |form: &str| date::show(who.time, who.zone, form).into_bytes();
                let text = match second {
                    Some('n' | 'N') => who.name.clone(),
                    Some('e' | 'E') => who.mail.clone(),
                    Some('l' | 'L') => who.mail.split_str("@").next().unwrap_or_default().to_vec(),
                    Some('d') => date(&self.date),
                    Some('D') => date("rfc"),
                    Some('r') => date("relative"),
                    Some('t') => date("unix"),
                    Some('i') => date("iso"),
                    Some('I') => date("iso-strict"),
                    Some('s') => date("short"),
                    Some('h') => date("human"),
                    _ => return Ok(0),
                };
                out.extend_from_slice(&text);
                return Ok(2);
            }
            'G' | 'g' => {
                if second == Some('?') {
                    out.push(b'N');
                }
                return Ok(if second.is_some() { 2 } else { 0 });
            }
            _ => return Ok(0),
        }
        Ok(1)
    }
}

fn indent(out: &mut Vec<u8>, message: &[u8]) {
    let message = message.trim_start_with(|c| c == '\n').trim_end_with(|c| c == '\n' || c == ' ');
    for line in message.lines() {
        let line = line.trim_end();
        // Tabs are spread to columns of eight, counted from the message's own start.
        let mut shown = b"    ".to_vec();
        let mut column = 0;
        for c in line.to_str_lossy().chars() {
            if c == '\t' {
                let fill = 8 - column % 8;
                shown.extend(std::iter::repeat_n(b' ', fill));
                column += fill;
            } else {
                shown.extend_from_slice(c.to_string().as_bytes());
                column += 1;
            }
        }
        if line.is_empty() {
            shown.truncate(4);
        }
        out.extend_from_slice(&shown);
        out.push(b'\n');
    }
}

/// The references that name commits.
#[derive(Default)]
pub struct Names(BTreeMap<Id, String>);

impl Names {
    pub fn new(repo: &Repo) -> Result<Names> {
        let mut names: BTreeMap<Id, Vec<String>> = BTreeMap::new();
        let branch = repo.branch();
        if let Some(head) = repo.head_id() {
            names.entry(head).or_default().push(match &branch {
                Some(branch) => format!("HEAD -> {branch}"),
                None => "HEAD".into(),
            });
        }
        let refs = repo.refs("refs/");
        let sorted = ["refs/tags/", "refs/remotes/", "refs/heads/"]
            .iter()
            .flat_map(|prefix| refs.iter().rev().filter(move |(name, _)| name.starts_with(prefix)));
        for (name, id) in sorted {
            let short = crate::refs::short(name);
            if let Some(tag) = name.strip_prefix("refs/tags/") {
                if let Some(commit) = repo.peel(*id, Kind::Commit)? {
                    names.entry(commit).or_default().push(format!("tag: {tag}"));
                }
            } else if !(name.starts_with("refs/heads/") && branch.as_deref() == Some(short)) {
                names.entry(*id).or_default().push(short.to_owned());
            }
        }
        Ok(Names(names.into_iter().map(|(id, names)| (id, names.join(", "))).collect()))
    }

    fn of(&self, id: &Id) -> Option<String> {
        self.0.get(id).cloned()
    }
}
