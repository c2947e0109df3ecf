"""The lock that lets one runner at a time migrate."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from safeops.databases.ports import Port


class RunnerLock(Port):
    """The lock that lets one runner at a time migrate."""

    place = "safeops.databases.{family}.runner_lock:RunnerLock"
    asked = "One runner at a time"

    def try_runner_lock(self, connection: Connection, key: str) -> bool:
        """Take the lock that lets one runner at a time migrate; False where another has it."""
        return True

    def release_runner_lock(self, connection: Connection, key: str) -> bool | None:
        """Let go; False where the session can tell that it did not hold the lock any more."""
        return None

    def runner_lock_holder(self, connection: Connection, key: str) -> str:
        return "another runner"
