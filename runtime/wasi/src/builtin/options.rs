//! `set` and `shopt`.

use super::Done;
use crate::shell::Shell;
use std::sync::Arc;

/// Options of `shopt`, and whether each is on at first.
pub(crate) const SHOPT: [(&str, bool); 53] = [
    ("autocd", false),
    ("assoc_expand_once", false),
    ("cdable_vars", false),
    ("cdspell", false),
    ("checkhash", false),
    ("checkjobs", false),
    ("checkwinsize", true),
    ("cmdhist", true),
    ("compat31", false),
    ("compat32", false),
    ("compat40", false),
    ("compat41", false),
    ("compat42", false),
    ("compat43", false),
    ("compat44", false),
    ("complete_fullquote", true),
    ("direxpand", false),
    ("dirspell", false),
    ("dotglob", false),
    ("execfail", false),
    ("expand_aliases", false),
    ("extdebug", false),
    ("extglob", false),
    ("extquote", true),
    ("failglob", false),
    ("force_fignore", true),
    ("globasciiranges", true),
    ("globskipdots", true),
    ("globstar", false),
    ("gnu_errfmt", false),
    ("histappend", false),
    ("histreedit", false),
    ("histverify", false),
    ("hostcomplete", true),
    ("huponexit", false),
    ("inherit_errexit", false),
    ("interactive_comments", true),
    ("lastpipe", false),
    ("lithist", false),
    ("localvar_inherit", false),
    ("localvar_unset", false),
    ("login_shell", false),
    ("mailwarn", false),
    ("no_empty_cmd_completion", false),
    ("nocaseglob", false),
    ("nocasematch", false),
    ("noexpand_translation", false),
    ("nullglob", false),
    ("patsub_replacement", true),
    ("progcomp", true),
    ("promptvars", true),
    ("shift_verbose", false),
    ("xpg_echo", false),
];

/// Options of `set`: name and letter.
const SET: [(&str, u8); 27] = [
    ("allexport", b'a'),
    ("braceexpand", b'B'),
    ("emacs", 0),
    ("errexit", b'e'),
    ("errtrace", b'E'),
    ("functrace", b'T'),
    ("hashall", b'h'),
    ("histexpand", b'H'),
    ("history", 0),
    ("ignoreeof", 0),
    ("interactive-comments", 0),
    ("keyword", b'k'),
    ("monitor", b'm'),
    ("noclobber", b'C'),
    ("noexec", b'n'),
    ("noglob", b'f'),
    ("nolog", 0),
    ("notify", b'b'),
    ("nounset", b'u'),
    ("onecmd", b't'),
    ("physical", b'P'),
    ("pipefail", 0),
    ("posix", 0),
    ("privileged", b'p'),
    ("verbose", b'v'),
    ("vi", 0),
    ("xtrace", b'x'),
];

const USAGE: &[u8] = b"set: usage: set [-abefhkmnptuvxBCEHPT] [-o option-name] [--] [-] [arg ...]\n";

impl Shell {
    fn option(&mut self, name: &str) -> Option<&mut bool> {
        let options = Arc::make_mut(&mut self.options);
        Some(match name {
            "allexport" => &mut options.allexport,
            "braceexpand" => &mut options.braceexpand,
            "errexit" => &mut options.errexit,
            "errtrace" => &mut options.errtrace,
            "functrace" => &mut options.functrace,
            "hashall" => &mut options.hashall,
            "noclobber" => &mut options.noclobber,
            "noexec" => &mut options.noexec,
            "noglob" => &mut options.noglob,
            "nounset" => &mut options.nounset,
            "physical" => &mut options.physical,
            "pipefail" => &mut options.pipefail,
            "posix" => &mut options.posix,
            "verbose" => &mut options.verbose,
            "xtrace" => &mut options.xtrace,
            _ => return None,
        })
    }

    fn is_on(&self, name: &str) -> bool {
        let o = &self.options;
        match name {
            "allexport" => o.allexport,
            "braceexpand" => o.braceexpand,
            "errexit" => o.errexit,
            "errtrace" => o.errtrace,
            "functrace" => o.functrace,
            "hashall" => o.hashall,
            "interactive-comments" => true,
            "noclobber" => o.noclobber,
            "noexec" => o.noexec,
            "noglob" => o.noglob,
            "nounset" => o.nounset,
            "physical" => o.physical,
            "pipefail" => o.pipefail,
            "posix" => o.posix,
            "verbose" => o.verbose,
            "xtrace" => o.xtrace,
            _ => false,
        }
    }

    /// Whether an option of `set -o` is on.
    pub(crate) fn option_is_on(&self, name: &[u8]) -> bool {
        std::str::from_utf8(name).is_ok_and(|name| self.is_on(name))
    }

    /// `$-`.
    pub(crate) fn option_letters(&self) -> Vec<u8> {
        let order = b"abefhkmnptuvxBCEHPT";
        let mut letters: Vec<u8> = order
            .iter()
            .copied()
            .filter(|l| SET.iter().any(|(name, letter)| letter == l && self.is_on(name)))
            .collect();
        if self.is_command {
            letters.push(b'c');
        }
        letters
    }

    /// `$SHELLOPTS`.
    pub(crate) fn shellopts(&self) -> String {
        SET.iter().map(|(name, _)| *name).filter(|name| self.is_on(name)).collect::<Vec<_>>().join(":")
    }

