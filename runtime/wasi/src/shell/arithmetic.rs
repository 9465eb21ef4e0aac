//! Arithmetic: 64-bit integers that wrap, with bash's operators and its words for what is wrong.

/// Expressions within variables within expressions, at most.
const MAX_DEPTH: u32 = 256;

/// Where an expression finds and keeps its variables.
pub(crate) trait Variables {
    /// A variable's text; the subscript's text when there is one. An error is a message that is complete already.
    fn get(&mut self, name: &[u8], index: Option<&[u8]>) -> Result<Option<Vec<u8>>, Fault>;
    /// Sets a variable.
    fn set(&mut self, name: &[u8], index: Option<&[u8]>, value: i64) -> Result<(), Fault>;
    /// Whether to go on; if not, why was said.
    fn go_on(&mut self) -> bool;
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A message, as bash prints it behind its own name.
    Message(Vec<u8>),
    /// It was said already, or the action ends.
    Silent,
}

/// Evaluates an expression.
pub(crate) fn evaluate(text: &[u8], variables: &mut dyn Variables) -> Result<i64, Fault> {
    let mut eval = Eval { text, at: 0, token: Token::End, start: 0, variables, quiet: 0, depth: 0 };
    eval.whole()
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(i64),
    Name(Vec<u8>, Option<Vec<u8>>),
    Op(&'static str),
    End,
}

struct Eval<'a> {
    text: &'a [u8],
    at: usize,
    token: Token,
    /// Where the token begins.
    start: usize,
    variables: &'a mut dyn Variables,
    /// Above 0 nothing is assigned or divided: the side of `&&`, `||` and `?:` that does not count.
    quiet: u32,
    depth: u32,
}

const OPERATORS: [&str; 38] = [
    "<<=", ">>=", "**", "++", "--", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "*=", "/=", "%=", "+=",
    "-=", "&=", "^=", "|=", "+", "-", "*", "/", "%", "<", ">", "=", "!", "~", "&", "^", "|", "?", ":", ",",
    "(",
];

/// Binary operators from the weakest; one row is one strength.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

type Value = Result<i64, Fault>;

