//! Programs that start the program in their arguments: what they start, as far as the text tells.

use super::Call;

/// What a call starts in turn.
pub(super) enum Inner {
    /// Nothing, or the text does not tell.
    None,
    /// Commands, word by word.
    Calls(Vec<Vec<Option<String>>>),
    /// A script.
    Text(String),
}

/// A wrapper: its options that take a value in the next word, and how many words come before the command.
struct Wrapper {
    name: &'static str,
    with_value: &'static [&'static str],
    before: usize,
}

const WRAPPERS: [Wrapper; 15] = [
    Wrapper { name: "builtin", with_value: &[], before: 0 },
    Wrapper { name: "chroot", with_value: &[], before: 1 },
    Wrapper { name: "command", with_value: &[], before: 0 },
    Wrapper { name: "env", with_value: &["-u", "--unset", "-C", "--chdir", "-S"], before: 0 },
    Wrapper { name: "exec", with_value: &["-a"], before: 0 },
    Wrapper { name: "flock", with_value: &["-w", "-E", "--timeout"], before: 1 },
    Wrapper { name: "ionice", with_value: &["-c", "-n", "-p"], before: 0 },
    Wrapper { name: "nice", with_value: &["-n", "--adjustment"], before: 0 },
    Wrapper { name: "nohup", with_value: &[], before: 0 },
    Wrapper { name: "setsid", with_value: &[], before: 0 },
    Wrapper { name: "stdbuf", with_value: &["-i", "-o", "-e"], before: 0 },
    Wrapper { name: "sudo", with_value: &["-u", "-g", "-C"], before: 0 },
    Wrapper { name: "time", with_value: &["-f", "-o"], before: 0 },
    Wrapper { name: "timeout", with_value: &["-k", "-s", "--kill-after", "--signal"], before: 1 },
    Wrapper {
        name: "xargs",
        with_value: &[
            "-n",
            "-I",
            "-P",
            "-L",
            "-d",
            "-E",
            "-s",
            "-a",
            "--max-args",
            "--max-procs",
            "--delimiter",
        ],
        before: 0,
    },
];

pub(super) fn inner(call: &Call) -> Inner {
    let Some(program) = call.program() else { return Inner::None };
    let rest = call.words.get(1..).unwrap_or(&[]);
    match program {
        "bash" | "sh" | "dash" => shell(rest),
        // Questions, not calls.
        "command" if matches!(rest.first().and_then(|w| w.as_deref()), Some("-v" | "-V")) => Inner::None,
        "eval" => match rest.iter().cloned().collect::<Option<Vec<String>>>() {
            Some(words) => Inner::Text(words.join(" ")),
            None => Inner::None,
        },
        "find" => Inner::Calls(find(rest)),
        _ => match WRAPPERS.iter().find(|w| w.name == program) {
            Some(wrapper) => Inner::Calls(vec![wrapped(wrapper, rest)]),
            None => Inner::None,
        },
    }
}

fn shell(words: &[Option<String>]) -> Inner {
    let mut words = words.iter();
    while let Some(Some(word)) = words.next() {
        if !word.starts_with('-') || word == "--" {
            return Inner::None;
        }
        // `-lc`, `-ec`: the letter c may come with others.
        if !word.starts_with("--") && word.contains('c') {
            return match words.next() {
                Some(Some(text)) => Inner::Text(text.clone()),
                _ => Inner::None,
            };
        }
        // `-euo pipefail`: the letter o takes the next word, as do two of the long options.
        let takes_next = !word.starts_with("--") && (word.ends_with('o') || word.ends_with('O'));
        if takes_next || matches!(word.as_str(), "--rcfile" | "--init-file") {
            words.next();
        }
    }
    Inner::None
}

fn wrapped(wrapper: &Wrapper, words: &[Option<String>]) -> Vec<Option<String>> {
    let mut at = 0;
    let mut before = wrapper.before;
    while let Some(word) = words.get(at) {
        match word {
            Some(w) if w == "--" => at += 1,
            Some(w) if wrapper.with_value.contains(&w.as_str()) => at += 2,
            // A lone `-` is env's `-i`, and nobody's program.
            Some(w) if w.starts_with('-') => at += 1,
            Some(w) if wrapper.name == "env" && w.contains('=') => at += 1,
            _ if before > 0 => {
                before -= 1;
                at += 1;
            }
            _ => break,
        }
    }
    words.get(at..).unwrap_or(&[]).to_vec()
}

fn find(words: &[Option<String>]) -> Vec<Vec<Option<String>>> {
    let mut calls = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if matches!(word.as_deref(), Some("-exec" | "-execdir" | "-ok" | "-okdir")) {
            let ends = |w: &Option<String>| matches!(w.as_deref(), Some(";" | "+"));
            calls.push(words.by_ref().take_while(|w| !ends(w)).cloned().collect());
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_duplicates() {
        assert!(WRAPPERS.windows(2).all(|w| w[0].name < w[1].name));
    }
}
