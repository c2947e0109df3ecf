"""What a backfill needs from a database: keys as text, key ranges, the transaction of a batch, and the server load."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import repeat
from typing import Any, ClassVar, TypeAlias

import sqlalchemy as sa

from safeops.databases.definitions import Column, Table
from safeops.databases.ports import Port
from safeops.naming import Name

Bound: TypeAlias = tuple[str, ...]
"""The values of a key, each as text that ``key_literal`` converts: drivers would lose digits and infinities."""

AIM = 0.8
"""The share of the target to aim at: rows differ, and most batches should stay below the target."""

NewValues: TypeAlias = Sequence[Sequence[Any]]
"""New values by column, with one entry for each row: those by which it is found, as texts, then those that are written."""


@dataclass(frozen=True)
class Target:
    """The columns into which the values of a Python function are written.

    Args:
        table: The table.
        key: The columns by which a row is found.
        columns: The columns that are written.
        types: Their types as SQLAlchemy reflects them.
        keeps_values: A column that has a value keeps it.
        index: The index of the key.
        rows: The condition that selects exactly the rows that are written; empty if it may select others too.
    """

    table: Name
    key: tuple[Column, ...]
    columns: tuple[Column, ...]
    types: tuple[Any, ...]
    keeps_values: bool
    index: str = ""
    rows: str = ""

    @property
    def names(self) -> list[str]:
        """Names that no column has, for the values of a row: its key, then the new values."""
        return [f"safeops_{place}" for place in range(len(self.key) + len(self.columns))]


class Batches(Port):
    """How a database writes rows in batches. ``safeops.backfilling.batch`` calls it in the order of a batch."""

    place = "safeops.backfilling.{family}:Batches"
    asked = "Writing rows in batches"

    aim: ClassVar[float] = AIM
    """The share of the target to aim at."""

    def exact_text(self, length: int) -> sa.types.TypeEngine[str]:
        """Return a text type that compares each character exactly."""
        return sa.String(length)

    # Keys -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def key_text(self, column: Column) -> str:
        """Return SQL that converts a key column to text without loss."""

    @abstractmethod
    def key_literal(self, column: Column, text: str) -> str:
        """Return SQL that converts the text back to a value of the key column."""

    def unusable_because(self, column: Column) -> str | None:
        """Return why such a column cannot be scanned in ranges; None if it can."""
        return None

    def hint(self, index: str) -> str:
        """Return what follows a table's name to make the server use the index."""
        return ""

    def checked_row_by_row(self, condition: str) -> str:
        """Write a condition for which the server cannot choose an index: the batch is one range of the key's index."""
        return f"CASE WHEN {condition} THEN 1 ELSE 0 END = 1"

    def within(
        self, key: Sequence[Column], after: Bound | None, upto: Bound | None, *, first: Bound | None = None
    ) -> str:
        """Return the condition for the keys above ``after``, or from ``first`` on if there is none, up to ``upto``."""
        parts = []
        if after is not None:
            parts += self._compared(key, after, ">", ">=")
        elif first is not None:
            parts += self._compared(key, first, ">=", ">=")
        if upto is not None:
            parts += self._compared(key, upto, "<=", "<=")
        return " AND ".join(parts)

    def _compared(self, key: Sequence[Column], bound: Bound, operator: str, first_operator: str) -> list[str]:
        values = [self.key_literal(column, text) for column, text in zip(key, bound, strict=True)]
        names = [self.quoted(column.name) for column in key]
        if len(key) == 1:
            return [f"{names[0]} {operator} {values[0]}"]
        # The first column also alone: without statistics a planner estimates a comparison of rows as a third of the table.
        first = f"{names[0]} {first_operator} {values[0]}"
        if self.database.abilities.compares_rows:
            return [first, f"({', '.join(names)}) {operator} ({', '.join(values)})"]
        return [first, _expanded(names, values, operator)]

    def among(self, key: Sequence[Column], bounds: Sequence[Bound]) -> str:
        """Return the condition for the keys of a list."""
        if len(key) == 1 and bounds:
            listed = ", ".join(self.key_literal(key[0], text) for (text,) in bounds)
            return f"{self.quoted(key[0].name)} IN ({listed})"
        each = (" AND ".join(self._compared_each(key, bound)) for bound in bounds)
        return f"({' OR '.join(f'({one})' for one in each) or '1 = 0'})"

    def _compared_each(self, key: Sequence[Column], bound: Bound) -> list[str]:
        pairs = zip(key, bound, strict=True)
        return [f"{self.quoted(column.name)} = {self.key_literal(column, text)}" for column, text in pairs]

    def edge(self, table: Name, key: Sequence[Column], index: str, *, last: bool = False) -> Bound | None:
        """Return the first or the last key of a table; None if it is empty."""
        direction = " DESC" if last else ""
        order = ", ".join(self.quoted(column.name) + direction for column in key)
        return self._key_of(key, f"FROM {self.quoted_table(table)}{self.hint(index)} ORDER BY {order} LIMIT 1")

    def nth(
        self,
        table: Name,
        key: Sequence[Column],
        index: str,
        count: int,
        *,
        after: Bound | None,
        first: Bound | None,
        upto: Bound | None,
    ) -> Bound | None:
        """Return the key of the ``count``-th row above ``after``, or from ``first`` on; None if it is above ``upto``."""
        order = self.quoted(*(column.name for column in key))
        condition = self.within(key, after, None, first=first)
        source = f"FROM {self.quoted_table(table)}{self.hint(index)} WHERE {condition}"
        # The end is outside: without statistics a planner estimates so few rows for a range with two ends that it reads
        # and sorts all remaining rows.
        end = self.within(key, None, upto)
        return self._key_of(
            key, f"{source} ORDER BY {order} LIMIT 1 OFFSET {count - 1}", f" WHERE {end}" if end else ""
        )

    def _key_of(self, key: Sequence[Column], source: str, condition: str = "") -> Bound | None:
        # Only the result is converted to text, not each row before it.
        texts = ", ".join(self.key_text(column) for column in key)
        names = self.quoted(*(column.name for column in key))
        rows = self.read(f"SELECT {texts} FROM (SELECT {names} {source}) safeops_key{condition}")
        return tuple(map(str, rows[0])) if rows else None

    # Batches ----------------------------------------------------------------------------------------------------

    def session(self) -> AbstractContextManager[None]:
        """Prepare the session for batches, and restore its settings afterwards."""
        return nullcontext()

    def rendered_session(self) -> tuple[list[str], list[str]]:
        """Render for ``--sql`` what ``session`` does before and after."""
        return [], []

    @abstractmethod
    def transaction(self, lock_timeout: float, flush: bool) -> AbstractContextManager[None]:
        """Run the block in one transaction in which each statement sees what other sessions have committed before it.

        Args:
            lock_timeout: Seconds that each statement waits for a lock.
            flush: Whether the commit waits for the disk, if the database leaves the choice.
        """

    def read_rows(
        self, query: sa.Select[Any], key: Sequence[Column], columns: Sequence[Column]
    ) -> Sequence[Sequence[Any]]:
        """Return what the query of a batch selects: the keys of rows as texts, columns, and a number.

        Args:
            query: The query.
            key: The columns of the key.
            columns: The other columns.
        """
        # Each batch has its own text: kept compiled, they would only fill the memory.
        return self.database.connection.execute(query, execution_options={"compiled_cache": None}).all()

    def lock_and_count(self, table: Name, condition: str) -> int:
        """Count the rows that meet a condition, and lock them until the transaction ends."""
        return int(self.scalar(f"SELECT count(*) FROM {self.quoted_table(table)} WHERE {condition}"))

    def weight(self, column: Column) -> str | None:
        """Return SQL for about how many bytes a value of a column takes in memory; None if it is always small."""
        return None

    def write(self, target: Target, values: NewValues) -> int:
        """Write the values of rows in one statement; return how many rows it found."""
        return self.run(self.update_of(target, *self.as_records(target, values)))

    def update_of(self, target: Target, source: str, keys: Sequence[str], values: Sequence[str]) -> str:
        table = self.quoted_table(target.table)
        pairs = zip(target.key, keys, strict=True)
        matched = " AND ".join(f"{table}.{self.quoted(column.name)} = {key}" for column, key in pairs)
        assigned = []
        for column, value in zip(target.columns, values, strict=True):
            name = self.quoted(column.name)
            kept = f"CASE WHEN {table}.{name} IS NULL THEN {value} ELSE {table}.{name} END"
            assigned.append(f"{name} = {kept if target.keeps_values else value}")
        return self.update_from(target, source, ", ".join(assigned), matched)

    def json_records(self, target: Target, values: NewValues, encode: Callable[[Any, Column], Any]) -> str:
        """Return the rows as a JSON array of objects, with ``target.names`` as their names."""
        width = len(target.key)
        written = (map(encode, new, repeat(column)) for new, column in zip(values[width:], target.columns, strict=True))
        rows = zip(*values[:width], *written, strict=True)
        return json.dumps([dict(zip(target.names, row, strict=True)) for row in rows])

    @abstractmethod
    def as_records(self, target: Target, values: NewValues) -> tuple[str, Sequence[str], Sequence[str]]:
        """Return what follows FROM for the values, then the key columns and the new values in it, as SQL."""

    def update_from(self, target: Target, source: str, assigned: str, matched: str) -> str:
        return f"UPDATE {self.quoted_table(target.table)} SET {assigned} FROM {source} WHERE {matched}"

    def check_writes_values(self, table: Table) -> None:
        """Raise UnsupportedOnDatabase if this server cannot take the values of many rows of a table in one statement."""

    def is_transient(self, error: BaseException) -> bool:
        """Return whether a batch was rolled back because of other sessions: a retry may succeed."""
        return self.database.errors.is_lock_failure(error) or self.database.errors.is_cut_short(error)


