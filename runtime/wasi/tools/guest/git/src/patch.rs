//! Patches: read from text, and put onto a content.

use crate::binary;
use crate::show::unquote;
use bstr::ByteSlice;

/// One file of a patch.
#[derive(Clone, Debug, Default)]
pub struct FilePatch {
    /// The names as written, with `a/` and `b/`; `None` for `/dev/null` or if there is none.
    pub old: Option<Vec<u8>>,
    /// The name after.
    pub new: Option<Vec<u8>>,
    /// The names of a `diff --git` line, for a patch without `---`.
    pub both: Option<(Vec<u8>, Vec<u8>)>,
    /// The mode before, if it is told.
    pub old_mode: Option<u32>,
    /// The mode after, if it is told.
    pub new_mode: Option<u32>,
    /// The file is new.
    pub created: bool,
    /// The file goes.
    pub deleted: bool,
    /// The file has another name.
    pub renamed: bool,
    /// The file is a copy.
    pub copied: bool,
    /// It begins with `diff --git`.
    pub git: bool,
    /// What changes, from the top.
    pub hunks: Vec<Hunk>,
    /// The new and the old content of a binary patch.
    pub binary: Option<(Vec<u8>, Vec<u8>)>,
    /// A binary file differs, but its content is not told.
    pub untold: bool,
    /// `Index: name`, as other tools write it.
    pub index: Option<Vec<u8>>,
    /// The line of the text where the file's head begins, from 1, and the head itself.
    pub line: usize,
    /// The lines above the hunks.
    pub head: Vec<u8>,
}

/// One hunk.
#[derive(Clone, Debug, Default)]
pub struct Hunk {
    /// The first line before, from 1; 0 of an empty file.
    pub old_start: usize,
    /// How many lines before.
    pub old_count: usize,
    /// The first line after, from 1; 0 of an empty file.
    pub new_start: usize,
    /// How many lines after.
    pub new_count: usize,
    /// Sign (space, `-`, `+`) and the line with its newline, if it has one.
    pub lines: Vec<(u8, Vec<u8>)>,
    /// What stood after `@@`.
    pub heading: Vec<u8>,
    /// The line of the text of the `@@`, from 1.
    pub line: usize,
}

impl Hunk {
    /// The lines before, or those after.
    pub fn side(&self, sign: u8) -> Vec<&[u8]> {
        self.lines
            .iter()
            .filter(|(other, _)| *other == b' ' || *other == sign)
            .map(|(_, line)| line.as_slice())
            .collect()
    }

    /// Lines of context before the first change, and after the last.
    pub fn context(&self) -> (usize, usize) {
        let plain = |(sign, _): &&(u8, Vec<u8>)| *sign == b' ';
        (self.lines.iter().take_while(plain).count(), self.lines.iter().rev().take_while(plain).count())
    }

    /// Turns before and after around.
    pub fn reverse(&mut self) {
        std::mem::swap(&mut self.old_start, &mut self.new_start);
        std::mem::swap(&mut self.old_count, &mut self.new_count);
        for (sign, _) in &mut self.lines {
            *sign = match *sign {
                b'-' => b'+',
                b'+' => b'-',
                other => other,
            };
        }
        // What goes stands before what comes.
        let mut lines = Vec::with_capacity(self.lines.len());
        let mut came = Vec::new();
        for line in std::mem::take(&mut self.lines) {
            match line.0 {
                b'+' => came.push(line),
                b'-' => lines.push(line),
                _ => {
                    lines.append(&mut came);
                    lines.push(line);
                }
            }
        }
        lines.append(&mut came);
        self.lines = lines;
    }
}

impl FilePatch {
    /// Turns before and after around.
    pub fn reverse(&mut self) {
        std::mem::swap(&mut self.old, &mut self.new);
        std::mem::swap(&mut self.old_mode, &mut self.new_mode);
        std::mem::swap(&mut self.created, &mut self.deleted);
        if let Some((a, b)) = &mut self.both {
            std::mem::swap(a, b);
        }
        if let Some((new, old)) = &mut self.binary {
            std::mem::swap(new, old);
        }
        self.hunks.iter_mut().for_each(Hunk::reverse);
    }
}

