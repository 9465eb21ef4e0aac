use super::*;
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Default)]
struct Memory(BTreeMap<String, Vec<u8>>);

impl Memory {
    fn of<const N: usize>(files: [(&str, &[u8]); N]) -> Memory {
        Memory(files.map(|(path, bytes)| (path.to_string(), bytes.to_vec())).into())
    }
}

impl Files for Memory {
    fn kind(&mut self, path: &str) -> Result<Kind, String> {
        let inside = format!("{}/", path.trim_end_matches('/'));
        Ok(if self.0.contains_key(path) {
            Kind::File
        } else if self.0.keys().any(|k| k.starts_with(&inside)) {
            Kind::Directory
        } else {
            Kind::Nothing
        })
    }

    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| "gone".into())
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String> {
        self.0.insert(path.into(), bytes.into());
        Ok(())
    }

    fn list(&mut self, path: &str) -> Result<String, String> {
        Ok(format!("{path}\n{path}/f\n"))
    }

    fn list_marked(&mut self, path: &str) -> Result<(String, usize), String> {
        Ok((format!("{path}/\n{path}/f\n"), 2))
    }
}

fn call(editor: &mut Editor, files: &mut Memory, arguments: Value) -> String {
    editor.run(&Edit::parse(&arguments).unwrap(), files)
}

#[test]
fn edits_are_shown_as_the_original_shows_them() {
    let mut files = Memory::of([("/w/g", b"")]);
    let mut editor = Editor::new(Style::SweAgent);
    let text: String = (1..=12).map(|n| format!("line {n}\n")).collect();
    let created =
        call(&mut editor, &mut files, json!({"command": "create", "path": "/w/f", "file_text": text}));
    assert_eq!(created, "File created successfully at: /w/f");
    let replaced = call(
        &mut editor,
        &mut files,
        json!({"command": "str_replace", "path": "/w/f", "old_str": "line 6", "new_str": "six\n\tsix"}),
    );
    assert_eq!(
        replaced,
        "The file /w/f has been edited. Here's the result of running `cat -n` on a snippet of /w/f:\n\
         \x20    1\tline 1\n     2\tline 2\n     3\tline 3\n     4\tline 4\n     5\tline 5\n     6\tsix\n     7\t        six\n\
         \x20    8\tline 7\n     9\tline 8\n    10\tline 9\n\
         Review the changes and make sure they are as expected. Edit the file again if necessary."
    );
    let viewed =
        call(&mut editor, &mut files, json!({"command": "view", "path": "/w/f", "view_range": [12, -1]}));
    assert_eq!(
        viewed,
        "Here's the result of running `cat -n` on /w/f:\n    12\tline 11\n    13\tline 12\n    14\t\n"
    );
    let inserted = call(
        &mut editor,
        &mut files,
        json!({"command": "insert", "path": "/w/f", "insert_line": "0", "new_str": "top"}),
    );
    assert!(inserted.contains("a snippet of the edited file:\n     1\ttop\n     2\tline 1\n"), "{inserted}");
    for _ in 0..2 {
        let undone = call(&mut editor, &mut files, json!({"command": "undo_edit", "path": "/w/f"}));
        assert!(undone.starts_with("Last edit to /w/f undone successfully. Here's the result"), "{undone}");
    }
    assert_eq!(files.0["/w/f"], text.as_bytes());
}

