//! A request of `sbx shell --json`: what was typed, then what was meant. Schema `sbx.shell/1`.

use anyhow::{Context, bail, ensure};
use sbx::parse_duration;
use serde::Deserialize;
use std::time::Duration;

/// What a program asks for.
pub enum Request {
    Run { script: String, time: Option<Duration> },
    Start(String),
    Wait { time: Duration, quiet: Option<Duration> },
    Send(String),
    Interrupt,
    Read(String),
    Write { path: String, text: String },
    Changes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"run\": SCRIPT}")]
struct Typed {
    run: Option<String>,
    timeout: Option<String>,
    start: Option<String>,
    wait: Option<String>,
    quiet: Option<String>,
    send: Option<String>,
    interrupt: Option<bool>,
    read: Option<String>,
    write: Option<String>,
    text: Option<String>,
    changes: Option<bool>,
}

impl Request {
    /// Reads a line.
    pub fn parse(line: &[u8]) -> anyhow::Result<Request> {
        let mut read = serde_json::Deserializer::from_slice(line);
        // With the key.
        let typed: Typed = serde_path_to_error::deserialize(&mut read)?;
        read.end()?;
        typed.expect_one()?;
        Ok(match typed {
            Typed { run: Some(script), timeout, .. } => {
                Request::Run { script, time: time("timeout", timeout)? }
            }
            Typed { start: Some(script), .. } => Request::Start(script),
            Typed { wait: Some(text), quiet, .. } => {
                let wait = time("wait", Some(text))?.unwrap_or_default();
                Request::Wait { time: wait, quiet: time("quiet", quiet)? }
            }
            Typed { send: Some(text), .. } => Request::Send(text),
            Typed { interrupt: Some(true), .. } => Request::Interrupt,
            Typed { read: Some(path), .. } => Request::Read(path),
            Typed { write: Some(path), text, .. } => {
                Request::Write { path, text: text.context("write: expected the key text")? }
            }
            Typed { changes: Some(true), .. } => Request::Changes,
            Typed { interrupt: Some(false), .. } => bail!("interrupt: expected true"),
            _ => bail!("changes: expected true"),
        })
    }
}

impl Typed {
    /// Exactly one thing is asked for, and each further key belongs to it.
    fn expect_one(&self) -> anyhow::Result<()> {
        let all = [
            ("run", self.run.is_some()),
            ("start", self.start.is_some()),
            ("wait", self.wait.is_some()),
            ("send", self.send.is_some()),
            ("interrupt", self.interrupt.is_some()),
            ("read", self.read.is_some()),
            ("write", self.write.is_some()),
            ("changes", self.changes.is_some()),
        ];
        let found: Vec<&str> = all.iter().filter(|(_, is_there)| *is_there).map(|(key, _)| *key).collect();
        let [one] = found[..] else {
            let found = if found.is_empty() { "none".into() } else { found.join(", ") };
            bail!("expected one of {}, found {found}", all.map(|(key, _)| key).join(", "));
        };
        for (key, is_there, of) in [
            ("timeout", self.timeout.is_some(), "run"),
            ("quiet", self.quiet.is_some(), "wait"),
            ("text", self.text.is_some(), "write"),
        ] {
            ensure!(!is_there || one == of, "{key}: expected beside {of} only, found beside {one}");
        }
        Ok(())
    }
}

fn time(key: &'static str, text: Option<String>) -> anyhow::Result<Option<Duration>> {
    text.map(|t| parse_duration(&t).map_err(anyhow::Error::msg).context(key)).transpose()
}
