"""Errors that the traffic met, counted by table, statement and code. There are few kinds, however many there are of each."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass

from safeops.rehearse.traffic.work import first_line

KINDS = 100
"""Kinds of errors that are counted separately."""
_VALUES = re.compile(r"'[^']*'|\d+|\([^()]*\)")


@dataclass
class TrafficError:
    """An error of the traffic, as often as it occurred.

    Args:
        table: The table of the statement.
        sql: The statement, with its variables as ``:name``.
        message: The first line of the server's message.
        code: The code that it gave: an SQLSTATE, a number or a name.
        count: How often it occurred.
        first_at: When it first occurred, on a clock that all processes share.
    """

    table: str
    sql: str
    message: str
    code: str
    count: int
    first_at: float

    @property
    def kind(self) -> tuple[str, str]:
        """What it shares with the same error of another statement: the table, and the message without its values."""
        return self.table, _alike(self.code, self.message)


class Errors:
    """The errors of all clients."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str], TrafficError] = {}
        self._lock = threading.Lock()

    def add(self, table: str, sql: str, error: Exception, code: str) -> None:
        """Count an error."""
        message = first_line(error)
        kind = (table, sql, _alike(code, message))
        with self._lock:
            if kind not in self._kinds and len(self._kinds) >= KINDS:
                kind = (table, "", "other errors")
            known = self._kinds.setdefault(kind, TrafficError(table, sql, message, code, 0, time.monotonic()))
            known.count += 1

    def all(self) -> list[TrafficError]:
        with self._lock:
            return sorted(self._kinds.values(), key=lambda one: one.first_at)


def _alike(code: str, message: str) -> str:
    return f"{code} {_VALUES.sub('?', message)}"
