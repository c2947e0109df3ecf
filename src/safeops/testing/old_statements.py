"""The statements that the code of a release sends to its tables, by the ``Table`` objects of its models."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases import database_on
from safeops.naming import Name
from safeops.rehearse.traffic.work import first_line
from safeops.testing.old_rows import ModelTable, NewRow, Row, is_generated
from safeops.testing.old_values import Column, edges_of, kind_read

READ = 50
"""Rows that a SELECT reads: the models convert the values of each."""
TRIES = 8
"""How often a new row is inserted that has the key of another one."""
SHORT = 200
"""Characters of an error."""
STALE = ("cached statement plan is invalid", "cached plan must not change result type")
"""Errors of a statement that was prepared before a change: another session does not get them."""
PYTHON, FOLLOWS = "python", "follows"
"""The kinds of errors that the models raise, and that another error of the same round has caused."""
NULLS = "NULL in each nullable column"

T = TypeVar("T")


@dataclass(frozen=True)
class Sent:
    """A statement of the application, and what came of it.

    Args:
        table: The table.
        operation: "SELECT", "INSERT", "UPDATE" or "DELETE".
        columns: The columns that it concerns; of a SELECT that failed those that cannot be read.
        what: The value that it writes, if it is a special one.
        error: The error in short; empty if it worked.
        kind: The kind of the error, as ``ServerErrors.kind_of`` returns it, or PYTHON, or FOLLOWS.
        is_certain: Whether the models name the value; another one may never be written by the application.
    """

    table: str
    operation: str
    columns: tuple[str, ...] = ()
    what: str = ""
    error: str = ""
    kind: str = ""
    is_certain: bool = True

    @property
    def key(self) -> tuple[str, ...]:
        """What it shares with the same statement of another round."""
        return (self.table, self.operation, self.what, *(self.columns if self.operation == "UPDATE" else ()))


class Round:
    """One round of the application: to each table it sends a SELECT, an INSERT, UPDATEs and a DELETE.

    Args:
        connection: A session, in autocommit.
        tables: The tables, each after those that it refers to.
        at_limits: Whether it also writes the values at the limits of the types.
        only: The columns of each table that it uses; None for all.
    """

    def __init__(
        self,
        connection: Connection,
        tables: Sequence[ModelTable],
        *,
        at_limits: bool = False,
        only: Mapping[Name, Collection[str]] | None = None,
    ) -> None:
        self.connection, self.tables, self.at_limits, self.only = connection, tables, at_limits, only
        self.errors = database_on(connection).errors
        self.chance = random.Random()
        self.sent: list[Sent] = []
        self.rows: dict[sa.Table, Row] = {}
        """The rows that it has inserted."""

    def run(self) -> list[Sent]:
        for one in self.tables:
            if not one.reads_own:
                self._select(one)
            self._insert(one)
            if one.reads_own and one.table in self.rows:
                self._select(one, one.identity(self.rows[one.table]))
            for column in self._used(one):
                # No application changes the key of a row.
                if not is_generated(column) and not column.primary_key:
                    self._update(one, column)
        for one in reversed(self.tables):
            self._delete(one)
        return self.sent

    def _used(self, one: ModelTable) -> list[Column]:
        columns = list(one.table.columns)
        return columns if self.only is None else [column for column in columns if column.name in self.only[one.name]]

    # SELECT -----------------------------------------------------------------------------------------------------

    def _select(self, one: ModelTable, where: Sequence[sa.ColumnElement[bool]] = ()) -> None:
        columns = self._used(one)
        rows = self._try(Sent(str(one.name), "SELECT", _names(columns)), lambda: self._rows(columns, where))
        if rows is None:
            self._failed_select(one, columns)
        elif rows:
            one.row = max(rows, key=lambda row: sum(value is not None for value in row.values()))
        for column in columns if rows else ():
            self._compare(one, column, {kind for row in rows or () if (kind := kind_read(row[column.key]))})
        one.was_read = True

    def _rows(self, columns: Sequence[Column], where: Sequence[sa.ColumnElement[bool]] = ()) -> list[Row]:
        keys = [column.key for column in columns]
        found = self.connection.execute(sa.select(*columns).where(*where).limit(READ))
        return [dict(zip(keys, row, strict=True)) for row in found]

    def _failed_select(self, one: ModelTable, columns: Sequence[Column]) -> None:
        failed = self.sent.pop()
        readable = [column for column in columns if self._can_read(column)]
        if failed.kind == PYTHON and not one.was_read:
            one.reads_own = True
            one.row = next(iter(self._rows(readable)), {}) if readable else {}
            return
        # None, if an upgrade that runs has finished in between.
        self.sent.append(replace(failed, columns=_names(column for column in columns if column not in readable)))

    def _can_read(self, column: Column) -> bool:
        try:
            self._rows([column])
        except Exception:
            return False
        return True

    def _compare(self, one: ModelTable, column: Column, kinds: set[str]) -> None:
        """Record values of a kind that the code has never read in a column."""
        before = one.kinds.setdefault(column.name, kinds) or kinds
        if kinds and before.isdisjoint(kinds):
            error = f"the application reads {', '.join(sorted(kinds))}, and not {', '.join(sorted(before))}"
            self.sent.append(Sent(str(one.name), "SELECT", (column.name,), "", error, PYTHON))

    # INSERT -----------------------------------------------------------------------------------------------------

    def _insert(self, one: ModelTable) -> None:
        if self._is_tried_at_limits(one):
            nulls = self._inserted(one, NULLS)
            if nulls is not None:
                self._quietly(sa.delete(one.table).where(*one.identity(nulls)))
        row = self._inserted(one, "")
        if row is not None:
            self.rows[one.table] = row
            one.was_written = True

    def _is_tried_at_limits(self, one: ModelTable) -> bool:
        # A row without a key is found by the values that would change.
        return self.at_limits and bool(one.table.primary_key.columns)

    def _inserted(self, one: ModelTable, what: str) -> Row | None:
        columns = [column for column in self._used(one) if not is_generated(column)]
        new = NewRow(self.connection, one, columns, self.rows, self.chance)

        def insert() -> Row:
            for _ in range(TRIES - 1):
                try:
                    return self._send_insert(one, new.values(nulls=what == NULLS))
                except DBAPIError as error:
                    if not self.errors.is_violation(error):
                        raise
            return self._send_insert(one, new.values(nulls=what == NULLS))

        row = self._try(Sent(str(one.name), "INSERT", what=what), insert)
        lacking = {other.table for other in self.tables if other.was_written} - set(self.rows)
        if row is None and self.sent[-1].kind == "violation" and lacking & (one.referents - {one.table}):
            # There is no new row to refer to, as there was before.
            self.sent.append(replace(self.sent.pop(), kind=FOLLOWS))
        return row

    def _send_insert(self, one: ModelTable, values: Row) -> Row:
        statement = sa.insert(one.table).values({one.table.columns[key]: value for key, value in values.items()})
        made = self.connection.execute(statement).inserted_primary_key or ()
        keys = [column.key for column in one.table.primary_key.columns]
        written = {key: None if isinstance(value, sa.Null) else value for key, value in values.items()}
        return {**one.row, **written, **dict(zip(keys, made, strict=False))}

    # UPDATE and DELETE ------------------------------------------------------------------------------------------

    def _update(self, one: ModelTable, column: Column) -> None:
        row = self.rows.get(one.table) or one.row
        if not row:
            return
        here, value = one.identity(row), row.get(column.key)

        def send(what: str, value: Any, *, is_certain: bool = True) -> None:
            statement = sa.update(one.table).where(*here).values({column: value})
            sent = Sent(str(one.name), "UPDATE", (column.name,), what, is_certain=is_certain)
            self._try(sent, lambda: self.connection.execute(statement))

        if value is not None:
            send("", value)
        if self._is_tried_at_limits(one) and one.table in self.rows:
            for edge in edges_of(column, value):
                send(edge.what, edge.value, is_certain=edge.is_certain)
            # The other columns are tried on a row that is as usual.
            self._quietly(sa.update(one.table).where(*here).values({column: value}))

    def _delete(self, one: ModelTable) -> None:
        row = self.rows.get(one.table)
        if row is not None:
            statement = sa.delete(one.table).where(*one.identity(row))
            self._try(Sent(str(one.name), "DELETE"), lambda: self.connection.execute(statement))

    # Each statement ----------------------------------------------------------------------------------------------

    def _try(self, sent: Sent, action: Callable[[], T]) -> T | None:
        try:
            result = action()
        except Exception as error:
            said, kind = self._described(error)
            self.sent.append(replace(sent, error=said, kind=kind))
            return None
        self.sent.append(sent)
        return result

    def _quietly(self, statement: sa.Update | sa.Delete) -> None:
        try:
            self.connection.execute(statement)
        except DBAPIError:
            # The application's own statement of that kind is recorded.
            return

    def _described(self, error: Exception) -> tuple[str, str]:
        if not isinstance(error, DBAPIError):
            return f"{type(error).__name__}: {error}"[:SHORT], PYTHON
        said = first_line(error.orig or error)[:SHORT]
        return said, "held" if any(words in said for words in STALE) else self.errors.kind_of(error)


def _names(columns: Iterable[Column]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)
