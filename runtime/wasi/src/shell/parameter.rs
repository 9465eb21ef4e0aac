//! Parameters: what `$x` and `${x…}` are.

use super::field::{Fields, Mode};
use super::state::{Leave, Run, Shell};
use super::syntax::{Index, Op, Parameter, Word};
use super::variable::Value;

/// What a parameter is.
#[derive(Clone, Debug)]
pub(crate) enum Got {
    Unset,
    One(Vec<u8>),
    /// Several; whether they are joined (`$*`).
    Many(Vec<Vec<u8>>, bool),
}

impl Parameter {
    /// Whether it is several fields between double quotes.
    pub(super) fn is_each(&self) -> bool {
        match self.op {
            Op::Length | Op::Names(false) => false,
            Op::Names(true) => true,
            Op::Keys => matches!(self.index, Some(Index::Each)),
            _ => (self.name == b"@" && self.index.is_none()) || matches!(self.index, Some(Index::Each)),
        }
    }
}

impl Shell {
    /// Expands a parameter.
    pub(super) fn parameter(&mut self, parameter: &Parameter, quoted: bool, out: &mut Fields) -> Run {
        match &parameter.op {
            Op::Names(each) => {
                let prefix = &parameter.name;
                let names = self.variables.names().into_iter().filter(|n| n.starts_with(prefix)).collect();
                return self.emit(Got::Many(names, !*each), quoted, out);
            }
            Op::Keys => {
                let joined = matches!(parameter.index, Some(Index::Joined));
                let name = self.real_name(&parameter.name);
                let keys = self.variables.get(&name).map(super::variable::Variable::keys).unwrap_or_default();
                return self.emit(Got::Many(keys, joined), quoted, out);
            }
            _ => {}
        }
        let (name, got) = self.looked_up(parameter)?;
        let got = match &parameter.op {
            Op::Default { letter, colon, word } => {
                let is_set = match &got {
                    Got::Unset => false,
                    Got::One(text) => !(*colon && text.is_empty()),
                    Got::Many(values, _) => {
                        !(values.is_empty() || *colon && values.iter().all(Vec::is_empty))
                    }
                };
                return self.default(parameter, &name, *letter, *colon, word, is_set, got, quoted, out);
            }
            _ => got,
        };
        if matches!(got, Got::Unset) && self.options.nounset {
            return Err(self.unbound(&name));
        }
        let got = self.operated(&name, &parameter.op, got, parameter.index.is_some())?;
        self.emit(got, quoted, out)
    }

    /// A parameter without a value ends the shell, but not one on a terminal.
    fn no_value(&mut self) -> Leave {
        self.status = if self.subshell > 0 || self.is_interactive() { 1 } else { 127 };
        if self.subshell == 0 && self.is_interactive() { Leave::Discard } else { Leave::Exit }
    }

    pub(super) fn unbound(&mut self, name: &[u8]) -> Leave {
        let shown: Vec<u8> =
            if name.first().is_some_and(u8::is_ascii_digit) { [b"$", name].concat() } else { name.to_vec() };
        self.complain_bytes(&[&shown[..], b": unbound variable"].concat());
        let leave = self.no_value();
        if self.options.errexit {
            self.status = 1;
        }
        leave
    }

    /// The parameter's name, behind `!` another one's, and what it is.
    fn looked_up(&mut self, parameter: &Parameter) -> Result<(Vec<u8>, Got), Leave> {
        if !parameter.indirect {
            let got = self.got(&parameter.name, parameter.index.as_ref())?;
            let name = match &parameter.index {
                Some(_) => parameter.text.clone(),
                None => parameter.name.clone(),
            };
            return Ok((name, got));
        }
        if let Some(variable) = self.variables.get(&parameter.name)
            && variable.reference
        {
            let target = variable.scalar().unwrap_or_default().to_vec();
            return Ok((parameter.name.clone(), Got::One(target)));
        }
        let target = match self.got(&parameter.name, parameter.index.as_ref())? {
            Got::One(text) => text,
            Got::Many(values, _) => values.join(&b' '),
            Got::Unset => {
                if matches!(parameter.op, Op::Default { .. }) {
                    return Ok((parameter.name.clone(), Got::Unset));
                }
                self.complain_bytes(&[&parameter.name[..], b": invalid indirect expansion"].concat());
                self.status = 1;
                return Err(Leave::Discard);
            }
        };
        let got = self.got_by_text(&target)?;
        Ok((target, got))
    }

