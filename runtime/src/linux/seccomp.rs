//! The system calls that an action may make, as a BPF program.
//!
//! It is an allow-list over the calls that this source knows by number; all others answer `ENOSYS`, as on an older
//! kernel. Equal verdicts next to each other form a range, and the ranges a balanced tree: the kernel emulates the program
//! once for each number when it is attached, so a tree attaches five times faster than a list.

use crate::linux::wire::ENDING;
use crate::policy::Network;
use libc::{self as c, BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
use std::sync::{Mutex, PoisonError};

const ALLOW: u32 = c::SECCOMP_RET_ALLOW;
const KILL: u32 = c::SECCOMP_RET_KILL_PROCESS;
/// Process 1 hears of it and lets it go.
const HOLD: u32 = c::SECCOMP_RET_USER_NOTIF;
/// Where the upper half of an argument is in it.
const UPPER_HALF: u32 = 4;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
/// Set in the number of every x32 call; x32 shares the architecture's name with x86-64.
const X32_BIT: u32 = 0x4000_0000;
/// Calls above this one are newer than this source.
const LAST_OLD: i64 = 334;
const FIRST_NEW: i64 = 424;
const LAST_NEW: i64 = 462;
/// Of ioprio_set(2).
const IOPRIO_WHO_USER: u32 = 3;
/// `CLONE_NEW*`: each would open kernel code that an action has no business in.
const CLONE_NEW: u32 = 0x7e02_0000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Allow,
    Errno(i32),
    Check(Check),
}

/// Calls whose arguments decide.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Check {
    Clone,
    Ioctl,
    Socket,
    Socketpair,
    Personality,
    Execveat,
    NotOfProcess1,
    /// As that; nor of a whole user's, which this number means.
    NotOfUser(u32),
    /// Held if it is marked as the end of a script, and allowed.
    Exit,
    /// Of a thread: only another thread.
    CloneThread,
    /// Of a thread: no memory that can be executed.
    NoExec,
    /// Of a thread: only to look at a terminal.
    IsTerminal,
    /// Of a thread: only its own name.
    SetName,
}

