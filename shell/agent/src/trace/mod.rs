//! Spans of a run by OpenTelemetry's conventions for generative AI (semantic conventions 1.41, in development there):
//! `invoke_agent` for a rollout, in it `chat` for each request of the model and `execute_tool` for each action.
//!
//! What models and agents wrote is in no span: conversations are in the journal. With the feature `otel` spans go to the
//! collector that the usual variables name; without it nothing is built and nothing is paid for.

#[cfg(not(feature = "otel"))]
#[path = "disabled.rs"]
mod spans;
#[cfg(feature = "otel")]
#[path = "enabled.rs"]
mod spans;

pub(crate) use spans::RolloutSpan;
pub use spans::Traces;
