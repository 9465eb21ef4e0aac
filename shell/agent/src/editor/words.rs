//! What the editor says, in the words of the two originals: SWE-agent's `edit_anthropic` tool (1.1) and `openhands-aci`.

use super::Style;
use super::text::expanded;

/// Characters that are shown at most.
const MAX_SHOWN: usize = 16_000;
/// What follows a file that was cut.
const CUT: [&str; 2] = [
    "<response clipped><NOTE>To save on context only part of this file has been shown to you. You should retry this tool \
     after you have searched inside the file with `grep -n` in order to find the line numbers of what you are looking \
     for.</NOTE>",
    "<response clipped><NOTE>Due to the max output limit, only part of this file has been shown to you. You should retry \
     this tool after you have searched inside the file with `grep -n` in order to find the line numbers of what you are \
     looking for.</NOTE>",
];
/// What follows a directory that was cut; SWE-agent cuts none.
const CUT_DIRECTORY: &str = "<response clipped><NOTE>Due to the max output limit, only part of this directory has been shown \
    to you. You should use `ls -la` instead to view large directories incrementally.</NOTE>";

/// What the editor says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words(pub Style);

impl Words {
    fn is_swe_agent(self) -> bool {
        self.0 == Style::SweAgent
    }

    pub(super) fn error(self, why: &str) -> String {
        if self.is_swe_agent() { why.to_string() } else { format!("ERROR:\n{why}") }
    }

    /// OpenHands names the parameter first.
    fn parameter(self, name: &str, value: &str, why: &str) -> String {
        if self.is_swe_agent() {
            why.to_string()
        } else {
            format!("Invalid `{name}` parameter: {value}. {why}")
        }
    }

    pub(super) fn not_absolute(self, path: &str, cwd: &str) -> String {
        if self.is_swe_agent() {
            let cwd = cwd.trim_end_matches('/');
            return format!(
                "The path {path} is not an absolute path, it should start with `/`. Maybe you meant {cwd}/{path}?"
            );
        }
        self.parameter("path", path, "The path should be an absolute path, starting with `/`.")
    }

    pub(super) fn missing(self, path: &str) -> String {
        let why = format!("The path {path} does not exist. Please provide a valid path.");
        self.parameter("path", path, &why)
    }

    pub(super) fn exists(self, path: &str) -> String {
        let why = format!("File already exists at: {path}. Cannot overwrite files using command `create`.");
        self.parameter("path", path, &why)
    }

    pub(super) fn is_directory(self, path: &str) -> String {
        let why =
            format!("The path {path} is a directory and only the `view` command can be used on directories.");
        let why = if self.is_swe_agent() { why.trim_end_matches('.').to_string() } else { why };
        self.parameter("path", path, &why)
    }

    pub(super) fn needs(self, key: &str, command: &str) -> String {
        if self.is_swe_agent() {
            return format!("Parameter `{key}` is required for command: {command}");
        }
        format!("Parameter `{key}` is required for command: {command}.")
    }

    pub(super) fn unknown_command(self, command: &str) -> String {
        if self.is_swe_agent() {
            return format!(
                "Unrecognized command {command}. The allowed commands for the str_replace_editor tool are: \
                 \"view\", \"create\", \"str_replace\", \"insert\", \"undo_edit\""
            );
        }
        "Parameter 'command' is expected to be one of ['view', 'create', 'str_replace', 'insert', 'undo_edit'].".into()
    }

    pub(super) fn range_of_directory(self, range: &[i64]) -> String {
        let why = "The `view_range` parameter is not allowed when `path` points to a directory.";
        self.parameter("view_range", &list(range), why)
    }

    /// OpenHands shows directories with a `/` behind them.
    pub(super) fn marks_directories(self) -> bool {
        !self.is_swe_agent()
    }

