#!/usr/bin/env python3
"""A long run against an instant model: does anything grow?

    benches/soak.py SBX [--rollouts 10000] [--seconds 0] [--concurrency 16] [--dir DIR] [--every 10]

Starts an OpenAI-compatible server that answers at once with 26 everyday actions, runs `SBX agent` against it, and prints
a line every few seconds: memory, descriptors, threads and children of the driver, mounts, network namespaces, cgroups,
bytes in the run folder beside what the journal and the trajectories need. With --seconds the run is drained after that
time, and done with a second start that must repeat nothing. Only the standard library is needed; git and /proc are.
"""
import argparse, json, os, pathlib, shutil, signal, subprocess, sys, tempfile, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACTIONS = [
    "ls -la", "cat README.md | head -50", "grep -rn 'def ' --include=*.py . | head -20", "find . -name '*.py' | wc -l",
    "sed -n 1,80p README.md", "wc -l README.md", "grep -c import $(find . -name '*.py' | head -5) || true", "pwd",
    "echo 'x = 1' > scratch_a.py", "cat scratch_a.py", "sed -i 's/x = 1/x = 2/' scratch_a.py",
    "cat scratch_a.py | tr a-z A-Z", "echo more >> README.md", "head -3 README.md; tail -3 README.md",
    "for i in 1 2 3; do echo $i; done", "ls | sort | uniq -c | sort -rn | head", "mkdir -p sub/dir && touch sub/dir/f",
    "rm -r sub", "grep -n more README.md", "awk 'NR<5' README.md", "diff scratch_a.py README.md | head -3",
    "test -f scratch_a.py && echo yes", "cp scratch_a.py scratch_b.py", "rm scratch_b.py", "git diff --stat",
    "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff",
]


def serve():
    """Answers turn n of any conversation with action n. Prints its port."""
    class Model(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def answer(self, value, status=200):
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.answer({"data": [{"id": "instant"}]}, 200 if self.path.endswith("/models") else 404)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if not self.path.endswith("/chat/completions"):
                return self.answer({}, 404)
            turn = sum(body.count(said) for said in (b'"role":"assistant"', b'"role": "assistant"'))
            text = f"THOUGHT: step {turn}.\n\n```bash\n{ACTIONS[min(turn, len(ACTIONS) - 1)]}\n```"
            self.answer({
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
                "usage": {"prompt_tokens": len(body) // 4, "completion_tokens": len(text) // 4},
            })

    class Server(ThreadingHTTPServer):
        request_queue_size = 512
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Model)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def repository(path):
    path.mkdir(parents=True)
    for n in range(40):
        text = f"import os\n\ndef f{n}(x):\n    return x + {n}\n" * 5
        (path / f"module_{n}.py").write_text(text)
    (path / "README.md").write_text("# A repository\n\n" + "Some words about it.\n" * 30)
    git = ["git", "-C", path, "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
        subprocess.run([*git, *command], check=True)


def read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def field(text, name):
    line = next((line for line in text.splitlines() if line.startswith(name)), "x 0")
    return int(line.split()[1])


def children(pid):
    return [int(c) for task in os.listdir(f"/proc/{pid}/task") for c in read(f"/proc/{pid}/task/{task}/children").split()]


def usage(path):
    """Bytes and number of files."""
    total = files = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                stat = os.lstat(os.path.join(folder, name))
            except FileNotFoundError:
                continue
            total, files = total + stat.st_blocks * 512, files + 1
    return total, files


def cgroups():
    return sum(len(dirs) for top in ("/sys/fs/cgroup",) for _, dirs, _ in os.walk(top))


def sample(pid, started, out, cache):
    status = read(f"/proc/{pid}/status")
    journal = out / "journal.jsonl"
    lines = int(subprocess.run(["grep", "-c", "", journal], capture_output=True, text=True).stdout or 0)
    spent, _ = usage(cache)
    temporary = len([n for n in os.listdir(tempfile.gettempdir()) if n.startswith(("sbx", ".sbx"))])
    return {
        "s": round(time.time() - started),
        "rollouts": lines,
        "rss_mb": round(field(status, "VmRSS:") / 1024, 1),
        "fds": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": field(status, "Threads:"),
        "children": len(children(pid)),
        "mounts": len(read("/proc/self/mountinfo").splitlines()),
        "netns": read(f"/proc/slabinfo").count("net_namespace") and netns(),
        "cgroups": cgroups(),
        "tmp": temporary,
        "journal_mb": round(journal.stat().st_size / 1e6, 1) if journal.exists() else 0,
        "cache_mb": round(spent / 1e6, 1),
    }


def netns():
    line = next((line for line in read("/proc/slabinfo").splitlines() if line.startswith("net_namespace")), "x 0")
    return int(line.split()[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sbx")
    parser.add_argument("--rollouts", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=0, help="drain after this time; 0 runs to the end")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--dir", type=pathlib.Path)
    parser.add_argument("--every", type=float, default=10)
    parser.add_argument("more", nargs="*", help="further options of `sbx agent`, after --")
    args = parser.parse_args()
    own = args.dir is None
    dir = pathlib.Path(tempfile.mkdtemp(prefix="soak-")) if own else args.dir
    if not (dir / "repos").exists():
        repository(dir / "repos/org/name")
    task = {"instance_id": "org__name-1", "repo": "org/name", "base_commit": "HEAD", "problem_statement": "Read it."}
    (dir / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    command = [args.sbx, "agent", "--tasks", dir / "tasks.jsonl", "--repos", dir / "repos", "--cache", dir / "cache",
               "--base-url", url, "--model", "instant", "--rollouts", str(args.rollouts), "--max-total-tokens", "1000000",
               "--concurrency", str(args.concurrency), "--seed", "1", "--out", dir / "run", "--json", *args.more]
    before = {"mounts": len(read("/proc/self/mountinfo").splitlines()), "cgroups": cgroups(), "netns": netns()}
    print("before", json.dumps(before), flush=True)
    try:
        started = time.time()
        driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(dir / "driver.log", "w"), text=True)
        drained = False
        seen = []
        while driver.poll() is None:
            time.sleep(args.every)
            try:
                seen.append(sample(driver.pid, started, dir / "run", dir / "cache"))
            except (FileNotFoundError, ProcessLookupError):
                break
            print(json.dumps(seen[-1]), flush=True)
            if args.seconds and time.time() - started > args.seconds and not drained:
                drained = True
                driver.send_signal(signal.SIGTERM)
        said = driver.stdout.read()
        print("exit", driver.wait(), said[:2000].strip(), flush=True)
        after = {"mounts": len(read("/proc/self/mountinfo").splitlines()), "cgroups": cgroups(), "netns": netns()}
        print("after ", json.dumps(after), flush=True)
        ran = [s for s in seen if s["rollouts"] > 0 and s["fds"] > 30]
        if len(ran) >= 4:
            half = len(ran) // 2
            for key in ("rss_mb", "fds", "threads", "mounts", "netns", "cgroups", "tmp", "cache_mb"):
                middle = lambda part: sorted(s[key] for s in part)[len(part) // 2]
                print(f"{key:9} median of the first half {middle(ran[:half])}, of the second {middle(ran[half:])}, "
                      f"most {max(s[key] for s in ran)}")
            rate = (ran[-1]["rollouts"] - ran[0]["rollouts"]) / max(ran[-1]["s"] - ran[0]["s"], 1)
            print(f"{rate:.2f} rollouts/s, {rate * len(ACTIONS):.0f} actions/s")
    finally:
        server.kill()
        if own:
            shutil.rmtree(dir)


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else main()
