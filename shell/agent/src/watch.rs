//! Who watches a run: what it hears, and what it may wish.

use sbx_records::Rollout;

/// Who watches a run. Called from the run's own task; it must not block.
pub trait Watch: Sync + Send {
    /// An instance is being checked out.
    fn checking_out(&self, _instance: &str) {}
    /// The run begins: rollouts in all, and those that were done before.
    fn begin(&self, _total: usize, _done: usize) {}
    /// A rollout begins: its instance, and its number from 0.
    fn started(&self, _instance: &str, _rollout: u32) {}
    /// The model has replied in a rollout; `turn` counts from 1.
    fn turn(&self, _instance: &str, _rollout: u32, _turn: u64) {}
    /// A rollout has ended and is in the journal.
    fn ended(&self, _rollout: &Rollout) {}
    /// Asked again and again: 0 go on, 1 start no more, 2 end the running ones too.
    fn wish(&self) -> u8 {
        0
    }
}
