"""The rows that the code of a release inserts: like one that exists, with another key, referring to other new rows."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases import database_on
from safeops.databases.definitions import names_in
from safeops.naming import Name
from safeops.testing.old_values import Column, another, kind_read, made_up

Row = dict[str, Any]
"""The values of a row by the keys of the columns."""


@dataclass
class ModelTable:
    """A table of the models, and what was seen of it.

    Args:
        table: The table as the models have it.
        row: A row of it: the last that was seen.
        kinds: What kinds of values each column had when it was first read.
        uniques: The columns of each unique key, as the database has them now.
        was_read: Whether it was read before.
        was_written: Whether a row could be inserted before.
        reads_own: Whether it reads only rows that it has inserted: the models cannot convert the values of others, as sample
            rows have in a column of texts that the models take for an enum.
    """

    table: sa.Table
    row: Row = field(default_factory=dict)
    kinds: dict[str, set[str]] = field(default_factory=dict)
    uniques: list[set[str]] = field(default_factory=list)
    was_read: bool = False
    was_written: bool = False
    reads_own: bool = False

    @property
    def name(self) -> Name:
        return Name(self.table.name, self.table.schema)

    @property
    def referents(self) -> set[sa.Table]:
        """The tables that its foreign keys refer to."""
        return {key.referred_table for key in self.table.foreign_key_constraints}

    def identity(self, row: Row) -> list[sa.ColumnElement[bool]]:
        """Return conditions for one row: its key, or its values if the models have no key."""
        key = list(self.table.primary_key.columns)
        columns = key or [one for one in self.table.columns if _compares(row.get(one.key))]
        return [column == row.get(column.key) for column in columns]

    def look(self, connection: Connection) -> None:
        """Read the unique keys, which a revision may change."""
        try:
            found = database_on(connection).table(self.name)
        except DBAPIError:
            # An upgrade that runs has just dropped or replaced the table: the statements show that.
            return
        if found is not None:
            keys = [set(key.columns) for kind in ("primary key", "unique") for key in found.of_kind(kind)]
            self.uniques = keys + [names_in(index) for index in found.indexes.values() if index.unique]
        if not self.table.primary_key.columns and not self.uniques:
            # Two equal rows could not be distinguished.
            self.uniques = [{column.name for column in self.table.columns}]


def _compares(value: Any) -> bool:
    return value is None or (kind_read(value) is not None and not isinstance(value, float))


def is_generated(column: Column) -> bool:
    """Return whether only the server writes a column."""
    return column.computed is not None or bool(column.identity is not None and column.identity.always)


def _is_given(column: Column) -> bool:
    """Return whether the code must give a value: neither the models nor the server do."""
    return not _is_numbered(column) and column.default is None and column.server_default is None


def _is_numbered(column: Column) -> bool:
    return column is column.table.autoincrement_column and not column.foreign_keys


def _is_made_new(column: Column) -> bool:
    """Return whether each row gets another value without the code giving one."""
    return _is_numbered(column) or (column.default is not None and not column.default.is_scalar)


class NewRow:
    """Makes a row for an INSERT.

    Args:
        connection: A session.
        one: The table.
        columns: The columns that the code writes.
        others: The rows that were inserted into other tables.
        chance: Draws new values.
    """

    def __init__(
        self,
        connection: Connection,
        one: ModelTable,
        columns: Sequence[Column],
        others: Mapping[sa.Table, Row],
        chance: random.Random,
    ) -> None:
        self.connection, self.one, self.others, self.chance = connection, one, others, chance
        self.columns = [column for column in columns if _is_given(column)]

    def values(self, *, nulls: bool) -> Row:
        """Return its values; those of columns that the server or the models fill are left out.

        Args:
            nulls: Give NULL in each column in which the models allow it.
        """
        row = {column.key: self._usual(column) for column in self.columns}
        referring = self._referring()
        row |= {key: value for key, value in referring.items() if key in row}
        for column in self._renewed(set(referring)):
            row[column.key] = another(column, row[column.key], self._highest(column, row[column.key]), self.chance)
        # The ORM gives NULL for each attribute that was not set.
        return {
            column.key: sa.null() if column.nullable and (nulls or row[column.key] is None) else row[column.key]
            for column in self.columns
        }

    def _usual(self, column: Column) -> Any:
        value = self.one.row.get(column.key)
        return made_up(column) if value is None and not (column.nullable and self.one.row) else value

    def _referring(self) -> Row:
        """Return the values of the foreign keys to rows that were inserted before."""
        found: Row = {}
        for key in self.one.table.foreign_key_constraints:
            referent = self.others.get(key.referred_table)
            if referent is not None:
                found |= {element.parent.key: referent.get(element.column.key) for element in key.elements}
        return found

    def _renewed(self, fresh: set[str]) -> Iterable[Column]:
        """Return the columns that need another value, for the row to differ from others in each unique key."""
        given = {column.key for column in self.columns}
        found: list[Column] = []
        for unique in self.one.uniques:
            columns = [column for column in self.one.table.columns if column.name in unique]
            if any(column.key in fresh or _is_made_new(column) for column in columns):
                continue
            found += [column for column in columns if column.key in given and not column.foreign_keys][-1:]
        return dict.fromkeys(found)

    def _highest(self, column: Column, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            return 0
        return int(self.connection.scalar(sa.select(sa.func.max(column))) or 0)
