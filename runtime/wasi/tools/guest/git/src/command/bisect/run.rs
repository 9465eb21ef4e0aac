//! `git bisect run`: a command's status says whether a commit is good.

use super::state::{State, quoted};
use super::{go, mark, skip};
use crate::Out;
use crate::error::{Result, die, silent};
use crate::repo::Repo;

/// The status that says a commit cannot be tested.
const SKIP: i32 = 125;
/// Statuses of a command that could not be run.
const NOT_RUN: [i32; 2] = [126, 127];

pub fn run(repo: &Repo, words: &[String], out: &mut Out) -> Result<i32> {
    if words.is_empty() {
        return Err(die(1, "error: bisect run failed: no command provided."));
    }
    let state = State::open(repo);
    if state.bad().is_none() || state.goods().is_empty() {
        return Err(silent(1));
    }
    let command: String = words.iter().map(|word| format!(" {}", quoted(word))).collect();
    let mut first = true;
    loop {
        let status = once(&command, out)?;
        // At first a command that cannot be run may only be missing at this commit.
        if first && NOT_RUN.contains(&status) {
            let good = of_good(repo, &state, &command, out)?;
            if !(0..128).contains(&good) {
                return Err(die(1, format!("error: unable to verify {command} on good revision")));
            }
            if good == status {
                return Err(die(1, format!("error: bogus exit code {good} for good revision")));
            }
        }
        first = false;
        if !(0..128).contains(&status) {
            let said =
                format!("error: bisect run failed: exit code {status} from '{command}' is < 0 or >= 128");
            return Err(die(256 - status, said));
        }
        let before = state.expected();
        let result = match status {
            SKIP => skip(repo, &[], out)?,
            0 => mark(repo, &state.terms.1, &[], out)?,
            _ => mark(repo, &state.terms.0, &[], out)?,
        };
        match result {
            2 => {
                out.flush()?;
                return Err(die(2, "error: bisect run cannot continue any more"));
            }
            0 if State::open(repo).expected() == before => {
                out.bytes.extend(b"bisect found first bad commit");
                return Ok(0);
            }
            0 => {}
            status => return Ok(status),
        }
    }
}

fn once(command: &str, out: &mut Out) -> Result<i32> {
    out.line(format!("running {command}"));
    out.flush()?;
    let argv = ["sh", "-c", command].map(|word| word.as_bytes().to_vec());
    Ok(guest_host::spawn(&argv, [0, 1, 2]).unwrap_or(NOT_RUN[1]))
}

/// The command's status at a good commit.
fn of_good(repo: &Repo, state: &State, command: &str, out: &mut Out) -> Result<i32> {
    let here = repo.head_id();
    let visit = |id: crate::object::Id, out: &mut Out| -> Result<()> {
        if !state.no_checkout() {
            go(repo, &id.hex(), out, true)?;
        }
        out.line(state.named(id)?);
        Ok(())
    };
    if let Some(good) = state.goods().first() {
        visit(*good, out)?;
    }
    let status = once(command, out)?;
    if let Some(here) = here {
        visit(here, out)?;
    }
    Ok(status)
}
