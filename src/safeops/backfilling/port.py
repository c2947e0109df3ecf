"""What a walk over a table in batches asks of a database: its keys as text, its ranges, its transactions, its claims."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa

from safeops.databases.definitions import Column
from safeops.databases.ports import Port
from safeops.naming import Name

Bound: TypeAlias = tuple[str, ...]
"""The values of a key, each as the text that ``key_literal`` turns back: drivers would lose digits and infinities."""

Values: TypeAlias = Sequence[tuple[Bound, Sequence[Any]]]
"""New values, a row each: its key, and what becomes of each column."""


@dataclass(frozen=True)
class Target:
    """Where the values of a Python function go.

    Args:
        table: The table.
        key: The columns of the key.
        columns: The columns that are written.
        types: Their types as SQLAlchemy reflects them.
        keep: A column that has a value keeps it.
    """

    table: Name
    key: tuple[Column, ...]
    columns: tuple[Column, ...]
    types: tuple[Any, ...]
    keep: bool

    @property
    def names(self) -> list[str]:
        """Names that no column has, for the values of a row: its key, then what is written."""
        return [f"safeops_{place}" for place in range(len(self.key) + len(self.columns))]


class Batches(Port):
    """The verbs of a backfill that differ from database to database."""

    place = "safeops.backfilling.{family}:Batches"
    asked = "Writing rows in batches"

    def exact_text(self, length: int) -> sa.types.TypeEngine[str]:
        """Return the type of a text whose letters all count in comparisons."""
        return sa.String(length)

    @abstractmethod
    def key_text(self, column: Column) -> str:
        """Return the SQL of the text of a key's column, which loses nothing."""

    @abstractmethod
    def key_literal(self, column: Column, text: str) -> str:
        """Return the SQL of a value of a key's column, from its text."""

    def key_flaw(self, column: Column) -> str | None:
        """Say why no walk goes along such a column; None where one does."""
        return None

    def hint(self, index: str) -> str:
        """Return what stands after a table's name so that the server uses the index."""
        return ""

    def checked_row_by_row(self, condition: str) -> str:
        """Write a condition so that no index is chosen for its sake: the batch is one range of the key's index."""
        return f"CASE WHEN {condition} THEN 1 ELSE 0 END = 1"

    # Ranges -----------------------------------------------------------------------------------------------------

    def within(
        self, key: Sequence[Column], after: Bound | None, upto: Bound | None, *, from_: Bound | None = None
    ) -> str:
        """Return the condition for the keys above ``after``, or from ``from_`` on, up to ``upto``."""
        parts = []
        if after is not None:
            parts += self._beside(key, after, ">", ">=")
        elif from_ is not None:
            parts += self._beside(key, from_, ">=", ">=")
        if upto is not None:
            parts += self._beside(key, upto, "<=", "<=")
        return " AND ".join(parts)

    def _beside(self, key: Sequence[Column], bound: Bound, operator: str, loosely: str) -> list[str]:
        values = [self.key_literal(column, text) for column, text in zip(key, bound, strict=True)]
        names = [self.quoted(column.name) for column in key]
        if len(key) == 1:
            return [f"{names[0]} {operator} {values[0]}"]
        # The first column alone as well: without statistics a planner takes a comparison of rows for a third of the table.
        first = f"{names[0]} {loosely} {values[0]}"
        if self.database.abilities.compares_rows:
            return [first, f"({', '.join(names)}) {operator} ({', '.join(values)})"]
        return [first, _expanded(names, values, operator)]

    def edge(self, table: Name, key: Sequence[Column], index: str, *, last: bool = False) -> Bound | None:
        """Return the first or the last key of a table; None where it is empty."""
        direction = " DESC" if last else ""
        order = ", ".join(self.quoted(column.name) + direction for column in key)
        return self._key_of(key, f"FROM {self.quoted_table(table)}{self.hint(index)} ORDER BY {order} LIMIT 1")

    def nth(
        self, table: Name, key: Sequence[Column], index: str, condition: str, count: int, upto: Bound | None
    ) -> Bound | None:
        """Return the key of the ``count``-th row that meets a condition; None where it is not ``upto`` the end."""
        order = self.quoted(*(column.name for column in key))
        source = f"FROM {self.quoted_table(table)}{self.hint(index)} WHERE {condition}"
        # The end stands outside: without statistics a planner takes a range with two ends for so few rows that it would
        # rather read and sort all that are left.
        end = self.within(key, None, upto)
        return self._key_of(
            key, f"{source} ORDER BY {order} LIMIT 1 OFFSET {count - 1}", f" WHERE {end}" if end else ""
        )

    def _key_of(self, key: Sequence[Column], source: str, condition: str = "") -> Bound | None:
        # The text is made of the one row outside, not of each row that was passed over.
        texts = ", ".join(self.key_text(column) for column in key)
        names = self.quoted(*(column.name for column in key))
        rows = self.read(f"SELECT {texts} FROM (SELECT {names} {source}) safeops_key{condition}")
        return tuple(map(str, rows[0])) if rows else None

    # Batches ----------------------------------------------------------------------------------------------------

    def batching(self) -> AbstractContextManager[None]:
        """Prepare the session for batches, and restore on every path what was set before."""
        return nullcontext()

    def rendered_batching(self) -> tuple[list[str], list[str]]:
        """Render the statements before and after an UPDATE of ``--sql`` that do for it what ``batching`` does."""
        return [], []

    @abstractmethod
    def batch(self, wait: float, flush: bool) -> AbstractContextManager[None]:
        """Run the block in one transaction that sees what others have committed by each of its statements.

        Args:
            wait: Seconds that one of its statements waits for a lock of others.
            flush: Whether the commit waits for the disk, where it need not.
        """

    def write(self, into: Target, rows: Values) -> int:
        """Write the values of rows that this transaction has locked, in one statement; return how many rows it met."""
        source, keys, news = self.as_records(into, rows)
        own = self.quoted_table(into.table)
        pairs = zip(into.key, keys, strict=True)
        matched = " AND ".join(f"{own}.{self.quoted(column.name)} = {value}" for column, value in pairs)
        assigned = []
        for column, new in zip(into.columns, news, strict=True):
            name = self.quoted(column.name)
            kept = f"CASE WHEN {own}.{name} IS NULL THEN {new} ELSE {own}.{name} END"
            assigned.append(f"{name} = {kept if into.keep else new}")
        return self.run(self.update_from(own, source, ", ".join(assigned), matched))

    @abstractmethod
    def as_records(self, into: Target, rows: Values) -> tuple[str, Sequence[str], Sequence[str]]:
        """Return what stands in FROM for the values, and in it the key's columns and the new values, as SQL."""

    def update_from(self, own: str, source: str, assigned: str, matched: str) -> str:
        return f"UPDATE {own} SET {assigned} FROM {source} WHERE {matched}"

    def check_writes_values(self) -> None:
        """Raise UnsupportedOnDatabase where this server cannot take the values of many rows in one statement."""

    def is_transient(self, error: BaseException) -> bool:
        """Tell whether a batch failed for what others did meanwhile, and was rolled back: trying again may help."""
        return self.database.errors.is_lock_failure(error) or self.database.errors.is_cut_short(error)

    def locked_rows(self, table: Name, condition: str) -> int:
        """Count the rows that meet a condition, and keep them as they are until the transaction ends."""
        return int(self.scalar(f"SELECT count(*) FROM {self.quoted_table(table)} WHERE {condition}"))

    # Claims -----------------------------------------------------------------------------------------------------


def _expanded(names: Sequence[str], values: Sequence[str], operator: str) -> str:
    """Write (a, b) > (1, 2) as a > 1 OR (a = 1 AND b > 2)."""
    if len(names) == 1:
        return f"{names[0]} {operator} {values[0]}"
    strictly = operator.rstrip("=")
    rest = _expanded(names[1:], values[1:], operator)
    return f"({names[0]} {strictly} {values[0]} OR ({names[0]} = {values[0]} AND {rest}))"