const fn verdict(nr: i64) -> Verdict {
    match nr {
        c::SYS_clone => Verdict::Check(Check::Clone),
        c::SYS_ioctl => Verdict::Check(Check::Ioctl),
        c::SYS_socket => Verdict::Check(Check::Socket),
        c::SYS_socketpair => Verdict::Check(Check::Socketpair),
        c::SYS_personality => Verdict::Check(Check::Personality),
        c::SYS_execveat => Verdict::Check(Check::Execveat),
        c::SYS_exit_group => Verdict::Check(Check::Exit),
        // Process 1 has the action's user: without this an action could take its descriptors, or its processor time.
        c::SYS_prlimit64
        | c::SYS_sched_setparam
        | c::SYS_sched_setscheduler
        | c::SYS_sched_setaffinity
        | c::SYS_sched_setattr => Verdict::Check(Check::NotOfProcess1),
        c::SYS_setpriority => Verdict::Check(Check::NotOfUser(c::PRIO_USER)),
        c::SYS_ioprio_set => Verdict::Check(Check::NotOfUser(IOPRIO_WHO_USER)),
        // The flags of clone3 lie behind a pointer: with ENOSYS, C libraries fall back to clone. The memfd calls make a
        // file that no mount's noexec covers: the loader would map it. io_uring goes around this filter. What aio takes is
        // the whole host's: one process could leave nothing to all others (`fs.aio-max-nr`).
        c::SYS_clone3
        | c::SYS_memfd_create
        | c::SYS_memfd_secret
        | c::SYS_io_uring_setup
        | c::SYS_io_uring_enter
        | c::SYS_io_uring_register
        | c::SYS_io_setup
        | c::SYS_io_destroy
        | c::SYS_io_getevents
        | c::SYS_io_submit
        | c::SYS_io_cancel
        // io_pgetevents
        | 333
        | c::SYS_userfaultfd
        | c::SYS__sysctl
        | c::SYS_nfsservctl
        | c::SYS_uselib
        | c::SYS_getpmsg
        | c::SYS_putpmsg
        | c::SYS_afs_syscall
        | c::SYS_tuxcall
        | c::SYS_security
        // create_module, get_kernel_syms, query_module: gone since Linux 2.6.
        | 174 | 177 | 178
        | c::SYS_vserver
        | c::SYS_epoll_ctl_old
        | c::SYS_epoll_wait_old => Verdict::Errno(c::ENOSYS),
        // Other processes, kernel objects, mounts and namespaces, devices, time, modules, keys.
        c::SYS_ptrace
        | c::SYS_process_vm_readv
        | c::SYS_process_vm_writev
        | c::SYS_process_madvise
        | c::SYS_process_mrelease
        | c::SYS_kcmp
        | c::SYS_pidfd_getfd
        | c::SYS_bpf
        | c::SYS_perf_event_open
        | c::SYS_add_key
        | c::SYS_request_key
        | c::SYS_keyctl
        | c::SYS_mount
        | c::SYS_umount2
        | c::SYS_pivot_root
        | c::SYS_chroot
        | c::SYS_unshare
        | c::SYS_setns
        | c::SYS_open_tree
        | c::SYS_move_mount
        | c::SYS_fsopen
        | c::SYS_fsconfig
        | c::SYS_fsmount
        | c::SYS_fspick
        | c::SYS_mount_setattr
        | c::SYS_kexec_load
        | c::SYS_kexec_file_load
        | c::SYS_init_module
        | c::SYS_finit_module
        | c::SYS_delete_module
        | c::SYS_swapon
        | c::SYS_swapoff
        | c::SYS_acct
        | c::SYS_reboot
        | c::SYS_settimeofday
        | c::SYS_clock_settime
        | c::SYS_adjtimex
        | c::SYS_clock_adjtime
        | c::SYS_sethostname
        | c::SYS_setdomainname
        | c::SYS_iopl
        | c::SYS_ioperm
        | c::SYS_modify_ldt
        | c::SYS_open_by_handle_at
        | c::SYS_name_to_handle_at
        | c::SYS_fanotify_init
        | c::SYS_fanotify_mark
        | c::SYS_quotactl
        | c::SYS_quotactl_fd
        | c::SYS_vhangup
        | c::SYS_ustat
        | c::SYS_sysfs
        | c::SYS_syslog
        | c::SYS_lookup_dcookie
        | c::SYS_vmsplice
        | c::SYS_remap_file_pages
        | c::SYS_mbind
        | c::SYS_set_mempolicy
        | c::SYS_migrate_pages
        | c::SYS_move_pages => Verdict::Errno(c::EPERM),
        // statmount, listmount, lsm_get_self_attr, lsm_set_self_attr, lsm_list_modules.
        457..=461 => Verdict::Errno(c::EPERM),
        0..=LAST_OLD | FIRST_NEW..=LAST_NEW => Verdict::Allow,
        _ => Verdict::Errno(c::ENOSYS),
    }
}

/// The program for a policy's network; built once.
pub(crate) fn program(network: Network) -> Vec<u8> {
    static BUILT: Mutex<Vec<(Network, Vec<u8>)>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, program)) = built.iter().find(|(of, _)| *of == network) {
        return program.clone();
    }
    let program = build(network);
    built.push((network, program.clone()));
    program
}

/// The program for a thread of ours that runs an agent's scripts and modules: it computes, waits, reads what is open or
/// what Landlock lets it open, and starts threads like itself. It starts no program, makes no socket and no executable
/// memory.
pub(crate) fn thread_program() -> Vec<u8> {
    compile(thread_verdict, Network::None)
}

