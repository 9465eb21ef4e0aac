//! Tokens: operators, words, and the line feeds behind which here-documents stand.

use super::error::SyntaxError;
use super::parse::Parser;
use super::tree::Word;

/// A token.
#[derive(Debug)]
pub(super) enum Token {
    Word(Word),
    /// `x=(…)`; the elements.
    Array(super::tree::Assignment, Vec<u8>),
    /// An operator, as written.
    Op(&'static [u8]),
    /// A number right before a redirection.
    Number(i32),
    /// `{name}` right before a redirection.
    Name(Vec<u8>),
    Newline,
    End,
}

/// Operators, longest first.
const OPERATORS: [&[u8]; 23] = [
    b"&>>", b"<<-", b"<<<", b";;&", b"&&", b"||", b";;", b";&", b"|&", b"&>", b">>", b"<<", b"<&", b">&",
    b"<>", b">|", b"&", b"|", b";", b"(", b")", b"<", b">",
];

impl Token {
    /// How bash names it in messages.
    pub(super) fn text(&self) -> Vec<u8> {
        match self {
            Token::Word(word) => word.text.clone(),
            Token::Array(_, text) => text.clone(),
            Token::Op(op) => op.to_vec(),
            Token::Number(n) => n.to_string().into_bytes(),
            Token::Name(name) => [b"{", &name[..], b"}"].concat(),
            Token::Newline => b"\n".to_vec(),
            Token::End => Vec::new(),
        }
    }
}

impl Parser<'_> {
    pub(super) fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    pub(super) fn bump(&mut self) {
        if self.byte(0) == Some(b'\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    /// Blanks, comments and line continuations.
    fn skip_blanks(&mut self) {
        loop {
            match self.byte(0) {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\\') if self.byte(1) == Some(b'\n') => {
                    self.at += 2;
                    self.line += 1;
                }
                Some(b'#') => {
                    while self.byte(0).is_some_and(|b| b != b'\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// Looks at the next token.
    pub(super) fn peek(&mut self) -> Result<&Token, SyntaxError> {
        if self.next.is_none() {
            self.skip_blanks();
            self.token_line = self.line;
            self.token_start = self.at;
            let token = self.lex()?;
            self.next = Some(token);
        }
        Ok(self.next.as_ref().unwrap_or(&Token::End))
    }

    /// Takes the next token. Behind a line feed stand the here-documents of its line.
    pub(super) fn take(&mut self) -> Result<Token, SyntaxError> {
        self.peek()?;
        let token = self.next.take().unwrap_or(Token::End);
        self.last_end = self.at;
        if matches!(token, Token::Newline) && !self.pending.is_empty() {
            self.read_heredocs()?;
        }
        Ok(token)
    }

    fn lex(&mut self) -> Result<Token, SyntaxError> {
        let Some(byte) = self.byte(0) else {
            if !self.pending.is_empty() {
                self.read_heredocs()?;
            }
            return Ok(Token::End);
        };
        if byte == b'\n' {
            self.bump();
            return Ok(Token::Newline);
        }
        let rest = &self.text[self.at..];
        let substitutes = matches!(byte, b'<' | b'>') && self.byte(1) == Some(b'(');
        if !substitutes && let Some(op) = OPERATORS.iter().find(|op| rest.starts_with(op)) {
            // `<<(`… stays `<` `<(`.
            self.at += op.len();
            return Ok(Token::Op(op));
        }
        if let Some(token) = self.descriptor() {
            return Ok(token);
        }
        self.word_token()
    }

    /// A number, `{name}` or `{name[index]}` directly before `<` or `>`.
    fn descriptor(&mut self) -> Option<Token> {
        let rest = &self.text[self.at..];
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let redirects = |n: usize| rest.get(n).is_some_and(|b| matches!(b, b'<' | b'>'));
        if digits > 0 && redirects(digits) {
            let number = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
            self.at += digits;
            return Some(Token::Number(number));
        }
        if rest.first() == Some(&b'{') {
            let end = rest.iter().position(|b| *b == b'}')?;
            let name = &rest[1..end];
            let array = name.strip_suffix(b"]").and_then(|n| Some(&n[..n.iter().position(|b| *b == b'[')?]));
            if super::is_name(array.unwrap_or(name)) && redirects(end + 1) {
                let token = Token::Name(name.to_vec());
                self.at += end + 1;
                return Some(token);
            }
        }
        None
    }
}
