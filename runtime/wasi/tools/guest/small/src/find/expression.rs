//! The tests and actions, read.

use super::Find;
use crate::io::reason;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) enum Test {
    Name(Vec<u8>, bool),
    Path(Vec<u8>, bool),
    LinkName(Vec<u8>, bool),
    Regex(regex::bytes::Regex),
    Kind(Vec<u8>),
    Size(Compare, u64),
    Empty,
    Age(char, u64, Compare),
    Newer(char, SystemTime),
    Mode(char, u32),
    Links(Compare),
    Inode(Compare),
    User(u32),
    Group(u32),
    Same(u64, u64),
    Can(u32),
    True,
    False,
    Prune,
    Quit,
    Print(u8),
    Format(String, Option<usize>),
    PrintTo(usize, u8),
    Ls,
    Delete,
    Exec {
        words: Vec<Vec<u8>>,
        many: Option<usize>,
        in_dir: bool,
    },
    Not(Box<Test>),
    And(Vec<Test>),
    Or(Vec<Test>),
    /// All in turn; the last counts.
    List(Vec<Test>),
}

#[derive(Clone, Copy)]
pub(super) enum Compare {
    More(u64),
    Less(u64),
    Is(u64),
}

impl Compare {
    fn read(text: &str) -> Option<Compare> {
        Some(match text.as_bytes().first()? {
            b'+' => Compare::More(text[1..].parse().ok()?),
            b'-' => Compare::Less(text[1..].parse().ok()?),
            _ => Compare::Is(text.parse().ok()?),
        })
    }

    pub(super) fn fits(self, value: u64) -> bool {
        match self {
            Compare::More(than) => value > than,
            Compare::Less(than) => value < than,
            Compare::Is(this) => value == this,
        }
    }
}

pub(super) struct Parser<'a, 'b> {
    pub(super) args: std::iter::Peekable<std::slice::Iter<'a, Vec<u8>>>,
    pub(super) find: &'b mut Find,
}

impl Parser<'_, '_> {
    pub(super) fn all(&mut self) -> Result<Test, String> {
        if self.args.peek().is_none() {
            return Ok(Test::True);
        }
        let mut list = vec![self.either()?];
        while self.args.next_if(|arg| arg.as_slice() == b",").is_some() {
            list.push(self.either()?);
        }
        Ok(if list.len() == 1 { list.remove(0) } else { Test::List(list) })
    }

    fn either(&mut self) -> Result<Test, String> {
        let mut any = vec![self.both()?];
        while self.args.next_if(|arg| matches!(arg.as_slice(), b"-o" | b"-or")).is_some() {
            if self.args.peek().is_none() {
                return Err("expected an expression after '-o'".into());
            }
            any.push(self.both()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Test::Or(any) })
    }

    fn both(&mut self) -> Result<Test, String> {
        let mut all = vec![self.not()?];
        while let Some(next) = self.args.peek() {
            match next.as_slice() {
                b"-o" | b"-or" | b")" | b"," => break,
                b"-a" | b"-and" => {
                    self.args.next();
                    if self.args.peek().is_none() {
                        return Err("expected an expression after '-a'".into());
                    }
                }
                _ => {}
            }
            all.push(self.not()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Test::And(all) })
    }

    fn not(&mut self) -> Result<Test, String> {
        if let Some(word) = self.args.next_if(|arg| matches!(arg.as_slice(), b"!" | b"-not")) {
            if self.args.peek().is_none() {
                return Err(format!("expected an expression after '{}'", String::from_utf8_lossy(word)));
            }
            return Ok(Test::Not(Box::new(self.not()?)));
        }
        self.one()
    }

