//! Tokens as the grammar can take them: `((…))` is settled here, since the grammar tries each `(` both as arithmetic and
//! as a subshell, at every level again, and thirty brackets keep it busy for ever.

use brush_parser::{SourceSpan, Token};

/// The program's name in what stands for an arithmetic command; no script can spell it, for there it would be operators.
pub(super) const ARITHMETIC: &str = "((";

/// Most `case` commands within one another. The grammar reads a `case` that lacks its end twice, at every level again.
const MAX_NESTED_CASES: usize = 10;

/// Longest number of a descriptor (`2>`), in digits; the grammar panics at what is none.
const MAX_DESCRIPTOR_DIGITS: usize = 9;

/// Replaces each arithmetic command by a simple one, `for ((…))` by `while`, and keeps nested subshells apart.
///
/// # Errors
/// What the grammar cannot take: a descriptor's number that is too long, too many `case` in one another.
pub(super) fn settle(tokens: Vec<Token>) -> Result<Vec<Token>, String> {
    if nested_cases(&tokens) > MAX_NESTED_CASES {
        return Err(format!("more than {MAX_NESTED_CASES} `case` in one another"));
    }
    let closing = closing_brackets(&tokens);
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let is_number = |t: &Token| t.to_str().len() > MAX_DESCRIPTOR_DIGITS && is_digits(t.to_str());
        if is_word(token) && is_number(token) && tokens.get(at + 1).is_some_and(is_redirect) {
            return Err(format!("a descriptor's number has more than {MAX_DESCRIPTOR_DIGITS} digits"));
        }
        if !is_operator(token, "(") || !tokens.get(at + 1).is_some_and(|next| is_operator(next, "(")) {
            out.push(token.clone());
            at += 1;
            continue;
        }
        let span = token.location().clone();
        let Some(end) = arithmetic_end(&tokens, &closing, at) else {
            // A subshell that begins with a subshell: a line feed between the brackets says so.
            out.extend([token.clone(), Token::Operator("\n".into(), span)]);
            at += 1;
            continue;
        };
        let expression: Vec<&str> = tokens[at + 2..end - 1].iter().map(Token::to_str).collect();
        let is_for = out.last().is_some_and(|t| is_word(t) && t.to_str() == "for");
        if is_for {
            out.pop();
            out.push(Token::Word("while".into(), span.clone()));
        }
        out.push(Token::Word(ARITHMETIC.into(), span.clone()));
        out.push(Token::Word(format!("$(({}))", expression.join(" ")), span.clone()));
        at = end + 1;
        if is_for && tokens.get(at).is_some_and(|t| is_word(t) && t.to_str() == "do") {
            out.push(Token::Operator(";".into(), span));
        }
    }
    Ok(out)
}

/// How deep `case` stands in `case`, at most. Where it is in doubt whether an `esac` ends one, it does not.
fn nested_cases(tokens: &[Token]) -> usize {
    let ends = |t: &Token| match t {
        Token::Operator(operator, _) => !matches!(operator.as_str(), "(" | "|"),
        Token::Word(word, _) => matches!(word.as_str(), "in" | "esac" | "fi" | "done" | "}" | "]]"),
    };
    let (mut depth, mut deepest) = (0usize, 0);
    for (at, token) in tokens.iter().enumerate().filter(|(_, t)| is_word(t)) {
        let next = tokens.get(at + 1);
        if token.to_str() == "case" {
            depth += 1;
            deepest = deepest.max(depth);
        } else if token.to_str() == "esac"
            && at.checked_sub(1).and_then(|i| tokens.get(i)).is_some_and(ends)
            && !next.is_some_and(|t| is_operator(t, ")") || is_operator(t, "|"))
        {
            depth = depth.saturating_sub(1);
        } else if depth > 0 && at > 0 && token.to_str() != "in" && is_word(&tokens[at - 1]) {
            // `grep case f`: a word in the place of `in` says that it was none.
            let is_subject = at > 1 && tokens[at - 2].to_str() == "case" && is_word(&tokens[at - 2]);
            depth -= usize::from(is_subject && tokens[at - 1].to_str() != "in");
        }
    }
    deepest
}

/// The second of the two closing brackets of an arithmetic command whose first opening bracket is given. As in bash, both
/// pairs stand together; otherwise they are subshells.
fn arithmetic_end(tokens: &[Token], closing: &[usize], at: usize) -> Option<usize> {
    let (outer, inner) = (closing[at], closing[at + 1]);
    let together = |a: usize, b: usize| start(tokens[a].location()) + 1 == start(tokens[b].location());
    (inner != 0 && outer == inner + 1 && together(at, at + 1) && together(inner, outer)).then_some(outer)
}

/// For each opening bracket the index of its closing one; 0 for all other tokens.
fn closing_brackets(tokens: &[Token]) -> Vec<usize> {
    let mut closing = vec![0; tokens.len()];
    let mut open = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if is_operator(token, "(") {
            open.push(at);
        } else if is_operator(token, ")")
            && let Some(start) = open.pop()
        {
            // One that closes nothing ends a pattern of `case`.
            closing[start] = at;
        }
    }
    closing
}

fn start(span: &SourceSpan) -> usize {
    span.start.index
}

fn is_word(token: &Token) -> bool {
    matches!(token, Token::Word(..))
}

fn is_operator(token: &Token, text: &str) -> bool {
    matches!(token, Token::Operator(operator, _) if operator == text)
}

fn is_redirect(token: &Token) -> bool {
    matches!(token, Token::Operator(operator, _) if operator.starts_with(['<', '>']))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(text: &str) -> Vec<String> {
        let tokens = brush_parser::uncached_tokenize_str(text, &Default::default()).unwrap();
        settle(tokens).unwrap().iter().map(|t| t.to_str().to_string()).collect()
    }

    #[test]
    fn arithmetic_and_subshells_are_told_apart() {
        assert_eq!(settled("((i++)); a"), ["((", "$((i++))", ";", "a"]);
        assert_eq!(settled("(( (1 + 2) * 3 ))"), ["((", "$((( 1 + 2 ) * 3))"]);
        assert_eq!(settled("( (a) )"), ["(", "\n", "(", "a", ")", ")"]);
        assert_eq!(settled("((a) ; b)"), ["(", "\n", "(", "a", ")", ";", "b", ")"]);
        assert_eq!(
            settled("for ((i=0;i<3;i++)) do a; done")[..4],
            ["while", "((", "$((i=0 ; i < 3 ; i++))", ";"]
        );
        assert_eq!(settled("(a) (b)"), ["(", "a", ")", "(", "b", ")"]);
    }

    #[test]
    fn a_number_that_is_no_descriptor_is_refused() {
        let tokens =
            brush_parser::uncached_tokenize_str("99999999999999999999>f", &Default::default()).unwrap();
        assert!(settle(tokens).is_err());
    }
}
