//! `fmt`: fills paragraphs. Where a line ends is chosen for a whole paragraph at once, so that lines are about as long as
//! the goal, sentences end lines, and no line ends behind the first word of a sentence, as coreutils' does it.

use crate::io::{Options, read, reason, warn, write};

/// The width when none is given.
const WIDTH: usize = 75;
/// Most that a width may be.
const WIDEST: usize = 2500;
/// Most words of which line ends are chosen at once.
const WORDS: usize = 1000;
/// Most bytes of which line ends are chosen at once.
const BYTES: usize = 5000;
const TAB: usize = 8;
/// Indentation of a tagged paragraph's later lines, when the first has none and there is no other to tell.
const TAGGED: usize = 3;

/// How paragraphs are made up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Lines of one indentation.
    Plain,
    /// The first line may have another indentation than the others (`-c`).
    Crown,
    /// The first line must have another (`-t`).
    Tagged,
    /// Long lines are split, short ones not joined (`-s`).
    Split,
}

/// What was asked for.
struct Shape {
    width: usize,
    goal: usize,
    form: Form,
    uniform: bool,
    /// What begins each line of a paragraph, without spaces around it.
    prefix: Vec<u8>,
    /// Spaces before and behind the prefix.
    lead: usize,
    trail: usize,
}

/// Runs `fmt`.
pub fn main(argv: &[Vec<u8>]) -> i32 {
    // `-60` as the first argument is a width.
    let mut argv = argv.to_vec();
    if let Some(first) = argv.get_mut(1)
        && let Some(digits) = first.strip_prefix(b"-")
        && digits.first().is_some_and(u8::is_ascii_digit)
    {
        *first = [b"-w", digits].concat();
    }
    let known = "c crown-margin t tagged-paragraph s split-only u uniform-spacing";
    let options = match Options::read(&argv, known, "w width g goal p prefix") {
        Ok(options) => options,
        Err(error) => return crate::io::misuse("fmt", &error, 1),
    };
    let shape = match shape(&options) {
        Ok(shape) => shape,
        Err(error) => {
            warn("fmt", error);
            return 1;
        }
    };
    let stdin: &[&[u8]] = &[b"-"];
    let mut status = 0;
    for file in if options.rest.is_empty() { stdin } else { &options.rest } {
        match read(file) {
            Ok(bytes) => write(&Filler::new(&shape, &bytes).run()),
            Err(error) => {
                let name = crate::io::quoted(file);
                warn("fmt", format!("cannot open {name} for reading: {}", reason(&error)));
                status = 1;
            }
        }
    }
    status
}

fn shape(options: &Options) -> Result<Shape, String> {
    let number = |text: &str, most: usize| match text.parse::<usize>() {
        Ok(number) if number <= most => Ok(number),
        Ok(_) => Err(format!("invalid width: ‘{text}’: Numerical result out of range")),
        Err(_) => Err(format!("invalid width: ‘{text}’")),
    };
    let width = options.value(&["w", "width"]).map(|text| number(text, WIDEST)).transpose()?;
    let goal = options.value(&["g", "goal"]).map(|text| number(text, width.unwrap_or(WIDTH))).transpose()?;
    let width = width.unwrap_or_else(|| goal.map_or(WIDTH, |goal| goal + 10));
    // Lines are meant to be some seven per cent shorter than they may be.
    let goal = goal.unwrap_or(width * 187 / 200);
    let form = [(["t", "tagged-paragraph"], Form::Tagged), (["c", "crown-margin"], Form::Crown)];
    let form = if options.has(&["s", "split-only"]) {
        Form::Split
    } else {
        form.iter().find(|(names, _)| options.has(names)).map_or(Form::Plain, |(_, form)| *form)
    };
    let typed = options.value(&["p", "prefix"]).unwrap_or_default();
    let bare = typed.trim_start_matches(' ');
    let prefix = bare.trim_end_matches(' ');
    Ok(Shape {
        width,
        goal,
        form,
        uniform: options.has(&["u", "uniform-spacing"]),
        lead: typed.len() - bare.len(),
        trail: bare.len() - prefix.len(),
        prefix: prefix.as_bytes().to_vec(),
    })
}

/// A word, what surrounds it, and where lines best end behind it.
#[derive(Clone, Default)]
struct Word {
    text: Vec<u8>,
    /// Columns of space behind it.
    space: usize,
    opens: bool,
    punctuated: bool,
    /// Ends in a full stop, maybe with brackets and quotes behind.
    period: bool,
    /// Ends a sentence.
    last: bool,
    /// The cost of all lines from the one that this word begins.
    cost: i64,
    /// The word that begins the next line.
    next: usize,
    /// The length of the line that this word begins.
    length: usize,
}

