"""What the real mini-swe-agent sends, and what `sbx agent` sends, for the same replies and the same repository: the messages
of all requests, byte for byte.

    python -m venv v && v/bin/pip install mini-swe-agent==1.17.5     # or 2.4.6
    v/bin/python mini_requests.py SBX [DIR]

The original runs its actions on this machine, in the checkout; they are harmless. Both are asked over HTTP by a server
that answers from a list. Exits with 1 on a difference.
"""
import http.server, json, os, pathlib, shutil, subprocess, sys, tempfile, threading

os.environ["MSWEA_SILENT_STARTUP"] = "1"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ.setdefault("MSWEA_GLOBAL_CONFIG_DIR", tempfile.mkdtemp())
import yaml
from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("mini-swe-agent")
except PackageNotFoundError:
    VERSION = ""
IS_TWO = VERSION.startswith("2")
TASK = 'Fix {{ this }} <b>now</b>\nwith "quotes" & é — 日本\n'
SCRIPTS = [
    "ls", "cat file.txt; ls /no-such-directory", "printf 'a\\tb\\\\c \"d\" é 日本 \\n'", "seq 1 4000", "exit 3",
    "printf '\\377\\376 bytes\\n'", "true", "echo COMPLETE_TASK; echo x >> file.txt", "false && echo no", "printf 'no newline'",
    "printf '\\n\\n  blank\\n\\n'", "echo '<output>{{ x }}</output>'", "printf 'a\\r\\nb\\rc\\n'",
    "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT; false", "sed -i s/one/two/ file.txt && git status --short",
    "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git add -A && git diff --cached",
]


def replies(kind):
    """The assistant's messages, well formed and not."""
    def call(*commands, key="command", name="bash"):
        return [{"id": f"call_{n}_{abs(hash(c)) % 9973}", "type": "function",
                 "function": {"name": name, "arguments": c if key is None else json.dumps({key: c})}}
                for n, c in enumerate(commands)]
    if kind == "calls":
        said = [{"content": f"I run step {n} — é.", "tool_calls": call(script)} for n, script in enumerate(SCRIPTS[:-1])]
        said.insert(2, {"content": "no call at all"})
        said.insert(4, {"content": "", "tool_calls": call("ls", key="cmd")})
        said.insert(6, {"content": "", "tool_calls": call("{broken", key=None)})
        said.insert(8, {"content": "two", "tool_calls": call("echo first; exit 2", "echo second")})
        said.insert(10, {"content": "", "tool_calls": call("ls", name="shell")})
        # What servers send beside a call: no text, thinking under either key, fields of their own.
        said += [{"content": None, "tool_calls": call("echo null")},
                 {"content": "a", "reasoning_content": "I think.", "tool_calls": call("echo r1")},
                 {"content": "b", "reasoning": "I think too.", "vendor": {"n": 1.50}, "tool_calls": call("echo r2")}]
        return said + [{"content": "", "tool_calls": call(SCRIPTS[-1])}]
    fence = "mswea_bash_command" if kind == "text2" else "bash"
    said = [f"THOUGHT: step {n} — é.\n\n```{fence}\n{script}\n```" for n, script in enumerate(SCRIPTS)]
    said.insert(2, "no action at all")
    said.insert(5, f"two\n```{fence}\nls\n```\n```{fence}\npwd\n```\n")
    said.insert(7, "```sh\nls\n```")
    said.insert(9, f"CRLF\r\n```{fence}\r\nls\r\n```\r\n")
    return [{"content": text} for text in said]


