//! `git reflog`, and the log of a reference.

use super::choice::{Asked, ask};
use crate::Out;
use crate::command::format::{Form, Names};
use crate::error::Result;
use crate::repo::Repo;
use bstr::ByteSlice;

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

pub(super) fn show_reflog(repo: &Repo, asked: &Asked, out: &mut Out) -> Result<i32> {
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
