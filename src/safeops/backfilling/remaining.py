"""What a backfill has left, and why."""

from __future__ import annotations

from dataclasses import dataclass

from safeops.backfilling.port import Batches
from safeops.backfilling.work import Work
from safeops.databases.base import Database
from safeops.errors import BackfillIncomplete
from safeops.naming import Code, call

SHOWN = 5
"""Keys that a message shows."""
CANCELLED = (
    "An UPDATE of the table runs {}, which can cancel the update or take the value back: disable or change it for as long"
    " as the rows are filled, and run again."
)


@dataclass(frozen=True)
class Left:
    """The rows that still need the work; ``fillable`` of them would get a value."""

    rows: int
    fillable: int

    @property
    def nulls(self) -> int:
        return self.rows - self.fillable


def count_left(database: Database, work: Work, given_nothing: int) -> Left:
    """Count the rows that still need the work, and those of them that it would fill.

    Args:
        database: Where.
        work: What is done.
        given_nothing: The rows for which a function gave no value.
    """
    if work.needs is None:
        return Left(0, 0)
    fillable = work.fillable or ("1 = 1" if work.function is not None else "1 = 0")
    table = database.quoted_table(work.table)
    with database.unbounded():
        sql = f"SELECT count(*), count(CASE WHEN {fillable} THEN 1 END) FROM {table} WHERE {work.needs}"
        rows, fill = database.read(sql)[0]
    return Left(int(rows), max(int(fill) - given_nothing, 0))


def incomplete(database: Database, work: Work, left: Left, sweeps: int) -> BackfillIncomplete:
    """Tell the rows whose value came out NULL from those that the application goes on writing without one."""
    said, remedies = [], []
    if left.nulls:
        said.append(f"For {left.nulls:,} of them the value came out NULL{_keys(database, work, left, filled=False)}.")
        remedies.append("Give those a value too, as sa.func.coalesce(..., '') does, or leave them out by where=.")
    triggers = database.triggers.update_triggers(work.table) if left.fillable else []
    if triggers:
        said.append(
            f"{left.fillable:,} of them have none although it was written{_keys(database, work, left, filled=True)}."
        )
        remedies.append(CANCELLED.format(", ".join(triggers)))
    elif left.fillable:
        said.append(
            f"{left.fillable:,} of them the application has written without it{_keys(database, work, left, filled=True)},"
            f" and went on doing so through {sweeps} sweeps."
        )
        default = call("set_server_default", work.table.name, work.columns[0], Code("..."))
        remedies.append(
            f"Make the application fill it first, or have the database do it: by {default}, or where the column replaces"
            " another one by ColumnRename(...).expand()."
        )
    finding = f"SELECT * FROM {database.quoted_table(work.table)} WHERE {work.needs}"
    return BackfillIncomplete(
        f"Backfill {work.name} has left {left.rows:,} rows of {work.table} without a value. {' '.join(said)}",
        remedy=f"{' '.join(remedies)} This query finds them all:",
        code=finding,
        state="All other rows are done and kept; running again sweeps up what is left.",
    )


def cancelled(database: Database, work: Work, rows: int, state: str) -> BackfillIncomplete:
    """Return the error of a batch some of whose rows were not written."""
    triggers = ", ".join(database.triggers.update_triggers(work.table))
    return BackfillIncomplete(
        f"Backfill {work.name} wrote {rows:,} rows of {work.table} that did not change: the UPDATE of each was cancelled.",
        remedy=f"{CANCELLED.format(triggers)} Rows that have the value already can be left out by where=.",
        state=state,
    )


def _keys(database: Database, work: Work, left: Left, *, filled: bool) -> str:
    """Return the keys of a few rows, for a message."""
    if work.fillable is None and left.nulls and left.fillable:
        # Nobody can tell one sort from the other.
        return ""
    texts = ", ".join(Batches.of(database).key_text(one) for one in work.key)
    fillable = work.fillable or ("1 = 1" if filled else "1 = 0")
    condition = fillable if filled else f"NOT ({fillable})"
    source = f"FROM {database.quoted_table(work.table)} WHERE ({work.needs}) AND ({condition})"
    rows = database.read(f"SELECT {texts} {source} LIMIT {SHOWN}")
    shown = ", ".join("/".join(map(str, row)) for row in rows)
    return f" (keys {shown}{', ...' if len(rows) == SHOWN else ''})" if rows else ""
