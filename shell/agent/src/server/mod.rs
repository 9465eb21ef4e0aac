//! A client of any OpenAI-compatible server: one request, its retries, and errors by kind.
//!
//! The types are ours, so that what a server says besides is kept as it came.

mod error;
mod reply;

pub use error::ServerError;
pub(crate) use reply::{Reply, Usage};

use sbx_records::Message;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Longest answer of a server that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 32 << 20;
/// Longest wait that a server may ask for (`Retry-After`).
const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);

/// Where the server is and how it is spoken to.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The URL up to and with `/v1`.
    pub base_url: String,
    /// The model's name.
    pub model: String,
    /// Key for `Authorization: Bearer`; never logged.
    pub api_key: Option<String>,
    /// Further keys of the request's object, such as a grammar.
    pub extra_body: Map<String, Value>,
    /// Longest time for one answer. Default: 600 s.
    pub timeout: Duration,
    /// When to try again.
    pub retry: Retry,
}

/// When to try a request again: after connection errors, 408, 409, 429, 5xx, and answers that are none.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Tries in all. Default: 10.
    pub attempts: u32,
    /// Wait before the second try; it doubles each time. Default: 0.5 s.
    pub first: Duration,
    /// Longest wait. Default: 30 s.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { attempts: 10, first: Duration::from_millis(500), longest: Duration::from_secs(30) }
    }
}

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    options: ServerOptions,
}

/// What a turn asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub max_tokens: u64,
    pub temperature: f64,
    pub seed: Option<u64>,
}

impl Client {
    /// Makes a client. It connects to nothing yet.
    ///
    /// # Errors
    /// The URL is none, or TLS cannot be set up.
    pub fn new(options: ServerOptions) -> Result<Client, ServerError> {
        let url = reqwest::Url::parse(&options.base_url);
        if !url.is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host()) {
            let found = &options.base_url;
            return Err(ServerError::Setup(format!(
                "--base-url: expected a URL such as http://localhost:8000/v1, found {found:?}"
            )));
        }
        // A second call finds it installed; either way one is there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(options.timeout)
            .connect_timeout(Duration::from_secs(20))
            .user_agent(concat!("sbx/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| ServerError::Setup(format!("the HTTP client: {e}")))?;
        Ok(Client { http, options })
    }

    /// Asks whether a server is there at all, before anything is prepared. Any HTTP answer will do: not every server
    /// lists its models.
    ///
    /// # Errors
    /// Nothing answers after three tries, or the key is refused.
    pub async fn preflight(&self) -> Result<(), ServerError> {
        let url = format!("{}/models", self.options.base_url.trim_end_matches('/'));
        let mut last = None;
        for attempt in 0..3 {
            if attempt > 0 {
                tokio::time::sleep(self.options.retry.first.min(Duration::from_secs(1)) * attempt).await;
            }
            let mut request = self.http.get(&url).timeout(Duration::from_secs(30));
            if let Some(key) = &self.options.api_key {
                request = request.bearer_auth(key);
            }
            match request.send().await {
                Ok(answer) if matches!(answer.status().as_u16(), 401 | 403) => {
                    let status = answer.status().as_u16();
                    let text = reply::text_of(answer, MAX_ANSWER_BYTES).await.unwrap_or_default();
                    return Err(ServerError::of_status(status, &text, None));
                }
                Ok(_) => return Ok(()),
                Err(e) => last = Some(ServerError::of_transport(&e, &self.options.base_url)),
            }
        }
        Err(last.unwrap_or_else(|| ServerError::Setup("no try was made".into())))
    }

    /// Asks for the next message, trying again as [`Retry`] says.
    pub(crate) async fn chat(&self, messages: &[Message], ask: Ask) -> Result<Reply, ServerError> {
        let body = self.body(messages, ask);
        let retry = self.options.retry;
        let mut wait = retry.first;
        for attempt in 1.. {
            let error = match self.once(&body).await {
                Ok(reply) => return Ok(reply),
                Err(e) => e,
            };
            if attempt >= retry.attempts || !error.is_passing() {
                return Err(error);
            }
            let pause =
                error.retry_after().map_or_else(|| jittered(wait), |asked| asked.min(MAX_RETRY_AFTER));
            tokio::time::sleep(pause).await;
            wait = (wait * 2).min(retry.longest);
        }
        Err(ServerError::Setup("no try was allowed".into()))
    }

    fn body(&self, messages: &[Message], ask: Ask) -> Value {
        // Only what a text harness needs: thinking is not sent back.
        let messages: Vec<Value> =
            messages.iter().map(|m| json!({"role": m.role, "content": m.content})).collect();
        let mut body = json!({
            "model": self.options.model,
            "messages": messages,
            "temperature": ask.temperature,
            "max_tokens": ask.max_tokens,
        });
        if let Value::Object(map) = &mut body {
            if let Some(seed) = ask.seed {
                map.insert("seed".into(), seed.into());
            }
            map.extend(self.options.extra_body.clone());
        }
        body
    }

    async fn once(&self, body: &Value) -> Result<Reply, ServerError> {
        let url = format!("{}/chat/completions", self.options.base_url.trim_end_matches('/'));
        let mut request = self.http.post(&url).json(body);
        if let Some(key) = &self.options.api_key {
            request = request.bearer_auth(key);
        }
        let transport = |e: reqwest::Error| ServerError::of_transport(&e, &self.options.base_url);
        let answer = request.send().await.map_err(transport)?;
        let status = answer.status().as_u16();
        let retry_after =
            answer.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(error::retry_after);
        let text = reply::text_of(answer, MAX_ANSWER_BYTES).await.map_err(transport)?;
        if status != 200 {
            return Err(ServerError::of_status(status, &text, retry_after));
        }
        Reply::parse(&text)
    }
}

/// Between three quarters and five quarters of the time, so that many rollouts do not come back at once.
fn jittered(wait: Duration) -> Duration {
    let nanos =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
    wait.mul_f64(0.75 + f64::from(nanos % 1_000) / 2_000.0)
}
