//! Assignments, and the variables that the shell makes up when they are read.

use super::arithmetic::{self, Fault};
use super::state::{Leave, Run, Shell};
use super::syntax::{Assigned, Assignment, Element, Word};
use super::variable::{Map, Value, Variable};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// References to references, at most.
const MAX_REFERENCES: usize = 8;

impl Shell {
    /// The variable that a reference (`declare -n`) leads to.
    pub(crate) fn real_name(&self, name: &[u8]) -> Vec<u8> {
        let mut name = name.to_vec();
        for _ in 0..MAX_REFERENCES {
            match self.variables.get(&name) {
                Some(variable) if variable.reference => match variable.scalar() {
                    Some(target) if !target.is_empty() => name = target.to_vec(),
                    _ => return name,
                },
                _ => return name,
            }
        }
        name
    }

    fn refuse_readonly(&mut self, name: &[u8]) -> Leave {
        self.complain_bytes(&[name, b": readonly variable"].concat());
        self.status = 1;
        Leave::Discard
    }

    /// Sets a variable, or adds to it.
    pub(crate) fn set(&mut self, name: &[u8], value: Vec<u8>, append: bool) -> Run {
        let name = self.real_name(name);
        if let Some(open) = name.iter().position(|b| *b == b'[')
            && name.ends_with(b"]")
        {
            let index = name[open + 1..name.len() - 1].to_vec();
            return self.set_element(&name[..open], &index, value, append);
        }
        let found = self.variables.get(&name);
        if found.is_some_and(|v| v.readonly) {
            return Err(self.refuse_readonly(&name));
        }
        if self.is_dynamic_constant(&name) {
            return Ok(());
        }
        let (before, integer, lower, upper) =
            found.map_or((0, false, false, false), |v| (v.size(), v.integer, v.lower, v.upper));
        let is_collection = found.is_some_and(|v| matches!(v.value, Value::Array(_) | Value::Map(_)));
        let mut new = if integer {
            let mut text = value;
            if append {
                let old = self.get(&name).map_or_else(|| b"0".to_vec(), <[u8]>::to_vec);
                text = [&old[..], b"+(", &text[..], b")"].concat();
            }
            self.evaluate(&text, b"")?.to_string().into_bytes()
        } else if append {
            let old = self.get(&name).unwrap_or_default();
            self.memory_for(old.len() + value.len())?;
            [self.get(&name).unwrap_or_default(), &value[..]].concat()
        } else {
            value
        };
        if lower || upper {
            let letter = if upper { b'^' } else { b',' };
            new = super::operator::cased(&new, letter, true, b"?", self.rules());
        }
        let after = new.len() as i64 - if is_collection { 0 } else { before as i64 };
        if !self.memory.change(after) {
            return Err(self.out_of_memory(new.len()));
        }
        let export = self.options.allexport;
        let variable = self.variables.entry(&name);
        variable.exported |= export;
        match &mut variable.value {
            Value::Array(array) => {
                array.insert(0, new);
            }
            Value::Map(map) => map.set(b"0".to_vec(), new),
            value => *value = Value::Text(new),
        }
        self.was_set(&name);
        Ok(())
    }

    fn memory_for(&mut self, bytes: usize) -> Run {
        self.room(bytes)
    }

    /// What a variable's change does to the shell.
    fn was_set(&mut self, name: &[u8]) {
        match name {
            b"RANDOM" => {
                let seed =
                    self.get(name).and_then(|v| std::str::from_utf8(v).ok()).and_then(|s| s.parse().ok());
                self.random = seed.unwrap_or(0);
                self.variables.remove(name);
            }
            b"SECONDS" => {
                let base: u64 = self
                    .get(name)
                    .and_then(|v| std::str::from_utf8(v).ok())
                    .and_then(|s| s.parse().ok())
                    .unwrap_or(0);
                self.started = std::time::Instant::now()
                    .checked_sub(std::time::Duration::from_secs(base))
                    .unwrap_or_else(std::time::Instant::now);
                self.variables.remove(name);
            }
            b"OPTIND" => self.getopts_at = 0,
            _ => {}
        }
    }

