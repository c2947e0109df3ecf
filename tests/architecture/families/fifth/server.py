"""See ``safeops.databases.server``."""

from safeops.databases.sqlite.server import Abilities, RunnerLock, ServerErrors, Sizes

__all__ = ["Abilities", "RunnerLock", "ServerErrors", "Sizes"]
