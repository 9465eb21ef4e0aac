//! Budgets and contexts: no request is sent that a server would refuse for its length.

use super::*;

/// Observations that are much denser than prose: every second character is a digit.
const DENSE: &str = "echo more >> file.txt && seq 100 1100";

async fn rolled(
    harness: &str,
    dialect: Dialect,
    context: u64,
    rollouts: u32,
) -> (Vec<Rollout>, ScriptedServer) {
    let world = World::new();
    let server = ScriptedServer::start_as(script(&[DENSE]), dialect, context).await.unwrap();
    let mut options = world.options(server.base_url(), rollouts);
    options.harness = harness.into();
    run(options, &Ears::default()).await.unwrap();
    (world.journal(), server)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_servers_context_is_used_up_and_never_overflowed() {
    for dialect in [Dialect::Vllm, Dialect::Sglang, Dialect::LlamaCpp] {
        for harness in ["swe-zero", "mini", "mini2"] {
            let (journal, server) = rolled(harness, dialect, 24_000, 2).await;
            assert_eq!(server.refused(), 0, "{dialect:?} {harness}");
            for rollout in journal {
                assert_eq!(rollout.exit_status, ExitStatus::Incomplete);
                assert_eq!(rollout.exit_status_detail, "context of 24000 used", "{dialect:?} {harness}");
                assert!(rollout.patch.contains("+more") && rollout.n_turns > 4, "{dialect:?} {harness}");
            }
            assert!(server.looks() > 2, "{dialect:?}: its tokenizer was asked");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tokenizer_is_asked_only_where_its_count_decides() {
    let world = World::new();
    let server = ScriptedServer::start_as(script(&FIX), Dialect::Vllm, 100_000).await.unwrap();
    let mut options = world.options(server.base_url(), 3);
    options.max_total_tokens = Some(100_000);
    run(options, &Ears::default()).await.unwrap();
    assert_eq!((server.looks(), server.requests().len()), (0, 12));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tokenizer_the_densest_text_so_far_is_expected_again() {
    let world = World::new();
    // It tells its context, and nothing else.
    let server = ScriptedServer::start_as(script(&[DENSE]), Dialect::Gateway, 32_768).await.unwrap();
    let options = world.options(server.base_url(), 2);
    run(options, &Ears::default()).await.unwrap();
    assert_eq!(server.refused(), 0, "the budget of SWE-ZERO is the context here");
    assert!(world.journal().iter().all(|r| r.exit_status_detail == "token budget of 32768 used"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_nobody_told_is_learned_from_one_refusal() {
    let world = World::new();
    let server = ScriptedServer::start_as(script(&[DENSE]), Dialect::Gateway, 16_000).await.unwrap();
    let mut options = world.options(server.base_url(), 4);
    options.concurrency = 1;
    run(options, &Ears::default()).await.unwrap();
    assert_eq!(server.refused(), 1);
    assert!(world.journal().iter().all(|r| r.exit_status_detail == "context of 16000 used"));
}
