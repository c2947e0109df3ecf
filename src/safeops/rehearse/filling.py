"""Fills the tables of a copy with rows whose shape follows that of production. The server makes the rows itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import nullcontext

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from safeops.databases import Database, database_on
from safeops.databases.connections import run_on_connection
from safeops.databases.definitions import Table
from safeops.errors import FillingFailed
from safeops.naming import Name
from safeops.planned import summary
from safeops.rehearse.inserting import Inserts
from safeops.rehearse.row_plan import BACKUP, RowPlan
from safeops.rehearse.shapes import TableShape

log = logging.getLogger("safeops")


def fill(
    engine: Engine,
    shapes: Mapping[Name, TableShape],
    *,
    later: Mapping[Name, Table] | None = None,
) -> dict[Name, int]:
    """Fill the tables of a database with rows that meet every constraint.

    Steps: plans how each column gets its values, and evaluates the checks over rows as they would be; inserts the rows on
    the server, those that others refer to first; moves the sequences on; counts the distributions for the planner.

    Args:
        engine: Connects to the database.
        shapes: How many rows each table has in the end, and how its values are distributed. A table that lacks here, and
            that others refer to, gets a few rows.
        later: The tables with the constraints that revisions will add, which the rows meet if that is possible.

    Returns:
        The rows of each table: fewer than requested if a unique key does not allow as many.

    Raises:
        FillingFailed: A table cannot be filled; the message names it, and what prevents it.
    """

    def run(connection: Connection) -> dict[Name, int]:
        database = database_on(connection)
        return _fill(database, RowPlan(database, shapes, later or {}))

    return run_on_connection(engine, run)


def _fill(database: Database, plan: RowPlan) -> dict[Name, int]:
    inserts = Inserts.of(database)
    inserts.begin()
    groups = _groups(plan)
    filled: dict[Name, int] = {}
    for group in groups:
        keys = [(name, key) for name in group for key in plan.deferred(name)]
        with database.transaction() if keys else nullcontext():
            for name, key in keys:
                inserts.defer(plan.tables[name], key)
            for name in group:
                filled[name] = _fill_table(database, plan, name)
            for name, key in keys:
                inserts.restore(plan.tables[name], key)
    tables = [plan.tables[name] for name in plan.order]
    inserts.end(tables)
    inserts.analyze(tables)
    return filled


def _groups(plan: RowPlan) -> list[list[Name]]:
    """Put tables together whose foreign keys refer to each other in a cycle: they are filled in one transaction."""
    groups: list[list[Name]] = []
    for place, name in enumerate(plan.order):
        if groups and place <= _last(plan, groups[-1]):
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def _last(plan: RowPlan, group: list[Name]) -> int:
    """Return the place of the last table that one of a group refers to."""
    return max(
        (plan.order.index(one) for name in group for one in plan.referents(name) if one in plan.order), default=-1
    )


def _fill_table(database: Database, plan: RowPlan, name: Name) -> int:
    """Fill a table, and return how many rows it has then."""
    layout, batch = plan.layouts[name], Inserts.of(database).batch
    if not layout.rows:
        return layout.existing
    rows = int(database.scalar(f"SELECT count(*) FROM {database.quoted_table(name)}"))
    if rows > layout.existing and not any(name in plan.referents(other) for other in plan.order):
        # Further rows would have the same keys, and other values than the rows that these were made from.
        log.info("fill: triggers have inserted %d rows into %s", rows - layout.existing, name)
        return rows
    for trigger in Inserts.of(database).firing(layout.table.name):
        log.warning("fill: the trigger %s fires for each row that is inserted into %s", trigger, name)
    for first in range(0, layout.rows, batch):
        last = min(first + batch, layout.rows)
        try:
            database.run(plan.insert(name, first, last - 1))
        except DBAPIError as error:
            raise _refused(name, first, layout.rows, error) from error
    log.info("fill: inserted %d rows into %s", layout.rows, name)
    return layout.rows + layout.existing


def _refused(name: Name, done: int, rows: int, error: DBAPIError) -> FillingFailed:
    return FillingFailed(
        f"{name} could not be filled: {summary(error)}",
        why="Rows are made from types, keys and checks; a trigger, a rule or an index on an expression may require more.",
        remedy="Rehearse on a backup, which has rows that are accepted:",
        code=BACKUP,
        state=f"{done} of {rows} rows were inserted into {name}: the copy is incomplete. Drop it, and create it again.",
    )