/// Reads a patch. An error is the number of the line, from 1, that is not understood.
pub fn parse(text: &[u8]) -> Result<Vec<FilePatch>, usize> {
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let mut files: Vec<FilePatch> = Vec::new();
    let mut at = 0;
    let mut index = None;
    while at < lines.len() {
        let line = end(lines[at]);
        if let Some(name) = line.strip_prefix(b"Index: ") {
            index = Some(name.trim().to_vec());
            at += 1;
        } else if let Some(names) = line.strip_prefix(b"diff --git ") {
            let mut file = FilePatch {
                git: true,
                line: at + 1,
                both: git_names(names),
                index: index.take(),
                ..FilePatch::default()
            };
            let start = at;
            at = git_head(&lines, at + 1, &mut file)?;
            at = hunks(&lines, at, &mut file)?;
            file.head =
                lines[start..at.min(lines.len())].iter().take(8).copied().collect::<Vec<_>>().concat();
            files.push(file);
        } else if line.starts_with(b"--- ")
            && lines.get(at + 1).is_some_and(|next| next.starts_with(b"+++ "))
            && lines.get(at + 2).is_some_and(|next| next.starts_with(b"@@ -"))
        {
            let mut file = FilePatch { line: at + 1, index: index.take(), ..FilePatch::default() };
            file.head = lines[at..at + 2].concat();
            plain_head(&lines, at, &mut file);
            at = hunks(&lines, at + 2, &mut file)?;
            if let [only] = file.hunks.as_slice() {
                file.created = file.old.is_none()
                    || (only.old_start == 0 && only.old_count == 0 && is_epoch(lines[file.line - 1]));
                file.deleted = file.new.is_none()
                    || (only.new_start == 0 && only.new_count == 0 && is_epoch(lines[file.line]));
            }
            files.push(file);
        } else if line.starts_with(b"@@ -") && range(line).is_some() && files.is_empty() {
            return Err(at + 1);
        } else {
            at += 1;
        }
    }
    Ok(files)
}

fn is_epoch(line: &[u8]) -> bool {
    line.find(b"\t1970-01-01").is_some() || line.find(b"\t1969-12-31").is_some()
}

fn end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

// `a/x b/x`: with equal names, the middle is where they part.
fn git_names(names: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if names.starts_with(b"\"") {
        let close = names[1..].find(b"\" ")? + 2;
        return Some((unquote(&names[..close]), unquote(names[close + 1..].trim_end())));
    }
    let middle = names.len() / 2;
    if names.len() % 2 == 1 && names[middle] == b' ' {
        let (a, b) = (&names[..middle], &names[middle + 1..]);
        let cut = |name: &[u8]| name.find_byte(b'/').map(|at| name[at + 1..].to_vec());
        if a == b || cut(a) == cut(b) {
            return Some((a.to_vec(), b.to_vec()));
        }
    }
    let at = names.find(b" b/")?;
    Some((names[..at].to_vec(), names[at + 1..].to_vec()))
}

fn name(line: &[u8]) -> Option<Vec<u8>> {
    let text = &end(line)[4..];
    let text = if text.starts_with(b"\"") {
        unquote(text.rfind_byte(b'"').map_or(text, |at| &text[..=at]))
    } else {
        match text.find_byte(b'\t') {
            Some(at) => text[..at].to_vec(),
            None => date_cut(text).trim_end().to_vec(),
        }
    };
    (text != b"/dev/null").then_some(text)
}

// Some tools part the name from its date by spaces.
fn date_cut(text: &[u8]) -> &[u8] {
    for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b' ') {
        let rest = &text[at + 1..];
        if rest.len() >= 19 && rest[..4].iter().all(u8::is_ascii_digit) && rest[4] == b'-' && rest[7] == b'-'
        {
            return &text[..at];
        }
    }
    text
}

fn plain_head(lines: &[&[u8]], at: usize, file: &mut FilePatch) {
    file.old = name(lines[at]);
    file.new = name(lines[at + 1]);
}

fn git_head(lines: &[&[u8]], mut at: usize, file: &mut FilePatch) -> Result<usize, usize> {
    let mode = |text: &[u8]| text.trim().to_str().ok().and_then(|text| u32::from_str_radix(text, 8).ok());
    while let Some(raw) = lines.get(at) {
        let line = end(raw);
        let after = |word: &[u8]| line.strip_prefix(word);
        if let Some(text) = after(b"old mode ") {
            file.old_mode = mode(text);
        } else if let Some(text) = after(b"new mode ") {
            file.new_mode = mode(text);
        } else if let Some(text) = after(b"new file mode ") {
            file.created = true;
            file.new_mode = mode(text);
        } else if let Some(text) = after(b"deleted file mode ") {
            file.deleted = true;
            file.old_mode = mode(text);
        } else if let Some(text) = after(b"rename from ").or_else(|| after(b"rename old ")) {
            file.renamed = true;
            file.old = Some([b"a/", unquote(text).as_slice()].concat());
        } else if let Some(text) = after(b"rename to ").or_else(|| after(b"rename new ")) {
            file.new = Some([b"b/", unquote(text).as_slice()].concat());
        } else if let Some(text) = after(b"copy from ") {
            file.copied = true;
            file.old = Some([b"a/", unquote(text).as_slice()].concat());
        } else if let Some(text) = after(b"copy to ") {
            file.new = Some([b"b/", unquote(text).as_slice()].concat());
        } else if line.starts_with(b"index ") {
            if let Some(text) = line.rsplit_once_str(" ").map(|(_, text)| text).filter(|text| text.len() == 6)
            {
                file.old_mode = file.old_mode.or(mode(text));
                file.new_mode = file.new_mode.or(mode(text));
            }
        } else if line.starts_with(b"similarity index ") || line.starts_with(b"dissimilarity index ") {
        } else if line.starts_with(b"--- ") && lines.get(at + 1).is_some_and(|next| next.starts_with(b"+++ "))
        {
            plain_head(lines, at, file);
            return Ok(at + 2);
        } else if line == b"GIT binary patch" {
            return binaries(lines, at + 1, file);
        } else if line.starts_with(b"Binary files ") {
            file.untold = true;
            return Ok(at + 1);
        } else {
            break;
        }
        at += 1;
    }
    Ok(at)
}

