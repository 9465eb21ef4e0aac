"""An environment for mini-swe-agent, version 1 and 2: `environment_class: sbx.mini.SbxEnvironment`.

Every environment is a sandbox of its own on an overlay of one checkout; the checkout is never written.
"""

import platform
from dataclasses import asdict, dataclass, field
from typing import Any

from . import Policy, Shell


OF_DOCKER = {"container_timeout", "executable", "image", "interpreter", "pull_timeout", "run_args"}
"""Keys in mini-swe-agent's configurations for SWE-bench that say nothing here: there is no container."""


@dataclass
class SbxEnvironmentConfig:
    workspace: str = "."
    """The checkout."""
    policy: str = "whitelist"
    """Preset, or a policy file."""
    at: str = "/workspace"
    """Where the checkout appears in the sandbox."""
    cwd: str = ""
    """Directory of an action; the checkout where nothing is said."""
    timeout: int = 30
    """Seconds of one action; the policy's own limit holds when it is shorter."""
    env: dict = field(default_factory=dict)


class SbxEnvironment:
    def __init__(self, **kwargs: Any):
        # A key that is not known is an error: it could have been `policy`.
        self.config = SbxEnvironmentConfig(**{key: value for key, value in kwargs.items() if key not in OF_DOCKER})
        name = self.config.policy
        policy = Policy.load(name) if "/" in name or name.endswith(".toml") else Policy.preset(name)
        self.shell = Shell(policy, self.config.workspace, at=self.config.at)

    def execute(self, action: Any, cwd: str = "", *, timeout: int = None) -> dict:
        """Takes a command (version 1) or an action with one (version 2)."""
        version_2 = isinstance(action, dict)
        command = action["command"] if version_2 else action
        # JSON of a model may hold half of a surrogate pair, which is no text.
        command = command.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        seen = self.shell.run(
            command, timeout=float(timeout or self.config.timeout), env=self.config.env, cwd=cwd or self.config.cwd or None, merge=True
        )
        output = {"output": seen.stdout + seen.stderr, "returncode": seen.exit_code}
        if not version_2:
            if seen.timed_out:
                import subprocess

                raise subprocess.TimeoutExpired(command, timeout or self.config.timeout, output=output["output"].encode())
            return output
        output["exception_info"] = ""
        if seen.timed_out:
            output["returncode"] = -1
            output["exception_info"] = "An error occurred while executing the command: it timed out"
            output["extra"] = {"exception_type": "TimeoutExpired"}
        self._submit(output)
        return output

    @staticmethod
    def _submit(output: dict) -> None:
        lines = output["output"].lstrip().splitlines(keepends=True)
        if output["returncode"] == 0 and lines and lines[0].strip() == "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT":
            from minisweagent.exceptions import Submitted

            submission = "".join(lines[1:])
            extra = {"exit_status": "Submitted", "submission": submission}
            raise Submitted({"role": "exit", "content": submission, "extra": extra})

    def diff(self) -> str:
        """All that was changed, as a git patch."""
        return self.shell.diff()

    def get_template_vars(self, **kwargs: Any) -> dict:
        uname = platform.uname()
        machine = {"system": uname.system, "release": uname.release, "version": uname.version, "machine": uname.machine}
        return {**asdict(self.config), **machine, **kwargs}

    def serialize(self) -> dict:
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        return {"info": {"config": {"environment": asdict(self.config), "environment_type": kind}}}

    def cleanup(self) -> None:
        self.shell.close()
