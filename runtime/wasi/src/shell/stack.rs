//! How deep a script may go: as far as the stack of its thread.

/// Stack of a thread that runs a script, in bytes, as [`crate::Crew`] makes them.
pub(crate) const STACK: usize = crate::engine::crew::STACK;
/// What stays free below the deepest frame of the shell, in bytes: for a guest, and for messages.
const RESERVE: usize = 8 << 20;

/// The lowest address that a script on this thread may reach. To be called near the beginning of a stack of [`STACK`].
pub(crate) fn floor() -> usize {
    let here = 0u8;
    (&raw const here).addr().saturating_sub(STACK - RESERVE)
}
