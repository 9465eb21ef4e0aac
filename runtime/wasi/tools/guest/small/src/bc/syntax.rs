//! The language, read item by item: what was read before an error has been run by then.

/// What can stand for a value and be given one.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// A name, `scale`, `ibase`, `obase` or `last` too.
    Name(String),
    /// A part of an array.
    Part(String, Box<Expression>),
}

/// What gives a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    Number(String),
    Place(Place),
    /// A first value, and operators of one level with theirs, from the left: however many, they are no deeper.
    Chain(Box<Expression>, Vec<(&'static str, Expression)>),
    Negated(Box<Expression>),
    Not(Box<Expression>),
    /// The operator without its `=`; empty for a plain one.
    Set(Place, &'static str, Box<Expression>),
    /// By how much, and whether the value is that from before.
    Step(Place, i64, bool),
    Call(String, Vec<Argument>),
    Inside(Box<Expression>),
}

/// What a function is called with.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    Value(Expression),
    Array(String),
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    Value(Expression),
    Text(String),
    Print(Vec<Statement>),
    If(Expression, Box<Statement>, Option<Box<Statement>>),
    While(Expression, Box<Statement>),
    For(Option<Expression>, Option<Expression>, Option<Expression>, Box<Statement>),
    Block(Vec<Statement>),
    Return(Option<Expression>),
    Break,
    Continue,
    Quit,
    Nothing,
}

/// A function.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    pub name: String,
    /// Arguments and own names; an array's ends in `[]`.
    pub arguments: Vec<String>,
    pub own: Vec<String>,
    pub body: Vec<Statement>,
}

/// What stands at the top.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Statements(Vec<Statement>),
    Function(Function),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(String),
    Name(String),
    Text(String),
    Sign(&'static str),
    Line,
}

/// Longer ones first.
const SIGNS: [&str; 35] = [
    "==", "!=", "<=", ">=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "%=", "^=", "+", "-", "*", "/",
    "%", "^", "=", "<", ">", "!", "(", ")", "{", "}", "[", "]", ";", ",", "&", "|", "?",
];
/// How deep expressions and blocks may lie in one another.
const DEPTH: usize = 100;

/// Reads items.
pub struct Reader {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

type Read<T> = Result<T, usize>;

impl Reader {
    /// Cuts a text into words.
    pub fn new(text: &[u8]) -> Reader {
        let text = String::from_utf8_lossy(text).into_owned();
        let mut tokens = Vec::new();
        let (mut rest, mut line) = (text.as_str(), 1);
        while let Some(c) = rest.chars().next() {
            let count = |found: fn(char) -> bool, rest: &str| rest.find(|c| !found(c)).unwrap_or(rest.len());
            let length;
            if rest.starts_with("/*") {
                length = rest.find("*/").map_or(rest.len(), |end| end + 2);
            } else if c == '#' {
                length = rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("\\\n") {
                length = 2;
            } else if c == '\n' {
                length = 1;
                tokens.push((Token::Line, line));
            } else if c.is_whitespace() {
                length = c.len_utf8();
            } else if c == '"' {
                let end = rest[1..].find('"').map_or(rest.len(), |end| end + 1);
                tokens.push((Token::Text(rest[1..end].to_owned()), line));
                length = (end + 1).min(rest.len());
            } else if c.is_ascii_digit() || c.is_ascii_uppercase() || c == '.' {
                length = count(|c| c.is_ascii_digit() || c.is_ascii_uppercase() || c == '.', rest);
                let text = &rest[..length];
                tokens.push((
                    if text == "." { Token::Name("last".into()) } else { Token::Number(text.into()) },
                    line,
                ));
            } else if c.is_ascii_lowercase() {
                length = count(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_', rest);
                tokens.push((Token::Name(rest[..length].into()), line));
            } else {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                length = sign.map_or(c.len_utf8(), |sign| sign.len());
                tokens.push((Token::Sign(sign.copied().unwrap_or("?")), line));
            }
            line += rest[..length].matches('\n').count();
            rest = &rest[length..];
        }
        Reader { tokens, at: 0, depth: 0 }
    }

    /// Reads the next item: a line or a function; the error is a line's number, and that line is left out.
    pub fn next(&mut self) -> Option<Read<Item>> {
        while self.take_line() {}
        self.tokens.get(self.at)?;
        let start = self.at;
        self.depth = 0;
        let item = self.item();
        if item.is_err() {
            self.at = self.at.max(start);
            while self.at < self.tokens.len() && !self.take_line() {
                self.at += 1;
            }
        }
        Some(item)
    }

    fn item(&mut self) -> Read<Item> {
        if self.is_name("define") {
            self.at += 1;
            return self.function().map(Item::Function);
        }
        let mut statements = vec![self.statement()?];
        while self.take(";") {
            if matches!(self.peek(), None | Some(Token::Line)) {
                break;
            }
            statements.push(self.statement()?);
        }
        if self.peek().is_none() || self.take_line() {
            Ok(Item::Statements(statements))
        } else {
            Err(self.line())
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |(_, line)| *line)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(found)) if found == name)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    fn take_line(&mut self) -> bool {
        let found = matches!(self.peek(), Some(Token::Line));
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, sign: &str) -> Read<()> {
        if self.take(sign) { Ok(()) } else { Err(self.line()) }
    }

    fn name(&mut self) -> Read<String> {
        match self.peek() {
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.line()),
        }
    }

