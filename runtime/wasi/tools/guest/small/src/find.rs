//! `find`: walks trees and tests, prints, deletes or hands over what it meets.

use crate::chmod::letters;
use crate::io::{reason, warn};
use guest_host::Stat;
use std::cell::RefCell;
use std::fs;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Words of one `-exec … +` at most, and their bytes.
const WORDS: usize = 4096;
const BYTES: usize = 128 << 10;
/// How deep a tree may be.
const DEEPEST: usize = 4096;

enum Test {
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
enum Compare {
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

    fn fits(self, value: u64) -> bool {
        match self {
            Compare::More(than) => value > than,
            Compare::Less(than) => value < than,
            Compare::Is(this) => value == this,
        }
    }
}

struct Find {
    depth_first: bool,
    deepest: usize,
    shallowest: usize,
    follow: bool,
    follow_args: bool,
    now: SystemTime,
    day_start: bool,
    /// Names gathered for each `-exec … +`.
    gathered: RefCell<Vec<(Vec<Vec<u8>>, Vec<Vec<u8>>)>>,
    files: RefCell<Vec<fs::File>>,
    out: RefCell<Vec<u8>>,
    status: RefCell<i32>,
    done: RefCell<bool>,
    acts: bool,
}

struct Met<'a> {
    path: &'a [u8],
    top: &'a [u8],
    depth: usize,
    stat: &'a Stat,
    prune: bool,
}

fn stop(text: impl AsRef<str>) -> i32 {
    warn("find", text);
    1
}

pub fn main(argv: &[Vec<u8>]) -> i32 {
    let mut args: Vec<Vec<u8>> = argv[1..].to_vec();
    let mut find = Find {
        depth_first: false,
        deepest: DEEPEST,
        shallowest: 0,
        follow: false,
        follow_args: false,
        now: SystemTime::now(),
        day_start: false,
        gathered: RefCell::default(),
        files: RefCell::default(),
        out: RefCell::default(),
        status: RefCell::new(0),
        done: RefCell::new(false),
        acts: false,
    };
    let mut tops: Vec<Vec<u8>> = Vec::new();
    while let Some(first) = args.first() {
        match first.as_slice() {
            b"-L" => find.follow = true,
            b"-P" => find.follow = false,
            b"-H" => find.follow_args = true,
            arg if arg.starts_with(b"-O") => {}
            arg if arg.len() > 1 && arg.starts_with(b"-") || matches!(arg, b"(" | b"!" | b",") => break,
            _ => tops.push(first.clone()),
        }
        args.remove(0);
    }
    if tops.is_empty() {
        tops.push(b".".to_vec());
    }
    let mut parser = Parser { args: args.iter().peekable(), find: &mut find };
    let test = match parser.all() {
        Ok(test) => test,
        Err(text) => return stop(text),
    };
    if let Some(extra) = parser.args.next() {
        return stop(match extra.as_slice() {
            b")" => {
                "invalid expression; you have used a binary operator ')' with nothing before it.".to_owned()
            }
            extra => format!("paths must precede expression: `{}'", String::from_utf8_lossy(extra)),
        });
    }
    let test = if find.acts { test } else { Test::And(vec![test, Test::Print(b'\n')]) };
    for top in &tops {
        find.top(top, &test);
        if *find.done.borrow() {
            break;
        }
    }
    let groups = find.gathered.borrow().len();
    for at in 0..groups {
        find.run_gathered(at);
    }
    find.flush();
    let status = *find.status.borrow();
    status
}

struct Parser<'a, 'b> {
    args: std::iter::Peekable<std::slice::Iter<'a, Vec<u8>>>,
    find: &'b mut Find,
}

