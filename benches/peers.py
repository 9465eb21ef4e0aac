#!/usr/bin/env python3
"""Whole rollouts of `sbx agent` against mini-swe-agent with its bubblewrap environment, on one instant model.

    benches/peers.py SBX PYTHON [--rollouts 200] [--peer-rollouts 20] [--rounds 3] [--concurrency 4]

PYTHON has mini-swe-agent (`pip install mini-swe-agent`). Both roll 26 everyday actions out on a repository of 41 files,
in turn, and keep every trajectory: sbx in its journal, trajectory files and parquet, the peer in its trajectory files.
The peer works in a `git clone --shared` a rollout. Its imports are not in its time; all of sbx is. Time is per rollout.
"""
import argparse, json, os, pathlib, shutil, subprocess, sys, tempfile, time

ACTION = r"```bash\s*\n(.*?)\n```"


def mini(url, repository, out, rollouts, concurrency):
    """Runs in the peer's Python. Prints its seconds."""
    os.environ.update(MSWEA_SILENT_STARTUP="1", MSWEA_COST_TRACKING="ignore_errors", OPENAI_API_KEY="none",
                      LITELLM_LOCAL_MODEL_COST_MAP="True")
    import concurrent.futures
    from minisweagent.agents.default import DefaultAgent
    from minisweagent.environments.extra.bubblewrap import BubblewrapEnvironment
    from minisweagent.models.litellm_textbased_model import LitellmTextbasedModel

    def environment(clone):
        # The clone's objects lie in the repository.
        args = [*BubblewrapEnvironment().config.wrapper_args, "--ro-bind", repository, repository]
        return BubblewrapEnvironment(cwd=str(clone), wrapper_args=args)

    def one(n):
        clone = pathlib.Path(out) / f"clone-{n}"
        subprocess.run(["git", "clone", "-q", "--shared", repository, clone], check=True)
        model = LitellmTextbasedModel(
            model_name="openai/instant", model_kwargs={"api_base": url}, action_regex=ACTION, cost_tracking="ignore_errors"
        )
        agent = DefaultAgent(
            model, environment(clone), system_template="You fix bugs.", cost_limit=0,
            instance_template="{{task}}", output_path=pathlib.Path(out) / f"{n}.traj.json",
        )
        agent.run("Read it.")
        subprocess.run(["git", "-C", clone, "add", "-A", "-N"], check=True)
        subprocess.run(["git", "-C", clone, "diff", "HEAD"], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(clone)
        return agent.n_calls

    started = time.time()
    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        calls = set(pool.map(one, range(rollouts)))
    print(json.dumps({"seconds": time.time() - started, "calls": sorted(calls)}))


def spent(pid):
    """Processor time of a process so far, in seconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def median(values):
    return sorted(values)[len(values) // 2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sbx", type=pathlib.Path)
    parser.add_argument("python")
    parser.add_argument("--rollouts", type=int, default=200)
    parser.add_argument("--peer-rollouts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=4)
    args = parser.parse_args()
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    import soak

    dir = pathlib.Path(tempfile.mkdtemp(prefix="peers-"))
    soak.repository(dir / "repos/org/name")
    task = {"instance_id": "org__name-1", "repo": "org/name", "base_commit": "HEAD", "problem_statement": "Read it."}
    (dir / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    server = subprocess.Popen([sys.executable, soak.__file__, "--serve"], stdout=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    ours, theirs = [], []
    try:
        for n in range(args.rounds):
            started, before = time.time(), spent(server.pid)
            subprocess.run(
                [args.sbx.absolute(), "agent", "--tasks", dir / "tasks.jsonl", "--repos", dir / "repos", "--cache", dir / "cache",
                 "--base-url", url, "--model", "instant", "--rollouts", str(args.rollouts), "--max-total-tokens", "1000000",
                 "--concurrency", str(args.concurrency), "--seed", "1", "--out", dir / f"run-{n}"],
                check=True, capture_output=True,
            )
            ours.append((time.time() - started) / args.rollouts)
            model = (spent(server.pid) - before) / args.rollouts
            out = dir / f"mini-{n}"
            out.mkdir()
            said = subprocess.run(
                [args.python, __file__, "--mini", url, dir / "repos/org/name", out, str(args.peer_rollouts), str(args.concurrency)],
                check=True, stdout=subprocess.PIPE, text=True,
            )
            result = json.loads(said.stdout.strip().splitlines()[-1])
            assert result["calls"] == [len(soak.ACTIONS)], result
            theirs.append(result["seconds"] / args.peer_rollouts)
            print(f"round {n}: sbx {ours[-1] * 1e3:.1f} ms a rollout, mini-swe-agent with bubblewrap {theirs[-1] * 1e3:.1f} ms; "
                  f"the model itself takes {model * 1e3:.1f} ms of one processor", flush=True)
        ratios = [a / b for a, b in zip(ours, theirs)]
        print(f"median {median(ours) * 1e3:.1f} ms, {median(theirs) * 1e3:.1f} ms, ratio {median(ratios):.3f}")
    finally:
        server.kill()
        shutil.rmtree(dir)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--mini"]:
        mini(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6]))
    else:
        main()
