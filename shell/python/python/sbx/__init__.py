"""Confined bash for coding agents.

    from sbx import Policy, Shell

    with Shell(Policy.preset("whitelist"), workspace="checkout") as sh:
        print(sh.run("ls").stdout)
        print(sh.diff())
"""

from ._sbx import Observation, Policy, Shell

__all__ = ["Observation", "Policy", "Shell"]
