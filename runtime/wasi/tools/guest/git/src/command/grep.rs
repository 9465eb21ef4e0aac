//! `git grep`

use crate::Out;
use crate::args::{Args, unbundle, unknown};
use crate::error::{Result, fatal};
use crate::object::Kind;
use crate::pathspec::Pathspec;
use crate::pattern::{self, Form};
use crate::repo::Repo;
use crate::show::quote;
use crate::text::{self, is_binary};
use crate::worktree::Untracked;
use bstr::ByteSlice;
use regex::bytes::Regex;

#[derive(Default)]
struct Options {
    number: bool,
    names: bool,
    without: bool,
    count: bool,
    only: bool,
    invert: bool,
    no_name: bool,
    quiet: bool,
    heading: bool,
    lines_break: bool,
    before: usize,
    after: usize,
    function: bool,
    most: usize,
    column: bool,
    zero: bool,
    full: bool,
    text: bool,
}

/// `git grep`
pub fn grep(repo: Result<Repo>, args: Vec<Vec<u8>>, out: &mut Out) -> Result<i32> {
    let repo = &repo?;
    let mut options = Options { most: usize::MAX, ..Options::default() };
    let (mut form, mut fold, mut word, mut cached, mut untracked, mut and) =
        (Form::Basic, false, false, false, false, false);
    if repo.config.is("grep.extendedregexp", false) {
        form = Form::Extended;
    }
    options.number = repo.config.is("grep.linenumber", false);
    let mut patterns: Vec<String> = Vec::new();
    let mut args = Args::new(unbundle(args, "niwvlLchHEFPGoqIazpr"));
    while let Some(option) = args.option() {
        let count = |text: &str| text.parse::<usize>().map_err(|_| fatal(format!("'{text}': not a number")));
        match option.split('=').next().unwrap_or_default() {
            "-n" | "--line-number" => options.number = true,
            "--no-line-number" => options.number = false,
            "-i" | "--ignore-case" => fold = true,
            "-w" | "--word-regexp" => word = true,
            "-v" | "--invert-match" => options.invert = true,
            "-l" | "--files-with-matches" | "--name-only" => options.names = true,
            "-L" | "--files-without-match" => options.without = true,
            "-c" | "--count" => options.count = true,
            "-o" | "--only-matching" => options.only = true,
            "-h" => options.no_name = true,
            "-H" => options.no_name = false,
            "-q" | "--quiet" => options.quiet = true,
            "-E" | "--extended-regexp" => form = Form::Extended,
            "-G" | "--basic-regexp" => form = Form::Basic,
            "-F" | "--fixed-strings" => form = Form::Fixed,
            "-P" | "--perl-regexp" => form = Form::Perl,
            "-e" => patterns.push(args.value(&option)?),
            "--and" => and = true,
            "--or" => {}
            "--all-match" => {}
            "-A" | "--after-context" => options.after = count(&args.value(&option)?)?,
            "-B" | "--before-context" => options.before = count(&args.value(&option)?)?,
            "-C" | "--context" => {
                options.after = count(&args.value(&option)?)?;
                options.before = options.after;
            }
            "-m" | "--max-count" => options.most = count(&args.value(&option)?)?,
            "--heading" => options.heading = true,
            "--break" => options.lines_break = true,
            "-p" | "--show-function" => options.function = true,
            "--column" => options.column = true,
            "-z" | "--null" => options.zero = true,
            "-a" | "--text" => options.text = true,
            "--full-name" => options.full = true,
            "--cached" => cached = true,
            "--untracked" | "--no-index" => untracked = true,
            "-I"
            | "-r"
            | "--recursive"
            | "--no-recursive"
            | "--color"
            | "--no-color"
            | "--exclude-standard"
            | "--no-exclude-standard"
            | "--threads"
            | "--max-depth"
            | "--recurse-submodules"
            | "--textconv"
            | "--no-textconv" => {}
            option
                if option.len() > 2
                    && matches!(option.as_bytes()[1], b'A' | b'B' | b'C' | b'm' | b'e')
                    && !option.starts_with("--") =>
            {
                let value = &option[2..];
                match option.as_bytes()[1] {
                    b'A' => options.after = count(value)?,
                    b'B' => options.before = count(value)?,
                    b'm' => options.most = count(value)?,
                    b'e' => patterns.push(value.to_owned()),
                    _ => {
                        options.after = count(value)?;
                        options.before = options.after;
                    }
                }
            }
            option if option[1..].bytes().all(|byte| byte.is_ascii_digit()) => {
                options.after = count(&option[1..])?;
                options.before = options.after;
            }
            option => {
                return Err(unknown(option, "grep [<options>] [-e] <pattern> [<rev>...] [[--] <path>...]"));
            }
        }
    }
    let mut plain = args.plain.clone();
    let mut dashes = args.dashes;
    if patterns.is_empty() {
        if plain.is_empty() {
            return Err(fatal("no pattern given"));
        }
        patterns.push(plain.remove(0).to_str_lossy().into_owned());
        dashes = dashes.map(|at| at.saturating_sub(1));
    }
    if patterns.iter().any(|pattern| pattern.contains('\n')) {
        patterns = patterns.iter().flat_map(|pattern| pattern.split('\n')).map(str::to_owned).collect();
    }
    let regexes: Vec<Regex> =
        patterns.iter().map(|text| pattern::compile(text, form, fold, word)).collect::<Result<_>>()?;
    let (revs, paths) = repo.sort_args(&plain, dashes)?;
    let specs = Pathspec::new(repo, &paths)?;
    let mut search = Search { repo, options: &options, regexes: &regexes, and, found: false, first: true };
    let below = |path: &[u8]| !paths.is_empty() || path.starts_with(&repo.prefix);
    if revs.from.is_empty() {
        let index = repo.index()?;
        let mut files: Vec<Vec<u8>> = index
            .entries
            .iter()
            .filter(|entry| {
                entry.mode & 0o170000 == 0o100000 || entry.mode == crate::worktree::LINK && cached
            })
            .map(|entry| entry.path.clone())
            .collect();
        files.dedup();
        if untracked {
            files.extend(repo.untracked(&index, &specs, Untracked::All, false)?);
            files.sort();
        }
        for path in files.iter().filter(|path| specs.has(path) && below(path)) {
            let content = if cached {
                match index.get(path) {
                    Some(entry) => repo.odb.blob(&entry.id)?,
                    None => continue,
                }
            } else {
                match std::fs::read(repo.at(path)?) {
                    Ok(content) => content,
                    Err(_) => continue,
                }
            };
            let name = if options.full { path.clone() } else { repo.shown(path) };
            search.file(&quote(repo, &name), &content, out)?;
            if search.found && options.quiet {
                return Ok(0);
            }
        }
    }
    for (rev, id) in &revs.from {
        if repo.odb.kind(id) == Some(Kind::Blob) {
            search.file(rev.as_bytes(), &repo.odb.blob(id)?, out)?;
            continue;
        }
        let tree =
            repo.peel(*id, Kind::Tree)?.ok_or_else(|| fatal(format!("unable to grep from object {rev}")))?;
        for (path, (mode, id)) in repo.tree_files(Some(tree))? {
            if mode & 0o170000 == 0o100000 && specs.has(&path) && below(&path) {
                let name = [
                    rev.as_bytes(),
                    if rev.contains(':') { b"/" } else { b":" },
                    &quote(repo, &repo.shown(&path)),
                ]
                .concat();
                search.file(&name, &repo.odb.blob(&id)?, out)?;
            }
        }
    }
    Ok(i32::from(!search.found))
}

