//! OpenHands' terminal: a command that takes long is left running, and the model goes on with it.

use crate::harness::Input;
use sbx_bash::LiveShell;
use sbx_runtime::{Changes, Error, Observation, Waited};
use std::time::Duration;

/// A persistent bash and what OpenHands' runtime says around its output.
pub(crate) struct Terminal {
    shell: LiveShell,
    /// Where bash begins.
    home: String,
    /// The script that runs.
    script: String,
}

/// Time without output after which a command is left running.
const QUIET: Duration = Duration::from_secs(10);
const HOW_TO_GO_ON: &str = "You may wait longer to see additional output by sending empty command '', send other commands \
     to interact with the current process, send keys (\"C-c\", \"C-z\", \"C-d\") to interrupt/kill the previous command \
     before sending your new command, or use the timeout parameter in execute_bash for future commands.";
const BELOW: &str = "[Below is the output of the previous command.]\n";

impl Terminal {
    pub(super) fn new(shell: LiveShell, home: &str) -> Terminal {
        Terminal { shell, home: home.into(), script: String::new() }
    }

    pub(super) fn shell(&mut self) -> &mut LiveShell {
        &mut self.shell
    }

    pub(super) fn is_busy(&self) -> bool {
        self.shell.is_busy()
    }

    pub(super) fn changes(&self) -> Result<Changes, Error> {
        self.shell.changes()
    }

    /// Runs or types, and waits at most for `most`; returns what was seen, and the whole text for the model, without the lines about the shell's state.
    pub(super) fn run(&mut self, input: &Input, most: Duration) -> Result<(Observation, String), Error> {
        let command = super::without_nul(input.command.trim());
        let command = command.trim();
        if !self.is_busy() {
            if command.is_empty() {
                return Ok(self.word("ERROR: No previous running command to retrieve logs from."));
            }
            if input.is_input {
                return Ok(self.word("ERROR: No previous running command to interact with."));
            }
            if let Some(refused) = self.shell.refuse(command) {
                let text = refused.stderr.text();
                return Ok((refused, text));
            }
            self.script = command.to_string();
            self.shell.session().start(command)?;
            return self.wait(input, most, "", false);
        }
        match key(command) {
            Some(key) => self.shell.session().send([key])?,
            None if command.is_empty() => {}
            None if input.is_input => self.shell.session().send(format!("{command}\n"))?,
            None => {
                let so_far = self.shell.session().take_so_far().text();
                let text = format!(
                    "{BELOW}{}\n[Your command \"{command}\" is NOT executed. The previous command is still running - You \
                     CANNOT send new commands until the previous command is completed. By setting `is_input` to `true`, \
                     you can interact with the current process: {HOW_TO_GO_ON}]",
                    so_far.trim_end()
                );
                let mut seen = self.nothing();
                seen.exit_code = -1;
                return Ok((seen, text));
            }
        }
        self.wait(input, most, BELOW, key(command).is_some())
    }

    fn wait(
        &mut self,
        input: &Input,
        most: Duration,
        prefix: &str,
        by_key: bool,
    ) -> Result<(Observation, String), Error> {
        // A time of the model's own is waited for whole.
        let (time, quiet) = match input.time {
            Some(time) => (time, None),
            None => (self.shell.session().policy().limits.time, Some(QUIET)),
        };
        match self.shell.session().wait(time.min(most), quiet)? {
            Waited::Ended(seen) => {
                let seen = self.shell.explain(&self.script, *seen);
                let code = seen.exit_code;
                let sent =
                    if by_key { format!(" {} was sent.", sent(&input.command)) } else { String::new() };
                let suffix = format!("\n[The command completed with exit code {code}.{sent}]");
                let text = format!("{prefix}{}{suffix}", seen.stdout.text().trim_end());
                Ok((seen, text))
            }
            Waited::Running => {
                let so_far = self.shell.session().take_so_far();
                let why = match input.time {
                    // As Python writes a float: 1.0.
                    Some(time) => format!("The command timed out after {:?} seconds.", time.as_secs_f64()),
                    None => format!("The command has no new output after {} seconds.", QUIET.as_secs()),
                };
                let text = format!("{prefix}{}\n[{why} {HOW_TO_GO_ON}]", so_far.text().trim_end());
                let mut seen = self.nothing();
                (seen.exit_code, seen.stdout) = (-1, so_far);
                Ok((seen, text))
            }
        }
    }

    /// A word of the terminal's own.
    fn word(&mut self, text: &str) -> (Observation, String) {
        (self.nothing(), text.into())
    }

    /// An observation of nothing that ran.
    fn nothing(&mut self) -> Observation {
        self.shell.session().observe_nothing()
    }

    /// Bash's directory; when bash has ended, that in which the next one begins.
    pub(super) fn cwd(&mut self) -> String {
        let cwd = self.shell.session().cwd();
        if cwd.is_empty() { self.home.clone() } else { cwd.to_string_lossy().into_owned() }
    }
}

/// What `C-c` and its like send.
fn key(command: &str) -> Option<u8> {
    match command.as_bytes() {
        [b'C' | b'c', b'-', letter @ (b'a'..=b'z')] => Some(letter - b'a' + 1),
        _ => None,
    }
}

fn sent(command: &str) -> String {
    format!("CTRL+{}", command.trim().chars().last().unwrap_or('C').to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sbx_runtime::Policy;

    fn input(command: &str) -> Input {
        Input { command: command.into(), is_input: false, time: None }
    }

    #[test]
    fn a_command_that_takes_long_is_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let Ok(shell) = LiveShell::open(&Policy::preset("whitelist").unwrap(), dir.path(), &[]) else {
            assert!(std::env::var_os("SBX_MUST_WORK").is_none());
            eprintln!("SKIPPED: no sandbox on this host");
            return;
        };
        let mut terminal = Terminal::new(shell, "/home");
        let mut say = |input: Input| terminal.run(&input, Duration::MAX).unwrap();
        assert!(say(input("")).1.starts_with("ERROR: No previous running command to retrieve"));
        assert_eq!(say(input("mkdir d; cd d; echo hi")).1, "hi\n[The command completed with exit code 0.]");
        let short = Some(Duration::from_millis(300));
        let (seen, text) = say(Input { time: short, ..input("echo begun; read -r x; echo got $x") });
        assert!(text.starts_with("begun\n[The command timed out after 0.3 seconds. You may wait"), "{text}");
        assert_eq!(seen.exit_code, -1);
        assert!(say(input("ls")).1.contains("[Your command \"ls\" is NOT executed."));
        let (_, text) = say(Input { is_input: true, ..input("word") });
        assert_eq!(text, format!("{BELOW}got word\n[The command completed with exit code 0.]"));
        say(Input { time: short, ..input("sleep 60") });
        let (seen, text) = say(input("C-c"));
        assert!(text.ends_with("[The command completed with exit code 130. CTRL+C was sent.]"), "{text}");
        assert_eq!(seen.exit_code, 130);
        let second = Some(Duration::from_secs(1));
        let (_, text) = say(Input { time: second, ..input("sleep 60") });
        assert!(text.contains("[The command timed out after 1.0 seconds."), "{text}");
        say(input("C-c"));
        assert!(terminal.cwd().ends_with("/d"));
        terminal.run(&input("exit 3"), Duration::MAX).unwrap();
        assert_eq!(terminal.cwd(), "/home");
    }
}
