use super::*;

fn call(harness: &OpenHands, name: &str, arguments: Value) -> Result<Call, Fault> {
    let calls = json!([{"id": "c1", "function": {"name": name, "arguments": arguments.to_string()}}]);
    let reply = Message { tool_calls: Some(calls), ..Message::new("assistant", "") };
    harness.read(&reply).map(|mut calls| calls.remove(0))
}

fn default() -> OpenHands {
    OpenHands::new(None).unwrap()
}

#[test]
fn every_tool_of_its_own_list_is_understood() {
    let harness = default();
    let names: Vec<String> = harness
        .tools
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["function"]["name"].as_str().unwrap().into())
        .collect();
    assert_eq!(names, ["execute_bash", "think", "finish", "str_replace_editor", "task_tracker"]);
    let arguments = json!({"command": "view", "path": "/f", "thought": "x", "message": "m", "task_list": []});
    for name in names {
        let arguments = if name == "str_replace_editor" {
            json!({"command": "view", "path": "/f"})
        } else {
            arguments.clone()
        };
        assert_eq!(call(&harness, &name, arguments).unwrap().tool, name);
    }
    let input = call(&harness, "execute_bash", json!({"command": "x", "is_input": "true", "timeout": "2.5"}))
        .unwrap();
    let expected = Input { command: "x".into(), is_input: true, time: Some(Duration::from_millis(2500)) };
    assert_eq!(input.act, Act::Type(expected));
}

#[test]
fn mistakes_are_told_by_the_user() {
    let harness = default();
    let calls = json!([{"id": "c9", "function": {"name": "execute_bash", "arguments": "{}"}}]);
    let reply = Message { tool_calls: Some(calls), ..Message::new("assistant", "") };
    assert!(harness.calls(&reply).is_empty());
    let answer = harness.no_call(&reply, "tool_calls", 1);
    assert!(answer.keeps_reply && answer.drops_calls);
    assert_eq!((answer.message.role.as_str(), answer.message.tool_call_id), ("user", None));
    assert_eq!(
        answer.message.content,
        "Missing required argument \"command\" in tool call execute_bash\n[Error occurred in processing last action]"
    );
    assert!(
        matches!(call(&harness, "browser", json!({})), Err(Fault::Arguments(why)) if why.contains("Tool browser is not registered"))
    );
    assert!(matches!(
        call(&harness, "execute_bash", json!({"command": "x", "timeout": "soon"})),
        Err(Fault::Arguments(_))
    ));
    let words = Message::new("assistant", "I am done.");
    assert!(harness.no_call(&words, "stop", 1).message.content.starts_with("Please continue working"));
    assert!(harness.no_call(&words, "stop", 2).message.content.ends_with("finish the interaction.\n"));
    assert!(harness.no_call(&words, "stop", 5).end.is_some());
}

#[test]
fn a_terminals_answer_tells_directory_and_status() {
    let harness = default();
    let bash = call(&harness, "execute_bash", json!({"command": "ls"})).unwrap();
    let message = harness.said(&bash, "/workspace/repo", "f\n[The command completed with exit code 0.]");
    assert_eq!(
        message.content,
        "f\n[The command completed with exit code 0.]\n[Current working directory: /workspace/repo]\n[Command finished with exit code 0]"
    );
    assert_eq!((message.role.as_str(), message.name.as_deref()), ("tool", Some("execute_bash")));
    let running = harness.said(&bash, "/w", "f\n[The command has no new output after 10 seconds. You may]");
    assert!(running.content.ends_with("[Current working directory: /w]"));
    let long = harness.said(&bash, "/w", &"x".repeat(40_000));
    assert!(
        long.content.contains("\n[... Observation truncated due to length ...]\n")
            && long.content.len() < 30_100
    );
}

