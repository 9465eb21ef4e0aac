//! How many requests a server gets at a time: as many as it bears. A refusal for load (429, 503) takes a third away, a
//! round of answers gives one back, as TCP does with its window.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests at a time beyond which nothing is gained from holding them back.
const MOST: usize = 4096;

/// The way to one server.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    permits: Arc<Semaphore>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// Requests that may run at a time.
    limit: usize,
    /// Most requests that were wanted at a time: what is given back ends there.
    most: usize,
    running: usize,
    /// Permits that are not given back when their requests end.
    owed: usize,
    /// Answers since the limit last changed.
    answers: usize,
    narrowed: Instant,
}

/// A request on its way.
pub(super) struct Pass {
    gate: Gate,
    permit: Option<OwnedSemaphorePermit>,
    since: Instant,
}

impl Gate {
    pub(super) fn new() -> Gate {
        let state =
            State { limit: MOST, most: MOST, running: 0, owed: 0, answers: 0, narrowed: Instant::now() };
        Gate { permits: Arc::new(Semaphore::new(MOST)), state: Arc::new(Mutex::new(state)) }
    }

    /// Waits until the server can be asked.
    pub(super) async fn pass(&self) -> Pass {
        // The semaphore is never closed.
        let permit = self.permits.clone().acquire_owned().await.ok();
        self.state().running += 1;
        Pass { gate: self.clone(), permit, since: Instant::now() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// The server answered.
    pub(super) fn answered(&self) {
        let mut state = self.gate.state();
        state.answers += 1;
        if state.limit < state.most && state.answers >= state.limit {
            (state.limit, state.answers) = (state.limit + 1, 0);
            if state.owed > 0 {
                state.owed -= 1;
            } else {
                self.gate.permits.add_permits(1);
            }
        }
    }

    /// The server has too much to do. Refusals of what was on its way before the last narrowing say nothing new.
    pub(super) fn refused(&self) {
        let mut state = self.gate.state();
        if self.since < state.narrowed {
            return;
        }
        // At first the limit is far above what was ever on its way.
        if state.limit == MOST {
            state.most = state.running.max(1);
            let idle = MOST - state.running;
            self.gate.permits.forget_permits(idle);
            state.limit = state.most;
        }
        let narrower = (state.limit * 2 / 3).max(1);
        let fewer = state.limit - narrower;
        let idle = self.gate.permits.forget_permits(fewer);
        state.owed += fewer - idle;
        (state.limit, state.answers, state.narrowed) = (narrower, 0, Instant::now());
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.running -= 1;
        if state.owed > 0
            && let Some(permit) = self.permit.take()
        {
            state.owed -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn passes(gate: &Gate, n: usize) -> Vec<Pass> {
        let mut all = Vec::new();
        for _ in 0..n {
            all.push(gate.pass().await);
        }
        all
    }

    #[tokio::test]
    async fn refusals_narrow_and_answers_widen_up_to_what_was_wanted() {
        let gate = Gate::new();
        let first = passes(&gate, 9).await;
        first.iter().for_each(Pass::refused);
        drop(first);
        assert_eq!(
            (gate.state().limit, gate.permits.available_permits()),
            (6, 6),
            "nine refusals count once"
        );
        let second = passes(&gate, 6).await;
        assert_eq!(gate.permits.available_permits(), 0);
        second[0].refused();
        drop(second);
        assert_eq!((gate.state().limit, gate.permits.available_permits()), (4, 4));
        for _ in 0..200 {
            gate.pass().await.answered();
        }
        assert_eq!((gate.state().limit, gate.permits.available_permits()), (9, 9));
    }

    #[tokio::test]
    async fn one_request_always_passes() {
        let gate = Gate::new();
        for _ in 0..20 {
            gate.pass().await.refused();
        }
        assert_eq!((gate.state().limit, gate.permits.available_permits()), (1, 1));
        gate.pass().await.answered();
    }
}
