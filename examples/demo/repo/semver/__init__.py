"""Semantic versions."""

from .version import Version, highest

__all__ = ["Version", "highest"]
