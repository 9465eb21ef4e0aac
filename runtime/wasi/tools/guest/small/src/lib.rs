//! Small commands: what coreutils leaves out on WASI, and what agents use besides.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod bc;
mod cat;
mod chmod;
mod cp;
mod dd;
pub mod diff;
mod ed;
mod find;
mod fmt;
mod hexdump;
mod iconv;
mod ids;
mod io;
mod lines;
mod ln;
mod ls;
mod packed;
mod pager;
mod patch;
pub mod sed;
mod space;
mod stat;
mod tar;
mod terminal;
mod tree;
mod unzip;
mod xxd;

/// A command: arguments with its name first, the exit status back.
pub type Main = fn(&[Vec<u8>]) -> i32;

/// The commands, sorted by name.
pub const TABLE: &[(&str, Main)] = &[
    ("bc", bc::main),
    ("bunzip2", packed::bunzip2),
    ("bzcat", packed::bzcat),
    ("bzip2", packed::bzip2),
    ("cat", cat::main),
    ("chmod", chmod::main),
    ("column", lines::column),
    ("cp", cp::main),
    ("dd", dd::main),
    ("df", space::df),
    ("dir", ls::dir),
    ("du", space::du),
    ("ed", ed::main),
    ("file", stat::file),
    ("find", find::main),
    ("fmt", fmt::main),
    ("groups", ids::groups),
    ("gunzip", packed::gunzip),
    ("gzip", packed::gzip),
    ("hexdump", hexdump::main),
    ("hostname", ids::hostname),
    ("iconv", iconv::main),
    ("id", ids::id),
    ("install", chmod::install),
    ("less", pager::less),
    ("link", ln::link),
    ("ln", ln::main),
    ("logname", ids::logname),
    ("ls", ls::main),
    ("lzcat", packed::xzcat),
    ("more", pager::more),
    ("patch", patch::main),
    ("rev", lines::rev),
    ("stat", stat::main),
    ("strings", lines::strings),
    ("stty", terminal::stty),
    ("sync", pager::sync),
    ("tac", lines::tac),
    ("tar", tar::main),
    ("tput", terminal::tput),
    ("tree", tree::main),
    ("tty", terminal::tty),
    ("unlzma", packed::unxz),
    ("unxz", packed::unxz),
    ("unzip", unzip::main),
    ("vdir", ls::vdir),
    ("whoami", ids::whoami),
    ("xxd", xxd::main),
    ("xz", packed::xz),
    ("xzcat", packed::xzcat),
    ("zcat", packed::zcat),
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
