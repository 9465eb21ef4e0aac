//! Expressions, read by their operators from the loosest to the tightest.

use super::tree::{Expr, From, Op};
use super::{DEEPEST, Parsed, Parser};
use crate::lex::Token;

/// Functions of the language.
const BUILTINS: &[&str] = &[
    "length", "substr", "index", "split", "sub", "gsub", "gensub", "match", "sprintf", "sin", "cos", "atan2",
    "exp", "log", "sqrt", "int", "rand", "srand", "tolower", "toupper", "system", "close", "fflush",
    "systime", "strftime", "mktime", "and", "or", "xor", "lshift", "rshift", "compl", "strtonum", "asort",
    "asorti", "typeof", "isarray",
];

impl Parser {
    pub(super) fn keys(&mut self) -> Parsed<Vec<Expr>> {
        let mut keys = vec![self.open_expr()?];
        while self.take(",") {
            keys.push(self.open_expr()?);
        }
        self.need("]")?;
        Ok(keys)
    }

    // Inside brackets nothing of what surrounds them holds.
    pub(super) fn open_expr(&mut self) -> Parsed<Expr> {
        let old = (std::mem::replace(&mut self.no_more, false), std::mem::replace(&mut self.no_in, false));
        self.newlines();
        let expr = self.expr();
        self.newlines();
        (self.no_more, self.no_in) = old;
        expr
    }

    pub(super) fn expr(&mut self) -> Parsed<Expr> {
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

    pub(super) fn or(&mut self) -> Parsed<Expr> {
        let mut left = self.and()?;
        while self.take("||") {
            self.newlines();
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    pub(super) fn and(&mut self) -> Parsed<Expr> {
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
