//! Writes steps as the records of `linux/wire.rs`.

use super::Step;
use crate::linux::wire::*;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const NO_TEXT: &[u8] = b"";

pub(super) fn encode(steps: &[Step]) -> Vec<u8> {
    let mut out = Vec::with_capacity(steps.len() * 128);
    for step in steps {
        record(&mut out, step);
    }
    out
}

/// The mount data of a tmpfs.
fn tmpfs(mode: u32, bytes: u64, inodes: u64) -> String {
    format!("mode={mode:o},size={bytes},nr_inodes={inodes}")
}

fn record(out: &mut Vec<u8>, step: &Step) {
    let text = |p: &'_ Path| p.as_os_str().as_bytes().to_vec();
    let mut put = |op: u32, flags: u32, numbers: [u64; 3], one: &[u8], two: &[u8]| {
        out.extend(op.to_ne_bytes());
        out.extend(flags.to_ne_bytes());
        numbers.iter().for_each(|n| out.extend(n.to_ne_bytes()));
        for text in [one, two] {
            let len = u32::try_from(text.len()).expect("paths and filters are far below 4 GiB");
            out.extend(len.to_ne_bytes());
        }
        for text in [one, two] {
            out.extend(text);
            out.push(0);
        }
        out.resize(out.len().next_multiple_of(8), 0);
    };
    match step {
        Step::Base { cover, bytes, inodes } => {
            put(OP_BASE, 0, [0; 3], &text(cover), tmpfs(0o755, *bytes, *inodes).as_bytes());
        }
        Step::Tmpfs { at, bytes, inodes, mode, flags } => {
            put(OP_TMPFS, 0, [*flags, 0, 0], &text(at), tmpfs(*mode, *bytes, *inodes).as_bytes());
        }
        Step::Mkdir { at, mode } => put(OP_MKDIR, 0, [u64::from(*mode), 0, 0], &text(at), NO_TEXT),
        Step::Bind { from, at, flags, directory, is_there, optional } => {
            let optional = if *optional { OPTIONAL } else { 0 };
            let numbers = [*flags, u64::from(*directory), u64::from(*is_there)];
            put(OP_BIND, optional, numbers, &text(from), &text(at));
        }
        Step::Symlink { target, at } => put(OP_SYMLINK, 0, [0; 3], &text(target), &text(at)),
        Step::File { at, content } => put(OP_FILE, 0, [0o644, 0, 0], &text(at), content.as_bytes()),
        Step::Overlay { at, lower, upper, work, flags } => {
            let data = format!(
                "lowerdir={},upperdir={},workdir={},userxattr",
                lower.display(),
                upper.display(),
                work.display()
            );
            put(OP_OVERLAY, 0, [*flags, 0, 0], &text(at), data.as_bytes());
        }
        Step::Proc { at, optional } => {
            let optional = if *optional { OPTIONAL } else { 0 };
            const NOSUID_NODEV_NOEXEC: u64 = 2 | 4 | 8;
            put(OP_PROC, optional, [NOSUID_NODEV_NOEXEC, 0, 0], &text(at), NO_TEXT);
        }
        Step::Mask { at, directory } => put(OP_MASK, 0, [0, u64::from(*directory), 0], &text(at), NO_TEXT),
        Step::Attributes { at, flags } => put(OP_SETATTR, 0, [*flags, 0, 0], &text(at), NO_TEXT),
        Step::Hand { dir } => put(OP_SENDDIR, 0, [0; 3], &text(dir), NO_TEXT),
        Step::Enter => put(OP_ENTER, 0, [0; 3], NO_TEXT, NO_TEXT),
        Step::Setting { file, value } => put(OP_WRITE, 0, [0; 3], &text(file), value.as_bytes()),
        Step::Hostname { name } => put(OP_HOSTNAME, 0, [0; 3], name.as_bytes(), NO_TEXT),
        Step::Network => put(OP_NETWORK, 0, [0; 3], NO_TEXT, NO_TEXT),
        Step::Loopback => put(OP_LOOPBACK, 0, [0; 3], NO_TEXT, NO_TEXT),
        Step::Listen { port } => put(OP_LISTEN, 0, [u64::from(*port), 0, 0], NO_TEXT, NO_TEXT),
        Step::Limit { number, value, .. } => {
            put(OP_RLIMIT, 0, [u64::from(*number), *value, *value], NO_TEXT, NO_TEXT)
        }
        Step::Capabilities => put(OP_CAPS, 0, [0; 3], NO_TEXT, NO_TEXT),
        Step::NoNewPrivs => put(OP_NNP, 0, [0; 3], NO_TEXT, NO_TEXT),
        Step::Landlock { fs, net, scopes } => put(OP_LANDLOCK, 0, [*fs, *net, *scopes], NO_TEXT, NO_TEXT),
        // A path that is not there needs no rule: what no rule allows is denied.
        Step::Rule { at, rights } => put(OP_RULE, OPTIONAL, [*rights, 0, 0], &text(at), NO_TEXT),
        Step::Restrict => put(OP_RESTRICT, 0, [0; 3], NO_TEXT, NO_TEXT),
        Step::Seccomp { program, .. } => put(OP_SECCOMP, 0, [0; 3], NO_TEXT, program),
    }
}
