//! The program as a tree.

use crate::lex::{Token, tokens};
use std::collections::HashMap;
use std::rc::Rc;

#[derive(Debug)]
pub enum Expr {
    Number(f64),
    Text(Rc<[u8]>),
    Regex(Rc<[u8]>),
    Global(usize),
    Local(usize),
    Field(Box<Expr>),
    /// An element: the array and its keys.
    Index(Array, Vec<Expr>),
    Assign(Box<Expr>, Option<Op>, Box<Expr>),
    /// Before or after, and by how much.
    Step {
        target: Box<Expr>,
        by: f64,
        before: bool,
    },
    Binary(Op, Box<Expr>, Box<Expr>),
    Concat(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Minus(Box<Expr>),
    Plus(Box<Expr>),
    Match(Box<Expr>, Box<Expr>, bool),
    In(Vec<Expr>, Array),
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    Call(usize, Vec<Expr>),
    Builtin(String, Vec<Expr>),
    Getline {
        from: From,
        target: Option<Box<Expr>>,
    },
    /// Keys in parentheses, before `in` or as arguments of `print`.
    Group(Vec<Expr>),
}

#[derive(Debug)]
pub enum From {
    Main,
    File(Box<Expr>),
    Command(Box<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Array {
    Global(usize),
    Local(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Less,
    LessOrSame,
    Same,
    Other,
    More,
    MoreOrSame,
}

#[derive(Debug)]
pub enum Stmt {
    Expr(Expr),
    Print(Vec<Expr>, Option<(Way, Expr)>),
    Printf(Vec<Expr>, Option<(Way, Expr)>),
    If(Expr, Box<Stmt>, Option<Box<Stmt>>),
    While(Expr, Box<Stmt>),
    Do(Box<Stmt>, Expr),
    For(Option<Box<Stmt>>, Option<Expr>, Option<Box<Stmt>>, Box<Stmt>),
    ForIn(Expr, Array, Box<Stmt>),
    Block(Vec<Stmt>),
    Next,
    NextFile,
    Exit(Option<Expr>),
    Return(Option<Expr>),
    Break,
    Continue,
    Delete(Array, Option<Vec<Expr>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    File,
    Append,
    Pipe,
}

#[derive(Debug)]
pub enum Pattern {
    Always,
    If(Expr),
    Range(Expr, Expr),
}

#[derive(Debug, Default)]
pub struct Function {
    pub params: Vec<String>,
    pub body: Vec<Stmt>,
}

#[derive(Debug, Default)]
pub struct Program {
    pub begin: Vec<Vec<Stmt>>,
    pub end: Vec<Vec<Stmt>>,
    /// Without a body, the line is printed.
    pub rules: Vec<(Pattern, Option<Vec<Stmt>>)>,
    pub functions: Vec<Function>,
    pub globals: Vec<String>,
}

/// Functions of the language.
const BUILTINS: &[&str] = &[
    "length", "substr", "index", "split", "sub", "gsub", "gensub", "match", "sprintf", "sin", "cos", "atan2",
    "exp", "log", "sqrt", "int", "rand", "srand", "tolower", "toupper", "system", "close", "fflush",
    "systime", "strftime", "mktime", "and", "or", "xor", "lshift", "rshift", "compl", "strtonum", "asort",
    "asorti", "typeof", "isarray",
];
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

    fn item(&mut self, program: &mut Program) -> Parsed<()> {
        if self.word("function") || self.word("func") {
            self.next();
            let (Token::Name(_) | Token::Call(_)) = self.next() else { return Err(self.unexpected()) };
            self.need("(")?;
            let mut params = Vec::new();
            while !self.take(")") {
                self.newlines();
                match self.next() {
                    Token::Name(name) => params.push(name),
                    _ => return Err(self.unexpected()),
                }
                self.newlines();
                if !self.take(",") && !self.is(")") {
                    return Err(self.unexpected());
                }
            }
            self.newlines();
            self.locals.clone_from(&params);
            let body = self.block()?;
            self.locals.clear();
            program.functions.push(Function { params, body });
            return Ok(());
        }
        if self.word("BEGIN") || self.word("END") {
            let begin = self.word("BEGIN");
            self.next();
            let body = self.block()?;
            if begin {
                program.begin.push(body)
            } else {
                program.end.push(body)
            }
            return Ok(());
        }
        let pattern = if self.is("{") {
            Pattern::Always
        } else {
            let first = self.expr()?;
            if self.take(",") {
                self.newlines();
                Pattern::Range(first, self.expr()?)
            } else {
                Pattern::If(first)
            }
        };
        let body = if self.is("{") { Some(self.block()?) } else { None };
        if body.is_none() && !(matches!(self.peek(), Token::Newline | Token::End) || self.is(";")) {
            return Err(self.unexpected());
        }
        program.rules.push((pattern, body));
        Ok(())
    }

    fn block(&mut self) -> Parsed<Vec<Stmt>> {
        self.need("{")?;
        let mut stmts = Vec::new();
        loop {
            self.blank();
            if self.take("}") {
                return Ok(stmts);
            }
            stmts.push(self.stmt()?);
        }
    }

    // A statement with what ends it.
    fn stmt(&mut self) -> Parsed<Stmt> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("program nests too deep".into());
        }
        let stmt = self.stmt_inner();
        self.depth -= 1;
        stmt
    }

    fn end(&mut self) -> Parsed<()> {
        if self.is("}") || *self.peek() == Token::End {
            return Ok(());
        }
        if self.take(";") || *self.peek() == Token::Newline {
            return Ok(());
        }
        Err(self.unexpected())
    }

    fn body(&mut self) -> Parsed<Box<Stmt>> {
        self.newlines();
        if self.take(";") {
            return Ok(Box::new(Stmt::Block(Vec::new())));
        }
        Ok(Box::new(self.stmt()?))
    }

    fn stmt_inner(&mut self) -> Parsed<Stmt> {
        if self.is("{") {
            return Ok(Stmt::Block(self.block()?));
        }
        let Token::Word(word) = *self.peek() else {
            let stmt = self.simple()?;
            self.end()?;
            return Ok(stmt);
        };
        match word {
            "if" => {
                self.next();
                self.need("(")?;
                let test = self.open_expr()?;
                self.need(")")?;
                let then = self.body()?;
                let back = self.at;
                self.blank();
                if self.word("else") {
                    self.next();
                    let other = self.body()?;
                    return Ok(Stmt::If(test, then, Some(other)));
                }
                self.at = back;
                Ok(Stmt::If(test, then, None))
            }
            "while" => {
                self.next();
                self.need("(")?;
                let test = self.open_expr()?;
                self.need(")")?;
                Ok(Stmt::While(test, self.body()?))
            }
            "do" => {
                self.next();
                let body = self.body()?;
                self.blank();
                if !self.word("while") {
                    return Err(self.unexpected());
                }
                self.next();
                self.need("(")?;
                let test = self.open_expr()?;
                self.need(")")?;
                self.end()?;
                Ok(Stmt::Do(body, test))
            }
            "for" => {
                self.next();
                self.need("(")?;
                if let (Token::Name(name), Token::Word("in"), Token::Name(array)) = (
                    self.peek().clone(),
                    self.tokens[self.at + 1].0.clone(),
                    self.tokens.get(self.at + 2).map_or(Token::End, |token| token.0.clone()),
                ) && matches!(self.tokens.get(self.at + 3), Some((Token::Sign(")"), _)))
                {
                    self.at += 4;
                    let (target, array) = (self.variable(&name), self.array(&array));
                    return Ok(Stmt::ForIn(target, array, self.body()?));
                }
                let first = if self.is(";") { None } else { Some(Box::new(self.simple()?)) };
                self.need(";")?;
                self.newlines();
                let test = if self.is(";") { None } else { Some(self.open_expr()?) };
                self.need(";")?;
                self.newlines();
                let step = if self.is(")") { None } else { Some(Box::new(self.simple()?)) };
                self.need(")")?;
                Ok(Stmt::For(first, test, step, self.body()?))
            }
            _ => {
                let stmt = self.simple()?;
                self.end()?;
                Ok(stmt)
            }
        }
    }

    // A statement that may also stand in the head of a `for`.
    fn simple(&mut self) -> Parsed<Stmt> {
        let Token::Word(word) = *self.peek() else { return Ok(Stmt::Expr(self.expr()?)) };
        let ends = |parser: &Parser| {
            matches!(parser.peek(), Token::Newline | Token::End) || parser.is(";") || parser.is("}")
        };
        match word {
            "print" | "printf" => {
                self.next();
                let args = self.print_args()?;
                let way = if self.take(">") {
                    Some(Way::File)
                } else if self.take(">>") {
                    Some(Way::Append)
                } else if self.take("|") {
                    Some(Way::Pipe)
                } else {
                    None
                };
                let to = match way {
                    Some(way) => Some((way, self.target_of_output()?)),
                    None => None,
                };
                if word == "printf" && args.is_empty() {
                    return Err(self.unexpected());
                }
                Ok(if word == "print" { Stmt::Print(args, to) } else { Stmt::Printf(args, to) })
            }
            "next" => {
                self.next();
                Ok(Stmt::Next)
            }
            "nextfile" => {
                self.next();
                Ok(Stmt::NextFile)
            }
            "break" => {
                self.next();
                Ok(Stmt::Break)
            }
            "continue" => {
                self.next();
                Ok(Stmt::Continue)
            }
            "exit" | "return" => {
                self.next();
                let value = if ends(self) { None } else { Some(self.expr()?) };
                Ok(if word == "exit" { Stmt::Exit(value) } else { Stmt::Return(value) })
            }
            "delete" => {
                self.next();
                let Token::Name(name) = self.next() else { return Err(self.unexpected()) };
                let array = self.array(&name);
                let keys = if self.take("[") { Some(self.keys()?) } else { None };
                Ok(Stmt::Delete(array, keys))
            }
            _ => Ok(Stmt::Expr(self.expr()?)),
        }
    }

    fn print_args(&mut self) -> Parsed<Vec<Expr>> {
        let ends = matches!(self.peek(), Token::Newline | Token::End)
            || [";", "}", ">", ">>", "|"].iter().any(|sign| self.is(sign));
        if ends {
            return Ok(Vec::new());
        }
        let old = std::mem::replace(&mut self.no_more, true);
        let mut args = vec![self.expr()?];
        while self.take(",") {
            self.newlines();
            args.push(self.expr()?);
        }
        self.no_more = old;
        if args.len() == 1 && matches!(args[0], Expr::Group(_)) {
            let Some(Expr::Group(list)) = args.pop() else { return Ok(args) };
            return Ok(list);
        }
        Ok(args)
    }

    fn target_of_output(&mut self) -> Parsed<Expr> {
        let old = std::mem::replace(&mut self.no_more, true);
        let to = self.expr();
        self.no_more = old;
        to
    }

    fn keys(&mut self) -> Parsed<Vec<Expr>> {
        let mut keys = vec![self.open_expr()?];
        while self.take(",") {
            keys.push(self.open_expr()?);
        }
        self.need("]")?;
        Ok(keys)
    }

    // Inside brackets nothing of what surrounds them holds.
    fn open_expr(&mut self) -> Parsed<Expr> {
        let old = (std::mem::replace(&mut self.no_more, false), std::mem::replace(&mut self.no_in, false));
        self.newlines();
        let expr = self.expr();
        self.newlines();
        (self.no_more, self.no_in) = old;
        expr
    }

    fn expr(&mut self) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("program nests too deep".into());
        }
        let expr = self.ternary();
        self.depth -= 1;
        expr
    }

