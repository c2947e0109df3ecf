"""The state of the backfills of a database: listing and discarding it, remaining rows, and the plan of a backfill."""

from __future__ import annotations

import logging
from collections.abc import Set
from dataclasses import dataclass
from functools import partial

from safeops.arguments import arguments_checked
from safeops.backfilling.batch import CANCELLED
from safeops.backfilling.port import Batches, Bound
from safeops.backfilling.spec import BackfillSpec
from safeops.backfilling.state import TABLE, WHOLE, Part, State
from safeops.databases.base import Database
from safeops.errors import BackfillConflict, BackfillIncomplete, InvalidArgument
from safeops.execution.helper import Said, composite
from safeops.execution.inspect import skipped
from safeops.execution.lock_retry import with_lock_retry
from safeops.execution.migration import Migration, Terms, running
from safeops.naming import Code, Name, call
from safeops.plan_mode import DryRun, current_dry_run
from safeops.planned import BRIEFLY, ROWS, Lock, PlannedStatement, counted

log = logging.getLogger("safeops")


@dataclass(frozen=True)
class BackfillState:
    """The state of a backfill.

    Args:
        name: The name of its progress.
        table: The table, in its schema.
        columns: The columns that it fills.
        status: "running", "stopped", "incomplete" (rows have no value) or "finished".
        rows: The rows that all runs have processed.
        batches: The batches that all runs have committed.
        seconds: The seconds that its batches took.
        ranges: The ranges that its keys are cut into.
        ranges_finished: How many of them are finished.
        key: The key of the last row that was committed; empty if there are several ranges, or if they are ranges of pages.
        started_at: When it began, in seconds since 1970 by the server's clock.
        updated_at: When its last batch or change of status was, likewise.
        runner: The session that works on it; None if none does.
    """

    name: str
    table: str
    columns: tuple[str, ...]
    status: str
    rows: int
    batches: int
    seconds: float
    ranges: int
    ranges_finished: int
    key: tuple[str, ...]
    started_at: float | None
    updated_at: float | None
    runner: str | None


@arguments_checked()
def backfill_status() -> list[BackfillState]:
    """Return the state of all backfills of this database, by name.

    Returns:
        A ``BackfillState`` for each; empty if there is none.

    Locks: none.

    Running it again: reads it again.

    Offline: empty, because there is no database to read.

    Example:
        for state in backfill_status():
            print(state.name, state.status, state.rows)
    """
    with running("backfill_status") as migration:
        if migration.offline:
            return []
        state = State.of(migration)
        if not state.exists():
            return []
        parts = state.parts()
        return [
            _state_of(whole, [part for part in parts if part.name == whole.name and part.part != WHOLE])
            for whole in parts
            if whole.part == WHOLE
        ]


def _state_of(whole: Part, ranges: list[Part]) -> BackfillState:
    spec, schema, totals = whole.spec, whole.spec.get("schema"), whole.with_totals(ranges)
    return BackfillState(
        name=whole.name,
        table=f"{schema}.{spec['table']}" if schema else spec.get("table", ""),
        columns=tuple(spec.get("columns", ())),
        status="running" if whole.status == "stopping" else whole.status,
        rows=totals.processed,
        batches=totals.batches,
        seconds=totals.seconds,
        ranges=len(ranges),
        ranges_finished=sum(part.is_finished for part in ranges),
        key=(ranges[0].after or ()) if len(ranges) == 1 and not ranges[0].is_by_pages else (),
        started_at=whole.started_at,
        updated_at=max((part.updated_at for part in (whole, *ranges) if part.updated_at is not None), default=None),
        runner=whole.session,
    )


@composite(Said("discards the progress of backfill {0}; the values are kept", "No table is locked."))
def forget_backfill(name: str, *, drop_table: bool = False) -> bool:
    """The progress of the backfill is deleted: its next run starts from the beginning. Call it in ``downgrade()``.

    Steps: deletes its rows from ``safeops_backfill``; with ``drop_table`` drops that table if it is then empty.

    Args:
        name: The name of its progress; ``backfill_status()`` lists the names.
        drop_table: Whether to drop the table of the progress if it is then empty.

    Returns:
        True if there was any progress, False if not.

    Raises:
        BackfillConflict: A runner works on it.
        InvalidArgument: The name is empty or not a text.

    Locks: the rows of its progress; with ``drop_table`` that table, briefly.

    Running it again: does nothing.

    Offline: renders CREATE TABLE IF NOT EXISTS, and the DELETE.

    Example:
        forget_backfill("users_email_lower")
    """
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgument(
            f"The name of the backfill is {name!r}.", remedy="Write:", code='forget_backfill("users_email_lower")'
        )
    with running("forget_backfill") as migration:
        state = State.of(migration)
        if migration.offline:
            migration.render(f"-- safeops: discards the progress of backfill {name} in {TABLE}")
            migration.render(state.creation())
            migration.render(migration.database.rendered(state.deletion(name)))
            return True
        if not state.exists():
            return skipped(f"discarding the progress of backfill {name}", "no progress is recorded")
        if current_dry_run() is not None and state.part(name) is None:
            return skipped(f"discarding the progress of backfill {name}", "no progress is recorded")
        _check_unclaimed(state, name)
        forgotten = with_lock_retry(migration, f"discarded the progress of backfill {name}", lambda: state.forget(name))
        if drop_table:
            with_lock_retry(migration, "dropped the empty table safeops_backfill", state.drop_if_empty)
        return forgotten or skipped(f"discarding the progress of backfill {name}", "no progress is recorded")


