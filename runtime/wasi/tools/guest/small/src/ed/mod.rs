//! `ed`: edits a file by commands from stdin. What asks another program (`!`) is refused.

mod address;
mod command;
mod text;

use crate::io::{Options, misuse, warn};
use std::io::{self, BufRead, Write};
use text::Text;

/// Status of an end with changes that were not written.
const UNWRITTEN: i32 = 2;

/// Why a command was not done, in few words.
type Refusal = &'static str;

/// An editor at work.
pub struct Editor {
    text: Text,
    file: String,
    /// Counts of bytes are not said.
    quiet: bool,
    /// Refusals are explained as they happen.
    explain: bool,
    last_refusal: Refusal,
    /// The command just refused would have lost changes: given again, it does.
    warned: bool,
    prompt: Option<String>,
    /// The last pattern, for an empty one.
    pattern: Option<regex::bytes::Regex>,
    /// The last substitution's replacement and flags.
    replacement: Option<(Vec<u8>, String)>,
    /// Lines of a window.
    window: usize,
    /// What is left of the commands.
    input: Input,
    in_global: bool,
    output: Vec<u8>,
}

/// Commands: of a global command's list first, then stdin's.
struct Input {
    list: Vec<Vec<u8>>,
}

impl Input {
    fn line(&mut self) -> Option<Vec<u8>> {
        if let Some(line) = self.list.pop() {
            return Some(line);
        }
        let mut line = Vec::new();
        io::stdin().lock().read_until(b'\n', &mut line).ok().filter(|count| *count > 0)?;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Some(line)
    }
}

/// How a run ends.
pub enum Next {
    /// With another command.
    Go,
    Quit,
}

/// Runs `ed`.
pub fn main(argv: &[Vec<u8>]) -> i32 {
    let known = "s quiet silent v verbose E extended-regexp G traditional l loose-exit-status";
    let options = match Options::read(argv, known, "p prompt") {
        Ok(options) => options,
        Err(error) => return misuse("ed", &error, 1),
    };
    let file =
        options.rest.first().map(|file| String::from_utf8_lossy(file).into_owned()).unwrap_or_default();
    let mut editor = Editor {
        text: Text::default(),
        quiet: options.has(&["s", "quiet", "silent"]),
        explain: options.has(&["v", "verbose"]),
        prompt: options.value(&["p", "prompt"]).map(str::to_owned),
        last_refusal: "",
        warned: false,
        pattern: None,
        replacement: None,
        window: 22,
        input: Input { list: Vec::new() },
        in_global: false,
        output: Vec::new(),
        file: file.clone(),
    };
    if !file.is_empty() {
        let _ = editor.read_file(&file, 0);
        editor.text.written();
    }
    let status = editor.run();
    editor.flush();
    if options.has(&["l", "loose-exit-status"]) { 0 } else { status }
}

impl Editor {
    fn run(&mut self) -> i32 {
        // Commands in a file end at the first that is refused; those of a pipe go on.
        let in_file =
            std::mem::ManuallyDrop::new(guest_host::file(0)).metadata().is_ok_and(|meta| meta.is_file());
        let mut status = 0;
        loop {
            if let Some(prompt) = &self.prompt {
                self.output.extend_from_slice(prompt.as_bytes());
            }
            let refused = match self.input.line() {
                None if self.text.changed() && !self.warned => {
                    self.refuse("Warning: buffer modified");
                    return UNWRITTEN;
                }
                None => return status,
                Some(line) => {
                    let warned = std::mem::take(&mut self.warned);
                    self.text.begin();
                    match self.command(&line, warned) {
                        Ok(Next::Quit) => return status,
                        Ok(Next::Go) => None,
                        Err(refusal) => Some(refusal),
                    }
                }
            };
            if let Some(refusal) = refused {
                self.refuse(refusal);
                status = 1;
                if in_file {
                    return status;
                }
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.say("?");
        if self.explain {
            self.say(refusal);
        }
        self.last_refusal = refusal;
        self.flush();
    }

    fn say(&mut self, text: impl AsRef<[u8]>) {
        self.output.extend_from_slice(text.as_ref());
        self.output.push(b'\n');
    }

    fn flush(&mut self) {
        crate::io::write(&std::mem::take(&mut self.output));
        let _ = io::stderr().flush();
    }

    /// Reads a file in behind a line.
    fn read_file(&mut self, file: &str, behind: usize) -> Result<(), Refusal> {
        match std::fs::read(file) {
            Ok(bytes) => {
                let count = bytes.len();
                self.text.insert(behind, text::lines(&bytes));
                if !self.quiet {
                    self.say(count.to_string());
                }
                Ok(())
            }
            Err(error) => {
                self.flush();
                let reason = crate::io::reason(&error);
                let _ = writeln!(io::stderr().lock(), "{file}: {reason}");
                Err("Cannot open input file")
            }
        }
    }

    /// Writes lines out.
    fn write_file(&mut self, file: &str, lines: (usize, usize), append: bool) -> Result<(), Refusal> {
        let bytes = self.text.bytes(lines);
        let mut options = std::fs::OpenOptions::new();
        let opened = options.write(true).create(true).truncate(!append).append(append).open(file);
        match opened.and_then(|mut file| file.write_all(&bytes)) {
            Ok(()) => {
                if !self.quiet {
                    self.say(bytes.len().to_string());
                }
                Ok(())
            }
            Err(error) => {
                self.flush();
                warn(file, crate::io::reason(&error));
                Err("Cannot open output file")
            }
        }
    }
}