    /// Turns an option of `set` on or off; false when there is none of this name.
    pub(crate) fn set_option(&mut self, name: &[u8], on: bool) -> bool {
        let Ok(name) = std::str::from_utf8(name) else { return false };
        if let Some(option) = self.option(name) {
            *option = on;
            return true;
        }
        SET.iter().any(|(known, _)| *known == name)
    }

    /// As [`Shell::set_option`], by its letter.
    pub(crate) fn set_letter(&mut self, letter: u8, on: bool) -> bool {
        let Some((name, _)) = SET.iter().find(|(_, l)| *l == letter && letter != 0) else { return false };
        self.set_option(name.as_bytes(), on)
    }
}

pub(super) fn set(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    if argv.len() == 1 {
        let mut out = Vec::new();
        for name in shell.variables.names() {
            if let Some(variable) = shell.variables.get(&name)
                && variable.value != crate::shell::Value::Unset
            {
                out.extend(super::declare::plain(&name, variable));
                out.push(b'\n');
            }
        }
        return shell.printed(&argv[0], &out);
    }
    let mut at = 1;
    while let Some(word) = argv.get(at) {
        match word.as_slice() {
            b"--" => {
                shell.arguments = Arc::new(argv[at + 1..].to_vec());
                return Ok(0);
            }
            b"-" => {
                shell.set_letter(b'x', false);
                shell.set_letter(b'v', false);
                if at + 1 < argv.len() {
                    shell.arguments = Arc::new(argv[at + 1..].to_vec());
                }
                return Ok(0);
            }
            [sign @ (b'-' | b'+'), letters @ ..] if !letters.is_empty() => {
                at += 1;
                let on = *sign == b'-';
                for letter in letters {
                    if *letter == b'o' {
                        let Some(name) = argv.get(at) else { return list_options(shell, &argv[0], on) };
                        at += 1;
                        if !shell.set_option(name, on) {
                            shell.complain_about(&argv[0], name, "invalid option name");
                            return Ok(2);
                        }
                    } else if !shell.set_letter(*letter, on) {
                        shell.complain_about(&argv[0], &[*sign, *letter], "invalid option");
                        shell.print_error(USAGE);
                        return Ok(2);
                    }
                }
            }
            _ => {
                shell.arguments = Arc::new(argv[at..].to_vec());
                return Ok(0);
            }
        }
    }
    Ok(0)
}

fn list_options(shell: &mut Shell, who: &[u8], readable: bool) -> Done {
    let mut out = String::new();
    for (name, _) in SET {
        let on = shell.is_on(name);
        if readable {
            out.push_str(&format!("{name:<15}\t{}\n", if on { "on" } else { "off" }));
        } else {
            out.push_str(&format!("set {}o {name}\n", if on { "-" } else { "+" }));
        }
    }
    shell.printed(who, out.as_bytes())
}

pub(super) fn shopt(shell: &mut Shell, argv: &[Vec<u8>]) -> Done {
    let (mut on, mut quiet, mut of_set, mut print) = (None, false, false, false);
    let mut at = 1;
    while let Some([b'-', letters @ ..]) = argv.get(at).map(Vec::as_slice) {
        at += 1;
        for letter in letters {
            match letter {
                b's' => on = Some(true),
                b'u' => on = Some(false),
                b'q' => quiet = true,
                b'o' => of_set = true,
                b'p' => print = true,
                _ => {
                    shell.complain_about(&argv[0], &[b'-', *letter], "invalid option");
                    shell.print_error(b"shopt: usage: shopt [-pqsu] [-o] [optname ...]\n");
                    return Ok(2);
                }
            }
        }
    }
    let names = &argv[at.min(argv.len())..];
    let mut status = 0;
    let mut out = String::new();
    let mut shown = |name: &str, is_on: bool| {
        if print {
            out.push_str(&format!("shopt -{} {name}\n", if is_on { 's' } else { 'u' }));
        } else {
            out.push_str(&format!("{name:<15}\t{}\n", if is_on { "on" } else { "off" }));
        }
    };
    if names.is_empty() {
        for (name, _) in SHOPT {
            let is_on = shell.shopt(name);
            if on.is_none_or(|on| on == is_on) {
                shown(name, is_on);
            }
        }
        return shell.printed(&argv[0], out.as_bytes());
    }
    for name in names {
        let text = String::from_utf8_lossy(name).into_owned();
        if of_set {
            match on {
                Some(on) => {
                    if !shell.set_option(name, on) {
                        shell.complain_about(&argv[0], name, "invalid option name");
                        status = 1;
                    }
                }
                None => {
                    let is_on = shell.option_is_on(name);
                    status |= i32::from(!is_on);
                    shown(&text, is_on);
                }
            }
            continue;
        }
        let Some((known, _)) = SHOPT.iter().find(|(known, _)| *known == text) else {
            shell.complain_about(&argv[0], name, "invalid shell option name");
            status = 1;
            continue;
        };
        match on {
            Some(true) => {
                Arc::make_mut(&mut shell.options).shopt.insert(known);
            }
            Some(false) => {
                Arc::make_mut(&mut shell.options).shopt.remove(known);
            }
            None => {
                let is_on = shell.shopt(known);
                status |= i32::from(!is_on);
                shown(known, is_on);
            }
        }
    }
    if !quiet && on.is_none() {
        shell.printed(&argv[0], out.as_bytes())?;
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_option_is_there_twice() {
        let names: std::collections::BTreeSet<_> = SHOPT.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), SHOPT.len());
        assert!(SET.windows(2).all(|w| w[0].0 < w[1].0));
    }
}
