use super::*;
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Default)]
struct Memory(BTreeMap<String, String>);

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

    fn read(&mut self, path: &str) -> Result<String, String> {
        self.0.get(path).cloned().ok_or_else(|| "gone".into())
    }

    fn write(&mut self, path: &str, text: &str) -> Result<(), String> {
        self.0.insert(path.into(), text.into());
        Ok(())
    }

    fn list(&mut self, path: &str) -> Result<String, String> {
        Ok(format!("{path}\n{path}/f\n"))
    }
}

fn call(editor: &mut Editor, files: &mut Memory, arguments: Value) -> String {
    editor.run(&Edit::parse(&arguments).unwrap(), files)
}

#[test]
fn edits_are_shown_as_the_original_shows_them() {
    let mut files = Memory::default();
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
    assert_eq!(files.0["/w/f"], text);
}

#[test]
fn mistakes_are_told_in_the_words_of_each() {
    let mut files = Memory([("/w/f".to_string(), "a\nb\na\n".to_string())].into());
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
            "ERROR:\nInvalid `view_range` parameter: [9, 12]. Its first element `9` should be within the range of lines of the file: [1, 4].",
        ),
        (
            json!({"command": "insert", "path": "/w/f", "insert_line": 7, "new_str": "x"}),
            "Invalid `insert_line` parameter: 7. It should be within the range of lines of the file: [0, 4]",
            "ERROR:\nInvalid `insert_line` parameter: 7. It should be within the range of allowed values: [0, 4]",
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
    assert_eq!(files.0["/w/f"], "a\nb\na\n");
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
    let mut files = Memory([("/f".to_string(), "x".repeat(200_000))].into());
    for (style, most) in [(Style::SweAgent, 16_000), (Style::OpenHands, 100_000)] {
        let shown = call(&mut Editor::new(style), &mut files, json!({"command": "view", "path": "/f"}));
        assert!(shown.contains("<response clipped><NOTE>") && shown.len() < most + 500);
    }
}

#[test]
fn openhands_shows_other_lines_around_an_edit() {
    let text: String = (1..=20).map(|n| format!("line {n}\n")).collect();
    let mut files = Memory([("/f".to_string(), text)].into());
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
}