fn binaries(lines: &[&[u8]], mut at: usize, file: &mut FilePatch) -> Result<usize, usize> {
    let mut contents = Vec::new();
    for _ in 0..2 {
        let Some(size) = lines.get(at).and_then(|line| end(line).strip_prefix(b"literal ")) else {
            if contents.is_empty() {
                file.untold = true;
            }
            break;
        };
        let _ = size;
        at += 1;
        let mut packed = Vec::new();
        while let Some(line) = lines.get(at).map(|line| end(line)).filter(|line| !line.is_empty()) {
            packed.extend(binary::line(line).ok_or(at + 1)?);
            at += 1;
        }
        at += 1;
        let mut data = Vec::new();
        let read =
            std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(packed.as_slice()), &mut data);
        read.map_err(|_| at)?;
        contents.push(data);
    }
    let mut contents = contents.into_iter();
    if let Some(new) = contents.next() {
        file.binary = Some((new, contents.next().unwrap_or_default()));
    }
    Ok(at)
}

type Range = (usize, usize, usize, usize);

/// Reads `@@ -1,2 +3,4 @@ heading`.
fn range(line: &[u8]) -> Option<(Range, Vec<u8>)> {
    let rest = line.strip_prefix(b"@@ -")?;
    let (ranges, heading) = rest.split_once_str(" @@")?;
    let (old, new) = ranges.split_once_str(" +")?;
    let pair = |text: &[u8]| -> Option<(usize, usize)> {
        let text = text.to_str().ok()?;
        match text.split_once(',') {
            Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        }
    };
    let ((a, b), (c, d)) = (pair(old)?, pair(new)?);
    Some(((a, b, c, d), heading.to_vec()))
}

fn hunks(lines: &[&[u8]], mut at: usize, file: &mut FilePatch) -> Result<usize, usize> {
    while let Some(((old_start, old_count, new_start, new_count), heading)) =
        lines.get(at).and_then(|line| range(end(line)))
    {
        let mut hunk =
            Hunk { old_start, old_count, new_start, new_count, heading, line: at + 1, ..Hunk::default() };
        at += 1;
        let (mut old, mut new) = (0, 0);
        while old < old_count || new < new_count {
            let Some(line) = lines.get(at) else { return Err(at + 1) };
            let (sign, body) = match line.first() {
                Some(b'\n') | None => (b' ', *line),
                Some(b'\r') if line.len() == 2 => (b' ', *line),
                Some(sign @ (b' ' | b'-' | b'+')) => (*sign, &line[1..]),
                Some(b'\\') => {
                    cut_newline(&mut hunk);
                    at += 1;
                    continue;
                }
                _ => return Err(at + 1),
            };
            old += usize::from(sign != b'+');
            new += usize::from(sign != b'-');
            hunk.lines.push((sign, body.to_vec()));
            at += 1;
        }
        if old != old_count || new != new_count {
            return Err(at);
        }
        if lines.get(at).is_some_and(|line| line.starts_with(b"\\ ")) {
            cut_newline(&mut hunk);
            at += 1;
        }
        file.hunks.push(hunk);
    }
    Ok(at)
}

fn cut_newline(hunk: &mut Hunk) {
    if let Some((_, line)) = hunk.lines.last_mut()
        && line.last() == Some(&b'\n')
    {
        line.pop();
    }
}

/// Takes this many leading directories off a name.
pub fn strip(name: &[u8], count: usize) -> Option<Vec<u8>> {
    let mut rest = name;
    for _ in 0..count {
        let at = rest.find_byte(b'/')?;
        rest = rest[at..].trim_start_with(|c| c == '/');
    }
    (!rest.is_empty()).then(|| rest.to_vec())
}

/// Where a hunk was put.
pub struct Placed {
    /// The line it came to in the content as it was, from 0.
    pub at: usize,
    /// How far that is from where it said.
    pub offset: isize,
    /// How many lines of context were left out.
    pub fuzz: usize,
}

