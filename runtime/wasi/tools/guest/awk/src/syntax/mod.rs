//! The program as a tree.

mod expression;
mod statement;
mod tree;

use crate::lex::{Token, tokens};
use std::collections::HashMap;
pub use tree::{Array, Expr, From, Op, Pattern, Program, Stmt, Way};

/// How deep expressions and blocks may nest.
const DEEPEST: usize = 400;

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    globals: HashMap<String, usize>,
    names: Vec<String>,
    functions: HashMap<String, usize>,
    locals: Vec<String>,
    /// In the arguments of `print`, `>` is a redirection.
    no_more: bool,
    no_in: bool,
    depth: usize,
}

/// Reads a program. `known` are the variables that the interpreter sets itself, in their order.
pub fn parse(text: &[u8], known: &[&str]) -> Result<Program, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens,
        at: 0,
        globals: HashMap::new(),
        names: Vec::new(),
        functions: HashMap::new(),
        locals: Vec::new(),
        no_more: false,
        no_in: false,
        depth: 0,
    };
    for name in known {
        parser.global(name);
    }
    // Functions may be called before they are defined.
    let mut functions = 0;
    for pair in parser.tokens.windows(2) {
        if let ((Token::Word("function" | "func"), _), (Token::Name(name) | Token::Call(name), _)) =
            (&pair[0], &pair[1])
        {
            parser.functions.insert(name.clone(), functions);
            functions += 1;
        }
    }
    let mut program = Program::default();
    parser.blank();
    while *parser.peek() != Token::End {
        parser.item(&mut program)?;
        parser.blank();
    }
    program.globals = parser.names;
    Ok(program)
}

type Parsed<T> = Result<T, String>;

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].0.clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(other) if *other == sign)
    }

    fn word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(other) if *other == word)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.next();
        }
        found
    }

    fn need(&mut self, sign: &str) -> Parsed<()> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> String {
        let (token, line) = &self.tokens[self.at];
        let text = match token {
            Token::Number(number) => number.to_string(),
            Token::Text(text) => format!("\"{}\"", String::from_utf8_lossy(text)),
            Token::Regex(text) => format!("/{}/", String::from_utf8_lossy(text)),
            Token::Name(name) | Token::Call(name) => name.clone(),
            Token::Word(word) => (*word).into(),
            Token::Sign(sign) => (*sign).into(),
            Token::End => return format!("line {line}: missing }} near end of file"),
            Token::Newline => "end of line".into(),
        };
        format!("line {line}: syntax error at or near {text}")
    }

    fn newlines(&mut self) {
        while *self.peek() == Token::Newline {
            self.next();
        }
    }

    fn blank(&mut self) {
        while *self.peek() == Token::Newline || self.is(";") {
            self.next();
        }
    }

    fn global(&mut self, name: &str) -> usize {
        if let Some(at) = self.globals.get(name) {
            return *at;
        }
        self.names.push(name.to_owned());
        self.globals.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }

    fn variable(&mut self, name: &str) -> Expr {
        match self.locals.iter().position(|local| local == name) {
            Some(at) => Expr::Local(at),
            None => Expr::Global(self.global(name)),
        }
    }

    fn array(&mut self, name: &str) -> Array {
        match self.locals.iter().position(|local| local == name) {
            Some(at) => Array::Local(at),
            None => Array::Global(self.global(name)),
        }
    }
}
