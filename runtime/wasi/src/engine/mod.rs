//! Runs WASI modules: one at a time per thread, within an action's budget.

pub(crate) mod budget;
mod cache;
pub(crate) mod crew;
mod guest;
pub(crate) mod job;
mod machine;
mod ticker;
mod wasi;

pub use machine::Machine;

#[cfg(test)]
mod tests;
