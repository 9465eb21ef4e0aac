//! The editor's files: every one is looked at, read and written by a program in the sandbox.

use super::Kind as Shell;
use crate::editor::{Files, Kind, MAX_FILE};
use sbx_runtime::{Action, FileError, Observation};
use std::ops::ControlFlow;
use std::time::Duration;

const TIME: Duration = Duration::from_secs(60);

/// Files of a rollout's sandbox.
pub(crate) struct InSandbox<'a> {
    pub shell: &'a mut Shell,
    /// Why the sandbox itself failed, if it did: that is not for the model.
    pub broken: Option<String>,
}

impl InSandbox<'_> {
    /// Runs a program that only looks.
    fn look(&mut self, script: &str, path: &str) -> Result<Observation, String> {
        let seen = match &mut *self.shell {
            Shell::Each(shell) => {
                shell.act(&Action::program(["bash", "-c", script, "editor", path]).time(TIME))
            }
            Shell::One(terminal) if terminal.is_busy() => return Err(busy()),
            Shell::One(terminal) => {
                let words = ["bash", "-c", script, "editor", path].map(quoted).join(" ");
                terminal.shell().session().run_for(words, TIME)
            }
        };
        seen.map_err(|e| self.broke(e.to_string()))
    }

    fn broke(&mut self, why: String) -> String {
        self.broken = Some(why.clone());
        why
    }

    fn told(&mut self, fault: FileError) -> String {
        match fault {
            FileError::Sandbox(e) => self.broke(e.to_string()),
            other => other.to_string(),
        }
    }
}

impl Files for InSandbox<'_> {
    fn cwd(&mut self) -> String {
        match &mut *self.shell {
            Shell::One(terminal) => terminal.cwd(),
            Shell::Each(_) => "/".into(),
        }
    }

    fn kind(&mut self, path: &str) -> Result<Kind, String> {
        let seen =
            self.look("if [[ -d $1 ]]; then exit 3; elif [[ -e $1 ]]; then exit 4; else exit 5; fi", path)?;
        match seen.exit_code {
            3 => Ok(Kind::Directory),
            4 => Ok(Kind::File),
            5 => Ok(Kind::Nothing),
            code => Err(format!("{path}: cannot be looked at (status {code})")),
        }
    }

    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let bytes = match &mut *self.shell {
            Shell::One(terminal) if terminal.is_busy() => return Err(busy()),
            Shell::One(terminal) => {
                let read = terminal.shell().session().read_file(path, MAX_FILE);
                read.map_err(|e| self.told(e))?
            }
            Shell::Each(shell) => {
                let mut bytes = Vec::new();
                let action = Action::program(["cat", "--", path]).time(TIME);
                let seen = shell.act_with(&action, &mut |stream, part| {
                    if stream == sbx_runtime::Stream::Stdout && bytes.len() <= MAX_FILE {
                        bytes.extend_from_slice(part);
                    }
                    ControlFlow::Continue(())
                });
                let seen = seen.map_err(|e| self.broke(e.to_string()))?;
                if !seen.success() {
                    return Err(seen.stderr.text().trim_end().to_string());
                }
                bytes
            }
        };
        if bytes.len() > MAX_FILE {
            return Err(format!("{path}: larger than {MAX_FILE} bytes"));
        }
        Ok(bytes)
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String> {
        match &mut *self.shell {
            Shell::One(terminal) if terminal.is_busy() => Err(busy()),
            Shell::One(terminal) => {
                let written = terminal.shell().session().write_file(path, bytes);
                written.map_err(|e| self.told(e))
            }
            Shell::Each(shell) => {
                let script = "cat > \"$1\"";
                let action = Action::program(["bash", "-c", script, "editor", path]).stdin(bytes).time(TIME);
                let seen = shell.act(&action).map_err(|e| self.broke(e.to_string()))?;
                if seen.success() { Ok(()) } else { Err(seen.stderr.text().trim_end().to_string()) }
            }
        }
    }

    fn list(&mut self, path: &str) -> Result<String, String> {
        let seen = self.look("find \"$1\" -maxdepth 2 -not -path '*/.*' | sort", path)?;
        Ok(seen.stdout.text())
    }

    fn list_marked(&mut self, path: &str) -> Result<(String, usize), String> {
        let script = r#"find -L "$1" -mindepth 1 -maxdepth 1 -name '.*' | wc -l
            find -L "$1" -maxdepth 2 -not -path "${1%/}/.*" -not -path "${1%/}/*/.*" | sort |
            while IFS= read -r found; do [[ -d $found ]] && found+=/; printf '%s\n' "$found"; done"#;
        let seen = self.look(script, path)?.stdout.text();
        let (hidden, list) = seen.split_once('\n').unwrap_or_default();
        Ok((list.into(), hidden.trim().parse().unwrap_or(0)))
    }
}

fn busy() -> String {
    "The previous command is still running: wait for its end or interrupt it, then edit.".into()
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
