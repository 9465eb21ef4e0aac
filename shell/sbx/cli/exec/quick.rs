//! The usual forms of `sbx exec`, read without the parser of all options, which takes longer than an action.

use super::Args;
use crate::cli::limits::PolicyArgs;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Reads `exec [--policy P] [--workspace DIR] [--changes C] [--json] [--timings] (-c SCRIPT | -- CMD…)`. `None` for everything else.
pub fn parse(words: &[OsString]) -> Option<Args> {
    let (mut policy, mut workspace, mut changes, mut script) = (None, None, None, None);
    let (mut json, mut timings) = (false, false);
    let mut words = words.iter();
    if words.next()? != "exec" {
        return None;
    }
    let command = loop {
        let Some(word) = words.next() else { break Vec::new() };
        let (name, value) = split(word);
        let slot = match name.to_str()? {
            "--" if value.is_none() => break words.cloned().collect(),
            "--json" if value.is_none() && !json => {
                json = true;
                continue;
            }
            "--timings" if value.is_none() && !timings => {
                timings = true;
                continue;
            }
            "--policy" => &mut policy,
            "--changes" => &mut changes,
            "--workspace" => &mut workspace,
            "-c" if value.is_none() => &mut script,
            _ => return None,
        };
        let value = value
            .or_else(|| words.next().map(OsString::as_os_str))
            .filter(|v| !v.is_empty() && !v.as_encoded_bytes().starts_with(b"-"));
        if slot.replace(value?.to_os_string()).is_some() {
            return None;
        }
    };
    if script.is_none() == command.is_empty() {
        return None;
    }
    let policy = policy.or_else(|| std::env::var_os("SBX_POLICY")).unwrap_or_else(|| "whitelist".into());
    let policy = PolicyArgs {
        policy: policy.into_string().ok()?,
        backend: None,
        timeout: None,
        memory: None,
        processes: None,
        output: None,
        env: Vec::new(),
    };
    let workspace = workspace.map_or_else(|| PathBuf::from("."), PathBuf::from);
    let changes = changes.map_or_else(|| Some("commit".into()), |text| text.into_string().ok())?;
    Some(Args { policy, workspace, changes, json, timings, script, shell: None, command })
}

/// A long option and the value after its `=`.
fn split(word: &OsStr) -> (&OsStr, Option<&OsStr>) {
    let bytes = word.as_encoded_bytes();
    let at = bytes.iter().position(|b| *b == b'=').filter(|_| bytes.starts_with(b"--"));
    match (at, word.to_str()) {
        (Some(at), Some(text)) => (OsStr::new(&text[..at]), Some(OsStr::new(&text[at + 1..]))),
        _ => (word, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn what_is_read_quickly_is_what_the_parser_reads() {
        let lines: [&[&str]; 19] = [
            &["exec", "--", "true"],
            &["exec", "-c", "echo a"],
            &["exec", "--policy", "readonly", "--", "ls", "-l", "--", "x"],
            &["exec", "--policy=p.toml", "--workspace=/tmp/a=b", "-c", "x"],
            &["exec", "--workspace", "d", "--policy", "base", "--", "-c"],
            &["exec", "-c", "x", "--", "y"],
            &["exec", "-c", "x", "--"],
            &["exec", "--"],
            &["exec"],
            &["exec", "-c", "-x"],
            &["exec", "--policy", "--workspace", "-c", "x"],
            &["exec", "--workspace=", "-c", "x"],
            &["exec", "--policy", "a", "--policy", "b", "-c", "x"],
            &["exec", "-c=x"],
            &["exec", "-cx"],
            &["exec", "--json", "--", "true"],
            &["exec", "--timings", "--json", "--changes=discard", "--", "true"],
            &["exec", "--json", "--json", "--", "true"],
            &["exec", "--timeout", "1s", "--", "true"],
        ];
        let mut read = 0;
        for line in lines {
            let words: Vec<OsString> = line.iter().map(OsString::from).collect();
            if let Some(args) = parse(&words) {
                let parsed = super::super::OnlyExec::try_parse_from(&words).map_err(|e| e.to_string());
                assert_eq!(parsed.map(|p| p.args), Ok(args), "{line:?}");
                read += 1;
            }
        }
        assert_eq!(read, 8);
    }
}
