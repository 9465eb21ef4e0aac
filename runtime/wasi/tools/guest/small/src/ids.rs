//! Who runs this: `id`, `whoami`, `groups`, `logname`, `hostname`.

use crate::io::write;

fn number(name: &str) -> u32 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn name() -> String {
    if number("SBX_UID") == 0 {
        "root".into()
    } else {
        std::env::var("USER").unwrap_or_else(|_| "user".into())
    }
}

pub fn id(argv: &[Vec<u8>]) -> i32 {
    let letters: Vec<u8> =
        argv.iter().skip(1).filter(|arg| arg.starts_with(b"-")).flat_map(|arg| arg[1..].to_vec()).collect();
    let has = |letter| letters.contains(&letter);
    let (user, group) = (number("SBX_UID"), number("SBX_GID"));
    let text = match (has(b'u'), has(b'g') || has(b'G'), has(b'n')) {
        (true, _, false) => user.to_string(),
        (false, true, false) => group.to_string(),
        (false, false, _) => format!("uid={user}({n}) gid={group}({n}) groups={group}({n})", n = name()),
        _ => name(),
    };
    write(format!("{text}\n").as_bytes());
    0
}

pub fn whoami(_: &[Vec<u8>]) -> i32 {
    write(format!("{}\n", name()).as_bytes());
    0
}

pub fn groups(_: &[Vec<u8>]) -> i32 {
    whoami(&[])
}

pub fn logname(_: &[Vec<u8>]) -> i32 {
    whoami(&[])
}

pub fn hostname(_: &[Vec<u8>]) -> i32 {
    write(format!("{}\n", std::env::var("HOSTNAME").unwrap_or_else(|_| "sandbox".into())).as_bytes());
    0
}
