//! Names and links that could harm whoever uses the directory later: above all, what makes git run a program.
//!
//! Git runs what a repository's configuration and hooks say, at a mere `git status`. It finds a repository by a `.git`
//! directory, by a `.git` file or link that leads elsewhere, and by any directory that looks like a bare one
//! (gitrepository-layout(5), `safe.bareRepository` in git-config(1)). So all three are looked at.

use super::layer::split;

/// Below a repository: what makes git run a program, or look elsewhere for what it runs. In lower case.
const GIT_CODE: [&[u8]; 14] = [
    b"branches",
    b"commondir",
    b"config",
    b"config.worktree",
    b"gitdir",
    b"hooks",
    b"info/attributes",
    b"modules",
    b"objects/info/alternates",
    b"objects/info/http-alternates",
    // Its list of things to do may hold `exec` lines, for `git rebase --continue`.
    b"rebase-merge",
    b"remotes",
    // Its options may name a merge strategy, which is a program, for `git cherry-pick --continue`.
    b"sequencer",
    b"worktrees",
];
/// As [`GIT_CODE`], with what makes a plain directory a repository in the first place.
const BARE_CODE: [&[u8]; 6] = [b"commondir", b"config", b"config.worktree", b"head", b"hooks", b"modules"];
/// What a repository has besides, and what runs nothing by itself.
const BARE_PARTS: [&[u8]; 2] = [b"objects", b"refs"];

const MAKES_BARE: &str = "it makes the directory a bare repository: git would run what it says";

/// Whether a path is or lies in a `.git`.
pub(super) fn in_git(path: &[u8]) -> bool {
    path.split(|b| *b == b'/').any(is_git)
}

/// `.git`, in the spelling of any file system that git guards against: a workspace may lie on one.
pub(super) fn is_git(name: &[u8]) -> bool {
    let is_possible = name.first().is_some_and(|b| matches!(b, b'.' | b'g' | b'G') || !b.is_ascii());
    is_possible && matches!(folded(name).as_slice(), b".git" | b"git~1")
}

/// A name as those file systems read it: in lower case, without the characters that HFS+ and an ext4 that folds case
/// pass over, and without what NTFS and FAT cut off (`is_hfs_dotgit` and `is_ntfs_dotgit` of git).
fn folded(name: &[u8]) -> Vec<u8> {
    let is_seen = |c: &char| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let seen: String = String::from_utf8_lossy(name).chars().filter(is_seen).collect();
    let kept = seen.split([':', '\\']).next().unwrap_or_default().trim_end_matches(['.', ' ']);
    kept.to_ascii_lowercase().into_bytes()
}

/// Whether a name may be the short one of another on NTFS or FAT, as `COMMON~1`.
fn is_short(name: &[u8]) -> bool {
    name.windows(2).any(|two| two[0] == b'~' && two[1].is_ascii_digit())
}

/// Why a path may not be written, whatever it holds. `exists` tells whether a path will exist after the commit.
pub(super) fn name(path: &[u8], exists: &mut dyn FnMut(&[u8]) -> bool) -> Option<&'static str> {
    let mut parts = path.split(|b| *b == b'/');
    if parts.next().is_some_and(is_git) {
        let inside: Vec<Vec<u8>> = parts.map(folded).collect();
        if inside.iter().any(|part| is_git(part)) {
            return Some("a git directory in the repository's own");
        }
        let is_short = inside.iter().any(|part| is_short(part));
        let inside = inside.join(&b'/');
        let code = is_short || GIT_CODE.iter().any(|code| inside == *code || is_beneath(code, &inside));
        return code.then_some("git would run or follow what it says");
    }
    if parts.any(is_git) {
        return Some("a git directory inside the workspace: git would run what it says");
    }
    let mut end = Some(path.len());
    while let Some(at) = end {
        let (dir, part) = split(&path[..at]);
        let mut is_there = |p: &[u8]| p.eq_ignore_ascii_case(path) || exists(p);
        if BARE_CODE.contains(&folded(part).as_slice()) && is_bare(dir, &mut is_there) {
            return Some(MAKES_BARE);
        }
        end = at.checked_sub(part.len() + 1);
    }
    None
}

/// Why a path may not come to be, whatever it holds: a repository that came in parts, by one commit after the other, would
/// be whole with it. `exists` tells whether a path is there now.
pub(super) fn last_part(path: &[u8], exists: &mut dyn FnMut(&[u8]) -> bool) -> Option<&'static str> {
    let (dir, part) = split(path);
    let completes = BARE_PARTS.contains(&folded(part).as_slice())
        && !is_bare(dir, exists)
        && is_bare(dir, &mut |p| p.eq_ignore_ascii_case(path) || exists(p));
    completes.then_some(MAKES_BARE)
}

