//! Several servers of one model.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_stays_at_its_server_and_moves_when_that_fails() {
    let world = World::new();
    let well = ScriptedServer::start(script(&FIX)).await.unwrap();
    let other = ScriptedServer::start(script(&FIX)).await.unwrap();
    // It answers the first turns, and then nothing any more.
    let failing = ScriptedServer::start_with(script(&FIX), |asked: Asked| {
        (asked.turn > 1).then(|| Fault::Status(500, "down".into(), None))
    })
    .await
    .unwrap();
    let mut options = world.options(well.base_url(), 24);
    options.server.base_urls.extend([other.base_url(), failing.base_url()]);
    let summary = run(options, &Ears::default()).await.unwrap();
    assert_eq!(summary.ended[&ExitStatus::Submitted], 24);
    assert!(world.journal().iter().all(|r| r.n_turns == 4));
    assert!(!other.requests().is_empty() && !failing.requests().is_empty());
    // Nobody moved from one that works: each conversation there is a whole one, or the end of one that moved there.
    let moved = failing.requests().iter().filter(|r| r["messages"].as_array().unwrap().len() > 4).count();
    assert!(moved > 0 && well.requests().len() + other.requests().len() >= 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named_before_the_run() {
    let world = World::new();
    let well = ScriptedServer::start(script(&FIX)).await.unwrap();
    let mut options = world.options(well.base_url(), 1);
    options.server.base_urls.push("http://127.0.0.1:9/v1".into());
    let error = run(options, &Ears::default()).await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:9"), "{error}");
    assert!(well.requests().is_empty());
}
