// The words between the library and process 1 of a sandbox. Compiled into both (see `init/main.rs`), so it is plain
// constants: no type here needs an allocator or the standard library.
//
// A plan is a sequence of records, each 8-byte aligned:
//   u32 op · u32 flags · u64 a · u64 b · u64 c · u32 len1 · u32 len2 · text1 NUL · text2 NUL · padding
// A message on the control socket is one SEQPACKET datagram that begins with a u32 kind.

/// A step that may fail: the failure is reported, not fatal.
pub const OPTIONAL: u32 = 1;

/// First pivot: text1 = a directory to cover, text2 = mount data. Afterwards the host is `/old` and the view grows under `/new`.
pub const OP_BASE: u32 = 1;
/// text1 = where, text2 = mount data, a = mount flags.
pub const OP_TMPFS: u32 = 2;
/// text1 = directory, a = mode. Parents are made too.
pub const OP_MKDIR: u32 = 3;
/// text1 = host object, text2 = where, a = MOUNT_ATTR_* to set, b = 1 for a directory, c = 1 where the place is there.
pub const OP_BIND: u32 = 4;
/// text1 = target, text2 = where.
pub const OP_SYMLINK: u32 = 5;
/// text1 = where, text2 = overlay mount data, a = mount flags.
pub const OP_OVERLAY: u32 = 6;
/// text1 = where, text2 = mount data, a = mount flags.
pub const OP_PROC: u32 = 7;
/// text1 = a file or directory of /proc to cover with nothing, b = 1 for a directory. Absent is fine.
pub const OP_MASK: u32 = 8;
/// text1 = where, text2 = content, a = mode.
pub const OP_FILE: u32 = 9;
/// text1 = mount point, a = MOUNT_ATTR_* to set.
pub const OP_SETATTR: u32 = 10;
/// text1 = directory whose descriptor goes to the library with the ready message.
pub const OP_SENDDIR: u32 = 11;
/// Second pivot: `/new` becomes `/`, the host is detached.
pub const OP_ENTER: u32 = 12;
/// text1 = file, text2 = content, written as it is (sysctl files).
pub const OP_WRITE: u32 = 13;
/// text1 = host name.
pub const OP_HOSTNAME: u32 = 14;
/// Enters a network namespace of its own, which may have been made meanwhile.
pub const OP_NETWORK: u32 = 25;
/// Brings `lo` up.
pub const OP_LOOPBACK: u32 = 15;
/// a = port of 127.0.0.1 to listen on; its descriptor goes to the library with the ready message.
pub const OP_LISTEN: u32 = 24;
/// a = resource, b = soft, c = hard.
pub const OP_RLIMIT: u32 = 16;
/// Drops every capability from every set and locks the securebits.
pub const OP_CAPS: u32 = 17;
/// Sets no_new_privs and makes the process non-dumpable.
pub const OP_NNP: u32 = 18;
/// a = handled file system rights, b = handled network rights, c = scopes: makes the ruleset.
pub const OP_LANDLOCK: u32 = 19;
/// text1 = path, a = rights. Adds a rule; absent is fine when OPTIONAL.
pub const OP_RULE: u32 = 20;
/// Enforces the ruleset.
pub const OP_RESTRICT: u32 = 21;
/// text2 = the BPF program.
pub const OP_SECCOMP: u32 = 22;