    /// What `name`, `name[index]`, `1` or `@` is, told as a text.
    pub(crate) fn got_by_text(&mut self, text: &[u8]) -> Result<Got, Leave> {
        if let Some(open) = text.iter().position(|b| *b == b'[')
            && text.ends_with(b"]")
            && super::syntax::is_name(&text[..open])
        {
            let index = &text[open + 1..text.len() - 1];
            return match index {
                b"@" => self.got(&text[..open], Some(&Index::Each)),
                b"*" => self.got(&text[..open], Some(&Index::Joined)),
                _ => Ok(self.element(&text[..open], index)?.map_or(Got::Unset, Got::One)),
            };
        }
        let is_special = matches!(text, [b] if b"@*#?-$!".contains(b)) || text.iter().all(u8::is_ascii_digit);
        if !super::syntax::is_name(text) && !is_special {
            self.complain_bytes(&[text, b": invalid variable name"].concat());
            self.status = 1;
            return Err(Leave::Discard);
        }
        self.got(text, None)
    }

    /// What a parameter is.
    pub(crate) fn got(&mut self, name: &[u8], index: Option<&Index>) -> Result<Got, Leave> {
        let one = |text: Option<Vec<u8>>| text.map_or(Got::Unset, Got::One);
        match name {
            b"@" => return Ok(Got::Many(self.arguments.to_vec(), false)),
            b"*" => return Ok(Got::Many(self.arguments.to_vec(), true)),
            [first, ..] if !super::syntax::is_name_start(*first) => return Ok(one(self.special(name))),
            _ => {}
        }
        let name = self.real_name(name);
        // A reference to an element.
        if name.ends_with(b"]") && index.is_none() {
            return self.got_by_text(&name);
        }
        match index {
            None => {
                if let Some(text) = self.dynamic(&name) {
                    return Ok(Got::One(text));
                }
                Ok(one(self.get(&name).map(<[u8]>::to_vec)))
            }
            Some(Index::Each | Index::Joined) => {
                let joined = matches!(index, Some(Index::Joined));
                self.refresh(&name);
                let values =
                    self.variables.get(&name).map(super::variable::Variable::values).unwrap_or_default();
                Ok(Got::Many(values, joined))
            }
            Some(Index::Of(word)) => {
                let text = self.heredoc(word)?;
                Ok(one(self.element(&name, &text)?))
            }
        }
    }

    /// One element of an array; the subscript was expanded.
    pub(crate) fn element(&mut self, name: &[u8], index: &[u8]) -> Result<Option<Vec<u8>>, Leave> {
        let name = self.real_name(name);
        self.refresh(&name);
        if self.is_map(&name) {
            let Some(Value::Map(map)) = self.variables.get(&name).map(|v| &v.value) else { return Ok(None) };
            return Ok(map.get(index).cloned());
        }
        let at = self.evaluate(index, b"")?;
        let Some(variable) = self.variables.get(&name) else { return Ok(None) };
        match &variable.value {
            Value::Array(array) => {
                let at = if at < 0 { at + array.keys().last().map_or(0, |k| k + 1) } else { at };
                if at < 0 {
                    self.complain_bytes(&[&name[..], b": bad array subscript"].concat());
                    return Ok(None);
                }
                Ok(array.get(&at).cloned())
            }
            _ => Ok((at == 0 || at == -1).then(|| variable.scalar().map(<[u8]>::to_vec)).flatten()),
        }
    }