    fn ternary(&mut self) -> Parsed<Expr> {
        let left = self.or()?;
        if self.take("?") {
            self.newlines();
            let then = self.expr()?;
            self.newlines();
            self.need(":")?;
            self.newlines();
            let other = self.expr()?;
            return Ok(Expr::If(Box::new(left), Box::new(then), Box::new(other)));
        }
        let ops = [
            ("=", None),
            ("+=", Some(Op::Add)),
            ("-=", Some(Op::Sub)),
            ("*=", Some(Op::Mul)),
            ("/=", Some(Op::Div)),
            ("%=", Some(Op::Mod)),
            ("^=", Some(Op::Pow)),
            ("**=", Some(Op::Pow)),
        ];
        for (sign, op) in ops {
            if self.is(sign) {
                // `a == b = c` assigns to the last operand.
                self.next();
                self.newlines();
                let value = self.expr()?;
                return assign(left, op, value).ok_or_else(|| self.unexpected());
            }
        }
        Ok(left)
    }

    fn or(&mut self) -> Parsed<Expr> {
        let mut left = self.and()?;
        while self.take("||") {
            self.newlines();
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed<Expr> {
        let mut left = self.membership()?;
        while self.take("&&") {
            self.newlines();
            left = Expr::And(Box::new(left), Box::new(self.membership()?));
        }
        Ok(left)
    }

    fn membership(&mut self) -> Parsed<Expr> {
        let mut left = self.matching()?;
        while self.word("in") && !self.no_in {
            self.next();
            let Token::Name(name) = self.next() else { return Err(self.unexpected()) };
            let array = self.array(&name);
            let keys = match left {
                Expr::Group(keys) => keys,
                key => vec![key],
            };
            left = Expr::In(keys, array);
        }
        Ok(left)
    }

    fn matching(&mut self) -> Parsed<Expr> {
        let mut left = self.comparison()?;
        loop {
            let yes = self.is("~");
            if !yes && !self.is("!~") {
                return Ok(left);
            }
            self.next();
            left = Expr::Match(Box::new(left), Box::new(self.comparison()?), yes);
        }
    }

    fn comparison(&mut self) -> Parsed<Expr> {
        let left = self.concat()?;
        let ops = [
            ("<=", Op::LessOrSame),
            ("==", Op::Same),
            ("!=", Op::Other),
            (">=", Op::MoreOrSame),
            ("<", Op::Less),
            (">", Op::More),
        ];
        for (sign, op) in ops {
            if self.is(sign) && !(sign == ">" && self.no_more) {
                self.next();
                let right = self.concat()?;
                return Ok(Expr::Binary(op, Box::new(left), Box::new(right)));
            }
        }
        Ok(left)
    }

    fn concat(&mut self) -> Parsed<Expr> {
        let mut left = self.additive()?;
        loop {
            // `"cmd" | getline` binds as tightly as concatenation.
            if self.is("|") && matches!(self.tokens.get(self.at + 1), Some((Token::Word("getline"), _))) {
                self.at += 2;
                let target = self.getline_target()?;
                left = Expr::Getline { from: From::Command(Box::new(left)), target };
                continue;
            }
            let starts = match self.peek() {
                Token::Number(_) | Token::Text(_) | Token::Regex(_) | Token::Name(_) | Token::Call(_) => true,
                Token::Sign(sign) => matches!(*sign, "$" | "!" | "(" | "++" | "--"),
                _ => false,
            };
            if !starts {
                return Ok(left);
            }
            left = Expr::Concat(Box::new(left), Box::new(self.additive()?));
        }
    }

    fn additive(&mut self) -> Parsed<Expr> {
        let mut left = self.multiplicative()?;
        loop {
            let op = if self.is("+") {
                Op::Add
            } else if self.is("-") {
                Op::Sub
            } else {
                return Ok(left);
            };
            self.next();
            left = Expr::Binary(op, Box::new(left), Box::new(self.multiplicative()?));
        }
    }

    fn multiplicative(&mut self) -> Parsed<Expr> {
        let mut left = self.unary()?;
        loop {
            let op = if self.is("*") {
                Op::Mul
            } else if self.is("/") {
                Op::Div
            } else if self.is("%") {
                Op::Mod
            } else {
                return Ok(left);
            };
            self.next();
            left = Expr::Binary(op, Box::new(left), Box::new(self.unary()?));
        }
    }

    fn unary(&mut self) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("program nests too deep".into());
        }
        let expr = if self.take("!") {
            self.unary().map(|expr| Expr::Not(Box::new(expr)))
        } else if self.take("-") {
            self.unary().map(|expr| Expr::Minus(Box::new(expr)))
        } else if self.take("+") {
            self.unary().map(|expr| Expr::Plus(Box::new(expr)))
        } else {
            self.power()
        };
        self.depth -= 1;
        expr
    }

