//! `sbx mcp`: the sandbox as tools of the Model Context Protocol, on stdin and stdout.

mod answer;
mod calls;
mod place;
mod server;
mod tools;

use super::exec::Fate;
use super::exec::held::ignored;
use super::exit_codes::SBX_FAILED;
use super::limits::PolicyArgs;
use anyhow::{Context, ensure};
use place::Place;
use rmcp::ServiceExt;
use rmcp::service::{QuitReason, ServerInitializeError};
use rmcp::transport::io::stdio_pipes;
use server::Server;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::sync::oneshot;

#[derive(clap::Args)]
#[command(
    after_help = "Tools: bash, read_file, write_file, list_dir, and policy, which tells what is allowed.\n\n\
    A host is told of it as of any server on stdin and stdout:\n\
    {\"mcpServers\": {\"sbx\": {\"command\": \"sbx\", \"args\": [\"mcp\", \"--workspace\", \"/path/to/checkout\"]}}}\n\n\
    With --changes commit each call works on the directory as it is then, and what it changed is committed to it when the \
    call is over. With discard or a file all calls share one sandbox; the patch is written after each of them."
)]
pub struct Args {
    /// Directory to work in [default: the current one]
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// What becomes of the changes: commit (to the workspace), discard, or a file for the patch
    #[arg(long, value_name = "commit|discard|FILE.patch", default_value = "commit")]
    changes: String,
    #[command(flatten)]
    policy: PolicyArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let fate = Fate::parse(&args.changes)?;
    if let Fate::Patch(file) = &fate {
        let is_ours = rustix::fs::stat(file)
            .and_then(|one| Ok((one, rustix::fs::fstat(std::io::stdout())?)))
            .is_ok_and(|(one, out)| (one.st_dev, one.st_ino) == (out.st_dev, out.st_ino));
        ensure!(!is_ours, "--changes {}: stdout is for the protocol; expected another file", args.changes);
    }
    let workspace = match args.workspace {
        Some(dir) => dir,
        None => std::env::current_dir().context("the current directory")?,
    };
    let policy = args.policy.resolve()?;
    let place = match Place::open(policy, workspace, args.policy.env, fate) {
        Ok(place) => place,
        Err(e) => {
            tell!("sbx: {e:#}");
            return Ok(ExitCode::from(SBX_FAILED));
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(serve(Server::new(place)));
    // A read of stdin that nobody waits for any more cannot be taken back.
    runtime.shutdown_background();
    if let Some(signal) = ended? {
        let _ = emulate_default_handler(signal);
    }
    Ok(ExitCode::SUCCESS)
}

/// Serves until stdin is at its end or a signal comes, which it returns. What runs then is ended and settled.
async fn serve(server: Server) -> anyhow::Result<Option<i32>> {
    let calls = server.calls();
    let mut by_signal = ending_signal()?;
    let service = tokio::select! {
        service = server.serve(stdio_pipes()) => match service {
            Ok(service) => service,
            // Whoever asks nothing is answered nothing.
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(None),
            Err(e) => return Err(e).context("the first message"),
        },
        signal = &mut by_signal => return Ok(signal.ok()),
    };
    let end = service.cancellation_token();
    let ended = tokio::select! {
        quit = service.waiting() => match quit? {
            QuitReason::JoinError(e) => Err(e.into()),
            _ => Ok(None),
        },
        signal = &mut by_signal => Ok(signal.ok()),
    };
    end.cancel();
    calls.all_ended().await;
    ended
}

/// The first signal that would have ended this program, but for those that whoever started it wants ignored. The second
/// ends it at once.
fn ending_signal() -> anyhow::Result<oneshot::Receiver<i32>> {
    let ignored = ignored();
    let heard = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    let mut signals = Signals::new(heard).context("signals")?;
    let (tell, first) = oneshot::channel();
    std::thread::spawn(move || {
        let mut tell = Some(tell);
        for signal in signals.forever() {
            if tell.take().is_none_or(|tell| tell.send(signal).is_err()) {
                let _ = emulate_default_handler(signal);
            }
        }
    });
    Ok(first)
}