impl Eval<'_> {
    fn whole(&mut self) -> Value {
        self.next()?;
        if self.token == Token::End {
            return Ok(0);
        }
        let value = self.comma()?;
        if self.token != Token::End {
            return Err(self.fault("syntax error in expression"));
        }
        Ok(value)
    }

    fn fault(&self, why: &str) -> Fault {
        self.fault_at(why, self.start)
    }

    fn fault_at(&self, why: &str, start: usize) -> Fault {
        let expression = self.text.trim_ascii_start();
        let token = &self.text[start.min(self.text.len())..];
        let mut message = expression.to_vec();
        message.extend_from_slice(b": ");
        message.extend_from_slice(why.as_bytes());
        message.extend_from_slice(b" (error token is \"");
        message.extend_from_slice(token);
        message.extend_from_slice(b"\")");
        Fault::Message(message)
    }

    fn next(&mut self) -> Result<(), Fault> {
        while self.text.get(self.at).is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
        let previous = self.start;
        self.start = self.at;
        let Some(&byte) = self.text.get(self.at) else {
            // At the end the last token is the one to blame.
            self.start = previous;
            self.token = Token::End;
            return Ok(());
        };
        if byte.is_ascii_digit() {
            return self.number();
        }
        if super::syntax::is_name_start(byte) {
            return self.name();
        }
        let rest = &self.text[self.at..];
        if byte == b')' {
            self.at += 1;
            self.token = Token::Op(")");
            return Ok(());
        }
        match OPERATORS.iter().find(|op| rest.starts_with(op.as_bytes())) {
            Some(op) => {
                self.at += op.len();
                self.token = Token::Op(op);
                Ok(())
            }
            None => {
                let operand = matches!(self.token, Token::End | Token::Op(_));
                Err(self.fault(if operand {
                    "syntax error: operand expected"
                } else {
                    "syntax error: invalid arithmetic operator"
                }))
            }
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'#' | b'@' | b'_');
        let length = self.text[self.at..].iter().take_while(|b| is_part(b)).count();
        let text = &self.text[self.at..self.at + length];
        self.at += length;
        let (base, digits, explicit) = if let Some(hash) = text.iter().position(|b| *b == b'#') {
            let base = std::str::from_utf8(&text[..hash]).ok().and_then(|s| s.parse::<i64>().ok());
            match base {
                Some(base @ 2..=64) => (base, &text[hash + 1..], true),
                _ => return Err(self.fault("invalid arithmetic base")),
            }
        } else if let [b'0', b'x' | b'X', hex @ ..] = text {
            (16, hex, false)
        } else if text.len() > 1 && text[0] == b'0' {
            (8, &text[1..], false)
        } else {
            (10, text, false)
        };
        if explicit && digits.is_empty() {
            return Err(self.fault("invalid integer constant"));
        }
        let mut value = 0i64;
        for &byte in digits {
            let digit = match byte {
                b'0'..=b'9' => i64::from(byte - b'0'),
                b'a'..=b'z' => i64::from(byte - b'a') + 10,
                b'A'..=b'Z' if base <= 36 => i64::from(byte - b'A') + 10,
                b'A'..=b'Z' => i64::from(byte - b'A') + 36,
                b'@' => 62,
                b'_' => 63,
                _ => return Err(self.fault("invalid number")),
            };
            if digit >= base {
                return Err(self.fault("value too great for base"));
            }
            value = value.wrapping_mul(base).wrapping_add(digit);
        }
        self.token = Token::Number(value);
        Ok(())
    }

    fn name(&mut self) -> Result<(), Fault> {
        let length = self.text[self.at..].iter().take_while(|b| super::syntax::is_name_byte(**b)).count();
        let name = self.text[self.at..self.at + length].to_vec();
        self.at += length;
        let mut index = None;
        if self.text.get(self.at) == Some(&b'[') {
            let (mut depth, begin) = (0, self.at + 1);
            while let Some(&byte) = self.text.get(self.at) {
                self.at += 1;
                match byte {
                    b'[' => depth += 1,
                    b']' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            if depth != 0 {
                return Err(self.fault("bad array subscript"));
            }
            index = Some(self.text[begin..self.at - 1].to_vec());
        }
        self.token = Token::Name(name, index);
        Ok(())
    }

    fn is(&self, op: &str) -> bool {
        matches!(self.token, Token::Op(found) if found == op)
    }

    fn comma(&mut self) -> Value {
        let mut value = self.assignment()?;
        while self.is(",") {
            self.next()?;
            value = self.assignment()?;
        }
        Ok(value)
    }

    fn assignment(&mut self) -> Value {
        self.depth += 1;
        if !self.variables.go_on() {
            return Err(Fault::Silent);
        }
        if self.depth > MAX_DEPTH {
            return Err(self.fault("expression recursion level exceeded"));
        }
        let value = self.assignment_inner();
        self.depth -= 1;
        value
    }

    fn assignment_inner(&mut self) -> Value {
        if let Token::Name(name, index) = self.token.clone() {
            let mark = (self.at, self.start, self.token.clone());
            self.next()?;
            if let Token::Op(op) = self.token
                && op.ends_with('=')
                && !matches!(op, "==" | "!=" | "<=" | ">=")
            {
                self.next()?;
                let value = self.assignment()?;
                let result = match &op[..op.len() - 1] {
                    "" => value,
                    operator => {
                        let left = self.value(&name, index.as_deref())?;
                        self.apply(operator, left, value, self.start)?
                    }
                };
                if self.quiet == 0 {
                    self.variables.set(&name, index.as_deref(), result)?;
                }
                return Ok(result);
            }
            (self.at, self.start, self.token) = mark;
        }
        let value = self.choice()?;
        if let Token::Op(op) = self.token
            && op.ends_with('=')
            && !matches!(op, "==" | "!=" | "<=" | ">=")
        {
            return Err(self.fault("attempted assignment to non-variable"));
        }
        Ok(value)
    }

    fn choice(&mut self) -> Value {
        let condition = self.binary(0)?;
        if !self.is("?") {
            return Ok(condition);
        }
        self.next()?;
        if self.token == Token::End || self.is(":") {
            return Err(self.fault("expression expected"));
        }
        self.quiet += u32::from(condition == 0);
        let yes = self.comma()?;
        self.quiet -= u32::from(condition == 0);
        if !self.is(":") {
            return Err(self.fault("`:' expected for conditional expression"));
        }
        self.next()?;
        if self.token == Token::End {
            return Err(self.fault("expression expected"));
        }
        self.quiet += u32::from(condition != 0);
        let no = self.assignment()?;
        self.quiet -= u32::from(condition != 0);
        Ok(if condition != 0 { yes } else { no })
    }

    fn binary(&mut self, level: usize) -> Value {
        let Some(operators) = LEVELS.get(level) else { return self.power() };
        let mut left = self.binary(level + 1)?;
        loop {
            let Token::Op(op) = self.token else { return Ok(left) };
            if !operators.contains(&op) {
                return Ok(left);
            }
            self.next()?;
            let decided = (op == "&&" && left == 0) || (op == "||" && left != 0);
            self.quiet += u32::from(decided);
            let at = self.start;
            let right = self.binary(level + 1)?;
            self.quiet -= u32::from(decided);
            left = self.apply(op, left, right, at)?;
        }
    }

    fn power(&mut self) -> Value {
        let base = self.unary()?;
        if !self.is("**") {
            return Ok(base);
        }
        self.next()?;
        let exponent = self.power()?;
        if exponent < 0 {
            return Err(self.fault("exponent less than 0"));
        }
        let (mut result, mut square, mut left) = (1i64, base, exponent);
        while left > 0 {
            if left & 1 == 1 {
                result = result.wrapping_mul(square);
            }
            square = square.wrapping_mul(square);
            left >>= 1;
        }
        Ok(result)
    }

    fn unary(&mut self) -> Value {
        let Token::Op(op) = self.token else { return self.primary() };
        match op {
            "!" | "~" | "-" | "+" => {
                self.next()?;
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(self.fault("expression recursion level exceeded"));
                }
                let value = self.unary()?;
                self.depth -= 1;
                Ok(match op {
                    "!" => i64::from(value == 0),
                    "~" => !value,
                    "-" => value.wrapping_neg(),
                    _ => value,
                })
            }
            "++" | "--" => {
                self.next()?;
                let Token::Name(name, index) = self.token.clone() else {
                    // `--5` is `-(-5)`.
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(self.fault("expression recursion level exceeded"));
                    }
                    let value = self.unary();
                    self.depth -= 1;
                    return value;
                };
                let step = if op == "++" { 1 } else { -1 };
                let value = self.value(&name, index.as_deref())?.wrapping_add(step);
                if self.quiet == 0 {
                    self.variables.set(&name, index.as_deref(), value)?;
                }
                self.next()?;
                Ok(value)
            }
            _ => self.primary(),
        }
    }

    fn primary(&mut self) -> Value {
        match self.token.clone() {
            Token::Number(value) => {
                self.next()?;
                Ok(value)
            }
            Token::Name(name, index) => {
                let value = self.value(&name, index.as_deref())?;
                self.next()?;
                if let Token::Op(op @ ("++" | "--")) = self.token {
                    let step = if op == "++" { 1 } else { -1 };
                    if self.quiet == 0 {
                        self.variables.set(&name, index.as_deref(), value.wrapping_add(step))?;
                    }
                    self.next()?;
                }
                Ok(value)
            }
            Token::Op("(") => {
                self.next()?;
                let value = self.comma()?;
                if !self.is(")") {
                    return Err(self.fault("missing `)'"));
                }
                self.next()?;
                Ok(value)
            }
            _ => Err(self.fault("syntax error: operand expected")),
        }
    }

    /// What a variable is worth: its text is an expression itself.
    fn value(&mut self, name: &[u8], index: Option<&[u8]>) -> Value {
        if self.quiet > 0 {
            return Ok(0);
        }
        let Some(text) = self.variables.get(name, index)? else { return Ok(0) };
        if let Some(number) = std::str::from_utf8(&text).ok().and_then(|s| s.parse::<i64>().ok())
            && (!text.starts_with(b"0") || text.len() == 1)
            && !text.starts_with(b"-0")
            && !text.starts_with(b"+")
        {
            return Ok(number);
        }
        if self.depth >= MAX_DEPTH {
            return Err(self.fault("expression recursion level exceeded"));
        }
        let mut inner = Eval {
            text: &text,
            at: 0,
            token: Token::End,
            start: 0,
            variables: self.variables,
            quiet: 0,
            depth: self.depth + 1,
        };
        inner.whole()
    }

    fn apply(&self, op: &str, left: i64, right: i64, at: usize) -> Value {
        Ok(match op {
            "||" => i64::from(left != 0 || right != 0),
            "&&" => i64::from(left != 0 && right != 0),
            "|" => left | right,
            "^" => left ^ right,
            "&" => left & right,
            "==" => i64::from(left == right),
            "!=" => i64::from(left != right),
            "<=" => i64::from(left <= right),
            ">=" => i64::from(left >= right),
            "<" => i64::from(left < right),
            ">" => i64::from(left > right),
            "<<" => left.wrapping_shl(right as u32),
            ">>" => left.wrapping_shr(right as u32),
            "+" => left.wrapping_add(right),
            "-" => left.wrapping_sub(right),
            "*" => left.wrapping_mul(right),
            "/" | "%" if right == 0 => {
                if self.quiet > 0 {
                    return Ok(0);
                }
                return Err(self.fault_at("division by 0", at));
            }
            "/" => left.wrapping_div(right),
            _ => left.wrapping_rem(right),
        })
    }
}
