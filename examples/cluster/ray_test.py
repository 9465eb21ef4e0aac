"""Shows ray_run.py on a real cluster of three nodes on this machine, one of which is killed in the middle.

    pip install ray && RAY_USAGE_STATS_ENABLED=0 python ray_test.py path/to/sbx

A small server answers every request after a moment with the next of a few bash actions. At the end every rollout must be in the
joined run folder exactly once.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import ray
from ray.cluster_utils import Cluster

import ray_run

ACTIONS = [
    "ls; cat file.txt",
    "sed -i s/one/two/ file.txt && git diff",
    "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff",
]
SHARDS, ROLLOUTS = 6, 20


class Model(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def say(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.say({"object": "list", "data": [{"id": "m"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        turn = sum(m["role"] == "assistant" for m in body["messages"])
        time.sleep(0.2)
        text = f"Next.\n\n```bash\n{ACTIONS[min(turn, len(ACTIONS) - 1)]}\n```"
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        self.say({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage})


def main():
    sbx = str(pathlib.Path(sys.argv[1]).resolve())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        repo = folder / "repos/org/name"
        repo.mkdir(parents=True)
        (repo / "file.txt").write_text("one\n")
        git = ["git", "-C", str(repo), "-c", "user.name=a", "-c", "user.email=a@b"]
        for args in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "base"]):
            subprocess.run(git + args, check=True)
        task = {"instance_id": "org__name-1", "repo": "org/name", "base_commit": "HEAD", "problem_statement": "one"}
        (folder / "tasks.jsonl").write_text(json.dumps(task) + "\n")
        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "resources": {"sbx": 1}, "include_dashboard": False, "object_store_memory": 100 << 20},
        )
        nodes = [cluster.add_node(num_cpus=1, resources={"sbx": 1}, object_store_memory=100 << 20) for _ in range(2)]
        ray.init(address=cluster.address)
        print("nodes:", sum(n["Alive"] for n in ray.nodes()))
        out = folder / "run"
        arguments = [
            "--tasks", folder / "tasks.jsonl", "--repos", folder / "repos", "--cache", folder / "cache", "--out", out,
            "--base-url", f"http://127.0.0.1:{server.server_address[1]}/v1", "--model", "m", "--rollouts", ROLLOUTS, "--concurrency", 2,
        ]

        def kill():
            # When the first rollouts have ended.
            while sum(len(p.read_text().splitlines()) for p in out.glob("shard-*/journal.jsonl")) < 4:
                time.sleep(0.1)
            cluster.remove_node(nodes[0], allow_graceful=False)
            print("killed a node; alive:", sum(n["Alive"] for n in ray.nodes()), flush=True)

        threading.Thread(target=kill, daemon=True).start()
        failed = ray_run.run(sbx, [str(a) for a in arguments], SHARDS)
        assert not failed, failed
        done = subprocess.run([sbx, "dataset", "finalize", str(out), "--json"], check=True, capture_output=True, text=True)
        stats = json.loads(done.stdout)["stats"]
        lines = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
        numbers = sorted(line["rollout"] for line in lines)
        assert numbers == list(range(ROLLOUTS)), numbers
        assert stats["rollouts"] == stats["submitted"] == ROLLOUTS, stats
        print(f"{ROLLOUTS} rollouts in {SHARDS} parts, each exactly once, although a node was lost")
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main()
