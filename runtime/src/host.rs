//! What this machine can enforce. Read once, passed to [`Plan::compile`](crate::Plan::compile); a test pretends another.

use crate::Workspace;
use crate::linux::{cgroup, sys};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What this machine can enforce, and who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// User id on the host that actions have: the caller's, or for root that of the workspace's owner.
    pub uid: u32,
    /// Group id on the host that actions have.
    pub gid: u32,
    /// Landlock's ABI version; 0 when there is none.
    pub landlock: u32,
    /// Where limits for the whole process tree come from.
    pub cgroup: cgroup::Cgroups,
    /// A directory that exists on every host, to be covered by the new root for a moment.
    pub cover: Cow<'static, str>,
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

    /// The same host as the owner of a workspace sees it, when root asks: what the owner may write there actions may
    /// write, and nothing in the sandbox is root's. It stays root where the owner cannot get to the workspace, or is a
    /// user that this user namespace has no number for.
    pub(crate) fn for_workspace(self, workspace: &Workspace) -> Host {
        let owner = std::fs::metadata(&workspace.lower).map(|m| (m.uid(), m.gid()));
        let Ok((uid, gid)) = owner else { return self };
        /// What the kernel shows for owners from outside the user namespace; nobody can become it there.
        const OVERFLOW: u32 = 65534;
        if self.uid != 0 || uid == 0 || [uid, gid].contains(&OVERFLOW) {
            return self;
        }
        let host = Host { uid, gid, ..self.clone() };
        let all = std::iter::once(&workspace.lower).chain(&workspace.objects);
        if all.into_iter().all(|path| host.may_reach(path)) { host } else { self }
    }

    /// Whether the user may enter a directory and all that lead to it.
    pub(crate) fn may_reach(&self, path: &Path) -> bool {
        const ENTER: u32 = 0o111;
        self.uid == 0
            || path.ancestors().all(|dir| {
                std::fs::metadata(dir).is_ok_and(|m| {
                    let whose = match (m.uid() == self.uid, m.gid() == self.gid) {
                        (true, _) => 0o100,
                        (false, true) => 0o010,
                        (false, false) => 0o001,
                    };
                    m.mode() & ENTER & whose != 0
                })
            })
    }

    /// Looks at this machine. Takes some ten microseconds; runs nothing.
    pub fn probe() -> Host {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let cover =
            ["/tmp", "/mnt", "/usr"].into_iter().find(|d| std::path::Path::new(d).is_dir()).unwrap_or("/");
        Host { uid, gid, landlock: sys::landlock_abi(), cgroup: cgroup::Cgroups::find(), cover: cover.into() }
    }
}
