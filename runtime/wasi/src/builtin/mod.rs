//! Commands that the shell runs itself: bash's own, and those programs that run others.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub(crate) mod declare;
mod declare_names;
mod directory;
mod echo;
pub(crate) mod escape;
mod flow;
mod getopts;
pub(crate) mod jobs;
mod launch;
mod limits;
mod lookup;
pub(crate) mod options;
mod printf;
pub(crate) mod read;
mod test;
mod time;
mod trap;
mod xargs;

use crate::shell::{Expanded, Leave, Shell};

/// What a built-in returns: its status, or why the shell leaves what it does.
pub(crate) type Done = Result<i32, Leave>;

/// A built-in.
#[derive(Clone, Copy)]
pub(crate) enum Builtin {
    Plain(fn(&mut Shell, &[Vec<u8>]) -> Done),
    /// Its arguments may be assignments.
    Declaring(fn(&mut Shell, &[Expanded<'_>]) -> Done),
}

use Builtin::{Declaring, Plain};

/// All built-ins, sorted by name.
const ALL: [(&str, Builtin); 72] = [
    (".", Plain(flow::source)),
    (":", Plain(flow::yes)),
    ("[", Plain(test::test)),
    ("alias", Plain(lookup::alias)),
    ("bash", Plain(launch::bash)),
    ("bg", Plain(jobs::no_control)),
    ("break", Plain(flow::break_loop)),
    ("builtin", Declaring(lookup::builtin)),
    ("caller", Plain(flow::caller)),
    ("cd", Plain(directory::cd)),
    ("command", Declaring(lookup::command)),
    ("compgen", Plain(lookup::compgen)),
    ("complete", Plain(flow::yes)),
    ("compopt", Plain(flow::yes)),
    ("continue", Plain(flow::continue_loop)),
    ("declare", Declaring(declare::declare)),
    ("dirs", Plain(directory::dirs)),
    ("disown", Plain(jobs::disown)),
    ("echo", Plain(echo::echo)),
    ("enable", Plain(flow::yes)),
    ("env", Plain(launch::env)),
    ("eval", Plain(flow::eval)),
    ("exit", Plain(flow::exit)),
    ("export", Declaring(declare::export)),
    ("false", Plain(flow::no)),
    ("fc", Plain(flow::yes)),
    ("fg", Plain(jobs::no_control)),
    ("flock", Plain(launch::flock)),
    ("getopts", Plain(getopts::getopts)),
    ("hash", Plain(lookup::hash)),
    ("help", Plain(lookup::help)),
    ("history", Plain(flow::yes)),
    ("jobs", Plain(jobs::jobs)),
    ("kill", Plain(jobs::kill)),
    ("let", Plain(flow::calculate)),
    ("local", Declaring(declare::local)),
    ("logout", Plain(flow::exit)),
    ("mapfile", Plain(read::mapfile)),
    ("mkfifo", Plain(directory::mkfifo)),
    ("nice", Plain(launch::nice)),
    ("nohup", Plain(launch::nohup)),
    ("popd", Plain(directory::popd)),
    ("printf", Plain(printf::printf)),
    ("pushd", Plain(directory::pushd)),
    ("pwd", Plain(directory::pwd)),
    ("read", Plain(read::read)),
    ("readarray", Plain(read::mapfile)),
    ("readonly", Declaring(declare::readonly)),
    ("return", Plain(flow::return_)),
    ("set", Plain(options::set)),
    ("setsid", Plain(launch::setsid)),
    ("sh", Plain(launch::bash)),
    ("shift", Plain(flow::shift)),
    ("shopt", Plain(options::shopt)),
    ("sleep", Plain(launch::sleep)),
    ("source", Plain(flow::source)),
    ("stdbuf", Plain(launch::stdbuf)),
    ("test", Plain(test::test)),
    ("time", Plain(launch::time)),
    ("timeout", Plain(launch::timeout)),
    ("times", Plain(limits::times)),
    ("trap", Plain(trap::trap)),
    ("true", Plain(flow::yes)),
    ("type", Plain(lookup::type_)),
    ("typeset", Declaring(declare::declare)),
    ("ulimit", Plain(limits::ulimit)),
    ("umask", Plain(limits::umask)),
    ("unalias", Plain(lookup::unalias)),
    ("unset", Plain(declare_names::unset)),
    ("wait", Plain(jobs::wait)),
    ("which", Plain(lookup::which)),
    ("xargs", Plain(xargs::xargs)),
];

/// Those that are programs elsewhere: a policy may leave them out, and `type` gives their path.
const PROGRAMS: [&str; 15] = [
    "mkfifo", "flock", "bash", "env", "nice", "nohup", "setsid", "sh", "sleep", "stdbuf", "time", "timeout",
    "which", "xargs", "dash",
];

/// The built-in of this name.
pub(crate) fn find(name: &[u8]) -> Option<Builtin> {
    let at = ALL.binary_search_by(|(known, _)| known.as_bytes().cmp(name)).ok()?;
    Some(ALL[at].1)
}

/// Whether a built-in is a program elsewhere.
pub(crate) fn stands_for_program(name: &[u8]) -> bool {
    PROGRAMS.iter().any(|program| program.as_bytes() == name)
}

/// Programs that are built-ins here.
#[cfg(test)]
pub(crate) fn programs() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().copied().filter(|name| find(name.as_bytes()).is_some())
}

/// Names of bash's own built-ins.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name).filter(|name| !stands_for_program(name.as_bytes()))
}

/// A number that is an argument.
pub(crate) fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

impl Shell {
    /// Prints a built-in's message.
    pub(crate) fn complain_as(&self, who: &[u8], message: &str) {
        self.complain_bytes(&[who, b": ", message.as_bytes()].concat());
    }

    /// Prints a built-in's message about one argument.
    pub(crate) fn complain_about(&self, who: &[u8], what: &[u8], message: &str) {
        self.complain_bytes(&[who, b": ", what, b": ", message.as_bytes()].concat());
    }

    /// What writing to standard output came to, as a status.
    pub(crate) fn printed(&mut self, who: &[u8], bytes: &[u8]) -> Done {
        match self.print(bytes) {
            Ok(()) => Ok(0),
            // A trap keeps the signal away, also an empty one.
            Err(crate::shell::Errno::PIPE) if !self.traps.contains_key(&b"PIPE"[..]) => {
                Err(Leave::Killed(13))
            }
            Err(crate::shell::Errno::INTR) => {
                self.check()?;
                Ok(1)
            }
            Err(errno) => {
                let why = format!("write error: {}", crate::shell::message(errno));
                self.complain_as(who, &why);
                Ok(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_without_doubles() {
        assert!(ALL.windows(2).all(|w| w[0].0 < w[1].0));
    }
}