/// Whether git takes a directory for a repository. The check is git's own (`is_git_directory`), names only.
fn is_bare(dir: &[u8], exists: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let mut has = |name: &[u8]| {
        let path = if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() };
        exists(&path)
    };
    has(b"HEAD") && (has(b"commondir") || (has(b"objects") && has(b"refs")))
}

/// Why a link at `path` to `target` may not be made. It is read as text, so no `..` may follow a name: that name could
/// be a link itself, and two links that stay inside would lead out together.
pub(super) fn link(path: &[u8], target: &[u8]) -> Option<String> {
    let out =
        || Some(format!("a link that leads out of the workspace, to {}", String::from_utf8_lossy(target)));
    if target.is_empty() || target[0] == b'/' {
        return out();
    }
    let mut above = path.iter().filter(|b| **b == b'/').count();
    let mut named = false;
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if named || above == 0 => return out(),
            b".." => above -= 1,
            part if is_git(part) => return Some("a link into a git directory".into()),
            _ => named = true,
        }
    }
    None
}

/// Whether a path lies beneath a directory.
pub(super) fn is_beneath(dir: &[u8], path: &[u8]) -> bool {
    path.len() > dir.len() && path.starts_with(dir) && path[dir.len()] == b'/'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_in_lower_case_and_without_duplicates() {
        for table in [&GIT_CODE[..], &BARE_CODE[..], &BARE_PARTS[..]] {
            assert!(table.windows(2).all(|w| w[0] < w[1]));
            assert!(table.iter().all(|name| name.to_ascii_lowercase() == *name));
        }
    }

    #[test]
    fn names_that_make_git_run_something_are_known() {
        let withheld = |path: &str| name(path.as_bytes(), &mut |_| false).is_some();
        for path in [
            ".git/config",
            ".git/hooks",
            ".git/hooks/pre-commit",
            ".GIT/Hooks/x",
            ".git/info/attributes",
            ".git/modules/a/config",
            ".git/objects/info/alternates",
            ".git/rebase-merge/git-rebase-todo",
            ".git/sequencer/opts",
            ".git/worktrees/a/gitdir",
            "sub/.git",
            "sub/.Git/HEAD",
            ".git/x/.git",
            // On NTFS and FAT.
            "sub/git~1",
            "sub/.git .",
            "sub/.git::$INDEX_ALLOCATION/config",
            "GIT~1/hooks/pre-commit",
            ".git./config",
            ".git/config.",
            ".git/COMMON~1",
            // On HFS+, and on an ext4 that folds case.
            "sub/.g\u{200c}it",
            "\u{feff}.git/hooks/pre-commit",
            ".git/ho\u{200d}oks",
        ] {
            assert!(withheld(path), "{path}");
        }
        for path in [
            ".git",
            ".git/HEAD",
            ".git/index",
            ".git/objects/ab/cd",
            ".git/objects/info/packs",
            ".git/refs/heads/config",
            ".git/logs/HEAD",
            ".git/info/exclude",
            ".gitignore",
            ".gitmodules",
            "git~",
            "git~12",
            ".gitté",
            "config",
            "hooks/use.js",
            "sub/HEAD",
        ] {
            assert!(!withheld(path), "{path}");
        }
    }

    #[test]
    fn a_directory_that_git_would_take_for_a_repository_is_known() {
        let with = |there: &'static [&'static str], path: &str| {
            name(path.as_bytes(), &mut |p| there.iter().any(|t| t.as_bytes() == p)).is_some()
        };
        let bare = &["x/HEAD", "x/objects", "x/refs"];
        for path in ["x/HEAD", "x/config", "x/hooks/pre-commit", "x/hooks"] {
            assert!(with(bare, path), "{path}");
        }
        assert!(with(&["HEAD", "commondir"], "HEAD"));
        // Where letter case does not matter.
        assert!(with(&["x/objects", "x/refs"], "x/head"));
        for path in ["x/objects/y", "x/refs", "x/main.c", "y/config", "config"] {
            assert!(!with(bare, path), "{path}");
        }
        assert!(!with(&["x/HEAD", "x/objects"], "x/config"));
    }

    #[test]
    fn links_stay_inside_alone_and_together() {
        for (path, target) in [("a", "b"), ("d/e/l", "../../x/y"), ("d/l", ".."), ("l", "./a//b"), ("l", ".")]
        {
            assert_eq!(link(path.as_bytes(), target.as_bytes()), None, "{path} to {target}");
        }
        for (path, target) in [
            ("a", "/etc"),
            ("a", ".."),
            ("d/l", "../.."),
            // `x/y` may be a link to `.`: together they lead out.
            ("l", "x/y/.."),
            ("d/l", "../x/../.."),
            ("l", ".git/hooks"),
            ("d/l", "../.GIT"),
            ("l", ""),
        ] {
            assert!(link(path.as_bytes(), target.as_bytes()).is_some(), "{path} to {target}");
        }
    }
}
