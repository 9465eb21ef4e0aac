//! Rollouts with the harnesses of mini-swe-agent.

use super::*;

const SUBMIT: &str = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git add -A && git diff --cached";

async fn one_with(world: &World, harness: &str) -> (Rollout, Vec<serde_json::Value>) {
    let commands = ["ls; ls /no-such", "sed -i s/one/two/ file.txt", SUBMIT];
    let server = ScriptedServer::start(script(&commands)).await.unwrap();
    let mut options = world.options(server.base_url(), 1);
    options.harness = harness.into();
    run(options, &Ears::default()).await.unwrap();
    (world.journal().remove(0), server.requests())
}

#[tokio::test(flavor = "multi_thread")]
async fn mini_works_where_its_prompt_says_and_submits_a_diff() {
    let world = World::new();
    let (rollout, requests) = one_with(&world, "mini").await;
    assert_eq!(rollout.exit_status, ExitStatus::Submitted, "{}", rollout.exit_status_detail);
    assert!(rollout.submission.contains("+two") && rollout.patch.contains("+two"), "{}", rollout.submission);
    let seen = &rollout.messages[3].content;
    assert!(seen.starts_with("<returncode>2</returncode>\n<output>\n"), "{seen}");
    assert!(seen.contains("/no-such': No such file"), "stderr is in the output: {seen}");
    // Neither tools nor a bound on the reply: the original names none.
    assert!(requests.iter().all(|r| r.get("max_tokens").is_none() && r.get("tools").is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn mini2_is_spoken_to_in_tool_calls() {
    let world = World::new();
    let (rollout, requests) = one_with(&world, "mini2").await;
    assert_eq!(rollout.exit_status, ExitStatus::Submitted, "{}", rollout.exit_status_detail);
    assert!(rollout.submission.contains("+two") && rollout.patch.contains("+two"), "{}", rollout.submission);
    let last = requests.last().unwrap();
    assert_eq!(
        (&last["tools"][0]["function"]["name"], &last["parallel_tool_calls"]),
        (&"bash".into(), &true.into())
    );
    let messages = last["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "assistant", "tool"]);
    assert_eq!(messages[3]["tool_call_id"], messages[2]["tool_calls"][0]["id"]);
}
