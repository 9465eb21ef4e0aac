//! Exit statuses of `sbx` that are not the command's own.

/// The command line is not understood.
pub const USAGE: u8 = 2;
/// A subcommand other than `exec` failed, or found what it was asked to look for.
pub const FAILED: u8 = 1;
/// `exec`: sbx itself failed; the command did not run.
pub const SBX_FAILED: u8 = 125;
