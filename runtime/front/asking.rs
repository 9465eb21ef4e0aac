//! How an action is asked for by a record, before the program itself: what is the same for each action of a request, and the
//! message that is made of it and of the words of the command line. The library makes the message again by its own means,
//! and drops what was begun where they differ.

use crate::message::word;
use crate::wire::{MSG_RUN, RUN_DOORS, RUN_HEAD, RUN_INLINE, RUN_LEN, RUN_SCRIPT};

/// What is the same for each action. As bytes: the flags of its message and the number of its variables; then strings, each
/// with its NUL: the directory, bash, the directories of programs with a colon between them, the variables, and the groups.
pub struct Asking<'a> {
    flags: u32,
    variables: u32,
    directory: &'a [u8],
    bash: &'a [u8],
    path: &'a [u8],
    rest: &'a [u8],
}

/// What a group that is made so is called, after "sbx-", the number of the process, and a line.
pub const BEGUN: &[u8] = b"begun";
/// Ends a list of strings.
const END: &[u8] = b"";
/// Begins the name of a file that need not be there.
pub const OPTIONAL: u8 = b'?';

impl<'a> Asking<'a> {
    /// `None` for what is damaged, or says that nothing may be asked for.
    pub fn read(bytes: &'a [u8]) -> Option<Asking<'a>> {
        let (head, mut rest) = bytes.split_at_checked(8)?;
        let mut next = || string(&mut rest);
        let (directory, bash, path) = (next()?, next()?, next()?);
        Some(Asking { flags: word(head, 0), variables: word(head, 4), directory, bash, path, rest })
    }

    /// The groups of version 1 in which its processes are: for each the directory in which one is made, files with what is
    /// written to them, and an empty string.
    pub fn groups(&self) -> impl Iterator<Item = Group<'a>> + use<'a> {
        let mut rest = self.rest;
        for _ in 0..self.variables {
            string(&mut rest);
        }
        core::iter::from_fn(move || {
            let group = Group { parent: string(&mut rest)?, settings: rest };
            while string(&mut rest)? != END {}
            Some(group)
        })
    }

    /// The message that asks for an action with an open stdin, on outputs of its own. `None` where it is too long.
    #[allow(dead_code, reason = "the library has means of its own")]
    pub fn message<'m>(
        &self,
        words: &Words<impl Iterator<Item = &'static [u8]> + Clone>,
        doors: u32,
        room: &'m mut [u8; RUN_LEN],
    ) -> Option<&'m [u8]> {
        let mut message = Message { room, len: 0 };
        let script = if matches!(words, Words::Script(_)) { RUN_SCRIPT } else { 0 };
        let flags = self.flags | script | RUN_INLINE | doors << RUN_DOORS;
        [MSG_RUN, flags, 0].into_iter().try_for_each(|word| message.word(word))?;
        match words {
            Words::Script(script) => {
                [1, 3, self.variables].into_iter().try_for_each(|count| message.word(count))?;
                let strings: [&[u8]; 5] = [self.directory, self.bash, b"bash", b"-c", script];
                strings.into_iter().try_for_each(|one| message.string(one))?;
            }
            Words::Program(argv) => {
                let name = argv.clone().next()?;
                let is_path = has_slash(name);
                let programs = if is_path { 1 } else { self.path.split(|b| *b == b':').count() };
                let counts = [programs as u32, argv.clone().count() as u32, self.variables];
                counts.into_iter().try_for_each(|count| message.word(count))?;
                message.string(self.directory)?;
                if is_path {
                    message.string(name)?;
                } else {
                    for directory in self.path.split(|b| *b == b':') {
                        message.bytes(directory)?;
                        message.bytes(b"/")?;
                        message.string(name)?;
                    }
                }
                argv.clone().try_for_each(|one| message.string(one))?;
            }
        }
        let mut rest = self.rest;
        (0..self.variables).try_for_each(|_| message.string(string(&mut rest)?))?;
        let Message { room, len } = message;
        room.get(..len)
    }
}

/// Whether a name is a path.
#[allow(
    clippy::manual_contains,
    reason = "`contains` may panic with a message, whose address is not known before it runs"
)]
pub fn has_slash(name: &[u8]) -> bool {
    name.iter().any(|b| *b == b'/')
}

/// A group that is made for a sandbox.
pub struct Group<'a> {
    pub parent: &'a [u8],
    settings: &'a [u8],
}

impl<'a> Group<'a> {
    /// Files and what is written to them, and whether they must be there.
    pub fn settings(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8], bool)> + use<'a> {
        let mut rest = self.settings;
        core::iter::from_fn(move || {
            let file = string(&mut rest).filter(|file| *file != END)?;
            let value = string(&mut rest)?;
            Some(match file {
                [OPTIONAL, file @ ..] => (file, value, false),
                file => (file, value, true),
            })
        })
    }
}

/// What is to be run.
#[allow(dead_code, reason = "the library has an action")]
pub enum Words<Argv> {
    Script(&'static [u8]),
    Program(Argv),
}

/// A message that is being made.
struct Message<'m> {
    room: &'m mut [u8; RUN_LEN],
    len: usize,
}

impl Message<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len.checked_add(bytes.len())?;
        let to = self.room.get_mut(self.len..end)?;
        to.iter_mut().zip(bytes).for_each(|(to, b)| *to = *b);
        self.len = end;
        Some(())
    }

    fn word(&mut self, word: u32) -> Option<()> {
        self.bytes(&word.to_ne_bytes())
    }

    fn string(&mut self, string: &[u8]) -> Option<()> {
        self.bytes(string)?;
        self.bytes(&[0])
    }
}

const _: () = assert!(RUN_HEAD == 12, "three words come before the payload");

/// The next string, without its NUL.
pub fn string<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = bytes.iter().position(|b| *b == 0)?;
    let (one, rest) = bytes.split_at_checked(end)?;
    *bytes = rest.get(1..)?;
    Some(one)
}
