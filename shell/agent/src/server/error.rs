//! What can be wrong with a server's answer, by what is to be done about it.

use serde_json::Value;
use std::time::Duration;

/// Longest piece of a server's own words in a message, in characters.
const SHOWN: usize = 200;

/// What was wrong with a server's answer.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum ServerError {
    /// The options are wrong.
    #[error("{0}")]
    Setup(String),
    /// Nothing answers, or the connection broke.
    #[error("{url}: {why}")]
    Connection {
        /// The base URL.
        url: String,
        /// The system's reason.
        why: String,
    },
    /// 401 or 403.
    #[error("the server refuses the key (HTTP {status}): {said}; set the key's variable with --api-key-env")]
    Auth {
        /// The status.
        status: u16,
        /// The server's words.
        said: String,
    },
    /// 404: no such route or model.
    #[error(
        "the server knows no such model or path (HTTP 404): {said}; check --model, and that --base-url ends in /v1"
    )]
    NotFound {
        /// The server's words.
        said: String,
    },
    /// The prompt is longer than the model's context.
    #[error("context overflow: the prompt has {} tokens, the context {}", shown(*.prompt), shown(*.limit))]
    ContextOverflow {
        /// Tokens of the prompt, if the server said.
        prompt: Option<u64>,
        /// Tokens of the context, if the server said.
        limit: Option<u64>,
    },
    /// 429, or 503 with a time to wait.
    #[error("the server is busy (HTTP {status}): {said}")]
    Busy {
        /// The status.
        status: u16,
        /// The server's words.
        said: String,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// Another status.
    #[error("HTTP {status}: {said}")]
    Status {
        /// The status.
        status: u16,
        /// The server's words.
        said: String,
    },
    /// 200 with something that is not a completion.
    #[error("expected a chat completion, found {0}")]
    NotACompletion(String),
}

fn shown(n: Option<u64>) -> String {
    n.map_or_else(|| "?".into(), |n| n.to_string())
}

/// What servers say when a prompt is too long: vLLM, SGLang, llama.cpp and gateways before them.
const OVERFLOWS: [&str; 8] = [
    "this model's maximum context length is",
    "is longer than the model's context length",
    "exceeds the available context size",
    "requested token count exceeds the model's maximum context length",
    "exceed context limit",
    "maximum context limit",
    "input tokens exceed the configured limit",
    "exceed_context_size_error",
];

impl ServerError {
    pub(super) fn of_transport(e: &reqwest::Error, url: &str) -> ServerError {
        let why = if e.is_timeout() {
            "no answer in time".to_string()
        } else {
            // The last cause says most: "connection refused", "connection closed before message completed".
            let mut cause: &dyn std::error::Error = e;
            while let Some(next) = cause.source() {
                cause = next;
            }
            cause.to_string()
        };
        ServerError::Connection { url: url.into(), why }
    }

    pub(super) fn of_status(status: u16, text: &str, retry_after: Option<Duration>) -> ServerError {
        let body: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let error = body.get("error").unwrap_or(&body);
        let message = error.get("message").or(error.as_str().map(|_| error)).and_then(Value::as_str);
        let said = cut(message.unwrap_or(text));
        let lower = text.to_lowercase();
        if matches!(status, 400 | 413 | 422) && OVERFLOWS.iter().any(|o| lower.contains(o)) {
            let number = |key: &str| error.get(key).and_then(Value::as_u64);
            return ServerError::ContextOverflow {
                prompt: number("n_prompt_tokens"),
                limit: number("n_ctx"),
            };
        }
        match status {
            401 | 403 => ServerError::Auth { status, said },
            404 => ServerError::NotFound { said },
            429 | 503 => ServerError::Busy { status, said, retry_after },
            _ => ServerError::Status { status, said },
        }
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            ServerError::Connection { .. } | ServerError::Busy { .. } | ServerError::NotACompletion(_) => {
                true
            }
            ServerError::Status { status, .. } => matches!(status, 408 | 409 | 500..=599),
            _ => false,
        }
    }

    /// Whether no request of this run can succeed.
    pub(crate) fn is_fatal(&self) -> bool {
        matches!(self, ServerError::Setup(_) | ServerError::Auth { .. } | ServerError::NotFound { .. })
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            ServerError::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The server's words, bounded and on one line.
pub(super) fn cut(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(SHOWN).collect();
    if short.len() < line.len() { format!("{short}…") } else { short }
}

/// Reads a `Retry-After` in seconds. A date is left to the ordinary wait: clocks differ.
pub(super) fn retry_after(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(1e6)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_servers_overflow_is_known() {
        for (status, text) in [
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, your prompt contains 9000","code":400}}"#,
            ),
            (
                400,
                r#"{"message":"The input (9000 tokens) is longer than the model's context length (8192 tokens)."}"#,
            ),
            (
                400,
                r#"{"error":"Requested token count exceeds the model's maximum context length of 8192 tokens."}"#,
            ),
            (
                400,
                r#"{"error":{"code":400,"type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":8192,"message":"request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it"}}"#,
            ),
        ] {
            assert!(
                matches!(ServerError::of_status(status, text, None), ServerError::ContextOverflow { .. }),
                "{text}"
            );
        }
        let typed = ServerError::of_status(
            400,
            r#"{"error":{"type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}}"#,
            None,
        );
        assert_eq!(typed, ServerError::ContextOverflow { prompt: Some(9), limit: Some(8) });
    }

    #[test]
    fn a_status_tells_what_to_do() {
        for (status, passing, fatal) in [
            (400, false, false),
            (401, false, true),
            (403, false, true),
            (404, false, true),
            (408, true, false),
            (409, true, false),
            (422, false, false),
            (429, true, false),
            (500, true, false),
            (503, true, false),
        ] {
            let error = ServerError::of_status(status, "{}", None);
            assert_eq!((error.is_passing(), error.is_fatal()), (passing, fatal), "{status}");
        }
    }

    #[test]
    fn a_page_is_shown_in_short() {
        let page = format!("<html>\n{}</html>", "<p>x</p>\n".repeat(1000));
        let ServerError::Status { said, .. } = ServerError::of_status(500, &page, None) else { panic!() };
        assert!(said.starts_with("<html> <p>") && said.chars().count() == SHOWN + 1);
    }

    #[test]
    fn a_time_to_wait_is_read_in_seconds() {
        assert_eq!(retry_after("2"), Some(Duration::from_secs(2)));
        assert_eq!(retry_after("0.5"), Some(Duration::from_millis(500)));
        for text in ["", "-1", "nan", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(retry_after(text), None, "{text}");
        }
    }
}
