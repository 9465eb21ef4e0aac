//! Changes, written as git writes them: names, statistics, patches.

use crate::diff::{Change, Side};
use crate::error::{Result, fatal};
use crate::object::Id;
use crate::rename;
use crate::repo::Repo;
use crate::text::{self, Lines, Space};
use bstr::ByteSlice;
use imara_diff::Algorithm;

/// What of the changes is written, and how.
#[derive(Clone)]
pub struct Style {
    pub patch: bool,
    pub stat: bool,
    pub stat_width: usize,
    pub numstat: bool,
    pub shortstat: bool,
    pub names: bool,
    pub name_status: bool,
    pub raw: bool,
    pub summary: bool,
    pub quiet: bool,
    pub exit_code: bool,
    pub lines: Lines,
    pub renames: bool,
    pub copies: bool,
    pub least: u32,
    pub reverse: bool,
    pub full_index: bool,
    pub text: bool,
    pub binary: bool,
    pub zero: bool,
    pub relative: bool,
    pub filter: Option<String>,
    pub pickaxe: Option<Vec<u8>>,
    pub old_prefix: Vec<u8>,
    pub new_prefix: Vec<u8>,
    pub word_diff: bool,
    pub abbrev: Option<usize>,
    /// No format was asked for.
    pub unset: bool,
    pub none: bool,
}

impl Style {
    pub fn new(repo: Option<&Repo>) -> Style {
        let renames = repo.and_then(|repo| repo.config.get("diff.renames")).unwrap_or("true").to_owned();
        let mut lines = Lines::default();
        if let Some(context) =
            repo.and_then(|repo| repo.config.get("diff.context")).and_then(|value| value.parse().ok())
        {
            lines.context = context;
        }
        match repo.and_then(|repo| repo.config.get("diff.algorithm")) {
            Some("histogram" | "patience") => lines.algorithm = Algorithm::Histogram,
            Some("minimal") => lines.algorithm = Algorithm::MyersMinimal,
            _ => {}
        }
        let bare = repo.is_some_and(|repo| repo.config.is("diff.noprefix", false));
        Style {
            patch: false,
            stat: false,
            stat_width: std::env::var("COLUMNS")
                .ok()
                .and_then(|value| value.parse().ok())
                .filter(|width| *width > 0)
                .unwrap_or(80),
            numstat: false,
            shortstat: false,
            names: false,
            name_status: false,
            raw: false,
            summary: false,
            quiet: false,
            exit_code: false,
            lines,
            renames: renames != "false",
            copies: renames == "copies" || renames == "copy",
            least: rename::MOST / 2,
            reverse: false,
            full_index: false,
            text: false,
            binary: false,
            zero: false,
            relative: false,
            filter: None,
            pickaxe: None,
            old_prefix: if bare { Vec::new() } else { b"a/".to_vec() },
            new_prefix: if bare { Vec::new() } else { b"b/".to_vec() },
            word_diff: false,
            abbrev: None,
            unset: true,
            none: false,
        }
    }

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

    /// Finds renames, filters, and turns changes around.
    pub fn prepare(&self, repo: &Repo, mut changes: Vec<Change>) -> Result<Vec<Change>> {
        if self.relative && !repo.prefix.is_empty() {
            changes.retain(|change| change.path().starts_with(&repo.prefix));
        }
        if self.reverse {
            changes.iter_mut().for_each(Change::reverse);
        }
        if self.renames {
            changes = rename::find(repo, changes, self.least, self.copies)?;
        }
        if let Some(text) = &self.pickaxe {
            let count = |side: &Option<Side>| -> Result<usize> {
                Ok(match side {
                    Some(side) => side.content(repo)?.find_iter(text).count(),
                    None => 0,
                })
            };
            let mut kept = Vec::new();
            for change in changes {
                if count(&change.old)? != count(&change.new)? {
                    kept.push(change);
                }
            }
            changes = kept;
        }
        if let Some(filter) = &self.filter {
            let lower = filter.chars().all(|c| c.is_ascii_lowercase());
            changes.retain(|change| {
                let status = change.status();
                if lower { !filter.contains(status.to_ascii_lowercase()) } else { filter.contains(status) }
            });
        }
        Ok(changes)
    }

