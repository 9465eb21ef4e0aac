//! Small system calls that no library wraps safely.

use rustix::fs::{MemfdFlags, OFlags, SealFlags};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Version of the kernel's Landlock ABI; 0 without Landlock (landlock_create_ruleset(2)).
pub(crate) fn landlock_abi() -> u32 {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the call reads no memory; null and 0 are what the manual asks for.
    let abi = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    u32::try_from(abi).unwrap_or(0)
}

/// An anonymous, sealed file with this content, for process 1 alone; no action ever gets its descriptor.
/// Where `memfd_create` is refused (inside another sandbox) it is an unlinked temporary file, opened again read-only.
pub(crate) fn sealed_file(content: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match rustix::fs::memfd_create("sbx", flags) {
        Ok(fd) => {
            let mut file = File::from(fd);
            file.write_all(content)?;
            rustix::fs::fcntl_add_seals(
                &file,
                SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
            )?;
            Ok(file.into())
        }
        Err(_) => {
            let mut file = tempfile::tempfile()?;
            file.write_all(content)?;
            rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o500))?;
            let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
            Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, rustix::fs::Mode::empty())?)
        }
    }
}
