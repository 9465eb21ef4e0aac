//! `git add --patch`: asks of each hunk whether it goes into the index; the answers are lines of stdin.

mod file;

use crate::Out;
use crate::error::Result;
use crate::index::Index;
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::warn;
use file::{Piece, Pieces, Use};
use std::io::BufRead;

/// Lines of a list of hunks that are shown at once, before and behind the current one.
const SHOWN: usize = 20;

const HELP: &str = "y - stage this hunk
n - do not stage this hunk
q - quit; do not stage this hunk or any of the remaining ones
a - stage this hunk and all later hunks in the file
d - do not stage this hunk or any of the later hunks in the file
";
const MORE_HELP: &[(char, &str)] = &[
    ('j', "j - leave this hunk undecided, see next undecided hunk"),
    ('J', "J - leave this hunk undecided, see next hunk"),
    ('k', "k - leave this hunk undecided, see previous undecided hunk"),
    ('K', "K - leave this hunk undecided, see previous hunk"),
    ('g', "g - select a hunk to go to"),
    ('/', "/ - search for a hunk matching the given regex"),
    ('s', "s - split the current hunk into smaller hunks"),
    ('e', "e - manually edit the current hunk"),
    ('?', "? - print help"),
];

/// Asks of all changes that the pathspec means.
pub fn add(repo: &Repo, specs: &Pathspec, out: &mut Out) -> Result<i32> {
    let mut index = repo.index()?;
    let (mut files, mut binary) = (Vec::new(), false);
    for change in repo.diff_files(&index, specs)? {
        if change.unmerged {
            warn([b"ignoring unmerged: ", change.path()].concat());
            continue;
        }
        match Pieces::read(repo, &change)? {
            Some(file) => files.push(file),
            None => binary = true,
        }
    }
    if files.is_empty() {
        warn(if binary { "Only binary files changed." } else { "No changes." });
        return Ok(0);
    }
    let mut session = Session { repo, index: &mut index, out };
    for file in files {
        if session.file(file)? {
            break;
        }
    }
    index.write(&repo.index_path())?;
    Ok(0)
}

/// Questions and answers.
struct Session<'a> {
    repo: &'a Repo,
    index: &'a mut Index,
    out: &'a mut Out,
}

/// Where the other undecided hunks are.
struct Around {
    before: Option<usize>,
    behind: Option<usize>,
}

