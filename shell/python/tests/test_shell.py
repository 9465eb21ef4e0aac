"""pytest shell/python/tests, with the wheel installed."""

import os
import signal
import threading
import time

import pytest

from sbx import Policy, Session, Shell
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


def test_an_interrupt_ends_the_action_and_not_the_shell(checkout):
    with Shell(Policy.preset("whitelist"), str(checkout)) as sh:
        timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            sh.run("echo kept > kept; sleep 55")
        assert time.monotonic() - begun < 20
        timer.join()
        assert sh.run("cat kept").stdout == "kept\n"
        # A handler that raises nothing interrupts nothing.
        came, before = [], signal.signal(signal.SIGUSR1, lambda *_: came.append(1))
        timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        timer.start()
        assert sh.run("sleep 0.6; echo on").stdout == "on\n" and came == [1]
        signal.signal(signal.SIGUSR1, before)


def test_files_of_a_shell_are_those_of_its_sandbox(checkout):
    with Shell(Policy.preset("whitelist"), str(checkout)) as sh:
        sh.write_file("new/bytes", bytes(range(256)) * 1000)
        assert bytes(sh.read_file("new/bytes")) == bytes(range(256)) * 1000
        assert sh.list_dir() == [("file.txt", "file"), ("new", "directory")]
        assert not (checkout / "new").exists()
        with pytest.raises(FileNotFoundError):
            sh.read_file("nowhere")
        with pytest.raises(PermissionError):
            sh.write_file("/usr/bin/x", b"x")
        with pytest.raises(ValueError):
            sh.list_dir(limit=1)


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
    assert env.execute({"command": "printf %s '\ud800' | wc -c"})["output"] == "3\n"
    env.cleanup()


def test_the_environment_takes_the_configurations_of_mini_swe_agent(checkout):
    of_docker = {"cwd": "/testbed", "timeout": 60, "interpreter": ["bash", "-c"], "image": "swebench/x", "env": {"PAGER": "cat"}}
    env = SbxEnvironment(workspace=str(checkout), at="/testbed", **of_docker)
    assert env.execute({"command": "pwd"})["output"] == "/testbed\n"
    assert env.execute({"command": "pwd"}, cwd="/tmp")["output"] == "/tmp\n"
    env.cleanup()
    with pytest.raises(TypeError):
        SbxEnvironment(workspace=str(checkout), polcy="readonly")


def test_names_need_not_be_text(checkout):
    name = os.fsdecode(b"\xff")
    (checkout / name).mkdir()
    with Shell(Policy.preset("whitelist"), checkout) as sh:
        assert sh.run("pwd", cwd=checkout / name).exit_code == 0
        assert sh.run(f"echo x > {name}/f; printf %s \"$N\" | wc -c", env={"N": name}).stdout == "1\n"
    with Session(Policy.preset("whitelist"), checkout) as s:
        s.run(f"cd {name}")
        assert s.cwd == os.fspath(checkout / name)
        s.write_file(checkout / name / "f", b"x")
        assert s.read_file(os.path.join(name, "f")) == b"x"


def test_other_threads_go_on_while_a_session_is_busy(checkout):
    with Session(Policy.preset("whitelist"), checkout) as s:
        busy = threading.Thread(target=s.run, args=("sleep 2",))
        asking = threading.Thread(target=lambda: s.cwd)
        begun = time.monotonic()
        busy.start(), time.sleep(0.3), asking.start()
        assert time.monotonic() - begun < 1.5
        busy.join(), asking.join()


def test_a_session_stays(checkout):
    with Session(Policy.preset("whitelist"), str(checkout), env={"GREETING": "hi"}) as s:
        s.run("n=5; cd /tmp")
        assert s.run("echo $GREETING $n; pwd").stdout == "hi 5\n/tmp\n"
        late = s.run("sleep 60", timeout=0.3)
        assert late.timed_out and late.exit_code == 124
        assert s.run("echo $n").stdout == "5\n" and s.cwd == "/tmp"
        s.start("read -r x; echo got $x")
        assert s.wait(10, quiet=0.3) is None
        s.send("it\n")
        assert s.wait(20).stdout == "got it\n"
        assert s.run("exit 3").exit_code == 3 and s.restarts == 1
    with pytest.raises(RuntimeError):
        s.run("ls")


def test_files_of_a_session_are_those_of_its_sandbox(checkout):
    with Session(Policy.preset("whitelist"), str(checkout)) as s:
        s.write_file("new/dir/bytes", bytes(range(256)) * 1000)
        assert bytes(s.read_file("new/dir/bytes")) == bytes(range(256)) * 1000
        assert not (checkout / "new").exists()
        with pytest.raises(FileNotFoundError):
            s.read_file("nowhere")
        with pytest.raises(IsADirectoryError):
            s.read_file(".")
        with pytest.raises(PermissionError):
            s.write_file("/usr/bin/x", b"x")


def test_sessions_of_many_threads_do_not_meet(checkout):
    seen = []

    def work(n):
        with Session(Policy.preset("whitelist"), str(checkout)) as s:
            for _ in range(5):
                s.run(f"n=$((n + {n}))")
            seen.append((n, int(s.run("echo $n").stdout)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(seen) == [(n, 5 * n) for n in range(16)]


def test_a_fork_leaves_the_sandbox_to_the_process_it_comes_from(checkout):
    with Shell(Policy.preset("whitelist"), checkout) as sh, Session(Policy.preset("whitelist"), checkout) as s:
        s.run("n=5")
        child = os.fork()
        if child == 0:
            refused = 0
            for run in (sh.run, s.run, s.start):
                try:
                    run("echo taken")
                except RuntimeError as e:
                    refused += "forked" in str(e)
            sh.close(), s.close()
            os._exit(refused)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
        assert sh.run("echo here").stdout == "here\n"
        assert s.run("echo $n").stdout == "5\n"