def _check_unclaimed(state: State, name: str) -> None:
    whole = state.part(name)
    if whole is not None and state.claimed_for(whole):
        raise BackfillConflict(
            f"Could not discard the progress of backfill {name}: a runner works on it ({whole.session}).",
            remedy="Stop that run first. If it has died, its claim expires within seconds.",
        )


def forget_backfills_of(migration: Migration, table: Name, column: str | None = None) -> None:
    """Discard the progress of the backfills of a table or column that is dropped."""
    forget_backfills(migration, backfills_of(migration, table, column))


def backfills_of(migration: Migration, table: Name, column: str | None = None) -> list[str]:
    """Return the names of the backfills of a table, or of one of its columns."""
    if not Batches.serves(migration.database):
        return []
    state, tables = State.of(migration), (table, table.at(migration.database.home))
    return [part.name for part in state.parts() if _is_of(part, tables, column)] if state.exists() else []


def _is_of(part: Part, tables: tuple[Name, ...], column: str | None) -> bool:
    spec = part.spec
    is_of_table = Name(spec.get("table", ""), spec.get("schema")) in tables
    return is_of_table and (column is None or column in spec.get("columns", ()))


def forget_backfills(migration: Migration, names: list[str]) -> None:
    """Discard the progress of these backfills."""
    for name in names:
        if (dry_run := current_dry_run()) is not None:
            dry_run.add(PlannedStatement(f"discarded the progress of backfill {name}"))
            continue
        with_lock_retry(
            migration, f"discarded the progress of backfill {name}", partial(State.of(migration).forget, name)
        )
        log.info("discarded the progress of backfill %s: its column or table is dropped", name)


# The rows that remain -------------------------------------------------------------------------------------------

SHOWN = 5
"""Keys that a message shows."""


@dataclass(frozen=True)
class Remaining:
    """The rows that still need a backfill; ``fillable`` of them would get a value."""

    rows: int
    fillable: int

    @property
    def nulls(self) -> int:
        return self.rows - self.fillable


def count_remaining(database: Database, spec: BackfillSpec, unfilled: int) -> Remaining:
    """Count the rows that still need a backfill, and those of them that it would fill.

    Args:
        database: The database.
        spec: What the backfill does.
        unfilled: The rows for which a function returned no value.
    """
    if spec.where is None:
        return Remaining(0, 0)
    fillable = spec.fillable or ("1 = 1" if spec.function is not None else "1 = 0")
    table = database.quoted_table(spec.table)
    with database.unbounded():
        sql = f"SELECT count(*), count(CASE WHEN {fillable} THEN 1 END) FROM {table} WHERE {spec.where}"
        rows, fill = database.read(sql)[0]
    return Remaining(int(rows), max(int(fill) - unfilled, 0))


LISTED = 20_000
"""Rows of which a sweep lists the keys at most."""


def remaining_keys(database: Database, spec: BackfillSpec) -> list[Bound]:
    """Return the keys of rows that the backfill would fill, in their order; at most ``LISTED``."""
    condition = f"({spec.where}) AND ({spec.fillable or '1 = 1'})"
    names, table = database.quoted(*(column.name for column in spec.key)), database.quoted_table(spec.table)
    texts = ", ".join(Batches.of(database).key_text(column) for column in spec.key)
    # Sorted outside: the order must not make the server read the whole table by the index of the key.
    source = f"SELECT {names} FROM {table} WHERE {condition} LIMIT {LISTED}"
    with database.unbounded():
        rows = database.read(f"SELECT {texts} FROM ({source}) safeops_rows ORDER BY {names}")
    return [tuple(map(str, row)) for row in rows]


