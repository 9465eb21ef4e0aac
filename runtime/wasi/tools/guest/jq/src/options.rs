//! What was typed.

use crate::write::Shape;
use jaq_json::{Val, read};

/// How input becomes values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Each value by itself.
    Each,
    /// All values as one array (`-s`).
    Slurped,
    /// None; `null` is what the filter gets (`-n`).
    None,
}

/// Why there is nothing to run.
pub enum Stop {
    /// The text that was asked for.
    Says(String),
    /// Wrong use.
    Misuse(String),
}

/// The command line.
pub struct Options {
    /// The filter's text.
    pub filter: String,
    /// Where the input is; stdin if none.
    pub files: Vec<String>,
    /// How input becomes values.
    pub input: Input,
    /// Input is lines of text (`-R`).
    pub raw: bool,
    /// How values are written.
    pub shape: Shape,
    /// The status tells whether the last value was true (`-e`).
    pub exit_status: bool,
    /// Each value is written at once.
    pub unbuffered: bool,
    /// Variables by name.
    pub named: Vec<(String, Val)>,
    /// Arguments behind `--args` or `--jsonargs`.
    pub positional: Vec<Val>,
}

const HELP: &str = "jq - commandline JSON processor [version 1.6]

Usage:\tjq [options] <jq filter> [file...]
\tjq [options] --args <jq filter> [strings...]
\tjq [options] --jsonargs <jq filter> [JSON_TEXTS...]

Options: -c compact, -n null input, -e exit status by output, -s slurp, -r raw output, -R raw input, -j raw without
newlines, -a ASCII, -S sorted keys, --tab, --indent n, --arg name value, --argjson name json, --slurpfile name file,
--rawfile name file, --args, --jsonargs, -f file";

