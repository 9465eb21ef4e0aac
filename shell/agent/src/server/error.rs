//! What can be wrong with a server's answer, by what is to be done about it.

use super::overflow::overflow;
use serde_json::Value;
use std::time::{Duration, SystemTime};

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
    /// The answer did not come in time.
    #[error("{url}: no answer in time; --request-timeout allows more")]
    Timeout {
        /// The base URL.
        url: String,
    },
    /// Nothing came for a while in a streamed answer.
    #[error("{url}: nothing came for a while; --stream-idle allows more")]
    Idle {
        /// The base URL.
        url: String,
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
    #[error("the server knows no such model or path (HTTP 404): {said}; {hint}")]
    NotFound {
        /// The server's words.
        said: String,
        /// What to do, with the models that the server has.
        hint: String,
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
    /// 200 with something that is not a completion: a page, an object of another kind, or too much.
    #[error("expected a chat completion, found {0}")]
    NotACompletion(String),
    /// 200 with an empty list of choices.
    #[error("expected a chat completion, found an empty list of choices")]
    EmptyChoices,
    /// Not even the run's first request was answered, with all its tries.
    #[error("the server has answered no request yet: {0}")]
    NeverAnswered(Box<ServerError>),
}

fn shown(n: Option<u64>) -> String {
    n.map_or_else(|| "?".into(), |n| n.to_string())
}

impl ServerError {
    pub(super) fn of_transport(e: &reqwest::Error, url: &str) -> ServerError {
        if e.is_timeout() {
            return ServerError::Timeout { url: url.into() };
        }
        // The last cause says most: "connection refused", "connection closed before message completed".
        let mut cause: &dyn std::error::Error = e;
        while let Some(next) = cause.source() {
            cause = next;
        }
        ServerError::Connection { url: url.into(), why: cause.to_string() }
    }

    pub(super) fn of_status(status: u16, text: &str, retry_after: Option<Duration>) -> ServerError {
        let body: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let error = body.get("error").unwrap_or(&body);
        let message = error.get("message").or(error.as_str().map(|_| error)).and_then(Value::as_str);
        let said = cut(message.unwrap_or(text));
        match status {
            401 | 403 => ServerError::Auth { status, said },
            404 => ServerError::NotFound { said, hint: "check --model".into() },
            429 => ServerError::Busy { status, said, retry_after },
            // Gateways hand an overflow on with a status of their own.
            _ => match overflow(error, text) {
                Some(overflow) => overflow,
                None if status == 503 => ServerError::Busy { status, said, retry_after },
                None => ServerError::Status { status, said },
            },
        }
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            ServerError::Connection { .. }
            | ServerError::Timeout { .. }
            | ServerError::Idle { .. }
            | ServerError::Busy { .. }
            | ServerError::NotACompletion(_)
            | ServerError::EmptyChoices => true,
            ServerError::Status { status, .. } => matches!(status, 408 | 409 | 500..=599),
            _ => false,
        }
    }

    /// Whether no request of this run can succeed.
    pub(crate) fn is_fatal(&self) -> bool {
        matches!(
            self,
            ServerError::Setup(_)
                | ServerError::Auth { .. }
                | ServerError::NotFound { .. }
                | ServerError::NeverAnswered(_)
        )
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
    let mut short = String::new();
    let mut left = SHOWN;
    for word in text.split_whitespace() {
        if !short.is_empty() {
            short.push(' ');
        }
        for c in word.chars() {
            if left == 0 {
                return short + "…";
            }
            // What a server sends ends on a terminal.
            short.push(if c.is_control() { '\u{fffd}' } else { c });
            left -= 1;
        }
    }
    short
}

/// Reads a `Retry-After`: seconds, or a date, which is held against `now`.
pub(super) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(date) = httpdate::parse_http_date(text.trim()) {
        return Some(date.duration_since(now).unwrap_or_default());
    }
    let seconds: f64 = text.trim().parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(1e6)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn an_overflow_is_one_whatever_its_status() {
        let text = r#"{"error":{"type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}}"#;
        for status in [400, 413, 422, 500] {
            let error = ServerError::of_status(status, text, None);
            assert_eq!(error, ServerError::ContextOverflow { prompt: Some(9), limit: Some(8) });
            assert!(!error.is_passing() && !error.is_fatal());
        }
    }

    #[test]
    fn a_page_is_shown_in_short() {
        let page = format!("<html>\n\u{1b}[2J{}</html>", "<p>x</p>\n".repeat(1000));
        let ServerError::Status { said, .. } = ServerError::of_status(500, &page, None) else { panic!() };
        assert!(said.starts_with("<html> \u{fffd}[2J<p>") && said.ends_with('…'), "{said}");
        assert!(said.chars().filter(|c| *c != ' ').count() == SHOWN + 1);
    }

    #[test]
    fn a_time_to_wait_is_in_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
        for (text, wait) in [
            ("2", Some(2_000)),
            ("0.5", Some(500)),
            ("Wed, 21 Oct 2026 07:28:30 GMT", Some(30_000)),
            ("Wed, 21 Oct 2026 07:27:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("nan", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, now), wait.map(Duration::from_millis), "{text}");
        }
    }
}