class Server:
    def __init__(self, said):
        self.asked = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

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
                self.answer({"data": [{"id": "m"}]})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if not self.path.endswith("/chat/completions"):
                    return self.answer({}, 404)
                message = dict(said[min(len(server.asked), len(said) - 1)], role="assistant")
                server.asked.append(body)
                finish = "tool_calls" if message.get("tool_calls") else "stop"
                self.answer({"id": "x", "object": "chat.completion", "created": 1, "model": "m",
                             "choices": [{"index": 0, "finish_reason": finish, "message": message}],
                             "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"


def checkout(path):
    path.mkdir(parents=True)
    (path / "file.txt").write_text("one\n")
    git = ["git", "-C", path, "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
        subprocess.run([*git, *command], check=True)
    return path


def original(kind, config, server, repo):
    from minisweagent.agents.default import DefaultAgent
    from minisweagent.environments.local import LocalEnvironment
    model_config = dict(config.get("model", {}), model_name="openai/m", cost_tracking="ignore_errors")
    model_config.pop("model_class", None)
    kwargs = dict(model_config.get("model_kwargs", {}), api_base=server.url, api_key="none")
    model_config["model_kwargs"] = kwargs
    if kind == "text2":
        from minisweagent.models.litellm_textbased_model import LitellmTextbasedModel as Model
    else:
        from minisweagent.models.litellm_model import LitellmModel as Model
    environment = LocalEnvironment(cwd=str(repo), timeout=60, env=config["environment"]["env"])
    agent = DefaultAgent(Model(**model_config), environment, **config["agent"])
    # The templates of the real thing see its container's directory.
    own = environment.get_template_vars
    environment.get_template_vars = lambda **k: own(**k) | {"cwd": config["environment"]["cwd"]}
    return agent.run(TASK)


def sent(body):
    """What of a request the harness decides: LiteLLM adds fields of its own, and orders keys as it likes."""
    keep = ("role", "content", "tool_calls", "tool_call_id", "name", "reasoning_content", "reasoning")
    messages = [{key: m[key] for key in keep if key in m and (key == "content" or m[key] is not None)} for m in body["messages"]]
    for message in messages:
        # LiteLLM sends thinking back under one key; sbx under the one that it came under.
        if "reasoning" in message:
            message["reasoning_content"] = message.pop("reasoning")
    return {"messages": messages, "tools": body.get("tools"), "parallel_tool_calls": body.get("parallel_tool_calls")}


def text(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def main():
    sbx = os.path.abspath(sys.argv[1])
    dir = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="mini-"))
    shutil.rmtree(dir, ignore_errors=True)
    import minisweagent
    configs = pathlib.Path(minisweagent.__file__).parent / "config"
    if IS_TWO:
        cases = [("calls", "mini2", configs / "benchmarks/swebench.yaml"),
                 ("text2", "mini2", configs / "benchmarks/swebench_backticks.yaml")]
    else:
        cases = [("text", "mini", configs / "extra/swebench.yaml")]
    differences = 0
    for kind, harness, path in cases:
        config = yaml.safe_load(path.read_text())
        said = replies(kind)
        theirs, ours = Server(said), Server(said)
        status = original(kind, config, theirs, checkout(dir / kind / "theirs"))
        checkout(dir / kind / "repos/org/name")
        task = {"instance_id": "i", "repo": "org/name", "base_commit": "HEAD", "problem_statement": TASK}
        (dir / kind / "tasks.jsonl").write_text(json.dumps(task))
        subprocess.run([sbx, "agent", "--tasks", dir / kind / "tasks.jsonl", "--repos", dir / kind / "repos", "--base-url",
                        ours.url, "--model", "m", "--harness", harness, "--harness-config", path, "--temperature", "0",
                        "--cache", dir / "cache", "--out", dir / kind / "run"], check=True, stdout=subprocess.DEVNULL)
        print(f"{VERSION} {kind}: {len(theirs.asked)} and {len(ours.asked)} requests; {str(status)[:60]!r}")
        for n, (a, b) in enumerate(zip(map(sent, theirs.asked), map(sent, ours.asked))):
            for key in a:
                if text(a[key]) == text(b[key]):
                    continue
                differences += 1
                if key != "messages":
                    print(f"  request {n}: {key}: {a[key]} / {b[key]}")
                    continue
                for m, (x, y) in enumerate(zip(a[key], b[key])):
                    if text(x) != text(y):
                        print(f"  request {n}, message {m}:\n    theirs {text(x)[:900]}\n    ours   {text(y)[:900]}")
                        break
                else:
                    print(f"  request {n}: {len(a[key])} and {len(b[key])} messages")
            if differences > 6:
                break
        differences += len(theirs.asked) != len(ours.asked)
    print("no difference" if not differences else f"{differences} differences")
    sys.exit(bool(differences))


if __name__ == "__main__":
    main()
