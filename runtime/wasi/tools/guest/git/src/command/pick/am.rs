//! `git am`

use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::command::apply;
use crate::command::commit;
use crate::error::{Result, die, fatal, reason};
use crate::object::{Id, Kind, Who};
use crate::repo::Repo;
use bstr::ByteSlice;
use std::io::Read;

/// `git am`
pub fn am(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "qs3k"));
    let (mut quiet, mut three) = (false, false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "-q" | "--quiet" => quiet = true,
            "-3" | "--3way" => three = true,
            "-k" | "-s" | "--signoff" | "--keep-cr" | "--no-keep-cr" => {}
            "--abort" => return Err(fatal("Resolve operation not in progress, we are not resuming.")),
            option => return Err(unknown(option, "am [<options>] [(<mbox> | <Maildir>)...]")),
        }
    }
    let mut texts = Vec::new();
    if args.plain.is_empty() {
        let mut text = Vec::new();
        std::io::stdin().lock().read_to_end(&mut text)?;
        texts.push(text);
    }
    for path in &args.plain {
        texts.push(std::fs::read(guest_host::path_of(path)).map_err(|error| {
            fatal(format!("could not open '{}' for reading: {}", path.to_str_lossy(), reason(&error)))
        })?);
    }
    for text in texts {
        for mail in mails(&text) {
            one_mail(repo, mail, quiet, three, out)?;
        }
    }
    Ok(0)
}

fn mails(text: &[u8]) -> Vec<&[u8]> {
    let is_start =
        |line: &[u8]| line.starts_with(b"From ") && line.get(5..45).is_some_and(|id| Id::parse(id).is_some());
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.lines_with_terminator() {
        if is_start(line) {
            starts.push(at);
        }
        at += line.len();
    }
    if starts.is_empty() {
        return vec![text];
    }
    starts.push(text.len());
    starts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

fn one_mail(repo: &Repo, mail: &[u8], quiet: bool, three: bool, out: &mut Out) -> Result<()> {
    let (head, body) = mail.split_once_str("\n\n").ok_or_else(|| fatal("Patch format detection failed."))?;
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in head.lines() {
        let line = line.to_str_lossy().into_owned();
        match (line.starts_with([' ', '\t']), fields.last_mut()) {
            (true, Some((_, value))) => value.push_str(&format!(" {}", line.trim())),
            _ => {
                if let Some((name, value)) = line.split_once(": ") {
                    fields.push((name.to_lowercase(), value.to_owned()));
                }
            }
        }
    }
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let from = field("from").ok_or_else(|| fatal("Patch format detection failed."))?;
    let mut author = Who::parse(format!("{from} 0 +0000").as_bytes());
    let (time, zone) = field("date").and_then(mail_date).unwrap_or((crate::date::now(), 0));
    (author.time, author.zone) = (time, zone);
    let subject = field("subject").unwrap_or_default();
    let subject = match subject.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((_, rest)) => rest,
        None => subject,
    };
    let (text, patch) = match body.find(b"\n---\n") {
        Some(at) => (&body[..at + 1], &body[at + 5..]),
        None if body.starts_with(b"---\n") => (&b""[..], &body[4..]),
        None => body.find(b"diff --git ").map_or((body, &b""[..]), |at| (&body[..at], &body[at..])),
    };
    let message = commit::clean(&[subject.as_bytes(), b"\n\n", text].concat(), false);
    if !quiet {
        out.line(format!("Applying: {subject}"));
    }
    let options = apply::Options {
        index: true,
        three,
        quiet: false,
        space: Some("nowarn".into()),
        ..apply::Options::default()
    };
    let top = Repo { prefix: Vec::new(), ..Repo::open(&[])? };
    let mut said = Out::default();
    if apply::run(Some(&top), patch, "<mail>", &options, &mut said)? != 0 {
        return Err(die(
            128,
            format!(
                "Patch failed at 0001 {subject}\nfatal: the patch does not apply; nothing was kept of it"
            ),
        ));
    }
    let head = repo.head_id();
    let tree = repo.index()?.write_tree(&repo.odb)?;
    let parents: Vec<Id> = head.into_iter().collect();
    let id = repo
        .odb
        .write(Kind::Commit, &commit::text(tree, &parents, &author, &repo.who("COMMITTER")?, &message))?;
    repo.set_head(id, &format!("am: {subject}"))
}

// `Thu, 1 Jan 2026 00:00:00 +0000`
fn mail_date(text: &str) -> Option<(i64, i32)> {
    let mut words = text.split_once(", ").map_or(text, |(_, rest)| rest).split_whitespace();
    let (day, month, year, time, zone) =
        (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        .iter()
        .position(|name| *name == month)?
        + 1;
    crate::date::read(&format!("{year}-{month:02}-{day:0>2} {time} {zone}"))
}