    /// One level deeper, within bounds.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.line());
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn names(&mut self, end: &str) -> Read<Vec<String>> {
        let mut names = Vec::new();
        while !self.take(end) {
            if !names.is_empty() {
                self.need(",")?;
            }
            let name = self.name()?;
            names.push(if self.take("[") {
                self.need("]")?;
                name + "[]"
            } else {
                name
            });
            if end == ";" && matches!(self.peek(), Some(Token::Line)) {
                break;
            }
        }
        Ok(names)
    }

    fn function(&mut self) -> Read<Function> {
        let name = self.name()?;
        self.need("(")?;
        let arguments = self.names(")")?;
        while self.take_line() {}
        self.need("{")?;
        while self.take_line() {}
        let own = if self.is_name("auto") {
            self.at += 1;
            self.names(";")?
        } else {
            Vec::new()
        };
        Ok(Function { name, arguments, own, body: self.block()? })
    }

    /// Reads statements up to the closing bracket, which is taken.
    fn block(&mut self) -> Read<Vec<Statement>> {
        let mut statements = Vec::new();
        loop {
            while self.take(";") || self.take_line() {}
            if self.take("}") {
                return Ok(statements);
            }
            statements.push(self.statement()?);
            if !self.is(";") && !self.is("}") && self.peek() != Some(&Token::Line) {
                return Err(self.line());
            }
        }
    }

    fn statement(&mut self) -> Read<Statement> {
        self.deeper(Self::one_statement)
    }

    fn one_statement(&mut self) -> Read<Statement> {
        if self.take("{") {
            return self.block().map(Statement::Block);
        }
        if self.is(";") || matches!(self.peek(), None | Some(Token::Line)) {
            return Ok(Statement::Nothing);
        }
        if let Some(Token::Text(text)) = self.peek() {
            let text = text.clone();
            self.at += 1;
            return Ok(Statement::Text(text));
        }
        let word = match self.peek() {
            Some(Token::Name(name)) => name.clone(),
            _ => String::new(),
        };
        let keyword = self.at;
        self.at += 1;
        match word.as_str() {
            "if" => {
                self.need("(")?;
                let condition = self.expression()?;
                self.need(")")?;
                while self.take_line() {}
                let then = Box::new(self.statement()?);
                let back = self.at;
                while self.take_line() || (self.is(";") && self.followed_by_else() && self.take(";")) {}
                if self.is_name("else") {
                    self.at += 1;
                    while self.take_line() {}
                    return Ok(Statement::If(condition, then, Some(Box::new(self.statement()?))));
                }
                self.at = back;
                Ok(Statement::If(condition, then, None))
            }
            "while" => {
                self.need("(")?;
                let condition = self.expression()?;
                self.need(")")?;
                while self.take_line() {}
                Ok(Statement::While(condition, Box::new(self.statement()?)))
            }
            "for" => {
                self.need("(")?;
                let mut part = |end: &str| -> Read<Option<Expression>> {
                    let part = if self.is(end) { None } else { Some(self.expression()?) };
                    self.need(end)?;
                    Ok(part)
                };
                let (first, condition, step) = (part(";")?, part(";")?, part(")")?);
                while self.take_line() {}
                Ok(Statement::For(first, condition, step, Box::new(self.statement()?)))
            }
            "print" => {
                let mut parts = Vec::new();
                loop {
                    parts.push(match self.peek() {
                        Some(Token::Text(text)) => {
                            let text = text.clone();
                            self.at += 1;
                            Statement::Text(text)
                        }
                        _ => Statement::Value(self.expression()?),
                    });
                    if !self.take(",") {
                        return Ok(Statement::Print(parts));
                    }
                }
            }
            "return" => {
                let ends = self.is(";") || self.is("}") || matches!(self.peek(), None | Some(Token::Line));
                Ok(Statement::Return(if ends { None } else { Some(self.expression()?) }))
            }
            "break" => Ok(Statement::Break),
            "continue" => Ok(Statement::Continue),
            "quit" | "halt" => Ok(Statement::Quit),
            _ => {
                self.at = keyword;
                self.expression().map(Statement::Value)
            }
        }
    }

