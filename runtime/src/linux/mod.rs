//! The native walls of Linux. [`sys`], [`enter`], [`leave`], [`identity`], [`cpuid`], [`front`] and [`thread`] hold all unsafe code of
//! the library.

pub(crate) mod cgroup;
pub(crate) mod cpuid;
pub(crate) mod enter;
pub(crate) mod front;
pub(crate) mod identity;
pub(crate) mod landlock;
mod leave;
pub(crate) mod seccomp;
pub(crate) mod sys;
pub mod thread;
#[allow(dead_code, reason = "each side of the wire uses its half")]
pub(crate) mod wire;
