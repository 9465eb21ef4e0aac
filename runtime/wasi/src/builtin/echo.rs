//! `echo`.

use super::{Done, escape};
use crate::shell::Shell;

pub(super) fn echo(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let (mut newline, mut escapes, mut at) = (true, shell.shopt("xpg_echo"), 1);
    while let Some([b'-', letters @ ..]) = argv.get(at).map(Vec::as_slice) {
        if letters.is_empty() || !letters.iter().all(|l| b"neE".contains(l)) {
            break;
        }
        for letter in letters {
            match letter {
                b'n' => newline = false,
                b'e' => escapes = true,
                _ => escapes = false,
            }
        }
        at += 1;
    }
    let mut out = Vec::new();
    for (n, word) in argv[at.min(argv.len())..].iter().enumerate() {
        if n > 0 {
            out.push(b' ');
        }
        if escapes {
            let (text, ends) = escape::echo(word);
            out.extend(text);
            if ends {
                return shell.printed(&argv[0], &out);
            }
        } else {
            out.extend_from_slice(word);
        }
    }
    if newline {
        out.push(b'\n');
    }
    shell.printed(&argv[0], &out)
}
