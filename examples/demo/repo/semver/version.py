"""Parsing and ordering of semantic versions."""

import functools


@functools.total_ordering
class Version:
    """A semantic version such as ``1.4.2-rc.1``."""

    def __init__(self, text):
        core, _, pre = text.partition("-")
        parts = core.split(".")
        if len(parts) != 3 or not all(part.isdigit() for part in parts):
            raise ValueError(f"not a semantic version: {text!r}")
        self.core = tuple(int(part) for part in parts)
        self.pre = tuple(pre.split(".")) if pre else ()

    def _pre_key(self):
        # Identifiers of digits compare by number and come before words.
        return tuple((1, 0, part) for part in self.pre)

    def _key(self):
        # A version without a pre-release comes after all of its pre-releases.
        return (self.core, not self.pre, self._pre_key())

    def __eq__(self, other):
        return self._key() == other._key()

    def __lt__(self, other):
        return self._key() < other._key()

    def __str__(self):
        core = ".".join(str(part) for part in self.core)
        return f"{core}-{'.'.join(self.pre)}" if self.pre else core


def highest(versions):
    """Returns the highest of some versions, as text."""
    return str(max(Version(text) for text in versions))
