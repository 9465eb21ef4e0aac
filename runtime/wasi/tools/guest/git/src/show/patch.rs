//! Patches.

use super::Style;
use super::name::quote;
use crate::diff::{Change, Side};
use crate::error::Result;
use crate::object::Id;
use crate::rename;
use crate::repo::Repo;
use crate::text::{self};

impl Style {
    /// Writes one file's patch.
    pub fn write_patch(&self, repo: &Repo, change: &Change, out: &mut Vec<u8>) -> Result<()> {
        if change.unmerged {
            out.extend_from_slice(b"* Unmerged path ");
            out.extend_from_slice(change.path());
            out.push(b'\n');
            return Ok(());
        }
        // A file that became a link, or the reverse, is taken away and made anew.
        if change.status() == 'T' {
            self.write_patch(repo, &Change::new(change.old.clone(), None), out)?;
            return self.write_patch(repo, &Change::new(None, change.new.clone()), out);
        }
        let (old, new) = self.contents(repo, change)?;
        let old_path = change.old.as_ref().or(change.new.as_ref()).map_or(&b""[..], |side| &side.path);
        let new_path = change.new.as_ref().or(change.old.as_ref()).map_or(&b""[..], |side| &side.path);
        let (old_path, new_path) = (self.cut(repo, old_path), self.cut(repo, new_path));
        let (old_prefix, new_prefix) = if self.reverse {
            (&self.new_prefix, &self.old_prefix)
        } else {
            (&self.old_prefix, &self.new_prefix)
        };
        let named = |prefix: &[u8], path: &[u8]| quote(repo, &[prefix, path].concat());
        let (a, b) = (named(old_prefix, old_path), named(new_prefix, new_path));
        let mut head = b"diff --git ".to_vec();
        head.extend_from_slice(&a);
        head.push(b' ');
        head.extend_from_slice(&b);
        head.push(b'\n');
        let plain = head.len();
        let mut same_mode = None;
        match (&change.old, &change.new) {
            (None, Some(new)) => {
                head.extend_from_slice(format!("new file mode {:06o}\n", new.mode).as_bytes())
            }
            (Some(old), None) => {
                head.extend_from_slice(format!("deleted file mode {:06o}\n", old.mode).as_bytes())
            }
            (Some(old), Some(new)) => {
                if old.mode == new.mode {
                    same_mode = Some(old.mode);
                } else {
                    head.extend_from_slice(
                        format!("old mode {:06o}\nnew mode {:06o}\n", old.mode, new.mode).as_bytes(),
                    );
                }
                if let Some(score) = change.score {
                    let what = if change.copy { "copy" } else { "rename" };
                    head.extend_from_slice(
                        format!("similarity index {}%\n{what} from ", score * 100 / rename::MOST).as_bytes(),
                    );
                    head.extend_from_slice(&quote(repo, old_path));
                    head.extend_from_slice(format!("\n{what} to ").as_bytes());
                    head.extend_from_slice(&quote(repo, new_path));
                    head.push(b'\n');
                }
            }
            (None, None) => return Ok(()),
        }
        let id = |side: &Option<Side>| side.as_ref().map_or(Id::ZERO, |side| side.id);
        let (old_id, new_id) = (id(&change.old), id(&change.new));
        if old_id != new_id {
            let show =
                |id: &Id| if self.full_index || self.binary { id.hex() } else { self.short_pair(repo, id) };
            head.extend_from_slice(format!("index {}..{}", show(&old_id), show(&new_id)).as_bytes());
            if let Some(mode) = same_mode {
                head.extend_from_slice(format!(" {mode:06o}").as_bytes());
            }
            head.push(b'\n');
        }
        let has_heading = head.len() > plain;
        if old == new {
            if has_heading
                && (change.old.is_none()
                    || change.new.is_none()
                    || change.score.is_some()
                    || same_mode.is_none())
            {
                out.extend_from_slice(&head);
            }
            return Ok(());
        }
        let absent = b"/dev/null".to_vec();
        let (from, to) = (
            if change.old.is_some() { a } else { absent.clone() },
            if change.new.is_some() { b } else { absent },
        );
        let attributes = crate::attributes::of(repo, new_path);
        let binary = match attributes.diff {
            crate::attributes::Diff::Binary => true,
            crate::attributes::Diff::Text => false,
            _ => text::is_binary(&old) || text::is_binary(&new),
        };
        if binary && !self.text {
            if self.binary {
                crate::binary::write(&mut head, &old, &new);
            } else {
                head.extend_from_slice(b"Binary files ");
                head.extend_from_slice(&from);
                head.extend_from_slice(b" and ");
                head.extend_from_slice(&to);
                head.extend_from_slice(b" differ\n");
            }
            out.extend_from_slice(&head);
            return Ok(());
        }
        let heading: &dyn Fn(&[u8]) -> Option<Vec<u8>> = match attributes.diff {
            crate::attributes::Diff::Python => &text::python_heading,
            _ => &text::plain_heading,
        };
        let mut body = Vec::new();
        let (old, new) = (text::split(&old), text::split(&new));
        if self.word_diff {
            crate::words::unified(&mut body, &old, &new, &self.lines, heading);
        } else {
            text::unified(&mut body, &old, &new, &self.lines, heading);
        }
        if body.is_empty() {
            if same_mode.is_none() {
                out.extend_from_slice(&head);
            }
            return Ok(());
        }
        // A name with a space is closed by a tab, so that what reads the patch knows its end.
        let tab = |name: &[u8]| if name.contains(&b' ') { "\t" } else { "" };
        head.extend_from_slice(b"--- ");
        head.extend_from_slice(&from);
        head.extend_from_slice(tab(&from).as_bytes());
        head.extend_from_slice(b"\n+++ ");
        head.extend_from_slice(&to);
        head.extend_from_slice(tab(&to).as_bytes());
        head.push(b'\n');
        out.extend_from_slice(&head);
        out.extend_from_slice(&body);
        Ok(())
    }

    fn short_pair(&self, repo: &Repo, id: &Id) -> String {
        repo.short_of(id, self.abbrev)
    }
}

pub(super) fn likeness(text: &str) -> u32 {
    let text = text.trim_start_matches('=');
    if let Some(percent) = text.strip_suffix('%') {
        return percent.parse::<u32>().unwrap_or(50).min(100) * (rename::MOST / 100);
    }
    // Digits alone are decimals: 5 is 0.5, 75 is 0.75.
    let digits = text.trim_start_matches("0.");
    let tenth = 10u32.saturating_pow(digits.len().min(6) as u32);
    digits.parse::<u32>().map_or(rename::MOST / 2, |number| {
        (u64::from(number) * u64::from(rename::MOST) / u64::from(tenth)) as u32
    })
}
