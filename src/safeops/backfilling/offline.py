"""A backfill as SQL for ``--sql``: one guarded UPDATE."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from safeops.backfilling.expressions import RANGE, Expressions
from safeops.backfilling.parts import TABLE
from safeops.backfilling.port import Batches
from safeops.backfilling.state import State
from safeops.backfilling.work import needed
from safeops.execution.migration import Migration
from safeops.naming import Name

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
