//! The commands: one function each, and the table of their names.

mod apply;
mod archive;
mod bisect;
mod blame;
mod branch;
mod bundle;
mod checkout;
mod clone;
mod commit;
mod diff;
mod format;
mod grep;
mod inspect;
mod log;
mod pick;
mod pieces;
mod setup;
mod stage;
mod stash;
mod status;
mod worktree;

use crate::Out;
use crate::error::{Result, die};
use crate::repo::Repo;

pub use checkout::two_way;

type Run = fn(&Repo, Vec<Vec<u8>>, &mut Out) -> Result<i32>;

const TABLE: &[(&str, Run)] = &[
    ("add", stage::add),
    ("am", pick::am),
    ("archive", archive::archive),
    ("bisect", bisect::bisect),
    ("blame", blame::blame),
    ("annotate", blame::blame),
    ("branch", branch::branch),
    ("cat-file", inspect::cat_file),
    ("check-ignore", inspect::check_ignore),
    ("checkout", checkout::checkout),
    ("cherry-pick", pick::cherry_pick),
    ("clean", stage::clean),
    ("commit", commit::commit),
    ("count-objects", inspect::count_objects),
    ("describe", inspect::describe),
    ("diff-tree", diff::diff_tree),
    ("diff-index", diff::diff_index),
    ("diff-files", diff::diff_files),
    ("for-each-ref", branch::for_each_ref),
    ("format-patch", log::format_patch),
    ("fsck", inspect::quiet),
    ("gc", inspect::quiet),
    ("log", log::log),
    ("ls-files", inspect::ls_files),
    ("ls-tree", inspect::ls_tree),
    ("merge", pick::merge),
    ("merge-base", inspect::merge_base),
    ("mv", stage::mv),
    ("notes", inspect::notes),
    ("read-tree", stage::read_tree),
    ("rebase", pick::rebase),
    ("reflog", log::reflog),
    ("remote", branch::remote),
    ("reset", checkout::reset),
    ("restore", checkout::restore),
    ("rev-list", log::rev_list),
    ("revert", pick::revert),
    ("rm", stage::rm),
    ("shortlog", log::shortlog),
    ("show", log::show),
    ("show-ref", branch::show_ref),
    ("stash", stash::stash),
    ("status", status::status),
    ("submodule", inspect::quiet),
    ("switch", checkout::switch),
    ("symbolic-ref", branch::symbolic_ref),
    ("tag", branch::tag),
    ("update-index", stage::update_index),
    ("update-ref", branch::update_ref),
    ("whatchanged", log::log),
    ("worktree", worktree::worktree),
    ("write-tree", stage::write_tree),
];

/// What needs another machine or another program.
const REFUSED: &[&str] = &[
    "fetch",
    "pull",
    "push",
    "ls-remote",
    "send-email",
    "daemon",
    "instaweb",
    "gui",
    "difftool",
    "mergetool",
];

/// Runs one command.
pub fn run(name: &str, args: Vec<Vec<u8>>, extra: Vec<(String, String)>, out: &mut Out) -> Result<i32> {
    let (dirs, extra): (Vec<_>, Vec<_>) = extra.into_iter().partition(|(key, _)| key.starts_with("--"));
    let mut repo = Repo::open(&extra);
    for (key, value) in dirs {
        repo = crate::command::setup::elsewhere(repo, &key, &value, &extra);
    }
    match name {
        "init" => return setup::init(args, &extra, out),
        "clone" => return clone::clone(args, out),
        "config" => return setup::config(repo.ok().as_ref(), args, &extra, out),
        "hash-object" => return inspect::hash_object(repo.ok().as_ref(), args, out),
        "version" => {
            out.line("git version 2.39.5");
            return Ok(0);
        }
        "help" => {
            out.line(crate::USAGE);
            return Ok(0);
        }
        "bundle" => return bundle::bundle(repo, args, out),
        "grep" => return grep::grep(repo, args, out),
        "diff" => return diff::diff(repo, args, out),
        "apply" => return apply::apply(repo.ok().as_ref(), args, out),
        "rev-parse" => return inspect::rev_parse(repo, args, out),
        _ => {}
    }
    if let Some((_, run)) = TABLE.iter().find(|(known, _)| *known == name) {
        return run(&repo?, args, out);
    }
    if REFUSED.contains(&name) {
        return Err(die(
            128,
            format!("fatal: git {name} needs the network or another program; this sandbox has neither"),
        ));
    }
    if let Ok(repo) = &repo
        && let Some(alias) = repo.config.get(&format!("alias.{name}")).filter(|alias| !alias.starts_with('!'))
    {
        let mut words: Vec<Vec<u8>> = alias.split_whitespace().map(|word| word.as_bytes().to_vec()).collect();
        if !words.is_empty() && !TABLE.iter().all(|(known, _)| known.as_bytes() != words[0].as_slice()) {
            let first = String::from_utf8_lossy(&words.remove(0)).into_owned();
            words.extend(args);
            return run(&first, words, extra, out);
        }
    }
    Err(die(1, format!("git: '{name}' is not a git command. See 'git --help'.")))
}
