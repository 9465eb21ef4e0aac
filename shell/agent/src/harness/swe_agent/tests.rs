use super::*;
use crate::harness::Act;
use sbx_runtime::Output;

fn agent(config: &str) -> SweAgent {
    SweAgent::new(Some((config, "c.yaml"))).unwrap()
}

fn default() -> SweAgent {
    SweAgent::new(None).unwrap()
}

fn seen(output: &str) -> Observation {
    Observation {
        outcome: Outcome::Exited,
        exit_code: 0,
        stdout: Output::whole(output),
        stderr: Output::default(),
        wall: Duration::ZERO,
        cpu: Duration::ZERO,
        max_rss_bytes: 0,
        limits_hit: Vec::new(),
        denied: Vec::new(),
        enforced: Vec::new(),
        missing: Vec::new(),
        killed: 0,
    }
}

#[test]
fn observations_have_the_originals_form() {
    let agent = default();
    let call = Call { id: Some("toolu_1".into()), ..Call::script("ls") };
    let message = agent.observation(&call, &seen("a\nb\n"));
    assert_eq!((message.role.as_str(), message.content.as_str()), ("tool", "OBSERVATION:\na\nb"));
    assert_eq!(message.tool_call_id.as_deref(), Some("toolu_1"));
    let none = agent.observation(&call, &seen(""));
    assert_eq!(none.content, "Your command ran successfully and did not produce any output.");
    let late = Observation { outcome: Outcome::TimedOut, ..seen("") };
    assert!(
        agent
            .observation(&call, &late)
            .content
            .contains("The command 'ls' was cancelled because it took more than 300 seconds.")
    );
    let long = agent.observation(&call, &seen(&"x".repeat(100_007)));
    assert!(
        long.content.starts_with("Observation: xxx") && long.content.contains("7 characters were elided.")
    );
}

#[test]
fn the_first_submission_is_reviewed_with_the_diff() {
    let agent = default();
    let call = Call { act: Act::Submit(String::new()), id: None, tool: "submit".into() };
    let Submit::Review(message) = agent.submit(&call, "diff --git a/f b/f\n", "", 0) else {
        panic!("a review")
    };
    assert!(message.content.starts_with("OBSERVATION:\nThank you for your work on this issue."));
    assert!(message.content.ends_with("<diff>\ndiff --git a/f b/f\n\n</diff>"), "{}", message.content);
    assert!(
        matches!(agent.submit(&call, "diff", "", 1), Submit::Done { submission, .. } if submission == "diff")
    );
}

#[test]
fn a_review_may_repeat_the_problem() {
    let agent = agent(
        "agent:\n  templates: {instance_template: x}\n  tools: {registry_variables: {SUBMIT_REVIEW_MESSAGES: ['{{problem_statement}}: {{diff}}']}}\n",
    );
    let call = Call { act: Act::Submit(String::new()), id: None, tool: "submit".into() };
    let Submit::Review(message) = agent.submit(&call, "d", "A bug.", 0) else { panic!("a review") };
    assert!(message.content.ends_with("A bug.: d"), "{}", message.content);
}

#[test]
fn programs_that_hang_are_blocked() {
    let agent = default();
    for script in ["vim f", "python", " bash ", "tail -f log", "r2 x", "make all"] {
        assert!(agent.blocks(script).is_some(), "{script}");
    }
    for script in ["python x.py", "view f", "echo vim", "makefile", "r2 x; radare2 -c x"] {
        assert!(agent.blocks(script).is_none(), "{script}");
    }
    assert_eq!(agent.blocks("vi").as_deref(), Some("Operation 'vi' is not supported by this environment."));
}

#[test]
fn old_observations_become_a_line_and_the_task_stays() {
    let agent = agent(
        "agent:\n  templates: {instance_template: x}\n  history_processors: [{type: last_n_observations, n: 2}]\n",
    );
    let mut messages = vec![Message::new("system", "s"), Message::new("user", "task")];
    for n in 0..4 {
        messages.push(Message::new("assistant", format!("a{n}")));
        messages.push(Message::new("tool", format!("one\ntwo {n}")));
    }
    let sent = agent.trimmed(&messages);
    let texts: Vec<&str> = sent.iter().map(|m| m.content.as_str()).collect();
    let old = "Old environment output: (2 lines omitted)";
    assert_eq!(texts, ["s", "task", "a0", old, "a1", old, "a2", "one\ntwo 2", "a3", "one\ntwo 3"]);
    assert!(matches!(default().trimmed(&messages), Cow::Borrowed(_)));
}

#[test]
fn a_faulty_reply_gets_the_originals_words_and_the_third_ends_it() {
    let agent = default();
    let reply = Message::new("assistant", "```\nls\n```");
    let no_call = agent.no_call(&reply, "stop", 1);
    assert!(no_call.message.content.starts_with("Your last output did not use any tool calls!"));
    assert!(no_call.end.is_none() && no_call.is_passing);
    assert_eq!(agent.no_call(&reply, "stop", 2).end, None);
    assert_eq!(agent.no_call(&reply, "stop", 3).end, Some((ExitStatus::Other, "exit_format".into())));
}

#[test]
fn a_mistake_in_a_configuration_names_the_key() {
    for (text, expected) in [
        ("agent: {}", "agent.templates.instance_template: expected a text"),
        ("agent: {templates: {instance_template: 7}}", "expected a text, found"),
        ("agent: {templates: {instance_template: '{{ x'}}", "instance_template: "),
        (
            "agent: {templates: {instance_template: x}, tools: {parse_function: {type: yaml}}}",
            "parse_function.type",
        ),
        ("agent: [", "c.yaml: "),
    ] {
        let error = SweAgent::new(Some((text, "c.yaml"))).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
