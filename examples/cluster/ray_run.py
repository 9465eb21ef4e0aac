"""Runs `sbx agent` on a Ray cluster: a task for each part of the run, begun again elsewhere when its node is lost.

    python ray_run.py --shards 64 --address auto -- --tasks tasks.jsonl --repos REPOS \
        --base-url http://model:8000/v1 --model NAME --out runs/mine --rollouts 10

Nodes offer slots as the resource `sbx` (`ray start --resources '{"sbx": 2}'`). The run folder must be on a file system that all
nodes share. Parts that were under way on a node that died are begun again on another one and go on where they were: what had
ended is in their journal.
"""

import argparse
import shutil
import subprocess
import sys
import time

import ray

BUSY = "another sbx is working on this folder"


@ray.remote(num_cpus=0, resources={"sbx": 1}, max_retries=-1)
def part(sbx, arguments, shard):
    """Does a part to its end; returns the part, the status and the last words."""
    command = [sbx, "agent", *arguments, "--shard", shard]
    if shutil.which("setpriv"):
        # A worker that Ray kills takes its sbx with it, and that its sandboxes.
        command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
    for _ in range(60):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0 or BUSY not in done.stderr:
            break
        # Whoever had this part before is on its way out.
        time.sleep(1)
    return shard, done.returncode, (done.stdout + done.stderr)[-2000:]


def run(sbx, arguments, shards):
    """Does all parts, as many at a time as the cluster has slots; returns those that failed with their last words."""
    left = [part.remote(sbx, arguments, f"{i}/{shards}") for i in range(shards)]
    failed = {}
    while left:
        ended, left = ray.wait(left)
        shard, status, words = ray.get(ended[0])
        print(f"{shards - len(left)}/{shards} parts: {shard} ended with {status}", flush=True)
        if status != 0:
            failed[shard] = words
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="Ray's address; without it a local cluster is started")
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--sbx", default="sbx", help="the sbx program on the nodes")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="-- and the arguments of sbx agent")
    args = parser.parse_args()
    arguments = [a for a in args.arguments if a != "--"]
    if "--out" not in arguments:
        parser.error("the arguments of sbx agent need --out")
    if args.address:
        ray.init(address=args.address)
    else:
        ray.init(resources={"sbx": 2}, include_dashboard=False)
    if ray.cluster_resources().get("sbx", 0) < 1:
        sys.exit("no node of the cluster offers the resource sbx")
    failed = run(args.sbx, arguments, args.shards)
    for shard, words in failed.items():
        print(f"{shard} failed:\n{words}", file=sys.stderr)
    if failed:
        sys.exit(1)
    out = arguments[arguments.index("--out") + 1]
    sys.exit(subprocess.run([args.sbx, "dataset", "finalize", out]).returncode)


if __name__ == "__main__":
    main()
