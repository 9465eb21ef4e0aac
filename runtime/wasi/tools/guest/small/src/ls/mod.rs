//! `ls`: names of files, in columns only where asked for, since there is no terminal.

mod layout;
mod show;

use crate::io::{Options, misuse, reason, warn, write};
use crate::space::human;
use guest_host::Stat;
use show::time;
use std::cmp::Ordering;
use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

const KNOWN: &str = "a all A almost-all b escape B ignore-backups c C d directory f F classify file-type \
    full-time g G no-group h human-readable si H i inode k l L dereference m n \
    numeric-uid-gid N literal o p q hide-control-chars Q quote-name r reverse R recursive s \
    size S t u U v x X 1 Z group-directories-first author show-control-chars zero \
    dereference-command-line color hyperlink";

const VALUED: &str = "I ignore hide block-size sort time time-style format indicator-style quoting-style w \
    width T tabsize";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    One,
    Long,
    Columns,
    Across,
    Commas,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Name,
    Size,
    Time,
    None,
    Version,
    Extension,
}

struct Ls<'a> {
    options: Options<'a>,
    layout: Layout,
    order: Order,
    which: char,
    width: usize,
    ignore: Vec<String>,
    style: String,
    end: char,
    status: i32,
    out: Vec<u8>,
}

struct Item {
    name: Vec<u8>,
    stat: Option<Stat>,
    target: Option<Vec<u8>>,
    target_dir: bool,
}

pub fn main(argv: &[Vec<u8>]) -> i32 {
    run("ls", argv, None)
}

/// `dir` and `vdir`.
pub fn dir(argv: &[Vec<u8>]) -> i32 {
    run("dir", argv, Some(Layout::Columns))
}

pub fn vdir(argv: &[Vec<u8>]) -> i32 {
    run("vdir", argv, Some(Layout::Long))
}

