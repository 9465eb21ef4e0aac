//! `git bisect`

mod run;
mod search;
mod state;

use crate::error::{Result, die, silent};
use crate::object::Id;
use crate::refs::Head;
use crate::repo::Repo;
use crate::{Out, warn};
use search::Found;
use state::State;

const USAGE: &str =
    "usage: git bisect [help|start|bad|good|new|old|terms|skip|next|reset|visualize|view|replay|log|run]";
/// Status when a good commit turns out not to lie before the bad one.
const MERGE_BASE_BAD: i32 = 3;
/// Status when only skipped commits are left.
const ONLY_SKIPPED: i32 = 2;
/// Status when no commit changes what is looked at.
const NOTHING_TO_TEST: i32 = 4;

/// `git bisect`
pub fn bisect(repo: &Repo, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let words: Vec<String> = args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
    let Some((name, rest)) = words.split_first() else { return Err(die(1, USAGE)) };
    let state = State::open(repo);
    match name.as_str() {
        "start" => start(repo, rest, out),
        "bad" | "good" | "new" | "old" => mark(repo, name, rest, out),
        "skip" => skip(repo, rest, out),
        "next" => {
            state.started()?;
            next(repo, out)
        }
        "reset" => reset(repo, rest, out),
        "terms" => terms(&state, rest, out),
        "log" => {
            let text = state.log().filter(|text| !text.is_empty());
            out.bytes.extend(text.ok_or_else(|| die(1, "error: We are not bisecting."))?);
            Ok(0)
        }
        "view" | "visualize" => view(repo, &args[1..], out),
        "replay" => replay(repo, rest, out),
        "run" => run::run(repo, rest, out),
        "help" | "-h" | "--help" => {
            out.line(USAGE);
            Ok(0)
        }
        name if state.is_term(name) => mark(repo, name, rest, out),
        name => Err(die(129, format!("error: unknown subcommand: `{name}'\n{USAGE}\n"))),
    }
}

fn start(repo: &Repo, words: &[String], out: &mut Out) -> Result<i32> {
    let mut terms = ("bad".to_owned(), "good".to_owned());
    let (mut no_checkout, mut first_parent) = (false, false);
    let mut revs: Vec<Id> = Vec::new();
    let dashes = words.iter().any(|word| word == "--");
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let mut value = || match word.split_once('=') {
            Some((_, value)) => value.to_owned(),
            None => {
                at += 1;
                words.get(at).cloned().unwrap_or_default()
            }
        };
        match word.split('=').next().unwrap_or_default() {
            "--" => break,
            "--no-checkout" => no_checkout = true,
            "--first-parent" => first_parent = true,
            "--term-good" | "--term-old" => terms.1 = value(),
            "--term-bad" | "--term-new" => terms.0 = value(),
            option if option.starts_with("--") => {
                return Err(die(1, format!("error: unrecognized option: '{word}'")));
            }
            _ => match repo.rev_commit(word) {
                Ok(id) => revs.push(id),
                Err(_) if dashes => {
                    return Err(die(128, format!("fatal: '{word}' does not appear to be a valid revision")));
                }
                // Without dashes, what is no revision begins the paths.
                Err(_) => break,
            },
        }
        at += 1;
    }
    let paths = &words[at.min(words.len())..];
    let state = State::open(repo);
    let begun = match state.began() {
        // A search under way goes back to where it began.
        Some(begun) => {
            go(repo, &begun, &mut Out::default(), false)?;
            begun
        }
        None => match repo.head()? {
            Head::Branch(name) => name.strip_prefix("refs/heads/").unwrap_or(&name).to_owned(),
            Head::Detached(id) => id.hex(),
        },
    };
    state.clear()?;
    let state = State::begin(repo, &begun, &terms, paths, no_checkout, first_parent)?;
    for (number, id) in revs.iter().enumerate() {
        state.mark(if number == 0 { &terms.0 } else { &terms.1 }, *id)?;
    }
    let typed: String = words.iter().map(|word| format!(" {}", state::quoted(word))).collect();
    state.note(&format!("git bisect start{typed}\n"))?;
    let status = auto_next(repo, out);
    // A start that leads nowhere leaves nothing.
    if !matches!(status, Ok(0)) {
        State::open(repo).clear()?;
    }
    status
}