    fn value(&mut self, name: &str) -> Result<Vec<u8>, String> {
        self.args.next().cloned().ok_or_else(|| format!("missing argument to `{name}'"))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<String, String> {
        self.value(name).map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Compare, String> {
        let text = self.text(name)?;
        Compare::read(&text).ok_or_else(|| format!("invalid argument `{text}' to `{name}'"))
    }

    pub(super) fn one(&mut self) -> Result<Test, String> {
        let Some(word) = self.args.next() else { return Ok(Test::True) };
        let word = String::from_utf8_lossy(word).into_owned();
        let name = word.as_str();
        Ok(match name {
            "(" => {
                if self.args.peek().is_some_and(|arg| arg.as_slice() == b")") {
                    return Err("invalid expression; empty parentheses are not allowed.".into());
                }
                let inner = self.all()?;
                if self.args.next().is_none_or(|arg| arg != b")") {
                    return Err(
                        "invalid expression; I was expecting to find a ')' somewhere but did not see one."
                            .into(),
                    );
                }
                inner
            }
            "-name" => Test::Name(self.value(name)?, false),
            "-iname" => Test::Name(self.value(name)?.to_ascii_lowercase(), true),
            "-path" | "-wholename" => Test::Path(self.value(name)?, false),
            "-ipath" | "-iwholename" => Test::Path(self.value(name)?.to_ascii_lowercase(), true),
            "-lname" => Test::LinkName(self.value(name)?, false),
            "-ilname" => Test::LinkName(self.value(name)?.to_ascii_lowercase(), true),
            "-regex" | "-iregex" => {
                let pattern = self.text(name)?;
                let text = pattern
                    .replace("\\|", "|")
                    .replace("\\(", "(")
                    .replace("\\)", ")")
                    .replace("\\+", "+")
                    .replace("\\?", "?");
                let regex = regex::bytes::RegexBuilder::new(&format!("^(?:{text})$"))
                    .case_insensitive(name == "-iregex")
                    .dot_matches_new_line(true)
                    .build();
                Test::Regex(regex.map_err(|_| format!("invalid regular expression `{pattern}'"))?)
            }
            "-regextype" => {
                self.value(name)?;
                Test::True
            }
            "-type" | "-xtype" => {
                let kinds = self.text(name)?;
                if let Some(bad) = kinds.chars().find(|c| !"fdlbcps,".contains(*c)) {
                    return Err(format!("Unknown argument to {name}: {bad}"));
                }
                Test::Kind(kinds.into_bytes())
            }
            "-size" => {
                let text = self.text(name)?;
                let (digits, unit) = match text.chars().last() {
                    Some('c') => (&text[..text.len() - 1], 1),
                    Some('w') => (&text[..text.len() - 1], 2),
                    Some('b') => (&text[..text.len() - 1], 512),
                    Some('k') => (&text[..text.len() - 1], 1 << 10),
                    Some('M') => (&text[..text.len() - 1], 1 << 20),
                    Some('G') => (&text[..text.len() - 1], 1 << 30),
                    _ => (text.as_str(), 512),
                };
                let compare =
                    Compare::read(digits).ok_or_else(|| format!("invalid argument `{text}' to `-size'"))?;
                Test::Size(compare, unit)
            }
            "-empty" => Test::Empty,
            "-mtime" | "-atime" | "-ctime" => {
                Test::Age(name.as_bytes()[1] as char, 86_400, self.number(name)?)
            }
            "-mmin" | "-amin" | "-cmin" => Test::Age(name.as_bytes()[1] as char, 60, self.number(name)?),
            "-newer" | "-anewer" | "-cnewer" => {
                let file = self.value(name)?;
                let stat = guest_host::stat(guest_host::path_of(&file), true)
                    .map_err(|error| format!("‘{}’: {}", String::from_utf8_lossy(&file), reason(&error)))?;
                Test::Newer(if name == "-newer" { 'm' } else { name.as_bytes()[1] as char }, stat.modified)
            }
            "-newermt" => {
                let text = self.text(name)?;
                let time = guest_git::read_date(&text).ok_or_else(|| {
                    format!("I cannot figure out how to interpret ‘{text}’ as a date or time")
                })?;
                Test::Newer('m', UNIX_EPOCH + Duration::from_secs(time.max(0) as u64))
            }
            "-perm" => {
                let text = self.text(name)?;
                let (how, rest) = match text.chars().next() {
                    Some(c @ ('-' | '/')) => (c, &text[1..]),
                    _ => ('=', text.as_str()),
                };
                Test::Mode(
                    how,
                    crate::chmod::change(rest, 0, false).ok_or_else(|| format!("invalid mode ‘{text}’"))?,
                )
            }
            "-links" => Test::Links(self.number(name)?),
            "-inum" => Test::Inode(self.number(name)?),
            "-user" | "-uid" => {
                let text = self.text(name)?;
                Test::User(if text == "root" { 0 } else { text.parse().unwrap_or(u32::MAX) })
            }
            "-group" | "-gid" => {
                let text = self.text(name)?;
                Test::Group(if text == "root" { 0 } else { text.parse().unwrap_or(u32::MAX) })
            }
            "-samefile" => {
                let file = self.value(name)?;
                let stat = guest_host::stat(guest_host::path_of(&file), true)
                    .map_err(|error| format!("‘{}’: {}", String::from_utf8_lossy(&file), reason(&error)))?;
                Test::Same(stat.device, stat.inode)
            }
            "-executable" => Test::Can(0o111),
            "-readable" => Test::Can(0o444),
            "-writable" => Test::Can(0o222),
            "-true" => Test::True,
            "-false" => Test::False,
            "-nouser" | "-nogroup" => Test::False,
            "-maxdepth" | "-mindepth" => {
                let text = self.text(name)?;
                let depth = text.parse().map_err(|_| {
                    format!("Expected a positive decimal integer argument to {name}, but got ‘{text}’")
                })?;
                if name == "-maxdepth" {
                    self.find.deepest = depth
                } else {
                    self.find.shallowest = depth
                }
                Test::True
            }
            "-depth" | "-d" => {
                self.find.depth_first = true;
                Test::True
            }
            "-follow" => {
                self.find.follow = true;
                Test::True
            }
            "-daystart" => {
                self.find.day_start = true;
                Test::True
            }
            "-xdev"
            | "-mount"
            | "-noleaf"
            | "-ignore_readdir_race"
            | "-noignore_readdir_race"
            | "-warn"
            | "-nowarn" => Test::True,
            "-prune" => Test::Prune,
            "-quit" => Test::Quit,
            "-print" => self.act(Test::Print(b'\n')),
            "-print0" => self.act(Test::Print(0)),
            "-printf" => {
                let format = self.text(name)?;
                self.act(Test::Format(format, None))
            }
            "-fprint" | "-fprint0" => {
                let file = self.open(name)?;
                self.act(Test::PrintTo(file, if name == "-fprint" { b'\n' } else { 0 }))
            }
            "-fprintf" => {
                let file = self.open(name)?;
                let format = self.text(name)?;
                self.act(Test::Format(format, Some(file)))
            }
            "-ls" => self.act(Test::Ls),
            "-delete" => {
                self.find.depth_first = true;
                self.act(Test::Delete)
            }
            "-exec" | "-execdir" | "-ok" | "-okdir" => {
                let mut words: Vec<Vec<u8>> = Vec::new();
                loop {
                    let Some(word) = self.args.next() else {
                        return Err(format!("missing argument to `{name}'"));
                    };
                    if word == b";" {
                        break;
                    }
                    if word == b"+" && words.last().is_some_and(|last| last == b"{}") {
                        words.pop();
                        let at = self.find.gathered.borrow().len();
                        self.find.gathered.borrow_mut().push((words.clone(), Vec::new()));
                        return Ok(self.act(Test::Exec { words, many: Some(at), in_dir: false }));
                    }
                    words.push(word.clone());
                }
                if words.is_empty() {
                    return Err(format!("missing argument to `{name}'"));
                }
                self.act(Test::Exec { words, many: None, in_dir: name.ends_with("dir") })
            }
            name if name.starts_with('-') => return Err(format!("unknown predicate `{name}'")),
            ")" => {
                return Err(
                    "invalid expression; you have used a binary operator ')' with nothing before it.".into(),
                );
            }
            name => return Err(format!("paths must precede expression: `{name}'")),
        })
    }

    fn act(&mut self, test: Test) -> Test {
        self.find.acts = true;
        test
    }

    fn open(&mut self, name: &str) -> Result<usize, String> {
        let path = self.value(name)?;
        let file = fs::File::create(guest_host::path_of(&path))
            .map_err(|error| format!("‘{}’: {}", String::from_utf8_lossy(&path), reason(&error)))?;
        self.find.files.borrow_mut().push(file);
        Ok(self.find.files.borrow().len() - 1)
    }
}
