//! Which programs a bash script starts, as far as its text tells. Heredoc bodies and quoted text are data, not commands.

mod tokens;
mod unwrap;
mod word;

use brush_parser::ast::{
    AndOr, AndOrList, Assignment, AssignmentValue, Command, CommandPrefixOrSuffixItem as Item,
    CompoundCommand, CompoundList, FunctionBody, IoFileRedirectTarget, IoRedirect, Pipeline, SimpleCommand,
    Word,
};
use brush_parser::{ParseError, ParserOptions, Token, TokenizerError, parse_tokens, uncached_tokenize_str};
use std::collections::BTreeSet;
use word::{Kind, scan};

/// Longest script that is read, in bytes.
const MAX_SCRIPT_BYTES: usize = 256 << 10;
/// Deepest nesting of scripts in scripts (`$(…)`, `bash -c '…'`) and of wrappers (`env nice …`) that is read.
const MAX_DEPTH: usize = 64;
/// Most beginnings of something that can nest, in a script and all scripts in it. The parser is recursive, and what it
/// will take for an end is not known before it has parsed, so ends are not subtracted.
const MAX_OPENERS: usize = 4096;
/// Most bytes that are looked at, each as often as the tokenizer does: once for every substitution that may be open.
const MAX_WORK: usize = 32 << 20;
/// Most commands that are collected from one script.
const MAX_CALLS: usize = 10_000;
/// Stack of the thread that reads, in bytes: [`MAX_OPENERS`] levels of the parser take less than half of it.
const READER_STACK: usize = 128 << 20;

/// Words and operators that can begin a nested command.
const OPENERS: [&str; 12] =
    ["!", "(", "[[", "case", "coproc", "for", "function", "if", "select", "until", "while", "{"];

/// A simple command of a script, with the wrappers (`env X=…`, `xargs`, `bash -c '…'`) taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Program and arguments; `None` where the text does not tell (`$cmd`, `$(…)`).
    pub words: Vec<Option<String>>,
}

impl Call {
    /// The program's name without its directory, when the text tells.
    pub fn program(&self) -> Option<&str> {
        let word = self.words.first()?.as_deref()?;
        Some(word.rsplit('/').next().unwrap_or(word))
    }
}

/// A script that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Every simple command, also those in substitutions, functions and wrappers.
    pub calls: Vec<Call>,
    /// Functions and aliases that the script defines.
    pub functions: BTreeSet<String>,
}

/// Why a script could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unread {
    /// What is wrong with it, or which bound it is over.
    pub why: String,
    /// Whether more text could complete it: bash at a prompt would ask for another line.
    pub unfinished: bool,
}

impl Unread {
    fn new(why: String) -> Unread {
        Unread { why, unfinished: false }
    }
}

impl From<ParseError> for Unread {
    fn from(e: ParseError) -> Unread {
        let unfinished = match &e {
            ParseError::ParsingAtEndOfInput => true,
            ParseError::Tokenizing { inner, .. } => inner.is_incomplete(),
            ParseError::ParsingNear(_) => false,
        };
        Unread { why: e.to_string(), unfinished }
    }
}

impl From<TokenizerError> for Unread {
    fn from(e: TokenizerError) -> Unread {
        Unread { why: e.to_string(), unfinished: e.is_incomplete() }
    }
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// It is not bash, or longer or deeper than is read here.
    pub fn read(text: &str) -> Result<Script, Unread> {
        if text.len() > MAX_SCRIPT_BYTES {
            return Err(Unread::new(format!("longer than {MAX_SCRIPT_BYTES} bytes")));
        }
        // A thread of its own: a hostile script must not overflow the caller's stack.
        std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().stack_size(READER_STACK);
            let handle = reader.spawn_scoped(scope, || {
                let mut reader = Reader::default();
                reader.text(text, 0)?;
                Ok(reader.script)
            });
            let handle = handle.map_err(|e| Unread::new(format!("no thread to read it: {e}")))?;
            handle.join().unwrap_or_else(|_| Err(Unread::new("the parser gave up".into())))
        })
    }
}

