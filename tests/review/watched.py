"""What a key records of a revision on MariaDB, MySQL or SQLite."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MANY = 1000
"""Rows that are too many to be read or changed while others wait."""


@dataclass
class Truth:
    """What happened to the tables that existed before, by name.

    Args:
        locks: By which algorithm and under which lock each was changed; of SQLite that of the file.
        long_lock_on: Those whose readers or writers waited while all rows were worked on.
        rows_locked: Those of which many rows were changed or locked in one transaction.
        error: How the server refused a statement.
    """

    locks: dict[str, str] = field(default_factory=dict)
    long_lock_on: set[str] = field(default_factory=set)
    rows_locked: set[str] = field(default_factory=set)
    error: str | None = None

    @property
    def kinds(self) -> list[str]:
        told = {"long-lock": self.long_lock_on, "mass-dml": self.rows_locked, "fails": self.error}
        return [kind for kind, found in told.items() if found]

    def as_json(self) -> dict[str, Any]:
        return {
            "locks": dict(sorted(self.locks.items())),
            "long_lock_on": sorted(self.long_lock_on),
            "rows_locked": sorted(self.rows_locked),
            "error": self.error,
            "kinds": self.kinds,
        }
