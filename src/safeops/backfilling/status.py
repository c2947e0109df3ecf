"""What is known of the backfills of a database, and forgetting it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import partial

from safeops.backfilling.offline import render_forgotten
from safeops.backfilling.port import Batches
from safeops.backfilling.state import WHOLE, Part, State
from safeops.backfilling.work import Work
from safeops.databases.base import Database
from safeops.errors import BackfillConflict, BackfillIncomplete, InvalidArgument
from safeops.execution.inspect import skipped
from safeops.execution.lock_retry import with_lock_retry
from safeops.execution.migration import Migration, running
from safeops.naming import Code, Name, call
from safeops.plan_mode import current_dry_run
from safeops.planned import PlannedStatement


@dataclass(frozen=True)
class BackfillState:
    """What is known of a backfill.

    Args:
        name: What its progress is kept under.
        table: The table, in its schema.
        columns: The columns that it fills.
        status: "running", "stopped", "incomplete" (rows are left without a value) or "finished".
        rows: The rows that were processed, in all runs.
        batches: The batches that were committed, in all runs.
        seconds: The seconds that its batches took.
        ranges: The ranges that its keys are cut into.
        ranges_finished: Those of them that are done.
        key: The key of the last row that was committed, where there is one range.
        started_at: When it began, in seconds since 1970 by the server's clock.
        updated_at: When it last moved, likewise.
        runner: The session that works on it; None where nobody does.
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


def backfill_status() -> list[BackfillState]:
    """Return what is known of all backfills of this database, by name.

    Returns:
        A ``BackfillState`` each; empty where there was none.

    Locks: none.

    Running it again: reads it again.

    Offline: empty, as nobody can look.

    Example:
        for state in backfill_status():
            print(state.name, state.status, state.rows)
    """
    with running("backfill_status") as migration:
        if migration.offline:
            return []
        state = _state_of(migration)
        if not state.exists():
            return []
        whole = {one.name: one for one in state.parts() if one.part == WHOLE}
        ranges = [one for one in state.parts() if one.part != WHOLE]
        return [_told(one, [part for part in ranges if part.name == name]) for name, one in whole.items()]


def _told(whole: Part, ranges: list[Part]) -> BackfillState:
    work = json.loads(whole.work or "{}")
    schema = work.get("schema")
    moved = [one.updated_at for one in (whole, *ranges) if one.updated_at is not None]
    return BackfillState(
        name=whole.name,
        table=f"{schema}.{work['table']}" if schema else work.get("table", ""),
        columns=tuple(work.get("columns", ())),
        status="running" if whole.status == "stopping" else whole.status,
        rows=sum(one.processed for one in ranges),
        batches=sum(one.batches for one in ranges),
        seconds=sum(one.seconds for one in ranges),
        ranges=len(ranges),
        ranges_finished=sum(one.is_finished for one in ranges),
        key=(ranges[0].after or ()) if len(ranges) == 1 else (),
        started_at=whole.started_at,
        updated_at=max(moved, default=None),
        runner=whole.session,
    )


def _state_of(migration: Migration) -> State:
    return State(migration.database, migration.settings.schema_for_state)


def forget_backfill(name: str, *, drop_table: bool = False) -> bool:
    """Nothing is known of the backfill any more: under its name work begins anew. Call it in ``downgrade()``.

    Steps: deletes its rows from ``safeops_backfill``; with ``drop_table`` drops that table where it is empty then.

    Args:
        name: What its progress is kept under; ``backfill_status()`` lists the names.
        drop_table: Whether to drop the table of the progress where nothing else is in it.

    Returns:
        True if anything was known, False if not.

    Raises:
        BackfillConflict: Somebody is at work on it.
        InvalidArgument: The name is none.

    Locks: the rows of its progress; with ``drop_table`` that table, briefly.

    Running it again: nothing is left to do.

    Offline: renders the table where it is missing, and the DELETE.

    Example:
        forget_backfill("users_email_lower")
    """
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgument(
            f"The name of the backfill is {name!r}.", remedy="Write:", code='forget_backfill("users_email_lower")'
        )
    with running("forget_backfill") as migration:
        if migration.offline:
            render_forgotten(migration, name)
            return True
        state = _state_of(migration)
        if not state.exists():
            return skipped(f"forgetting backfill {name}", "nothing is known of any")
        if current_dry_run() is not None and state.part(name) is None:
            return skipped(f"forgetting backfill {name}", "nothing is known of it")
        _refuse_at_work(state, name)
        gone = with_lock_retry(migration, f"forgot backfill {name}", lambda: state.forget(name))
        if drop_table:
            with_lock_retry(migration, "dropped the empty table of the progress of backfills", state.drop_if_empty)
        return gone or skipped(f"forgetting backfill {name}", "nothing is known of it")


def _refuse_at_work(state: State, name: str) -> None:
    whole = state.part(name)
    if whole is not None and state.claimed_for(whole):
        raise BackfillConflict(
            f"Backfill {name} cannot be forgotten: a runner is at work on it ({whole.session}).",
            remedy="End that run first; where it has died, its claim ends by itself within seconds.",
        )


log = logging.getLogger("safeops")


def forget_backfills_of(migration: Migration, table: Name, column: str | None = None) -> None:
    """Forget the backfills of a table, or of one of its columns, that goes away."""
    forget_backfills(migration, backfills_of(migration, table, column))


def backfills_of(migration: Migration, table: Name, column: str | None = None) -> list[str]:
    """Return the names of the backfills of a table, or of one of its columns."""
    if not Batches.serves(migration.database):
        return []
    state = State(migration.database, migration.settings.schema_for_state)
    tables = (table, table.at(migration.database.home))
    return [one.name for one in state.parts() if _is_of(one, tables, column)] if state.exists() else []


def forget_backfills(migration: Migration, names: list[str]) -> None:
    """Forget the backfills of these names."""
    for name in names:
        if (dry_run := current_dry_run()) is not None:
            dry_run.add(PlannedStatement(f"forgot backfill {name}"))
            continue
        with_lock_retry(
            migration,
            f"forgot backfill {name}",
            partial(State(migration.database, migration.settings.schema_for_state).forget, name),
        )
        log.info("forgot backfill %s, as what it filled goes away", name)


def _is_of(part: Part, tables: tuple[Name, ...], column: str | None) -> bool:
    work = json.loads(part.work or "{}")
    return Name(work.get("table", ""), work.get("schema")) in tables and (
        column is None or column in work.get("columns", ())
    )


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
