#!/usr/bin/env python3
"""Reads a run folder the way its users do: `datasets` offline, pyarrow, and mini-swe-agent's inspector format.

    pip install datasets pyarrow
    python3 read_dataset.py RUN
"""

import glob
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("HF_HOME", os.path.join(sys.argv[1] if len(sys.argv) > 1 else ".", ".hf"))

import datasets  # noqa: E402
import pyarrow.parquet  # noqa: E402

CARD = ["instance_id", "messages", "repo", "exit_status", "exit_status_detail", "n_turns", "n_messages", "prompt_tokens",
        "completion_tokens", "duration_sec"]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    run = sys.argv[1]
    rows = datasets.load_dataset(run, split="train")
    assert rows.column_names == CARD, rows.column_names
    print(rows)
    print(rows.features)
    counts = {status: rows["exit_status"][:].count(status) for status in sorted(set(rows["exit_status"][:]))}
    print(counts)
    first = rows[0]
    assert [m["role"] for m in first["messages"][:3]] == ["system", "user", "assistant"]
    streamed = sum(1 for _ in datasets.load_dataset(run, split="train", streaming=True))
    full = datasets.load_dataset(run, "full", split="train")
    assert streamed == len(rows) == len(full) and "patch" in full.column_names
    print(f"full: {len(full)} rows, {sum(bool(p) for p in full['patch'][:])} with a patch")
    print(pyarrow.parquet.read_schema(glob.glob(f"{run}/data/*.parquet")[0]).remove_metadata())
    for path in glob.glob(f"{run}/trajectories/*/*.traj.json"):
        trajectory = json.load(open(path))
        assert trajectory["trajectory_format"] == "mini-swe-agent-1.1"
        assert trajectory["messages"][-1]["role"] == "exit" and "model_stats" in trajectory["info"]
    print("every .traj.json has the inspector's keys")


if __name__ == "__main__":
    main()