#[test]
fn mistakes_are_told_in_the_words_of_each() {
    let mut files = Memory::of([("/w/f", b"a\nb\na\n")]);
    let cases = [
        (
            json!({"command": "view", "path": "w"}),
            "The path w is not an absolute path, it should start with `/`. Maybe you meant /w?",
            "ERROR:\nInvalid `path` parameter: w. The path should be an absolute path, starting with `/`.",
        ),
        (
            json!({"command": "view", "path": "/x"}),
            "The path /x does not exist. Please provide a valid path.",
            "ERROR:\nInvalid `path` parameter: /x. The path /x does not exist. Please provide a valid path.",
        ),
        (
            json!({"command": "create", "path": "/w/f", "file_text": ""}),
            "File already exists at: /w/f. Cannot overwrite files using command `create`.",
            "ERROR:\nInvalid `path` parameter: /w/f. File already exists at: /w/f. Cannot overwrite files using command `create`.",
        ),
        (
            json!({"command": "str_replace", "path": "/w/f", "old_str": "c", "new_str": "d"}),
            "No replacement was performed, old_str `c` did not appear verbatim in /w/f.",
            "ERROR:\nNo replacement was performed, old_str `c` did not appear verbatim in /w/f.",
        ),
        (
            json!({"command": "str_replace", "path": "/w/f", "old_str": "a", "new_str": "d"}),
            "No replacement was performed. Multiple occurrences of old_str `a` in lines [1, 3]. Please ensure it is unique",
            "ERROR:\nNo replacement was performed. Multiple occurrences of old_str `a` in lines [1, 3]. Please ensure it is unique.",
        ),
        (
            json!({"command": "view", "path": "/w/f", "view_range": [9, 12]}),
            "Invalid `view_range`: [9, 12]. Its first element `9` should be within the range of lines of the file: [1, 4]",
            "ERROR:\nInvalid `view_range` parameter: [9, 12]. Its first element `9` should be within the range of lines of the file: [1, 3].",
        ),
        (
            json!({"command": "insert", "path": "/w/f", "insert_line": 7, "new_str": "x"}),
            "Invalid `insert_line` parameter: 7. It should be within the range of lines of the file: [0, 4]",
            "ERROR:\nInvalid `insert_line` parameter: 7. It should be within the range of allowed values: [0, 3]",
        ),
        (
            json!({"command": "create", "path": "/w//x/./y", "file_text": "z"}),
            "The parent directory /w/x does not exist. Please create it first.",
            "ERROR:\nRan into [Errno 2] No such file or directory: '/w/x/y' while trying to write to /w/x/y",
        ),
        (
            json!({"command": "create", "path": "/w/", "file_text": "z"}),
            "File already exists at: /w. Cannot overwrite files using command `create`.",
            "ERROR:\nInvalid `path` parameter: /w. File already exists at: /w. Cannot overwrite files using command `create`.",
        ),
        (
            json!({"command": "str_replace", "path": "/w/f", "old_str": "a\n", "new_str": "a\n"}),
            "No replacement was performed. Multiple occurrences of old_str `a\n` in lines []. Please ensure it is unique",
            "ERROR:\nInvalid `new_str` parameter: a\n. No replacement was performed. `new_str` and `old_str` must be different.",
        ),
        (
            json!({"command": "str_replace", "path": "/w/f", "old_str": "", "new_str": "d"}),
            "No replacement was performed. Multiple occurrences of old_str `` in lines [1, 2, 3, 4]. Please ensure it is unique",
            "ERROR:\nNo replacement was performed. Multiple occurrences of old_str `` in lines [1, 2, 3, 4]. Please ensure it is unique.",
        ),
        (
            json!({"command": "view", "path": "/w", "view_range": [1, 2]}),
            "The `view_range` parameter is not allowed when `path` points to a directory.",
            "ERROR:\nInvalid `view_range` parameter: [1, 2]. The `view_range` parameter is not allowed when `path` points to a directory.",
        ),
        (
            json!({"command": "undo_edit", "path": "/w/f"}),
            "No edit history found for /w/f.",
            "ERROR:\nNo edit history found for /w/f.",
        ),
    ];
    for (arguments, swe_agent, openhands) in cases {
        for (style, expected) in [(Style::SweAgent, swe_agent), (Style::OpenHands, openhands)] {
            assert_eq!(call(&mut Editor::new(style), &mut files, arguments.clone()), expected);
        }
    }
    assert_eq!(files.0["/w/f"], b"a\nb\na\n");
}

