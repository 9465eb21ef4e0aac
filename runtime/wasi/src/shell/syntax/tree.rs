//! The tree of a script.

use std::sync::{Arc, OnceLock};

/// Commands one after the other.
#[derive(Debug, Default)]
pub(crate) struct List(pub Vec<Item>);

/// One element of a list.
#[derive(Debug)]
pub(crate) struct Item {
    pub and_or: Arc<AndOr>,
    /// `&`: nobody waits for it.
    pub background: bool,
}

/// `a && b || c`.
#[derive(Debug)]
pub(crate) struct AndOr {
    pub first: Pipeline,
    pub rest: Vec<(Then, Pipeline)>,
}

/// When the next pipeline of an and-or list runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    And,
    Or,
}

/// `! time a | b`.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub negated: bool,
    /// `time`; whether with `-p`.
    pub timed: Option<bool>,
    pub commands: Vec<Arc<Command>>,
}

/// A command with its redirections.
#[derive(Debug)]
pub(crate) struct Command {
    /// 1-based.
    pub line: u32,
    pub what: What,
    pub redirects: Vec<Redirect>,
}

/// What a command is.
#[derive(Debug)]
pub(crate) enum What {
    Simple(Simple),
    Brace(List),
    Subshell(List),
    If {
        arms: Vec<(List, List)>,
        otherwise: Option<List>,
    },
    /// No values: the positional parameters.
    For {
        name: Vec<u8>,
        values: Option<Vec<Word>>,
        body: List,
    },
    Select {
        name: Vec<u8>,
        values: Option<Vec<Word>>,
        body: List,
    },
    CountingFor {
        parts: [Word; 3],
        body: List,
    },
    While {
        until: bool,
        condition: List,
        body: List,
    },
    Case {
        subject: Word,
        arms: Vec<Arm>,
    },
    Arithmetic(Word),
    Test(Test),
    Function(Arc<Function>),
    Coprocess {
        name: Vec<u8>,
        body: Arc<Command>,
    },
}

/// Assignments and words.
#[derive(Debug, Default)]
pub(crate) struct Simple {
    pub assignments: Vec<Assignment>,
    pub words: Vec<Argument>,
}

/// A word of a simple command.
#[derive(Debug)]
pub(crate) enum Argument {
    Word(Word),
    /// `x=…` behind `declare` and its like: not split, and arrays are possible.
    Assignment(Assignment),
}

/// `x=1`, `x+=1`, `x[1]=2`, `x=(1 2)`.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub name: Vec<u8>,
    pub index: Option<Word>,
    pub append: bool,
    pub value: Assigned,
}

/// What is assigned.
#[derive(Debug)]
pub(crate) enum Assigned {
    Word(Word),
    Array(Vec<Element>),
}

/// One element of an array that is assigned.
#[derive(Debug)]
pub(crate) struct Element {
    pub index: Option<Word>,
    pub append: bool,
    pub value: Word,
}

/// One arm of `case`.
#[derive(Debug)]
pub(crate) struct Arm {
    pub patterns: Vec<Word>,
    pub body: List,
    pub end: ArmEnd,
}

/// How an arm of `case` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArmEnd {
    /// `;;`
    Leave,
    /// `;&`: the next arm's commands run too.
    Fall,
    /// `;;&`: the next patterns are tried.
    Try,
}

/// A function.
#[derive(Debug)]
pub(crate) struct Function {
    pub name: Vec<u8>,
    pub body: Arc<Command>,
    /// Its text, as it was written.
    pub text: Vec<u8>,
}

/// An expression of `[[ … ]]`.
#[derive(Debug)]
pub(crate) enum Test {
    Or(Box<Test>, Box<Test>),
    And(Box<Test>, Box<Test>),
    Not(Box<Test>),
    Unary(u8, Word),
    Binary(Vec<u8>, Word, Word),
    /// A word alone: whether it is not empty.
    Word(Word),
}

/// A redirection.
#[derive(Debug)]
pub(crate) struct Redirect {
    pub fd: Descriptor,
    pub how: How,
}

/// Which descriptor is redirected.
#[derive(Debug)]
pub(crate) enum Descriptor {
    Default,
    Number(i32),
    /// `{name}>`: a free one, kept in a variable.
    Name(Vec<u8>),
}

