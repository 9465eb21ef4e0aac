//! `.traj.json`: a rollout in the format of mini-swe-agent 1.1, for its inspector and all that reads it.

use crate::instance::check_id;
use crate::{Error, Rollout, replace_file};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The trajectories' folder in a run folder.
pub(crate) const TRAJECTORIES: &str = "trajectories";

/// Where a rollout's trajectory is in a run folder: `trajectories/<instance>/<n>.traj.json`. The name of a rollout that
/// was read from a journal does not lead out of it.
pub fn trajectory_path(dir: &Path, rollout: &Rollout) -> PathBuf {
    dir.join(TRAJECTORIES).join(&rollout.instance_id).join(format!("{}.traj.json", rollout.rollout))
}

/// Writes a rollout's trajectory into a run folder.
///
/// # Errors
/// The instance's name cannot be a file's, or the file cannot be written; an older one remains.
pub fn write_trajectory(dir: &Path, rollout: &Rollout) -> Result<(), Error> {
    check_id(&rollout.instance_id).map_err(Error::Format)?;
    let trajectory = trajectory(rollout);
    replace_file(&trajectory_path(dir, rollout), |f| Ok(serde_json::to_writer_pretty(f, &trajectory)?))
}

fn trajectory(rollout: &Rollout) -> Value {
    let exit_status = if rollout.exit_status_detail.is_empty() {
        rollout.exit_status.to_string()
    } else {
        rollout.exit_status_detail.clone()
    };
    let mut messages: Vec<Value> = rollout.messages.iter().map(|m| json!(m)).collect();
    messages.push(json!({
        "role": "exit",
        "content": rollout.submission,
        "extra": {
            "exit_status": exit_status,
            "submission": rollout.submission,
            "final_observation": rollout.final_observation,
        },
    }));
    json!({
        "info": {
            "exit_status": exit_status,
            "submission": rollout.submission,
            "model_stats": {
                "instance_cost": rollout.cost,
                "api_calls": rollout.api_calls,
                "prompt_tokens": rollout.prompt_tokens,
                "completion_tokens": rollout.completion_tokens,
            },
            // Which program wrote it; readers only show it.
            "mini_version": format!("sbx {}", rollout.sbx_version),
            "config": {
                "agent": {"harness": rollout.harness},
                "model": {"model_name": rollout.model, "model_kwargs": {"temperature": rollout.temperature, "seed": rollout.seed}},
                "environment": {"policy": rollout.policy, "enforced": rollout.enforced, "missing": rollout.missing},
                "agent_type": format!("sbx.{}", rollout.harness),
                "model_type": "openai-compatible",
                "environment_type": "sbx.native",
            },
            "sbx": {
                "version": rollout.sbx_version,
                "exit_status": rollout.exit_status,
                "patch": rollout.patch,
                "duration_sec": rollout.duration_sec,
                "observations": rollout.observations,
            },
        },
        "messages": messages,
        "trajectory_format": "mini-swe-agent-1.1",
        "instance_id": rollout.instance_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExitStatus, Message};

    #[test]
    fn a_trajectory_has_the_keys_that_readers_look_for() {
        let rollout = Rollout {
            instance_id: "i".into(),
            exit_status: ExitStatus::Submitted,
            exit_status_detail: "Submitted".into(),
            submission: "done".into(),
            messages: vec![
                Message::new("system", "s"),
                Message::new("user", "u"),
                Message::new("assistant", "a"),
            ],
            ..Rollout::default()
        };
        let dir = tempfile::tempdir().unwrap();
        write_trajectory(dir.path(), &rollout).unwrap();
        let text = std::fs::read_to_string(dir.path().join("trajectories/i/0.traj.json")).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["trajectory_format"], "mini-swe-agent-1.1");
        assert_eq!(value["info"]["exit_status"], "Submitted");
        assert_eq!(value["info"]["model_stats"]["api_calls"], 0);
        let roles: Vec<_> =
            value["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["system", "user", "assistant", "exit"]);
        assert_eq!(value["messages"][3]["extra"]["submission"], "done");
    }

    #[test]
    fn a_name_that_leads_out_of_the_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for id in ["../../x", "/x", "..", "a/b", "", " "] {
            let rollout = Rollout { instance_id: id.into(), ..Rollout::default() };
            let error = write_trajectory(&dir.path().join("run"), &rollout).unwrap_err().to_string();
            assert!(error.starts_with("instance_id: expected a name"), "{error}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
