use super::*;
use crate::Message;
use serde_json::json;

fn read(value: Value) -> Vec<(String, Option<Seen>)> {
    let steps = recording(value, "t".into()).unwrap().steps;
    steps.into_iter().map(|s| (s.action.text().to_string(), s.seen)).collect()
}

fn seen(output: &str, exit_code: Option<i32>) -> Option<Seen> {
    Some(Seen { output: output.into(), exit_code, is_cut: false })
}

#[test]
fn mini_swe_agent_1_and_2_are_read() {
    let one = json!({"messages": [
        {"role": "system", "content": "s"}, {"role": "user", "content": "u"},
        {"role": "assistant", "content": "```bash\nls\n```"},
        {"role": "user", "content": "<returncode>2</returncode>\n<output>\nno\n</output>"},
        {"role": "assistant", "content": "```bash\npwd\n```"},
        {"role": "user", "content": "Observation: /w"},
    ], "instance_id": "i"});
    assert_eq!(read(one.clone()), [("ls".into(), seen("no", Some(2))), ("pwd".into(), seen("/w", None))]);
    assert_eq!(recording(one, "t".into()).unwrap().instance_id.as_deref(), Some("i"));
    let call = |id: &str, script: &str| json!({"id": id, "function": {"name": "bash", "arguments": format!("{{\"command\":\"{script}\"}}")}});
    let two = json!([
        {"role": "assistant", "content": null, "tool_calls": [call("a", "ls"), call("b", "id")],
         "extra": {"actions": [{"command": "ls"}, {"command": "id"}]}},
        {"role": "tool", "tool_call_id": "b", "content": "cut <output_head>", "extra": {"raw_output": "all", "returncode": 1}},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "<output>x</output>"}]},
    ]);
    assert_eq!(read(two), [("ls".into(), seen("x", None)), ("id".into(), seen("all", Some(1)))]);
}

#[test]
fn the_words_of_every_harness_are_no_output() {
    let answer = |content: &str| {
        read(json!([{"role": "assistant", "content": "```bash\nls\n```"}, {"role": "user", "content": content}])).remove(0).1
    };
    for (content, output, code) in [
        ("Observation: a\n\n[command timed out]", "a", Some(124)),
        ("OBSERVATION:\nYour command ran successfully and did not produce any output.", "", None),
        (
            "EXECUTION RESULT of [execute_bash]:\na\n[The command completed with exit code 2.]\n[Current working directory: /]",
            "a",
            Some(2),
        ),
        ("[The command completed with exit code 130. CTRL+C was sent.]", "", Some(130)),
        ("[The command completed with exit code x", "[The command completed with exit code x", None),
    ] {
        assert_eq!(answer(content), seen(output, code), "{content}");
    }
    assert!(answer("Observation: a\n\n... (output truncated, 1 chars elided) ...\n\nb").unwrap().is_cut);
}

#[test]
fn swe_agents_own_commands_are_tools() {
    let value = json!({"trajectory": [
        {"action": "ls -F\n", "observation": "a\r\nb", "extra_info": {"exit_code": 0}},
        {"action": "str_replace_editor view /f", "observation": "x"},
        {"action": "", "observation": "exit"},
    ], "history": []});
    let recording = recording(value, "t".into()).unwrap();
    assert_eq!(recording.steps[0].action, Acted::Script("ls -F".into()));
    assert_eq!(recording.steps[0].seen, seen("a\nb", Some(0)));
    assert!(matches!(&recording.steps[1].action, Acted::Tool { name, .. } if name == "str_replace_editor"));
    assert_eq!(recording.steps.len(), 3);
}

