#!/usr/bin/env python3
"""Prints extra-body.json: a grammar in which every reply is a thought and one bash action of a list."""

import json

COMMANDS = [
    "ls", "ls -la src", "git log --oneline | head -n 5", "git status --short", "grep -rn 'def ' --include='*.py' . | head -n 40",
    "find . -name '*.py' | xargs wc -l | sort -n | tail -n 15", "head -n 60 README.md", "head -n 60 README.rst",
    "python -m pytest -q", "sed -i 's/ in {/ not in {/' src/flask/helpers.py", "git diff", "cat setup.cfg pyproject.toml",
    "echo note >> NOTES.md", "for f in $(ls | head -n 5); do file $f; done", "sed -n '1,80p' src/tomli/_re.py",
    "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff --stat",
]


def quoted(text):
    return json.dumps(text)


actions = " | ".join(quoted(command) for command in COMMANDS)
thoughts = " | ".join(quoted(t) for t in ("I look around.", "I read the code.", "I search for the cause.", "I try this."))
grammar = f'root ::= "THOUGHT: " ({thoughts}) "\\n\\n```bash\\n" ({actions}) "\\n```"'
print(json.dumps({"grammar": grammar}, indent=1))
