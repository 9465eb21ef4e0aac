//! Configuration: the user's file, the repository's, and `-c`.

use bstr::ByteSlice;
use std::path::Path;

/// Values in the order of their reading; the last of a key counts. Keys are `section.sub.name`.
#[derive(Default, Clone)]
pub struct Config {
    pub values: Vec<(String, String)>,
}

impl Config {
    pub fn read(&mut self, path: &Path) {
        if let Ok(text) = std::fs::read(path) {
            self.parse(&text.to_str_lossy());
        }
    }

    pub fn parse(&mut self, text: &str) {
        let text = text.replace("\\\r\n", "").replace("\\\n", "");
        let mut section = String::new();
        for line in text.lines() {
            let mut line = line.trim();
            if let Some(rest) = line.strip_prefix('[') {
                let Some(end) = rest.find(']') else { continue };
                let head = &rest[..end];
                section = match head.split_once(' ') {
                    Some((name, sub)) => {
                        let sub = sub.trim().trim_matches('"').replace("\\\"", "\"").replace("\\\\", "\\");
                        format!("{}.{sub}", name.to_lowercase())
                    }
                    None => head.to_lowercase(),
                };
                line = rest[end + 1..].trim();
            }
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            let (name, value) = match line.split_once('=') {
                Some((name, value)) => (name.trim(), unquote(value.trim())),
                None => (line, "true".to_owned()),
            };
            self.values.push((format!("{section}.{}", name.to_lowercase()), value));
        }
    }

    /// Sets one value, as `-c key=value` does.
    pub fn set(&mut self, key: &str, value: &str) {
        self.values.push((canonical(key), value.to_owned()));
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        let key = canonical(key);
        self.values.iter().rev().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, key: &str) -> Vec<&'a str> {
        let key = canonical(key);
        self.values.iter().filter(|(name, _)| *name == key).map(|(_, value)| value.as_str()).collect()
    }

    pub fn is(&self, key: &str, default: bool) -> bool {
        match self.get(key).map(str::to_lowercase).as_deref() {
            Some("true" | "yes" | "on" | "1") => true,
            Some("false" | "no" | "off" | "0" | "") => false,
            _ => default,
        }
    }
}

/// The key as it is kept: section and name in lower case.
pub fn canonical(key: &str) -> String {
    match (key.find('.'), key.rfind('.')) {
        (Some(first), Some(last)) if first != last => {
            format!("{}{}{}", key[..first].to_lowercase(), &key[first..last], key[last..].to_lowercase())
        }
        _ => key.to_lowercase(),
    }
}

fn unquote(value: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    let mut kept = 0;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(c) => out.push(c),
                None => {}
            },
            '#' | ';' if !quoted => break,
            c => out.push(c),
        }
        if quoted || !c.is_whitespace() {
            kept = out.len();
        }
    }
    out.truncate(kept);
    out
}
