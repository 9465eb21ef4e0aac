//! The attacks: data files, in which a few lines span many cases.

use anyhow::{Context, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;

const FILES: [(&str, &str); 6] = [
    ("exec.toml", include_str!("../../../../tests/escapes/exec.toml")),
    ("files.toml", include_str!("../../../../tests/escapes/files.toml")),
    ("kernel.toml", include_str!("../../../../tests/escapes/kernel.toml")),
    ("limits.toml", include_str!("../../../../tests/escapes/limits.toml")),
    ("network.toml", include_str!("../../../../tests/escapes/network.toml")),
    ("processes.toml", include_str!("../../../../tests/escapes/processes.toml")),
];

/// One attack.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it attacks: `exec`, `files`, …
    pub category: String,
    /// Its name, unique in its category.
    pub id: String,
    /// The walls that stop it.
    pub walls: Vec<String>,
    /// The bash script; it succeeds when the world around it shows so.
    pub script: String,
    /// The preset under which it is tried.
    pub policy: String,
    /// A program that the host must have.
    pub program: Option<String>,
    /// Why it is not tried without walls.
    pub not_bare: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    category: String,
    walls: Vec<String>,
    #[serde(rename = "about")]
    _about: String,
    policy: Option<String>,
    program: Option<String>,
    bare: Option<String>,
    #[serde(default)]
    case: Vec<One>,
    #[serde(default)]
    cross: Vec<Cross>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    id: String,
    script: String,
    bare: Option<String>,
}

/// Every value of one table with every value of the others.
#[derive(Deserialize)]
struct Cross {
    id: String,
    template: String,
    bare: Option<String>,
    /// Keys that are tried without walls all the same.
    #[serde(default, rename = "try")]
    tried: Vec<String>,
    /// Keys that are not tried without walls, and why.
    #[serde(default)]
    untried: BTreeMap<String, String>,
    #[serde(flatten)]
    tables: BTreeMap<String, BTreeMap<String, String>>,
}

/// All attacks, in order.
pub fn all() -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, text) in FILES {
        let file: File = toml::from_str(text).with_context(|| format!("tests/escapes/{name}"))?;
        let case = |id: String, script: String, not_bare: Option<String>| Case {
            category: file.category.clone(),
            id,
            walls: file.walls.clone(),
            script,
            policy: file.policy.clone().unwrap_or_else(|| "whitelist".into()),
            program: file.program.clone(),
            not_bare,
        };
        for one in &file.case {
            cases.push(case(one.id.clone(), one.script.clone(), one.bare.clone().or(file.bare.clone())));
        }
        for cross in &file.cross {
            for (keys, script) in spanned(cross) {
                let bare = cross.bare.clone().or(file.bare.clone());
                let tried = keys.iter().any(|key| cross.tried.contains(key));
                let bare = keys.iter().find_map(|key| cross.untried.get(key).cloned()).or(bare);
                let id = format!("{}/{}", cross.id, keys.join("/"));
                cases.push(case(id, script, bare.filter(|_| !tried)));
            }
        }
    }
    let mut names: Vec<_> = cases.iter().map(|c| (&c.category, &c.id)).collect();
    names.sort();
    let twice = names.windows(2).find(|w| w[0] == w[1]);
    ensure!(twice.is_none(), "tests/escapes: two cases are called {:?}", twice.map(|w| w[0]));
    Ok(cases)
}

/// Every combination: its keys and its script.
fn spanned(cross: &Cross) -> Vec<(Vec<String>, String)> {
    let mut all = vec![(Vec::new(), cross.template.clone())];
    for (table, values) in &cross.tables {
        let place = format!("{{{table}}}");
        all = all
            .iter()
            .flat_map(|(keys, script)| {
                values.iter().map(|(key, value)| {
                    let keys = keys.iter().cloned().chain([key.clone()]).collect();
                    (keys, script.replace(&place, value))
                })
            })
            .collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_four_hundred_attacks_and_no_two_are_the_same() {
        let cases = all().unwrap();
        assert!(cases.len() >= 400, "{}", cases.len());
        let mut scripts: Vec<_> = cases.iter().map(|c| &c.script).collect();
        scripts.sort();
        scripts.dedup();
        assert_eq!(scripts.len(), cases.len());
        assert!(cases.iter().all(|c| !c.script.contains("{way}") && sbx::Policy::preset(&c.policy).is_ok()));
    }
}
