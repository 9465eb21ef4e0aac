//! Which commit to test next: the one whose test halves the others, as git weighs them.

use super::state::State;
use crate::error::Result;
use crate::object::{Commit, Id};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use std::collections::{HashMap, HashSet};

/// What a search comes to.
pub enum Found {
    /// A good commit descends from the bad one.
    Descendant,
    /// A merge base of both was found bad.
    BaseIsBad(Id),
    /// A merge base of both is to be tested first.
    Base(Id),
    /// One commit was said to be both.
    Both,
    /// The bad commit is the first.
    First,
    /// No commit changes what is looked at.
    Nothing,
    /// Only skipped commits are left: those tried, best first, and all that are left, newest first.
    OnlySkipped {
        /// Those that would have been tested.
        tried: Vec<Id>,
        /// All of them.
        all: Vec<Id>,
    },
    /// The next commit.
    Next {
        /// Its id.
        id: Id,
        /// How many are left after it.
        left: i64,
        /// How many tests there will be, about.
        steps: i64,
    },
}

/// Searches on.
pub fn search(repo: &Repo, state: &State) -> Result<Found> {
    let (Some(bad), goods) = (state.bad(), state.goods()) else { return Ok(Found::First) };
    if !state.bases_known() {
        if let Some(found) = bases(repo, state, bad, &goods)? {
            return Ok(found);
        }
        state.know_bases()?;
    }
    let specs: Vec<Vec<u8>> = state.paths().into_iter().map(String::into_bytes).collect();
    let specs = Pathspec::new(repo, &specs)?;
    let mut commits = Vec::new();
    for commit in repo.walk(&[bad], &goods, state.first_parent()) {
        commits.push(commit?);
    }
    let mut same = HashSet::new();
    if !specs.is_empty() {
        for commit in &commits {
            let parent = commit.parents.first().map(|parent| repo.odb.commit(parent)).transpose()?;
            if !repo.trees_differ(parent.map(|parent| parent.tree), Some(commit.tree), &specs)? {
                same.insert(commit.id);
            }
        }
    }
    let all: Vec<Id> = commits.iter().map(|commit| commit.id).filter(|id| !same.contains(id)).collect();
    let skipped: HashSet<Id> = state.skipped().into_iter().collect();
    commits.reverse();
    let weights = Weights { commits: &commits, same: &same, first_parent: state.first_parent() };
    let found = weights.best(all.len() as i64, !skipped.is_empty());
    if all.is_empty() && !same.is_empty() {
        return Ok(Found::Nothing);
    }
    let reaches = found.first().map_or(0, |(_, reaches)| *reaches);
    if found.is_empty() {
        return Ok(if goods.contains(&bad) { Found::Both } else { Found::First });
    }
    let (tried, left): (Vec<_>, Vec<_>) = found.into_iter().partition(|(id, _)| skipped.contains(id));
    let tried: Vec<Id> = tried.into_iter().map(|(id, _)| id).collect();
    let chosen = if tried.is_empty() { left.first() } else { away(&left, bad) };
    let only = || Found::OnlySkipped { tried: tried.clone(), all: all.clone() };
    match chosen {
        None => Ok(only()),
        Some((id, _)) if *id == bad => Ok(if tried.is_empty() { Found::First } else { only() }),
        Some((id, _)) => {
            let count = all.len() as i64;
            Ok(Found::Next { id: *id, left: count - reaches - 1, steps: steps(count) })
        }
    }
}

/// Looks at merge bases of the bad commit and the good ones that are no ancestors of it.
fn bases(repo: &Repo, state: &State, bad: Id, goods: &[Id]) -> Result<Option<Found>> {
    let skipped = state.skipped();
    for good in goods {
        for base in repo.merge_base(bad, *good)? {
            if base == bad && *good != bad {
                return Ok(Some(match state.expected() {
                    Some(expected) if expected == base => Found::BaseIsBad(base),
                    _ => Found::Descendant,
                }));
            }
            if !goods.contains(&base) && !skipped.contains(&base) {
                return Ok(Some(Found::Base(base)));
            }
        }
    }
    Ok(None)
}