    /// Writes prepared changes.
    pub fn write(&self, repo: &Repo, changes: &[Change], out: &mut Vec<u8>) -> Result<()> {
        if self.quiet || self.none {
            return Ok(());
        }
        let end: &[u8] = if self.zero { b"\0" } else { b"\n" };
        let gap: &[u8] = if self.zero { b"\0" } else { b"\t" };
        let name = |path: &[u8]| {
            if self.zero { self.cut(repo, path).to_vec() } else { quote(repo, self.cut(repo, path)) }
        };
        let mut written = false;
        if self.raw || self.name_status {
            for change in changes {
                if self.raw {
                    let mode = |side: &Option<Side>| side.as_ref().map_or(0, |side| side.mode);
                    let id = |side: &Option<Side>| {
                        let id = side.as_ref().filter(|side| !side.unknown).map_or(Id::ZERO, |side| side.id);
                        if self.full_index { id.hex() } else { repo.short_of(&id, self.abbrev) }
                    };
                    let head = format!(
                        ":{:06o} {:06o} {} {} ",
                        mode(&change.old),
                        mode(&change.new),
                        id(&change.old),
                        id(&change.new)
                    );
                    out.extend_from_slice(head.as_bytes());
                }
                out.push(change.status() as u8);
                if let (Some(score), Some(old)) = (change.score, &change.old) {
                    out.extend_from_slice(format!("{:03}", score * 100 / rename::MOST).as_bytes());
                    out.extend_from_slice(gap);
                    out.extend_from_slice(&name(&old.path));
                }
                out.extend_from_slice(gap);
                out.extend_from_slice(&name(change.path()));
                out.extend_from_slice(end);
            }
            written |= !changes.is_empty();
        }
        if self.names {
            for change in changes {
                out.extend_from_slice(&name(change.path()));
                out.extend_from_slice(end);
            }
            written |= !changes.is_empty();
        }
        if self.stat || self.numstat || self.shortstat {
            let counts: Vec<Counts> =
                changes.iter().map(|change| self.count(repo, change)).collect::<Result<_>>()?;
            if self.numstat {
                for (change, counts) in changes.iter().zip(&counts) {
                    match counts {
                        Counts::Lines(added, removed) => {
                            out.extend_from_slice(format!("{added}\t{removed}\t").as_bytes())
                        }
                        _ => out.extend_from_slice(b"-\t-\t"),
                    }
                    out.extend_from_slice(&self.pair(repo, change));
                    out.extend_from_slice(end);
                }
            }
            if self.stat {
                self.write_stat(repo, changes, &counts, out);
            }
            if (self.stat || self.shortstat) && !changes.is_empty() {
                out.extend_from_slice(&total(&counts));
            }
            written |= !changes.is_empty();
        }
        if self.summary {
            for change in changes {
                write_summary(repo, change, out);
            }
        }
        if self.patch {
            if written {
                out.push(b'\n');
            }
            for change in changes {
                self.write_patch(repo, change, out)?;
            }
        }
        Ok(())
    }

