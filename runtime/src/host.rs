//! What this machine can enforce. Read once, passed to [`Plan::compile`](crate::Plan::compile); a test pretends another.

use crate::linux::{cgroup, sys};
use serde::Serialize;
use std::sync::{Mutex, PoisonError};

/// What this machine can enforce, and who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Effective user id of the caller.
    pub uid: u32,
    /// Effective group id of the caller.
    pub gid: u32,
    /// Landlock's ABI version; 0 when there is none.
    pub landlock: u32,
    /// Where limits for the whole process tree come from.
    pub cgroup: cgroup::Cgroups,
    /// A directory that exists on every host, to be covered by the new root for a moment.
    pub cover: &'static str,
}

impl Host {
    /// What [`Host::probe`] said the first time in this process, for this user: a thousand sandboxes stand on one host.
    pub(crate) fn known() -> Host {
        static KNOWN: Mutex<Option<Host>> = Mutex::new(None);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        match &*known {
            Some(host) if (host.uid, host.gid) == (uid, gid) => host.clone(),
            _ => known.insert(Host::probe()).clone(),
        }
    }

    /// Looks at this machine. Takes some ten microseconds; runs nothing.
    pub fn probe() -> Host {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let cover =
            ["/tmp", "/mnt", "/usr"].into_iter().find(|d| std::path::Path::new(d).is_dir()).unwrap_or("/");
        Host { uid, gid, landlock: sys::landlock_abi(), cgroup: cgroup::Cgroups::find(), cover }
    }
}
