"""Sample rows: a few in each table, which meet the constraints that the tested revision adds."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.databases.definitions import Table
from safeops.errors import SafeOpsError
from safeops.naming import Name
from safeops.planned import summary
from safeops.rehearse.filling import fill
from safeops.rehearse.later_constraints import extended
from safeops.rehearse.shapes import ColumnShape, TableShape, tables_of
from safeops.runner.logs import SAFEOPS

ROWS = 10
"""Rows of each table."""
NULLS = 0.3
"""The share of NULLs in a column that takes them before the revision and after it."""

Tables = Mapping[Name, Table]


def tables_in(engine: Engine) -> dict[Name, Table]:
    """Return the tables of a database."""
    return run_on_connection(engine, lambda own: dict(tables_of(database_on(own))))


def fill_samples(engine: Engine, later: Tables, *, nulls: bool) -> list[str]:
    """Make rows for each table that has none; return why some could not be made, in sentences.

    Args:
        engine: Connects to the database.
        later: Its tables as the revision leaves them, whose constraints the rows meet too.
        nulls: Whether columns that take NULLs have some.
    """
    tables = tables_in(engine)
    counts = run_on_connection(engine, lambda own: {name: _count(own, table) for name, table in tables.items()})
    if all(counts.values()):
        return []
    wanted = {
        name: TableShape(name, number or ROWS, _with_nulls(tables[name], later.get(name)) if nulls else {})
        for name, number in counts.items()
    }
    with _silent():
        try:
            fill(engine, wanted, later=extended(tables, later))
        except (SafeOpsError, DBAPIError):
            return _one_by_one(engine, tables, later)
    return []


def _with_nulls(table: Table, later: Table | None) -> dict[str, ColumnShape]:
    kept = later.columns if later is not None else {}
    columns = [one for one in table.columns.values() if one.nullable and getattr(kept.get(one.name), "nullable", True)]
    return {one.name: ColumnShape(nulls=NULLS) for one in columns}


def _one_by_one(engine: Engine, tables: Tables, later: Tables) -> list[str]:
    """Fill each table alone: one that cannot be filled does not keep the others empty."""
    notes = []
    for name in _referents_first(tables):
        count = run_on_connection(engine, lambda own, table=tables[name]: _count(own, table))  # type: ignore[misc]
        if count:
            continue
        shapes = {other: TableShape(other, ROWS if other == name else 0) for other in tables}
        try:
            fill(engine, shapes, later=extended(tables, later))
        except (SafeOpsError, DBAPIError) as error:
            notes.append(f"no sample rows for {name}: {_reason(error)}")
    return notes


def _reason(error: Exception) -> str:
    return error.problem if isinstance(error, SafeOpsError) else summary(error)


def _referents_first(tables: Tables) -> list[Name]:
    waiting, order = sorted(tables, key=str), list[Name]()
    while waiting:
        # The other tables of a key may be named with their schema.
        names = {one: {other.name for other in tables[one].referents()} - {one.name} for one in waiting}
        ready = [one for one in waiting if not names[one] & {other.name for other in waiting}]
        order += ready or waiting[:1]
        waiting = [one for one in waiting if one not in order]
    return order


def _count(connection: Connection, table: Table) -> int:
    database = database_on(connection)
    return int(database.scalar(f"SELECT count(*) FROM {database.quoted_table(table.name)}"))


@contextmanager
def _silent() -> Iterator[None]:
    """What a filling logs is about copies of production."""
    logger = logging.getLogger(SAFEOPS)
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