def incomplete(
    database: Database, spec: BackfillSpec, remaining: Remaining, sweeps: int, swept: Set[Bound]
) -> BackfillIncomplete:
    """Distinguish rows whose new value is NULL from rows that the application keeps writing without a value.

    Args:
        database: The database.
        spec: What the backfill does.
        remaining: The rows that remain.
        sweeps: How often they were swept up.
        swept: The keys of the rows that the last sweep has written.
    """
    problems, remedies = [], []
    if remaining.nulls:
        keys = _keys(database, spec, remaining, filled=False)
        problems.append(f"For {remaining.nulls:,} of them the new value is NULL{keys}.")
        remedies.append(
            "Return a value for these rows too, for example with sa.func.coalesce(..., ''), or exclude them with where=."
        )
    if remaining.fillable:
        keys = _keys(database, spec, remaining, filled=True)
        triggers = database.triggers.update_triggers(spec.table)
        # A row that the function has no value for is in both too.
        if triggers and len(swept & {*remaining_keys(database, spec)}) > remaining.nulls:
            problems.append(f"{remaining.fillable:,} of them have no value although it was written{keys}.")
            remedies.append(CANCELLED.format(", ".join(triggers)))
        else:
            problems.append(
                f"The application wrote {remaining.fillable:,} of them without a value{keys},"
                f" and kept doing so during {sweeps} sweeps."
            )
            default = call("set_server_default", spec.table.name, spec.columns[0], Code("..."))
            remedies.append(
                f"Deploy an application that fills the column first, or let the database fill it: {default}. If the column"
                " replaces another one, use ColumnRename(...).expand()."
            )
    return BackfillIncomplete(
        f"Backfill {spec.name} left {remaining.rows:,} rows of {spec.table} without a value. {' '.join(problems)}",
        remedy=f"{' '.join(remedies)} This query finds all of them:",
        code=f"SELECT * FROM {database.quoted_table(spec.table)} WHERE {spec.where}",
        state="All other rows are done and kept; running again fills the remaining rows.",
    )


def _keys(database: Database, spec: BackfillSpec, remaining: Remaining, *, filled: bool) -> str:
    """Return the keys of a few rows that the backfill would fill, or would not fill, for a message."""
    if spec.fillable is None and remaining.nulls and remaining.fillable:
        # The two kinds of rows cannot be distinguished.
        return ""
    texts = ", ".join(Batches.of(database).key_text(column) for column in spec.key)
    fillable = spec.fillable or ("1 = 1" if filled else "1 = 0")
    condition = fillable if filled else f"NOT ({fillable})"
    source = f"FROM {database.quoted_table(spec.table)} WHERE ({spec.where}) AND ({condition})"
    rows = database.read(f"SELECT {texts} {source} LIMIT {SHOWN}")
    shown = ", ".join("/".join(map(str, row)) for row in rows)
    return f" (keys {shown}{', ...' if len(rows) == SHOWN else ''})" if rows else ""


# In a plan ------------------------------------------------------------------------------------------------------

LOCK = Lock("the rows of a batch", ROWS, BRIEFLY)


def plan_backfill(dry_run: DryRun, terms: Terms, spec: BackfillSpec) -> None:
    """Record what is left of a backfill, and about how long it takes."""
    state = State.of(terms)
    parts = state.parts() if state.exists() else []
    own = [part for part in parts if part.name == spec.name]
    finished = any(part.part == WHOLE and part.is_finished for part in own)
    rows = _estimated_rows(terms.database, spec, own, finished)
    if rows == 0:
        dry_run.skip(f"backfill {spec.name}", "it was finished before" if finished else "no row needs it")
        return
    rate = _rows_per_second(own) or _rows_per_second(_of_table(parts, spec.table))
    seconds = None if rows is None or rate is None else round(rows / rate, 1)
    does = f"filled {'an unknown number of rows' if rows is None else f'about {counted(rows)}'} of {spec.table}"
    does += f", about {seconds:,.0f} s at the last measured rate" if seconds is not None else ""
    dry_run.add(
        PlannedStatement(does, LOCK, (spec.table,), rows, None, seconds, loses=not spec.keeps_values, names_rows=True)
    )


def _estimated_rows(database: Database, spec: BackfillSpec, own: list[Part], finished: bool) -> int | None:
    """Return about how many rows are left; None if unknown."""
    if finished and not spec.keeps_values:
        return 0
    rows = database.sizes.rows_meeting(spec.table, spec.where, spec.columns)
    # If the rows do not show whether they are done, the progress does.
    done = 0 if spec.keeps_values else sum(part.walked for part in own)
    return None if rows is None else max(rows - done, 0)


def _of_table(parts: list[Part], table: Name) -> list[Part]:
    """Return the ranges of backfills of a table in which most rows were written: to scan the others takes far less."""
    names = {part.name for part in parts if part.part == WHOLE and part.spec.get("table") == table.name}
    return [part for part in parts if part.name in names and 2 * part.processed >= part.walked]


def _rows_per_second(parts: list[Part]) -> float | None:
    """Return the rows that batches have scanned per second."""
    rows, seconds = sum(part.walked for part in parts), sum(part.seconds for part in parts)
    return rows / seconds if rows and seconds else None
