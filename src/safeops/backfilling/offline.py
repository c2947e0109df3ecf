"""A backfill as SQL for ``--sql``: one guarded UPDATE."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from safeops.backfilling.expressions import RANGE, Expressions
from safeops.backfilling.port import Batches
from safeops.backfilling.state import TABLE, WHOLE, Part, State
from safeops.backfilling.work import Work, needed
from safeops.databases.base import Database
from safeops.execution.migration import Migration, Terms
from safeops.naming import Name
from safeops.plan_mode import DryRun
from safeops.planned import BRIEFLY, ROWS, Lock, PlannedStatement, counted

LOST = (
    "-- safeops: one UPDATE instead of batches. It holds the lock of each row that it changes until it ends, cannot go on"
    " after a stop, and leaves rows unfilled that the application writes meanwhile. Run it against the database for batches."
)


def render(migration: Migration, name: Name, values: Any, where: Any, label: str) -> None:
    """Render the whole work as one UPDATE that does nothing when it is run again."""
    if not isinstance(values, Mapping):
        raise migration.online_only(f"The backfill of {name}", "A Python function needs the rows.")
    expressions = Expressions(migration.database, name, {})
    needs = needed(expressions, tuple(values), where)
    own = {column: expressions.own(value) for column, value in values.items()}
    expressions.check_order(own)
    before, after = Batches.of(migration.database).rendered_batching()
    for sql in [LOST, *before]:
        migration.render(sql)
    if where is None:
        # Once a row has its value, it does not need it any more.
        migration.render(expressions.update(expressions.kept(own), needs).replace(RANGE, "1 = 1"))
    else:
        described = json.dumps({"table": name.name, "schema": name.schema, "columns": list(values)})
        _render_once(migration, label, described, expressions.update(own, needs))
    for sql in after:
        migration.render(sql)


def _render_once(migration: Migration, label: str, described: str, update: str) -> None:
    """Render an UPDATE that must not run twice, together with the note that it has run, in one transaction."""
    database = migration.database
    state = State(database, migration.settings.schema_for_state)
    columns = state.table.c
    known = f"SELECT 1 FROM {database.quoted_table(state.name)} WHERE name = {database.literal(label)}"
    now: sa.ColumnElement[Any] = sa.literal_column(database.now)
    noted = sa.insert(state.table).from_select(
        ["name", "part", "status", "fingerprint", "work", "started_at", "updated_at", *COUNTERS],
        sa.select(
            sa.literal(label, columns.name.type),
            sa.literal(0),
            sa.literal("finished", columns.status.type),
            sa.literal("", columns.fingerprint.type),
            sa.literal(described, columns.work.type),
            now,
            now,
            *(sa.literal(0) for _ in COUNTERS),
        ).where(sa.literal_column(f"NOT EXISTS ({known})")),
    )
    migration.render(state.creation())
    migration.render(database.abilities.begins)
    migration.render(update.replace(RANGE, f"NOT EXISTS ({known})"))
    migration.render(database.rendered(noted))
    migration.render("COMMIT")


COUNTERS = ("sweep", "processed", "unfilled", "walked", "batches", "seconds")


def render_forgotten(migration: Migration, name: str) -> None:
    """Render that the progress under a name is forgotten, whether there is any or not."""
    state = State(migration.database, migration.settings.schema_for_state)
    migration.render(f"-- safeops: forgets backfill {name} in {TABLE}")
    migration.render(state.creation())
    migration.render(migration.database.rendered(state.deletion(name)))


LOCK = Lock("the rows of a batch", ROWS, BRIEFLY)


def tell_fill(dry_run: DryRun, terms: Terms, work: Work) -> None:
    """Tell what is left of a backfill."""
    database, parts = terms.database, _known(terms)
    mine = [one for one in parts if one.name == work.name]
    what = f"backfill {work.name}"
    rows = _left(database, work, mine)
    if rows == 0:
        finished = any(one.part == WHOLE and one.is_finished for one in mine)
        dry_run.skip(what, "it was finished before" if finished else "no row needs it")
        return
    _tell(dry_run, parts, work, rows)


def _known(terms: Terms) -> list[Part]:
    state = State(terms.database, terms.settings.schema_for_state)
    return state.parts() if state.exists() else []


def _left(database: Database, work: Work, mine: list[Part]) -> int | None:
    if any(one.part == WHOLE and one.is_finished for one in mine) and not work.keeps:
        return 0
    rows = database.sizes.rows_meeting(work.table, work.needs, work.columns)
    # Of what does not tell by itself whether it is done, the progress does.
    done = 0 if work.keeps else sum(one.walked for one in mine)
    return None if rows is None else max(rows - done, 0)


def _tell(dry_run: DryRun, parts: list[Part], work: Work, rows: int | None) -> None:
    table, name = work.table, work.name
    rate = _rate([one for one in parts if one.name == name]) or _rate(_of_table(parts, table))
    seconds = None if rows is None or rate is None else round(rows / rate, 1)
    does = f"filled {'an unknown number of rows' if rows is None else f'about {counted(rows)}'} of {table}"
    does += f", about {seconds:,.0f} s at the last measured rate" if seconds is not None else ""
    dry_run.add(PlannedStatement(does, LOCK, (table,), rows, None, seconds, loses=not work.keeps, tells_rows=True))


def _of_table(parts: list[Part], table: Name) -> list[Part]:
    works = {one.name: json.loads(one.work or "{}") for one in parts if one.part == WHOLE}
    names = {name for name, work in works.items() if work.get("table") == table.name}
    return [one for one in parts if one.name in names]


def _rate(parts: list[Part]) -> float | None:
    """Return the rows that were done in a second of the batches."""
    rows, seconds = sum(one.walked for one in parts), sum(one.seconds for one in parts)
    return rows / seconds if rows and seconds else None