const fn thread_verdict(nr: i64) -> Verdict {
    match nr {
        c::SYS_read
        | c::SYS_write
        | c::SYS_readv
        | c::SYS_writev
        | c::SYS_pread64
        | c::SYS_close
        | c::SYS_fstat
        | c::SYS_newfstatat
        | c::SYS_statx
        | c::SYS_lseek
        | c::SYS_openat
        | c::SYS_openat2
        | c::SYS_getdents64
        | c::SYS_readlinkat
        | c::SYS_fcntl
        | c::SYS_poll
        | c::SYS_ppoll
        | c::SYS_munmap
        | c::SYS_mremap
        | c::SYS_madvise
        | c::SYS_brk
        | c::SYS_futex
        | c::SYS_membarrier
        | c::SYS_sched_yield
        | c::SYS_sched_getaffinity
        | c::SYS_clock_gettime
        | c::SYS_clock_getres
        | c::SYS_clock_nanosleep
        | c::SYS_nanosleep
        | c::SYS_gettimeofday
        | c::SYS_time
        | c::SYS_getrandom
        | c::SYS_rt_sigprocmask
        | c::SYS_rt_sigreturn
        | c::SYS_rt_sigaction
        | c::SYS_sigaltstack
        | c::SYS_restart_syscall
        | c::SYS_gettid
        | c::SYS_getpid
        | c::SYS_tgkill
        | c::SYS_set_robust_list
        | c::SYS_get_robust_list
        | c::SYS_set_tid_address
        | c::SYS_rseq
        | c::SYS_exit
        | c::SYS_exit_group => Verdict::Allow,
        c::SYS_clone => Verdict::Check(Check::CloneThread),
        c::SYS_mmap | c::SYS_mprotect => Verdict::Check(Check::NoExec),
        c::SYS_ioctl => Verdict::Check(Check::IsTerminal),
        c::SYS_prctl => Verdict::Check(Check::SetName),
        // The C library falls back to clone, whose flags can be looked at.
        c::SYS_clone3 => Verdict::Errno(c::ENOSYS),
        _ => Verdict::Errno(c::EPERM),
    }
}

fn build(network: Network) -> Vec<u8> {
    compile(verdict, network)
}

fn compile(verdict: fn(i64) -> Verdict, network: Network) -> Vec<u8> {
    let mut ranges: Vec<(u32, Verdict)> = Vec::new();
    for nr in 0..=LAST_NEW + 1 {
        let verdict = verdict(nr);
        if ranges.last().is_none_or(|(_, last)| *last != verdict) {
            ranges.push((nr as u32, verdict));
        }
    }
    let mut program = Program { code: Vec::new(), known: Vec::new(), network };
    let number = program.tree(&ranges);
    let unknown = program.end(errno(c::ENOSYS));
    program.branch(BPF_JGE, X32_BIT, unknown, number);
    let number = program.push(load(0));
    // int 0x80: a process that speaks i386 here has nothing good in mind.
    let kill = program.end(KILL);
    program.branch(BPF_JEQ, AUDIT_ARCH_X86_64, number, kill);
    program.push(load(offset_of_arch()));
    let forward = program.code.iter().rev();
    forward
        .flat_map(|i| {
            let [k0, k1] = i.code.to_ne_bytes();
            let [a, b, x, d] = i.k.to_ne_bytes();
            [k0, k1, i.jt, i.jf, a, b, x, d]
        })
        .collect()
}

/// A program, written from its end, because each jump goes forward: to what is there already, and is there once.
struct Program {
    /// The last instruction first.
    code: Vec<c::sock_filter>,
    known: Vec<(Block, At)>,
    network: Network,
}

/// How many instructions there are from this one to the end.
type At = usize;

/// Where a jump may lead.
#[derive(PartialEq)]
enum Block {
    End(u32),
    Check(Check),
}

impl Program {
    fn push(&mut self, instruction: c::sock_filter) -> At {
        self.code.push(instruction);
        self.code.len()
    }

    /// Goes on at `yes` or at `no`.
    fn branch(&mut self, test: u32, k: u32, yes: At, no: At) -> At {
        let over = |at: At| u8::try_from(self.code.len() - at).expect("the program is short");
        let (jt, jf) = (over(yes), over(no));
        self.push(c::sock_filter { jt, jf, ..op(BPF_JMP | test | BPF_K, k) })
    }

    fn end(&mut self, verdict: u32) -> At {
        self.once(Block::End(verdict), |program| program.push(op(BPF_RET | BPF_K, verdict)))
    }