#[test]
fn arguments_of_another_kind_are_refused() {
    for (arguments, expected) in [
        (json!([]), "expected the arguments"),
        (json!({"path": "/f"}), "missing: command"),
        (json!({"command": "view", "path": 7}), "'path' is expected to be a string"),
        (json!({"command": "view", "path": "/f", "view_range": "x"}), "array of integers"),
        (json!({"command": "view", "path": "/f", "colour": 1}), "Unexpected argument(s): colour"),
    ] {
        let error = Edit::parse(&arguments).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let edit = Edit::parse(&json!({"command": "view", "path": "/f", "view_range": "[1, 2]"})).unwrap();
    assert_eq!(edit.view_range, Some(vec![1, 2]));
}

#[test]
fn a_long_file_is_clipped() {
    let mut files = Memory::of([("/f", "x".repeat(200_000).as_bytes())]);
    for style in [Style::SweAgent, Style::OpenHands] {
        let shown = call(&mut Editor::new(style), &mut files, json!({"command": "view", "path": "/f"}));
        assert!(shown.contains("<response clipped><NOTE>") && (16_000..16_500).contains(&shown.len()));
        assert!(shown.contains("only part of this file has been shown to you. You should retry this tool"));
    }
}

#[test]
fn openhands_shows_other_lines_around_an_edit() {
    let text: String = (1..=20).map(|n| format!("line {n}\n")).collect();
    let mut files = Memory::of([("/f", text.as_bytes())]);
    let mut editor = Editor::new(Style::OpenHands);
    let replaced = call(
        &mut editor,
        &mut files,
        json!({"command": "str_replace", "path": "/f", "old_str": "line 9\n", "new_str": "nine\n"}),
    );
    let shown: Vec<&str> = replaced.lines().collect();
    assert_eq!(
        (shown[1], shown[shown.len() - 3], shown[shown.len() - 2]),
        ("     6\tline 6", "    14\tline 14", "    15\t")
    );
    let inserted = call(
        &mut editor,
        &mut files,
        json!({"command": "insert", "path": "/f", "insert_line": 9, "new_str": "new"}),
    );
    let shown: Vec<&str> = inserted.lines().collect();
    assert_eq!((shown[1], shown[5], shown[shown.len() - 2]), ("     6\tline 6", "    10\tnew", "    15\t"));
    assert_eq!(
        shown[0],
        "The file /f has been edited. Here's the result of running `cat -n` on a snippet of the edited file:"
    );
    let viewed =
        call(&mut editor, &mut files, json!({"command": "view", "path": "/f", "view_range": [21, 30]}));
    assert_eq!(
        viewed,
        "NOTE: We only show up to 21 since there're only 21 lines in this file.\n\
         Here's the result of running `cat -n` on /f:\n    21\tline 20\n"
    );
    let listed = call(&mut editor, &mut files, json!({"command": "view", "path": "/"}));
    assert!(
        listed.ends_with(
            "//\n//f\n\n2 hidden files/directories in this directory are excluded. You can use 'ls -la /' to see them."
        ),
        "{listed}"
    );
}

#[test]
fn blanks_that_were_shown_for_tabs_are_understood_and_other_tabs_stay() {
    let mut files = Memory::of([("/f", b"if a {\n\tb\n\tc\t= 1\n\td\n}\n")]);
    let mut editor = Editor::new(Style::SweAgent);
    let edit = json!({"command": "str_replace", "path": "/f", "old_str": "b\n        c       =", "new_str": "e\n        f ="});
    let said = call(&mut editor, &mut files, edit);
    assert!(said.contains("     2\t        e\n     3\t        f = 1\n     4\t        d\n"), "{said}");
    assert_eq!(files.0["/f"], b"if a {\n\te\n        f = 1\n\td\n}\n");
}

#[test]
fn a_file_keeps_its_line_ends_and_its_encoding() {
    for style in [Style::SweAgent, Style::OpenHands] {
        let mut files = Memory::of([("/f", b"a\r\nb\r\ncaf\xe9\r\n"), ("/bin", b"\0\xff")]);
        let mut editor = Editor::new(style);
        let mut say = |arguments: Value| call(&mut editor, &mut files, arguments);
        assert!(
            say(json!({"command": "view", "path": "/f"}))
                .contains("     1\ta\n     2\tb\n     3\tcaf\u{e9}\n")
        );
        say(json!({"command": "str_replace", "path": "/f", "old_str": "a\nb", "new_str": "\u{fc}\nc"}));
        say(json!({"command": "insert", "path": "/f", "insert_line": 1, "new_str": "d\ne"}));
        let refused =
            say(json!({"command": "insert", "path": "/f", "insert_line": 1, "new_str": "\u{65e5}"}));
        assert!(refused.contains("Ran into 'latin-1' codec can't encode character '\\u65e5'"), "{refused}");
        let binary = say(json!({"command": "view", "path": "/bin"}));
        assert_eq!(binary.contains("File appears to be binary"), style == Style::OpenHands, "{binary}");
        assert_eq!(files.0["/f"], b"\xfc\r\nd\r\ne\r\nc\r\ncaf\xe9\r\n");
        for _ in 0..2 {
            call(&mut editor, &mut files, json!({"command": "undo_edit", "path": "/f"}));
        }
        assert_eq!(files.0["/f"], b"a\r\nb\r\ncaf\xe9\r\n");
    }
}