impl Options {
    /// Reads the words behind the command's name.
    pub fn read(words: &[String]) -> Result<Options, Stop> {
        let mut options = Options {
            filter: String::new(),
            files: Vec::new(),
            input: Input::Each,
            raw: false,
            shape: Shape::default(),
            exit_status: false,
            unbuffered: false,
            named: Vec::new(),
            positional: Vec::new(),
        };
        let (mut filter, mut from_file, mut rest) = (None, false, Rest::Files);
        let mut words = words.iter();
        let mut dashes = false;
        while let Some(word) = words.next() {
            let mut next = |what: &str| {
                words.next().cloned().ok_or_else(|| Stop::Misuse(format!("jq: error: {word} takes {what}")))
            };
            if let (Some(long), false) = (word.strip_prefix("--").filter(|long| !long.is_empty()), dashes) {
                match long {
                    "arg" => {
                        let (name, value) = (next("two parameters")?, next("two parameters")?);
                        options.named.push((name, Val::utf8_str(value.into_bytes())));
                    }
                    "argjson" => {
                        let (name, text) = (next("two parameters")?, next("two parameters")?);
                        let value = read::parse_single(text.as_bytes()).map_err(|_| {
                            Stop::Misuse("jq: Invalid JSON text passed to --argjson".to_string())
                        })?;
                        options.named.push((name, value));
                    }
                    "slurpfile" | "rawfile" => {
                        let (name, file) = (next("two parameters")?, next("two parameters")?);
                        options.named.push((name, of_file(&file, long == "rawfile")?));
                    }
                    "indent" => {
                        let text = next("one parameter")?;
                        match text.parse::<usize>() {
                            Ok(width) if width < 8 => options.shape.indent = Some(" ".repeat(width)),
                            Ok(_) => {
                                return Err(Stop::Misuse("jq: Cannot indent more than 7 characters".into()));
                            }
                            Err(_) => return Err(Stop::Misuse("jq: --indent takes a number".into())),
                        }
                        if text == "0" {
                            options.shape.indent = None;
                        }
                    }
                    "tab" => options.shape.indent = Some("\t".into()),
                    "args" => rest = Rest::Strings,
                    "jsonargs" => rest = Rest::Json,
                    "help" => return Err(Stop::Says(HELP.into())),
                    "version" => return Err(Stop::Says("jq-1.6".into())),
                    long => {
                        let known = LONG.iter().find(|(name, _)| *name == long);
                        let Some((_, letter)) = known else {
                            return Err(Stop::Misuse(format!(
                                "jq: Unknown arguments\nUnknown option: --{long}"
                            )));
                        };
                        options.letter(*letter, &mut from_file)?;
                    }
                }
            } else if word == "--" && !dashes {
                dashes = true;
            } else if let (Some(letters), false) = (
                word.strip_prefix('-').filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic())),
                dashes,
            ) {
                for letter in letters.chars() {
                    if letter == 'L' {
                        next("a directory")?;
                        break;
                    }
                    options.letter(letter, &mut from_file)?;
                }
            } else if filter.is_none() {
                filter = Some(word.clone());
            } else {
                match rest {
                    Rest::Files => options.files.push(word.clone()),
                    Rest::Strings => options.positional.push(Val::utf8_str(word.clone().into_bytes())),
                    Rest::Json => options
                        .positional
                        .push(read::parse_single(word.as_bytes()).map_err(|_| {
                            Stop::Misuse("jq: Invalid JSON text passed to --jsonargs".into())
                        })?),
                }
            }
        }
        options.filter = match filter {
            Some(file) if from_file => std::fs::read_to_string(&file).map_err(|_| {
                Stop::Misuse(format!("jq: error: Could not open {file}: No such file or directory"))
            })?,
            Some(text) => text,
            None => ".".into(),
        };
        Ok(options)
    }

    fn letter(&mut self, letter: char, from_file: &mut bool) -> Result<(), Stop> {
        match letter {
            'c' => self.shape.indent = None,
            'n' => self.input = Input::None,
            's' if self.input == Input::Each => self.input = Input::Slurped,
            's' => {}
            'e' => self.exit_status = true,
            'r' => self.shape.raw = true,
            'j' => (self.shape.raw, self.shape.joined) = (true, true),
            'a' => self.shape.ascii = true,
            'S' => self.shape.sorted = true,
            'R' => self.raw = true,
            'f' => *from_file = true,
            'u' => self.unbuffered = true,
            // Colours are for terminals, of which there is none.
            'C' | 'M' => {}
            'h' => return Err(Stop::Says(HELP.into())),
            'V' => return Err(Stop::Says("jq-1.6".into())),
            letter => return Err(Stop::Misuse(format!("jq: Unknown arguments\nUnknown option: -{letter}"))),
        }
        Ok(())
    }
}

/// What stands behind the filter.
enum Rest {
    Files,
    Strings,
    Json,
}

/// The long names and their letters.
const LONG: &[(&str, char)] = &[
    ("compact-output", 'c'),
    ("null-input", 'n'),
    ("slurp", 's'),
    ("exit-status", 'e'),
    ("raw-output", 'r'),
    ("join-output", 'j'),
    ("ascii-output", 'a'),
    ("sort-keys", 'S'),
    ("raw-input", 'R'),
    ("from-file", 'f'),
    ("unbuffered", 'u'),
    ("color-output", 'C'),
    ("monochrome-output", 'M'),
];

fn of_file(file: &str, raw: bool) -> Result<Val, Stop> {
    let bad = |why: &str| {
        Stop::Misuse(format!("jq: Bad JSON in --{} {file}: {why}", if raw { "rawfile" } else { "slurpfile" }))
    };
    let bytes =
        std::fs::read(file).map_err(|_| bad(&format!("Could not open {file}: No such file or directory")))?;
    if raw {
        return Ok(Val::utf8_str(bytes));
    }
    let values: Result<Vec<Val>, _> = read::parse_many(&bytes).collect();
    values.map(|values| values.into_iter().collect()).map_err(|error| bad(&error.to_string()))
}