impl Parser<'_, '_> {
    fn all(&mut self) -> Result<Test, String> {
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

    fn text(&mut self, name: &str) -> Result<String, String> {
        self.value(name).map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    fn number(&mut self, name: &str) -> Result<Compare, String> {
        let text = self.text(name)?;
        Compare::read(&text).ok_or_else(|| format!("invalid argument `{text}' to `{name}'"))
    }

    fn one(&mut self) -> Result<Test, String> {
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

impl Find {
    fn fail(&self, text: String) {
        self.flush();
        warn("find", text);
        *self.status.borrow_mut() = 1;
    }

    fn flush(&self) {
        let mut out = self.out.borrow_mut();
        if !out.is_empty() {
            crate::io::write(&out);
            out.clear();
        }
    }

    fn top(&self, top: &[u8], test: &Test) {
        match guest_host::stat(guest_host::path_of(top), self.follow || self.follow_args) {
            Ok(stat) => self.visit(top, top, 0, stat, test),
            Err(_) if guest_host::stat(guest_host::path_of(top), false).is_ok() => {
                if let Ok(stat) = guest_host::stat(guest_host::path_of(top), false) {
                    self.visit(top, top, 0, stat, test);
                }
            }
            Err(error) => self.fail(format!("‘{}’: {}", String::from_utf8_lossy(top), reason(&error))),
        }
    }

    fn visit(&self, path: &[u8], top: &[u8], depth: usize, stat: Stat, test: &Test) {
        let dir = stat.mode & 0o170000 == 0o040000;
        let mut met = Met { path, top, depth, stat: &stat, prune: false };
        if !self.depth_first && depth >= self.shallowest {
            self.test(test, &mut met);
        }
        if dir && !met.prune && depth < self.deepest && !*self.done.borrow() {
            match fs::read_dir(guest_host::path_of(path)) {
                Ok(names) => {
                    for name in names.flatten() {
                        let mut below = path.to_vec();
                        if !below.ends_with(b"/") {
                            below.push(b'/');
                        }
                        below.extend_from_slice(guest_host::bytes_of(&name.file_name()));
                        let file = guest_host::path_of(&below);
                        let stat = match guest_host::stat(file, self.follow) {
                            Err(_) if self.follow => guest_host::stat(file, false),
                            stat => stat,
                        };
                        match stat {
                            Ok(stat) => self.visit(&below, top, depth + 1, stat, test),
                            Err(error) => self.fail(format!(
                                "‘{}’: {}",
                                String::from_utf8_lossy(&below),
                                reason(&error)
                            )),
                        }
                        if *self.done.borrow() {
                            return;
                        }
                    }
                }
                Err(error) => self.fail(format!("‘{}’: {}", String::from_utf8_lossy(path), reason(&error))),
            }
        }
        if self.depth_first && depth >= self.shallowest {
            self.test(test, &mut met);
        }
    }

    fn test(&self, test: &Test, met: &mut Met<'_>) -> bool {
        if *self.done.borrow() {
            return false;
        }
        let stat = met.stat;
        let lower = |text: &[u8], fold: bool| if fold { text.to_ascii_lowercase() } else { text.to_vec() };
        match test {
            Test::True => true,
            Test::False => false,
            Test::Not(test) => !self.test(test, met),
            Test::And(tests) => tests.iter().all(|test| self.test(test, met)),
            Test::Or(tests) => tests.iter().any(|test| self.test(test, met)),
            Test::List(tests) => tests.iter().map(|test| self.test(test, met)).next_back().unwrap_or(true),
            Test::Name(pattern, fold) => guest_git::glob_matches(pattern, &lower(base(met.path), *fold)),
            Test::Path(pattern, fold) => guest_git::glob_matches(pattern, &lower(met.path, *fold)),
            Test::LinkName(pattern, fold) => {
                fs::read_link(guest_host::path_of(met.path)).is_ok_and(|target| {
                    guest_git::glob_matches(pattern, &lower(guest_host::bytes_of(target.as_os_str()), *fold))
                })
            }
            Test::Regex(regex) => regex.is_match(met.path),
            Test::Kind(kinds) => kinds.contains(&kind(stat)),
            Test::Size(compare, unit) => compare.fits(stat.size.div_ceil(*unit)),
            Test::Empty => match kind(stat) {
                b'd' => {
                    fs::read_dir(guest_host::path_of(met.path)).is_ok_and(|mut names| names.next().is_none())
                }
                b'f' => stat.size == 0,
                _ => false,
            },
            Test::Age(which, unit, compare) => {
                let now = if self.day_start {
                    let since = self.now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
                    UNIX_EPOCH + Duration::from_secs((since / 86_400 + 1) * 86_400)
                } else {
                    self.now
                };
                let age = now.duration_since(time(stat, *which)).map_or(0, |age| age.as_secs());
                match compare {
                    // Minutes are rounded up, days down.
                    _ if *unit == 86_400 => compare.fits(age / unit),
                    _ => compare.fits(age.div_ceil(*unit)),
                }
            }
            Test::Newer(which, than) => time(stat, *which) > *than,
            Test::Mode(how, bits) => match how {
                '-' => stat.mode & bits == *bits,
                '/' => *bits == 0 || stat.mode & bits != 0,
                _ => stat.mode & 0o7777 == *bits,
            },
            Test::Links(compare) => compare.fits(stat.links),
            Test::Inode(compare) => compare.fits(stat.inode),
            Test::User(user) => stat.user == *user,
            Test::Group(group) => stat.group == *group,
            Test::Same(device, inode) => (stat.device, stat.inode) == (*device, *inode),
            Test::Can(bits) => stat.mode & bits != 0,
            Test::Prune => {
                met.prune = true;
                true
            }
            Test::Quit => {
                *self.done.borrow_mut() = true;
                false
            }
            Test::Print(end) => {
                let mut out = self.out.borrow_mut();
                out.extend_from_slice(met.path);
                out.push(*end);
                if out.len() > 1 << 15 {
                    drop(out);
                    self.flush();
                }
                true
            }
            Test::PrintTo(file, end) => {
                let line = [met.path, &[*end]].concat();
                self.files.borrow_mut()[*file].write_all(&line).is_ok()
            }
            Test::Format(format, file) => {
                let text = shown(format, met);
                match file {
                    Some(file) => self.files.borrow_mut()[*file].write_all(&text).is_ok(),
                    None => {
                        self.out.borrow_mut().extend_from_slice(&text);
                        true
                    }
                }
            }
            Test::Ls => {
                let text = shown("%9i %6k %M %3n %-8u %-8g %8s %Tb %Td %TH:%TM ", met);
                let mut out = self.out.borrow_mut();
                out.extend_from_slice(&text);
                out.extend_from_slice(met.path);
                if let Ok(target) = fs::read_link(guest_host::path_of(met.path)) {
                    out.extend_from_slice(b" -> ");
                    out.extend_from_slice(guest_host::bytes_of(target.as_os_str()));
                }
                out.push(b'\n');
                true
            }
            Test::Delete => {
                let path = guest_host::path_of(met.path);
                if met.path == b"." {
                    return true;
                }
                let removed = if kind(stat) == b'd' { fs::remove_dir(path) } else { fs::remove_file(path) };
                match removed {
                    Ok(()) => true,
                    Err(error) => {
                        self.fail(format!(
                            "cannot delete ‘{}’: {}",
                            String::from_utf8_lossy(met.path),
                            reason(&error)
                        ));
                        false
                    }
                }
            }
            Test::Exec { words, many: Some(at), .. } => {
                let full = {
                    let mut gathered = self.gathered.borrow_mut();
                    let names = &mut gathered[*at].1;
                    names.push(met.path.to_vec());
                    names.len() + words.len() >= WORDS
                        || names.iter().map(|name| name.len() + 1).sum::<usize>() > BYTES
                };
                if full {
                    self.run_gathered(*at);
                }
                true
            }
            Test::Exec { words, many: None, in_dir } => {
                let name =
                    if *in_dir { [b"./".as_slice(), base(met.path)].concat() } else { met.path.to_vec() };
                let argv: Vec<Vec<u8>> = words.iter().map(|word| replaced(word, &name)).collect();
                let back = in_dir.then(|| std::env::current_dir().unwrap_or_default());
                if back.is_some()
                    && let Some(dir) =
                        guest_host::path_of(met.path).parent().filter(|dir| !dir.as_os_str().is_empty())
                {
                    let _ = std::env::set_current_dir(dir);
                }
                let status = self.run(&argv);
                if let Some(back) = back {
                    let _ = std::env::set_current_dir(back);
                }
                status == Some(0)
            }
        }
    }

    fn run(&self, argv: &[Vec<u8>]) -> Option<i32> {
        self.flush();
        let status = guest_host::spawn(argv, [0, 1, 2]);
        if status.is_none() {
            warn("find", format!("‘{}’: No such file or directory", String::from_utf8_lossy(&argv[0])));
        }
        status
    }

    fn run_gathered(&self, at: usize) {
        let (mut argv, names) = {
            let mut gathered = self.gathered.borrow_mut();
            let (words, names) = &mut gathered[at];
            (words.clone(), std::mem::take(names))
        };
        if names.is_empty() {
            return;
        }
        argv.extend(names);
        if self.run(&argv) != Some(0) {
            *self.status.borrow_mut() = 1;
        }
    }
}

fn replaced(word: &[u8], name: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = word;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"{}") {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(name);
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    out
}

fn base(path: &[u8]) -> &[u8] {
    let trimmed = match path.iter().rposition(|byte| *byte != b'/') {
        Some(end) => &path[..=end],
        None => return b"/",
    };
    trimmed.rsplit(|byte| *byte == b'/').next().unwrap_or(trimmed)
}

fn kind(stat: &Stat) -> u8 {
    match stat.mode & 0o170000 {
        0o040000 => b'd',
        0o120000 => b'l',
        0o020000 => b'c',
        0o060000 => b'b',
        0o010000 => b'p',
        0o140000 => b's',
        _ => b'f',
    }
}

fn time(stat: &Stat, which: char) -> SystemTime {
    match which {
        'a' => stat.accessed,
        'c' => stat.changed,
        _ => stat.modified,
    }
}

fn shown(format: &str, met: &Met<'_>) -> Vec<u8> {
    let stat = met.stat;
    let mut out = Vec::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\\' {
            match chars.next() {
                Some('n') => out.push(b'\n'),
                Some('t') => out.push(b'\t'),
                Some('0') => out.push(0),
                Some('\\') | None => out.push(b'\\'),
                Some('c') => return out,
                Some(c) => out.extend_from_slice(format!("\\{c}").as_bytes()),
            }
            continue;
        }
        if c != '%' {
            out.extend_from_slice(c.to_string().as_bytes());
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = chars.next_if(|c| c.is_ascii_digit() || "-+ #.".contains(*c)) {
            flags.push(flag);
        }
        let user = |number: u32| {
            if number == 0 {
                "root".into()
            } else {
                std::env::var("USER").unwrap_or_else(|_| number.to_string())
            }
        };
        let text = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>, c: char| -> Vec<u8> {
            match c {
                'p' => met.path.to_vec(),
                'f' => base(met.path).to_vec(),
                'h' => match met.path.iter().rposition(|byte| *byte == b'/') {
                    Some(0) => b"/".to_vec(),
                    Some(at) => met.path[..at].to_vec(),
                    None => b".".to_vec(),
                },
                'P' => met
                    .path
                    .strip_prefix(met.top)
                    .unwrap_or(b"")
                    .strip_prefix(b"/")
                    .unwrap_or(met.path.strip_prefix(met.top).unwrap_or(b""))
                    .to_vec(),
                'H' => met.top.to_vec(),
                'd' => met.depth.to_string().into_bytes(),
                's' => stat.size.to_string().into_bytes(),
                'k' => stat.blocks.div_ceil(2).to_string().into_bytes(),
                'b' => stat.blocks.to_string().into_bytes(),
                'm' => format!("{:o}", stat.mode & 0o7777).into_bytes(),
                'M' => format!(
                    "{}{}",
                    if kind(stat) == b'f' { '-' } else { kind(stat) as char },
                    letters(stat.mode)
                )
                .into_bytes(),
                'y' | 'Y' => vec![kind(stat)],
                'n' => stat.links.to_string().into_bytes(),
                'i' => stat.inode.to_string().into_bytes(),
                'u' => user(stat.user).into_bytes(),
                'g' => user(stat.group).into_bytes(),
                'U' => stat.user.to_string().into_bytes(),
                'G' => stat.group.to_string().into_bytes(),
                'D' => stat.device.to_string().into_bytes(),
                'l' => fs::read_link(guest_host::path_of(met.path))
                    .map(|target| guest_host::bytes_of(target.as_os_str()).to_vec())
                    .unwrap_or_default(),
                't' | 'a' | 'c' => long_date(time(stat, if c == 't' { 'm' } else { c })).into_bytes(),
                'T' | 'A' | 'C' => {
                    let when = time(stat, c.to_ascii_lowercase());
                    match chars.next() {
                        Some(letter) => dated(when, letter).into_bytes(),
                        None => Vec::new(),
                    }
                }
                '%' => b"%".to_vec(),
                c => format!("%{c}").into_bytes(),
            }
        };
        let Some(letter) = chars.next() else {
            out.push(b'%');
            break;
        };
        let text = text(&mut chars, letter);
        let width: usize = flags
            .trim_start_matches(['-', '+', ' ', '#'])
            .trim_start_matches('0')
            .split('.')
            .next()
            .unwrap_or_default()
            .parse()
            .unwrap_or(0);
        let fill = vec![b' '; width.saturating_sub(text.len())];
        if flags.starts_with('-') {
            out.extend_from_slice(&text);
            out.extend_from_slice(&fill);
        } else {
            out.extend_from_slice(&fill);
            out.extend_from_slice(&text);
        }
    }
    out
}

fn fraction(time: SystemTime) -> String {
    let nanos = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    format!("{nanos:09}0")
}

fn long_date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) as i64;
    let show = |form: &str| guest_git::show_date(seconds, &format!("format:{form}"));
    format!("{}.{} {}", show("%a %b %d %H:%M:%S"), fraction(time), show("%Y"))
}

fn dated(time: SystemTime, letter: char) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) as i64;
    let show = |form: &str| guest_git::show_date(seconds, &format!("format:{form}"));
    match letter {
        '@' => format!("{seconds}.{}", fraction(time)),
        'S' => format!("{}.{}", show("%S"), fraction(time)),
        '+' => format!("{}+{}.{}", show("%F"), show("%T"), fraction(time)),
        'T' | 'X' => format!("{}.{}", show("%T"), fraction(time)),
        'D' | 'x' => show("%m/%d/%y"),
        letter => show(&format!("%{letter}")),
    }
}
