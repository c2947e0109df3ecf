"""See ``safeops.databases.dependents``."""

from safeops.databases.sqlite.dependents import Dependents

__all__ = ["Dependents"]
