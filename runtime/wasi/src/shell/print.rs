//! Commands as text, in the spelling of bash: for `jobs`, `type` and `$BASH_COMMAND`.

use super::syntax::{
    AndOr, Argument, Assigned, Assignment, Command, Descriptor, Function, How, List, Pipeline, Redirect,
    Simple, Test, Then, What, Word,
};

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
    let short =
        |what: &What| if matches!(what, What::Brace(_)) { b"{ ...; }".to_vec() } else { b"...".to_vec() };
    let texts: Vec<Vec<u8>> =
        pipeline.commands.iter().map(|c| command(c).unwrap_or_else(|| short(&c.what))).collect();
    let mut out: Vec<u8> = if pipeline.negated { b"! ".to_vec() } else { Vec::new() };
    out.extend(texts.join(&b" | "[..]));
    out
}

/// The text of a command; `None` of one that is only its parts (`if`, `while`, `{ … }`).
pub(super) fn command(command: &Command) -> Option<Vec<u8>> {
    let mut out = match &command.what {
        What::Simple(simple) => simple_command(simple),
        What::Subshell(inner) => [b"( ", &list(inner)[..], b" )"].concat(),
        What::For { name, values, .. } => loop_head(b"for ", name, values.as_deref()),
        What::Select { name, values, .. } => loop_head(b"select ", name, values.as_deref()),
        What::Case { subject, .. } => [b"case ", &subject.text[..], b" in "].concat(),
        What::Arithmetic(word) => [b"((", &word.text[..], b"))"].concat(),
        What::Test(inner) => [b"[[ ", &test(inner)[..], b" ]]"].concat(),
        What::Function(function) => function.text.clone(),
        What::CountingFor { parts: [first, second, third], .. } => {
            [b"((", &first.text[..], b"; ", &second.text, b"; ", &third.text, b"))"].concat()
        }
        What::If { .. } | What::While { .. } | What::Brace(_) | What::Coprocess { .. } => return None,
    };
    for redirect in &command.redirects {
        if !out.is_empty() {
            out.push(b' ');
        }
        redirection(redirect, &mut out);
    }
    Some(out)
}

fn simple_command(simple: &Simple) -> Vec<u8> {
    let assignments = simple.assignments.iter().map(assignment);
    let words = simple.words.iter().map(|word| match word {
        Argument::Word(word) => word.text.clone(),
        Argument::Assignment(inner) => assignment(inner),
    });
    assignments.chain(words).collect::<Vec<_>>().join(&b' ')
}

fn assignment(assignment: &Assignment) -> Vec<u8> {
    let mut out = assignment.name.clone();
    let index = |index: &Option<Word>, out: &mut Vec<u8>| {
        if let Some(index) = index {
            out.extend_from_slice(&[b"[", &index.text[..], b"]"].concat());
        }
    };
    let operator = |append: bool| if append { &b"+="[..] } else { b"=" };
    index(&assignment.index, &mut out);
    out.extend_from_slice(operator(assignment.append));
    match &assignment.value {
        Assigned::Word(word) => out.extend_from_slice(&word.text),
        Assigned::Array(elements) => {
            let elements = elements.iter().map(|element| {
                let mut out = Vec::new();
                index(&element.index, &mut out);
                if element.index.is_some() {
                    out.extend_from_slice(operator(element.append));
                }
                out.extend_from_slice(&element.value.text);
                out
            });
            out.extend_from_slice(&[b"(", &elements.collect::<Vec<_>>().join(&b' ')[..], b")"].concat());
        }
    }
    out
}

fn loop_head(keyword: &[u8], name: &[u8], values: Option<&[Word]>) -> Vec<u8> {
    let mut out = [keyword, name].concat();
    match values {
        Some(values) => {
            out.extend_from_slice(b" in");
            for word in values {
                out.extend_from_slice(&[b" ", &word.text[..]].concat());
            }
        }
        None => out.extend_from_slice(b" in \"$@\""),
    }
    out
}

fn test(inner: &Test) -> Vec<u8> {
    match inner {
        Test::Or(a, b) => [&test(a)[..], b" || ", &test(b)].concat(),
        Test::And(a, b) => [&test(a)[..], b" && ", &test(b)].concat(),
        Test::Not(a) => [b"! ", &test(a)[..]].concat(),
        Test::Unary(letter, word) => [b"-", &[*letter][..], b" ", &word.text].concat(),
        Test::Binary(operator, a, b) => [&a.text[..], b" ", operator, b" ", &b.text].concat(),
        Test::Word(word) => [b"-n ", &word.text[..]].concat(),
    }
}

fn list(list: &List) -> Vec<u8> {
    let mut out = Vec::new();
    for (n, item) in list.0.iter().enumerate() {
        if n > 0 {
            out.extend_from_slice(if list.0[n - 1].background { b" " } else { b"; " });
        }
        out.extend(and_or(&item.and_or));
        if item.background {
            out.extend_from_slice(b" &");
        }
    }
    out
}

fn redirection(redirect: &Redirect, out: &mut Vec<u8>) {
    match &redirect.fd {
        Descriptor::Default => {}
        Descriptor::Number(fd) => out.extend_from_slice(fd.to_string().as_bytes()),
        Descriptor::Name(name) => out.extend_from_slice(&[b"{", &name[..], b"}"].concat()),
    }
    let here = Word::default();
    let (operator, word): (&[u8], &Word) = match &redirect.how {
        How::Read(word) => (b"< ", word),
        How::Write { target, clobber } => (if *clobber { b">| " } else { b"> " }, target),
        How::Append(word) => (b">> ", word),
        How::ReadWrite(word) => (b"<> ", word),
        How::Both { target, append } => (if *append { b"&>> " } else { b"&> " }, target),
        How::DuplicateIn(word) => (b"<&", word),
        How::DuplicateOut(word) => (b">&", word),
        How::Here(_) => (b"<<", &here),
        How::HereString(word) => (b"<<< ", word),
    };
    out.extend_from_slice(operator);
    out.extend_from_slice(&word.text);
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