    /// Sets one element of an array; the subscript was expanded.
    pub(crate) fn set_element(&mut self, name: &[u8], index: &[u8], value: Vec<u8>, append: bool) -> Run {
        let name = self.real_name(name);
        if self.variables.get(&name).is_some_and(|v| v.readonly) {
            return Err(self.refuse_readonly(&name));
        }
        let integer = self.variables.get(&name).is_some_and(|v| v.integer);
        let is_map = self.is_map(&name);
        let at = if is_map { 0 } else { self.evaluate(index, b"")? };
        let at = if at < 0 {
            let end = match self.variables.get(&name).map(|v| &v.value) {
                Some(Value::Array(array)) => array.keys().last().map_or(0, |k| k + 1),
                Some(Value::Text(_)) => 1,
                _ => 0,
            };
            at + end
        } else {
            at
        };
        if at < 0 || (is_map && index.is_empty()) {
            self.complain_bytes(&[&name[..], b"[", index, b"]: bad array subscript"].concat());
            self.status = 1;
            return Err(Leave::Discard);
        }
        let old = match self.variables.get(&name).map(|v| &v.value) {
            Some(Value::Map(map)) => map.get(index).cloned(),
            Some(Value::Array(array)) => array.get(&at).cloned(),
            Some(Value::Text(text)) if at == 0 => Some(text.clone()),
            _ => None,
        };
        let new = if integer {
            let text = match (&old, append) {
                (Some(old), true) => [&old[..], b"+(", &value[..], b")"].concat(),
                _ => value,
            };
            self.evaluate(&text, b"")?.to_string().into_bytes()
        } else {
            match (old.as_ref(), append) {
                (Some(old), true) => [&old[..], &value[..]].concat(),
                _ => value,
            }
        };
        let change = new.len() as i64 - old.as_ref().map_or(-64, |o| o.len() as i64);
        if !self.memory.change(change) {
            return Err(self.out_of_memory(new.len()));
        }
        let variable = self.variables.entry(&name);
        match &mut variable.value {
            Value::Map(map) => map.set(index.to_vec(), new),
            Value::Array(array) => {
                array.insert(at, new);
            }
            other => {
                let mut array = BTreeMap::new();
                if let Value::Text(text) = std::mem::take(other) {
                    array.insert(0, text);
                }
                array.insert(at, new);
                *other = Value::Array(array);
            }
        }
        Ok(())
    }

    /// Sets a whole array.
    pub(crate) fn set_elements(&mut self, name: &[u8], elements: &[Element], append: bool) -> Run {
        let name = self.real_name(name);
        if self.variables.get(&name).is_some_and(|v| v.readonly) {
            return Err(self.refuse_readonly(&name));
        }
        let is_map = self.is_map(&name);
        // All is expanded before anything is set: `a=("${a[@]}" x)`.
        let mut values: Vec<(Option<Vec<u8>>, Vec<u8>, bool)> = Vec::new();
        for element in elements {
            match &element.index {
                Some(index) => {
                    let key = self.heredoc(index)?;
                    let value = self.assigned(&element.value)?;
                    values.push((Some(key), value, element.append));
                }
                None => {
                    let mut fields = Vec::new();
                    self.word_into(&element.value, &mut fields)?;
                    values.extend(fields.into_iter().map(|f| (None, f, false)));
                }
            }
        }
        let before = self.variables.get(&name).map_or(0, Variable::size);
        let variable = self.variables.entry(&name);
        if !append {
            variable.value = if is_map { Value::Map(Map::default()) } else { Value::Array(BTreeMap::new()) };
        } else if !matches!(variable.value, Value::Array(_) | Value::Map(_)) {
            let mut array = BTreeMap::new();
            if let Value::Text(text) = std::mem::take(&mut variable.value) {
                array.insert(0, text);
            }
            variable.value = Value::Array(array);
        }
        if is_map {
            return self.set_pairs(&name, values, before);
        }
        let mut next = match &self.variables.entry(&name).value {
            Value::Array(array) => array.keys().last().map_or(0, |k| k + 1),
            _ => 0,
        };
        let simple = values.iter().all(|(key, ..)| key.is_none());
        let integer = self.variables.entry(&name).integer;
        if simple && !integer {
            if let Value::Array(array) = &mut self.variables.entry(&name).value {
                for (_, value, _) in values {
                    array.insert(next, value);
                    next += 1;
                }
            }
        } else {
            for (key, value, append) in values {
                let at = match key {
                    Some(key) => self.evaluate(&key, b"")?,
                    None => next,
                };
                self.set_element(&name, at.to_string().as_bytes(), value, append)?;
                next = if at < 0 { next } else { at + 1 };
            }
        }
        let after = self.variables.get(&name).map_or(0, Variable::size);
        if !self.memory.change(after as i64 - before as i64) {
            return Err(self.out_of_memory(after));
        }
        Ok(())
    }

