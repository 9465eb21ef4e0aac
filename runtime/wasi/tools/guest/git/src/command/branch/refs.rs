//! References in general: `show-ref`, `for-each-ref`, `symbolic-ref`, `update-ref`.

use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, die, fatal, silent};
use crate::glob;
use crate::object::Kind;
use crate::refs::{Head, short};
use crate::repo::Repo;
use bstr::ByteSlice;

/// `git show-ref`
pub fn show_ref(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let (mut heads, mut tags, mut verify, mut quiet, mut hash, mut head) =
        (false, false, false, false, false, false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "--heads" | "--branches" => heads = true,
            "--tags" => tags = true,
            "--verify" => verify = true,
            "-q" | "--quiet" => quiet = true,
            "-s" | "--hash" => hash = true,
            "--head" => head = true,
            option => {
                return Err(unknown(
                    option,
                    "show-ref [--head] [-s | --hash] [--branches] [--tags] [<pattern>...]",
                ));
            }
        }
    }
    let words = args.words();
    let mut refs = repo.refs("refs/");
    if head && let Some(id) = repo.head_id() {
        refs.insert("HEAD".into(), id);
    }
    let mut found = false;
    for (name, id) in refs {
        let kind = !(heads || tags)
            || (heads && name.starts_with("refs/heads/"))
            || (tags && name.starts_with("refs/tags/"));
        let fits = words.is_empty()
            || words.iter().any(|word| {
                if verify { *word == name } else { name == *word || name.ends_with(&format!("/{word}")) }
            });
        if kind && fits {
            found = true;
            if !quiet {
                out.line(if hash { id.hex() } else { format!("{id} {name}") });
            }
        }
    }
    if verify && !found && !quiet {
        return Err(fatal(format!("'{}' - not a valid ref", words.first().cloned().unwrap_or_default())));
    }
    if found { Ok(0) } else { Err(silent(1)) }
}

/// `git for-each-ref`
pub fn for_each_ref(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let (mut format, mut most) = ("%(objectname) %(objecttype)\t%(refname)".to_owned(), usize::MAX);
    while let Some(option) = args.option() {
        match option.split('=').next().unwrap_or_default() {
            "--format" => format = args.value(&option)?,
            "--count" => most = args.value(&option)?.parse().unwrap_or(usize::MAX),
            "--sort" => {
                args.value(&option)?;
            }
            option => return Err(unknown(option, "for-each-ref [<options>] [<pattern>]")),
        }
    }
    let words = args.words();
    let fits = |name: &str| {
        words.is_empty()
            || words.iter().any(|word| {
                name == word
                    || name.starts_with(&format!("{}/", word.trim_end_matches('/')))
                    || glob::matches(word.as_bytes(), name.as_bytes(), true)
            })
    };
    for (name, id) in repo.refs("refs/").into_iter().filter(|(name, _)| fits(name)).take(most) {
        let kind = repo.odb.kind(&id).map_or("commit", Kind::name);
        let commit = repo.peel(id, Kind::Commit)?.map(|id| repo.odb.commit(&id)).transpose()?;
        let mut line = format
            .replace("%(refname:short)", short(&name))
            .replace("%(refname)", &name)
            .replace("%(objectname:short)", &repo.short(&id))
            .replace("%(objectname)", &id.hex())
            .replace("%(objecttype)", kind)
            .replace("%09", "\t")
            .replace("%00", "\0");
        if let Some(commit) = commit {
            let date = |form: &str| crate::date::show(commit.committer.time, commit.committer.zone, form);
            line = line
                .replace("%(subject)", &commit.subject().to_str_lossy())
                .replace("%(contents:subject)", &commit.subject().to_str_lossy())
                .replace("%(authorname)", &commit.author.name.to_str_lossy())
                .replace("%(committerdate:short)", &date("short"))
                .replace("%(committerdate:iso)", &date("iso"))
                .replace("%(committerdate:relative)", &date("relative"))
                .replace("%(committerdate)", &date("default"))
                .replace("%(creatordate:short)", &date("short"))
                .replace("%(creatordate)", &date("default"));
        }
        out.line(line);
    }
    Ok(0)
}

/// `git symbolic-ref`
pub fn symbolic_ref(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let mut args = Args::new(unbundle(args, "q"));
    let (mut brief, mut quiet) = (false, false);
    while let Some(option) = args.option() {
        match option.as_str() {
            "--short" => brief = true,
            "-q" | "--quiet" => quiet = true,
            option => return Err(unknown(option, "symbolic-ref [-q] [--short] <name> [<ref>]")),
        }
    }
    match args.words().as_slice() {
        [name] if name == "HEAD" => match repo.head()? {
            Head::Branch(name) => {
                out.line(if brief { short(&name) } else { &name });
                Ok(0)
            }
            Head::Detached(_) if quiet => Err(silent(1)),
            Head::Detached(_) => Err(fatal("ref HEAD is not a symbolic ref")),
        },
        [name, to] if name == "HEAD" => {
            repo.move_head(&Head::Branch(to.clone()), "")?;
            Ok(0)
        }
        _ => Err(fatal("only HEAD is known here")),
    }
}

/// `git update-ref`
pub fn update_ref(repo: &Repo, args: Vec<Vec<u8>>, _: &mut Out) -> Result<i32> {
    let mut args = Args::new(args);
    let (mut delete, mut why) = (false, String::new());
    while let Some(option) = args.option() {
        match option.as_str() {
            "-d" => delete = true,
            "-m" => why = args.value(&option)?,
            "--no-deref" | "--create-reflog" => {}
            option => return Err(unknown(option, "update-ref [<options>] <refname> <new-oid> [<old-oid>]")),
        }
    }
    let words = args.words();
    match words.as_slice() {
        [name, ..] if delete => repo.delete_ref(name)?,
        [name, to, ..] => {
            let id = repo.rev(to).map_err(|_| fatal(format!("{to}: not a valid SHA1")))?;
            if name == "HEAD" { repo.set_head(id, &why)? } else { repo.set_ref(name, id, &why)? }
        }
        _ => return Err(die(129, "usage: git update-ref [<options>] <refname> <new-oid> [<old-oid>]")),
    }
    Ok(0)
}
