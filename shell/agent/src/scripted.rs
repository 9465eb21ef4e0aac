//! A server that speaks a script: an OpenAI-compatible server in this process, for the demo and for tests. Rollouts meet
//! it over HTTP like any other.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// What the model says: conversations, turn by turn.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Conversations; new ones are handed out in turn.
    pub rollouts: Vec<Turns>,
}

/// The replies of one conversation. When they are used up the last one is repeated.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turns {
    /// The assistant's texts.
    pub replies: Vec<String>,
}

/// What a scripted server does wrong to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers with a status, a body, and perhaps a `Retry-After` in seconds.
    Status(u16, String, Option<u64>),
    /// Answers 200 with a web page.
    Html,
    /// Answers with an empty list of choices.
    EmptyChoices,
    /// Leaves `usage` out.
    NoUsage,
    /// Closes the connection in the middle of the answer.
    Cut,
    /// Answers 400 when prompt and reply, at four bytes a token, exceed this many tokens.
    Strict(u64),
}

type Faults = dyn Fn(usize) -> Option<Fault> + Send + Sync;

struct Speaker {
    script: Script,
    faults: Box<Faults>,
    state: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: usize,
    conversations: usize,
    seen: Vec<Value>,
}

/// A running scripted server; dropping it stops it.
pub struct ScriptedServer {
    address: std::net::SocketAddr,
    speaker: Arc<Speaker>,
    task: tokio::task::JoinHandle<()>,
}

impl ScriptedServer {
    /// Starts a server on a free port of the loopback address.
    ///
    /// # Errors
    /// No port can be opened.
    pub async fn start(script: Script) -> std::io::Result<ScriptedServer> {
        ScriptedServer::start_with(script, |_| None).await
    }

    /// As [`ScriptedServer::start`], with a fault for some requests, by number from 0.
    ///
    /// # Errors
    /// No port can be opened.
    pub async fn start_with(
        script: Script,
        faults: impl Fn(usize) -> Option<Fault> + Send + Sync + 'static,
    ) -> std::io::Result<ScriptedServer> {
        let speaker = Arc::new(Speaker { script, faults: Box::new(faults), state: Mutex::default() });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route(
                "/v1/models",
                get(|| async { axum::Json(json!({"object": "list", "data": [{"id": "scripted"}]})) }),
            )
            .route("/v1/chat/completions", post(complete))
            .with_state(speaker.clone());
        let task = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(ScriptedServer { address, speaker, task })
    }

    /// The URL for `--base-url`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The bodies of all requests so far.
    pub fn requests(&self) -> Vec<Value> {
        self.speaker.state.lock().unwrap_or_else(PoisonError::into_inner).seen.clone()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn complete(State(speaker): State<Arc<Speaker>>, axum::Json(body): axum::Json<Value>) -> Response {
    let (fault, text) = {
        let mut state = speaker.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = (speaker.faults)(state.requests);
        state.requests += 1;
        if state.seen.len() < 10_000 {
            state.seen.push(body.clone());
        }
        let text = speaker.script.next(&body, &mut state.conversations);
        (fault, text)
    };
    let tokens = |text: &str| (text.len() as u64).div_ceil(4);
    let prompt = tokens(&body["messages"].to_string());
    let completion = json!({
        "id": "scripted", "object": "chat.completion", "model": body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": tokens(&text), "total_tokens": prompt + tokens(&text)},
    });
    match fault {
        None => axum::Json(completion).into_response(),
        Some(Fault::Status(status, text, wait)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut answer = (status, text).into_response();
            if let Some(wait) = wait {
                answer.headers_mut().insert(header::RETRY_AFTER, wait.into());
            }
            answer
        }
        Some(Fault::Html) => (StatusCode::OK, "<html><body>It works!</body></html>").into_response(),
        Some(Fault::EmptyChoices) => axum::Json(json!({"choices": []})).into_response(),
        Some(Fault::NoUsage) => {
            let mut completion = completion;
            completion["usage"] = Value::Null;
            axum::Json(completion).into_response()
        }
        // More is promised than comes.
        Some(Fault::Cut) => ([(header::CONTENT_LENGTH, "100000")], "{\"choices\": [").into_response(),
        Some(Fault::Strict(limit)) if prompt + body["max_tokens"].as_u64().unwrap_or(0) > limit => {
            let text = format!(
                "This model's maximum context length is {limit} tokens. However, your prompt contains {prompt}"
            );
            (StatusCode::BAD_REQUEST, json!({"error": {"message": text}}).to_string()).into_response()
        }
        Some(Fault::Strict(_)) => axum::Json(completion).into_response(),
    }
}

impl Script {
    /// The next reply: that of the conversation whose replies so far are the request's, or a new conversation's first.
    fn next(&self, body: &Value, conversations: &mut usize) -> String {
        let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let said: Vec<&str> = messages
            .iter()
            .filter(|m| m["role"] == "assistant")
            .filter_map(|m| m["content"].as_str())
            .collect();
        if self.rollouts.is_empty() {
            return String::new();
        }
        let turns = if said.is_empty() {
            let turns = &self.rollouts[*conversations % self.rollouts.len()];
            *conversations += 1;
            turns
        } else {
            let fits = |t: &&Turns| said.iter().enumerate().all(|(i, s)| t.reply(i) == *s);
            self.rollouts.iter().find(fits).unwrap_or(&self.rollouts[0])
        };
        turns.reply(said.len()).to_string()
    }
}

impl Turns {
    fn reply(&self, turn: usize) -> &str {
        self.replies.get(turn).or(self.replies.last()).map_or("", String::as_str)
    }
}
