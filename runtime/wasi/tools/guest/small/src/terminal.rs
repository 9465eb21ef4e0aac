//! `tput`, `stty` and `tty`: there is no terminal, and a terminal named `dumb` can do little.

use crate::io::{warn, write};

/// Status of `tput` for what the terminal cannot do.
const CANNOT: i32 = 1;
/// Status of a wrong use of `tput`.
const MISUSE: i32 = 2;
/// Status of a terminal that is not known.
const UNKNOWN_TERMINAL: i32 = 3;
/// Status of a capability that is not known.
const UNKNOWN: i32 = 4;

/// What terminfo has for `dumb`: name and text.
const TEXTS: &[(&str, &str)] = &[("bel", "\x07"), ("cr", "\r"), ("cud1", "\n"), ("ind", "\n")];
/// Capabilities of other terminals that scripts ask for.
const OTHERS: &str = "acsc bce blink bold civis clear cnorm cub cub1 cud cuf cuf1 cup cuu cuu1 cvvis dch dch1 dim dl dl1 \
    ech ed el el1 home hpa ht ich il il1 invis is2 kbs kcub1 kcud1 kcuf1 kcuu1 khome op rc rep rev ri rmacs rmam rmcup \
    rmir rmkx rmso rmul rs1 rs2 sc setab setaf setb setf sgr sgr0 sitm ritm smacs smam smcup smir smkx smso smul tbc vpa";

/// Runs `tput`.
pub fn tput(argv: &[Vec<u8>]) -> i32 {
    let mut args = argv.iter().skip(1).map(|arg| String::from_utf8_lossy(arg).into_owned());
    let mut terminal = std::env::var("TERM").unwrap_or_default();
    let mut lines = Vec::new();
    let mut words: Vec<String> = Vec::new();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-T" => terminal = args.next().unwrap_or_default(),
            "-S" => lines = crate::io::read(b"-").unwrap_or_default(),
            "-V" => {
                write(b"ncurses 6.4.20221231\n");
                return 0;
            }
            text if words.is_empty() && text.starts_with("-T") => terminal = text[2..].to_owned(),
            "-x" => {}
            text if words.is_empty() && text.len() > 1 && text.starts_with('-') => {
                warn("tput", format!("invalid option -- '{}'", &text[1..2]));
                return MISUSE;
            }
            _ => words.push(arg),
        }
    }
    if terminal.is_empty() {
        warn("tput", "No value for $TERM and no -T specified");
        return MISUSE;
    }
    if terminal != "dumb"
        && !["xterm", "linux", "vt100", "screen", "tmux", "ansi"]
            .iter()
            .any(|known| terminal.starts_with(known))
    {
        warn("tput", format!("unknown terminal \"{terminal}\""));
        return UNKNOWN_TERMINAL;
    }
    if !lines.is_empty() {
        let text = String::from_utf8_lossy(&lines).into_owned();
        return text
            .lines()
            .map(|line| capability(line.split_whitespace().next().unwrap_or_default()))
            .max()
            .unwrap_or(0);
    }
    match words.first() {
        Some(name) => capability(name),
        None => {
            warn("tput", "usage: tput [-V] [-S] [-T terminal-type] capability [parameters]");
            MISUSE
        }
    }
}

fn capability(name: &str) -> i32 {
    let size = |variable: &str, usual: &str| {
        let set =
            std::env::var(variable).ok().filter(|value| value.parse::<u16>().is_ok_and(|value| value > 0));
        write(format!("{}\n", set.as_deref().unwrap_or(usual)).as_bytes());
        0
    };
    match name {
        "cols" => size("COLUMNS", "80"),
        "lines" => size("LINES", "24"),
        "colors" | "pairs" | "it" | "xmc" => {
            write(b"-1\n");
            0
        }
        "longname" => {
            write(b"80-column dumb tty");
            0
        }
        "am" | "init" => 0,
        "reset" => {
            write(b"\r");
            0
        }
        // Clearing is refused otherwise than the rest.
        "clear" => MISUSE,
        "bw" | "km" | "mir" | "msgr" | "xenl" | "hs" => CANNOT,
        _ => match TEXTS.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => {
                write(text.as_bytes());
                0
            }
            None if OTHERS.split_whitespace().any(|known| known == name) => CANNOT,
            None => {
                warn("tput", format!("unknown terminfo capability '{name}'"));
                UNKNOWN
            }
        },
    }
}

/// Runs `stty`.
pub fn stty(argv: &[Vec<u8>]) -> i32 {
    let file = argv.iter().position(|arg| arg == b"-F").and_then(|at| argv.get(at + 1));
    let name = file.map_or("'standard input'".into(), |file| String::from_utf8_lossy(file).into_owned());
    warn("stty", format!("{name}: Inappropriate ioctl for device"));
    1
}

/// Runs `tty`.
pub fn tty(argv: &[Vec<u8>]) -> i32 {
    if !argv
        .iter()
        .skip(1)
        .any(|arg| ["-s", "--silent", "--quiet"].iter().any(|quiet| arg == quiet.as_bytes()))
    {
        write(b"not a tty\n");
    }
    1
}