/// When a hunk may stand at an end of the file only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// As `git apply`: at the start if it says line 1, at the end if no context follows.
    Git,
    /// As GNU patch: on the side that has less context than the other.
    Patch,
}

/// A content with hunks put onto it one after the other.
pub struct Target {
    ends: Ends,
    lines: Vec<Vec<u8>>,
    /// How far lines have moved so far.
    moved: isize,
    /// How far the last hunk was found from its place.
    pub offset: isize,
    /// Lines before this were changed already.
    floor: usize,
}

impl Target {
    /// Takes a content apart.
    pub fn new(content: &[u8], ends: Ends) -> Target {
        let lines = content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        Target { ends, lines, moved: 0, offset: 0, floor: 0 }
    }

    /// Returns the content as it is now.
    pub fn content(&self) -> Vec<u8> {
        self.lines.concat()
    }

    /// Puts a hunk on, near its place, leaving out at most `fuzz` lines of context. `equal` compares lines.
    pub fn put(&mut self, hunk: &Hunk, fuzz: usize, equal: &dyn Fn(&[u8], &[u8]) -> bool) -> Option<Placed> {
        let (before, after) = hunk.context();
        for fuzz in 0..=fuzz.min(before.max(after)) {
            let head = (fuzz + before).saturating_sub(before.max(after)).min(before);
            let tail = (fuzz + after).saturating_sub(before.max(after)).min(after);
            let lines = &hunk.lines[head..hunk.lines.len() - tail];
            let old: Vec<&[u8]> =
                lines.iter().filter(|(sign, _)| *sign != b'+').map(|(_, line)| line.as_slice()).collect();
            let start = if hunk.old_count == 0 { hunk.old_start } else { hunk.old_start.saturating_sub(1) };
            let said = start as isize + head as isize + self.moved + self.offset;
            let widest = before.max(after);
            let (at_start, at_end) = match self.ends {
                Ends::Git => (hunk.old_start <= 1, after == 0),
                Ends::Patch => (fuzz + before < widest, fuzz + after < widest),
            };
            let most = self.lines.len() as isize;
            let found = {
                let fits = |at: isize| {
                    if at < self.floor as isize || at < 0 || at as usize + old.len() > self.lines.len() {
                        return false;
                    }
                    let at = at as usize;
                    if at_start && at != 0 || at_end && at + old.len() != self.lines.len() {
                        return false;
                    }
                    self.lines[at..at + old.len()].iter().zip(&old).all(|(have, want)| equal(have, want))
                };
                (0..=most.max(said.abs()) + 1)
                    .flat_map(|step| [said + step, said - step])
                    .find(|at| fits(*at))
            };
            let Some(at) = found else { continue };
            let offset = at - (start as isize + head as isize + self.moved);
            // Context stays as the file has it.
            let mut new = Vec::new();
            let mut from = at as usize;
            for (sign, line) in lines {
                match sign {
                    b' ' => {
                        new.push(self.lines[from].clone());
                        from += 1;
                    }
                    b'-' => from += 1,
                    _ => new.push(line.clone()),
                }
            }
            if new.last().is_some_and(|line| !line.ends_with(b"\n")) && from < self.lines.len() {
                continue;
            }
            let (came, went) = (new.len(), old.len());
            self.lines.splice(at as usize..at as usize + went, new);
            // What was the last line may have had no newline.
            let at = at as usize;
            if at > 0 && came > 0 && !self.lines[at - 1].ends_with(b"\n") {
                self.lines[at - 1].push(b'\n');
            }
            self.floor = at + came;
            self.offset = offset;
            let placed = Placed { at: (at as isize - self.moved) as usize, offset, fuzz };
            self.moved += came as isize - went as isize;
            return Some(placed);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &[u8] = b"--- a/f\n+++ b/f\n@@ -2,3 +2,3 @@\n a\n-b\n+B\n c\n";

    #[test]
    fn a_hunk_finds_its_moved_place_and_turns_around() {
        let mut files = parse(PATCH).unwrap();
        let mut target = Target::new(b"x\ny\nz\na\nb\nc\n", Ends::Git);
        let placed = target.put(&files[0].hunks[0], 0, &|a, b| a == b).unwrap();
        assert_eq!((placed.at, placed.offset), (3, 2));
        assert_eq!(target.content(), b"x\ny\nz\na\nB\nc\n");
        files[0].reverse();
        let mut back = Target::new(&target.content(), Ends::Git);
        back.put(&files[0].hunks[0], 0, &|a, b| a == b).unwrap();
        assert_eq!(back.content(), b"x\ny\nz\na\nb\nc\n");
    }

    #[test]
    fn a_line_too_few_is_told_by_its_number() {
        assert_eq!(parse(b"--- a/f\n+++ b/f\n@@ -1,4 +1,3 @@\n a\n-b\n+B\n c\n").unwrap_err(), 8);
    }
}
