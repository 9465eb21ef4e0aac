//! Rollouts with the harnesses that have an editor and one bash for all actions.

use super::*;

fn call(name: &str, arguments: serde_json::Value) -> String {
    format!("I go on.\n\n```call\n{}\n```", serde_json::json!({"name": name, "arguments": arguments}))
}

async fn one_with(world: &World, harness: &str, replies: Vec<String>) -> (Rollout, Vec<serde_json::Value>) {
    let script = Script { rollouts: vec![Turns { replies }] };
    let server = ScriptedServer::start(script).await.unwrap();
    let mut options = world.options(server.base_url(), 1);
    options.harness = harness.into();
    run(options, &Ears::default()).await.unwrap();
    (world.journal().remove(0), server.requests())
}

fn edit(path: &str) -> String {
    let arguments =
        serde_json::json!({"command": "str_replace", "path": path, "old_str": "one", "new_str": "two"});
    call("str_replace_editor", arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn swe_agent_edits_reviews_and_submits() {
    let world = World::new();
    let submit = call("submit", serde_json::json!({}));
    let replies = vec![
        reply("cd /tmp; n=5; if true; echo $("),
        reply("export N=7; cd /; pwd"),
        reply("echo $N; pwd"),
        edit("/testbed/file.txt"),
        edit("/testbed/nowhere"),
        submit.clone(),
        submit,
    ];
    let (rollout, requests) = one_with(&world, "swe-agent", replies).await;
    assert_eq!(rollout.exit_status, ExitStatus::Submitted, "{}", rollout.exit_status_detail);
    assert!(rollout.submission.contains("+two") && rollout.patch == rollout.submission);
    let seen: Vec<&str> =
        rollout.messages.iter().filter(|m| m.role == "tool").map(|m| m.content.as_str()).collect();
    // The first was not well formed and left the conversation.
    assert_eq!(&seen[..2], ["OBSERVATION:\n/", "OBSERVATION:\n7\n/"]);
    assert!(seen[2].starts_with("OBSERVATION:\nThe file /testbed/file.txt has been edited."), "{}", seen[2]);
    assert!(seen[3].contains("/testbed/nowhere does not exist"));
    assert!(seen[4].starts_with("OBSERVATION:\nThank you for your work") && seen[4].contains("+two"));
    assert_eq!(requests[0]["tools"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_replies_are_asked_about_again_and_not_kept() {
    let world = World::new();
    let submit = call("submit", serde_json::json!({}));
    let replies = vec!["No tool call at all.".into(), reply("vim file.txt"), submit];
    let (rollout, requests) = one_with(&world, "swe-agent", replies).await;
    assert_eq!(rollout.exit_status, ExitStatus::Submitted, "{}", rollout.exit_status_detail);
    let asked = |text: &str| requests.iter().any(|r| r["messages"].to_string().contains(text));
    assert!(asked("did not use any tool calls") && asked("Operation 'vim file.txt' is not supported"));
    // Each time only the last failure is shown, as text: the original's next request has no tool call of it.
    let last_three = |n: usize| {
        let messages = requests[n]["messages"].as_array().unwrap();
        messages[2..]
            .iter()
            .map(|m| (m["role"].as_str().unwrap(), m.get("tool_calls").is_some()))
            .collect::<Vec<_>>()
    };
    for n in [1, 2] {
        assert_eq!(last_three(n), [("assistant", false), ("user", false)], "request {n}");
    }
    let texts: Vec<&str> = rollout.messages.iter().map(|m| m.content.as_str()).collect();
    assert!(!texts.iter().any(|t| t.contains("No tool call at all") || t.contains("vim")), "{texts:?}");
    assert_eq!(
        rollout.messages.iter().map(|m| m.role.as_str()).collect::<Vec<_>>(),
        ["system", "user", "assistant", "tool", "assistant"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn three_faulty_replies_in_a_row_of_any_kind_end_a_rollout() {
    let world = World::new();
    let replies = vec![
        reply("echo more >> file.txt"),
        "No tool call at all.".into(),
        reply("vim file.txt"),
        reply("echo $("),
        reply("echo not reached"),
    ];
    let (rollout, requests) = one_with(&world, "swe-agent", replies).await;
    let end = (rollout.exit_status, rollout.exit_status_detail.as_str());
    assert_eq!(end, (ExitStatus::Other, "exit_format"));
    assert_eq!(requests.len(), 4);
    assert!(rollout.patch.contains("+more"));
    let last = rollout.messages.last().unwrap();
    // Which line it names is bash's own affair.
    let said = "unexpected EOF while looking for matching `)'\n";
    assert!(last.role == "user" && last.content.ends_with(said), "{}", last.content);
    assert!(last.content.contains("Here is the output of `bash -n`:\n\nbash: line "), "{}", last.content);
    let reply = &rollout.messages[rollout.messages.len() - 2];
    assert!(reply.tool_calls.is_none() && reply.extra["refused_tool_calls"][0]["id"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn openhands_has_a_terminal_an_editor_and_words_of_its_own() {
    let world = World::new();
    let bash = |arguments: serde_json::Value| call("execute_bash", arguments);
    let replies = vec![
        call("think", serde_json::json!({"thought": "hm"})),
        bash(serde_json::json!({"command": "cd /tmp && read -r x && echo got $x", "timeout": 1})),
        edit("/workspace/repo/file.txt"),
        bash(serde_json::json!({"command": "word", "is_input": "true"})),
        edit("/workspace/repo/file.txt"),
        "I am done, I think.".into(),
        call("finish", serde_json::json!({"message": "done", "task_completed": "true"})),
    ];
    let (rollout, _) = one_with(&world, "openhands", replies).await;
    assert_eq!(rollout.exit_status, ExitStatus::Submitted, "{}", rollout.exit_status_detail);
    assert!(rollout.patch.contains("+two"));
    let seen: Vec<&str> =
        rollout.messages.iter().filter(|m| m.role == "tool").map(|m| m.content.as_str()).collect();
    assert_eq!(seen[0], "Your thought has been logged.");
    assert!(seen[1].contains("[The command timed out after 1.0 seconds."), "{}", seen[1]);
    assert!(seen[2].contains("still running"), "{}", seen[2]);
    assert!(
        seen[3].ends_with(
            "got word\n[The command completed with exit code 0.]\n[Current working directory: /tmp]\n\
             [Command finished with exit code 0]"
        ),
        "{}",
        seen[3]
    );
    assert!(seen[4].starts_with("The file /workspace/repo/file.txt has been edited."), "{}", seen[4]);
    assert!(
        rollout.messages.iter().any(|m| m.role == "user" && m.content.starts_with("Please continue working"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_knows_actions_of_any_grammar() {
    let world = World::new();
    let replies = [
        "```bash\nno\n```\n```\necho 1\n```",
        "```\nstr_replace_editor view /testbed/file.txt\n```",
        "I say `<function=bash>` and do nothing.",
        "```bash\necho 2\n```",
        "```\nsubmit -f\n```",
        "```\nsubmit\n```",
    ];
    let config = world.dir.path().join("swe.yaml");
    let text = "agent: {templates: {instance_template: x}, tools: {parse_function: {type: thought_action}}}";
    std::fs::write(&config, text).unwrap();
    let script = Script { rollouts: vec![Turns { replies: replies.map(String::from).to_vec() }] };
    let server = ScriptedServer::start(script).await.unwrap();
    let mut options = world.options(server.base_url(), 1);
    (options.harness, options.harness_config) = ("swe-agent".into(), Some(config));
    run(options, &Ears::default()).await.unwrap();
    let rollout = world.journal().remove(0);
    assert_eq!(rollout.exit_status, ExitStatus::Submitted, "{}", rollout.exit_status_detail);
    let acted: Vec<_> =
        rollout.messages.iter().filter(|m| m.role == "assistant").map(Message::acted).collect();
    let texts: Vec<_> = acted.iter().flatten().map(|a| a.text().trim()).collect();
    assert_eq!(
        texts,
        ["echo 1", "str_replace_editor view /testbed/file.txt", "echo 2", "submit -f", "submit {}"]
    );
    // What anybody reads is not told twice.
    let told =
        rollout.messages.iter().filter(|m| m.extra.get("extra").is_some_and(|e| e.get("actions").is_some()));
    assert_eq!(told.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_byte_in_what_the_model_says_is_no_fault_of_the_sandbox() {
    let open = call("str_replace_editor", serde_json::json!({"command": "view", "path": "/workspace/f\0g"}));
    let new = serde_json::json!({"command": "create", "path": "/tmp/new", "file_text": "a\0b\n"});
    let new = call("str_replace_editor", new);
    for (harness, shell, end) in [("swe-agent", "bash", "submit"), ("openhands", "execute_bash", "finish")] {
        let world = World::new();
        let bash = |command: &str| call(shell, serde_json::json!({"command": command}));
        let end = call(end, serde_json::json!({}));
        let typed = serde_json::json!({"command": "wo\0rd", "is_input": "true"});
        let mut replies =
            vec![bash("echo o\0ne"), bash("\0"), open.clone(), new.clone(), bash("od -An -c /tmp/new")];
        if harness == "openhands" {
            let reads = serde_json::json!({"command": "read -r x && echo got $x", "timeout": 1});
            replies.extend([call(shell, reads), call(shell, typed)]);
        }
        replies.extend([end.clone(), end]);
        let (rollout, _) = one_with(&world, harness, replies).await;
        assert_eq!(rollout.exit_status, ExitStatus::Submitted, "{harness}: {}", rollout.exit_status_detail);
        let seen: Vec<&str> =
            rollout.messages.iter().filter(|m| m.role == "tool").map(|m| m.content.as_str()).collect();
        assert!(seen[0].contains("one") && seen[2].contains("does not exist"), "{harness}: {seen:#?}");
        assert!(seen[4].contains("a  \\0   b"), "{harness}: {}", seen[4]);
        assert!(harness == "swe-agent" || seen[6].contains("got word"), "{seen:#?}");
    }
}

/// Tool calls as servers send them, each answered, with arguments that are JSON: strict servers refuse others.
fn assert_strict(messages: &[serde_json::Value]) {
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap();
            open.remove(open.iter().position(|o| *o == id).expect("a call that is open"));
            continue;
        }
        assert!(open.is_empty(), "{open:?} have no answer");
        assert!(message["content"] != "" || message["tool_calls"].is_array(), "{message}");
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let arguments = call["function"]["arguments"].as_str().unwrap();
            serde_json::from_str::<serde_json::Map<_, _>>(arguments).unwrap();
            open.push(call["id"].as_str().unwrap());
        }
    }
    assert!(open.is_empty(), "{open:?} have no answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_calls_are_not_sent_back_and_stay_in_the_record() {
    let world = World::new();
    let bash = |id: &str, arguments: &str| serde_json::json!({"id": id, "type": "function", "function": {"name": "execute_bash", "arguments": arguments}});
    let said = |content: &str, calls: &[serde_json::Value]| {
        let message = serde_json::json!({"role": "assistant", "content": content, "tool_calls": calls});
        serde_json::json!({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).to_string()
    };
    let faulty = [
        said("", &[bash("a", "{\"command\": \"ls")]),
        said("I look.", &[bash("b", "{\"command\": \"ls\"}"), bash("c", "{}")]),
        said("", &[bash("d", "[1]"), bash("e", "{\"command\": \"echo more >> file.txt\"}")]),
    ];
    let wrong = faulty.clone();
    let end = call("finish", serde_json::json!({}));
    let script = Script { rollouts: vec![Turns { replies: vec![end] }] };
    let server = ScriptedServer::start_with(script, move |asked: Asked| {
        wrong.get(asked.number).map(|text| Fault::Status(200, text.clone(), None))
    })
    .await
    .unwrap();
    let mut options = world.options(server.base_url(), 1);
    options.harness = "openhands".into();
    run(options, &Ears::default()).await.unwrap();
    let rollout = world.journal().remove(0);
    assert_eq!(rollout.exit_status, ExitStatus::Submitted, "{}", rollout.exit_status_detail);
    assert_eq!((rollout.n_turns, rollout.patch.as_str()), (4, ""), "no call of a faulty reply is made");
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    for request in &requests {
        assert_strict(request["messages"].as_array().unwrap());
    }
    let last = requests[3]["messages"].to_string();
    assert!(
        last.contains("I look.") && last.contains("[Error occurred in processing last action]"),
        "{last}"
    );
    let refused: Vec<usize> = rollout
        .messages
        .iter()
        .filter_map(|m| Some(m.extra.get("refused_tool_calls")?.as_array()?.len()))
        .collect();
    assert_eq!(refused, [1, 2, 2]);
}
