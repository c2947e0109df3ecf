"""MariaDB and MySQL: a variable for locks on tables, by default a day, and one for those on rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from safeops.databases.waiting import send
from safeops.testing import bounds

READ = "SELECT @@lock_wait_timeout, @@innodb_lock_wait_timeout"
LONG = 3600.0
"""Seconds from which a bound counts as none: the default is a day."""
ROWS = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "SELECT"})


class Bounds(bounds.Bounds):
    """In whole seconds. A statement may contain WAIT or NOWAIT."""

    whole_seconds = True

    def seconds(self, words: Sequence[str]) -> float | None:
        table, row = (float(value) for value in send(self.database.connection, READ)[0])
        if "NOWAIT" in words:
            return 0.0
        if "WAIT" in words[:-1] and words[words.index("WAIT") + 1].isdigit():
            return float(words[words.index("WAIT") + 1])
        found = max(table, row) if words[0] in ROWS else table
        return found if found < LONG else None

    def code(self, seconds: float) -> str:
        return f"SET SESSION lock_wait_timeout = {math.ceil(seconds)}"
