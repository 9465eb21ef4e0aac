//! Who watches a run: what it hears, and what it may wish.

use sbx_records::Rollout;

/// What is known of a rollout when its model has replied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnSeen<'a> {
    /// The instance.
    pub instance: &'a str,
    /// Which of its rollouts, from 0.
    pub rollout: u32,
    /// Which turn, from 1.
    pub turn: u64,
    /// The first line of what the reply asks for; empty when it asks for nothing.
    pub command: &'a str,
    /// Completion tokens so far.
    pub tokens: u64,
    /// Observations so far of programs that were not there or were refused.
    pub blocked: u64,
}

/// Who watches a run. Called from the run's own task; it must not block.
pub trait Watch: Sync + Send {
    /// An instance is being checked out.
    fn checking_out(&self, _instance: &str) {}
    /// The run begins: rollouts in all, and those that were done before.
    fn begin(&self, _total: usize, _done: usize) {}
    /// A rollout begins: its instance, and its number from 0.
    fn started(&self, _instance: &str, _rollout: u32) {}
    /// The model has replied in a rollout.
    fn turn(&self, _turn: &TurnSeen<'_>) {}
    /// A rollout has ended and is in the journal.
    fn ended(&self, _rollout: &Rollout) {}
    /// Asked again and again: 0 go on, 1 start no more, 2 end the running ones too.
    fn wish(&self) -> u8 {
        0
    }
}