struct Search<'a> {
    repo: &'a Repo,
    options: &'a Options,
    regexes: &'a [Regex],
    and: bool,
    found: bool,
    first: bool,
}

impl Search<'_> {
    fn hit(&self, line: &[u8]) -> bool {
        let hit = if self.and {
            self.regexes.iter().all(|regex| regex.is_match(line))
        } else {
            self.regexes.iter().any(|regex| regex.is_match(line))
        };
        hit != self.options.invert
    }

    fn file(&mut self, name: &[u8], content: &[u8], out: &mut Out) -> Result<()> {
        let options = self.options;
        let lines: Vec<&[u8]> = content.lines().collect();
        let mut hits: Vec<usize> = Vec::new();
        // One search over the whole text tells whether lines need looking at.
        if !options.invert && !self.and && !self.regexes.iter().any(|regex| regex.is_match(content)) {
            if options.without {
                out.line(name);
                self.found = true;
            }
            return Ok(());
        }
        for (at, line) in lines.iter().enumerate() {
            if self.hit(line) {
                hits.push(at);
                if hits.len() >= options.most {
                    break;
                }
            }
        }
        if options.without {
            if hits.is_empty() {
                out.line(name);
                self.found = true;
            }
            return Ok(());
        }
        if hits.is_empty() {
            return Ok(());
        }
        self.found = true;
        if options.quiet {
            return Ok(());
        }
        if options.names {
            out.bytes.extend_from_slice(name);
            out.bytes.push(if options.zero { 0 } else { b'\n' });
            return Ok(());
        }
        if options.count {
            if !options.no_name {
                out.bytes.extend_from_slice(name);
                out.bytes.push(b':');
            }
            out.line(hits.len().to_string());
            return Ok(());
        }
        if is_binary(content) && !options.text {
            out.line([b"Binary file ", name, b" matches"].concat());
            return Ok(());
        }
        if !self.first && options.lines_break {
            out.line("");
        }
        let context = options.before + options.after > 0 || options.function;
        if !self.first && context && !options.lines_break {
            out.line("--");
        }
        self.first = false;
        if options.heading {
            out.line(name);
        }
        let put = |out: &mut Out, at: usize, sign: u8, column: Option<usize>, text: &[u8]| {
            if !options.no_name && !options.heading {
                out.bytes.extend_from_slice(name);
                out.bytes.push(sign);
            }
            if options.number {
                out.bytes.extend_from_slice((at + 1).to_string().as_bytes());
                out.bytes.push(sign);
            }
            if let Some(column) = column.filter(|_| options.column) {
                out.bytes.extend_from_slice(column.to_string().as_bytes());
                out.bytes.push(sign);
            }
            out.line(text);
        };
        let _ = self.repo;
        let mut next = 0;
        for (number, at) in hits.iter().copied().enumerate() {
            let start = at.saturating_sub(options.before).max(next);
            if context && number > 0 && start > next {
                out.line("--");
            }
            if options.function
                && let Some(head) =
                    (next..start.min(at)).rev().find(|line| text::plain_heading(lines[*line]).is_some())
            {
                put(out, head, b'=', None, lines[head]);
            }
            for (line, text) in lines.iter().enumerate().take(at).skip(start) {
                put(out, line, b'-', None, text);
            }
            if options.only && !options.invert {
                for regex in self.regexes {
                    for found in regex.find_iter(lines[at]).filter(|found| !found.is_empty()) {
                        put(out, at, b':', Some(found.start() + 1), found.as_bytes());
                    }
                }
            } else {
                let column = self
                    .regexes
                    .iter()
                    .filter_map(|regex| regex.find(lines[at]))
                    .map(|found| found.start() + 1)
                    .min();
                put(out, at, b':', column, lines[at]);
            }
            next = at + 1;
            let end = (at + 1 + options.after)
                .min(lines.len())
                .min(hits.get(number + 1).copied().unwrap_or(usize::MAX));
            for (line, text) in lines.iter().enumerate().take(end).skip(at + 1) {
                put(out, line, b'-', None, text);
                next = line + 1;
            }
        }
        out.pass()
    }
}