#[test]
fn models_without_tool_calls_write_them_into_the_text() {
    let harness = OpenHands::new(Some(("native_tool_calling: false", "c.yaml"))).unwrap();
    let instance = sbx_records::read_instances(
        &br#"{"instance_id":"i","repo":"a/b","base_commit":"c0ffee","problem_statement":"It breaks.","language":"Rust"}"#[..],
        "t",
    );
    let opening = harness.opening(&instance.unwrap()[0], &Policy::preset("whitelist").unwrap());
    assert!(
        opening[0]
            .content
            .contains("---- BEGIN FUNCTION #1: execute_bash ----\nDescription: Execute a bash command")
    );
    assert!(opening[0].content.contains("(1) command (string, required): The bash command to execute."));
    assert!(opening[1].content.contains("<issue_description>\nIt breaks.\n</issue_description>"));
    assert!(opening[1].content.contains("I've uploaded a Rust code repository in the directory repo."));
    assert!(harness.tools(&Policy::preset("whitelist").unwrap()).is_none());
    assert_eq!(harness.request()["stop"], json!(["</function"]));
    let reply = Message::new("assistant", "<function=execute_bash>\n<parameter=command>ls</parameter>\n");
    let calls = harness.calls(&reply);
    let answer = harness.said(&calls[0], "/w", "f");
    assert!(answer.content.starts_with("EXECUTION RESULT of [execute_bash]:\nf\n"));
    assert_eq!(answer.role, "user");
}

#[test]
fn what_the_stop_word_takes_off_a_reply_is_given_back() {
    let harness = OpenHands::new(Some(("native_tool_calling: false", "c.yaml"))).unwrap();
    let completed = |harness: &OpenHands, text: &str| {
        let mut reply = Message::new("assistant", text);
        harness.complete(&mut reply);
        reply.content
    };
    let whole = "I look.\n<function=execute_bash>\n<parameter=command>ls</parameter>\n</function>";
    for end in ["</function>", "</function", "</", "\n", ""] {
        assert_eq!(completed(&harness, &whole.replace("</function>", end)), whole, "{end:?}");
    }
    for text in ["no call", "<function=execute_bash>\n<parameter=command>cut", "<function=a><function=b>"] {
        assert_eq!(completed(&harness, text), text);
    }
    let open = whole.replace("</function>", "");
    assert_eq!(completed(&default(), &open), open);
}

#[test]
fn a_mistake_in_a_configuration_names_the_key() {
    for (text, expected) in [
        ("tusk: x", "unknown field `tusk`"),
        ("task: '{{ x'", "task: "),
        ("workspace: here", "workspace: expected an absolute path"),
    ] {
        let error = OpenHands::new(Some((text, "c.yaml"))).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_task_list_is_kept_as_the_originals_file() {
    let harness = default();
    let list = json!([{"id": "1", "title": "Look", "status": "done", "notes": "all of it"}, {"title": "Fix", "status": "in_progress"}, {}]);
    let Act::Note { list, said } =
        call(&harness, "task_tracker", json!({"command": "plan", "task_list": list})).unwrap().act
    else {
        panic!("a note")
    };
    assert_eq!(list, "# Task List\n\n1. ✅ Look\nall of it\n2. 🔄 Fix\n\n3. ⏳ Untitled task\n\n");
    assert!(said.starts_with("Task list has been updated with 3 items."));
    for (arguments, words) in [
        (json!({"command": "plan", "task_list": {}}), "Expected a list but got <class 'dict'>."),
        (json!({"command": "plan", "task_list": ["x"]}), "task_list: <class 'str'>. Each task shoud be"),
        (json!({"command": "plan"}), "Missing required argument \"task_list\""),
    ] {
        let Err(Fault::Arguments(why)) = call(&harness, "task_tracker", arguments) else { panic!("a fault") };
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn the_last_release_has_words_and_tools_of_its_own() {
    let harness = OpenHands::new(Some(("version: \"0.59\"", "c.yaml"))).unwrap();
    let tools = harness.tools.as_array().unwrap();
    let bash = &tools[0]["function"];
    assert_eq!(bash["parameters"]["required"], json!(["command", "security_risk"]));
    assert_eq!(tools[3]["function"]["name"], "task_tracker");
    assert!(
        harness.system.contains("<TASK_TRACKING_PERSISTENCE>")
            && harness.system.contains("<SECURITY_RISK_ASSESSMENT>")
    );
    let instance = json!({"problem_statement": "It fails.", "base_commit": "abc", "language": "Python"});
    let task = harness.task(&instance).unwrap();
    assert!(task.contains("FINAL REVIEW") && task.contains("It fails.") && task.contains("abc"), "{task}");
    let input = call(&harness, "execute_bash", json!({"command": "ls", "security_risk": "LOW"})).unwrap();
    assert!(matches!(input.act, Act::Type(_)));
    let error = OpenHands::new(Some(("version: 1", "c.yaml"))).unwrap_err();
    assert!(error.contains("c.yaml: version"), "{error}");
}
