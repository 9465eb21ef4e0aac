//! No spans: the feature `otel` is off.

use crate::harness::Call;
use crate::server::{Ask, Reply, ServerError};
use sbx_records::Rollout;
use sbx_runtime::Observation;

/// The way to a collector; none in this build.
#[derive(Debug)]
pub struct Traces;

impl Traces {
    /// Returns nothing: the feature `otel` is off.
    ///
    /// # Errors
    /// Never.
    pub fn from_environment() -> Result<Option<Traces>, String> {
        Ok(None)
    }

    /// Does nothing.
    ///
    /// # Errors
    /// Never.
    pub fn finish(self) -> Result<(), String> {
        Ok(())
    }
}

pub(crate) struct RolloutSpan;
pub(crate) struct Chat;
pub(crate) struct Tool;

impl RolloutSpan {
    pub(crate) fn begin(_: &Rollout) -> RolloutSpan {
        RolloutSpan
    }

    pub(crate) fn chat(&self, _: &Rollout, _: Ask<'_>) -> Chat {
        Chat
    }

    pub(crate) fn tool(&self, _: &Call) -> Tool {
        Tool
    }

    pub(crate) fn end(self, _: &Rollout) {}
}

impl Chat {
    pub(crate) fn end(self, _: &Result<Reply, ServerError>) {}
}

impl Tool {
    pub(crate) fn end(self, _: Option<&Observation>) {}
}
