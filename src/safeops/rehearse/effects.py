"""A statement of a revision that has run on a copy with rows, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from safeops.databases.statements import words_of
from safeops.rehearse.statement import MEASURED, NOT_SEEN

REVIEWED = "reviewed"
"""The locks of a statement are known from the review of its text."""
LOCKS_ROWS = frozenset({"UPDATE", "DELETE", "MERGE", "REPLACE"})
"""First words of statements that lock the rows which they change."""
FILE = "main"
"""What a server that locks its whole file calls it."""


@dataclass(frozen=True)
class Effects:
    """What a statement did to the tables that existed before the revision.

    Args:
        locks: The strongest lock on each table.
        rewrote: The tables that were copied.
        built: The tables for which an index was built.
        scanned: The tables that were read in sequence, and how many rows were read.
    """

    locks: Mapping[str, str] = field(default_factory=dict)
    rewrote: tuple[str, ...] = ()
    built: tuple[str, ...] = ()
    scanned: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Statement:
    """A statement of a revision, or of a helper that it calls.

    Args:
        revision: The revision.
        direction: "up" or "down".
        sql: Its text.
        began: When it began, by ``time.monotonic()``.
        seconds: How long it took; of repeated ones, all together.
        held_seconds: How long its locks were held: until its transaction ended.
        effects: What it did to tables.
        rows: The rows that it changed; None if that is not known.
        wal_bytes: What the server wrote to its log while it ran, also for others; None if that is not known.
        seen: How its locks were observed.
        times: How often it was sent.
        error: How the server refused it; None if it ran.
    """

    revision: str
    direction: str
    sql: str
    began: float
    seconds: float = 0.0
    held_seconds: float = 0.0
    effects: Effects = Effects()
    rows: int | None = None
    wal_bytes: int | None = None
    seen: str = NOT_SEEN
    times: int = 1
    error: str | None = None

    @property
    def locks(self) -> Mapping[str, str]:
        return self.effects.locks

    @property
    def locks_rows(self) -> bool:
        """Whether writes to rows that it has changed wait until its transaction ends."""
        return not LOCKS_ROWS.isdisjoint(words_of(self.sql)[:1]) and self.rows != 0

    @property
    def scanned(self) -> Mapping[str, int]:
        return self.effects.scanned

    def as_json(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "direction": self.direction,
            "sql": self.sql,
            "seconds": round(self.seconds, 5),
            "held_seconds": round(self.held_seconds, 5),
            "locks": dict(self.locks),
            "rewrote": list(self.effects.rewrote),
            "built": list(self.effects.built),
            "scanned": dict(self.scanned),
            "rows": self.rows,
            "wal_bytes": self.wal_bytes,
            "seen": self.seen,
            "exact": self.seen == MEASURED,
            "times": self.times,
            "error": self.error,
        }