    fn power(&mut self) -> Parsed<Expr> {
        let left = self.postfix()?;
        if self.take("^") || self.take("**") {
            let right = if self.take("-") {
                Expr::Minus(Box::new(self.power()?))
            } else if self.take("+") {
                self.power()?
            } else if self.take("!") {
                Expr::Not(Box::new(self.power()?))
            } else {
                self.power()?
            };
            return Ok(Expr::Binary(Op::Pow, Box::new(left), Box::new(right)));
        }
        Ok(left)
    }

    fn postfix(&mut self) -> Parsed<Expr> {
        let expr = self.primary()?;
        if is_target(&expr) {
            for (sign, by) in [("++", 1.0), ("--", -1.0)] {
                if self.take(sign) {
                    return Ok(Expr::Step { target: Box::new(expr), by, before: false });
                }
            }
        }
        Ok(expr)
    }

    fn getline_target(&mut self) -> Parsed<Option<Box<Expr>>> {
        let starts = matches!(self.peek(), Token::Name(_)) || self.is("$");
        if !starts {
            return Ok(None);
        }
        Ok(Some(Box::new(self.primary()?)))
    }

    fn primary(&mut self) -> Parsed<Expr> {
        for (sign, by) in [("++", 1.0), ("--", -1.0)] {
            if self.take(sign) {
                let target = self.primary()?;
                if !is_target(&target) {
                    return Err(self.unexpected());
                }
                return Ok(Expr::Step { target: Box::new(target), by, before: true });
            }
        }
        if self.take("$") {
            let inner = if self.is("-") || self.is("+") || self.is("!") {
                let sign = self.next();
                let inner = Box::new(self.primary()?);
                match sign {
                    Token::Sign("-") => Expr::Minus(inner),
                    Token::Sign("!") => Expr::Not(inner),
                    _ => Expr::Plus(inner),
                }
            } else {
                self.primary()?
            };
            return Ok(Expr::Field(Box::new(inner)));
        }
        if self.take("(") {
            let first = self.open_expr()?;
            if self.is(",") {
                let mut list = vec![first];
                while self.take(",") {
                    list.push(self.open_expr()?);
                }
                self.need(")")?;
                return Ok(Expr::Group(list));
            }
            self.need(")")?;
            return Ok(first);
        }
        match self.peek().clone() {
            Token::Number(number) => {
                self.next();
                Ok(Expr::Number(number))
            }
            Token::Text(text) => {
                self.next();
                Ok(Expr::Text(text.into()))
            }
            Token::Regex(text) => {
                self.next();
                Ok(Expr::Regex(text.into()))
            }
            Token::Word("getline") => {
                self.next();
                let target = self.getline_target()?;
                if self.take("<") {
                    let file = self.postfix()?;
                    return Ok(Expr::Getline { from: From::File(Box::new(file)), target });
                }
                Ok(Expr::Getline { from: From::Main, target })
            }
            Token::Call(name) => {
                self.next();
                self.need("(")?;
                let mut args = Vec::new();
                self.newlines();
                while !self.take(")") {
                    args.push(self.open_expr()?);
                    if !self.take(",") && !self.is(")") {
                        return Err(self.unexpected());
                    }
                    self.newlines();
                }
                if let Some(at) = self.functions.get(&name) {
                    return Ok(Expr::Call(*at, args));
                }
                if BUILTINS.contains(&name.as_str()) {
                    return Ok(Expr::Builtin(name, args));
                }
                Err(format!("line {}: function {name} never defined", self.tokens[self.at].1))
            }
            Token::Name(name) => {
                self.next();
                if self.take("[") {
                    let array = self.array(&name);
                    return Ok(Expr::Index(array, self.keys()?));
                }
                if self.functions.contains_key(&name) && self.is("(") {
                    return Err(self.unexpected());
                }
                if BUILTINS.contains(&name.as_str()) && !self.locals.contains(&name) {
                    // `length` may stand alone; others may have a blank before their parenthesis.
                    if self.is("(") {
                        self.next();
                        let mut args = Vec::new();
                        self.newlines();
                        while !self.take(")") {
                            args.push(self.open_expr()?);
                            if !self.take(",") && !self.is(")") {
                                return Err(self.unexpected());
                            }
                        }
                        return Ok(Expr::Builtin(name, args));
                    }
                    return Ok(Expr::Builtin(name, Vec::new()));
                }
                Ok(self.variable(&name))
            }
            _ => Err(self.unexpected()),
        }
    }
}

fn is_target(expr: &Expr) -> bool {
    matches!(expr, Expr::Global(_) | Expr::Local(_) | Expr::Field(_) | Expr::Index(..))
}

// An assignment takes the last operand of what stands to its left.
fn assign(left: Expr, op: Option<Op>, value: Expr) -> Option<Expr> {
    Some(match left {
        target if is_target(&target) => Expr::Assign(Box::new(target), op, Box::new(value)),
        Expr::And(a, b) => Expr::And(a, Box::new(assign(*b, op, value)?)),
        Expr::Or(a, b) => Expr::Or(a, Box::new(assign(*b, op, value)?)),
        Expr::Not(a) => Expr::Not(Box::new(assign(*a, op, value)?)),
        Expr::Minus(a) => Expr::Minus(Box::new(assign(*a, op, value)?)),
        Expr::Binary(sign, a, b) => Expr::Binary(sign, a, Box::new(assign(*b, op, value)?)),
        Expr::Concat(a, b) => Expr::Concat(a, Box::new(assign(*b, op, value)?)),
        Expr::Match(a, b, yes) => Expr::Match(a, Box::new(assign(*b, op, value)?), yes),
        _ => return None,
    })
}
