//! Rolls a model out on instances: prompts it, runs its actions in a sandbox, and journals what came of it.
//!
//! `Instance ─▶ checkout ─▶ rollout (model ⇄ sandbox) ─▶ journal`
//!
//! This crate prints nothing and draws nothing: who starts a run watches it through [`Watch`]. It writes the journal,
//! the trajectories and `preds.json`; datasets are made from these files by another crate.
#![forbid(unsafe_code)]

mod budget;
mod checkout;
mod error;
mod hands;
pub mod harness;
mod rollout;
mod run;
mod scripted;
mod server;
mod settings;
mod watch;

pub use checkout::{Checkout, Checkouts};
pub use error::Error;
pub use run::{RunOptions, Summary, run};
pub use scripted::{Asked, Fault, Script, ScriptedServer, Turns};
pub use server::{Client, Retry, ServerError, ServerOptions};
pub use watch::Watch;
