//! Joins the shards of a run into one run folder.

use crate::{DatasetOptions, Error, Written, write_with};
use sbx_records::{
    Draft, JOURNAL, Journal, Predictions, Rollouts, remove_drafts_of_run, replace_file, setting,
    write_trajectory,
};
use serde_json::{Map, Value};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What a run was started with, in each run folder.
const SETTINGS: &str = "run.json";

/// Joins the folders `shard-NNNNN-of-NNNNN` in `dir` into one run folder, `dir` itself, and writes its data set.
///
/// Shards that nobody finished can be joined with `partial`. Joining again takes what has come since; the shards are
/// only read.
///
/// # Errors
/// There is no shard, shards are missing (unless `partial`), they were started with different settings or `dir` holds
/// rollouts of others, a run is writing in `dir` itself, or those of [`write()`](crate::write()). The data set that was
/// there before is then still there.
pub fn finalize(dir: &Path, partial: bool, options: &DatasetOptions) -> Result<Written, Error> {
    let shards = Found::read(dir)?;
    if !partial {
        shards.expect_all()?;
    }
    let settings = shards.common_settings()?;
    // Held until the new one has its name: a run that writes here now would lose what it appends.
    let held = Journal::open(dir, drop)?;
    remove_drafts_of_run(dir);
    // What an earlier join brought is older than what the shards hold now.
    let shards = shards.folders.into_iter().map(|(_, folder)| folder);
    let folders: Vec<PathBuf> = std::iter::once(dir.to_path_buf()).chain(shards).collect();
    let rollouts = Rollouts::open_all(&folders)?;
    let mut predictions = Predictions::default();
    let mut fault = None;
    let journal = dir.join(JOURNAL);
    let draft = Draft::write(&journal, |file| {
        for rollout in rollouts.iter() {
            let kept = rollout.and_then(|rollout| {
                write_trajectory(dir, &rollout)?;
                predictions.add(&rollout);
                Ok(rollout)
            });
            let rollout = kept.map_err(|e| {
                fault = Some(e);
                io::Error::other("a rollout could not be joined")
            })?;
            serde_json::to_writer(&mut *file, &rollout)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    });
    let draft = draft.map_err(|e| fault.take().unwrap_or(e))?;
    draft.sync()?;
    // Before the journal: rollouts without their settings would be anybody's.
    replace_file(&dir.join(SETTINGS), |f| Ok(serde_json::to_writer_pretty(f, &settings)?))?;
    draft.publish(&journal)?;
    drop(held);
    predictions.write(dir)?;
    Ok(Written { torn: rollouts.torn().to_vec(), ..write_with(dir, options)? })
}

/// The shards in a folder: number and folder of each that has a journal, and how many there are to be.
struct Found {
    dir: PathBuf,
    folders: Vec<(u32, PathBuf)>,
    of: u32,
}

impl Found {
    fn read(dir: &Path) -> Result<Found, Error> {
        let io = |reason| Error::Io { what: dir.display().to_string(), reason };
        let mut found = Found { dir: dir.to_path_buf(), folders: Vec::new(), of: 0 };
        for entry in fs::read_dir(dir).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let Some((index, of)) = path.file_name().and_then(|n| numbers(n.to_str()?)) else { continue };
            if found.of != 0 && found.of != of {
                return Err(Error::Shards(format!(
                    "{}: shards of {} and of {of} parts; join one run at a time",
                    dir.display(),
                    found.of
                )));
            }
            found.of = of;
            if path.join(JOURNAL).is_file() {
                found.folders.push((index, path));
            }
        }
        if found.folders.is_empty() {
            return Err(Error::Shards(format!(
                "{}: no shard-NNNNN-of-NNNNN with a journal; expected the --out of `sbx agent --shard`",
                dir.display()
            )));
        }
        found.folders.sort();
        Ok(found)
    }

    fn expect_all(&self) -> Result<(), Error> {
        let have = |i: &u32| self.folders.iter().any(|(index, _)| index == i);
        let missing: Vec<String> = (0..self.of).filter(|i| !have(i)).map(|i| i.to_string()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let shown = missing.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
        Err(Error::Shards(format!(
            "{}: {} of {} shards are missing: {shown}{}; run them, or join what is there with --partial",
            self.dir.display(),
            missing.len(),
            self.of,
            if missing.len() > 20 { ", …" } else { "" },
        )))
    }

    /// The settings with which all shards were started, and the run whose rollouts the folder itself holds.
    fn common_settings(&self) -> Result<Map<String, Value>, Error> {
        let mut common: Option<(PathBuf, Map<String, Value>)> = None;
        let shards = self.folders.iter().map(|(_, folder)| folder);
        for folder in self.own_run().into_iter().chain(shards) {
            let path = folder.join(SETTINGS);
            let settings = settings(&path)?;
            match &common {
                None => common = Some((path, settings)),
                Some((first, expected)) => {
                    if let Some((key, there, here)) = difference(expected, &settings) {
                        return Err(Error::Shards(format!(
                            "{}: {key} is {here}, in {} it is {there}; join shards of one run, in a folder without another",
                            path.display(),
                            first.display(),
                        )));
                    }
                }
            }
        }
        Ok(common.map(|(_, settings)| settings).unwrap_or_default())
    }

    /// The folder itself, when it holds rollouts and says what they were started with.
    fn own_run(&self) -> Option<&PathBuf> {
        // What never led to a rollout binds nobody.
        let holds = fs::metadata(self.dir.join(JOURNAL)).is_ok_and(|journal| journal.len() > 0);
        (holds && self.dir.join(SETTINGS).exists()).then_some(&self.dir)
    }
}

/// A key whose value is known in both and not the same, and its values.
fn difference<'a>(
    one: &'a Map<String, Value>,
    two: &'a Map<String, Value>,
) -> Option<(&'a str, Value, Value)> {
    one.keys().chain(two.keys()).find_map(|key| {
        let (one, two) = (setting(one, key)?, setting(two, key)?);
        (one != two).then_some((key.as_str(), one, two))
    })
}