fn mark(repo: &Repo, name: &str, words: &[String], out: &mut Out) -> Result<i32> {
    let state = State::open(repo);
    state.started()?;
    let name = state.term(name)?;
    let bad = name == state.terms.0;
    if bad && words.len() > 1 {
        return Err(die(1, format!("error: 'git bisect {name}' can take only one argument.")));
    }
    let revs = state.read_revs(words)?;
    for id in &revs {
        state.mark(&name, *id)?;
        state.note(&format!("git bisect {name} {id}\n"))?;
    }
    state.forget_expected(&revs);
    auto_next(repo, out)
}

fn skip(repo: &Repo, words: &[String], out: &mut Out) -> Result<i32> {
    let state = State::open(repo);
    state.started()?;
    let mut revs = Vec::new();
    for word in words.iter().filter(|word| word.contains("..")) {
        let mut range = crate::args::Revs::default();
        if !repo.take_rev(word, &mut range)? {
            return Err(die(1, format!("error: Bad rev input: {word}")));
        }
        let from: Vec<Id> = range.from.iter().map(|(_, id)| *id).collect();
        for commit in repo.walk(&from, &range.not, false) {
            revs.push(commit?.id);
        }
    }
    let single: Vec<String> = words.iter().filter(|word| !word.contains("..")).cloned().collect();
    if words.is_empty() || !single.is_empty() {
        revs.extend(state.read_revs(&single)?);
    }
    for id in &revs {
        state.mark("skip", *id)?;
        state.note(&format!("git bisect skip {id}\n"))?;
    }
    state.forget_expected(&revs);
    auto_next(repo, out)
}

/// Goes on if both a bad and a good commit are known, else says what is missing.
fn auto_next(repo: &Repo, out: &mut Out) -> Result<i32> {
    let state = State::open(repo);
    let (good, bad) = (state.goods().len(), state.bad());
    let text = match (bad, good) {
        (Some(_), 1..) => return next(repo, out),
        (Some(_), 0) => "status: waiting for good commit(s), bad commit known".to_owned(),
        (None, 0) => "status: waiting for both good and bad commits".to_owned(),
        (None, 1) => "status: waiting for bad commit, 1 good commit known".to_owned(),
        (None, good) => format!("status: waiting for bad commit, {good} good commits known"),
    };
    out.line(&text);
    state.note(&format!("# {text}\n"))?;
    Ok(0)
}

/// Chooses the next commit and checks it out, or tells the first bad one.
fn next(repo: &Repo, out: &mut Out) -> Result<i32> {
    let state = State::open(repo);
    let Some(bad) = state.bad() else { return Err(silent(1)) };
    let (term_bad, term_good) = &state.terms;
    match search::search(repo, &state)? {
        Found::Descendant => {
            warn(format!(
                "Some {term_good} revs are not ancestors of the {term_bad} rev.\ngit bisect cannot work properly in \
                 this case.\nMaybe you mistook {term_good} and {term_bad} revs?"
            ));
            Ok(1)
        }
        Found::BaseIsBad(base) => {
            let goods: Vec<String> = state.goods().iter().map(Id::hex).collect();
            let goods = goods.join(" ");
            warn(match (term_bad.as_str(), term_good.as_str()) {
                ("bad", "good") => format!(
                    "The merge base {base} is bad.\nThis means the bug has been fixed between {base} and [{goods}]."
                ),
                _ => format!(
                    "The merge base {base} is {term_bad}.\nThis means the first '{term_good}' commit is between {base} \
                     and [{goods}]."
                ),
            });
            Ok(MERGE_BASE_BAD)
        }
        Found::Base(base) => {
            out.line("Bisecting: a merge base must be tested");
            check_out(repo, &state, base, out)
        }
        Found::Nothing => {
            warn("No testable commit found.\nMaybe you started with bad path arguments?");
            Ok(NOTHING_TO_TEST)
        }
        Found::Both => {
            out.line(format!("{bad} was both {term_good} and {term_bad}"));
            Ok(1)
        }
        Found::First => {
            out.line(format!("{bad} is the first {term_bad} commit"));
            let args =
                ["--stat", "--summary", "--no-decorate", &bad.hex()].map(|arg| arg.as_bytes().to_vec());
            super::log::show(repo, args.into(), out)?;
            state.note(&format!("# first {term_bad} commit: {}\n", state.named(bad)?))?;
            Ok(0)
        }
        Found::OnlySkipped { tried, all } => {
            out.line(format!(
                "There are only 'skip'ped commits left to test.\nThe first {term_bad} commit could be any of:"
            ));
            tried.iter().chain([&bad]).for_each(|id| out.line(id.hex()));
            out.line("We cannot bisect more!");
            state.note("# only skipped commits left to test\n")?;
            for id in all {
                state.note(&format!("# possible first {term_bad} commit: {}\n", state.named(id)?))?;
            }
            Ok(ONLY_SKIPPED)
        }
        Found::Next { id, left, steps } => {
            let plural = |count: i64| if count == 1 { "" } else { "s" };
            out.line(format!(
                "Bisecting: {left} revision{} left to test after this (roughly {steps} step{})",
                plural(left),
                plural(steps)
            ));
            check_out(repo, &state, id, out)
        }
    }
}

