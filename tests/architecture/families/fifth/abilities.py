"""See ``safeops.databases.abilities``."""

from safeops.databases.sqlite.abilities import Abilities

__all__ = ["Abilities"]
