//! Several servers of one model. A rollout stays at one, whose cache holds its conversation so far, and moves to another
//! when that one fails.

use super::{Ask, Client, Count, Reply, ServerError, ServerOptions};
use sbx_records::Message;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a server that failed is asked last.
const REST: Duration = Duration::from_secs(30);
/// Fewest tries of a request at one of several servers.
const FEWEST_TRIES: u32 = 2;

/// Servers of one model.
#[derive(Debug)]
pub struct Pool {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    client: Client,
    url: String,
    /// Until when it is asked last.
    rests: Mutex<Option<Instant>>,
}

impl Pool {
    /// Makes a client for each base URL.
    ///
    /// # Errors
    /// There is none, or as [`Client::new`].
    pub fn new(options: &ServerOptions) -> Result<Pool, ServerError> {
        let count = u32::try_from(options.base_urls.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return Err(ServerError::Setup("--base-url: expected at least one".into()));
        }
        let mut retry = options.retry;
        if count > 1 {
            retry.attempts = retry.attempts.div_ceil(count).max(FEWEST_TRIES).min(retry.attempts);
        }
        let members = options.base_urls.iter().map(|url| {
            let options = ServerOptions { base_urls: vec![url.clone()], retry, ..options.clone() };
            Ok(Member { client: Client::new(options)?, url: url.clone(), rests: Mutex::new(None) })
        });
        Ok(Pool { members: members.collect::<Result<_, _>>()? })
    }

    /// Asks every server whether it is there, and returns the smallest context that one of them tells, in tokens.
    ///
    /// # Errors
    /// One does not answer, or refuses the key: a mistyped URL shows before the run.
    pub async fn preflight(&self) -> Result<Option<u64>, ServerError> {
        let mut context = None;
        for member in &self.members {
            let told = member.client.preflight().await?;
            context = context.into_iter().chain(told).min();
        }
        Ok(context)
    }

    /// Asks for the next message of the rollout `key`.
    pub(crate) async fn chat(
        &self,
        key: &str,
        messages: &[Message],
        ask: Ask<'_>,
    ) -> Result<Reply, ServerError> {
        let order = self.order(key);
        let mut last = ServerError::Setup("no server".into());
        for (at, member) in order.iter().enumerate() {
            match member.client.chat(messages, ask).await {
                Err(e) if is_its_own(&e) && at + 1 < order.len() => {
                    member.rest();
                    last = e;
                }
                Err(e) => {
                    if is_its_own(&e) {
                        member.rest();
                    }
                    return Err(e);
                }
                Ok(reply) => return Ok(reply),
            }
        }
        Err(last)
    }

    /// Counts the prompt of the next message of the rollout `key`, at the server that will be asked for it.
    pub(crate) async fn count(
        &self,
        key: &str,
        messages: &[Message],
        from: usize,
        ask: Ask<'_>,
    ) -> Option<Count> {
        self.order(key).first()?.client.count(messages, from, ask).await
    }

    /// The servers in the order in which a rollout asks them.
    fn order(&self, key: &str) -> Vec<&Member> {
        let mut order: Vec<&Member> = self.members.iter().collect();
        order.sort_by_cached_key(|member| (member.is_resting(), rank(key, &member.url)));
        order
    }
}

impl Member {
    fn is_resting(&self) -> bool {
        let rests = self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        rests.is_some_and(|until| Instant::now() < until)
    }

    fn rest(&self) {
        *self.rests.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
    }
}

/// Whether another server may do better.
fn is_its_own(e: &ServerError) -> bool {
    e.is_passing() || matches!(e, ServerError::NeverAnswered(_))
}

/// Rendezvous hashing: a server that comes or goes moves only the rollouts that are its own.
fn rank(key: &str, url: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, url).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollouts_are_spread_and_stay() {
        let urls = ["http://a/v1", "http://b/v1", "http://c/v1"];
        let first = |key: &str| urls.iter().min_by_key(|url| rank(key, url)).copied().unwrap();
        let counts = urls.map(|url| (0..300).filter(|n| first(&format!("i/{n}")) == url).count());
        assert!(counts.iter().all(|n| (70..130).contains(n)), "{counts:?}");
        assert_eq!(first("i/7"), first("i/7"));
    }

    #[test]
    fn no_server_is_an_error() {
        let options = ServerOptions { base_urls: Vec::new(), ..ServerOptions::new("", "m") };
        assert!(Pool::new(&options).is_err());
    }
}