/// How many tests so many commits take, about.
fn steps(count: i64) -> i64 {
    if count < 3 {
        return 0;
    }
    let log = i64::from(count.ilog2());
    let power = 1 << log;
    if power < 3 * (count - power) { log } else { log - 1 }
}

/// Commits, oldest first, with what is weighed of them.
struct Weights<'a> {
    commits: &'a [Commit],
    /// Those that change nothing of what is looked at.
    same: &'a HashSet<Id>,
    first_parent: bool,
}

impl Weights<'_> {
    /// Returns the commit that halves the others best, or all of them from best to worst, each with how many it reaches.
    fn best(&self, count: i64, all: bool) -> Vec<(Id, i64)> {
        let inside: HashMap<Id, &Commit> = self.commits.iter().map(|commit| (commit.id, commit)).collect();
        let parents = |commit: &Commit| -> Vec<Id> {
            let most = if self.first_parent { 1 } else { usize::MAX };
            commit.parents.iter().take(most).copied().filter(|id| inside.contains_key(id)).collect()
        };
        let own = |commit: &Commit| i64::from(!self.same.contains(&commit.id));
        let halves = |commit: &Commit, weight: i64| {
            let difference = (2 * weight - count).abs();
            !all && own(commit) == 1 && (difference <= 1 || difference < count / 1024)
        };
        let mut weights: HashMap<Id, i64> = HashMap::new();
        let mut merges = Vec::new();
        for commit in self.commits {
            match parents(commit).len() {
                0 => _ = weights.insert(commit.id, own(commit)),
                1 => {}
                _ => merges.push(commit),
            }
        }
        for commit in merges {
            let mut seen = HashSet::new();
            let mut queue = vec![commit];
            while let Some(commit) = queue.pop() {
                if seen.insert(commit.id) {
                    queue.extend(parents(commit).iter().filter_map(|id| inside.get(id)));
                }
            }
            let weight = seen.iter().filter(|id| !self.same.contains(id)).count() as i64;
            weights.insert(commit.id, weight);
            if halves(commit, weight) {
                return vec![(commit.id, weight)];
            }
        }
        // What has one parent weighs one more than that.
        loop {
            let before = weights.len();
            for commit in self.commits.iter().filter(|commit| parents(commit).len() == 1) {
                if weights.contains_key(&commit.id) {
                    continue;
                }
                let Some(weight) = parents(commit).iter().find_map(|parent| weights.get(parent)).copied()
                else {
                    continue;
                };
                let weight = weight + own(commit);
                weights.insert(commit.id, weight);
                if halves(commit, weight) {
                    return vec![(commit.id, weight)];
                }
            }
            if weights.len() == before {
                break;
            }
        }
        let distance = |weight: i64| weight.min(count - weight);
        let mut found: Vec<(Id, i64)> = self
            .commits
            .iter()
            .filter(|commit| own(commit) == 1)
            .map(|commit| (commit.id, weights.get(&commit.id).copied().unwrap_or(0)))
            .collect();
        if all {
            found.sort_by(|a, b| distance(b.1).cmp(&distance(a.1)).then(a.0.cmp(&b.0)));
        } else {
            // Of equal ones the oldest.
            let best = found.iter().rev().max_by_key(|(_, weight)| distance(*weight)).copied();
            found = best.into_iter().collect();
        }
        found
    }
}

/// Chooses away from the skipped ones, so that one bad place does not hold the search up; git's own steps.
fn away(left: &[(Id, i64)], bad: Id) -> Option<&(Id, i64)> {
    const MODULO: u64 = 32_768;
    let count = left.len() as u64;
    let random = (count.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0xffff_ffff) / 65_536 % MODULO;
    let root = |number: u64| number.isqrt();
    let index = (count * random / MODULO) * root(random) / root(MODULO);
    let at = usize::try_from(index).ok()?;
    match left.get(at) {
        Some(chosen) if chosen.0 != bad => Some(chosen),
        Some(_) if at > 0 => left.get(at - 1),
        _ => left.first(),
    }
}