    fn followed_by_else(&self) -> bool {
        let rest = self.tokens[self.at + 1..].iter().find(|(token, _)| *token != Token::Line);
        matches!(rest, Some((Token::Name(name), _)) if name == "else")
    }

    fn expression(&mut self) -> Read<Expression> {
        self.deeper(|reader| reader.binary(0))
    }

    /// Operators by level, the loosest first; `!` stands between `&&` and the comparisons.
    fn binary(&mut self, level: usize) -> Read<Expression> {
        const LEVELS: [&[&str]; 5] =
            [&["||"], &["&&"], &["==", "!=", "<=", ">=", "<", ">"], &["+", "-"], &["*", "/", "%"]];
        if level == LEVELS.len() {
            return self.power();
        }
        if level == 2 && self.take("!") {
            return Ok(Expression::Not(Box::new(self.deeper(|reader| reader.binary(2))?)));
        }
        let first = self.binary(level + 1)?;
        let mut rest = Vec::new();
        while let Some(sign) = LEVELS[level].iter().find(|sign| self.is(sign)) {
            self.at += 1;
            rest.push((*sign, self.binary(level + 1)?));
        }
        Ok(if rest.is_empty() { first } else { Expression::Chain(Box::new(first), rest) })
    }

    fn power(&mut self) -> Read<Expression> {
        let base = self.unary()?;
        if self.take("^") {
            let exponent = self.deeper(Self::power)?;
            return Ok(Expression::Chain(Box::new(base), vec![("^", exponent)]));
        }
        Ok(base)
    }

    fn unary(&mut self) -> Read<Expression> {
        if self.take("-") {
            return Ok(Expression::Negated(Box::new(self.deeper(Self::unary)?)));
        }
        for (sign, by) in [("++", 1), ("--", -1)] {
            if self.take(sign) {
                return Ok(Expression::Step(self.place()?, by, false));
            }
        }
        self.primary()
    }

    fn place(&mut self) -> Read<Place> {
        let name = self.name()?;
        if self.take("[") {
            let part = self.expression()?;
            self.need("]")?;
            return Ok(Place::Part(name, Box::new(part)));
        }
        Ok(Place::Name(name))
    }

    fn primary(&mut self) -> Read<Expression> {
        if self.take("(") {
            let inside = self.expression()?;
            self.need(")")?;
            return Ok(Expression::Inside(Box::new(inside)));
        }
        if let Some(Token::Number(text)) = self.peek() {
            let text = text.clone();
            self.at += 1;
            return Ok(Expression::Number(text));
        }
        let start = self.at;
        let name = self.name()?;
        if self.take("(") {
            let mut arguments = Vec::new();
            while !self.take(")") {
                if !arguments.is_empty() {
                    self.need(",")?;
                }
                arguments.push(self.argument()?);
            }
            return Ok(Expression::Call(name, arguments));
        }
        self.at = start;
        let place = self.place()?;
        for sign in ["=", "+=", "-=", "*=", "/=", "%=", "^="] {
            if self.take(sign) {
                let value = Box::new(self.expression()?);
                return Ok(Expression::Set(place, &sign[..sign.len() - 1], value));
            }
        }
        for (sign, by) in [("++", 1), ("--", -1)] {
            if self.take(sign) {
                return Ok(Expression::Step(place, by, true));
            }
        }
        Ok(Expression::Place(place))
    }

    fn argument(&mut self) -> Read<Argument> {
        let start = self.at;
        if let Ok(name) = self.name()
            && self.take("[")
            && self.take("]")
        {
            return Ok(Argument::Array(name));
        }
        self.at = start;
        self.expression().map(Argument::Value)
    }
}
