"""See ``safeops.databases.safety``."""

from safeops.databases.sqlite.safety import Dependents, Safety

__all__ = ["Dependents", "Safety"]
