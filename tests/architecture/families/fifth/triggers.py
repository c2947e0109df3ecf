"""See ``safeops.databases.triggers``."""

from safeops.databases.sqlite.triggers import Triggers

__all__ = ["Triggers"]
