//! How the branch stands.

use crate::Out;
use crate::error::Result;
use crate::object::Id;
use crate::refs::Head;
use crate::repo::Repo;

/// Ahead and behind of a branch's upstream: its name and the two counts, `None` if it is gone.
pub fn tracking(repo: &Repo, branch: &str) -> Option<(String, Option<(usize, usize)>)> {
    let name = repo.upstream_name(branch)?;
    let short = crate::refs::short(&name).to_owned();
    let (Some(ours), Some(theirs)) = (repo.find_ref(&format!("refs/heads/{branch}")), repo.find_ref(&name))
    else {
        return Some((short, None));
    };
    let count = |from: Id, not: Id| repo.walk(&[from], &[not], false).count();
    Some((short, Some((count(ours, theirs), count(theirs, ours)))))
}

/// `On branch main` and what follows about the upstream.
pub(super) fn heading(repo: &Repo, out: &mut Out) -> Result<()> {
    match repo.head()? {
        Head::Branch(name) => {
            let name = name.strip_prefix("refs/heads/").unwrap_or(&name).to_owned();
            out.line(format!("On branch {name}"));
            if let Some((upstream, counts)) = tracking(repo, &name) {
                out.line(about_upstream(&upstream, counts));
                out.line("");
            }
        }
        Head::Detached(id) => {
            out.line(match detached(repo, id) {
                Some(since) => format!("HEAD detached {since}"),
                None => "Not currently on any branch.".into(),
            });
        }
    }
    Ok(())
}

/// Since when HEAD is on no branch: `at v1`, or `from v1` if it went on; none if that is not known.
pub fn detached(repo: &Repo, id: Id) -> Option<String> {
    let log = repo.log_of("HEAD");
    let line = log.iter().find(|line| line.why.starts_with(b"checkout: moving from "))?;
    let why = String::from_utf8_lossy(&line.why).into_owned();
    let to = why.rsplit(" to ").next().unwrap_or_default();
    let is_branch = || repo.named(to).is_some_and(|(full, _)| full.starts_with("refs/heads/"));
    let name = match Id::parse(to.as_bytes()) {
        Some(full) => repo.short(&full),
        None if is_branch() || to.starts_with("HEAD") || to.contains(['~', '^']) => repo.short(&line.new),
        None => to.to_owned(),
    };
    Some(format!("{} {name}", if line.new == id { "at" } else { "from" }))
}

/// How a branch stands to the one that it follows.
pub fn about_upstream(upstream: &str, counts: Option<(usize, usize)>) -> String {
    let commits = |count: usize| if count == 1 { "commit" } else { "commits" };
    match counts {
        None => format!(
            "Your branch is based on '{upstream}', but the upstream is gone.\n  (use \"git branch --unset-upstream\" to fixup)"
        ),
        Some((0, 0)) => format!("Your branch is up to date with '{upstream}'."),
        Some((ahead, 0)) => format!(
            "Your branch is ahead of '{upstream}' by {ahead} {}.\n  (use \"git push\" to publish your local commits)",
            commits(ahead)
        ),
        Some((0, behind)) => format!(
            "Your branch is behind '{upstream}' by {behind} {}, and can be fast-forwarded.\n  (use \"git pull\" to update \
             your local branch)",
            commits(behind)
        ),
        Some((ahead, behind)) => format!(
            "Your branch and '{upstream}' have diverged,\nand have {ahead} and {behind} different commits each, \
             respectively.\n  (use \"git pull\" if you want to integrate the remote branch with yours)"
        ),
    }
}