#[derive(Default)]
struct Reader {
    script: Script,
    options: ParserOptions,
    openers: usize,
    work: usize,
}

type Done = Result<(), Unread>;

impl Reader {
    fn text(&mut self, text: &str, depth: usize) -> Done {
        if depth > MAX_DEPTH {
            return Err(Unread::new(format!("more than {MAX_DEPTH} scripts in one another")));
        }
        self.charge(text)?;
        let tokens = uncached_tokenize_str(text, &self.options.tokenizer_options())?;
        self.openers += tokens.iter().filter(|t: &&Token| OPENERS.contains(&t.to_str())).count();
        self.check_openers()?;
        let tokens = tokens::settle(tokens).map_err(Unread::new)?;
        let program = parse_tokens(&tokens, &self.options)?;
        program.complete_commands.iter().try_for_each(|list| self.list(list, depth))
    }

    /// Accounts for a text before anything recursive looks at it.
    fn charge(&mut self, text: &str) -> Done {
        let opens = |pair: &&[u8]| pair[0] == b'$' && matches!(pair[1], b'(' | b'{' | b'[');
        let openers = text.as_bytes().windows(2).filter(opens).count();
        self.openers += openers;
        self.work = self.work.saturating_add(text.len().saturating_mul(openers + 1));
        self.check_openers()?;
        if self.work > MAX_WORK {
            return Err(Unread::new(format!("{} bytes with {openers} substitutions", text.len())));
        }
        Ok(())
    }

    fn check_openers(&self) -> Done {
        if self.openers > MAX_OPENERS {
            return Err(Unread::new(format!(
                "more than {MAX_OPENERS} brackets, substitutions and compound commands"
            )));
        }
        Ok(())
    }

    fn list(&mut self, list: &CompoundList, depth: usize) -> Done {
        list.0.iter().try_for_each(|item| self.and_or(&item.0, depth))
    }

    fn and_or(&mut self, list: &AndOrList, depth: usize) -> Done {
        self.pipeline(&list.first, depth)?;
        list.additional.iter().try_for_each(|more| match more {
            AndOr::And(pipeline) | AndOr::Or(pipeline) => self.pipeline(pipeline, depth),
        })
    }

    fn pipeline(&mut self, pipeline: &Pipeline, depth: usize) -> Done {
        pipeline.seq.iter().try_for_each(|command| self.command(command, depth))
    }

    fn command(&mut self, command: &Command, depth: usize) -> Done {
        match command {
            Command::Simple(simple) => self.simple(simple, depth),
            Command::Compound(compound, redirects) => {
                self.compound(compound, depth)?;
                redirects.iter().flat_map(|r| &r.0).try_for_each(|r| self.redirect(r, depth))
            }
            Command::Function(function) => {
                self.script.functions.insert(function.fname.value.clone());
                let FunctionBody(body, redirects) = &function.body;
                self.compound(body, depth)?;
                redirects.iter().flat_map(|r| &r.0).try_for_each(|r| self.redirect(r, depth))
            }
            Command::ExtendedTest(test, redirects) => {
                self.scan(&test.expr.to_string(), Kind::Word, depth)?;
                redirects.iter().flat_map(|r| &r.0).try_for_each(|r| self.redirect(r, depth))
            }
        }
    }