    pub(super) fn directory(self, path: &str, list: &str, hidden: usize) -> String {
        let head = format!(
            "Here's the files and directories up to 2 levels deep in {path}, excluding hidden items:\n"
        );
        if self.is_swe_agent() {
            return format!("{head}{list}\n");
        }
        let list = list.trim_end_matches('\n');
        let note = format!(
            "\n\n{hidden} hidden files/directories in this directory are excluded. You can use 'ls -la {path}' to see them."
        );
        format!("{head}{}{}", clip(list, CUT_DIRECTORY), if hidden > 0 { note.as_str() } else { "" })
    }

    pub(super) fn no_parent(self, path: &str, parent: &str) -> String {
        if self.is_swe_agent() {
            return format!("The parent directory {parent} does not exist. Please create it first.");
        }
        self.not_written(path, &format!("[Errno 2] No such file or directory: '{path}'"))
    }

    pub(super) fn not_written(self, path: &str, why: &str) -> String {
        format!("Ran into {why} while trying to write to {path}")
    }

    pub(super) fn refuses_binary_files(self) -> bool {
        !self.is_swe_agent()
    }

    pub(super) fn binary(self, path: &str) -> String {
        format!(
            "File validation failed for {path}: File appears to be binary and this file type cannot be read or edited by \
             this tool."
        )
    }

    /// Lines that can be named; after a last line break SWE-agent counts one more.
    pub(super) fn lines(self, text: &str) -> Vec<&str> {
        let mut lines: Vec<&str> = text.split('\n').collect();
        if !self.is_swe_agent() && lines.last() == Some(&"") {
            lines.pop();
        }
        lines
    }

    fn range(self, range: &[i64], why: &str) -> String {
        let list = list(range);
        if self.is_swe_agent() {
            format!("Invalid `view_range`: {list}. {why}")
        } else {
            self.parameter("view_range", &list, why)
        }
    }

    pub(super) fn not_a_range(self, range: &[i64]) -> String {
        let why = "It should be a list of two integers.";
        if self.is_swe_agent() { format!("Invalid `view_range`. {why}") } else { self.range(range, why) }
    }

    pub(super) fn bad_first(self, range: &[i64], first: i64, count: i64) -> String {
        let within = list(&[1, count]);
        self.range(
            range,
            &format!(
                "Its first element `{first}` should be within the range of lines of the file: {within}{}",
                self.stop()
            ),
        )
    }

    pub(super) fn bad_last(self, range: &[i64], last: i64, count: i64) -> String {
        self.range(
            range,
            &format!("Its second element `{last}` should be smaller than the number of lines in the file: `{count}`{}", self.stop()),
        )
    }

    pub(super) fn backwards(self, range: &[i64], first: i64, last: i64) -> String {
        let than = if self.is_swe_agent() { "larger or equal than" } else { "greater than or equal to" };
        let what = if self.is_swe_agent() { "first" } else { "the first element" };
        let whose = if self.is_swe_agent() { "its " } else { "" };
        self.range(
            range,
            &format!("Its second element `{last}` should be {than} {whose}{what} `{first}`{}", self.stop()),
        )
    }

