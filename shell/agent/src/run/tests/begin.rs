//! What is wrong from the start stops the run with a reason, and leaves nothing behind.

use super::*;

/// The error of a run of 50 rollouts, and the requests that it took.
async fn refused(status: u16, said: &str) -> (World, String, usize) {
    let world = World::new();
    let fault = Fault::Status(status, said.into(), None);
    let server = ScriptedServer::start_with(script(&FIX), move |_| Some(fault.clone())).await.unwrap();
    let mut options = world.options(server.base_url(), 50);
    options.server.api_key = Some("sk-secret\n".into());
    let error = run(options, &Ears::default()).await.unwrap_err().to_string();
    let requests = server.requests().len();
    (world, error, requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_asked_for_once_and_leaves_no_rollouts() {
    for (status, words) in [
        (401, "HTTP 401): bad key (the key); set the key's variable with --api-key-env"),
        (403, "--api-key-env"),
        (404, "check --model: it offers scripted"),
    ] {
        let (world, error, requests) = refused(status, r#"{"error":{"message":"bad key sk-secret"}}"#).await;
        assert!(error.contains(words) && !error.contains("sk-secret"), "{error}");
        assert_eq!((requests, world.journal().len()), (1, 0), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_nothing_is_given_up_after_the_tries_of_one_request() {
    let (world, error, requests) = refused(500, "<html>Bad gateway</html>").await;
    assert_eq!(error, "the server has answered no request yet: HTTP 500: <html>Bad gateway</html>");
    assert_eq!((requests, world.journal().len()), (4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_url_without_its_end_is_named() {
    let world = World::new();
    let server = ScriptedServer::start(script(&FIX)).await.unwrap();
    let base = server.base_url();
    let short = base.strip_suffix("/v1").unwrap();
    let error = run(world.options(short.into(), 1), &Ears::default()).await.unwrap_err().to_string();
    assert!(error.ends_with(&format!("expected --base-url {base}")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named() {
    let world = World::new();
    let error = run(world.options("http://127.0.0.1:9/v1".into(), 1), &Ears::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("127.0.0.1:9") && error.to_lowercase().contains("refused"), "{error}");
    let error = run(world.options("localhost".into(), 1), &Ears::default()).await.unwrap_err().to_string();
    assert!(error.contains("--base-url: expected a URL"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_no_header_can_hold_is_refused_without_being_shown() {
    let world = World::new();
    let mut options = world.options("http://127.0.0.1:9/v1".into(), 1);
    options.server.api_key = Some("sk-one\nsk-two".into());
    let error = run(options, &Ears::default()).await.unwrap_err().to_string();
    assert!(error.contains("--api-key-env") && !error.contains("sk-"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_cannot_be_built_stops_the_run_before_the_server_is_asked() {
    let world = World::new();
    let server = ScriptedServer::start(script(&FIX)).await.unwrap();
    let options = world.options(server.base_url(), 50);
    // The checkout is made and then spoiled: a file where a directory belongs.
    Checkouts::new(&options.cache, options.repos.clone()).make_all(&options.instances, |_| true).unwrap();
    let checkouts = options.cache.join("checkouts");
    for entry in std::fs::read_dir(checkouts).unwrap().map(Result::unwrap).filter(|e| e.path().is_dir()) {
        std::fs::remove_dir_all(entry.path().join("store.git/objects")).unwrap();
        std::fs::write(entry.path().join("store.git/objects"), "").unwrap();
    }
    let error = run(options, &Ears::default()).await.unwrap_err();
    assert!(matches!(error, Error::Sandbox(_)), "{error}");
    assert_eq!((server.requests().len(), world.journal().len()), (0, 0));
}
