//! Names in columns, rows, or a line each.

use super::show::{date, time};
use super::{Item, Layout, Ls};
use crate::chmod::letters;
use crate::space::human;
use guest_host::Stat;
use std::time::SystemTime;

impl Ls<'_> {
    pub(super) fn put(&mut self, items: &[Item], _: bool) {
        let block = |stat: &Stat| {
            if self.options.has(&["h", "human-readable"]) {
                human(stat.blocks * 512, 1024)
            } else {
                stat.blocks.div_ceil(2).to_string()
            }
        };
        let mut lead: Vec<String> = vec![String::new(); items.len()];
        let mut column = |text: &dyn Fn(&Stat) -> String| {
            let texts: Vec<String> =
                items.iter().map(|item| item.stat.as_ref().map_or("?".into(), text)).collect();
            let width = texts.iter().map(String::len).max().unwrap_or(0);
            for (lead, text) in lead.iter_mut().zip(texts) {
                *lead += &format!("{text:>width$} ");
            }
        };
        if self.options.has(&["i", "inode"]) {
            column(&|stat| stat.inode.to_string());
        }
        if self.options.has(&["s", "size"]) {
            column(&block);
        }
        let names: Vec<Vec<u8>> = items
            .iter()
            .map(|item| [self.name(&item.name).as_slice(), self.mark(item).as_bytes()].concat())
            .collect();
        match self.layout {
            Layout::Long => self.long(items, &lead, &names),
            Layout::One => {
                for (lead, name) in lead.iter().zip(&names) {
                    self.out.extend_from_slice(lead.as_bytes());
                    self.out.extend_from_slice(name);
                    self.out.push(self.end as u8);
                }
            }
            Layout::Commas => {
                let mut at = 0;
                for (number, (lead, name)) in lead.iter().zip(&names).enumerate() {
                    let width = lead.len() + width(name);
                    if number > 0 {
                        if at + width + 3 > self.width {
                            self.out.extend_from_slice(b",\n");
                            at = 0;
                        } else {
                            self.out.extend_from_slice(b", ");
                            at += 2;
                        }
                    }
                    self.out.extend_from_slice(lead.as_bytes());
                    self.out.extend_from_slice(name);
                    at += width;
                }
                if !names.is_empty() {
                    self.out.push(b'\n');
                }
            }
            Layout::Columns | Layout::Across => self.columns(&lead, &names),
        }
    }

    // The most columns that fit, each as wide as its widest name.
    pub(super) fn columns(&mut self, lead: &[String], names: &[Vec<u8>]) {
        let cells: Vec<Vec<u8>> =
            lead.iter().zip(names).map(|(lead, name)| [lead.as_bytes(), name].concat()).collect();
        let count = cells.len();
        if count == 0 {
            return;
        }
        let down = self.layout == Layout::Columns;
        let (mut best, mut widths) = (1, vec![cells.iter().map(|cell| width(cell)).max().unwrap_or(0)]);
        for columns in (1..=count.min(self.width / 3 + 1)).rev() {
            let rows = count.div_ceil(columns);
            let mut of = vec![0; columns];
            for (at, cell) in cells.iter().enumerate() {
                let column = if down { at / rows } else { at % columns };
                of[column] = of[column].max(width(cell) + 2);
            }
            let used = if down { count.div_ceil(rows) } else { columns };
            let total: usize = of.iter().take(used).sum::<usize>();
            if total < self.width + 2 {
                (best, widths) = (columns, of);
                break;
            }
        }
        let rows = count.div_ceil(best);
        for row in 0..rows {
            let mut at = 0;
            for (column, column_width) in widths.iter().enumerate().take(best) {
                let index = if down { column * rows + row } else { row * best + column };
                let Some(cell) = cells.get(index) else { break };
                self.out.extend_from_slice(cell);
                let next = if down { index + rows } else { index + 1 };
                let last = column + 1 == best || next >= count || (!down && (index + 1) % best == 0);
                if !last {
                    let stop = at + column_width;
                    let mut from = at + width(cell);
                    // The gap is made of tabs where they reach.
                    while from < stop {
                        if stop / 8 > (from + 1) / 8 {
                            self.out.push(b'\t');
                            from += 8 - from % 8;
                        } else {
                            self.out.push(b' ');
                            from += 1;
                        }
                    }
                    at = stop;
                }
            }
            self.out.push(b'\n');
        }
    }

    pub(super) fn long(&mut self, items: &[Item], lead: &[String], names: &[Vec<u8>]) {
        let numeric = self.options.has(&["n", "numeric-uid-gid"]);
        let user = |number: u32| match number {
            0 if !numeric => "root".into(),
            number if numeric => number.to_string(),
            _ => std::env::var("USER").unwrap_or_else(|_| "user".into()),
        };
        let human_size = self.options.has(&["h", "human-readable"]);
        let size = |stat: &Stat| match stat.mode & 0o170000 {
            0o020000 => "1, 3".to_owned(),
            _ if human_size => human(stat.size, 1024),
            _ => stat.size.to_string(),
        };
        let texts = |of: &dyn Fn(&Stat) -> String| -> (Vec<String>, usize) {
            let texts: Vec<String> =
                items.iter().map(|item| item.stat.as_ref().map_or("?".into(), of)).collect();
            let width = texts.iter().map(String::len).max().unwrap_or(0);
            (texts, width)
        };
        let (links, links_width) = texts(&|stat| stat.links.to_string());
        let (users, users_width) = texts(&|stat| user(stat.user));
        let (groups, groups_width) = texts(&|stat| user(stat.group));
        let (sizes, sizes_width) = texts(&size);
        let now = SystemTime::now();
        for (at, item) in items.iter().enumerate() {
            let Some(stat) = &item.stat else { continue };
            let first = match stat.mode & 0o170000 {
                0o040000 => 'd',
                0o120000 => 'l',
                0o020000 => 'c',
                0o010000 => 'p',
                _ => '-',
            };
            let mut line = format!("{}{first}{} {:>links_width$} ", lead[at], letters(stat.mode), links[at]);
            if !self.options.has(&["g"]) {
                line += &format!("{:<users_width$} ", users[at]);
            }
            if !self.options.has(&["o", "G", "no-group"]) {
                line += &format!("{:<groups_width$} ", groups[at]);
            }
            line +=
                &format!("{:>sizes_width$} {} ", sizes[at], date(time(stat, self.which), now, &self.style));
            self.out.extend_from_slice(line.as_bytes());
            self.out.extend_from_slice(&names[at]);
            if let Some(target) = &item.target {
                self.out.extend_from_slice(b" -> ");
                self.out.extend_from_slice(target);
                if item.target_dir && self.options.has(&["F", "classify", "p"]) {
                    self.out.push(b'/');
                }
            }
            self.out.push(self.end as u8);
        }
    }
}

pub(super) fn width(name: &[u8]) -> usize {
    String::from_utf8_lossy(name).chars().count()
}