    /// SWE-agent ends these sentences without a stop.
    fn stop(self) -> &'static str {
        if self.is_swe_agent() { "" } else { "." }
    }

    /// OpenHands shows what there is.
    pub(super) fn refuses_a_range_beyond_the_end(self) -> bool {
        self.is_swe_agent()
    }

    /// What comes before lines of which some were asked for that are not there.
    pub(super) fn shortened(self, count: i64, shown: &str) -> String {
        format!("NOTE: We only show up to {count} since there're only {count} lines in this file.\n{shown}")
    }

    /// Whether a model that writes blanks may mean tabs.
    pub(super) fn expands_tabs(self) -> bool {
        self.is_swe_agent()
    }

    /// Whether a text that would be replaced by itself is refused before it is looked for.
    pub(super) fn compares_before_it_looks(self) -> bool {
        !self.is_swe_agent()
    }

    pub(super) fn same(self, old: &str, new: &str) -> String {
        if self.is_swe_agent() {
            return format!("No replacement was performed, old_str `{old}` is the same as new_str `{new}`.");
        }
        self.parameter(
            "new_str",
            new,
            "No replacement was performed. `new_str` and `old_str` must be different.",
        )
    }

    pub(super) fn no_match(self, old: &str, path: &str) -> String {
        format!("No replacement was performed, old_str `{old}` did not appear verbatim in {path}.")
    }

    pub(super) fn many(self, old: &str, text: &str) -> String {
        let mut numbers: Vec<i64> = Vec::new();
        if self.is_swe_agent() {
            // Of a text of several lines there is none that holds it.
            let holds = text.split('\n').enumerate().filter(|(_, line)| line.contains(old));
            numbers.extend(holds.map(|(n, _)| n as i64 + 1));
        } else {
            let (mut line, mut seen) = (1, 0);
            for (at, _) in text.match_indices(old) {
                line += text[seen..at].matches('\n').count() as i64;
                seen = at;
                numbers.push(line);
            }
            numbers.dedup();
        }
        let stop = if self.is_swe_agent() { "" } else { "." };
        format!(
            "No replacement was performed. Multiple occurrences of old_str `{old}` in lines {}. Please ensure it is unique{stop}",
            list(&numbers)
        )
    }

    pub(super) fn bad_line(self, line: i64, count: usize) -> String {
        let within = list(&[0, count as i64]);
        if self.is_swe_agent() {
            return format!(
                "Invalid `insert_line` parameter: {line}. It should be within the range of lines of the file: {within}"
            );
        }
        self.parameter(
            "insert_line",
            &line.to_string(),
            &format!("It should be within the range of allowed values: {within}"),
        )
    }

    pub(super) fn edited(self, path: &str, snippet: &str) -> String {
        format!(
            "The file {path} has been edited. {snippet}Review the changes and make sure they are as expected. \
             Edit the file again if necessary."
        )
    }

    pub(super) fn grown(self, path: &str, snippet: &str) -> String {
        format!(
            "The file {path} has been edited. {snippet}Review the changes and make sure they are as expected (correct \
             indentation, no duplicate lines, etc). Edit the file again if necessary."
        )
    }

    pub(super) fn no_history(self, path: &str) -> String {
        format!("No edit history found for {path}.")
    }

    pub(super) fn undone(self, path: &str, text: &str) -> String {
        format!("Last edit to {path} undone successfully. {}", self.numbered(text, path, 1))
    }

    /// Lines before and after a replacement that are shown, as recorded trajectories of both have them.
    pub(super) fn around_a_replacement(self) -> (usize, usize) {
        if self.is_swe_agent() { (5, 3) } else { (3, 4) }
    }

    /// Lines around a replacement; what follows the last line break is no line of SWE-agent's there.
    pub(super) fn replaced(self, lines: &[&str], first: usize, end: usize) -> String {
        let is_over = self.is_swe_agent() && lines.len() > first + 1 && lines.last() == Some(&"");
        self.snippet(&lines[..lines.len() - usize::from(is_over)], first, end)
    }

    /// Lines `first` to before `end`; OpenHands shows the line break after the last as an empty line.
    pub(super) fn snippet(self, lines: &[&str], first: usize, end: usize) -> String {
        let snippet = lines[first..end.min(lines.len())].join("\n");
        if self.is_swe_agent() || end >= lines.len() { snippet } else { snippet + "\n" }
    }

    /// The lines with their numbers, as `cat -n` would print them.
    pub(super) fn numbered(self, text: &str, what: &str, first: usize) -> String {
        let text = clip(text, CUT[usize::from(!self.is_swe_agent())]);
        let text = if self.is_swe_agent() { expanded(&text) } else { text };
        let lines = text.split('\n').enumerate().map(|(n, line)| format!("{:6}\t{line}", n + first));
        format!(
            "Here's the result of running `cat -n` on {what}:\n{}\n",
            lines.collect::<Vec<_>>().join("\n")
        )
    }
}

fn clip(text: &str, note: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => text.to_string(),
        Some((end, _)) => format!("{}{note}", &text[..end]),
    }
}

/// A list as Python prints it.
fn list(numbers: &[i64]) -> String {
    format!("[{}]", numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
}
