#!/usr/bin/env python3
"""Makes git repositories and a task file from real packages.

    python3 make_repos.py DIR

Downloads three source packages with pip, unpacks each into DIR/repos/<org>/<name>, puts one small bug into it, commits
that with a fixed author and date, and writes DIR/tasks.jsonl.
"""

import json
import os
import pathlib
import subprocess
import sys
import tarfile

PACKAGES = [
    {
        "pip": "flask==3.0.3",
        "repo": "pallets/flask",
        "file": "src/flask/helpers.py",
        "issue": "Setting FLASK_DEBUG=0 switches debug mode on\n\n`get_debug_flag()` answers `True` for `FLASK_DEBUG=0`, "
        "`false` and `no`, and `False` for `FLASK_DEBUG=1`. It used to be the other way round.",
    },
    {
        "pip": "sqlparse==0.5.1",
        "repo": "andialbrecht/sqlparse",
        "file": "sqlparse/utils.py",
        "issue": "`remove_quotes` leaves quotes where they are\n\n`sqlparse.utils.remove_quotes('\"name\"')` returns "
        "`'\"name\"'`; the documentation promises `name`.",
    },
    {
        "pip": "tomli==2.0.1",
        "repo": "hukkin/tomli",
        "file": "src/tomli/_re.py",
        "issue": "Hexadecimal integers are read as decimal\n\n`tomli.loads('x = 0x10')` fails or gives a wrong number. "
        "Integers with a prefix must be read with their own base.",
    },
]

# The bug: text of the release and what it becomes.
BUGS = {
    "pallets/flask": ('return bool(val and val.lower() not in {"0", "false", "no"})',
                      'return bool(val and val.lower() in {"0", "false", "no"})'),
    "andialbrecht/sqlparse": ("if val[0] in ('\"', \"'\", '`') and val[0] == val[-1]:",
                              "if val[0] in ('\"', \"'\", '`') and val[0] != val[-1]:"),
    "hukkin/tomli": ("return int(match.group(), 0)", "return int(match.group(), 10)"),
}

GIT_ENV = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "example",
    "GIT_AUTHOR_EMAIL": "example@sbx.invalid",
    "GIT_COMMITTER_NAME": "example",
    "GIT_COMMITTER_EMAIL": "example@sbx.invalid",
    "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
}


def git(directory, *arguments):
    command = ["git", "-C", str(directory), "-c", "init.defaultBranch=main", *arguments]
    return subprocess.run(command, env=GIT_ENV, check=True, capture_output=True, text=True).stdout.strip()


def unpack(archive, target):
    """Unpacks a source archive without its top directory; members that lead elsewhere are refused."""
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            name = pathlib.PurePosixPath(member.name)
            if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
                continue
            member.name = str(pathlib.PurePosixPath(*name.parts[1:])) or "."
            tar.extract(member, target, filter="data")


def make(package, root):
    downloads = root / "downloads"
    name = package["pip"].split("==")[0]
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-binary", name, "--no-deps", "-d", str(downloads),
           package["pip"]]
    if not list(downloads.glob(f"{name}-*.tar.gz")):
        subprocess.run(pip, check=True)
    archive = next(iter(downloads.glob(f"{name}-*.tar.gz")))
    directory = root / "repos" / package["repo"]
    if not (directory / ".git").exists():
        directory.mkdir(parents=True, exist_ok=True)
        unpack(archive, directory)
        old, new = BUGS[package["repo"]]
        path = directory / package["file"]
        text = path.read_text()
        if text.count(old) != 1:
            sys.exit(f"{path}: expected {old!r} once, found it {text.count(old)} times")
        path.write_text(text.replace(old, new))
        git(directory, "init", "-q")
        git(directory, "add", "-A", "-f")
        git(directory, "commit", "-q", "-m", package["pip"])
    return {
        "instance_id": package["repo"].replace("/", "__") + "-1",
        "repo": package["repo"],
        "base_commit": git(directory, "rev-parse", "HEAD"),
        "language": "python",
        "problem_statement": package["issue"],
        "patch_is": "fix",
    }


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = pathlib.Path(sys.argv[1]).resolve()
    root.mkdir(parents=True, exist_ok=True)
    rows = [make(package, root) for package in PACKAGES]
    tasks = root / "tasks.jsonl"
    tasks.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"{len(rows)} instances in {tasks}")


if __name__ == "__main__":
    main()
