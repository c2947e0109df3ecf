"""SQLite: the busy timeout of the connection."""

from __future__ import annotations

from collections.abc import Sequence

from safeops.databases.waiting import send
from safeops.testing import bounds


class Bounds(bounds.Bounds):
    """In milliseconds, for the whole file."""

    locks_tables = False

    def seconds(self, words: Sequence[str]) -> float | None:
        return float(send(self.database.connection, "PRAGMA busy_timeout")[0][0]) / 1000

    def code(self, seconds: float) -> str:
        return f"PRAGMA busy_timeout = {int(seconds * 1000)}"
