//! Where a server is and how it is spoken to.

use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;

/// Where the server is and how it is spoken to.
#[derive(Clone)]
pub struct ServerOptions {
    /// URLs up to and with `/v1`. With several, each rollout stays at one as long as that works.
    pub base_urls: Vec<String>,
    /// The model's name.
    pub model: String,
    /// Key for `Authorization: Bearer`; in no message, record or debug output.
    pub api_key: Option<String>,
    /// Further keys of the request's object, such as a grammar.
    pub extra_body: Map<String, Value>,
    /// Longest time for one answer. Default: 600 s.
    pub timeout: Duration,
    /// Longest time without a piece of an answer; answers are then streamed. Default: none, and they are not.
    pub idle: Option<Duration>,
    /// When to try again.
    pub retry: Retry,
}

impl ServerOptions {
    /// A server without a key, with the defaults of all else.
    pub fn new(base_url: impl Into<String>, model: impl Into<String>) -> ServerOptions {
        ServerOptions {
            base_urls: vec![base_url.into()],
            model: model.into(),
            api_key: None,
            extra_body: Map::new(),
            timeout: Duration::from_secs(600),
            idle: None,
            retry: Retry::default(),
        }
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("base_urls", &self.base_urls)
            .field("model", &self.model)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("extra_body", &self.extra_body)
            .field("timeout", &self.timeout)
            .field("idle", &self.idle)
            .field("retry", &self.retry)
            .finish()
    }
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

impl Retry {
    /// The wait after so many failed tries: between three quarters and five quarters of its time, so that many rollouts
    /// do not come back at once.
    pub(super) fn wait(&self, failed: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << failed.saturating_sub(1).min(20)).min(self.longest);
        doubled.mul_f64(0.75 + chance() / 2.0)
    }

    /// The wait that a server asked for, and a little more, for the same reason.
    pub(super) fn asked(&self, asked: Duration) -> Duration {
        asked + self.first.mul_f64(chance())
    }
}

/// From 0 to 1. The clock's last digits are chance enough to spread requests.
fn chance() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    f64::from(now.map_or(0, |d| d.subsec_nanos()) % 1_000) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let retry = Retry::default();
        for (failed, seconds) in [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (50, 30.0), (u32::MAX, 30.0)] {
            let wait = retry.wait(failed).as_secs_f64() / seconds;
            assert!((0.75..=1.25).contains(&wait), "{failed}: {wait}");
        }
        let asked = retry.asked(Duration::from_secs(2)).as_secs_f64();
        assert!((2.0..=2.5).contains(&asked), "{asked}");
    }

    #[test]
    fn a_key_is_not_printed() {
        let options =
            ServerOptions { api_key: Some("sk-secret".into()), ..ServerOptions::new("http://h/v1", "m") };
        let text = format!("{options:?}");
        assert!(!text.contains("secret") && text.contains("http://h/v1"), "{text}");
    }
}
