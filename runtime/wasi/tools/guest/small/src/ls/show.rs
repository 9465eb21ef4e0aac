//! A name and its time as they are shown.

use super::{Item, Layout, Ls};
use guest_host::Stat;
use std::time::{SystemTime, UNIX_EPOCH};

impl Ls<'_> {
    pub(super) fn name(&self, name: &[u8]) -> Vec<u8> {
        if self.options.has(&["Q", "quote-name"]) || self.options.value(&["quoting-style"]) == Some("c") {
            return [b"\"".as_slice(), name, b"\""].concat();
        }
        if self.options.has(&["b", "escape"]) {
            return name
                .iter()
                .flat_map(|byte| match byte {
                    b'\n' => b"\\n".to_vec(),
                    b' ' => b"\\ ".to_vec(),
                    byte => vec![*byte],
                })
                .collect();
        }
        name.to_vec()
    }

    pub(super) fn mark(&self, item: &Item) -> &'static str {
        let Some(stat) = item.stat else { return "" };
        let classify = self.options.has(&["F", "classify"])
            || self.options.value(&["indicator-style"]) == Some("classify");
        let types = classify
            || self.options.has(&["file-type"])
            || self.options.value(&["indicator-style"]) == Some("file-type");
        match stat.mode & 0o170000 {
            0o040000 if types || self.options.has(&["p"]) => "/",
            0o120000 if types && self.layout != Layout::Long => "@",
            0o010000 if types => "|",
            0o100000 if classify && stat.mode & 0o111 != 0 => "*",
            _ => "",
        }
    }
}

pub(super) fn time(stat: &Stat, which: char) -> SystemTime {
    match which {
        'a' => stat.accessed,
        'c' => stat.changed,
        _ => stat.modified,
    }
}

// Recent dates show their time, others their year.
pub(super) fn date(time: SystemTime, now: SystemTime, style: &str) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() as i64;
    let show = |form: &str| guest_git::show_date(seconds, &format!("format:{form}"));
    let age = now.duration_since(time).map_or(-1, |age| age.as_secs() as i64);
    let recent = (0..15_778_476).contains(&age);
    match style.strip_prefix("posix-").unwrap_or(style) {
        "full-iso" => format!("{}.{:09} +0000", show("%F %T"), since.subsec_nanos()),
        "long-iso" => show("%F %H:%M"),
        "iso" => show(if recent { "%m-%d %H:%M" } else { "%F " }),
        style => match style.strip_prefix('+') {
            Some(form) => show(form.split('\n').next().unwrap_or_default()),
            None => {
                let day = show("%d");
                let day = day.trim_start_matches('0');
                if recent {
                    format!("{} {day:>2} {}", show("%b"), show("%H:%M"))
                } else {
                    format!("{} {day:>2}  {}", show("%b"), show("%Y"))
                }
            }
        },
    }
}