    fn compound(&mut self, command: &CompoundCommand, depth: usize) -> Done {
        match command {
            CompoundCommand::Arithmetic(arithmetic) => {
                self.scan(&arithmetic.expr.value, Kind::Arithmetic, depth).map(drop)
            }
            CompoundCommand::ArithmeticForClause(clause) => {
                for expr in [&clause.initializer, &clause.condition, &clause.updater].into_iter().flatten() {
                    self.scan(&expr.value, Kind::Arithmetic, depth)?;
                }
                self.list(&clause.body.list, depth)
            }
            CompoundCommand::BraceGroup(group) => self.list(&group.list, depth),
            CompoundCommand::Subshell(subshell) => self.list(&subshell.list, depth),
            CompoundCommand::ForClause(clause) => {
                clause.values.iter().flatten().try_for_each(|word| self.word(word, depth).map(drop))?;
                self.list(&clause.body.list, depth)
            }
            CompoundCommand::CaseClause(clause) => {
                self.word(&clause.value, depth)?;
                for case in &clause.cases {
                    case.patterns.iter().try_for_each(|word| self.word(word, depth).map(drop))?;
                    case.cmd.iter().try_for_each(|list| self.list(list, depth))?;
                }
                Ok(())
            }
            CompoundCommand::IfClause(clause) => {
                self.list(&clause.condition, depth)?;
                self.list(&clause.then, depth)?;
                for other in clause.elses.iter().flatten() {
                    other.condition.iter().try_for_each(|list| self.list(list, depth))?;
                    self.list(&other.body, depth)?;
                }
                Ok(())
            }
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                self.list(&clause.0, depth)?;
                self.list(&clause.1.list, depth)
            }
            CompoundCommand::Coprocess(coprocess) => self.command(&coprocess.body, depth),
        }
    }

    fn simple(&mut self, command: &SimpleCommand, depth: usize) -> Done {
        let mut words = Vec::new();
        for item in command.prefix.iter().flat_map(|p| &p.0) {
            self.item(item, &mut Vec::new(), depth)?;
        }
        if let Some(word) = &command.word_or_name {
            words.push(self.word(word, depth)?);
        }
        for item in command.suffix.iter().flat_map(|s| &s.0) {
            self.item(item, &mut words, depth)?;
        }
        if words.first().and_then(|w| w.as_deref()) == Some(tokens::ARITHMETIC)
            && command.word_or_name.as_ref().is_some_and(|w| w.value == tokens::ARITHMETIC)
        {
            return Ok(());
        }
        self.call(words, depth)
    }

    /// Takes a command's words, and whatever they start in turn.
    fn call(&mut self, words: Vec<Option<String>>, depth: usize) -> Done {
        if words.is_empty() {
            return Ok(());
        }
        if depth > MAX_DEPTH {
            return Err(Unread::new(format!("more than {MAX_DEPTH} commands in one another")));
        }
        if self.script.calls.len() >= MAX_CALLS {
            return Err(Unread::new(format!("more than {MAX_CALLS} commands")));
        }
        let call = Call { words };
        if call.program() == Some("alias") {
            let names =
                call.words.iter().skip(1).flatten().filter_map(|w| Some(w.split_once('=')?.0.to_string()));
            self.script.functions.extend(names.collect::<Vec<_>>());
        }
        let inner = unwrap::inner(&call);
        self.script.calls.push(call);
        match inner {
            unwrap::Inner::None => Ok(()),
            unwrap::Inner::Calls(calls) => {
                calls.into_iter().try_for_each(|words| self.call(words, depth + 1))
            }
            unwrap::Inner::Text(text) => self.text(&text, depth + 1),
        }
    }

    fn item(&mut self, item: &Item, words: &mut Vec<Option<String>>, depth: usize) -> Done {
        match item {
            Item::IoRedirect(redirect) => self.redirect(redirect, depth),
            Item::Word(word) => {
                words.push(self.word(word, depth)?);
                Ok(())
            }
            Item::AssignmentWord(assignment, word) => {
                // `export x=$(…)`: an argument to the command, and a value that may run something.
                words.push(Some(word.value.clone()));
                self.assignment(assignment, depth)
            }
            Item::ProcessSubstitution(_, subshell) => {
                words.push(None);
                self.list(&subshell.list, depth)
            }
        }
    }

    fn assignment(&mut self, assignment: &Assignment, depth: usize) -> Done {
        match &assignment.value {
            AssignmentValue::Scalar(word) => self.word(word, depth).map(drop),
            AssignmentValue::Array(items) => {
                items.iter().try_for_each(|(_, word)| self.word(word, depth).map(drop))
            }
        }
    }

    fn redirect(&mut self, redirect: &IoRedirect, depth: usize) -> Done {
        match redirect {
            IoRedirect::File(_, _, target) => match target {
                IoFileRedirectTarget::Filename(word) | IoFileRedirectTarget::Duplicate(word) => {
                    self.word(word, depth).map(drop)
                }
                IoFileRedirectTarget::Fd(_) => Ok(()),
                IoFileRedirectTarget::ProcessSubstitution(_, subshell) => self.list(&subshell.list, depth),
            },
            IoRedirect::HereString(_, word) | IoRedirect::OutputAndError(word, _) => {
                self.word(word, depth).map(drop)
            }
            // A quoted heredoc is pure data; in another one only its substitutions run.
            IoRedirect::HereDocument(_, here) if !here.requires_expansion => Ok(()),
            IoRedirect::HereDocument(_, here) => self.scan(&here.doc.value, Kind::Heredoc, depth).map(drop),
        }
    }

    /// The literal value of a word, or `None` when it depends on something; what it runs is collected.
    fn word(&mut self, word: &Word, depth: usize) -> Result<Option<String>, Unread> {
        self.scan(&word.value, Kind::Word, depth)
    }

    fn scan(&mut self, text: &str, kind: Kind, depth: usize) -> Result<Option<String>, Unread> {
        self.charge(text)?;
        let word = scan(text, kind)
            .ok_or_else(|| Unread::new("a quote or bracket in a word is not closed".into()))?;
        word.scripts.iter().try_for_each(|script| self.text(script, depth + 1))?;
        Ok(word.literal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(text: &str) -> Vec<String> {
        let script = Script::read(text).unwrap();
        script.calls.iter().map(|c| c.program().unwrap_or("?").to_string()).collect()
    }

    #[test]
    fn what_bash_would_read_on_for_is_told_from_what_is_wrong() {
        for text in [
            "if true",
            "for i in 1 2",
            "echo 'a",
            "echo \"$(ls",
            "cat <<E\n",
            "cat <<E\na\n",
            "(ls",
            "f() {",
            "a &&",
            "a |",
            "case x in",
        ] {
            assert!(Script::read(text).is_err_and(|e| e.unfinished), "{text}: {:?}", Script::read(text));
        }
        for text in [")", "if; then", "ls |& | b"] {
            assert!(Script::read(text).is_err_and(|e| !e.unfinished), "{text}: {:?}", Script::read(text));
        }
    }

    #[test]
    fn commands_are_found_wherever_bash_runs_them() {
        for (text, expected) in [
            ("ls | wc -l && echo a; pwd &", vec!["ls", "wc", "echo", "pwd"]),
            ("(cd x && { a; b; })", vec!["cd", "a", "b"]),
            ("if a; then b; elif c; then d; else e; fi", vec!["a", "b", "c", "d", "e"]),
            ("for i in $(seq 3); do f \"$i\"; done", vec!["seq", "f"]),
            ("while read x; do y; done < <(z)", vec!["read", "y", "z"]),
            ("case $(a) in x) b;; esac", vec!["a", "b"]),
            ("x=$(a) y=`b`", vec!["a", "b"]),
            ("echo \"$(a \"$(b)\")\"", vec!["b", "a", "echo"]),
            ("diff <(a) <(b)", vec!["a", "b", "diff"]),
            ("f() { a; }; f", vec!["a", "f"]),
            ("[[ -n $(a) ]] && (( $(b) > 1 ))", vec!["a", "b"]),
            ("for ((i = $(a); i < 3; i++)); do b; done", vec!["a", "b"]),
            ("( (a) ); ((b); c); ( ( d; e ) )", vec!["a", "b", "c", "d", "e"]),
            ("cat <<EOF\n$(a)\nEOF", vec!["a", "cat"]),
            ("/usr/bin/python3 -V", vec!["python3"]),
            ("$cmd x", vec!["?"]),
            ("x=1", vec![]),
        ] {
            assert_eq!(programs(text), expected, "{text}");
        }
    }

    #[test]
    fn quoted_text_and_heredocs_are_data() {
        let text =
            "cat > f <<'EOF'\npython -m pytest $(curl x)\ngit push\nEOF\necho 'git push; curl' \"curl\"";
        assert_eq!(programs(text), ["cat", "echo"]);
    }

    #[test]
    fn wrappers_are_taken_off() {
        for (text, expected) in [
            ("env A=1 -i B=2 git push", vec!["env", "git"]),
            ("find . -name x | xargs -0 -n 1 rm -f", vec!["find", "xargs", "rm"]),
            ("find . -type f -exec sed -i s/a/b/ {} \\;", vec!["find", "sed"]),
            ("bash -c 'git push && ls'", vec!["bash", "git", "ls"]),
            ("timeout -k 1 5 sh -c \"ls\"", vec!["timeout", "sh", "ls"]),
            ("nohup command exec ls", vec!["nohup", "command", "exec", "ls"]),
            ("eval 'git push'", vec!["eval", "git"]),
            ("bash -euo pipefail -c 'git push'", vec!["bash", "git"]),
            ("env - A=1 git push", vec!["env", "git"]),
            ("find . -ok rm {} + -o -execdir cat {} \\;", vec!["find", "rm", "cat"]),
            ("command -v python3", vec!["command"]),
            ("echo \"${x:-$(git push)}\"", vec!["git", "echo"]),
            ("ls | xargs -I{} sh -c 'cat {}'", vec!["ls", "xargs", "sh", "cat"]),
        ] {
            assert_eq!(programs(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why_and_never_panics() {
        for text in ["if", "echo $(", "a && && b", "x=$((", "'"] {
            assert!(Script::read(text).is_err(), "{text}");
        }
        assert!(Script::read(&"a".repeat(MAX_SCRIPT_BYTES + 1)).is_err());
    }

    #[test]
    fn no_script_overflows_the_stack_or_takes_for_ever() {
        let nested = |open: &str, inner: &str, close: &str, n: usize| {
            format!("{}{inner}{}", open.repeat(n), close.repeat(n))
        };
        for (open, inner, close) in [
            ("$(", "a", ")"),
            ("$(a ')' ", "a", ")"),
            ("\"$(", "a", ")\""),
            ("( ", "a", " )"),
            ("{ ", "a; ", "}; "),
            ("if a; then ", "a; ", "fi; "),
            ("if ", "a", ""),
            ("! ", "a", ""),
            ("time ", "a", ""),
            ("env ", "a", ""),
            ("case a in a) ", "a", ";; esac "),
            ("f() { ", "a; ", "}; "),
            ("coproc ", "a", ""),
            ("[[ ! ", "a", " ]]"),
            ("[[ ( ", "a", " ) ]]"),
            ("echo ${a[", "1", "]}"),
            ("${a[", "1", "]}"),
            ("x=${a[", "1", "]}"),
            ("${x:-$((1+", "1", ") )}"),
            ("$(( $(( ", "1", " )) ))"),
            ("((", "1", "))"),
            ("(", "", ""),
            ("( ", "a; b", " )"),
            ("(", "a; b", ")"),
            ("( (a) ", "", ""),
            ("for ((", "", ""),
            ("[[ (", "a", ""),
            ("case a in (a) ", "", ""),
            ("case a in\nesac) ", "", ""),
            ("case a in (a) b; case a in (esac) ", "", ""),
            ("case a in (a) echo esac; ", "", ""),
            ("function f { ", "", ""),
            ("f() ", "", ""),
            ("if ((", "", ""),
            ("x=(", "a", ")"),
            ("`", "a", "`"),
            ("@(a|", "b", ")"),
            ("a | ", "b", ""),
            ("a && ", "b", ""),
            ("a <<E\n", "b", "\nE\n"),
        ] {
            for n in [10, 16, 40, 1000, 4000, 60_000] {
                let start = std::time::Instant::now();
                let _ = Script::read(&format!("echo {}", nested(open, inner, close, n)));
                let _ = Script::read(&nested(open, inner, close, n));
                // Generous, since it is no benchmark: what this guards against takes minutes to centuries.
                assert!(start.elapsed().as_secs() < 60, "{n} × {open}");
            }
        }
    }

    #[test]
    fn heredoc_bodies_of_any_shape_leave_the_rest_readable() {
        let body = "if ( { [[ case while $( ${ ` ' \" [\n".repeat(400);
        let script = format!("cat > f <<'EOF'\n{body}EOF\ngit push");
        assert_eq!(programs(&script), ["cat", "git"]);
    }
}
