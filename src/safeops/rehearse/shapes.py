"""The shape of tables: how many rows, and how their values are distributed. It is read from statistics, without a value."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from safeops.autogenerate_filter import PREFIX
from safeops.databases import Database, database_on
from safeops.databases.connections import run_on_connection
from safeops.databases.definitions import Column, Table
from safeops.databases.ports import Port
from safeops.naming import Name
from safeops.planned import summary

log = logging.getLogger("safeops")

SAMPLED = 10_000
"""Rows that a table without statistics is judged by."""
MANY = 0.1
"""A column with more distinct values than this share of the rows gets more of them as the table grows."""
VERSION = "version_num"
"""The one column of the table in which Alembic keeps the revision."""


@dataclass(frozen=True)
class ColumnShape:
    """How the values of a column are distributed.

    Args:
        nulls: The share of NULLs, from 0 to 1.
        distinct: How many different values there are; None if that is not known.
        width: Their average width in bytes; None if that is not known.
        low: The lowest key, of an integer primary key only.
        high: The highest key.
    """

    nulls: float = 0.0
    distinct: float | None = None
    width: int | None = None
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class TableShape:
    """How large a table is, and how its columns are distributed."""

    name: Name
    rows: int
    columns: Mapping[str, ColumnShape] = field(default_factory=dict)

    def of(self, column: Column) -> ColumnShape:
        """Return the shape of a column; one of which nothing is known has no NULLs, as NULLs may be refused later."""
        return self.columns.get(column.name) or ColumnShape()

    def scaled(self, rows: int) -> TableShape:
        """Return the same table with another number of rows."""
        return replace(
            self, rows=rows, columns={name: _scaled(one, self.rows, rows) for name, one in self.columns.items()}
        )


def _scaled(shape: ColumnShape, before: int, after: int) -> ColumnShape:
    distinct = shape.distinct
    if distinct is not None and before and distinct > before * MANY:
        distinct = distinct * after / before
    high = shape.high
    if shape.low is not None and high is not None and before:
        high = shape.low + (high - shape.low) * after // before
    return replace(shape, distinct=distinct if distinct is None else max(1.0, min(distinct, after)), high=high)


class Statistics(Port):
    """What a server knows of the values in its tables."""

    place = "safeops.rehearse.{family}.statistics:Statistics"
    asked = "The shape of a table"

    length: str = "length"
    """The function that gives the width of a value as text."""

    @abstractmethod
    def names(self) -> list[Name]:
        """Return the tables that have rows, those in the default schema without one."""

    @abstractmethod
    def rows_of(self, table: Table) -> int:
        """Return about how many rows a table has."""

    def columns_of(self, table: Table, rows: int) -> dict[str, ColumnShape]:
        """Return the columns that the server has statistics of."""
        return {}

    def as_text(self, column: str) -> str:
        return f"CAST({column} AS CHAR)"

    def shape_of(self, table: Table) -> TableShape:
        """Return the shape of a table."""
        rows = self.rows_of(table)
        known = self.columns_of(table, rows)
        missing = [column for column in table.columns.values() if column.name not in known and column.computed is None]
        try:
            known |= self._sampled(table, rows, missing)
            known |= self._ranges(table, known)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            log.warning("the values of %s are not followed: %s", table.name, summary(error))
        return TableShape(table.name, rows, known)

    def _sampled(self, table: Table, rows: int, columns: Sequence[Column]) -> dict[str, ColumnShape]:
        if not columns:
            return {}
        names = [self.quoted(column.name) for column in columns]
        parts = [f"count({name}), {self._distinct(name)}, avg({self.length}({self.as_text(name)}))" for name in names]
        sample = f"SELECT {', '.join(names)} FROM {self.quoted_table(table.name)} LIMIT {SAMPLED}"
        found = list(self.read(f"SELECT count(*), {', '.join(parts)} FROM ({sample}) sampled")[0])
        whole, places = int(found[0]), range(1, len(found), 3)
        return {
            column.name: _of_sample(whole, rows, *found[place : place + 3])
            for column, place in zip(columns, places, strict=True)
        }

    def _distinct(self, name: str) -> str:
        return f"count(DISTINCT {name})"

    def _ranges(self, table: Table, known: Mapping[str, ColumnShape]) -> dict[str, ColumnShape]:
        """The lowest and the highest key, which an index gives without a scan."""
        if len(table.primary_key) != 1:
            return {}
        column = table.columns[table.primary_key[0]]
        if "int" not in column.type.lower():
            return {}
        name = self.quoted(column.name)
        low, high = self.read(f"SELECT min({name}), max({name}) FROM {self.quoted_table(table.name)}")[0]
        shape = known.get(column.name, ColumnShape())
        whole = isinstance(low, int) and isinstance(high, int)
        return {column.name: replace(shape, low=low, high=high)} if whole else {}


def _of_sample(whole: int, rows: int, filled: Any, distinct: Any, width: Any) -> ColumnShape:
    if not whole:
        return ColumnShape()
    count = float(distinct)
    if count > whole * MANY and rows > whole:
        count = count * rows / whole
    return ColumnShape(1 - int(filled) / whole, max(1.0, count), None if width is None else round(float(width)))


def shapes_of(engine: Engine) -> dict[Name, TableShape]:
    """Return the shapes of the tables of a database, which is only read.

    Statistics of the server are read if it has them; else a few thousand rows are counted there. No value leaves the
    server, except the lowest and the highest integer key.

    Args:
        engine: Connects to the database.

    Returns:
        The shapes by name; tables in the default schema have none.
    """

    def read(connection: Connection) -> dict[Name, TableShape]:
        database = database_on(connection)
        with database.read_only_session():
            statistics = Statistics.of(database)
            return {name: replace(statistics.shape_of(table), name=name) for name, table in tables_of(database)}

    return run_on_connection(engine, read)


def uniform(engine: Engine, rows: int) -> dict[Name, TableShape]:
    """Return shapes of ``rows`` rows for each table of a database."""

    def read(connection: Connection) -> dict[Name, TableShape]:
        return {name: TableShape(name, rows) for name, _ in tables_of(database_on(connection))}

    return run_on_connection(engine, read)


def tables_of(database: Database) -> Iterator[tuple[Name, Table]]:
    """Go through the tables of a project: not that of Alembic, nor those of safeops itself."""
    home = sa.inspect(database.connection).default_schema_name
    for name in Statistics.of(database).names():
        table = None if name.name.startswith(PREFIX) else database.table(name)
        if table is not None and list(table.columns) != [VERSION]:
            yield name.at(home), table