#[test]
fn openhands_observations_find_their_cause() {
    let events = json!([
        {"id": 1, "action": "message", "args": {"content": "hello"}},
        {"id": 2, "action": "run", "args": {"command": "ls"}},
        {"id": 3, "action": "edit", "args": {"command": "view", "path": "/f"}},
        {"id": 4, "observation": "edit", "cause": 3, "content": "shown", "extras": {}},
        {"id": 5, "observation": "run", "cause": 2, "content": "a\r\n", "extras": {"metadata": {"exit_code": 1}}},
    ]);
    let expected =
        [("ls".to_string(), seen("a\n", Some(1))), ("edit view /f".to_string(), seen("shown", None))];
    assert_eq!(read(events.clone()), expected);
    assert_eq!(read(json!({"instance_id": "i", "history": [events]})), expected);
}

#[test]
fn files_are_found_and_unpacked_and_faults_name_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let row = json!({"messages": [{"role": "assistant", "content": "```bash\nls\n```"}]}).to_string();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, row.as_bytes()).unwrap();
    fs::write(dir.path().join("a/b/x.traj.json.gz"), packed.finish().unwrap()).unwrap();
    fs::write(dir.path().join("a/output.jsonl"), format!("{row}\n\n{row}\n")).unwrap();
    fs::write(dir.path().join("a/notes.json"), "{}").unwrap();
    let files = recording_files(dir.path()).unwrap();
    let mut origins = Vec::new();
    files.iter().for_each(|f| {
        read_recordings(f, |r| origins.push(r.map(|r| (r.origin, r.steps.len())).unwrap())).unwrap()
    });
    assert_eq!(origins.len(), 3);
    assert!(origins[2].0.ends_with("a/output.jsonl:3") && origins.iter().all(|(_, n)| *n == 1));
    let bad = dir.path().join("bad.jsonl");
    fs::write(&bad, format!("{{}}\n{row}\n\n{{\n{{\"messages\": []}}\n{row}")).unwrap();
    let mut found = Vec::new();
    let end = |path: &str| path.rsplit_once('/').unwrap().1.chars().take(24).collect::<String>();
    let mut each = |r: Result<Recording, Error>| {
        found.push(r.map(|r| end(&r.origin)).map_err(|e| end(&e.to_string())));
    };
    read_recordings(&bad, &mut each).unwrap();
    let fault = |text: &str| Err(text.to_string());
    let expected = [
        fault("bad.jsonl:1: expected a "),
        Ok("bad.jsonl:2".into()),
        fault("bad.jsonl:4: not JSON: E"),
        fault("bad.jsonl:5: expected a "),
        Ok("bad.jsonl:6".into()),
    ];
    assert_eq!(found, expected);
    assert!(recording_files(&dir.path().join("nowhere")).is_err());
}

#[test]
fn of_a_journal_each_rollout_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let messages = vec![Message::new("assistant", "```bash\nls\n```")];
    let line = |rollout, exit_status, messages: &[Message]| {
        let (schema, messages) = (Rollout::SCHEMA.into(), messages.to_vec());
        let rollout =
            Rollout { schema, instance_id: "i".into(), rollout, exit_status, messages, ..Rollout::default() };
        serde_json::to_string(&rollout).unwrap() + "\n"
    };
    let (errored, incomplete, submitted) =
        (ExitStatus::Errored, ExitStatus::Incomplete, ExitStatus::Submitted);
    let text = [
        line(0, errored, &[]),
        line(1, incomplete, &messages),
        "{\n".into(),
        line(0, submitted, &messages),
        line(1, errored, &messages),
        line(2, incomplete, &messages),
        line(2, submitted, &messages),
        line(3, errored, &messages),
        line(3, submitted, &messages).trim_end().into(),
    ];
    let path = dir.path().join(JOURNAL);
    fs::write(&path, text.concat()).unwrap();
    let mut found = Vec::new();
    read_recordings(&path, |r| {
        found.push(r.map(|r| r.origin.rsplit(':').next().unwrap().to_string()).map_err(|e| e.to_string()));
    })
    .unwrap();
    assert!(found.remove(1).is_err_and(|e| e.contains("journal.jsonl:3: not JSON")));
    assert_eq!(found, ["2", "4", "7", "8"].map(|number| Ok(number.to_string())));
}