fn settings(path: &Path) -> Result<Map<String, Value>, Error> {
    let text = match fs::read(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Map::new()),
        other => other.map_err(|reason| Error::Io { what: path.display().to_string(), reason })?,
    };
    serde_json::from_slice(&text)
        .map_err(|e| Error::Shards(format!("{}: {e}; expected the settings of a run", path.display())))
}

/// Index and count in a shard folder's name.
fn numbers(name: &str) -> Option<(u32, u32)> {
    let (index, of) = name.strip_prefix("shard-")?.split_once("-of-")?;
    Some((index.parse().ok()?, of.parse().ok()?)).filter(|(index, of)| index < of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sbx_records::{ExitStatus, Rollout};

    fn shard(dir: &Path, index: u32, of: u32, rollouts: &[(u32, ExitStatus)], model: &str) {
        let folder = dir.join(format!("shard-{index:05}-of-{of:05}"));
        let mut journal = Journal::open(&folder, drop).unwrap();
        for (rollout, exit_status) in rollouts {
            let rollout = Rollout {
                schema: Rollout::SCHEMA.into(),
                instance_id: "i".into(),
                rollout: *rollout,
                exit_status: *exit_status,
                ..Rollout::default()
            };
            journal.append(&rollout).unwrap();
        }
        say(&folder, &format!("{{\"model\":{model:?}}}"));
    }

    fn say(folder: &Path, settings: &str) {
        fs::write(folder.join(SETTINGS), settings).unwrap();
    }

    /// A folder's files and what is in them.
    fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    }

    fn join(dir: &Path, partial: bool) -> Result<u64, String> {
        let joined = finalize(dir, partial, &DatasetOptions::default());
        joined.map(|written| written.stats.rollouts).map_err(|e| e.to_string())
    }

    #[test]
    fn shards_are_joined_and_joined_again() {
        use ExitStatus::{Errored, Submitted};
        let dir = tempfile::tempdir().unwrap();
        shard(dir.path(), 1, 3, &[(0, Submitted), (1, Errored)], "m");
        let missing = join(dir.path(), false).unwrap_err();
        assert!(missing.contains("2 of 3 shards are missing: 0, 2"), "{missing}");
        assert_eq!(join(dir.path(), true), Ok(2));
        shard(dir.path(), 0, 3, &[(2, Submitted)], "m");
        shard(dir.path(), 2, 3, &[(3, Submitted)], "m");
        shard(dir.path(), 1, 3, &[(1, Submitted)], "m");
        // A join that was killed leaves such files.
        let trajectories = dir.path().join("trajectories/i");
        std::mem::forget(Draft::create(&trajectories.join("0.traj.json")).unwrap());
        for _ in 0..2 {
            assert_eq!(join(dir.path(), false), Ok(4));
        }
        assert_eq!(files(&trajectories).len(), 4);
        let rollouts = Rollouts::open(dir.path()).unwrap();
        assert!(rollouts.iter().all(|r| r.unwrap().exit_status == Submitted));
        assert!(dir.path().join("trajectories/i/3.traj.json").is_file());
        assert!(dir.path().join("preds.json").is_file());
        assert_eq!(fs::read_to_string(dir.path().join(SETTINGS)).unwrap(), "{\n  \"model\": \"m\"\n}");
    }

    #[test]
    fn a_shard_whose_last_line_has_no_end_is_told() {
        let dir = tempfile::tempdir().unwrap();
        shard(dir.path(), 0, 2, &[(0, ExitStatus::Submitted)], "m");
        shard(dir.path(), 1, 2, &[(1, ExitStatus::Submitted), (2, ExitStatus::Submitted)], "m");
        let torn = dir.path().join("shard-00001-of-00002").join(JOURNAL);
        let whole = fs::read(&torn).unwrap();
        fs::write(&torn, &whole[..whole.len() - 1]).unwrap();
        let joined = finalize(dir.path(), false, &DatasetOptions::default()).unwrap();
        assert_eq!((joined.stats.rollouts, joined.torn), (2, vec![torn.clone()]));
        fs::write(&torn, whole).unwrap();
        assert!(finalize(dir.path(), false, &DatasetOptions::default()).unwrap().torn.is_empty());
    }

    #[test]
    fn a_folder_in_which_a_run_writes_is_left_to_it() {
        let dir = tempfile::tempdir().unwrap();
        shard(dir.path(), 0, 1, &[(0, ExitStatus::Submitted)], "m");
        let running = Journal::open(dir.path(), drop).unwrap();
        let error = join(dir.path(), false).unwrap_err();
        assert!(error.contains(JOURNAL), "{error}");
        assert_eq!(fs::metadata(dir.path().join(JOURNAL)).unwrap().len(), 0);
        drop(running);
        assert_eq!(join(dir.path(), false), Ok(1));
    }

    #[test]
    fn shards_of_different_runs_are_not_joined() {
        let dir = tempfile::tempdir().unwrap();
        assert!(join(dir.path(), true).unwrap_err().contains("no shard-NNNNN-of-NNNNN"));
        shard(dir.path(), 0, 2, &[(0, ExitStatus::Submitted)], "one");
        shard(dir.path(), 1, 2, &[(1, ExitStatus::Submitted)], "two");
        let error = join(dir.path(), false).unwrap_err();
        assert!(error.contains("model is \"two\"") && error.contains("it is \"one\""), "{error}");
        assert!(!dir.path().join(JOURNAL).exists());
        shard(dir.path(), 1, 4, &[(1, ExitStatus::Submitted)], "one");
        assert!(join(dir.path(), false).unwrap_err().contains("join one run at a time"));
    }

    #[test]
    fn a_folder_with_rollouts_of_another_run_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let rollout =
            Rollout { schema: Rollout::SCHEMA.into(), instance_id: "i".into(), ..Rollout::default() };
        Journal::open(dir.path(), drop).unwrap().append(&rollout).unwrap();
        say(dir.path(), "{\"model\":\"m\"}");
        shard(dir.path(), 0, 2, &[(0, ExitStatus::Submitted)], "n");
        shard(dir.path(), 1, 2, &[(1, ExitStatus::Submitted)], "n");
        let before = files(dir.path());
        let error = join(dir.path(), false).unwrap_err();
        assert!(error.contains("model is \"n\"") && error.contains("it is \"m\""), "{error}");
        assert_eq!(files(dir.path()), before);
        // The same run's are joined, and what binds nobody is replaced.
        say(dir.path(), "{\"model\":\"n\"}");
        assert_eq!(join(dir.path(), false), Ok(2));
        fs::write(dir.path().join(JOURNAL), "").unwrap();
        say(dir.path(), "{\"model\":\"m\"}");
        assert_eq!(join(dir.path(), false), Ok(2));
        assert!(fs::read_to_string(dir.path().join(SETTINGS)).unwrap().contains("\"n\""));
    }

    #[test]
    fn a_setting_that_one_shard_alone_has_is_a_difference() {
        let dir = tempfile::tempdir().unwrap();
        shard(dir.path(), 0, 2, &[(0, ExitStatus::Submitted)], "m");
        shard(dir.path(), 1, 2, &[(1, ExitStatus::Submitted)], "m");
        say(&dir.path().join("shard-00001-of-00002"), "{\"model\":\"m\",\"max_seconds\":5.0}");
        let error = join(dir.path(), false).unwrap_err();
        assert!(error.contains("max_seconds is 5.0") && error.contains("it is null"), "{error}");
        say(&dir.path().join("shard-00001-of-00002"), "{\"model\":\"m\",\"seed\":null}");
        assert_eq!(join(dir.path(), false), Ok(2));
    }

    #[test]
    fn shards_of_two_versions_of_sbx_are_one_run() {
        let dir = tempfile::tempdir().unwrap();
        shard(dir.path(), 0, 2, &[(0, ExitStatus::Submitted)], "m");
        shard(dir.path(), 1, 2, &[(1, ExitStatus::Submitted)], "m");
        say(&dir.path().join("shard-00000-of-00002"), "{\"model\":\"m\",\"max_turns\":18446744073709551615}");
        let now = "{\"model\":\"m\",\"max_turns\":\"unlimited\",\"echo_thinking\":false,\"harness_config_sha256\":null}";
        say(&dir.path().join("shard-00001-of-00002"), now);
        assert_eq!(join(dir.path(), false), Ok(2));
    }

    #[test]
    fn a_rollout_whose_name_leads_out_of_the_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        shard(&run, 0, 1, &[(0, ExitStatus::Submitted)], "m");
        let journal = run.join("shard-00000-of-00001").join(JOURNAL);
        let lines = fs::read_to_string(&journal).unwrap();
        fs::write(&journal, lines.clone() + &lines.replace("\"i\"", "\"../../ESCAPED\"")).unwrap();
        let error = join(&run, false).unwrap_err();
        assert!(error.contains("journal.jsonl:2: instance_id: expected a name"), "{error}");
        assert!(!dir.path().join("ESCAPED").exists() && !run.join("trajectories").exists());
    }
}
