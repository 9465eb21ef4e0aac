//! The backend without processes, left out of this build: it cannot be opened.

use sbx_runtime::{Action, Changes, Error, Observation, Policy, Stream, Timings, Workspace};

#[derive(Debug)]
pub(crate) enum Sandbox {}

impl Sandbox {
    pub(crate) fn open(policy: &Policy, _: impl Into<Workspace>) -> Result<Sandbox, Error> {
        let name = &policy.name;
        Err(Error::Policy(format!(
            "{name}: backend: this build has no \"wasi\"; build it with the feature wasi"
        )))
    }

    pub(crate) fn run_with(
        &mut self,
        _: &Action,
        _: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Observation, Error> {
        match *self {}
    }

    pub(crate) fn changes(&self) -> Result<Changes, Error> {
        match *self {}
    }

    pub(crate) fn policy(&self) -> &Policy {
        match *self {}
    }

    pub(crate) fn enforced(&self) -> Vec<String> {
        match *self {}
    }

    pub(crate) fn timings(&self) -> &Timings {
        match *self {}
    }
}
