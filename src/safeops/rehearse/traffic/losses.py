"""Acknowledged writes that are lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SHOWN = 5
"""Losses that are shown one by one."""
MISSING, RETURNED, STALE, ALTERED = "missing", "came back", "old value", "other value"


@dataclass(frozen=True)
class Loss:
    """An acknowledged write that a table does not have.

    Args:
        table: The table.
        key: The key of the row.
        column: The column; empty if it concerns the whole row.
        what: "missing": the row does not exist. "came back": the row was deleted. "old value": the column has a value from
            before the write, or none. "other value": it has one that the traffic did not write.
        expected: The value that was written.
        found: The value that is there.
    """

    table: str
    key: tuple[Any, ...]
    column: str
    what: str
    expected: str | None = None
    found: str | None = None


@dataclass(frozen=True)
class Comparison:
    """What the comparison found.

    Args:
        rows: The rows that were compared.
        lost: The rows and values that are lost.
        losses: The first of them.
        altered: Values and rows that the revisions change or delete on purpose; these are not lost.
        notes: What could not be compared, in sentences.
    """

    rows: int
    lost: int
    losses: tuple[Loss, ...]
    altered: int = 0
    notes: tuple[str, ...] = ()