impl Word {
    fn new(text: &[u8]) -> Word {
        let ends = text.last().is_some_and(u8::is_ascii_punctuation);
        let bare = text.iter().rposition(|byte| !b")]'\"".contains(byte)).unwrap_or(0);
        Word {
            opens: text.first().is_some_and(|byte| b"(['`\"".contains(byte)),
            punctuated: ends,
            period: text.get(bare).is_some_and(|byte| b".?!".contains(byte)),
            text: text.to_vec(),
            ..Word::default()
        }
    }
}

/// The filling of one file.
struct Filler<'a> {
    shape: &'a Shape,
    rest: &'a [u8],
    out: Vec<u8>,
    /// Columns of the line that is read.
    column: usize,
    /// Indentation before the prefix of the line that is read, and of the paragraph's lines.
    ahead: usize,
    indent: usize,
    first: usize,
    other: usize,
    words: Vec<Word>,
    bytes: usize,
    /// The length of the line written last, while the paragraph goes on.
    written: usize,
    /// Indentation is written with tabs, since the input has some.
    tabs: bool,
    at: usize,
}

impl<'a> Filler<'a> {
    fn new(shape: &'a Shape, text: &'a [u8]) -> Filler<'a> {
        Filler {
            shape,
            rest: text,
            out: Vec::with_capacity(text.len()),
            column: 0,
            ahead: 0,
            indent: 0,
            first: 0,
            other: 0,
            words: Vec::new(),
            bytes: 0,
            written: 0,
            tabs: false,
            at: 0,
        }
    }

    fn run(mut self) -> Vec<u8> {
        self.start_line();
        while self.paragraph() {
            self.choose();
            self.put_lines(self.words.len());
            self.words.clear();
            self.bytes = 0;
        }
        self.out
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn next(&mut self) {
        self.rest = &self.rest[1..];
    }

    fn skip_space(&mut self) {
        loop {
            match self.peek() {
                Some(b' ') => self.column += 1,
                Some(b'\t') => {
                    self.tabs = true;
                    self.column = (self.column / TAB + 1) * TAB;
                }
                _ => return,
            }
            self.next();
        }
    }

    /// Reads a line's indentation and prefix.
    fn start_line(&mut self) {
        self.column = 0;
        self.skip_space();
        if self.shape.prefix.is_empty() {
            self.ahead = self.shape.lead.min(self.column);
            return;
        }
        self.ahead = self.column;
        for byte in &self.shape.prefix {
            if self.peek() != Some(*byte) {
                return;
            }
            self.column += 1;
            self.next();
        }
        self.skip_space();
    }

    /// Whether the line that begins here has words behind a whole prefix.
    fn has_words(&self) -> bool {
        self.peek().is_some_and(|byte| byte != b'\n')
            && self.column >= self.ahead + self.shape.prefix.len() + self.shape.trail
    }

    fn goes_on(&self) -> bool {
        self.ahead == self.indent && self.has_words()
    }

    /// Reads a paragraph, with what stands before it copied; false at the end.
    fn paragraph(&mut self) -> bool {
        self.written = 0;
        while !self.has_words() || self.ahead < self.shape.lead {
            self.copy_line();
            if self.peek().is_none() {
                return false;
            }
            self.next();
            self.out.push(b'\n');
            self.start_line();
        }
        self.indent = self.ahead;
        self.first = self.column;
        self.line();
        let goes_on = self.goes_on();
        self.set_other(goes_on);
        let joins = match self.shape.form {
            Form::Split => false,
            Form::Crown => goes_on,
            Form::Tagged => goes_on && self.column != self.first,
            Form::Plain => goes_on && self.column == self.other,
        };
        if joins {
            self.line();
            while self.goes_on() && self.column == self.other {
                self.line();
            }
        }
        if let Some(last) = self.words.last_mut() {
            (last.period, last.last) = (true, true);
        }
        true
    }

    fn set_other(&mut self, goes_on: bool) {
        self.other = match self.shape.form {
            Form::Crown if goes_on => self.column,
            Form::Tagged if goes_on && self.column != self.first => self.column,
            Form::Tagged if self.other != self.first => self.other,
            Form::Tagged if self.first == 0 => TAGGED,
            Form::Tagged => 0,
            _ => self.first,
        };
    }

    /// Copies what is left of a line that belongs to no paragraph.
    fn copy_line(&mut self) {
        self.at = 0;
        let end = self.peek().is_none_or(|byte| byte == b'\n');
        if self.column > self.ahead || !end {
            self.put_space(self.ahead);
            let shown = self.shape.prefix.len().min(self.column.saturating_sub(self.at));
            self.out.extend_from_slice(&self.shape.prefix[..shown]);
            self.at += shown;
            if !end {
                self.put_space(self.column.saturating_sub(self.at));
            }
            if self.peek().is_none() && self.column >= self.ahead + self.shape.prefix.len() {
                self.out.push(b'\n');
            }
        }
        while let Some(byte) = self.peek().filter(|byte| *byte != b'\n') {
            self.out.push(byte);
            self.next();
        }
    }

    /// Reads the words of a line, then the start of the next.
    fn line(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            let end = self.rest.iter().position(|byte| byte.is_ascii_whitespace() || *byte == 0x0b);
            let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()).max(1));
            self.rest = rest;
            if self.bytes + text.len() > BYTES {
                self.set_other(true);
                self.flush();
            }
            let mut word = Word::new(text);
            self.bytes += text.len();
            self.column += text.len();
            let start = self.column;
            self.skip_space();
            let ended = self.peek().is_none_or(|byte| byte == b'\n');
            word.space = self.column - start;
            word.last = self.peek().is_none() || word.period && (ended || word.space > 1);
            if ended || self.shape.uniform {
                word.space = if word.last { 2 } else { 1 };
            }
            if self.words.len() + 2 == WORDS {
                self.set_other(true);
                self.flush();
            }
            self.words.push(word);
        }
        if self.peek().is_some() {
            self.next();
        }
        self.start_line();
    }

    /// Writes as many lines of a long paragraph as are sure.
    fn flush(&mut self) {
        if self.words.is_empty() {
            return;
        }
        self.choose();
        let (mut split, mut best) = (self.words.len(), i64::MAX);
        let mut at = self.words[0].next;
        while at < self.words.len() {
            let next = self.words[at].next;
            let cost = self.words[at].cost - self.words.get(next).map_or(0, |word| word.cost);
            if cost < best {
                (split, best) = (at, cost);
            }
            // Later breaks are a little better: more is written.
            best = best.saturating_add(square(3));
            at = next;
        }
        self.put_lines(split);
        self.words.drain(..split);
        self.bytes = self.words.iter().map(|word| word.text.len()).sum();
    }

    /// Chooses where lines end, from the last word to the first.
    fn choose(&mut self) {
        let count = self.words.len();
        for start in (0..count).rev() {
            let mut length = if start == 0 { self.first } else { self.other } + self.words[start].text.len();
            let mut best = i64::MAX;
            let mut end = start;
            loop {
                end += 1;
                let mut cost = self.line_cost(end, length) + self.words.get(end).map_or(0, |word| word.cost);
                if start == 0 && self.written > 0 {
                    cost += ragged(length as i64 - self.written as i64);
                }
                if cost < best {
                    best = cost;
                    self.words[start].next = end;
                    self.words[start].length = length;
                }
                if end == count {
                    break;
                }
                length += self.words[end - 1].space + self.words[end].text.len();
                if length >= self.shape.width {
                    break;
                }
            }
            self.words[start].cost = best + self.begin_cost(start);
        }
    }

    /// What it costs to begin a line with this word.
    fn begin_cost(&self, at: usize) -> i64 {
        let word = &self.words[at];
        let mut cost = square(70);
        if at > 0 {
            let before = &self.words[at - 1];
            if before.period {
                cost += if before.last { -square(50) } else { square(600) };
            } else if before.punctuated {
                cost -= square(40);
            } else if at > 1 && self.words[at - 2].last {
                cost += square(200) / (before.text.len() as i64 + 2);
            }
        }
        if word.opens {
            cost -= square(40);
        } else if word.last {
            cost += square(150) / (word.text.len() as i64 + 2);
        }
        cost
    }

    /// What a line of this length costs before this word.
    fn line_cost(&self, next: usize, length: usize) -> i64 {
        let Some(word) = self.words.get(next) else { return 0 };
        let short = square((self.shape.goal as i64 - length as i64) * 10);
        if word.next == self.words.len() {
            return short;
        }
        short + ragged(length as i64 - word.length as i64)
    }

    fn put_lines(&mut self, end: usize) {
        let mut at = 0;
        while at < end {
            let next = self.words[at].next;
            self.at = 0;
            self.put_space(self.indent);
            self.out.extend_from_slice(&self.shape.prefix);
            self.at += self.shape.prefix.len();
            let indent = if at == 0 { self.first } else { self.other };
            self.put_space(indent.saturating_sub(self.at));
            for word in at..next {
                self.out.extend_from_slice(&self.words[word].text);
                self.at += self.words[word].text.len();
                if word + 1 < next {
                    self.put_space(self.words[word].space);
                }
            }
            self.written = self.at;
            self.out.push(b'\n');
            at = next;
        }
    }

    fn put_space(&mut self, space: usize) {
        let to = self.at + space;
        let stop = to / TAB * TAB;
        if self.tabs && self.at + 1 < stop {
            while self.at < stop {
                self.out.push(b'\t');
                self.at = (self.at / TAB + 1) * TAB;
            }
        }
        self.out.resize(self.out.len() + (to - self.at), b' ');
        self.at = to;
    }
}

fn square(number: i64) -> i64 {
    number * number
}

fn ragged(difference: i64) -> i64 {
    square(difference * 10) / 2
}
