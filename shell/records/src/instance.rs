//! Instances: SWE-bench, SWE-smith and SWE-rebench rows as JSON lines.

use crate::{Error, from_json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::io::{BufRead, Read};

/// Longest line of a task file, in bytes.
const MAX_LINE_BYTES: u64 = 64 << 20;
/// Longest `instance_id`, in bytes: it names a folder.
const MAX_ID_BYTES: usize = 200;

/// A task: a repository at a commit, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Instance {
    /// Unique name.
    pub instance_id: String,
    /// `org/name`, a path, or a git URL.
    pub repo: String,
    /// The commit to work on.
    pub base_commit: String,
    /// What is wrong.
    pub problem_statement: String,
    /// Programming language, when the row says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Signatures that the hidden tests use (SWE-rebench V2), when the row says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The patch of the row, when it has one; [`Instance::patch_is`] tells what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// Whether `patch` makes the bug or fixes it.
    pub patch_is: PatchIs,
    /// Tests that a fix must turn.
    #[serde(rename = "FAIL_TO_PASS")]
    pub fail_to_pass: Vec<String>,
    /// Tests that a fix must not break.
    #[serde(rename = "PASS_TO_PASS")]
    pub pass_to_pass: Vec<String>,
    /// All other keys, as they came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What a row's `patch` does. SWE-smith stores the bug, SWE-bench the fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatchIs {
    /// It makes the bug.
    Bug,
    /// It fixes it.
    Fix,
}

/// Reads instances, a JSON object a line; empty lines are skipped. `origin` names the file in messages.
///
/// # Errors
/// A line is not an instance: the message names file, line, key and what was expected. No instance is read twice: a
/// second line with the same `instance_id` is an error that names both.
pub fn read_instances(input: impl Read, origin: &str) -> Result<Vec<Instance>, Error> {
    let mut input = std::io::BufReader::new(input);
    let mut instances = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for number in 1.. {
        let mut line = Vec::new();
        let read = input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
        if read.map_err(|e| Error::io(format!("reading {origin}"), e))? == 0 {
            break;
        }
        let at = |what: String| Error::Format(format!("{origin}:{number}: {what}"));
        if line.len() as u64 == MAX_LINE_BYTES {
            return Err(at(format!("longer than {MAX_LINE_BYTES} bytes")));
        }
        let text = std::str::from_utf8(&line).map_err(|e| at(format!("not UTF-8: {e}")))?;
        // Editors on Windows begin a file with a mark.
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            continue;
        }
        let row: Value = from_json(text.as_bytes()).map_err(|e| at(format!("not JSON: {e}")))?;
        let Value::Object(row) = row else {
            return Err(at(format!("expected a JSON object, found {}", kind(&row))));
        };
        let instance = instance(row).map_err(at)?;
        if let Some(first) = seen.insert(instance.instance_id.clone(), number) {
            return Err(at(format!("instance_id {:?} is in line {first} already", instance.instance_id)));
        }
        instances.push(instance);
    }
    if instances.is_empty() {
        return Err(Error::Format(format!(
            "{origin}: expected at least one instance, a JSON object a line; found none"
        )));
    }
    Ok(instances)
}

fn instance(mut row: Map<String, Value>) -> Result<Instance, String> {
    let instance_id = required(&mut row, "instance_id")?;
    check_id(&instance_id)?;
    let repo = required(&mut row, "repo")?;
    Ok(Instance {
        base_commit: required(&mut row, "base_commit")?,
        problem_statement: required(&mut row, "problem_statement")?,
        language: optional(&mut row, "language")?,
        interface: optional(&mut row, "interface")?,
        patch: optional(&mut row, "patch")?,
        patch_is: patch_is(&mut row, &repo)?,
        fail_to_pass: tests(&mut row, "FAIL_TO_PASS")?,
        pass_to_pass: tests(&mut row, "PASS_TO_PASS")?,
        instance_id,
        repo,
        extra: row,
    })
}

/// Whether a path may be made of an `instance_id`; if not, what is wrong.
pub(crate) fn check_id(id: &str) -> Result<(), String> {
    let odd = |c: char| c == '/' || c == '\\' || c.is_control();
    if id.trim().is_empty() || id.contains(odd) || id.starts_with('.') || id.len() > MAX_ID_BYTES {
        let shown: String = id.chars().take(MAX_ID_BYTES).collect();
        return Err(format!(
            "instance_id: expected a name that can be a file's, of at most {MAX_ID_BYTES} bytes, found {shown:?}"
        ));
    }
    Ok(())
}

fn required(row: &mut Map<String, Value>, key: &str) -> Result<String, String> {
    match row.remove(key) {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
        Some(Value::String(_)) => Err(format!("{key}: expected a text, found an empty one")),
        Some(other) => Err(format!("{key}: expected a text, found {}", kind(&other))),
        None => Err(format!("{key}: expected a text, found no such key")),
    }
}

