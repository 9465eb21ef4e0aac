//! The options of a diff.

use super::Style;
use super::patch::likeness;
use crate::error::{Result, fatal};
use crate::text::Space;
use imara_diff::Algorithm;

impl Style {
    /// Takes an option if it is one of these. `next` gives the following argument.
    pub fn option(&mut self, arg: &str, next: &mut dyn FnMut() -> Option<String>) -> Result<bool> {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) if arg.starts_with("--") => (name, Some(value)),
            _ => (arg, None),
        };
        let number = |text: &str| {
            text.parse::<u32>().map_err(|_| {
                fatal(format!("option `{}' expects a numerical value", name.trim_start_matches('-')))
            })
        };
        let format = |style: &mut Style| style.unset = false;
        match name {
            "-p" | "-u" | "--patch" => {
                self.patch = true;
                format(self);
            }
            "-s" | "--no-patch" => {
                self.patch = false;
                self.none = true;
                format(self);
            }
            "--stat" => {
                self.stat = true;
                if let Some(width) =
                    value.and_then(|value| value.split(',').next()).and_then(|value| value.parse().ok())
                {
                    self.stat_width = width;
                }
                format(self);
            }
            "--numstat" => {
                self.numstat = true;
                format(self);
            }
            "--shortstat" => {
                self.shortstat = true;
                format(self);
            }
            "--name-only" => {
                self.names = true;
                format(self);
            }
            "--name-status" => {
                self.name_status = true;
                format(self);
            }
            "--raw" => {
                self.raw = true;
                format(self);
            }
            "--summary" => {
                self.summary = true;
                format(self);
            }
            "--compact-summary" => {
                self.stat = true;
                format(self);
            }
            "--patch-with-stat" => {
                self.patch = true;
                self.stat = true;
                format(self);
            }
            "--patch-with-raw" => {
                self.patch = true;
                self.raw = true;
                format(self);
            }
            "--quiet" => {
                self.quiet = true;
                self.exit_code = true;
            }
            "--exit-code" => self.exit_code = true,
            "--unified" => {
                let value = value.map(str::to_owned).or_else(&mut *next).unwrap_or_default();
                self.lines.context = number(&value)?;
                self.patch = true;
                format(self);
            }
            _ if arg.starts_with("-U") => {
                let value = if arg.len() > 2 { arg[2..].to_owned() } else { next().unwrap_or_default() };
                self.lines.context = number(&value)?;
                self.patch = true;
                format(self);
            }
            "--inter-hunk-context" => self.lines.inter_hunk = number(value.unwrap_or("0"))?,
            "--minimal" => self.lines.algorithm = Algorithm::MyersMinimal,
            "--patience" | "--histogram" => self.lines.algorithm = Algorithm::Histogram,
            "--diff-algorithm" => {
                self.lines.algorithm = match value.unwrap_or_default() {
                    "histogram" | "patience" => Algorithm::Histogram,
                    "minimal" => Algorithm::MyersMinimal,
                    _ => Algorithm::Myers,
                }
            }
            "--indent-heuristic" => self.lines.indent = true,
            "--no-indent-heuristic" => self.lines.indent = false,
            "-w" | "--ignore-all-space" => self.lines.ignore = Space::All,
            "-b" | "--ignore-space-change" => self.lines.ignore = Space::Amount,
            "--ignore-space-at-eol" | "--ignore-cr-at-eol" => self.lines.ignore = Space::AtEnd,
            "--ignore-blank-lines" => self.lines.blank_lines = true,
            "--no-renames" => self.renames = false,
            "--find-renames" | "--find-copies" | "--find-copies-harder" => {
                self.renames = true;
                self.copies |= name != "--find-renames";
                if let Some(value) = value {
                    self.least = likeness(value);
                }
            }
            _ if arg.starts_with("-M") || arg.starts_with("-C") => {
                self.renames = true;
                self.copies |= arg.starts_with("-C");
                if arg.len() > 2 {
                    self.least = likeness(&arg[2..]);
                }
            }
            "-R" => self.reverse = true,
            "--full-index" => self.full_index = true,
            "--abbrev" => self.abbrev = value.and_then(|value| value.parse().ok()),
            "--no-abbrev" => self.abbrev = Some(40),
            "-a" | "--text" => self.text = true,
            "--binary" => {
                self.binary = true;
                self.patch = true;
                format(self);
            }
            "-z" => self.zero = true,
            "--relative" => self.relative = true,
            "--no-relative" => self.relative = false,
            "--diff-filter" => self.filter = value.map(str::to_owned).or_else(&mut *next),
            "--no-prefix" => {
                self.old_prefix.clear();
                self.new_prefix.clear();
            }
            "--default-prefix" => {
                self.old_prefix = b"a/".to_vec();
                self.new_prefix = b"b/".to_vec();
            }
            "--src-prefix" => self.old_prefix = value.unwrap_or_default().into(),
            "--dst-prefix" => self.new_prefix = value.unwrap_or_default().into(),
            "--word-diff" => {
                self.word_diff = value != Some("none");
                self.patch = true;
                format(self);
            }
            _ if arg.starts_with("-S") => {
                let text = if arg.len() > 2 { arg[2..].to_owned() } else { next().unwrap_or_default() };
                self.pickaxe = Some(text.into());
            }
            "--no-color"
            | "--color"
            | "--no-ext-diff"
            | "--ext-diff"
            | "--no-textconv"
            | "--textconv"
            | "--function-context"
            | "--submodule"
            | "--ignore-submodules"
            | "--no-color-moved"
            | "--color-moved"
            | "--ita-invisible-in-index"
            | "--full-diff"
            | "--output-indicator-new"
            | "--pickaxe-all" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}