    /// `declare -A m=([k]=v)`, or `(k v k v)`.
    fn set_pairs(
        &mut self,
        name: &[u8],
        values: Vec<(Option<Vec<u8>>, Vec<u8>, bool)>,
        before: usize,
    ) -> Run {
        let bare = values.first().is_some_and(|(key, ..)| key.is_none());
        let mut values = values.into_iter();
        while let Some((key, value, append)) = values.next() {
            match key {
                Some(key) => self.set_element(name, &key, value, append)?,
                None if bare => {
                    let next = values.next().map(|(_, v, _)| v).unwrap_or_default();
                    self.set_element(name, &value, next, false)?;
                }
                None => {
                    let shown =
                        [name, b": ", &value[..], b": must use subscript when assigning associative array"]
                            .concat();
                    self.complain_bytes(&shown);
                    self.status = 1;
                }
            }
        }
        let after = self.variables.get(name).map_or(0, Variable::size);
        if !self.memory.change(after as i64 - before as i64) {
            return Err(self.out_of_memory(after));
        }
        Ok(())
    }

    /// Carries an assignment out.
    pub(crate) fn assign(&mut self, assignment: &Assignment) -> Run {
        match &assignment.value {
            Assigned::Word(word) => {
                let value = self.assigned(word)?;
                if self.options.xtrace {
                    self.trace_assignment(assignment, &value);
                }
                self.assign_value(assignment, value)
            }
            Assigned::Array(elements) => self.set_elements(&assignment.name, elements, assignment.append),
        }
    }

    /// Carries an assignment out whose value was expanded before.
    pub(crate) fn assign_value(&mut self, assignment: &Assignment, value: Vec<u8>) -> Run {
        match &assignment.index {
            None => self.set(&assignment.name, value, assignment.append),
            Some(index) => {
                let index = self.heredoc(index)?;
                self.set_element(&assignment.name, &index, value, assignment.append)
            }
        }
    }

    pub(crate) fn trace_assignment(&mut self, assignment: &Assignment, value: &[u8]) {
        let operator: &[u8] = if assignment.append { b"+=" } else { b"=" };
        let shown = crate::builtin::escape::traced(value);
        let index = match &assignment.index {
            Some(Word { text, .. }) => [b"[", &text[..], b"]"].concat(),
            None => Vec::new(),
        };
        let line = [&assignment.name[..], &index, operator, &shown].concat();
        self.trace(&line);
    }

    /// Evaluates an arithmetic expression; what is wrong is said, behind `who`.
    pub(crate) fn evaluate(&mut self, text: &[u8], who: &[u8]) -> Result<i64, Leave> {
        // Plain numbers are the most common.
        if !text.is_empty() && text.len() < 18 && text[0] != b'0' && text.iter().all(u8::is_ascii_digit) {
            return Ok(text.iter().fold(0, |n, b| n * 10 + i64::from(b - b'0')));
        }
        self.deeper()?;
        let mut scope = Scope { shell: self, leave: None };
        let result = arithmetic::evaluate(text, &mut scope);
        let leave = scope.leave;
        match result {
            Ok(value) => Ok(value),
            Err(Fault::Silent) => {
                let leave = leave.unwrap_or(Leave::Discard);
                Err(leave)
            }
            Err(Fault::Message(message)) => {
                let whole = if who.is_empty() { message } else { [who, b": ", &message[..]].concat() };
                self.complain_bytes(&whole);
                self.status = 1;
                Err(Leave::Discard)
            }
        }
    }

    fn is_dynamic_constant(&self, name: &[u8]) -> bool {
        matches!(name, b"BASHPID" | b"EPOCHSECONDS" | b"EPOCHREALTIME" | b"LINENO" | b"SRANDOM" | b"FUNCNAME")
    }

    /// A variable whose value is made up when it is read.
    pub(crate) fn dynamic(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        let text = match name {
            b"RANDOM" => self.next_random().to_string(),
            b"SRANDOM" => {
                let mut bytes = [0; 4];
                crate::fs::random(&mut bytes).ok()?;
                u32::from_ne_bytes(bytes).to_string()
            }
            b"BASH_COMMAND" => {
                return Some(self.current.as_deref().and_then(super::print::command).unwrap_or_default());
            }
            b"LINENO" => self.line.to_string(),
            b"SECONDS" => self.started.elapsed().as_secs().to_string(),
            b"BASHPID" => self.pid.to_string(),
            b"BASH_SUBSHELL" => self.subshell.to_string(),
            b"EPOCHSECONDS" => since_epoch(self.world.tree.now()).as_secs().to_string(),
            b"EPOCHREALTIME" => {
                let now = since_epoch(self.world.tree.now());
                format!("{}.{:06}", now.as_secs(), now.subsec_micros())
            }
            b"FUNCNAME" | b"BASH_SOURCE" | b"BASH_LINENO" | b"PIPESTATUS" | b"DIRSTACK" => {
                self.refresh(name);
                return None;
            }
            b"SHELLOPTS" => self.shellopts(),
            b"BASHOPTS" => self.options.shopt.iter().copied().collect::<Vec<_>>().join(":"),
            b"_" => return Some(self.last_argument.to_vec()),
            _ => return None,
        };
        Some(text.into_bytes())
    }

