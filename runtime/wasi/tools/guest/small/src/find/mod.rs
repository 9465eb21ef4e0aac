//! `find`: walks trees and tests, prints, deletes or hands over what it meets.

mod expression;
mod print;
mod visit;

use crate::io::warn;
use expression::{Parser, Test};
use guest_host::Stat;
use std::cell::RefCell;
use std::fs;
use std::time::SystemTime;

/// Words of one `-exec … +` at most, and their bytes.
const WORDS: usize = 4096;

const BYTES: usize = 128 << 10;

/// How deep a tree may be.
const DEEPEST: usize = 4096;

/// A command, and the names that it gets.
type Gathered = (Vec<Vec<u8>>, Vec<Vec<u8>>);

struct Find {
    depth_first: bool,
    deepest: usize,
    shallowest: usize,
    follow: bool,
    follow_args: bool,
    now: SystemTime,
    day_start: bool,
    /// Names gathered for each `-exec … +`.
    gathered: RefCell<Vec<Gathered>>,
    files: RefCell<Vec<fs::File>>,
    out: RefCell<Vec<u8>>,
    status: RefCell<i32>,
    done: RefCell<bool>,
    acts: bool,
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

    *find.status.borrow()
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
}

fn base(path: &[u8]) -> &[u8] {
    let trimmed = match path.iter().rposition(|byte| *byte != b'/') {
        Some(end) => &path[..=end],
        None => return b"/",
    };
    trimmed.rsplit(|byte| *byte == b'/').next().unwrap_or(trimmed)
}

fn time(stat: &Stat, which: char) -> SystemTime {
    match which {
        'a' => stat.accessed,
        'c' => stat.changed,
        _ => stat.modified,
    }
}
