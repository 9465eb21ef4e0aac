//! The data set's card: what `datasets` reads in its head, and what people read below.

use crate::Error;
use crate::features::yaml_fields;
use crate::shards::Sizes;
use crate::stats::Stats;
use crate::table::{CARD, Column, FULL};
use sbx_records::Rollouts;
use std::fmt::Write;

/// Renders `README.md`; `sizes` are those of the two configurations.
pub(crate) fn render(stats: &Stats, rollouts: &Rollouts, sizes: [Sizes; 2]) -> Result<String, Error> {
    let first = rollouts.iter().next().transpose()?.unwrap_or_default();
    let mut text = String::from(
        "---\ntask_categories:\n- text-generation\ntags:\n- agent\n- trajectories\n- software-engineering\n- sbx\n",
    );
    let _ = writeln!(text, "size_categories:\n- {}", size_category(stats.rollouts));
    text.push_str(
        "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*\n",
    );
    text.push_str(
        "- config_name: full\n  data_files:\n  - split: train\n    path: full/train-*\ndataset_info:\n",
    );
    info(&mut text, "default", &CARD, stats.rollouts, sizes[0]);
    info(&mut text, "full", &FULL, stats.rollouts, sizes[1]);
    let _ = write!(
        text,
        "---\n\n# Agent trajectories\n\nRollouts of `{}` with the harness `{}` of sbx {}, in a sandbox with the policy `{}` (`{}`): \
         bash actions on one checkout a rollout.\n\n## Statistics\n\n| | |\n|---|---|\n",
        code(&first.model),
        code(&first.harness),
        code(&first.sbx_version),
        code(&first.policy.name),
        first.policy.sha256.get(..12).unwrap_or(""),
    );
    for (name, value) in stats.rows() {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push_str(
        "\n`prompt_tokens` is the sum over all turns of a rollout. A rollout is unique when the character 5-grams of its \
         commands have a Jaccard similarity below 0.5 to all kept before it.\n\n## Columns\n\nThe configuration `default` has the \
         columns of the SWE-ZERO card: `instance_id`, `messages` (role, content), `repo`, `exit_status` (Submitted, incomplete, \
         errored, other), `exit_status_detail`, `n_turns`, `n_messages`, `prompt_tokens`, `completion_tokens`, `duration_sec`. \
         The observation that ended a submitted rollout is not among its messages.\n\nThe configuration `full` adds the rollout's \
         number, the patch of *every* rollout, the submission and the observation that ended it, reasoning and tool calls, \
         token and observation counts, seed, the policy's hash, and the walls that stood. `resolved` is −1: not graded.\n\n```python\nfrom datasets import load_dataset\n\
         rows = load_dataset(\"path/to/this/folder\", split=\"train\")\nfull = load_dataset(\"path/to/this/folder\", \"full\", split=\"train\")\n```\n",
    );
    Ok(text)
}

/// Text for a code span of the card.
fn code(text: &str) -> String {
    text.replace(['`', '\n', '|'], "'")
}

fn info(text: &mut String, config: &str, columns: &[Column], rows: u64, sizes: Sizes) {
    let _ = writeln!(text, "- config_name: {config}\n  features:");
    yaml_fields(columns.iter().map(|(name, cell)| (*name, cell.feature())), text, 2);
    let Sizes { files, values } = sizes;
    let _ = writeln!(
        text,
        "  splits:\n  - name: train\n    num_bytes: {values}\n    num_examples: {rows}\n  download_size: {files}\n  dataset_size: {values}"
    );
}

fn size_category(rows: u64) -> &'static str {
    match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        _ => "n>10M",
    }
}
