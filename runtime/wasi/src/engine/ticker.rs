//! Time for modules that compute: while any runs, the engine's epoch goes on.

use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use wasmtime::Engine;

/// How often a module that computes is asked whether it may go on.
const TICK: Duration = Duration::from_millis(10);

/// One thread for the process, asleep while nothing runs.
struct Ticker {
    active: Mutex<u32>,
    begun: Condvar,
}

/// As long as it lives, the epoch goes on.
pub(super) struct Ticking(&'static Ticker);

/// Begins to tick for an engine, of which there is one in a process.
pub(super) fn tick(engine: &Engine) -> Ticking {
    static TICKER: OnceLock<&'static Ticker> = OnceLock::new();
    let ticker = TICKER.get_or_init(|| {
        let ticker: &'static Ticker =
            Box::leak(Box::new(Ticker { active: Mutex::new(0), begun: Condvar::new() }));
        let engine = engine.clone();
        let started = std::thread::Builder::new()
            .name("sbx-wasi-ticks".into())
            .stack_size(64 << 10)
            .spawn(move || ticker.serve(&engine));
        // Without it a module that only computes could not be stopped.
        started.expect("the system gives a process one more thread");
        ticker
    });
    let mut active = ticker.active.lock().unwrap_or_else(PoisonError::into_inner);
    *active += 1;
    if *active == 1 {
        ticker.begun.notify_one();
    }
    Ticking(ticker)
}

impl Ticker {
    fn serve(&self, engine: &Engine) {
        loop {
            let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
            while *active == 0 {
                active = self.begun.wait(active).unwrap_or_else(PoisonError::into_inner);
            }
            drop(active);
            std::thread::sleep(TICK);
            engine.increment_epoch();
        }
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        *self.0.active.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}