fn optional(row: &mut Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    match row.remove(key) {
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Null) | None => Ok(None),
        Some(other) => Err(format!("{key}: expected a text, found {}", kind(&other))),
    }
}

/// A list of tests, or the JSON text of one, as SWE-bench's own files have it.
fn tests(row: &mut Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    let expected = |found: &str| format!("{key}: expected a list of test names, found {found}");
    let list = match row.remove(key) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(text)) => {
            serde_json::from_str(&text).map_err(|_| expected("a text that is not one"))?
        }
        Some(other) => other,
    };
    let Value::Array(items) = list else { return Err(expected(kind(&list))) };
    let name = |(number, item): (usize, Value)| match item {
        Value::String(name) => Ok(name),
        other => Err(expected(&format!("{} as item {number}", kind(&other)))),
    };
    (1..).zip(items).map(name).collect()
}

fn patch_is(row: &mut Map<String, Value>, repo: &str) -> Result<PatchIs, String> {
    if let Some(said) = row.remove("patch_is") {
        return serde_json::from_value(said.clone())
            .map_err(|_| format!("patch_is: expected \"bug\" or \"fix\", found {said}"));
    }
    // Without the key the format decides: these three are SWE-smith's.
    let smith_image =
        row.get("image_name").and_then(Value::as_str).is_some_and(|i| i.starts_with("swebench/swesmith"));
    let smith = smith_image || row.contains_key("strategy") || repo.starts_with("swesmith/");
    Ok(if smith { PatchIs::Bug } else { PatchIs::Fix })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"instance_id":"a__b-1","repo":"a/b","base_commit":"c0ffee","problem_statement":"p","version":"1.0","FAIL_TO_PASS":"[\"t1\"]","PASS_TO_PASS":["t2"]}"#;

    fn error(text: &str) -> String {
        read_instances(text.as_bytes(), "tasks.jsonl").unwrap_err().to_string()
    }

    #[test]
    fn rows_are_read_and_unknown_keys_are_kept() {
        let instances = read_instances(format!("\n{ROW}\n\n").as_bytes(), "t").unwrap();
        assert_eq!(instances[0].fail_to_pass, ["t1"]);
        assert_eq!(instances[0].pass_to_pass, ["t2"]);
        assert_eq!(instances[0].extra["version"], "1.0");
        assert_eq!(instances[0].patch_is, PatchIs::Fix);
    }

    #[test]
    fn a_broken_line_names_file_line_and_key() {
        assert!(
            error(&format!("{ROW}\n{{\"instance_id\": \"x\"\n")).starts_with("tasks.jsonl:2: not JSON: ")
        );
        assert_eq!(
            error(&ROW.replace("\"repo\":\"a/b\",", "")),
            "tasks.jsonl:1: repo: expected a text, found no such key"
        );
        assert_eq!(
            error(&ROW.replace("\"a/b\"", "7")),
            "tasks.jsonl:1: repo: expected a text, found a number"
        );
        assert_eq!(error("[1]"), "tasks.jsonl:1: expected a JSON object, found a list");
        assert!(
            error(&ROW.replace("\"[\\\"t1\\\"]\"", "\"oops\""))
                .contains("FAIL_TO_PASS: expected a list of test names")
        );
        assert_eq!(
            error(&ROW.replace("[\"t2\"]", "[\"t2\",1]")),
            "tasks.jsonl:1: PASS_TO_PASS: expected a list of test names, found a number as item 2"
        );
        assert!(error(&ROW.replace("[\"t2\"]", "{}")).ends_with("test names, found an object"));
        assert!(error(&ROW.replace("a__b-1", "../x")).contains("instance_id: expected a name"));
        assert!(error(&ROW.replace("a__b-1", &"x".repeat(201))).contains("at most 200 bytes"));
        assert!(error("\n").contains("at least one instance"));
    }

    #[test]
    fn files_of_other_tools_are_read() {
        let row = ROW.replace("\"p\"", r#""p\ud800""#);
        let instances = read_instances(format!("\u{feff}{row}\r\n").as_bytes(), "t").unwrap();
        assert_eq!(instances[0].problem_statement, "p\u{fffd}");
    }

    #[test]
    fn a_second_row_of_the_same_name_names_both_lines() {
        assert_eq!(
            error(&format!("{ROW}\n\n{ROW}")),
            "tasks.jsonl:3: instance_id \"a__b-1\" is in line 1 already"
        );
    }

    #[test]
    fn the_sign_of_a_patch_is_decided_by_the_format() {
        let smith = ROW.replace("\"a/b\"", "\"swesmith/a__b.12345678\"");
        assert_eq!(read_instances(smith.as_bytes(), "t").unwrap()[0].patch_is, PatchIs::Bug);
        let said = ROW.replace("{\"instance_id\"", "{\"patch_is\":\"bug\",\"instance_id\"");
        assert_eq!(read_instances(said.as_bytes(), "t").unwrap()[0].patch_is, PatchIs::Bug);
        assert!(error(&said.replace("\"bug\"", "\"feature\"")).contains("patch_is: expected"));
    }
}