fn run(name: &str, argv: &[Vec<u8>], default: Option<Layout>) -> i32 {
    // `--color=auto` and the like name their value with `=` only.
    let options = match Options::read(argv, KNOWN, VALUED) {
        Ok(options) => options,
        Err(error) => return misuse(name, &error, 2),
    };
    let mut ls = Ls {
        layout: default.unwrap_or(Layout::One),
        order: Order::Name,
        which: 'm',
        width: options
            .value(&["w", "width"])
            .and_then(|value| value.parse().ok())
            .or_else(|| std::env::var("COLUMNS").ok()?.parse().ok())
            .filter(|width| *width > 0)
            .unwrap_or(80),
        ignore: options
            .given
            .iter()
            .filter(|(name, _)| matches!(name.as_str(), "I" | "ignore" | "hide"))
            .filter_map(|(_, value)| value.clone())
            .collect(),
        style: options
            .value(&["time-style"])
            .map(str::to_owned)
            .or_else(|| std::env::var("TIME_STYLE").ok())
            .unwrap_or_else(|| "locale".into()),
        end: if options.has(&["zero"]) { '\0' } else { '\n' },
        options,
        status: 0,
        out: Vec::new(),
    };
    for (name, value) in &ls.options.given {
        match (name.as_str(), value.as_deref()) {
            ("l" | "g" | "n" | "o" | "numeric-uid-gid" | "full-time", _) => ls.layout = Layout::Long,
            ("1", _) if ls.layout != Layout::Long => ls.layout = Layout::One,
            ("C", _) => ls.layout = Layout::Columns,
            ("x", _) => ls.layout = Layout::Across,
            ("m", _) => ls.layout = Layout::Commas,
            ("S", _) | ("sort", Some("size")) => ls.order = Order::Size,
            ("t", _) | ("sort", Some("time")) => ls.order = Order::Time,
            ("U" | "f", _) | ("sort", Some("none")) => ls.order = Order::None,
            ("v", _) | ("sort", Some("version")) => ls.order = Order::Version,
            ("X", _) | ("sort", Some("extension")) => ls.order = Order::Extension,
            ("u", _) | ("time", Some("atime" | "access" | "use")) => ls.which = 'a',
            ("c", _) | ("time", Some("ctime" | "status")) => ls.which = 'c',
            ("format", Some("long" | "verbose")) => ls.layout = Layout::Long,
            ("format", Some("single-column")) => ls.layout = Layout::One,
            _ => {}
        }
    }
    if ls.options.has(&["full-time"]) {
        ls.style = "full-iso".into();
    }
    if matches!(ls.which, 'a' | 'c') && ls.layout != Layout::Long && ls.order == Order::Name {
        ls.order = Order::Time;
    }
    let dot: &[&[u8]] = &[b"."];
    let names: Vec<&[u8]> = if ls.options.rest.is_empty() { dot.to_vec() } else { ls.options.rest.clone() };
    let (mut files, mut dirs) = (Vec::new(), Vec::new());
    let through = ls.options.has(&["L", "dereference", "H", "dereference-command-line"])
        || (ls.layout != Layout::Long && !ls.options.has(&["d", "directory", "F", "classify"]));
    for name in &names {
        let path = guest_host::path_of(name);
        let stat = match guest_host::stat(path, true) {
            Ok(stat) if through || ls.layout != Layout::Long => Ok(stat),
            Err(_) | Ok(_) => guest_host::stat(path, false),
        };
        match stat {
            Ok(stat) if stat.mode & 0o170000 == 0o040000 && !ls.options.has(&["d", "directory"]) => {
                dirs.push((name.to_vec(), stat))
            }
            Ok(_) => files.push(ls.item(name.to_vec(), path)),
            Err(error) => {
                warn(
                    name_of(name, &mut ls.status),
                    format!("cannot access {}: {}", crate::io::quoted(name), reason(&error)),
                );
            }
        }
    }
    let many = names.len() > 1 || ls.options.has(&["R", "recursive"]);
    ls.sort(&mut files);
    let some = !files.is_empty();
    if some {
        ls.put(&files, false);
    }
    let mut items: Vec<Item> = dirs
        .into_iter()
        .map(|(name, stat)| Item { name, stat: Some(stat), target: None, target_dir: false })
        .collect();
    ls.sort(&mut items);
    for (at, item) in items.iter().enumerate() {
        if at > 0 || some {
            ls.out.push(b'\n');
        }
        ls.list(&item.name, many);
    }
    write(&ls.out);
    ls.status
}

// A name that is not there makes the worst status; the command's own name is for the message.
fn name_of(_: &[u8], status: &mut i32) -> &'static str {
    *status = 2;
    "ls"
}

