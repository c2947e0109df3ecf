"""See ``safeops.databases.runner_lock``."""

from safeops.databases.sqlite.runner_lock import RunnerLock

__all__ = ["RunnerLock"]
