//! `declare`, `local`, `export`, `readonly`.

use super::{Done, escape};
use crate::shell::{Assignment, Expanded, Leave, Map, Shell, Value, Variable, is_name};
use std::collections::BTreeMap;

/// What was asked for.
#[derive(Default, Clone)]
struct Wish {
    /// Letters that are set and taken away.
    on: Vec<u8>,
    off: Vec<u8>,
    global: bool,
    print: bool,
    functions: bool,
    names_only: bool,
    inherit: bool,
}

impl Wish {
    fn has(&self, letter: u8) -> bool {
        self.on.contains(&letter)
    }
}

pub(super) fn declare(shell: &mut Shell, words: &[Expanded<'_>]) -> Done {
    run(shell, words, false)
}

pub(super) fn local(shell: &mut Shell, words: &[Expanded<'_>]) -> Done {
    if !shell.in_function() {
        shell.complain_as(b"local", "can only be used in a function");
        return Ok(1);
    }
    run(shell, words, true)
}

pub(super) fn export(shell: &mut Shell, words: &[Expanded<'_>]) -> Done {
    mark(shell, words, b'x')
}

pub(super) fn readonly(shell: &mut Shell, words: &[Expanded<'_>]) -> Done {
    mark(shell, words, b'r')
}

fn name_of(words: &[Expanded<'_>]) -> Vec<u8> {
    match words.first() {
        Some(Expanded::Field(name)) => name.clone(),
        _ => b"declare".to_vec(),
    }
}

/// An assignment that is a field: `x=1`, `x+=1`, or just a name.
fn parsed(field: &[u8]) -> (Vec<u8>, bool, Option<Vec<u8>>) {
    match field.iter().position(|b| *b == b'=') {
        Some(at) if at > 0 && field[at - 1] == b'+' => {
            (field[..at - 1].to_vec(), true, Some(field[at + 1..].to_vec()))
        }
        Some(at) => (field[..at].to_vec(), false, Some(field[at + 1..].to_vec())),
        None => (field.to_vec(), false, None),
    }
}

fn wish(shell: &mut Shell, who: &[u8], words: &[Expanded<'_>]) -> Result<(Wish, usize), i32> {
    let mut wish = Wish::default();
    let mut at = 1;
    while let Some(Expanded::Field(field)) = words.get(at) {
        let [sign @ (b'-' | b'+'), letters @ ..] = field.as_slice() else { break };
        if letters.is_empty() {
            break;
        }
        at += 1;
        if field == b"--" {
            break;
        }
        for letter in letters {
            match letter {
                b'g' => wish.global = true,
                b'p' => wish.print = true,
                b'f' => wish.functions = true,
                b'F' => {
                    wish.functions = true;
                    wish.names_only = true;
                }
                b'I' => wish.inherit = true,
                b'a' | b'A' | b'i' | b'l' | b'u' | b'n' | b'r' | b'x' | b't' => {
                    if *sign == b'-' { &mut wish.on } else { &mut wish.off }.push(*letter);
                }
                _ => {
                    shell.complain_about(who, &[*sign, *letter], "invalid option");
                    let usage = match who {
                        b"local" => "local: usage: local [option] name[=value] ...\n".to_string(),
                        _ => {
                            let who = String::from_utf8_lossy(who);
                            format!(
                                "{who}: usage: {who} [-aAfFgiIlnrtux] [name[=value] ...] or {who} -p [-aAfFilnrtux] [name ...]\n"
                            )
                        }
                    };
                    shell.print_error(usage.as_bytes());
                    return Err(2);
                }
            }
        }
    }
    Ok((wish, at))
}

fn run(shell: &mut Shell, words: &[Expanded<'_>], local: bool) -> Done {
    let who = name_of(words);
    let (wish, at) = match wish(shell, &who, words) {
        Ok(found) => found,
        Err(status) => return Ok(status),
    };
    let rest = &words[at..];
    if wish.functions {
        return functions(shell, &wish, rest, &who);
    }
    if wish.print || (rest.is_empty() && !local) {
        return print(shell, &wish, rest, &who);
    }
    if rest.is_empty() {
        return Ok(0);
    }
    let mut status = 0;
    for word in rest {
        let (name, append, value) = match word {
            Expanded::Field(field) => parsed(field),
            Expanded::Assignment(assignment, _) => (assignment.name.clone(), assignment.append, None),
        };
        let base = name.split(|b| *b == b'[').next().unwrap_or_default().to_vec();
        if !is_name(&base) {
            let shown = match word {
                Expanded::Field(field) => [b"`", &field[..], b"'"].concat(),
                Expanded::Assignment(..) => [b"`", &name[..], b"'"].concat(),
            };
            shell.complain_about(&who, &shown, "not a valid identifier");
            status = 1;
            continue;
        }
        if (local || shell.in_function()) && !wish.global {
            if shell.variables.get(&base).is_some_and(|v| v.readonly)
                && !shell.variables.is_local(&base)
                && local
            {
                shell.complain_about(&who, &base, "readonly variable");
                status = 1;
                continue;
            }
            if let Expanded::Assignment(assignment, value) = word {
                shell.variables.make_local(&base, wish.inherit);
                if let Err(code) = shell.declared(&base, &wish, &who)? {
                    status = code;
                    continue;
                }
                shell.assign_expanded(assignment, value)?;
                shell.seal(&base, &wish);
                continue;
            }
            shell.variables.make_local(&base, wish.inherit);
        }
        if let Err(code) = shell.declared(&base, &wish, &who)? {
            status = code;
            continue;
        }
        match word {
            Expanded::Assignment(assignment, value) => match shell.assign_expanded(assignment, value) {
                Err(Leave::Discard) => status = 1,
                done => done?,
            },
            Expanded::Field(_) => {
                if let Some(value) = value {
                    match shell.set_by_text(&name, value, append) {
                        Err(Leave::Discard) => status = 1,
                        done => done?,
                    }
                }
            }
        }
        shell.seal(&base, &wish);
    }
    Ok(status)
}

impl Shell {
    /// Whether a function runs.
    pub(crate) fn in_function(&self) -> bool {
        self.variables.in_function()
    }

    /// Carries out what stands behind `declare` and its like.
    fn assign_expanded(&mut self, assignment: &Assignment, value: &Option<Vec<u8>>) -> Result<(), Leave> {
        match value {
            Some(value) => self.assign_value(assignment, value.clone()),
            None => self.assign(assignment),
        }
    }

    /// Sets `name` or `name[index]`; a text in brackets is an array.
    pub(crate) fn set_by_text(&mut self, name: &[u8], value: Vec<u8>, append: bool) -> Result<(), Leave> {
        if let Some(open) = name.iter().position(|b| *b == b'[')
            && name.ends_with(b"]")
        {
            return self.set_element(&name[..open], &name[open + 1..name.len() - 1], value, append);
        }
        self.set(name, value, append)
    }

    /// Empties an array, or makes one.
    pub(crate) fn clear_array(&mut self, name: &[u8]) -> Result<(), Leave> {
        let name = self.real_name(name);
        if self.variables.get(&name).is_some_and(|v| v.readonly) {
            self.complain_bytes(&[&name[..], b": readonly variable"].concat());
            return Err(Leave::Discard);
        }
        let is_map = self.is_map(&name);
        let variable = self.variables.entry(&name);
        variable.value = if is_map { Value::Map(Map::default()) } else { Value::Array(BTreeMap::new()) };
        Ok(())
    }

    /// Gives a variable its attributes, but that it cannot be changed. The inner error is a status.
    fn declared(&mut self, name: &[u8], wish: &Wish, who: &[u8]) -> Result<Result<(), i32>, Leave> {
        let name =
            if wish.has(b'n') || wish.off.contains(&b'n') { name.to_vec() } else { self.real_name(name) };
        let name = name.split(|b| *b == b'[').next().unwrap_or_default().to_vec();
        if wish.off.contains(&b'r') && self.variables.get(&name).is_some_and(|v| v.readonly) {
            self.complain_about(who, &name, "readonly variable");
            return Ok(Err(1));
        }
        let variable = self.variables.entry(&name);
        if wish.has(b'A') {
            match &variable.value {
                Value::Array(_) => {
                    self.complain_about(who, &name, "cannot convert indexed to associative array");
                    return Ok(Err(1));
                }
                Value::Map(_) => {}
                _ => variable.value = Value::Map(Map::default()),
            }
        } else if wish.has(b'a') {
            match std::mem::take(&mut variable.value) {
                Value::Map(map) => {
                    variable.value = Value::Map(map);
                    self.complain_about(who, &name, "cannot convert associative to indexed array");
                    return Ok(Err(1));
                }
                Value::Unset => variable.value = Value::Array(BTreeMap::new()),
                Value::Text(text) => variable.value = Value::Array(BTreeMap::from([(0, text)])),
                array => variable.value = array,
            }
        }
        let variable = self.variables.entry(&name);
        for (letters, value) in [(&wish.on, true), (&wish.off, false)] {
            for letter in letters {
                match letter {
                    b'i' => variable.integer = value,
                    b'x' => variable.exported = value,
                    b'n' => variable.reference = value,
                    b'l' => {
                        variable.lower = value;
                        variable.upper &= !value;
                    }
                    b'u' => {
                        variable.upper = value;
                        variable.lower &= !value;
                    }
                    _ => {}
                }
            }
        }
        Ok(Ok(()))
    }

    fn seal(&mut self, name: &[u8], wish: &Wish) {
        if wish.has(b'r') {
            self.variables.entry(name).readonly = true;
        }
    }
}

fn mark(shell: &mut Shell, words: &[Expanded<'_>], letter: u8) -> Done {
    let who = name_of(words);
    let (mut removes, mut prints, mut functions_) = (false, false, false);
    let mut wish = Wish::default();
    let mut at = 1;
    while let Some(Expanded::Field(field)) = words.get(at) {
        let [b'-', letters @ ..] = field.as_slice() else { break };
        if letters.is_empty() {
            break;
        }
        at += 1;
        if letters == b"-" {
            break;
        }
        for l in letters {
            match l {
                b'n' => removes = true,
                b'p' => prints = true,
                b'f' => functions_ = true,
                b'a' | b'A' => wish.on.push(*l),
                _ => {
                    shell.complain_about(&who, &[b'-', *l], "invalid option");
                    let usage: &[u8] = if letter == b'x' {
                        b"export: usage: export [-fn] [name[=value] ...] or export -p\n"
                    } else {
                        b"readonly: usage: readonly [-aAf] [name[=value] ...] or readonly -p\n"
                    };
                    shell.print_error(usage);
                    return Ok(2);
                }
            }
        }
    }
    let rest = &words[at..];
    if rest.is_empty() || (prints && rest.is_empty()) {
        wish.on.push(letter);
        wish.print = true;
        return print(shell, &wish, &[], b"declare");
    }
    if functions_ {
        return Ok(0);
    }
    let mut status = 0;
    for word in rest {
        let (name, append, value) = match word {
            Expanded::Field(field) => parsed(field),
            Expanded::Assignment(assignment, _) => (assignment.name.clone(), assignment.append, None),
        };
        if !is_name(&name) {
            let shown = match word {
                Expanded::Field(field) => [b"`", &field[..], b"'"].concat(),
                Expanded::Assignment(a, _) => [b"`", &a.name[..], b"'"].concat(),
            };
            shell.complain_about(&who, &shown, "not a valid identifier");
            status = 1;
            continue;
        }
        if let Err(code) = shell.declared(&name, &wish, &who)? {
            status = code;
            continue;
        }
        match (word, value) {
            (Expanded::Assignment(assignment, value), _) => {
                if let Some(value) = value
                    && shell.options.xtrace
                {
                    shell.trace_assignment(assignment, value);
                }
                match shell.assign_expanded(assignment, value) {
                    Err(Leave::Discard) => {
                        status = 1;
                        continue;
                    }
                    done => done?,
                }
            }
            (_, Some(value)) => shell.set(&name, value, append)?,
            _ => {}
        }
        let real = shell.real_name(&name);
        let variable = shell.variables.entry(&real);
        if letter == b'x' {
            variable.exported = !removes;
        } else {
            variable.readonly = true;
        }
    }
    Ok(status)
}

/// `name=value` as `declare -p` shows it; `always` with the `declare` before it even without attributes.
pub(crate) fn assignment(name: &[u8], variable: &Variable, always: bool) -> Vec<u8> {
    let letters = variable.letters();
    let mut out = Vec::new();
    if !letters.is_empty() || !always {
        let shown = if letters.is_empty() { "-".to_string() } else { letters };
        out.extend_from_slice(format!("declare -{shown} ").as_bytes());
    }
    out.extend_from_slice(name);
    let pairs = |out: &mut Vec<u8>, trailing: bool| {
        out.extend_from_slice(b"=(");
        let keys = variable.keys();
        let values = variable.values();
        for (n, (key, value)) in keys.iter().zip(&values).enumerate() {
            if n > 0 && !trailing {
                out.push(b' ');
            }
            out.push(b'[');
            if escape::is_special(key) {
                out.extend(escape::double_quoted(key));
            } else {
                out.extend_from_slice(key);
            }
            out.extend_from_slice(b"]=");
            out.extend(escape::double_quoted(value));
            if trailing {
                out.push(b' ');
            }
        }
        out.push(b')');
    };
    match &variable.value {
        Value::Unset => {}
        Value::Text(text) => {
            out.push(b'=');
            if always && variable.letters().is_empty() {
                out.extend(escape::single_quoted(text));
            } else {
                out.extend(escape::double_quoted(text));
            }
        }
        Value::Array(_) => pairs(&mut out, false),
        Value::Map(_) => pairs(&mut out, true),
    }
    out
}

fn print(shell: &mut Shell, wish: &Wish, rest: &[Expanded<'_>], who: &[u8]) -> Done {
    let mut out = Vec::new();
    let mut status = 0;
    if rest.is_empty() {
        for name in shell.variables.names() {
            let Some(variable) = shell.variables.get(&name) else { continue };
            let letters = variable.letters();
            if !wish.on.iter().all(|l| letters.as_bytes().contains(l)) {
                continue;
            }
            if wish.print {
                out.extend(assignment(&name, variable, false));
            } else {
                out.extend(plain(&name, variable));
            }
            out.push(b'\n');
        }
        return shell.printed(who, &out);
    }
    for word in rest {
        let Expanded::Field(name) = word else { continue };
        shell.refresh(name);
        match shell.variables.get(name) {
            Some(variable) => {
                out.extend(assignment(name, variable, false));
                out.push(b'\n');
            }
            None => {
                shell.complain_about(who, name, "not found");
                status = 1;
            }
        }
    }
    let printed = shell.printed(who, &out)?;
    Ok(printed.max(status))
}

/// `name=value` as `set` shows it.
pub(crate) fn plain(name: &[u8], variable: &Variable) -> Vec<u8> {
    match &variable.value {
        Value::Unset => name.to_vec(),
        Value::Text(text) => {
            let shown = if text.is_empty() {
                Vec::new()
            } else if escape::is_special(text) || escape::traced(text) != *text {
                escape::single_quoted(text)
            } else {
                text.clone()
            };
            [name, b"=", &shown].concat()
        }
        _ => {
            let whole = assignment(name, variable, false);
            let at =
                whole.windows(name.len() + 1).position(|w| &w[..name.len()] == name && w[name.len()] == b'=');
            whole[at.unwrap_or(0)..].to_vec()
        }
    }
}

fn functions(shell: &mut Shell, wish: &Wish, rest: &[Expanded<'_>], who: &[u8]) -> Done {
    let all = shell.functions.clone();
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut status = 0;
    if rest.is_empty() {
        names = all.keys().cloned().collect();
        names.sort();
    } else {
        for word in rest {
            let Expanded::Field(name) = word else { continue };
            if all.contains_key(name) {
                names.push(name.clone());
            } else {
                status = 1;
            }
        }
    }
    let mut out = Vec::new();
    for name in &names {
        if wish.names_only {
            if rest.is_empty() {
                out.extend_from_slice(b"declare -f ");
            }
            out.extend_from_slice(name);
            out.push(b'\n');
        } else {
            out.extend(crate::shell::function_text(&all[name].function));
            out.push(b'\n');
        }
    }
    let printed = shell.printed(who, &out)?;
    Ok(printed.max(status))
}
