//! The engine and the compiled module of all commands, one for the whole process.

use super::cache::{self, Loaded};
use super::guest::Guest;
use super::job::{Exit, Job};
use super::{ticker, wasi};
use crate::fs::Handle;
use sbx_runtime::Error;
use sbx_runtime::thread::cpu_time;
use sbx_wasi_tools::APPLETS;
use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Duration;
use wasmtime::{Config, Engine, InstancePre, Linker, Store, Trap, UpdateDeadline};

/// Commands that start commands, one in the other, on one thread; each takes its stack there.
const MAX_NESTED: u32 = 24;
/// Stack of a module, in bytes.
const MAX_STACK: usize = 1 << 20;

/// The engine with the compiled module of all commands.
///
/// ```no_run
/// let machine = sbx_wasi::Machine::load()?;
/// assert!(machine.has("grep"));
/// # Ok::<(), sbx_runtime::Error>(())
/// ```
pub struct Machine {
    engine: Engine,
    pre: InstancePre<Guest>,
    applets: Vec<String>,
    /// Nobody removes the code from the cache meanwhile.
    _loaded: Loaded,
}

impl Machine {
    /// The machine of this process. Its first use loads the compiled module, or compiles it and keeps it in the user's
    /// cache; `SBX_WASI_NO_CACHE=1` keeps nothing.
    ///
    /// # Errors
    /// The module does not compile, or cannot be loaded.
    pub fn load() -> Result<&'static Machine, Error> {
        static MACHINE: OnceLock<Result<Machine, String>> = OnceLock::new();
        let machine = MACHINE.get_or_init(|| {
            let engine = engine()?;
            let bytes = || sbx_wasi_tools::module().map_err(|e| e.to_string());
            let loaded = cache::load(&engine, sbx_wasi_tools::DIGEST, bytes)?;
            Machine::new(engine, loaded, APPLETS.iter().map(ToString::to_string).collect())
        });
        machine.as_ref().map_err(|e| Error::System {
            what: "the commands' module".into(),
            reason: std::io::Error::other(e.clone()),
        })
    }

    fn new(engine: Engine, loaded: Loaded, applets: Vec<String>) -> Result<Machine, String> {
        // Now, and not at the first run: that is on a thread which may make no file in memory any more.
        loaded.module.initialize_copy_on_write_image().map_err(|e| e.to_string())?;
        let mut linker = Linker::new(&engine);
        wasi::link(&mut linker).map_err(|e| e.to_string())?;
        let pre = linker.instantiate_pre(&loaded.module).map_err(|e| e.to_string())?;
        Ok(Machine { engine, pre, applets, _loaded: loaded })
    }

    /// The names of its commands.
    pub fn applets(&self) -> &[String] {
        &self.applets
    }

    /// Whether there is a command of this name.
    pub fn has(&self, name: &str) -> bool {
        self.applets.iter().any(|applet| applet == name)
    }

    /// Runs a command to its end, on this thread.
    pub fn run(&self, mut job: Job<'_>) -> Exit {
        thread_local!(static NESTED: Cell<u32> = const { Cell::new(0) });
        if job.budget.check().is_err() {
            return Exit::Signal(9);
        }
        let nested = NESTED.get();
        if nested >= MAX_NESTED {
            if let Some((_, stderr)) = job.fds.iter().find(|(fd, _)| *fd == 2) {
                let _ = stderr.write_all(b"sbx: too many commands within commands\n", job.budget);
            }
            return Exit::Status(254);
        }
        job.env.retain(|(key, _)| key != b"PWD");
        job.env.push((b"PWD".to_vec(), job.cwd.clone()));
        let budget = job.budget;
        let before = if nested == 0 { cpu_time() } else { Duration::ZERO };
        NESTED.set(nested + 1);
        let exit = self.run_guest(job);
        NESTED.set(nested);
        if nested == 0 {
            budget.add_cpu(cpu_time().saturating_sub(before));
        }
        exit
    }

    fn run_guest(&self, job: Job<'_>) -> Exit {
        let _ticking = ticker::tick(&self.engine);
        let root = Handle::directory(b"/".to_vec());
        let mut store = Store::new(&self.engine, Guest::new(job, root));
        store.limiter(|guest| guest);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            let guest = store.data_mut();
            if guest.budget.check().is_ok() {
                return Ok(UpdateDeadline::Continue(1));
            }
            guest.exit = Some(Exit::Signal(9));
            Ok(UpdateDeadline::Interrupt)
        });
        let ended = self.pre.instantiate(&mut store).and_then(|instance| {
            store.data_mut().memory = instance.get_memory(&mut store, "memory");
            instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())
        });
        match (ended, store.data().exit) {
            (_, Some(exit)) => exit,
            (Ok(()), None) => Exit::Status(0),
            (Err(e), None) => match e.downcast_ref::<Trap>() {
                Some(Trap::StackOverflow | Trap::MemoryOutOfBounds) => Exit::Signal(11),
                Some(Trap::IntegerDivisionByZero | Trap::IntegerOverflow) => Exit::Signal(8),
                _ => Exit::Signal(6),
            },
        }
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("applets", &self.applets.len()).finish_non_exhaustive()
    }
}

fn engine() -> Result<Engine, String> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(MAX_STACK)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(false);
    Engine::new(&config).map_err(|e| e.to_string())
}
