//! What a record says of asking for an action before the program itself, and of finishing it: see `front/asking.rs` and
//! `front/finishing.rs`, which read it.

use crate::asking::OPTIONAL;
use crate::linux::cgroup::settings;
use crate::linux::wire::RUN_AHEAD;
use crate::view::{PATH, RecordId, SHELLS};
use crate::{Host, Network, Plan, Policy, cache};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Limits of time below which an action is not left to itself for a moment.
const USUAL: Duration = Duration::from_secs(1);

/// What is the same for each action; nothing where process 1 is not begun before the program.
pub(super) fn asking(policy: &Policy, host: &Host, plan: &Plan) -> Vec<u8> {
    if policy.network == Network::Proxy || host.cgroup.version == 2 {
        return Vec::new();
    }
    let flags = if plan.works_ahead { RUN_AHEAD } else { 0 };
    let mut bytes: Vec<u8> = [flags, plan.env.len() as u32].into_iter().flat_map(u32::to_ne_bytes).collect();
    let mut add = |parts: &[&[u8]]| {
        bytes.extend(parts.concat());
        bytes.push(0);
    };
    add(&[plan.workspace.join("").as_os_str().as_bytes()]);
    add(&[SHELLS.as_bytes(), b"/bash"]);
    add(&[PATH.as_bytes()]);
    for (key, value) in &plan.env {
        add(&[key.as_bytes(), b"=", value.as_bytes()]);
    }
    for (parent, settings) in settings(&host.cgroup, &policy.limits) {
        add(&[OsStr::as_bytes(parent.as_os_str())]);
        for setting in settings {
            let mark: &[u8] = if setting.is_required { b"" } else { &[OPTIONAL] };
            add(&[mark, setting.file.as_bytes()]);
            add(&[setting.value.as_bytes()]);
        }
        add(&[]);
    }
    bytes
}

/// What has to be looked at besides; nothing where more than a simple action's stdout may have to be said.
pub(super) fn finishing(policy: &Policy, plan: &Plan, view: &RecordId, tree: &Path) -> Vec<u8> {
    let words: Option<Vec<&str>> = policy.refuse.iter().map(|rule| longest_word(&rule.when)).collect();
    let (Some(words), Some(lock)) = (words, cache::lock_of(tree)) else { return Vec::new() };
    if !plan.missing.is_empty() || policy.limits.time < USUAL {
        return Vec::new();
    }
    let mut bytes: Vec<u8> = view.numbers().into_iter().flat_map(i64::to_ne_bytes).collect();
    bytes.extend([policy.write_workspace, policy.network != Network::None].map(u8::from));
    let paths = [tree, &lock, view.file()].map(|path| path.as_os_str().as_bytes());
    for text in paths.into_iter().chain(words.into_iter().map(str::as_bytes)) {
        bytes.extend(text);
        bytes.push(0);
    }
    bytes
}

/// The longest text in a rule that its commands must contain. `*` stands for any text.
fn longest_word(rule: &str) -> Option<&str> {
    let parts = rule.split(|c: char| c == '*' || c.is_whitespace());
    parts.filter(|part| !part.is_empty()).max_by_key(|part| part.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finishing::Finishing;
    use crate::{Refuse, View, Workspace};

    #[test]
    fn what_a_rule_may_refuse_is_not_finished_whatever_quotes_are_in_it() {
        let mut policy = Policy::preset("whitelist").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (view, workspace) = (View::resolve(&policy), Workspace::new(dir.path()));
        let plan = Plan::compile(&policy, &Host::probe(), &view, &workspace).unwrap();
        let (record, tree) = (dir.path().join("record"), dir.path().join("tree"));
        std::fs::write(&record, "x").unwrap();
        let view = RecordId::read(record.clone()).unwrap();
        let bytes = finishing(&policy, &plan, &view, &tree);
        let read = Finishing::read(&bytes).unwrap();
        let lock = format!("{}.lock\0", tree.display());
        assert_eq!(read.lock, lock.as_bytes());
        assert_eq!((read.record_is, read.can_change, read.reaches_out), (view.numbers(), true, false));
        let refused =
            ["git push", "g'it' pu\"s\"h", "git pu\\\nsh", "git $'push'", "echo pushed", "git fetch"];
        assert!(refused.iter().all(|script| read.may_refuse(script.as_bytes())));
        assert!(
            ["", "git log", "pus h", "p-u-s-h", "pul"]
                .iter()
                .all(|script| !read.may_refuse(script.as_bytes()))
        );
        // Of a rule that no word stands for, nothing is known before.
        policy.refuse.push(Refuse { when: "*".into(), because: "no".into() });
        assert!(finishing(&policy, &plan, &view, &tree).is_empty());
        for len in 0..bytes.len() {
            Finishing::read(&bytes[..len]);
        }
    }
}
