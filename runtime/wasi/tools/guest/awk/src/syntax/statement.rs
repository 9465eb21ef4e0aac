//! Statements, read.

use super::tree::{Expr, Function, Pattern, Program, Stmt, Way};
use super::{DEEPEST, Parsed, Parser};
use crate::lex::Token;

impl Parser {
    pub(super) fn item(&mut self, program: &mut Program) -> Parsed<()> {
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

    pub(super) fn end(&mut self) -> Parsed<()> {
        if self.is("}") || *self.peek() == Token::End {
            return Ok(());
        }
        if self.take(";") || *self.peek() == Token::Newline {
            return Ok(());
        }
        Err(self.unexpected())
    }

    pub(super) fn body(&mut self) -> Parsed<Box<Stmt>> {
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
}
