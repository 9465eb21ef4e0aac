//! Conversations of the real mini-swe-agent (1.17.5 and 2.4.6 with their SWE-bench configurations), held by its own
//! `DefaultAgent` over a model and an environment that say what `steps` says.

use super::*;
use sbx_runtime::Output;

fn seen(step: &Value) -> Observation {
    let timed_out = step == "timeout";
    let text = if timed_out { "partial\n" } else { step["output"].as_str().unwrap() };
    let code = if timed_out { 124 } else { step["returncode"].as_i64().unwrap() as i32 };
    Observation {
        outcome: if timed_out { Outcome::TimedOut } else { Outcome::Exited },
        exit_code: code,
        stdout: Output::whole(text),
        stderr: Output::default(),
        wall: Duration::ZERO,
        cpu: Duration::ZERO,
        max_rss_bytes: 0,
        limits_hit: vec![],
        denied: vec![],
        enforced: vec![],
        missing: vec![],
        killed: 0,
    }
}

fn instance(task: &str) -> Instance {
    let row = json!({"instance_id": "i", "repo": "r", "base_commit": "c", "problem_statement": task});
    sbx_records::read_instances(row.to_string().as_bytes(), "t").unwrap().remove(0)
}

/// Holds the conversation of a golden file; messages and what was submitted.
fn hold(mini: &Mini, golden: &Value, replies: &[(Message, Vec<Value>)]) -> (Vec<Message>, Option<String>) {
    let task = golden["task"].as_str().unwrap();
    let mut messages = mini.opening(&instance(task), &Policy::preset("whitelist").unwrap());
    for (reply, outputs) in replies {
        messages.push(reply.clone());
        let calls = mini.calls(reply);
        if calls.is_empty() {
            let answer = mini.no_call(reply, "stop", 1);
            if !answer.keeps_reply {
                messages.pop();
            }
            messages.push(answer.message);
        }
        for (call, output) in calls.iter().zip(outputs) {
            let seen = seen(output);
            if let Some(submission) = mini.submission(&seen) {
                return (messages, Some(submission));
            }
            messages.push(mini.observation(call, &seen));
        }
    }
    (messages, None)
}

fn compare(messages: &[Message], golden: &Value) {
    let expected = golden["messages"].as_array().unwrap();
    for (at, (own, theirs)) in messages.iter().zip(expected).enumerate() {
        assert_eq!(&serde_json::to_value(own).unwrap(), theirs, "message {at}");
    }
    assert_eq!(messages.len(), expected.len());
}

#[test]
fn the_first_generation_talks_byte_for_byte_like_the_original() {
    let golden: Value = serde_json::from_str(include_str!("golden-v1.json")).unwrap();
    let steps = golden["steps"].as_array().unwrap();
    let replies: Vec<_> = steps
        .iter()
        .map(|s| (Message::new("assistant", s["reply"].as_str().unwrap()), vec![s["out"].clone()]))
        .collect();
    let (messages, submission) = hold(&one(None).unwrap(), &golden, &replies);
    compare(&messages, &golden);
    assert_eq!(submission.as_deref(), golden["submission"].as_str());
}

#[test]
fn the_second_generation_talks_byte_for_byte_like_the_original() {
    let golden: Value = serde_json::from_str(include_str!("golden-v2.json")).unwrap();
    let mini = two(None).unwrap();
    assert_eq!(mini.tools(&Policy::preset("whitelist").unwrap()).as_ref(), Some(&golden["tools"]));
    let steps = golden["steps"].as_array().unwrap();
    let replies: Vec<_> = steps
        .iter()
        .map(|s| {
            let tool_calls = Some(s["calls"].clone());
            let reply = Message { tool_calls, ..Message::new("assistant", s["content"].as_str().unwrap()) };
            (reply, s["outs"].as_array().unwrap().clone())
        })
        .collect();
    let (messages, submission) = hold(&mini, &golden, &replies);
    compare(&messages, &golden);
    assert_eq!(submission.as_deref(), golden["submission"].as_str());
}

#[test]
fn three_faults_in_a_row_end_the_second_generation_only() {
    let reply = Message::new("assistant", "no call");
    for (in_a_row, ends) in [(1, false), (2, false), (3, true)] {
        assert_eq!(two(None).unwrap().no_call(&reply, "stop", in_a_row).end.is_some(), ends);
        assert!(one(None).unwrap().no_call(&reply, "stop", in_a_row).end.is_none());
    }
}

#[test]
fn the_second_generation_can_speak_in_text() {
    let config = "agent:\n  system_template: s\n  instance_template: '{{task}}'\nmodel:\n  model_class: litellm_textbased\n";
    let mini = two(Some((config, "c.yaml"))).unwrap();
    let reply = Message::new("assistant", "x\n```mswea_bash_command\nls\n```");
    assert_eq!(mini.calls(&reply), [Call::script("ls")]);
    assert!(mini.tools(&Policy::preset("whitelist").unwrap()).is_none());
    let said = mini.no_call(&Message::new("assistant", "x"), "stop", 1).message.content;
    assert_eq!(said, "Please always provide EXACTLY ONE action in triple backticks, found 0 actions.");
}

#[test]
fn a_command_that_is_no_text_is_told_as_python_tells_it() {
    let harness = two(None).unwrap();
    for (command, what) in [(json!(5), "int"), (json!(null), "NoneType"), (json!(["ls"]), "list")] {
        let call = json!({"id": "c", "function": {"name": "bash", "arguments": json!({"command": command}).to_string()}});
        let reply = Message { tool_calls: Some(json!([call])), ..Message::new("assistant", "") };
        let [Call { act: Act::Say(said), .. }] = &harness.calls(&reply)[..] else { panic!("{what}") };
        let why = format!("expected str, bytes or os.PathLike object, not {what}");
        assert!(said.contains(&why) && said.contains("<returncode>-1</returncode>"), "{said}");
    }
}
