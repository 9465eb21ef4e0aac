//! What the editor says, in the words of the two originals: SWE-agent's `edit_anthropic` tool (1.1) and `openhands-aci`.

use super::Style;

/// Characters of a file that are shown at most, with the note that follows.
const MAX_SHOWN: [(usize, &str); 2] = [
    (
        16_000,
        "<response clipped><NOTE>To save on context only part of this file has been shown to you. You should retry this \
         tool after you have searched inside the file with `grep -n` in order to find the line numbers of what you are \
         looking for.</NOTE>",
    ),
    (
        100_000,
        "<response clipped><NOTE>Due to the max output limit, only part of the full response has been shown to you.</NOTE>",
    ),
];
/// Columns of a tab where SWE-agent shows one.
const TAB: usize = 8;

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

    pub(super) fn range_of_directory(self) -> String {
        let why = "The `view_range` parameter is not allowed when `path` points to a directory.";
        why.to_string()
    }

    pub(super) fn directory(self, path: &str, list: &str) -> String {
        let head = format!(
            "Here's the files and directories up to 2 levels deep in {path}, excluding hidden items:\n"
        );
        let list = list.trim_end_matches('\n');
        if self.is_swe_agent() { format!("{head}{list}\n") } else { format!("{head}{list}") }
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

    pub(super) fn many(self, old: &str, lines: &[usize]) -> String {
        let numbers: Vec<i64> = lines.iter().map(|n| *n as i64).collect();
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

    pub(super) fn inserted(self, path: &str) -> String {
        if self.is_swe_agent() {
            "a snippet of the edited file".into()
        } else {
            format!("a snippet of {path}")
        }
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

    /// Lines `first` to before `end`; OpenHands shows the line break after the last as an empty line.
    pub(super) fn snippet(self, lines: &[&str], first: usize, end: usize) -> String {
        if self.is_swe_agent() {
            // What follows the last line break is no line here.
            let count = lines.len() - usize::from(lines.len() > first + 1 && lines.last() == Some(&""));
            return lines[first..end.min(count)].join("\n");
        }
        let snippet = lines[first..end.min(lines.len())].join("\n");
        if end >= lines.len() { snippet } else { snippet + "\n" }
    }

    /// The lines with their numbers, as `cat -n` would print them.
    pub(super) fn numbered(self, text: &str, what: &str, first: usize) -> String {
        let text = self.clip(text);
        let lines = text.split('\n').enumerate().map(|(n, line)| {
            let line = if self.is_swe_agent() { expand(line) } else { line.to_string() };
            format!("{:6}\t{line}", n + first)
        });
        format!(
            "Here's the result of running `cat -n` on {what}:\n{}\n",
            lines.collect::<Vec<_>>().join("\n")
        )
    }

    fn clip(self, text: &str) -> String {
        let (most, note) = MAX_SHOWN[usize::from(!self.is_swe_agent())];
        match text.char_indices().nth(most) {
            None => text.to_string(),
            Some((end, _)) => format!("{}{note}", &text[..end]),
        }
    }
}

/// A list as Python prints it.
fn list(numbers: &[i64]) -> String {
    format!("[{}]", numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
}

/// Tabs as blanks, as Python's `expandtabs`.
fn expand(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut column = 0;
    for c in line.chars() {
        if c == '\t' {
            let blanks = TAB - column % TAB;
            out.extend(std::iter::repeat_n(' ', blanks));
            column += blanks;
        } else {
            out.push(c);
            column += 1;
        }
    }
    out
}
