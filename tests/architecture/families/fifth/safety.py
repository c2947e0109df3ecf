"""See ``safeops.databases.safety``."""

from safeops.databases.sqlite.safety import Safety

__all__ = ["Safety"]