    fn cut<'a>(&self, repo: &Repo, path: &'a [u8]) -> &'a [u8] {
        if self.relative { path.strip_prefix(repo.prefix.as_slice()).unwrap_or(path) } else { path }
    }

    fn contents(&self, repo: &Repo, change: &Change) -> Result<(Vec<u8>, Vec<u8>)> {
        let read =
            |side: &Option<Side>| side.as_ref().map_or_else(|| Ok(Vec::new()), |side| side.content(repo));
        Ok((read(&change.old)?, read(&change.new)?))
    }

    fn count(&self, repo: &Repo, change: &Change) -> Result<Counts> {
        if change.unmerged {
            return Ok(Counts::Unmerged);
        }
        let (old, new) = self.contents(repo, change)?;
        if !self.text && (text::is_binary(&old) || text::is_binary(&new)) {
            let same = old == new;
            return Ok(if same { Counts::Binary(0, 0) } else { Counts::Binary(old.len(), new.len()) });
        }
        let (old, new) = (text::split(&old), text::split(&new));
        let edits = text::edits(&old, &new, &self.lines);
        let added = edits.iter().map(|edit| edit.new.1 - edit.new.0).sum();
        let removed = edits.iter().map(|edit| edit.old.1 - edit.old.0).sum();
        Ok(Counts::Lines(added, removed))
    }

    fn pair(&self, repo: &Repo, change: &Change) -> Vec<u8> {
        match (&change.old, &change.new, change.score) {
            (Some(old), Some(new), Some(_)) => {
                rename_name(repo, self.cut(repo, &old.path), self.cut(repo, &new.path))
            }
            (Some(old), Some(new), None) if old.path != new.path => rename_name(repo, &old.path, &new.path),
            _ => quote(repo, self.cut(repo, change.path())),
        }
    }

    fn write_stat(&self, repo: &Repo, changes: &[Change], counts: &[Counts], out: &mut Vec<u8>) {
        let names: Vec<Vec<u8>> = changes.iter().map(|change| self.pair(repo, change)).collect();
        let digits = |number: usize| number.to_string().len();
        let most = counts.iter().map(Counts::changed).max().unwrap_or(0);
        let longest = names.iter().map(|name| width_of(name)).max().unwrap_or(0);
        let mut number_width = digits(most);
        let mut binary_width = 0;
        for count in counts {
            match count {
                Counts::Binary(old, new) => {
                    binary_width = binary_width.max(14 + digits(*old) + digits(*new));
                    number_width = number_width.max(3);
                }
                Counts::Unmerged => binary_width = binary_width.max(8),
                Counts::Lines(..) => {}
            }
        }
        let width = self.stat_width.max(16 + 6 + number_width);
        let mut graph = if most + 4 > binary_width { most } else { binary_width - 4 };
        let mut name_width = longest;
        if name_width + number_width + 6 + graph > width {
            let share = (width * 3 / 8).saturating_sub(number_width + 6);
            if graph > share {
                graph = share.max(6);
            }
            if name_width > width.saturating_sub(number_width + 6 + graph) {
                name_width = width.saturating_sub(number_width + 6 + graph);
            } else {
                graph = width - number_width - 6 - name_width;
            }
        }
        for (name, count) in names.iter().zip(counts) {
            let mut shown = name.clone();
            let mut dots = "";
            if width_of(name) > name_width {
                dots = "...";
                let room = name_width.saturating_sub(3);
                while width_of(&shown) > room {
                    let first = shown.char_indices().next().map_or(1, |(_, end, _)| end);
                    shown.drain(..first);
                }
                if let Some(slash) = shown.find_byte(b'/') {
                    shown.drain(..slash);
                }
            }
            let pad = name_width.saturating_sub(dots.len() + width_of(&shown));
            out.extend_from_slice(format!(" {dots}").as_bytes());
            out.extend_from_slice(&shown);
            out.extend_from_slice(format!("{:pad$} | ", "").as_bytes());
            match count {
                Counts::Unmerged => out.extend_from_slice(b"Unmerged\n"),
                Counts::Binary(old, new) => {
                    out.extend_from_slice(format!("{:>number_width$}", "Bin").as_bytes());
                    if *old != 0 || *new != 0 {
                        out.extend_from_slice(format!(" {old} -> {new} bytes").as_bytes());
                    }
                    out.push(b'\n');
                }
                Counts::Lines(added, removed) => {
                    let (mut plus, mut minus) = (*added, *removed);
                    let sum = plus + minus;
                    if graph <= most {
                        let scale =
                            |count: usize| if count == 0 { 0 } else { 1 + count * (graph - 1) / most };
                        let mut all = scale(sum);
                        if all < 2 && plus > 0 && minus > 0 {
                            all = 2;
                        }
                        if plus < minus {
                            plus = scale(plus);
                            minus = all - plus;
                        } else {
                            minus = scale(minus);
                            plus = all - minus;
                        }
                    }
                    let gap = if sum > 0 { " " } else { "" };
                    out.extend_from_slice(
                        format!("{sum:>number_width$}{gap}{}{}\n", "+".repeat(plus), "-".repeat(minus))
                            .as_bytes(),
                    );
                }
            }
        }
    }

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

enum Counts {
    Lines(usize, usize),
    Binary(usize, usize),
    Unmerged,
}

impl Counts {
    fn changed(&self) -> usize {
        match self {
            Counts::Lines(added, removed) => added + removed,
            _ => 0,
        }
    }
}

fn total(counts: &[Counts]) -> Vec<u8> {
    let files = counts.iter().filter(|count| !matches!(count, Counts::Unmerged)).count();
    let sum = |of: fn(&Counts) -> usize| counts.iter().map(of).sum::<usize>();
    let added = sum(|count| if let Counts::Lines(added, _) = count { *added } else { 0 });
    let removed = sum(|count| if let Counts::Lines(_, removed) = count { *removed } else { 0 });
    totals(files, added, removed)
}

/// ` 2 files changed, 1 insertion(+)`
pub fn totals(files: usize, added: usize, removed: usize) -> Vec<u8> {
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let mut line = format!(" {files} file{} changed", plural(files));
    if files > 0 && (added > 0 || removed == 0) {
        line += &format!(", {added} insertion{}(+)", plural(added));
    }
    if files > 0 && (removed > 0 || added == 0) {
        line += &format!(", {removed} deletion{}(-)", plural(removed));
    }
    line.push('\n');
    line.into_bytes()
}

