"""Confined bash for coding agents.

    from sbx import Policy, Session, Shell

    with Shell(Policy.preset("whitelist"), workspace="checkout") as sh:
        print(sh.run("ls").stdout)
        print(sh.diff())

    with Session(Policy.preset("whitelist"), workspace="checkout") as s:
        s.run("cd src; n=1")                     # stays
        print(s.run("pwd; echo $n").stdout)
"""

from ._sbx import Observation, Policy, Session, Shell

__all__ = ["Observation", "Policy", "Session", "Shell"]
