"""pytest shell/python/tests, with the wheel installed."""

import threading

import pytest

from sbx import Policy, Shell
from sbx.mini import SbxEnvironment


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "file.txt").write_text("one\n")
    return tmp_path


def test_a_shell_runs_and_gives_its_patch(checkout):
    with Shell(Policy.preset("whitelist"), str(checkout)) as sh:
        assert sh.run("cat file.txt").stdout == "one\n"
        assert sh.run("sed -i s/one/two/ file.txt").exit_code == 0
        assert "+two" in sh.diff()
    assert (checkout / "file.txt").read_text() == "one\n"
    with pytest.raises(RuntimeError):
        sh.run("ls")


def test_failures_of_an_action_are_data(checkout):
    with Shell(Policy.preset("whitelist"), str(checkout)) as sh:
        assert sh.run("sleep 9", timeout=0.2).timed_out
        assert sh.run("kill -9 $$").exit_code == 137
        denied = sh.run("python3 -V")
        assert denied.exit_code == 127 and denied.denied[0][0] == "python3"


def test_threads_have_sandboxes_of_their_own(checkout):
    seen = []

    def work(n):
        with Shell(Policy.preset("whitelist"), str(checkout)) as sh:
            seen.append(sh.run(f"echo {n} > n; cat n").stdout)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(seen) == [f"{n}\n" for n in range(8)]


def test_the_environment_of_mini_swe_agent(checkout):
    env = SbxEnvironment(workspace=str(checkout))
    assert env.execute("cat file.txt") == {"output": "one\n", "returncode": 0}
    assert env.execute({"command": "echo a; echo b >&2"})["output"] == "a\nb\n"
    assert env.execute({"command": "sleep 9"}, timeout=1)["returncode"] == -1
    assert env.get_template_vars()["system"] == "Linux"
    env.cleanup()