/// ` create mode 100644 name` and the like.
pub fn write_summary(repo: &Repo, change: &Change, out: &mut Vec<u8>) {
    let name = quote(repo, change.path());
    let mut line = |head: String, name: &[u8]| {
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(name);
        out.push(b'\n');
    };
    match (&change.old, &change.new) {
        (None, Some(new)) if !change.unmerged => line(format!(" create mode {:06o} ", new.mode), &name),
        (Some(old), None) => line(format!(" delete mode {:06o} ", old.mode), &name),
        (Some(old), Some(new)) => {
            if let Some(score) = change.score {
                let what = if change.copy { "copy" } else { "rename" };
                let mut names = rename_name(repo, &old.path, &new.path);
                names.extend_from_slice(format!(" ({}%)", score * 100 / rename::MOST).as_bytes());
                line(format!(" {what} "), &names);
                if old.mode != new.mode {
                    line(format!(" mode change {:06o} => {:06o}", old.mode, new.mode), b"");
                }
            } else if old.mode != new.mode {
                line(format!(" mode change {:06o} => {:06o} ", old.mode, new.mode), &name);
            }
        }
        _ => {}
    }
}

/// `src/{old => new}/file`
fn rename_name(repo: &Repo, old: &[u8], new: &[u8]) -> Vec<u8> {
    if quote(repo, old) != old || quote(repo, new) != new {
        return [quote(repo, old).as_slice(), b" => ", quote(repo, new).as_slice()].concat();
    }
    let mut start = 0;
    for at in 0..old.len().min(new.len()) {
        if old[at] != new[at] {
            break;
        }
        if old[at] == b'/' {
            start = at + 1;
        }
    }
    // The common end may begin with the slash that the common start ends with.
    let floor = if start > 0 { start - 1 } else { 0 };
    let mut end = 0;
    for back in 1..=old.len().min(new.len()) {
        let (a, b) = (old.len() - back, new.len() - back);
        if a < floor || b < floor || old[a] != new[b] {
            break;
        }
        if old[a] == b'/' {
            end = back;
        }
    }
    if start == 0 && end == 0 {
        return [old, b" => ", new].concat();
    }
    let middle = |path: &[u8]| path[start..(path.len() - end).max(start)].to_vec();
    [&old[..start], b"{", &middle(old), b" => ", &middle(new), b"}", &old[old.len() - end..]].concat()
}

fn width_of(name: &[u8]) -> usize {
    name.to_str_lossy().chars().count()
}

fn likeness(text: &str) -> u32 {
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

/// A name as git shows it: in quotes, if it has an odd character.
pub fn quote(repo: &Repo, name: &[u8]) -> Vec<u8> {
    quote_with(name, repo.config.is("core.quotepath", true))
}

pub fn quote_with(name: &[u8], all: bool) -> Vec<u8> {
    let odd =
        |byte: u8| byte < 0x20 || byte == 0x7f || byte == b'"' || byte == b'\\' || (all && byte >= 0x80);
    if !name.iter().any(|byte| odd(*byte)) {
        return name.to_vec();
    }
    let mut out = b"\"".to_vec();
    for byte in name {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            7 => out.extend_from_slice(b"\\a"),
            8 => out.extend_from_slice(b"\\b"),
            11 => out.extend_from_slice(b"\\v"),
            12 => out.extend_from_slice(b"\\f"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            byte if odd(*byte) => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
            byte => out.push(*byte),
        }
    }
    out.push(b'"');
    out
}

/// Undoes [`quote`].
pub fn unquote(name: &[u8]) -> Vec<u8> {
    let Some(inner) = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")) else {
        return name.to_vec();
    };
    let mut out = Vec::new();
    let mut at = 0;
    while at < inner.len() {
        if inner[at] != b'\\' {
            out.push(inner[at]);
            at += 1;
            continue;
        }
        at += 1;
        match inner.get(at) {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'a') => out.push(7),
            Some(b'b') => out.push(8),
            Some(b'v') => out.push(11),
            Some(b'f') => out.push(12),
            Some(b'0'..=b'3') if inner.len() >= at + 3 => {
                let digits = std::str::from_utf8(&inner[at..at + 3]).unwrap_or("0");
                out.push(u8::from_str_radix(digits, 8).unwrap_or(0));
                at += 2;
            }
            Some(byte) => out.push(*byte),
            None => {}
        }
        at += 1;
    }
    out
}
