//! `[[ … ]]`.

use super::error::SyntaxError;
use super::lex::Token;
use super::parse::Parser;
use super::tree::{Test, Word};

/// Operators between two words.
const BINARY: [&[u8]; 13] =
    [b"==", b"=", b"!=", b"=~", b"-eq", b"-ne", b"-lt", b"-le", b"-gt", b"-ge", b"-nt", b"-ot", b"-ef"];

type Read<T> = Result<T, SyntaxError>;

/// Whether it is an operator before one word.
pub(crate) fn is_unary(text: &[u8]) -> Option<u8> {
    match text {
        [b'-', letter] if b"abcdefghknoprstuvwxzGLNORS".contains(letter) => Some(*letter),
        _ => None,
    }
}

impl Parser<'_> {
    /// An expression up to `]]`, which is taken.
    pub(super) fn test_command(&mut self) -> Read<Test> {
        let outer = std::mem::replace(&mut self.extglob, true);
        let test = self.test_or();
        let end = match &test {
            Ok(_) => self.is_word(b"]]"),
            Err(_) => Ok(true),
        };
        self.extglob = outer;
        let test = test?;
        if !end? {
            return Err(self.test_error("syntax error in conditional expression"));
        }
        self.take()?;
        Ok(test)
    }

    fn test_error(&mut self, message: &str) -> SyntaxError {
        match self.unexpected() {
            end @ SyntaxError::End { .. } => end,
            SyntaxError::Unexpected { token, line } => {
                SyntaxError::Other { message: message.to_string(), line, near: Some(token) }
            }
            other => other,
        }
    }

    fn test_or(&mut self) -> Read<Test> {
        self.deeper()?;
        let mut left = self.test_and()?;
        self.newlines()?;
        while self.is_op(b"||")? {
            self.take()?;
            left = Test::Or(Box::new(left), Box::new(self.test_and()?));
            self.newlines()?;
        }
        Ok(left)
    }

    fn test_and(&mut self) -> Read<Test> {
        let mut left = self.test_not()?;
        self.newlines()?;
        while self.is_op(b"&&")? {
            self.take()?;
            left = Test::And(Box::new(left), Box::new(self.test_not()?));
            self.newlines()?;
        }
        Ok(left)
    }

    fn test_not(&mut self) -> Read<Test> {
        self.newlines()?;
        self.deeper()?;
        if self.is_word(b"!")? {
            self.take()?;
            return Ok(Test::Not(Box::new(self.test_not()?)));
        }
        if self.is_op(b"(")? {
            self.take()?;
            let inner = self.test_or()?;
            if !self.is_op(b")")? {
                return Err(self.test_error("expected `)'"));
            }
            self.take()?;
            return Ok(inner);
        }
        self.primary()
    }

    fn test_word(&mut self) -> Read<Word> {
        if self.is_word(b"]]")? {
            return Err(self.test_error("unexpected argument `]]' to conditional binary operator"));
        }
        match self.take()? {
            Token::Word(word) => Ok(word.settled()),
            Token::Array(_, text) => Ok(Word::literal(&text)),
            Token::Number(n) => Ok(Word::literal(n.to_string().as_bytes())),
            token => {
                self.next = Some(token);
                Err(self.test_error("syntax error in conditional expression"))
            }
        }
    }

    fn primary(&mut self) -> Read<Test> {
        let first = self.test_word()?;
        let unary = first.plain().and_then(is_unary);
        let binary = match self.peek()? {
            Token::Word(word) => word.plain().filter(|w| BINARY.contains(w)).map(<[u8]>::to_vec),
            Token::Op(op @ (b"<" | b">")) => Some(op.to_vec()),
            _ => None,
        };
        if let Some(op) = binary {
            // `[[ -n == x ]]` compares; `[[ -n -eq ]]` does not matter to anybody.
            self.take()?;
            let second = if op == b"=~" { self.regex()? } else { self.test_word()? };
            return Ok(Test::Binary(op, first, second));
        }
        let word_follows = matches!(self.peek()?, Token::Word(word) if word.plain() != Some(b"]]"))
            || matches!(self.next, Some(Token::Number(_) | Token::Array(..)));
        if let Some(letter) = unary
            && word_follows
        {
            return Ok(Test::Unary(letter, self.test_word()?));
        }
        if word_follows {
            let line = self.token_line;
            let near = self.next.as_ref().map(Token::text);
            return Err(SyntaxError::Other {
                message: "conditional binary operator expected".to_string(),
                line,
                near,
            });
        }
        Ok(Test::Word(first))
    }

    /// A regular expression: brackets and bars belong to it.
    fn regex(&mut self) -> Read<Word> {
        while matches!(self.byte(0), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.token_line = self.line;
        let word = self.word(true)?;
        if word.text.is_empty() {
            return Err(self.test_error("unexpected argument to conditional binary operator"));
        }
        Ok(word)
    }
}
