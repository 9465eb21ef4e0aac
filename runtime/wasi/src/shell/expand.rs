//! Expansion: a word becomes fields, a text or a pattern.

use super::brace;
use super::field::{Field, Fields, Mode};
use super::state::{Leave, Run, Shell};
use super::syntax::{Part, Word};
use super::variable::Value;

impl Shell {
    /// The separators of fields.
    pub(super) fn ifs(&self) -> Vec<u8> {
        self.get(b"IFS").map_or_else(|| b" \t\n".to_vec(), <[u8]>::to_vec)
    }

    /// The end of an action that wants more memory than it has.
    pub(crate) fn out_of_memory(&mut self, bytes: usize) -> Leave {
        let message = format!("bash: xrealloc: cannot allocate {bytes} bytes\n");
        self.print_error(message.as_bytes());
        self.budget.lacks_memory();
        self.status = 2;
        Leave::Exit
    }

    /// Refuses what does not fit into the memory that is left.
    pub(crate) fn room(&mut self, bytes: usize) -> Run {
        if self.memory.fits(bytes) { Ok(()) } else { Err(self.out_of_memory(bytes)) }
    }

    /// All words' fields.
    pub(crate) fn words<'w>(
        &mut self,
        words: impl IntoIterator<Item = &'w Word>,
    ) -> Result<Vec<Vec<u8>>, Leave> {
        let mut out = Vec::new();
        for word in words {
            self.word_into(word, &mut out)?;
        }
        Ok(out)
    }

    /// Adds a word's fields.
    pub(crate) fn word_into(&mut self, word: &Word, out: &mut Vec<Vec<u8>>) -> Run {
        if word.braces && self.options.braceexpand {
            let account = self.memory.clone();
            let Some(words) = brace::expand(word, &|bytes| account.fits(bytes)) else {
                return Err(self.out_of_memory(1 << 30));
            };
            for (n, parts) in words.iter().enumerate() {
                if n % 1024 == 1023 {
                    self.check()?;
                    self.room(words.len() * 64)?;
                }
                self.parts_into(parts, out)?;
            }
            return Ok(());
        }
        self.parts_into(&word.parts, out)
    }

    fn parts_into(&mut self, parts: &[Part], out: &mut Vec<Vec<u8>>) -> Run {
        // The most common words need no machinery.
        match parts {
            [Part::Text(text)] if !text.iter().any(|b| b"*?[~\\(".contains(b)) => {
                if !text.is_empty() {
                    out.push(text.clone());
                }
                return Ok(());
            }
            [Part::Quoted(text)] => {
                out.push(text.clone());
                return Ok(());
            }
            _ => {}
        }
        for field in self.fields(parts, Mode::Fields, false)? {
            self.found(field, out)?;
        }
        Ok(())
    }

    /// Puts the names that a field's pattern finds, or the field.
    fn found(&mut self, field: Field, out: &mut Vec<Vec<u8>>) -> Run {
        let special = field.special && !self.options.noglob;
        if special && super::pattern::is_pattern(&field.pattern, self.rules()) {
            let names = self.glob(&field.pattern)?;
            if !names.is_empty() {
                out.extend(names);
                return Ok(());
            }
            if self.shopt("failglob") {
                self.complain_bytes(&[b"no match: ", &field.text[..]].concat());
                self.status = 1;
                return Err(Leave::Discard);
            }
            if self.shopt("nullglob") {
                return Ok(());
            }
        }
        out.push(field.text);
        Ok(())
    }

    /// A word as one text.
    pub(crate) fn text(&mut self, word: &Word) -> Result<Vec<u8>, Leave> {
        self.text_of(&word.parts, false)
    }

    /// The value of an assignment: a tilde counts behind each colon.
    pub(crate) fn assigned(&mut self, word: &Word) -> Result<Vec<u8>, Leave> {
        self.text_of(&word.parts, true)
    }

    fn text_of(&mut self, parts: &[Part], assigned: bool) -> Result<Vec<u8>, Leave> {
        match parts {
            [] => return Ok(Vec::new()),
            [Part::Text(text)] if !text.contains(&b'~') => return Ok(text.clone()),
            [Part::Quoted(text)] => return Ok(text.clone()),
            _ => {}
        }
        let fields = self.fields(parts, Mode::Text, assigned)?;
        Ok(joined(fields.into_iter().map(|f| f.text)))
    }

    /// A word as a pattern.
    pub(crate) fn pattern(&mut self, word: &Word) -> Result<Vec<u8>, Leave> {
        let fields = self.fields(&word.parts, Mode::Pattern, false)?;
        Ok(joined(fields.into_iter().map(|f| f.pattern)))
    }

    /// A word as a regular expression.
    pub(crate) fn regex(&mut self, word: &Word) -> Result<Vec<u8>, Leave> {
        let fields = self.fields(&word.parts, Mode::Regex, false)?;
        Ok(joined(fields.into_iter().map(|f| f.pattern)))
    }

    /// A file's name for a redirection: its fields, which should be one.
    pub(crate) fn target(&mut self, word: &Word) -> Result<Vec<u8>, Leave> {
        let mut names = Vec::new();
        self.word_into(word, &mut names)?;
        if names.len() == 1 {
            return Ok(names.remove(0));
        }
        self.complain_bytes(&[&word.text[..], b": ambiguous redirect"].concat());
        self.status = 1;
        Err(Leave::Discard)
    }

    fn fields(&mut self, parts: &[Part], mode: Mode, assigned: bool) -> Result<Vec<Field>, Leave> {
        let mut fields = Fields::new(mode, self.ifs());
        self.parts(parts, &mut fields, assigned)?;
        Ok(fields.finish())
    }

    /// Expands unquoted parts.
    pub(super) fn parts(&mut self, parts: &[Part], out: &mut Fields, assigned: bool) -> Run {
        self.deeper()?;
        for (n, part) in parts.iter().enumerate() {
            if out.size > 1 << 20 {
                self.room(out.size)?;
            }
            match part {
                Part::Text(text) => {
                    let alone = n + 1 == parts.len();
                    self.tildes(text, n == 0 && out.current.text.is_empty(), alone, assigned, out);
                }
                Part::Quoted(text) => out.quoted(text),
                Part::Double(inner) => self.double(inner, out)?,
                Part::Parameter(parameter) => self.parameter(parameter, false, out)?,
                Part::Command(script) => {
                    let text = self.substitute(&script.list)?;
                    out.split(&text);
                }
                Part::Backquote(script) => {
                    let text = self.backquote(script)?;
                    out.split(&text);
                }
                Part::Arithmetic(word) => {
                    let value = self.arithmetic(word)?;
                    out.split(value.to_string().as_bytes());
                }
                Part::Process(reads, script) => {
                    let path = self.process(*reads, script)?;
                    out.quoted(&path);
                }
                Part::Bad(text) => return Err(self.bad_substitution(text)),
            }
        }
        Ok(())
    }

    pub(super) fn bad_substitution(&mut self, text: &[u8]) -> Leave {
        self.complain_bytes(&[text, b": bad substitution"].concat());
        self.status = 1;
        Leave::Discard
    }

    /// Expands what stands between double quotes.
    pub(super) fn double(&mut self, parts: &[Part], out: &mut Fields) -> Run {
        self.deeper()?;
        // `"$@"` without parameters is no field; `""` is one.
        if !parts.iter().any(|p| matches!(p, Part::Parameter(p) if p.is_each())) {
            out.quoted(b"");
        }
        for part in parts {
            match part {
                Part::Text(text) | Part::Quoted(text) => out.quoted(text),
                Part::Double(inner) => self.double(inner, out)?,
                Part::Parameter(parameter) => self.parameter(parameter, true, out)?,
                Part::Command(script) => {
                    let text = self.substitute(&script.list)?;
                    out.quoted(&text);
                }
                Part::Backquote(script) => {
                    let text = self.backquote(script)?;
                    out.quoted(&text);
                }
                Part::Arithmetic(word) => {
                    let value = self.arithmetic(word)?;
                    out.quoted(value.to_string().as_bytes());
                }
                Part::Process(..) => {}
                Part::Bad(text) => return Err(self.bad_substitution(text)),
            }
        }
        Ok(())
    }

    /// Unquoted text, in which a tilde may stand for a directory.
    fn tildes(&mut self, text: &[u8], first: bool, alone: bool, assigned: bool, out: &mut Fields) {
        if !text.contains(&b'~') || out.mode == Mode::Regex {
            return out.text(text);
        }
        let mut at = 0;
        let mut possible = first;
        while at < text.len() {
            if possible && text[at] == b'~' {
                let ends = |b: &u8| *b == b'/' || (assigned && *b == b':');
                let length = text[at..].iter().position(ends).unwrap_or(text.len() - at);
                let whole = at + length < text.len() || alone;
                if whole && let Some(home) = self.home(&text[at + 1..at + length]) {
                    out.quoted(&home);
                    at += length;
                    possible = false;
                    continue;
                }
            }
            possible = assigned && text[at] == b':';
            out.text(&text[at..=at]);
            at += 1;
        }
    }

    fn home(&self, name: &[u8]) -> Option<Vec<u8>> {
        match name {
            b"" => Some(self.get(b"HOME").map_or_else(|| b"/root".to_vec(), <[u8]>::to_vec)),
            b"+" => self.get(b"PWD").map(<[u8]>::to_vec),
            b"-" => self.get(b"OLDPWD").map(<[u8]>::to_vec),
            _ => None,
        }
    }

    /// The text of a here-document or here-string.
    pub(crate) fn heredoc(&mut self, word: &Word) -> Result<Vec<u8>, Leave> {
        if let [Part::Quoted(text)] = word.parts.as_slice() {
            return Ok(text.clone());
        }
        let mut fields = Fields::new(Mode::Text, self.ifs());
        self.double(&word.parts, &mut fields)?;
        Ok(joined(fields.finish().into_iter().map(|f| f.text)))
    }

    /// The value of an arithmetic expression.
    pub(crate) fn arithmetic(&mut self, word: &Word) -> Result<i64, Leave> {
        let text = self.heredoc(word)?;
        self.evaluate(&text, b"")
    }

    /// Whether a variable is an associative array.
    pub(crate) fn is_map(&self, name: &[u8]) -> bool {
        self.variables.get(name).is_some_and(|v| matches!(v.value, Value::Map(_)))
    }
}

fn joined(texts: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut texts = texts;
    let Some(mut first) = texts.next() else { return Vec::new() };
    for text in texts {
        first.push(b' ');
        first.extend_from_slice(&text);
    }
    first
}
