//! Landlock's rights by ABI version (`linux/landlock.h`; kernel document `userspace-api/landlock`).

/// `LANDLOCK_ACCESS_FS_EXECUTE`.
pub(crate) const EXECUTE: u64 = 1;
/// `…_WRITE_FILE`.
pub(crate) const WRITE_FILE: u64 = 1 << 1;
/// `…_READ_FILE`.
pub(crate) const READ_FILE: u64 = 1 << 2;
/// `…_READ_DIR`.
pub(crate) const READ_DIR: u64 = 1 << 3;
/// `…_TRUNCATE`, ABI 3.
pub(crate) const TRUNCATE: u64 = 1 << 14;
/// `…_IOCTL_DEV`, ABI 5.
pub(crate) const IOCTL_DEV: u64 = 1 << 15;
/// All that a writable directory may allow but for execution, device nodes and device ioctls.
pub(crate) const WRITABLE: u64 = {
    const REMOVE_DIR: u64 = 1 << 4;
    const REMOVE_FILE: u64 = 1 << 5;
    const MAKE_DIR: u64 = 1 << 7;
    const MAKE_REG: u64 = 1 << 8;
    const MAKE_SOCK: u64 = 1 << 9;
    const MAKE_FIFO: u64 = 1 << 10;
    const MAKE_SYM: u64 = 1 << 12;
    const REFER: u64 = 1 << 13;
    WRITE_FILE
        | READ_FILE
        | READ_DIR
        | TRUNCATE
        | REMOVE_DIR
        | REMOVE_FILE
        | MAKE_DIR
        | MAKE_REG
        | MAKE_SOCK
        | MAKE_FIFO
        | MAKE_SYM
        | REFER
};
/// The rights that a rule for a single file can carry.
pub(crate) const ON_FILE: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

/// File system rights that this ABI knows; all of them are handled, so what no rule allows is denied.
pub(crate) fn handled_fs(abi: u32) -> u64 {
    match abi {
        0 => 0,
        1 => (1 << 13) - 1,
        2 => (1 << 14) - 1,
        3 | 4 => (1 << 15) - 1,
        _ => (1 << 16) - 1,
    }
}

/// TCP bind and connect, from ABI 4.
pub(crate) fn handled_net(abi: u32) -> u64 {
    if abi >= 4 { 3 } else { 0 }
}

/// Abstract sockets and signals, from ABI 6.
pub(crate) fn scopes(abi: u32) -> u64 {
    if abi >= 6 { 3 } else { 0 }
}

/// What an older ABI leaves to the other walls, by name.
pub(crate) fn lost(abi: u32) -> Vec<String> {
    [(2, "refer"), (3, "truncate"), (4, "tcp"), (5, "ioctl"), (6, "scope")]
        .iter()
        .filter(|(since, _)| abi > 0 && abi < *since)
        .map(|(_, name)| format!("landlock:{name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_abi_handles_less_and_names_what_it_lost() {
        assert_eq!(handled_fs(1), 0x1fff);
        assert_eq!(handled_fs(7), 0xffff);
        assert_eq!(WRITABLE & !handled_fs(7), 0);
        assert_eq!(lost(3), ["landlock:tcp", "landlock:ioctl", "landlock:scope"]);
        assert_eq!(lost(7), Vec::<String>::new());
    }
}