    /// Makes arrays that the shell makes up what they are now.
    pub(crate) fn refresh(&mut self, name: &[u8]) {
        let calls = self.calls.clone();
        let values: Vec<Vec<u8>> = match name {
            b"PIPESTATUS" => self.pipe_status.iter().map(|s| s.to_string().into_bytes()).collect(),
            b"FUNCNAME" => {
                if calls.is_empty() {
                    self.variables.remove(name);
                    return;
                }
                let mut names: Vec<Vec<u8>> = calls
                    .iter()
                    .rev()
                    .map(|c| if c.is_source { b"source".to_vec() } else { c.name.clone() })
                    .collect();
                if !self.is_command {
                    names.push(b"main".to_vec());
                }
                names
            }
            b"BASH_LINENO" => {
                let mut lines: Vec<Vec<u8>> =
                    calls.iter().rev().map(|c| c.line.to_string().into_bytes()).collect();
                lines.push(b"0".to_vec());
                lines
            }
            b"BASH_SOURCE" => {
                let own =
                    if &self.origin[..] == b"bash" { b"environment".to_vec() } else { self.name.to_vec() };
                let mut sources: Vec<Vec<u8>> = calls
                    .iter()
                    .rev()
                    .map(|c| if c.is_source { c.name.clone() } else { own.clone() })
                    .collect();
                if !self.is_command {
                    sources.push(own);
                }
                sources
            }
            b"DIRSTACK" => {
                let mut stack = vec![self.get(b"PWD").unwrap_or_default().to_vec()];
                stack.extend(self.directories.iter().rev().cloned());
                stack
            }
            _ => return,
        };
        self.set_own_array(name, values);
    }

    /// Bash's own generator, so that a seed gives the same numbers.
    fn next_random(&mut self) -> u32 {
        let seed = if self.random == 0 { 123_459_876 } else { i64::from(self.random) };
        let (high, low) = (seed / 127_773, seed % 127_773);
        let mut next = 16_807 * low - 2_836 * high;
        if next < 0 {
            next += 0x7fff_ffff;
        }
        self.random = u32::try_from(next).unwrap_or(1);
        (self.random & 0x7fff) ^ (self.random >> 16)
    }
}

fn since_epoch(now: SystemTime) -> std::time::Duration {
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A shell's variables, for an arithmetic expression.
struct Scope<'a> {
    shell: &'a mut Shell,
    leave: Option<Leave>,
}

impl Scope<'_> {
    fn fail(&mut self, leave: Leave) -> Fault {
        self.leave = Some(leave);
        Fault::Silent
    }
}

impl arithmetic::Variables for Scope<'_> {
    fn get(&mut self, name: &[u8], index: Option<&[u8]>) -> Result<Option<Vec<u8>>, Fault> {
        let found = match index {
            Some(index) => match self.shell.element(name, index) {
                Ok(found) => found,
                Err(leave) => return Err(self.fail(leave)),
            },
            None => {
                let name = self.shell.real_name(name);
                match self.shell.dynamic(&name) {
                    Some(text) => Some(text),
                    None => self.shell.get(&name).map(<[u8]>::to_vec),
                }
            }
        };
        if found.is_none() && self.shell.options.nounset {
            let leave = self.shell.unbound(name);
            return Err(self.fail(leave));
        }
        Ok(found)
    }

    fn set(&mut self, name: &[u8], index: Option<&[u8]>, value: i64) -> Result<(), Fault> {
        let text = value.to_string().into_bytes();
        let done = match index {
            Some(index) => self.shell.set_element(name, index, text, false),
            None => self.shell.set(name, text, false),
        };
        done.map_err(|leave| self.fail(leave))
    }

    fn go_on(&mut self) -> bool {
        if let Err(leave) = self.shell.check() {
            self.leave = Some(leave);
            return false;
        }
        if !self.shell.has_stack() {
            self.shell.complain("expression recursion level exceeded");
            self.shell.status = 1;
            self.leave = Some(Leave::Discard);
            return false;
        }
        true
    }
}

impl Shell {
    /// Whether the stack has room.
    fn has_stack(&self) -> bool {
        let here = 0u8;
        (&raw const here).addr() >= self.floor
    }
}
