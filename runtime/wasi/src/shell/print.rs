//! Commands as text: for `jobs` and `type`.

use super::syntax::{AndOr, Argument, Assigned, Command, Function, Pipeline, Then, What};

/// The text of an and-or list; compound commands are shortened.
pub(super) fn and_or(list: &AndOr) -> Vec<u8> {
    let mut out = pipeline(&list.first);
    for (then, next) in &list.rest {
        out.extend_from_slice(if *then == Then::And { b" && " } else { b" || " });
        out.extend(pipeline(next));
    }
    out
}

fn pipeline(pipeline: &Pipeline) -> Vec<u8> {
    let texts: Vec<Vec<u8>> = pipeline.commands.iter().map(|c| command(c)).collect();
    let mut out: Vec<u8> = if pipeline.negated { b"! ".to_vec() } else { Vec::new() };
    out.extend(texts.join(&b" | "[..]));
    out
}

fn command(command: &Command) -> Vec<u8> {
    match &command.what {
        What::Simple(simple) => {
            let mut words = Vec::new();
            for assignment in &simple.assignments {
                let value = match &assignment.value {
                    Assigned::Word(word) => word.text.clone(),
                    Assigned::Array(_) => b"()".to_vec(),
                };
                words.push([&assignment.name[..], b"=", &value].concat());
            }
            for word in &simple.words {
                words.push(match word {
                    Argument::Word(word) => word.text.clone(),
                    Argument::Assignment(assignment) => assignment.name.clone(),
                });
            }
            words.join(&b' ')
        }
        What::Subshell(_) => b"( ... )".to_vec(),
        What::Brace(_) => b"{ ...; }".to_vec(),
        _ => b"...".to_vec(),
    }
}

/// A function's definition, as it was written behind its name.
pub(crate) fn function_text(function: &Function) -> Vec<u8> {
    let text = &function.text;
    let body = text.iter().position(|b| *b == b'{' || *b == b'(').unwrap_or(0);
    let body = match text.get(body) {
        // Behind `name ()`.
        Some(b'(') => text.iter().position(|b| *b == b')').map_or(text.len(), |at| at + 1),
        _ => body,
    };
    [&function.name[..], b" () \n", text[body..].trim_ascii()].concat()
}
