//! `-printf`, `-ls` and their parts.

use super::visit::{Met, kind};
use super::{base, time};
use crate::chmod::letters;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn shown(format: &str, met: &Met<'_>) -> Vec<u8> {
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