/// What a descriptor becomes.
#[derive(Debug)]
pub(crate) enum How {
    Read(Word),
    Write {
        target: Word,
        clobber: bool,
    },
    Append(Word),
    ReadWrite(Word),
    /// `&>` and `&>>`.
    Both {
        target: Word,
        append: bool,
    },
    DuplicateIn(Word),
    DuplicateOut(Word),
    Here(Arc<OnceLock<Word>>),
    HereString(Word),
}

/// A word: what the shell expands to fields.
#[derive(Debug, Default)]
pub(crate) struct Word {
    pub parts: Vec<Part>,
    /// As it was written.
    pub text: Vec<u8>,
    /// Whether something in it looks like a brace expansion.
    pub braces: bool,
    /// `name[index]=` before it, which the parts do not hold.
    pub subscript: Option<Arc<Subscript>>,
}

/// `name[index]=` or `name[index]+=` at the beginning of a word.
#[derive(Debug)]
pub(crate) struct Subscript {
    pub name: Vec<u8>,
    pub index: Word,
    pub append: bool,
    /// Where in the word's text the value begins.
    pub value: usize,
}

/// A part of a word.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// As written: patterns and braces count.
    Text(Vec<u8>),
    /// Quoted: it stands for itself.
    Quoted(Vec<u8>),
    /// Between double quotes.
    Double(Arc<Vec<Part>>),
    Parameter(Arc<Parameter>),
    /// `$(…)`.
    Command(Arc<Script>),
    /// `` `…` ``: read when it runs.
    Backquote(Arc<Backquote>),
    /// `$((…))`.
    Arithmetic(Arc<Word>),
    /// `<(…)` (true) and `>(…)`.
    Process(bool, Arc<Script>),
    /// `${…}` that means nothing; its text.
    Bad(Vec<u8>),
}

/// The commands of a substitution.
#[derive(Debug)]
pub(crate) struct Script {
    pub list: List,
}

/// A substitution in back quotes.
#[derive(Debug)]
pub(crate) struct Backquote {
    pub text: Vec<u8>,
    pub line: u32,
}

/// `$x` and `${x…}`.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub name: Vec<u8>,
    pub index: Option<Index>,
    /// `${!x}`.
    pub indirect: bool,
    pub op: Op,
    /// As it was written, for messages.
    pub text: Vec<u8>,
}

/// A subscript.
#[derive(Debug)]
pub(crate) enum Index {
    /// `[@]`
    Each,
    /// `[*]`
    Joined,
    Of(Word),
}

/// What is done with a parameter's value.
#[derive(Debug)]
pub(crate) enum Op {
    None,
    /// `${#x}`
    Length,
    /// `${x-w}`, `${x:-w}`: the operator's letter, whether with a colon, the word.
    Default {
        letter: u8,
        colon: bool,
        word: Word,
    },
    /// `${x#p}`, `${x##p}`, `${x%p}`, `${x%%p}`.
    Remove {
        prefix: bool,
        longest: bool,
        pattern: Word,
    },
    Replace {
        which: Which,
        pattern: Word,
        by: Word,
    },
    Slice {
        offset: Word,
        length: Option<Word>,
    },
    /// `${x^p}`, `^^`, `,`, `,,`, `~`, `~~`.
    Case {
        letter: u8,
        all: bool,
        pattern: Word,
    },
    /// `${x@Q}`
    Transform(u8),
    /// `${!x*}` and `${!x@}` (true).
    Names(bool),
    /// `${!a[@]}`
    Keys,
}

/// Which matches are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    First,
    All,
    Prefix,
    Suffix,
}

impl Word {
    /// A word that is just this text, quoted.
    pub fn literal(text: &[u8]) -> Word {
        Word { parts: vec![Part::Quoted(text.to_vec())], text: text.to_vec(), ..Word::default() }
    }

    /// The word when it is no assignment: a subscript before it is text.
    pub fn settled(mut self) -> Word {
        let Some(subscript) = self.subscript.take() else { return self };
        let Ok(Subscript { name, index, append, .. }) = Arc::try_unwrap(subscript) else { return self };
        let mut parts = vec![Part::Text([&name[..], b"["].concat())];
        parts.extend(index.parts);
        parts.push(Part::Text(if append { b"]+=".to_vec() } else { b"]=".to_vec() }));
        parts.append(&mut self.parts);
        Word { parts, ..self }
    }

    /// The text, when nothing in the word is quoted or expanded.
    pub fn plain(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [Part::Text(text)] if self.subscript.is_none() => Some(text),
            _ => None,
        }
    }
}