    /// `$1`, `$#`, `$?` and so on.
    fn special(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        let number = |n: i64| Some(n.to_string().into_bytes());
        match name {
            b"#" => number(self.arguments.len() as i64),
            b"?" => number(i64::from(self.status)),
            b"$" => number(i64::from(self.main_pid)),
            b"!" => number(i64::from(self.last_background?)),
            b"-" => Some(self.option_letters()),
            b"0" => Some(self.name.to_vec()),
            digits => {
                let at: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
                if at == 0 {
                    return Some(self.name.to_vec());
                }
                self.arguments.get(at - 1).cloned()
            }
        }
    }

    /// Emits what an expansion gave.
    pub(super) fn emit(&mut self, got: Got, quoted: bool, out: &mut Fields) -> Run {
        match got {
            Got::Unset => {}
            Got::One(text) => {
                self.room(text.len())?;
                if quoted { out.quoted(&text) } else { out.split(&text) }
            }
            Got::Many(values, joined) => {
                self.room(values.iter().map(Vec::len).sum())?;
                let separator: Vec<u8> = match self.get(b"IFS") {
                    None => b" ".to_vec(),
                    Some(ifs) => ifs.iter().take(1).copied().collect(),
                };
                if joined && (quoted || out.mode != Mode::Fields) {
                    let text = values.join(&separator[..]);
                    if quoted {
                        out.quoted(&text)
                    } else {
                        out.text(&text)
                    }
                    return Ok(());
                }
                for (n, value) in values.iter().enumerate() {
                    if n > 0 {
                        if out.mode == Mode::Fields {
                            // Between parameters a field ends; an empty unquoted one is none.
                            out.end();
                        } else if quoted {
                            out.quoted(b" ");
                        } else {
                            out.text(b" ");
                        }
                    }
                    if quoted { out.quoted(value) } else { out.split(value) }
                }
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one operator, taken apart by its only caller")]
    fn default(
        &mut self,
        parameter: &Parameter,
        name: &[u8],
        letter: u8,
        colon: bool,
        word: &Word,
        is_set: bool,
        got: Got,
        quoted: bool,
        out: &mut Fields,
    ) -> Run {
        match letter {
            b'-' if is_set => self.emit(got, quoted, out),
            b'+' if !is_set => Ok(()),
            b'-' | b'+' => {
                if quoted {
                    return self.double(&word.parts, out);
                }
                self.default_word(word, out)
            }
            b'=' if is_set => self.emit(got, quoted, out),
            b'=' => {
                let value = if quoted { self.heredoc(word)? } else { self.assigned(word)? };
                match &parameter.index {
                    Some(Index::Of(index)) => {
                        let index = self.heredoc(index)?;
                        self.set_element(&parameter.name, &index, value.clone(), false)?;
                    }
                    Some(_) => return Err(self.bad_substitution(&parameter.text)),
                    None if super::syntax::is_name(name) => self.set(name, value.clone(), false)?,
                    None => {
                        self.complain_bytes(&[b"$", name, b": cannot assign in this way"].concat());
                        self.status = 1;
                        return Err(Leave::Discard);
                    }
                }
                self.emit(Got::One(value), quoted, out)
            }
            _ if is_set => self.emit(got, quoted, out),
            _ => {
                let mut message = self.text(word)?;
                if word.parts.is_empty() {
                    message = if colon {
                        b"parameter null or not set".to_vec()
                    } else {
                        b"parameter not set".to_vec()
                    };
                }
                self.complain_bytes(&[name, b": ", &message[..]].concat());
                Err(self.no_value())
            }
        }
    }

    /// The word behind `:-`: what is text in it is split too.
    fn default_word(&mut self, word: &Word, out: &mut Fields) -> Run {
        use super::syntax::Part;
        for (n, part) in word.parts.iter().enumerate() {
            match part {
                Part::Text(text) if !(n == 0 && text.starts_with(b"~")) => out.split(text),
                part => self.parts(std::slice::from_ref(part), out, false)?,
            }
        }
        Ok(())
    }
}