    fn once(&mut self, block: Block, write: impl FnOnce(&mut Program) -> At) -> At {
        if let Some((_, at)) = self.known.iter().find(|(known, _)| *known == block) {
            return *at;
        }
        let at = write(self);
        self.known.push((block, at));
        at
    }

    fn tree(&mut self, ranges: &[(u32, Verdict)]) -> At {
        if let [(_, verdict)] = ranges {
            return match *verdict {
                Verdict::Allow => self.end(ALLOW),
                Verdict::Errno(e) => self.end(errno(e)),
                Verdict::Check(check) => self.once(Block::Check(check), |program| program.arguments(check)),
            };
        }
        let (left, right) = ranges.split_at(ranges.len() / 2);
        let (from, right) = (right[0].0, self.tree(right));
        let left = self.tree(left);
        self.branch(BPF_JGE, from, right, left)
    }

    fn arguments(&mut self, check: Check) -> At {
        let (allow, eperm, eacces) = (ALLOW, errno(c::EPERM), errno(c::EACCES));
        match check {
            Check::Clone => self.mask(0, CLONE_NEW, [0], [allow, eperm]),
            Check::Execveat => self.mask(4, c::AT_EMPTY_PATH as u32, [0], [allow, eacces]),
            Check::Ioctl => {
                const TIOCLINUX: u32 = 0x541c;
                const TIOCCONS: u32 = 0x541d;
                // Each puts characters into a terminal's input, takes it over or closes it to others.
                let commands =
                    [c::TIOCSTI as u32, TIOCLINUX, TIOCCONS, c::TIOCSETD as u32, c::TIOCEXCL as u32];
                self.any(1, commands, [eperm, allow])
            }
            Check::Socket if self.network == Network::None => {
                self.any(0, [c::AF_UNIX as u32], [allow, eacces])
            }
            Check::Socket => {
                self.any(0, [c::AF_UNIX, c::AF_INET, c::AF_INET6].map(|d| d as u32), [allow, eacces])
            }
            Check::Socketpair => self.any(0, [c::AF_UNIX as u32], [allow, eacces]),
            Check::Exit => {
                self.compare([ENDING], [HOLD, allow]);
                self.push(load(UPPER_HALF + argument(0)))
            }
            Check::NotOfProcess1 => self.any(0, [1], [eperm, allow]),
            Check::NotOfUser(user) => {
                let which = self.any(0, [user], [eperm, allow]);
                let eperm = self.end(eperm);
                // Of a group too: that of process 1 has its number.
                self.branch(BPF_JEQ, 1, eperm, which);
                self.push(load_argument(1))
            }
            Check::CloneThread => {
                let flag = c::CLONE_THREAD as u32;
                self.mask(0, flag, [flag], [allow, eperm])
            }
            Check::NoExec => self.mask(2, c::PROT_EXEC as u32, [0], [allow, eperm]),
            Check::IsTerminal => self.any(1, [c::TCGETS as u32, c::TIOCGWINSZ as u32], [allow, eperm]),
            Check::SetName => self.any(0, [c::PR_SET_NAME as u32], [allow, eperm]),
            Check::Personality => self.any(0, [0, u32::MAX], [allow, eperm]),
        }
    }

    /// The first verdict when the argument is one of `values`, else the second.
    fn any<const N: usize>(&mut self, argument: u32, values: [u32; N], verdicts: [u32; 2]) -> At {
        self.compare(values, verdicts);
        self.push(load_argument(argument))
    }

    /// As [`Program::any`], of these `bits` of the argument.
    fn mask(&mut self, argument: u32, bits: u32, values: [u32; 1], verdicts: [u32; 2]) -> At {
        self.compare(values, verdicts);
        self.push(op(BPF_ALU | BPF_AND | BPF_K, bits));
        self.push(load_argument(argument))
    }

    fn compare<const N: usize>(&mut self, values: [u32; N], [hit, miss]: [u32; 2]) {
        let (hit, miss) = (self.end(hit), self.end(miss));
        values.iter().rev().fold(miss, |next, value| self.branch(BPF_JEQ, *value, hit, next));
    }
}

