//! What statements do.

use super::{CONVFMT, Jump, Machine, OFMT, OFS, ORS, Run};
use crate::syntax::{Expr, Stmt};
use crate::value::{Value, number_text, print};

impl<'a> Machine<'a> {
    pub(super) fn block(&mut self, stmts: &[Stmt]) -> Run<()> {
        stmts.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &Stmt) -> Run<()> {
        // A loop goes on after `continue`, and ends after `break`.
        fn goes_on(result: Run<()>) -> Run<bool> {
            match result {
                Ok(()) | Err(Jump::Continue) => Ok(true),
                Err(Jump::Break) => Ok(false),
                Err(jump) => Err(jump),
            }
        }
        match stmt {
            Stmt::Expr(expr) => self.eval(expr).map(|_| ()),
            Stmt::Print(args, to) => {
                let mut line = std::mem::take(&mut self.out);
                let start = line.len();
                let direct = to.is_none();
                let mut apart = Vec::new();
                let target = if direct { &mut line } else { &mut apart };
                let format = self.text(OFMT);
                if args.is_empty() {
                    let record = self.whole_record();
                    target.extend_from_slice(&record);
                } else {
                    let between = self.text(OFS);
                    for (at, arg) in args.iter().enumerate() {
                        // What is evaluated may itself write.
                        let value = match arg {
                            Expr::Call(..)
                            | Expr::Builtin(..)
                            | Expr::Getline { .. }
                            | Expr::Concat(..)
                            | Expr::If(..)
                                if direct =>
                            {
                                std::mem::swap(&mut self.out, target);
                                let value = self.eval(arg);
                                std::mem::swap(&mut self.out, target);
                                value
                            }
                            arg => self.eval(arg),
                        };
                        let value = match value {
                            Ok(value) => value,
                            Err(jump) => {
                                line.truncate(start.min(line.len()));
                                self.out = line;
                                return Err(jump);
                            }
                        };
                        if at > 0 {
                            target.extend_from_slice(&between);
                        }
                        match &value {
                            Value::Number(number) => target.extend_from_slice(&number_text(*number, &format)),
                            value => target.extend_from_slice(&value.to_text(&format)),
                        }
                    }
                }
                let end = self.text(ORS);
                target.extend_from_slice(&end);
                self.out = line;
                match to {
                    None => self.full(),
                    Some((way, name)) => self.write(*way, name, &apart),
                }
            }
            Stmt::Printf(args, to) => {
                let convert = self.text(CONVFMT);
                let format = self.eval(&args[0])?.to_text(&convert);
                let values = args[1..].iter().map(|arg| self.eval(arg)).collect::<Run<Vec<_>>>()?;
                let text = print(&format, &values, &convert);
                match to {
                    None => {
                        self.out.extend_from_slice(&text);
                        self.full()
                    }
                    Some((way, name)) => self.write(*way, name, &text),
                }
            }
            Stmt::If(test, then, other) => {
                if self.test(test)? {
                    self.stmt(then)
                } else {
                    other.as_ref().map_or(Ok(()), |other| self.stmt(other))
                }
            }
            Stmt::While(test, body) => {
                while self.test(test)? {
                    let result = self.stmt(body);
                    if !goes_on(result)? {
                        break;
                    }
                }
                Ok(())
            }
            Stmt::Do(body, test) => {
                loop {
                    let result = self.stmt(body);
                    if !goes_on(result)? || !self.test(test)? {
                        break;
                    }
                }
                Ok(())
            }
            Stmt::For(first, test, step, body) => {
                if let Some(first) = first {
                    self.stmt(first)?;
                }
                while test.as_ref().map_or(Ok(true), |test| self.test(test))? {
                    let result = self.stmt(body);
                    if !goes_on(result)? {
                        break;
                    }
                    if let Some(step) = step {
                        self.stmt(step)?;
                    }
                }
                Ok(())
            }
            Stmt::ForIn(target, array, body) => {
                let array = self.array(*array)?;
                let keys = array.borrow().keys();
                for key in keys {
                    if !array.borrow().values.contains_key(&key) {
                        continue;
                    }
                    self.set(target, Value::input(&key))?;
                    let result = self.stmt(body);
                    if !goes_on(result)? {
                        break;
                    }
                }
                Ok(())
            }
            Stmt::Block(stmts) => self.block(stmts),
            Stmt::Next => Err(Jump::Next),
            Stmt::NextFile => Err(Jump::NextFile),
            Stmt::Exit(value) => {
                if let Some(value) = value {
                    self.status = self.eval(value)?.number() as i32 & 0xff;
                }
                Err(Jump::Exit)
            }
            Stmt::Return(value) => {
                let value = match value {
                    Some(value) => self.eval(value)?,
                    None => Value::None,
                };
                Err(Jump::Return(value))
            }
            Stmt::Break => Err(Jump::Break),
            Stmt::Continue => Err(Jump::Continue),
            Stmt::Delete(array, keys) => {
                let array = self.array(*array)?;
                match keys {
                    Some(keys) => {
                        let key = self.key(keys)?;
                        array.borrow_mut().values.remove(&key);
                    }
                    None => array.borrow_mut().values.clear(),
                }
                Ok(())
            }
        }
    }
}