/// Library to process 1: build the sandbox; u32 flags. Descriptor: the plan.
pub const MSG_GO: u32 = 1;
/// The caller does nothing but wait for it, and there is a processor that has nothing else to do.
pub const GO_AWAITED: u32 = 1;
/// An action was asked for already: that the walls stand is said when its process has begun.
pub const GO_ASKED: u32 = 2;
/// Length of a MSG_GO message, its kind included.
pub const GO_LEN: usize = 8;
/// Library to process 1: run an action; u32 flags, u32 time, and then the payload with RUN_INLINE. Descriptors: the files
/// that take process 1 into its cgroups (RUN_DOORS), stdin without RUN_NO_STDIN, stdout, stderr, the payload's file
/// without RUN_INLINE, and perhaps a script. The time is when this
/// was sent, in microseconds of CLOCK_MONOTONIC, or 0 when the caller has others under way.
pub const MSG_RUN: u32 = 2;
/// The action is `bash -c SCRIPT`, which a fork of process 1 may become when that is a bash.
pub const RUN_SCRIPT: u32 = 1;
/// Work may be done ahead for the action after this one.
pub const RUN_AHEAD: u32 = 2;
/// Stdout is a terminal, which becomes the action's controlling one.
pub const RUN_TERMINAL: u32 = 4;
/// The payload is in the message.
pub const RUN_INLINE: u32 = 8;
/// Stdin is the null device, opened by the action itself.
pub const RUN_NO_STDIN: u32 = 16;
/// Stdout and stderr are pipes, and stdin is one or nothing.
pub const RUN_PIPES: u32 = 32;
/// From this bit of the flags on: how many files take process 1 into cgroups, before the action begins. The first action
/// has them.
pub const RUN_DOORS: u32 = 6;
/// Library to process 1: what was asked for by a signal is over.
pub const MSG_FORGET: u32 = 3;
/// Process 1 to library: u64 µs of processor time that its children took so far, u32 count of failed optional steps, u32 µs
/// of CLOCK_MONOTONIC when the walls stood, without its upper half, then the u32 indexes of those steps. Descriptors: those
/// of OP_SENDDIR.
pub const MSG_READY: u32 = 16;
/// Process 1 to library: u32 step index, u32 errno. The index is one of `NO_…` when it was no step.
pub const MSG_FAILED: u32 = 17;
/// Process 1 to library: [`DONE_LEN`] bytes: u32 wait status, u32 exec errno (0 when it started), u64 µs of
/// processor time of all its children so far, u64 peak resident KiB, u32 processes that were left over and killed.
pub const MSG_DONE: u32 = 18;

/// Signals from the library to process 1: SIGTERM, or SIGKILL, for every process of the action (SIGUSR1 and SIGUSR2).
pub const SIGNAL_TERM: u32 = 10;
pub const SIGNAL_KILL: u32 = 12;

/// Most bytes of a MSG_RUN message, and the length of what comes before the payload.
pub const RUN_LEN: usize = 4096;
pub const RUN_HEAD: usize = 12;
/// Length of a MSG_DONE message in bytes, its kind included.
pub const DONE_LEN: usize = 32;
/// Most failed optional steps that a MSG_READY names.
pub const MAX_MISSING: usize = 60;
/// Length of a MSG_READY message in bytes before the indexes, its kind included.
pub const READY_LEN: usize = 20;

/// User and group of an action.
pub const UID: u32 = 1000;
/// Descriptor of the control socket in process 1.
pub const FD_CONTROL: i32 = 3;
/// Descriptor of process 1's own `/proc/self/oom_score_adj`, where the host gives it.
pub const FD_OOM: i32 = 4;
/// In the upper half of the status of exit_group(2): process 1 is to hear of it (`init/ending.rs`).
pub const ENDING: u32 = u32::from_be_bytes(*b"sbx\0");
/// Descriptor of what tells a process 1 that is a bash of endings.
pub const FD_ENDINGS: i32 = 5;
/// In place of a step's index: the plan could not be read.
pub const NO_PLAN: u32 = u32::MAX;
/// In place of a step's index: no network namespace of its own.
pub const NO_NETWORK: u32 = u32::MAX - 1;
/// Descriptor of a long script in the action.
pub const FD_SCRIPT: i32 = 9;

/// In an errno: it is about the action's directory.
pub const NO_CWD: u32 = 0x1000;

/// The bash that process 1 becomes, in the sandbox.
pub const BASH: &core::ffi::CStr = c"/usr/libexec/sbx/bash";
/// Its name as process 1. The library that it preloads does nothing under another.
pub const BASH_NAME: &core::ffi::CStr = c"sbx-init";
/// Its name on trial: then it ends at once with 0.
pub const BASH_ON_TRIAL: &core::ffi::CStr = c"sbx-trial";
/// Its script, in case the library was not loaded.
pub const BASH_FAILS: &core::ffi::CStr = c"exit 1";
/// Its environment.
pub const BASH_PRELOAD: &core::ffi::CStr = c"LD_PRELOAD=/usr/libexec/sbx/ahead.so";
