//! Spans as a collector gets them. One test: the way to a collector is the process's own.
#![cfg(feature = "otel")]

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use sbx_agent::{RunOptions, Script, ScriptedServer, ServerOptions, Traces, Turns, Watch};
use serde_json::Value;
use std::process::Command;
use std::sync::{Arc, Mutex};

struct Quiet;
impl Watch for Quiet {}

type Got = Arc<Mutex<Vec<Value>>>;

async fn take(State(got): State<Got>, headers: HeaderMap, body: Bytes) -> axum::Json<Value> {
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-team"], "seven");
    got.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
    axum::Json(serde_json::json!({}))
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let all = span["attributes"].as_array().unwrap();
    let found = all.iter().find(|a| a["key"] == key).unwrap_or_else(|| panic!("{key} in {span}"));
    found["value"].as_object().unwrap().values().next().unwrap()
}

/// Numbers of 64 bits are texts in OTLP's JSON.
fn number(span: &Value, key: &str) -> i64 {
    let value = attribute(span, key);
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{key}: {value}"))
}

#[test]
fn a_collector_gets_rollouts_with_their_requests_and_actions() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let got = Got::default();
    let address = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/v1/traces", post(take)).with_state(got.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    });
    let own =
        std::env::args().any(|a| a == "--exact") && std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some();
    if !own {
        // The variables are read in a process of its own: no other thread reads them while they are set.
        assert!(Traces::from_environment().unwrap().is_none(), "nobody named a collector");
        let name = "a_collector_gets_rollouts_with_their_requests_and_actions";
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
            .env("OTEL_EXPORTER_OTLP_HEADERS", "x-team=seven")
            .status()
            .unwrap();
        assert!(status.success());
        return check(&got.lock().unwrap());
    }
    let traces = Traces::from_environment().unwrap().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let repo = dir.path().join("repos/org/name");
    std::fs::create_dir_all(&repo).unwrap();
    std::fs::write(repo.join("file.txt"), "one\n").unwrap();
    for args in [
        &["init", "-q"][..],
        &["add", "-A"],
        &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "base"],
    ] {
        assert!(Command::new("git").current_dir(&repo).args(args).status().unwrap().success());
    }
    let task = r#"{"instance_id":"org__name-1","repo":"org/name","base_commit":"HEAD","problem_statement":"secret words"}"#;
    let block = |script: &str| format!("I think.\n```bash\n{script}\n```");
    let replies = vec![
        block("sed -i s/one/two/ file.txt"),
        block("curl x"),
        block("echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"),
    ];
    runtime.block_on(async {
        let server = ScriptedServer::start(Script { rollouts: vec![Turns { replies }] }).await.unwrap();
        let options = RunOptions {
            instances: sbx_records::read_instances(task.as_bytes(), "t").unwrap(),
            repos: Some(dir.path().join("repos")),
            cache: dir.path().join("cache"),
            out: dir.path().join("out"),
            server: ServerOptions::new(server.base_url(), "a-model"),
            harness: "mini2".into(),
            harness_config: None,
            policy: sbx_runtime::Policy::preset("whitelist").unwrap(),
            rollouts: 2,
            shard: Default::default(),
            retry: Default::default(),
            echo: Default::default(),
            concurrency: 2,
            temperature: 0.5,
            seed: Some(7),
            max_turns: None,
            max_total_tokens: None,
            reserve_tokens: None,
            max_turn_tokens: None,
            spending: Default::default(),
        };
        sbx_agent::run(options, &Quiet).await.unwrap();
    });
    traces.finish().unwrap();
}

fn check(got: &[Value]) {
    let text = serde_json::to_string(got).unwrap();
    assert!(!text.contains("secret words") && !text.contains("I think"), "no conversation is in a span");
    let resources = || got.iter().flat_map(|g| g["resourceSpans"].as_array().unwrap());
    assert!(resources().all(|r| attribute(&r["resource"], "service.name") == "sbx"));
    let spans: Vec<&Value> = resources()
        .flat_map(|r| r["scopeSpans"].as_array().unwrap())
        .flat_map(|s| s["spans"].as_array().unwrap())
        .collect();
    let named = |name: &str| spans.iter().filter(|s| s["name"] == name).copied().collect::<Vec<_>>();
    let (rollouts, chats, tools) =
        (named("invoke_agent mini2"), named("chat a-model"), named("execute_tool bash"));
    assert_eq!((rollouts.len(), chats.len(), tools.len()), (2, 6, 6), "{spans:#?}");
    for rollout in &rollouts {
        assert_eq!(attribute(rollout, "gen_ai.operation.name"), "invoke_agent");
        assert_eq!(attribute(rollout, "gen_ai.agent.name"), "mini2");
        assert_eq!(attribute(rollout, "sbx.exit_status"), "Submitted");
        assert_eq!(number(rollout, "sbx.turns"), 3);
        assert!(number(rollout, "sbx.blocked") == 1 && number(rollout, "sbx.patch_bytes") > 20);
        // The parts are in the whole: in its trace, below it, within its time.
        let inner =
            chats.iter().chain(&tools).filter(|s| s["traceId"] == rollout["traceId"]).collect::<Vec<_>>();
        assert_eq!(inner.len(), 6);
        let time = |s: &Value, key: &str| s[key].as_str().unwrap().parse::<u64>().unwrap();
        for span in inner {
            assert_eq!(span["parentSpanId"], rollout["spanId"]);
            assert!(time(span, "startTimeUnixNano") >= time(rollout, "startTimeUnixNano"));
            assert!(time(span, "endTimeUnixNano") <= time(rollout, "endTimeUnixNano"));
        }
        let sum: i64 = chats
            .iter()
            .filter(|s| s["traceId"] == rollout["traceId"])
            .map(|s| number(s, "gen_ai.usage.input_tokens"))
            .sum();
        assert_eq!(number(rollout, "gen_ai.usage.input_tokens"), sum);
    }
    for chat in &chats {
        assert_eq!(attribute(chat, "gen_ai.operation.name"), "chat");
        assert_eq!(attribute(chat, "gen_ai.provider.name"), "openai");
        assert_eq!(attribute(chat, "gen_ai.request.model"), "a-model");
        assert_eq!(attribute(chat, "gen_ai.request.temperature"), 0.5);
        assert!(number(chat, "gen_ai.request.seed") > 0 && number(chat, "gen_ai.usage.output_tokens") > 0);
        assert_eq!(
            attribute(chat, "gen_ai.response.finish_reasons")["values"][0]["stringValue"],
            "tool_calls"
        );
        assert_eq!(chat["kind"], 3, "client");
    }
    for tool in &tools {
        assert_eq!(attribute(tool, "gen_ai.tool.name"), "bash");
        assert!(attribute(tool, "gen_ai.tool.call.id").as_str().unwrap().starts_with("call_"));
    }
    assert_eq!(tools.iter().filter(|t| number(t, "sbx.exit_code") == 127).count(), 2, "{tools:#?}");
}