impl Ls<'_> {
    fn item(&self, name: Vec<u8>, path: &Path) -> Item {
        let needs = self.layout == Layout::Long
            || matches!(self.order, Order::Size | Order::Time)
            || self.options.has(&[
                "F",
                "classify",
                "file-type",
                "p",
                "i",
                "inode",
                "s",
                "size",
                "group-directories-first",
                "R",
                "recursive",
            ]);
        let follow = self.options.has(&["L", "dereference"]);
        let stat = if needs {
            guest_host::stat(path, follow).or_else(|_| guest_host::stat(path, false)).ok()
        } else {
            None
        };
        let link = stat.is_some_and(|stat| stat.mode & 0o170000 == 0o120000);
        let target = if link {
            fs::read_link(path).ok().map(|target| guest_host::bytes_of(target.as_os_str()).to_vec())
        } else {
            None
        };
        let target_dir = target.is_some() && path.is_dir();
        Item { name, stat, target, target_dir }
    }

    fn list(&mut self, dir: &[u8], heading: bool) {
        let path = guest_host::path_of(dir);
        if heading {
            self.out.extend_from_slice(&self.name(dir));
            self.out.extend_from_slice(b":\n");
        }
        let names = match fs::read_dir(path) {
            Ok(names) => names,
            Err(error) => {
                write(&std::mem::take(&mut self.out));
                warn("ls", format!("cannot open directory {}: {}", crate::io::quoted(dir), reason(&error)));
                self.status = self.status.max(2);
                return;
            }
        };
        let all = self.options.has(&["a", "all", "f"]);
        let almost = all || self.options.has(&["A", "almost-all"]);
        let mut items = Vec::new();
        if all {
            items.push(self.item(b".".to_vec(), &path.join(".")));
            items.push(self.item(b"..".to_vec(), &path.join("..")));
        }
        for entry in names.flatten() {
            let name = guest_host::bytes_of(&entry.file_name()).to_vec();
            let hidden = name.starts_with(b".") && !almost
                || name.ends_with(b"~") && self.options.has(&["B", "ignore-backups"]);
            if !hidden
                && !self.ignore.iter().any(|pattern| guest_git::glob_matches(pattern.as_bytes(), &name))
            {
                items.push(self.item(name, &entry.path()));
            }
        }
        self.sort(&mut items);
        if self.layout == Layout::Long || self.options.has(&["s", "size"]) {
            let blocks: u64 = items.iter().filter_map(|item| item.stat).map(|stat| stat.blocks).sum();
            let total = if self.options.has(&["h", "human-readable"]) {
                human(blocks * 512, 1024)
            } else {
                blocks.div_ceil(2).to_string()
            };
            self.out.extend_from_slice(format!("total {total}{}", self.end).as_bytes());
        }
        self.put(&items, true);
        if self.options.has(&["R", "recursive"]) {
            for item in items {
                let is_dir = item.stat.is_some_and(|stat| stat.mode & 0o170000 == 0o040000);
                if is_dir && item.name != b"." && item.name != b".." {
                    let mut below = dir.to_vec();
                    if !below.ends_with(b"/") {
                        below.push(b'/');
                    }
                    below.extend_from_slice(&item.name);
                    self.out.push(b'\n');
                    self.list(&below, true);
                }
            }
        }
    }

    fn sort(&self, items: &mut [Item]) {
        let size = |item: &Item| item.stat.map_or(0, |stat| stat.size);
        let when = |item: &Item| item.stat.map_or(UNIX_EPOCH, |stat| time(&stat, self.which));
        let extension = |item: &Item| {
            item.name
                .iter()
                .rposition(|byte| *byte == b'.')
                .filter(|at| *at > 0)
                .map_or(Vec::new(), |at| item.name[at..].to_vec())
        };
        if self.order != Order::None {
            items.sort_by(|a, b| {
                let first = match self.order {
                    Order::Size => size(b).cmp(&size(a)),
                    Order::Time => when(b).cmp(&when(a)),
                    Order::Version => version(&a.name, &b.name),
                    Order::Extension => extension(a).cmp(&extension(b)),
                    _ => Ordering::Equal,
                };
                first.then_with(|| a.name.cmp(&b.name))
            });
            if self.options.has(&["r", "reverse"]) {
                items.reverse();
            }
        }
        if self.options.has(&["group-directories-first"]) {
            let dir = |item: &Item| {
                item.target_dir || item.stat.is_some_and(|stat| stat.mode & 0o170000 == 0o040000)
            };
            items.sort_by_key(|item| !dir(item));
        }
    }
}

fn version(a: &[u8], b: &[u8]) -> Ordering {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i].is_ascii_digit() && b[j].is_ascii_digit() {
            let digits = |text: &[u8], from: usize| {
                text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count()
            };
            let (m, n) = (digits(a, i), digits(b, j));
            let number = |text: &[u8]| String::from_utf8_lossy(text).parse::<u128>().unwrap_or(u128::MAX);
            let order = number(&a[i..i + m]).cmp(&number(&b[j..j + n]));
            if order != Ordering::Equal {
                return order;
            }
            i += m;
            j += n;
        } else {
            if a[i] != b[j] {
                return a[i].cmp(&b[j]);
            }
            i += 1;
            j += 1;
        }
    }
    (a.len() - i).cmp(&(b.len() - j))
}