impl Session<'_> {
    /// Asks of one file's hunks and stages what was chosen; true if that was the last word.
    fn file(&mut self, mut file: Pieces) -> Result<bool> {
        self.out.bytes.extend_from_slice(&file.head);
        let (mut at, mut quit) = (0, false);
        loop {
            if at >= file.pieces.len() {
                at = 0;
            }
            let undecided = |piece: &Piece| piece.used == Use::Undecided;
            let around = Around {
                before: file.pieces[..at].iter().rposition(undecided),
                behind: file.pieces[at + 1..].iter().position(undecided).map(|next| at + 1 + next),
            };
            if around.before.is_none() && around.behind.is_none() && !undecided(&file.pieces[at]) {
                break;
            }
            let letters = self.ask(&file, at, &around)?;
            let Some(answer) = line()? else { break };
            let Some(letter) = answer.chars().next() else { continue };
            let next = around.behind.unwrap_or(file.pieces.len());
            match letter {
                'y' | 'Y' => {
                    file.pieces[at].used = Use::Yes;
                    at = next;
                }
                'n' | 'N' => {
                    file.pieces[at].used = Use::No;
                    at = next;
                }
                'a' | 'A' | 'd' | 'D' | 'q' | 'Q' => {
                    let used = if letter.eq_ignore_ascii_case(&'a') { Use::Yes } else { Use::No };
                    file.pieces[at..]
                        .iter_mut()
                        .filter(|piece| undecided(piece))
                        .for_each(|piece| piece.used = used);
                    if letter.eq_ignore_ascii_case(&'q') {
                        quit = true;
                        break;
                    }
                    at = file.pieces.len();
                }
                'K' if letters.contains('K') => at -= 1,
                'J' if letters.contains('J') => at += 1,
                'k' if letters.contains('k') => at = around.before.unwrap_or(at),
                'j' if letters.contains('j') => at = around.behind.unwrap_or(at),
                'K' | 'k' => warn("No previous hunk"),
                'J' | 'j' => warn("No next hunk"),
                'g' => at = self.choose(&file, at, &answer[1..])?.unwrap_or(at),
                '/' => at = self.search(&file, at, &answer[1..])?.unwrap_or(at),
                's' if letters.contains('s') => {
                    let count = file.split(at);
                    self.out.line(format!("Split into {count} hunks."));
                }
                's' => warn("Sorry, cannot split this hunk"),
                'e' => warn("Sorry, cannot edit this hunk"),
                _ => {
                    self.out.bytes.extend(HELP.bytes());
                    let known = |letter: &char| *letter == '?' || letters.contains(*letter);
                    MORE_HELP
                        .iter()
                        .filter(|(letter, _)| known(letter))
                        .for_each(|(_, text)| self.out.line(text));
                }
            }
        }
        file.stage(self.repo, self.index)?;
        self.out.line("");
        self.out.flush()?;
        Ok(quit)
    }

    /// Shows a hunk and asks; returns the letters that may be answered besides the usual ones.
    fn ask(&mut self, file: &Pieces, at: usize, around: &Around) -> Result<String> {
        let (piece, count) = (&file.pieces[at], file.pieces.len());
        let editable = piece.is_text() && !file.deleted;
        let letters: Vec<&str> = [
            ("k", around.before.is_some()),
            ("K", at > 0),
            ("j", around.behind.is_some()),
            ("J", at + 1 < count),
            ("g,/", count > 1),
            ("s", piece.parts() > 1 && !file.deleted),
            ("e", editable),
        ]
        .into_iter()
        .filter_map(|(letter, may)| may.then_some(letter))
        .collect();
        let letters: String = letters.iter().map(|letter| format!(",{letter}")).collect();
        piece.show(&mut self.out.bytes);
        let what = match piece.is_text() {
            false => "Stage mode change",
            true if file.deleted => "Stage deletion",
            true if file.added => "Stage addition",
            true => "Stage this hunk",
        };
        self.out.bytes.extend(format!("({}/{count}) {what} [y,n,q,a,d{letters},?]? ", at + 1).bytes());
        self.out.flush()?;
        Ok(letters)
    }

    /// Reads the number of a hunk, after a list of them if it did not stand in the answer.
    fn choose(&mut self, file: &Pieces, at: usize, answer: &str) -> Result<Option<usize>> {
        let count = file.pieces.len();
        if count < 2 {
            warn("No other hunks to goto");
            return Ok(None);
        }
        let mut answer = answer.trim().to_owned();
        let mut from = at.saturating_sub(SHOWN / 2);
        while answer.is_empty() {
            let to = count.min(from + SHOWN);
            for (number, piece) in file.pieces[from..to].iter().enumerate() {
                self.out.line(piece.summary(from + number + 1));
            }
            from = to;
            let more = if to < count { " (<ret> to see more)" } else { "" };
            self.out.bytes.extend(format!("go to which hunk{more}? ").bytes());
            self.out.flush()?;
            match line()? {
                Some(line) => answer = line.trim().to_owned(),
                None => break,
            }
        }
        match answer.parse::<usize>() {
            Ok(number) if (1..=count).contains(&number) => return Ok(Some(number - 1)),
            Ok(_) => warn(format!("Sorry, only {count} hunks available.")),
            Err(_) => warn(format!("Invalid number: '{answer}'")),
        }
        Ok(None)
    }

    /// Finds the next hunk that a pattern matches.
    fn search(&mut self, file: &Pieces, at: usize, pattern: &str) -> Result<Option<usize>> {
        let count = file.pieces.len();
        if count < 2 {
            warn("No other hunks to search");
            return Ok(None);
        }
        let mut pattern = pattern.to_owned();
        if pattern.is_empty() {
            self.out.bytes.extend(b"search for regex? ");
            self.out.flush()?;
            pattern = line()?.unwrap_or_default();
        }
        let Ok(regex) = crate::pattern::compile(&pattern, crate::pattern::Form::Extended, false, false)
        else {
            warn(format!("Malformed search regexp {pattern}: Invalid regular expression"));
            return Ok(None);
        };
        let found = (0..count).map(|step| (at + step) % count).find(|at| {
            let mut text = Vec::new();
            file.pieces[*at].show(&mut text);
            regex.is_match(&text)
        });
        if found.is_none() {
            warn("No hunk matches the given pattern");
        }
        Ok(found)
    }
}

/// A line of stdin.
fn line() -> Result<Option<String>> {
    let mut line = Vec::new();
    if std::io::stdin().lock().read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned()))
}
