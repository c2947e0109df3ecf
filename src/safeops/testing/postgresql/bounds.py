"""PostgreSQL: ``lock_timeout``, or a ``statement_timeout`` that is shorter."""

from __future__ import annotations

from collections.abc import Sequence

from safeops.databases.waiting import send
from safeops.testing import bounds

READ = "SELECT setting FROM pg_settings WHERE name IN ('lock_timeout', 'statement_timeout')"


class Bounds(bounds.Bounds):
    """In milliseconds; 0 is none."""

    def seconds(self, words: Sequence[str]) -> float | None:
        found = [int(row[0]) / 1000 for row in send(self.database.connection, READ)]
        return min((one for one in found if one), default=None)

    def code(self, seconds: float) -> str:
        return f"SET LOCAL lock_timeout = '{seconds:g}s'"
