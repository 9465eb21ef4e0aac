//! An action as process 1 reads it: three counts, then NUL-terminated strings. See `init/action.rs`.

use crate::action::{MAX_ARGUMENT_SCRIPT, What};
use crate::linux::wire::FD_SCRIPT;
use crate::view::{PATH, SHELLS};
use crate::{Action, Plan};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The payload, and the script when it is too long for an argument.
pub(super) fn encode(action: &Action, plan: &Plan) -> io::Result<(Vec<u8>, Option<Vec<u8>>)> {
    let mut long = None;
    let (programs, argv): (Vec<OsString>, Vec<OsString>) = match &action.what {
        What::Script(text) => {
            let bytes = text.as_bytes();
            // A NUL would end the argument; bash drops them when it reads a file, so the rest of the script counts.
            let script = if bytes.len() > MAX_ARGUMENT_SCRIPT || bytes.contains(&0) {
                long = Some(bytes.to_vec());
                OsString::from(format!(". /proc/self/fd/{FD_SCRIPT}"))
            } else {
                text.clone()
            };
            (vec![format!("{SHELLS}/bash").into()], vec!["bash".into(), "-c".into(), script])
        }
        What::Interactive => {
            let argv = ["bash", "--norc", "--noprofile", "--noediting", "-i", "-s"];
            (vec![format!("{SHELLS}/bash").into()], argv.map(OsString::from).to_vec())
        }
        What::Program(argv) => {
            let name = argv.first().ok_or_else(|| invalid("expected a program, found an empty command"))?;
            // Beside a directory of PATH an empty name would be that directory.
            let programs = if name.is_empty() || name.as_bytes().contains(&b'/') {
                vec![name.clone()]
            } else {
                PATH.split(':').map(|dir| OsString::from(format!("{dir}/")).concat(name)).collect()
            };
            (programs, argv.clone())
        }
    };
    let env = action.environment(&plan.env);
    let envp: Vec<OsString> = env.iter().map(|(k, v)| k.clone().concat(OsStr::new("=")).concat(v)).collect();
    let cwd = plan.workspace.join(action.cwd.as_deref().unwrap_or(OsStr::new("")));
    let mut out = Vec::new();
    for count in [programs.len(), argv.len(), envp.len()] {
        out.extend(u32::try_from(count).map_err(|_| invalid("too many arguments"))?.to_ne_bytes());
    }
    for text in [cwd.into_os_string()].iter().chain(&programs).chain(&argv).chain(&envp) {
        if text.as_bytes().contains(&0) {
            return Err(invalid("an argument or variable contains a NUL byte"));
        }
        out.extend(text.as_bytes());
        out.push(0);
    }
    Ok((out, long))
}

trait Concat {
    fn concat(self, more: &OsStr) -> OsString;
}

impl Concat for OsString {
    fn concat(self, more: &OsStr) -> OsString {
        let mut bytes = self.into_vec();
        bytes.extend(more.as_bytes());
        OsString::from_vec(bytes)
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