def _expanded(names: Sequence[str], values: Sequence[str], operator: str) -> str:
    """Write (a, b) > (1, 2) as a > 1 OR (a = 1 AND b > 2)."""
    if len(names) == 1:
        return f"{names[0]} {operator} {values[0]}"
    strictly = operator.rstrip("=")
    rest = _expanded(names[1:], values[1:], operator)
    return f"({names[0]} {strictly} {values[0]} OR ({names[0]} = {values[0]} AND {rest}))"


@dataclass(frozen=True)
class Replica:
    """How far a replica is.

    Args:
        name: Its name, without a password.
        position: How far it has replayed the log of its primary; None if the server counts seconds only.
        lag: The seconds of lag that the server reports; None if it does not.
        cluster: The cluster whose log it replays, as ``ServerLoad.cluster`` names it.
        unknown: Why its lag is unknown; empty if it is known.
    """

    name: str
    position: int | None = None
    lag: float | None = None
    cluster: str | None = None
    unknown: str = ""


class ServerLoad(Port):
    """What throttles query: the active sessions of a server, and the lag of its replicas."""

    place = "safeops.backfilling.{family}:ServerLoad"
    asked = "Reading the load of the server"

    def active_sessions(self) -> tuple[int, float]:
        """Return how many other sessions are active in this database: at least, and at most.

        They differ by the sessions that the server hides from this user; infinity if it hides their number too.
        """
        return 0, float("inf")

    def log_position(self) -> int | None:
        """Return the end of the log that the replicas replay; None if the server compares no positions."""
        return None

    def cluster(self) -> str | None:
        """Return what identifies this server and its replicas; None if there is no such thing."""
        return None

    def replicas(self) -> list[Replica]:
        """Return the replicas that are connected to this server, or raise UnsupportedOnDatabase if it lists none."""
        return []

    def as_replica(self, name: str) -> Replica:
        """Return how far this server is, as a replica."""
        return Replica(name, unknown="its server does not report it")
