//! The walk through the directories, and what is done with each name.

use super::expression::Test;
use super::print::shown;
use super::{BYTES, Find, WORDS, base, time};
use crate::io::{reason, warn};
use guest_host::Stat;
use std::fs;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

pub(super) struct Met<'a> {
    pub(super) path: &'a [u8],
    pub(super) top: &'a [u8],
    pub(super) depth: usize,
    pub(super) stat: &'a Stat,
    pub(super) prune: bool,
}

impl Find {
    pub(super) fn top(&self, top: &[u8], test: &Test) {
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

    pub(super) fn visit(&self, path: &[u8], top: &[u8], depth: usize, stat: Stat, test: &Test) {
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

    pub(super) fn test(&self, test: &Test, met: &mut Met<'_>) -> bool {
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

    pub(super) fn run_gathered(&self, at: usize) {
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

pub(super) fn kind(stat: &Stat) -> u8 {
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
