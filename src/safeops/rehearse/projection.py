"""What a rehearsal means for production: how long the revisions take with its numbers of rows, as a range."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safeops.naming import Name

NOISE = 0.05
"""Seconds: below it, a difference between two runs does not depend on the rows."""
MARGIN = 0.25
"""Production differs from a copy by its disks, its load and its memory."""


@dataclass(frozen=True)
class Projected:
    """How long something is expected to take in production.

    Args:
        low: The shortest time, in seconds.
        high: The longest time.
        rows: The rows of the largest table of production that it works on.
    """

    low: float
    high: float
    rows: int

    def as_json(self) -> dict[str, Any]:
        return {"low": round(self.low, 2), "high": round(self.high, 2), "rows": self.rows}

    def __str__(self) -> str:
        low, high = duration_text(self.low), duration_text(self.high)
        return low if low == high else f"{low} to {high}"


def projected(small: float, large: float, rows: tuple[int, int, int]) -> Projected:
    """Project a time that was measured with two numbers of rows to a third one.

    The low end grows by the slope between the two measurements. The high end grows as sorting does, and from the origin: a
    table that no longer fits into memory takes longer for each row.

    Args:
        small: Seconds with the smaller number of rows.
        large: Seconds with the larger one.
        rows: The smaller number, the larger one, and that of production.
    """
    few, many, production = rows
    if large - small < NOISE or many <= few:
        # It does not depend on the rows, as far as can be seen.
        return Projected(large * (1 - MARGIN), large * (1 + MARGIN), production)
    slope = (large - small) / (many - few)
    linear = max(large + slope * (production - many), min(small, large))
    sorting = production * math.log2(max(production, 2)) / (many * math.log2(max(many, 2)))
    low, high = sorted((linear, large * sorting))
    return Projected(low * (1 - MARGIN), max(high, linear) * (1 + MARGIN), production)


def rows_of(locked: Sequence[str], rows: Mapping[Name, int]) -> tuple[str, int] | None:
    """Return the largest of some tables ("schema.table"), and its rows; None if none of them is known.

    Args:
        locked: The tables that a statement has locked.
        rows: The rows of each table; without a schema for the default one.
    """
    named = {str(name): number for name, number in rows.items()}
    bare = {name.name: number for name, number in rows.items() if name.schema is None}
    known = {table: named.get(table, bare.get(table.rpartition(".")[2])) for table in locked}
    found = {table: number for table, number in known.items() if number is not None}
    return max(found.items(), key=lambda one: one[1], default=None)


def duration_text(seconds: float) -> str:
    """Write a duration as people read it: "40 ms", "2.1 s", "35 s", "12 min", "3.5 h"."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