/// Brings the worktree to a commit that is to be tested.
fn check_out(repo: &Repo, state: &State, id: Id, out: &mut Out) -> Result<i32> {
    state.expect(id)?;
    if state.no_checkout() {
        state.set_head(id)?;
    } else {
        go(repo, &id.hex(), out, true)?;
    }
    out.line(state.named(id)?);
    Ok(0)
}

fn go(repo: &Repo, name: &str, out: &mut Out, quiet: bool) -> Result<()> {
    let mut args = vec![name.as_bytes().to_vec(), b"--".to_vec()];
    if quiet {
        args.insert(0, b"-q".to_vec());
    }
    super::checkout::checkout(repo, args, out).map(|_| ())
}

fn reset(repo: &Repo, words: &[String], out: &mut Out) -> Result<i32> {
    let state = State::open(repo);
    let name = match words {
        [] => match state.began() {
            Some(begun) => begun,
            None => {
                out.line("We are not bisecting.");
                return Ok(0);
            }
        },
        [rev] => {
            if repo.try_rev(rev)?.is_none() {
                return Err(die(1, format!("error: '{rev}' is not a valid commit")));
            }
            rev.clone()
        }
        _ => return Err(die(1, "error: 'git bisect reset' takes either no argument or a commit")),
    };
    if !state.no_checkout() {
        go(repo, &name, out, false).map_err(|error| {
            let text = String::from_utf8_lossy(&error.text).into_owned();
            die(
                1,
                format!(
                    "{text}\nerror: could not check out original HEAD '{name}'. Try 'git bisect reset <commit>'."
                ),
            )
        })?;
    }
    state.clear()?;
    Ok(0)
}

fn terms(state: &State, words: &[String], out: &mut Out) -> Result<i32> {
    if !state.has_terms() {
        return Err(die(1, "error: no terms defined"));
    }
    let (bad, good) = &state.terms;
    match words.first().map(String::as_str) {
        None => {
            out.line(format!("Your current terms are {good} for the old state\nand {bad} for the new state."))
        }
        Some("--term-good" | "--term-old") => out.line(good),
        Some("--term-bad" | "--term-new") => out.line(bad),
        Some(option) => {
            return Err(die(
                1,
                format!(
                    "error: invalid argument {option} for 'git bisect terms'.\nSupported options are: \
                     --term-good|--term-old and --term-bad|--term-new."
                ),
            ));
        }
    }
    Ok(0)
}

fn view(repo: &Repo, args: &[Vec<u8>], out: &mut Out) -> Result<i32> {
    let state = State::open(repo);
    let (Some(bad), goods) = (state.bad(), state.goods()) else { return Err(silent(1)) };
    let mut all = args.to_vec();
    all.push(bad.hex().into_bytes());
    all.extend(goods.iter().map(|good| format!("^{good}").into_bytes()));
    super::log::log(repo, all, out)
}

fn replay(repo: &Repo, words: &[String], out: &mut Out) -> Result<i32> {
    let [path] = words else { return Err(die(1, "error: no logfile given")) };
    let text = std::fs::read_to_string(path)
        .map_err(|_| die(1, format!("error: cannot read file '{path}' for replaying")))?;
    reset(repo, &[], out)?;
    for line in text.lines() {
        let line = line.strip_prefix("git ").unwrap_or(line);
        let Some(rest) = line.strip_prefix("bisect ").or_else(|| line.strip_prefix("bisect-")) else {
            continue;
        };
        let words = state::unquoted(rest);
        let Some((name, rest)) = words.split_first() else { continue };
        let state = State::open(repo);
        match name.as_str() {
            "start" => _ = start(repo, rest, out)?,
            name if name == "skip" || state.is_term(name) => {
                for id in state.read_revs(rest)? {
                    state.mark(name, id)?;
                    state.note(&format!("git bisect {name} {id}\n"))?;
                }
            }
            "terms" => _ = terms(&state, rest, out)?,
            name => return Err(die(1, format!("error: replay: unknown command: {name}"))),
        }
    }
    auto_next(repo, out)
}
