"""A statement that was traced: its locks and its work, and what the application notices of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from safeops.rehearse.impact import ALL_WAIT, BRIEF, FREE, UNKNOWN, WRITES_WAIT

ROWS_WAIT = "rows wait"
WORDS = (FREE, BRIEF, ROWS_WAIT, UNKNOWN, WRITES_WAIT, ALL_WAIT)
"""What an application notices, from the least on."""
MEANINGS = {
    FREE: "Reads and writes are not blocked.",
    BRIEF: "A blocking lock, under which only the catalogue changes.",
    ROWS_WAIT: "Writes to the rows that it changes wait until its transaction ends.",
    UNKNOWN: "The server does not show the locks.",
    WRITES_WAIT: "Writes wait for as long as the work takes.",
    ALL_WAIT: "Reads and writes wait for as long as the work takes.",
}
MEASURED, SAMPLED, NOT_SEEN = "measured", "sampled", "not seen"
"""How the locks were observed: by the session itself, by a second one again and again, or not at all."""
LONGEST = 100
"""Characters of a statement that are shown to people."""


@dataclass(frozen=True)
class TracedStatement:
    """What a statement did on an empty copy.

    Args:
        revision: The revision that sent it.
        sql: Its text.
        seconds: How long it took there.
        locks: The strongest lock on each table that was there before the revision; on SQLite on the file, "main".
        rewrote: Those of these tables that were copied.
        scanned: Those that were read in sequence, with the number of rows; None because a copy has none.
        built: Those for which an index was built.
        in_transaction: Whether its locks are held until a transaction ends.
        held_seconds: How long they were held, including later statements of the transaction.
        application: What the application notices: "free", "brief", "rows wait", "writes wait" or "all wait"; "unknown" if
            the server does not show its locks.
        seen: How the locks were observed: "measured", "sampled" (a short one can be missing) or "not seen".
        line: The line of the revision; None if it is not known.
        helper: The helper of safeops that sent it; None for others.
        prolonged_by: Later statements of the transaction that work for long while its locks are held.
        error: How the server refused it; None if it ran.
    """

    revision: str
    sql: str
    seconds: float
    locks: Mapping[str, str] = field(default_factory=dict)
    rewrote: tuple[str, ...] = ()
    scanned: Mapping[str, int | None] = field(default_factory=dict)
    built: tuple[str, ...] = ()
    in_transaction: bool = False
    held_seconds: float = 0.0
    application: str = FREE
    seen: str = MEASURED
    line: int | None = None
    helper: str | None = None
    prolonged_by: tuple[str, ...] = ()
    error: str | None = None

    @property
    def shown(self) -> str:
        """The statement in one line, shortened."""
        text = " ".join(self.sql.split())
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."

    def as_json(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "line": self.line,
            "helper": self.helper,
            "sql": self.sql,
            "seconds": round(self.seconds, 6),
            "locks": dict(self.locks),
            "rewrote": list(self.rewrote),
            "scanned": dict(self.scanned),
            "built": list(self.built),
            "in_transaction": self.in_transaction,
            "held_seconds": round(self.held_seconds, 6),
            "application": self.application,
            "prolonged_by": list(self.prolonged_by),
            "seen": self.seen,
            "error": self.error,
        }


def worst(statements: Iterable[TracedStatement]) -> str:
    """Return the most that an application notices of any of the statements."""
    return max((one.application for one in statements), key=WORDS.index, default=FREE)
