#!/bin/bash
# One task of a Slurm job array for each part of a run:
#
#   sbatch --array=0-63 examples/cluster/slurm.sh tasks.jsonl REPOS http://model:8000/v1 NAME runs/mine
#
# and when all have ended:
#
#   sbx dataset finalize runs/mine
#
# A task that is requeued goes on where it was. The run folder must be on a file system that all nodes share and that has
# locks (flock).
#SBATCH --job-name=sbx
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail
[ $# -eq 5 ] || { echo "usage: sbatch --array=0-N $0 TASKS REPOS BASE_URL MODEL OUT" >&2; exit 2; }

# Ctrl-C lets running rollouts end; Slurm's warning is passed on as one.
trap 'kill -INT "$sbx" 2>/dev/null' TERM
sbx agent --tasks "$1" --repos "$2" --base-url "$3" --model "$4" --out "$5" \
    --rollouts 10 --concurrency 64 --seed 1 --shard auto --cache "${SLURM_TMPDIR:-/tmp}/sbx-cache" &
sbx=$!
wait "$sbx"
