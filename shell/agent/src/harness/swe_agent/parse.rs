//! SWE-agent's reply grammars: one action of each reply.

use super::config::Parser;
use crate::editor::Edit;
use crate::harness::tool_call::{Fault, ToolCall, in_text, native, text};
use crate::harness::{Act, Call};
use regex::Regex;
use sbx_bash::Script;
use sbx_records::Message;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// The one action of a reply.
pub(super) fn call(parser: Parser, reply: &Message) -> Result<Call, Fault> {
    match parser {
        Parser::FunctionCalling => match native(reply)?.as_slice() {
            [one] => of_tool(one),
            [] => Err(Fault::Missing),
            _ => Err(Fault::Multiple),
        },
        Parser::XmlFunctionCalling => {
            let mut call = in_text(&reply.content)?;
            // Models that learned from OpenHands.
            call.name = match call.name.as_str() {
                "execute_bash" => "bash".into(),
                "finish" => "submit".into(),
                other => other.into(),
            };
            of_tool(&call)
        }
        Parser::XmlThoughtAction => {
            static COMMAND: LazyLock<Regex> = LazyLock::new(|| {
                Regex::new(r"(?s)<command>(.*?)</command>").expect("the expression is constant")
            });
            // The last one is meant.
            let last = COMMAND.captures_iter(&reply.content).last().ok_or(Fault::Missing)?;
            Ok(of_line(last[1].trim_matches('\n')))
        }
        Parser::ThoughtAction => block(&reply.content).map(|line| of_line(&line)).ok_or(Fault::Missing),
    }
}

fn of_tool(call: &ToolCall) -> Result<Call, Fault> {
    let wrong =
        |key: &str| Fault::Arguments(format!("Required argument(s) missing for {}: {key}", call.name));
    let known = |keys: &[&str]| match call.arguments.keys().find(|k| !keys.contains(&k.as_str())) {
        None => Ok(()),
        Some(other) => Err(Fault::Arguments(format!("Unexpected argument(s): {other}"))),
    };
    let act = match call.name.as_str() {
        "bash" => {
            known(&["command"])?;
            Act::Script(text(&call.arguments, "command")?.ok_or_else(|| wrong("command"))?)
        }
        "str_replace_editor" => {
            Act::Edit(Edit::parse(&Value::Object(call.arguments.clone())).map_err(Fault::Arguments)?)
        }
        "submit" => Act::Submit(String::new()),
        other => {
            return Err(Fault::Arguments(format!(
                "Command '{other}' not found in list of available commands."
            )));
        }
    };
    Ok(Call { act, id: call.id.clone(), tool: call.name.clone() })
}

/// A command line, which may be one of the tools.
fn of_line(line: &str) -> Call {
    let line = line.trim();
    if line == "submit" {
        return Call { act: Act::Submit(String::new()), id: None, tool: "submit".into() };
    }
    match editor_line(line) {
        Some(edit) => Call { act: Act::Edit(edit), id: None, tool: "str_replace_editor".into() },
        None => Call::script(line),
    }
}

/// `str_replace_editor COMMAND PATH --old_str '…' --view_range 1 2 …`.
pub(crate) fn editor_line(line: &str) -> Option<Edit> {
    line.strip_prefix("str_replace_editor ")?;
    let script = Script::read(line).ok()?;
    let [one] = script.calls.as_slice() else { return None };
    let words: Vec<String> = one.words.iter().cloned().collect::<Option<_>>()?;
    let mut arguments = Map::new();
    let mut words = words.into_iter().skip(1).peekable();
    for key in ["command", "path"] {
        arguments.insert(key.into(), words.next()?.into());
    }
    while let Some(option) = words.next() {
        let key = option.strip_prefix("--")?.to_string();
        let value = words.next()?;
        if key == "view_range" {
            let numbers = [value, words.next()?].map(|n| n.parse::<i64>().ok());
            let numbers: Vec<i64> = numbers.into_iter().collect::<Option<_>>()?;
            arguments.insert(key, numbers.into());
        } else {
            arguments.insert(key, value.into());
        }
    }
    Edit::parse(&Value::Object(arguments)).ok()
}

/// The last block between lines of three backticks that is in no other one.
fn block(text: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    let (mut lines, mut last): (Vec<&str>, Option<String>) = (Vec::new(), None);
    for line in text.lines() {
        let fence = line.trim_end();
        if fence == "```" && !open.is_empty() {
            open.pop();
            if open.is_empty() {
                last = Some(lines.join("\n"));
                lines.clear();
                continue;
            }
        } else if fence.starts_with("```") {
            open.push(fence);
            if open.len() == 1 {
                continue;
            }
        }
        if !open.is_empty() {
            lines.push(line);
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_block_that_is_in_no_other_is_the_action() {
        assert_eq!(
            block("a\n```\nls\n```\nb\n```bash\ncat <<E\n```inner\nx\n```\nE\n```\n").as_deref(),
            Some("cat <<E\n```inner\nx\n```\nE")
        );
        assert_eq!(block("```\nopen"), None);
        assert_eq!(block("no"), None);
    }

    #[test]
    fn a_command_line_may_be_a_tool() {
        let edit = |line: &str| match of_line(line).act {
            Act::Edit(edit) => edit,
            other => panic!("{other:?}"),
        };
        let view = edit("str_replace_editor view /testbed/f.py --view_range 6035 6050");
        assert_eq!((view.command.as_str(), view.view_range), ("view", Some(vec![6035, 6050])));
        let replace = edit("str_replace_editor str_replace /f --old_str 'a'\"'\"'b\nc' --new_str ''");
        assert_eq!((replace.old_str.as_deref(), replace.new_str.as_deref()), (Some("a'b\nc"), Some("")));
        assert_eq!(of_line(" submit ").act, Act::Submit(String::new()));
        assert_eq!(of_line("ls -F").act, Act::Script("ls -F".into()));
        assert_eq!(of_line("str_replace_editor $x").act, Act::Script("str_replace_editor $x".into()));
    }

    #[test]
    fn every_grammar_reads_its_own_form() {
        let say = |text: &str| Message::new("assistant", text);
        for (parser, text) in [
            (Parser::ThoughtAction, "I look.\n```\nls\n```"),
            (Parser::XmlThoughtAction, "I look.\n<command>\nls\n</command>"),
            (
                Parser::XmlFunctionCalling,
                "I look.\n<function=execute_bash>\n<parameter=command>ls</parameter>\n</function>",
            ),
        ] {
            assert_eq!(call(parser, &say(text)).unwrap().act, Act::Script("ls".into()), "{parser:?}");
            assert_eq!(call(parser, &say("nothing")), Err(Fault::Missing), "{parser:?}");
        }
        assert_eq!(call(Parser::FunctionCalling, &say("nothing")), Err(Fault::Missing));
        let finish = say("<function=finish>\n</function>");
        assert!(matches!(call(Parser::XmlFunctionCalling, &finish).unwrap().act, Act::Submit(_)));
        let odd = say("<function=bash>\n<parameter=cmd>ls</parameter></function>");
        assert_eq!(
            call(Parser::XmlFunctionCalling, &odd),
            Err(Fault::Arguments("Unexpected argument(s): cmd".into()))
        );
    }
}
