"""What the real SWE-agent sends, and what `sbx agent --harness swe-agent` sends, for the same replies and the same
repository: the messages and tools of all requests.

    git clone https://github.com/SWE-agent/SWE-agent && python -m venv v && v/bin/pip install -e SWE-agent
    sudo unshare -m v/bin/python swe_agent_requests.py SBX SWE-AGENT-FOLDER [DIR]

The original installs its tools under /root and works in /testbed of this machine: in a mount namespace of its own, with
an overlay on both. Exits with 1 on a difference. What is known to differ is left out: `undo_edit` (the original
forgets its history between two calls and so never undoes anything; here it does), a tab that the original's terminal takes
for completion, the order in which `find` lists a directory, and the blanks that its terminal puts around outputs.
"""
import json, os, pathlib, shutil, subprocess, sys, tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ.setdefault("MSWEA_GLOBAL_CONFIG_DIR", tempfile.mkdtemp())
import yaml

TASK = 'Fix {{ this }} <b>now</b>\nwith "quotes" & é — 日本\n'


class Reply:
    """The assistant's messages for a grammar."""

    def __init__(self, kind):
        self.kind = kind
        self.n = 0

    def bash(self, script):
        return self.tool("bash", command=script)

    def tool(self, name, **arguments):
        self.n += 1
        thought = f"I run step {self.n} — é."
        if self.kind == "function_calling":
            call = {"id": f"call_{self.n}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            return {"content": thought, "tool_calls": [call]}
        if self.kind == "xml_function_calling":
            parameters = "".join(f"<parameter={k}>{v if isinstance(v, str) else json.dumps(v)}</parameter>\n" for k, v in arguments.items())
            return {"content": f"{thought}\n<function={name}>\n{parameters}</function>"}
        import shlex
        words = [name]
        if name == "bash":
            words = [arguments["command"]]
        elif name == "str_replace_editor":
            words += [arguments["command"], shlex.quote(arguments["path"])]
            for key in ("file_text", "view_range", "old_str", "new_str", "insert_line"):
                if key in arguments:
                    value = arguments[key]
                    value = " ".join(map(str, value)) if isinstance(value, list) else shlex.quote(str(value))
                    words += [f"--{key}", value]
        return {"content": f"{thought}\n```\n{' '.join(words)}\n```"}


def replies(kind):
    r = Reply(kind)
    edit = lambda **arguments: r.tool("str_replace_editor", **arguments)
    said = [
        r.bash("ls"), r.bash("cat file.txt; ls /no-such-directory"), r.bash("printf 'a\\tb\\\\c \"d\" é 日本 \\n'"),
        {"content": "no action at all"}, r.bash("cd sub && export N=7"), r.bash("pwd; echo $N"), r.bash("cd .."),
        r.bash("vim file.txt"), r.bash("python"), r.bash("true"), r.bash("echo $("), r.bash("printf 'no newline'"),
        r.bash("printf '\\n\\n  blank\\n\\n'"), r.bash("seq 1 300"), r.bash("for i in 1 2\ndo\n  echo $i\ndone"),
        r.bash("cat <<'EOF' > new.py\nprint('x')\n    if True:\nEOF\ncat new.py"), r.bash("exit_code() { return 3; }; exit_code; echo $?"),
        edit(command="view", path="/testbed/file.txt"), edit(command="view", path="/testbed"), edit(command="view", path="file.txt"),
        edit(command="view", path="/testbed/long.py", view_range=[3, 6]), edit(command="view", path="/testbed/long.py", view_range=[3, 900]),
        edit(command="create", path="/testbed/made.py", file_text="a = 1\nb = 'é'\n"), edit(command="create", path="/testbed/made.py", file_text="x"),
        edit(command="str_replace", path="/testbed/long.py", old_str="line 7\n", new_str="line seven\n"),
        edit(command="str_replace", path="/testbed/long.py", old_str="line", new_str="x"), edit(command="str_replace", path="/testbed/long.py", old_str="nowhere", new_str="x"),
        edit(command="insert", path="/testbed/long.py", insert_line=2, new_str="inserted"),
        edit(command="view", path="/testbed/nowhere"), r.bash("git status --short"), r.bash("rm new.py made.py"),
        r.tool("submit"), r.tool("submit"),
    ]
    if kind == "function_calling":
        said.insert(2, {"content": "two", "tool_calls": said[0]["tool_calls"] + said[1]["tool_calls"]})
        broken = json.loads(json.dumps(said[0]))
        broken["tool_calls"][0]["function"]["arguments"] = "{broken"
        said.insert(5, broken)
        odd = json.loads(json.dumps(said[0]))
        odd["tool_calls"][0]["function"]["arguments"] = '{"cmd": "ls"}'
        said.insert(8, odd)
    return said


def listing(text):
    """A directory's files in order."""
    head, found, files = text.partition("excluding hidden items:\n")
    return head + found + "\n".join(sorted(files.split("\n"))) if found else text


def checkout(path):
    path.mkdir(parents=True, exist_ok=True)
    (path / "sub").mkdir()
    (path / "sub/x.txt").write_text("x\n")
    (path / "file.txt").write_text("one\n")
    (path / "long.py").write_text("".join(f"line {n}\n" for n in range(1, 31)))
    git = ["git", "-C", path, "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
        subprocess.run([*git, *command], check=True)


def own_world(dir):
    """Overlays, so that nothing of this machine is changed."""
    for target in ("/root",):
        upper, work = dir / f"upper{target}", dir / f"work{target}"
        upper.mkdir(parents=True), work.mkdir(parents=True)
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={target},upperdir={upper},workdir={work}", target], check=True)


def original(config, url):
    from sweagent.agent.agents import DefaultAgentConfig, DefaultAgent
    from sweagent.agent.problem_statement import TextProblemStatement
    from sweagent.environment.repo import PreExistingRepoConfig
    from sweagent.environment.swe_env import SWEEnv
    from swerex.deployment.local import LocalDeployment
    agent_config = dict(config["agent"], model={
        "name": "openai/m", "api_base": url, "api_key": "none", "per_instance_cost_limit": 0, "total_cost_limit": 0,
        "temperature": 0.0, "delay": 0.0, "retry": {"retries": 1},
    })
    environment = SWEEnv(deployment=LocalDeployment(), repo=PreExistingRepoConfig(repo_name="testbed"), post_startup_commands=[])
    environment.start()
    agent = DefaultAgent.from_config(DefaultAgentConfig(**agent_config))
    out = pathlib.Path(tempfile.mkdtemp())
    result = agent.run(problem_statement=TextProblemStatement(text=TASK, id="i"), env=environment, output_dir=out)
    environment.close()
    return result.info.get("exit_status")


def main():
    import mini_requests
    sbx, folder = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
    dir = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else tempfile.mkdtemp(prefix="swe-agent-")).resolve()
    shutil.rmtree(dir, ignore_errors=True)
    dir.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", dir], check=True)
    own_world(dir)
    differences = 0
    for kind in ("function_calling", "thought_action", "xml_function_calling"):
        config = yaml.safe_load((folder / "config/default.yaml").read_text())
        # Marks for one provider's cache; sbx sends every server the same.
        config["agent"]["history_processors"] = []
        config["agent"]["tools"]["parse_function"]["type"] = kind
        config["agent"]["tools"]["registry_variables"]["USE_FILEMAP"] = "false"
        for bundle in config["agent"]["tools"]["bundles"]:
            bundle["path"] = str(folder / bundle["path"])
        path = dir / f"{kind}.yaml"
        path.write_text(yaml.safe_dump(config, allow_unicode=True))
        said = replies(kind)
        theirs, ours = mini_requests.Server(said), mini_requests.Server(said)
        checkout(dir / kind / "testbed")
        pathlib.Path("/testbed").mkdir(exist_ok=True)
        subprocess.run(["mount", "--bind", dir / kind / "testbed", "/testbed"], check=True)
        for left in ("tools", ".swe-agent-env", "state.json", "model.patch", "test.patch"):
            left = pathlib.Path("/root", left)
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        try:
            status = original(config, theirs.url)
        finally:
            subprocess.run(["umount", "-l", "/testbed"], check=True)
        checkout(dir / kind / "repos/org/name")
        task = {"instance_id": "i", "repo": "org/name", "base_commit": "HEAD", "problem_statement": TASK}
        (dir / kind / "tasks.jsonl").write_text(json.dumps(task))
        subprocess.run([sbx, "agent", "--tasks", dir / kind / "tasks.jsonl", "--repos", dir / kind / "repos", "--base-url",
                        ours.url, "--model", "m", "--harness", "swe-agent", "--harness-config", path, "--temperature", "0",
                        "--cache", dir / "cache", "--out", dir / kind / "run"], stdout=subprocess.DEVNULL)
        print(f"{kind}: {len(theirs.asked)} and {len(ours.asked)} requests; {status!r}")
        told = set()
        for message in (m for asked in theirs.asked for m in asked["messages"]):
            # What the terminal adds differs from version to version of SWE-ReX; sbx has the output, without blanks around.
            head, found, output = str(message["content"]).partition("OBSERVATION:\n")
            if found and not head and message["role"] in ("tool", "user"):
                message["content"] = found + listing(output.replace("\r\n", "\n").strip())
        for n, (a, b) in enumerate(zip(map(mini_requests.sent, theirs.asked), map(mini_requests.sent, ours.asked))):
            if mini_requests.text(a["tools"]) != mini_requests.text(b["tools"]) and "tools" not in told:
                told.add("tools")
                print(f"  tools:\n    theirs {mini_requests.text(a['tools'])}\n    ours   {mini_requests.text(b['tools'])}")
            for x, y in zip(a["messages"], b["messages"]):
                difference = (mini_requests.text(x), mini_requests.text(y))
                if difference[0] != difference[1] and difference not in told:
                    told.add(difference)
                    print(f"  request {n}:\n    theirs {difference[0][:700]}\n    ours   {difference[1][:700]}")
            if len(a["messages"]) != len(b["messages"]):
                told.add(n)
                print(f"  request {n}: {len(a['messages'])} and {len(b['messages'])} messages")
        differences += len(told) + (len(theirs.asked) != len(ours.asked))
    print("no difference" if not differences else f"{differences} differences")
    sys.exit(bool(differences))


if __name__ == "__main__":
    main()
