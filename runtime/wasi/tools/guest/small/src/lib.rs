//! Small commands: what coreutils leaves out on WASI, and what agents use besides.

#![forbid(unsafe_code)]

mod cat;
mod chmod;
mod cp;
pub mod diff;
mod find;
mod gzip;
mod ids;
mod io;
mod lines;
mod ln;
mod ls;
mod patch;
pub mod sed;
mod space;
mod stat;
mod tar;
mod tree;
mod xxd;

/// A command: arguments with its name first, the exit status back.
pub type Main = fn(&[Vec<u8>]) -> i32;

/// The commands, sorted by name.
pub const TABLE: &[(&str, Main)] = &[
    ("cat", cat::main),
    ("chmod", chmod::main),
    ("column", lines::column),
    ("cp", cp::main),
    ("df", space::df),
    ("dir", ls::dir),
    ("du", space::du),
    ("file", stat::file),
    ("find", find::main),
    ("groups", ids::groups),
    ("gunzip", gzip::gunzip),
    ("gzip", gzip::gzip),
    ("hostname", ids::hostname),
    ("id", ids::id),
    ("install", chmod::install),
    ("link", ln::link),
    ("ln", ln::main),
    ("logname", ids::logname),
    ("ls", ls::main),
    ("patch", patch::main),
    ("rev", lines::rev),
    ("stat", stat::main),
    ("strings", lines::strings),
    ("tac", lines::tac),
    ("tar", tar::main),
    ("tree", tree::main),
    ("vdir", ls::vdir),
    ("whoami", ids::whoami),
    ("xxd", xxd::main),
    ("zcat", gzip::zcat),
];

/// Finds a command.
pub fn command(name: &str) -> Option<Main> {
    TABLE.binary_search_by(|(known, _)| (*known).cmp(name)).ok().map(|at| TABLE[at].1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sorted() {
        assert!(super::TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
