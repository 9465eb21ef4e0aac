//! The lines under edit, the current one, marks, and the state before the last change.

/// A line with an identity that survives moves.
#[derive(Clone)]
struct Line {
    id: u64,
    text: Vec<u8>,
}

/// The lines. They count from 1; line 0 is before all.
#[derive(Default)]
pub struct Text {
    lines: Vec<Line>,
    /// The current line.
    pub here: usize,
    next: u64,
    changed: bool,
    marks: Vec<(u8, u64)>,
    before: Option<(Vec<Line>, usize, bool)>,
    /// What `before` becomes if this command changes something.
    begun: Option<(Vec<Line>, usize, bool)>,
}

impl Text {
    /// Returns the number of lines.
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// Returns a line's text.
    pub fn line(&self, number: usize) -> &[u8] {
        number.checked_sub(1).and_then(|at| self.lines.get(at)).map_or(b"", |line| &line.text)
    }

    /// Returns a line's identity.
    pub fn id(&self, number: usize) -> u64 {
        number.checked_sub(1).and_then(|at| self.lines.get(at)).map_or(u64::MAX, |line| line.id)
    }

    /// Finds a line by its identity.
    pub fn find(&self, id: u64) -> Option<usize> {
        self.lines.iter().position(|line| line.id == id).map(|at| at + 1)
    }

    /// Whether there are changes that were not written.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Notes that all is written.
    pub fn written(&mut self) {
        self.changed = false;
    }

    /// Begins a command: what `undo` goes back to, if it changes something.
    pub fn begin(&mut self) {
        self.begun = None;
    }

    /// Notes the state before a command's first change.
    fn change(&mut self) {
        if self.begun.is_none() {
            self.begun = Some((Vec::new(), 0, false));
            self.before = Some((self.lines.clone(), self.here, self.changed));
        }
        self.changed = true;
    }

    /// Goes back to before the last change, or forth again.
    pub fn undo(&mut self) -> bool {
        let Some((lines, here, changed)) = self.before.take() else { return false };
        let now = (std::mem::replace(&mut self.lines, lines), self.here, self.changed);
        (self.here, self.changed) = (here, changed);
        self.before = Some(now);
        true
    }

    /// Puts lines behind one; the last becomes current.
    pub fn insert(&mut self, behind: usize, texts: Vec<Vec<u8>>) {
        if texts.is_empty() {
            return;
        }
        self.change();
        self.here = behind + texts.len();
        let mut fresh = Vec::with_capacity(texts.len());
        for text in texts {
            fresh.push(Line { id: self.next, text });
            self.next += 1;
        }
        self.lines.splice(behind..behind, fresh);
    }

    /// Takes lines out; what follows them becomes current.
    pub fn delete(&mut self, (from, to): (usize, usize)) {
        self.change();
        self.lines.drain(from - 1..to);
        self.here = from.min(self.lines.len());
    }

    /// Gives a line other text, maybe of several lines; the last becomes current.
    pub fn replace(&mut self, number: usize, text: &[u8]) {
        self.change();
        let mut parts = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
        self.lines[number - 1].text = parts.next().unwrap_or_default();
        self.here = number;
        self.insert(number, parts.collect());
    }

    /// Moves lines behind another that is not among them.
    pub fn shift(&mut self, (from, to): (usize, usize), behind: usize) {
        self.change();
        let moved: Vec<Line> = self.lines.drain(from - 1..to).collect();
        let count = moved.len();
        let behind = if behind >= to { behind - count } else { behind };
        self.lines.splice(behind..behind, moved);
        self.here = behind + count;
    }

    /// Names a line by a letter.
    pub fn mark(&mut self, letter: u8, number: usize) {
        self.marks.retain(|(known, _)| *known != letter);
        self.marks.push((letter, self.id(number)));
    }

    /// Returns the line that a letter names.
    pub fn marked(&self, letter: u8) -> Option<usize> {
        self.marks.iter().find(|(known, _)| *known == letter).and_then(|(_, id)| self.find(*id))
    }

    /// Returns lines with their newlines.
    pub fn bytes(&self, (from, to): (usize, usize)) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in from.max(1)..=to {
            bytes.extend_from_slice(self.line(number));
            bytes.push(b'\n');
        }
        bytes
    }
}

/// Cuts bytes into lines.
pub fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    lines
}