const fn offset_of_arch() -> u32 {
    4
}

fn op(code: u32, k: u32) -> c::sock_filter {
    c::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}
fn load(offset: u32) -> c::sock_filter {
    op(BPF_LD | BPF_W | BPF_ABS, offset)
}
/// The low half: all that is looked at is a 32-bit value to the kernel, whatever the upper half holds.
fn load_argument(n: u32) -> c::sock_filter {
    load(argument(n))
}
const fn argument(n: u32) -> u32 {
    16 + 8 * n
}
const fn errno(e: i32) -> u32 {
    c::SECCOMP_RET_ERRNO | e as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel does, for one call.
    fn run(program: &[u8], arch: u32, nr: u32, args: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(nr.to_ne_bytes());
        data.extend(arch.to_ne_bytes());
        data.extend([0; 8]);
        args.iter().for_each(|a| data.extend(a.to_ne_bytes()));
        let (mut pc, mut acc) = (0, 0u32);
        loop {
            let i = &program[pc * 8..pc * 8 + 8];
            let code = u32::from(u16::from_ne_bytes([i[0], i[1]]));
            let k = u32::from_ne_bytes([i[4], i[5], i[6], i[7]]);
            pc += 1;
            if code == BPF_LD | BPF_W | BPF_ABS {
                acc = u32::from_ne_bytes(data[k as usize..k as usize + 4].try_into().unwrap());
            } else if code == BPF_RET | BPF_K {
                return k;
            } else if code == BPF_ALU | BPF_AND | BPF_K {
                acc &= k;
            } else if code == BPF_JMP | BPF_JEQ | BPF_K {
                pc += usize::from(if acc == k { i[2] } else { i[3] });
            } else if code == BPF_JMP | BPF_JGE | BPF_K {
                pc += usize::from(if acc >= k { i[2] } else { i[3] });
            } else {
                panic!("instruction {code:#x}");
            }
        }
    }

    fn native(nr: i64, args: [u64; 6]) -> u32 {
        run(&program(Network::None), AUDIT_ARCH_X86_64, nr as u32, args)
    }

    #[test]
    fn the_tree_gives_every_number_its_verdict() {
        for nr in 0..600 {
            match verdict(nr) {
                Verdict::Allow => assert_eq!(native(nr, [0; 6]), ALLOW, "{nr}"),
                Verdict::Errno(e) => assert_eq!(native(nr, [0; 6]), errno(e), "{nr}"),
                Verdict::Check(_) => {}
            }
        }
        assert_eq!(native(9999, [0; 6]), errno(c::ENOSYS));
    }

    #[test]
    fn it_is_small_and_allows_about_three_hundred_calls() {
        let length = program(Network::None).len() / 8;
        assert!(length < 150, "{length} instructions");
        let allowed = (0..600).filter(|nr| verdict(*nr) == Verdict::Allow).count();
        assert!((260..330).contains(&allowed), "{allowed}");
    }

    #[test]
    fn arguments_decide_where_they_must() {
        assert_eq!(native(c::SYS_clone, [0x11, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(native(c::SYS_clone, [0x1000_0011, 0, 0, 0, 0, 0]), errno(c::EPERM));
        assert_eq!(native(c::SYS_ioctl, [0, 0x5412, 0, 0, 0, 0]), errno(c::EPERM));
        // Bits above 32 do not hide the command: the kernel cuts them off, and so does the filter.
        assert_eq!(native(c::SYS_ioctl, [0, 0x1_0000_5412, 0, 0, 0, 0]), errno(c::EPERM));
        assert_eq!(native(c::SYS_ioctl, [0, 0x5401, 0, 0, 0, 0]), ALLOW);
        assert_eq!(native(c::SYS_prlimit64, [1, 7, 0, 0, 0, 0]), errno(c::EPERM));
        assert_eq!(native(c::SYS_prlimit64, [0, 7, 0, 0, 0, 0]), ALLOW);
        for nr in [c::SYS_sched_setaffinity, c::SYS_sched_setscheduler, c::SYS_sched_setattr] {
            assert_eq!(native(nr, [1, 8, 0, 0, 0, 0]), errno(c::EPERM), "{nr}");
            assert_eq!(native(nr, [0, 8, 0, 0, 0, 0]), ALLOW, "{nr}");
        }
        for (nr, user) in [(c::SYS_setpriority, 2), (c::SYS_ioprio_set, 3)] {
            for (which, who, verdict) in [
                (0, 0, ALLOW),
                (0, 7, ALLOW),
                (1, 0, ALLOW),
                (0, 1, errno(c::EPERM)),
                (1, 1, errno(c::EPERM)),
            ] {
                assert_eq!(native(nr, [which, who, 0, 0, 0, 0]), verdict, "{nr}: {which} {who}");
            }
            assert_eq!(native(nr, [user, 0, 19, 0, 0, 0]), errno(c::EPERM), "{nr}");
        }
        assert_eq!(native(c::SYS_socket, [1, 1, 0, 0, 0, 0]), ALLOW);
        for domain in [2, 10, 16, 17, 38, 40] {
            assert_eq!(native(c::SYS_socket, [domain, 1, 0, 0, 0, 0]), errno(c::EACCES), "{domain}");
        }
        assert_eq!(native(c::SYS_personality, [0xffff_ffff, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(native(c::SYS_personality, [0x40000, 0, 0, 0, 0, 0]), errno(c::EPERM));
        assert_eq!(native(c::SYS_execveat, [3, 0, 0, 0, 0x1000, 0]), errno(c::EACCES));
        let mark = u64::from(ENDING) << 32;
        assert_eq!(native(c::SYS_exit_group, [mark | 3, 0, 0, 0, 0, 0]), HOLD);
        for status in [0, 3, u64::from(ENDING), 1 << 32, mark + (1 << 32)] {
            assert_eq!(native(c::SYS_exit_group, [status, 0, 0, 0, 0, 0]), ALLOW, "{status:#x}");
        }
        let loopback = program(Network::Loopback);
        assert_eq!(run(&loopback, AUDIT_ARCH_X86_64, c::SYS_socket as u32, [2, 1, 0, 0, 0, 0]), ALLOW);
        assert_eq!(
            run(&loopback, AUDIT_ARCH_X86_64, c::SYS_socket as u32, [17, 1, 0, 0, 0, 0]),
            errno(c::EACCES)
        );
    }

    #[test]
    fn a_thread_of_ours_computes_and_starts_nothing() {
        let run = |nr: i64, args| run(&thread_program(), AUDIT_ARCH_X86_64, nr as u32, args);
        for nr in [c::SYS_read, c::SYS_futex, c::SYS_openat, c::SYS_exit] {
            assert_eq!(run(nr, [0; 6]), ALLOW, "{nr}");
        }
        for nr in [c::SYS_execve, c::SYS_execveat, c::SYS_socket, c::SYS_ptrace, c::SYS_fork, c::SYS_unlink] {
            assert_eq!(run(nr, [0; 6]), errno(c::EPERM), "{nr}");
        }
        let thread = (c::CLONE_THREAD | c::CLONE_VM | c::CLONE_SIGHAND) as u64;
        assert_eq!(run(c::SYS_clone, [thread, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(run(c::SYS_clone, [17, 0, 0, 0, 0, 0]), errno(c::EPERM));
        assert_eq!(run(c::SYS_mmap, [0, 4096, 3, 0x22, 0, 0]), ALLOW);
        assert_eq!(run(c::SYS_mmap, [0, 4096, 7, 0x22, 0, 0]), errno(c::EPERM));
        assert_eq!(run(c::SYS_mprotect, [0, 4096, 5, 0, 0, 0]), errno(c::EPERM));
        assert_eq!(run(c::SYS_ioctl, [0, 0x5412, 0, 0, 0, 0]), errno(c::EPERM));
    }

    #[test]
    fn other_architectures_are_killed_and_x32_is_unknown() {
        assert_eq!(run(&program(Network::None), 0x4000_0003, 1, [0; 6]), KILL);
        assert_eq!(native(i64::from(X32_BIT) | 1, [0; 6]), errno(c::ENOSYS));
    }
}
