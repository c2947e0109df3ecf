"""The statements of a table, with values for them; what fails before the revisions run is left out."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import sqlalchemy as sa

from safeops.naming import Name
from safeops.rehearse.traffic.client import Client, Row, Session, written_by
from safeops.rehearse.traffic.ledger import text_of
from safeops.rehearse.traffic.plan import Column, TableTraffic
from safeops.rehearse.traffic.sql import Statement, Variable, listed
from safeops.rehearse.traffic.values import Pool, Values

SAMPLED = 2000
"""Rows of a table that traffic knows and changes."""
FIRST = 4
"""Rows that are read first, to see how wide they are."""
POOLED = 500
"""Rows whose values are written to others."""
STRETCHES = 16
"""Places of an integer key from which they are taken."""
TRIES = 8
"""Rows with which a statement is tried if triggers may change some of them and not others."""
KEPT_BYTES = 48_000_000
"""Bytes of the rows of all tables that are kept in memory, about."""


@dataclasses.dataclass
class Work:
    """What traffic does to a table.

    Args:
        place: The position of the table in the plan.
        traffic: The table.
        client: The statements and values of this database.
        rows: Rows that exist.
        pool: Makes values.
    """

    place: int
    traffic: TableTraffic
    client: Client
    rows: list[Values]
    pool: Pool
    updates: list[tuple[Statement, tuple[str, ...]]] = dataclasses.field(default_factory=list)
    insert: Statement | None = None
    unrecorded: set[str] = dataclasses.field(default_factory=set)
    """Columns whose values a trigger replaces: what they must have is not known."""
    elsewhere: set[Name] = dataclasses.field(default_factory=set)
    """Other tables whose rows its writes change, by a trigger or a foreign key."""
    tries: int = 1

    @property
    def name(self) -> str:
        return str(self.traffic.table)

    def key(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(values[name] for name in self.traffic.key)

    def recorded(self, values: Mapping[str, Any]) -> Values:
        """Return the values that the ledger keeps."""
        return {name: value for name, value in values.items() if name not in self.unrecorded}

    # Statements -------------------------------------------------------------------------------------------------

    @cached_property
    def select(self) -> Statement:
        columns = ", ".join(self.client.quoted(column.name) for column in self.traffic.columns)
        where = self._where() if self.traffic.key and self.rows else [" LIMIT 1"]
        return Statement.joined(f"SELECT {columns} FROM {self._table}", *where)

    def read(self, names: Sequence[str]) -> Statement:
        """Return the query of some columns of a row, by its key."""
        columns = ", ".join(map(self.client.column, names))
        return Statement.joined(f"SELECT {columns} FROM {self._table}", *self._where())

    @cached_property
    def delete(self) -> Statement:
        return Statement.joined(f"DELETE FROM {self._table}", *self._where())

    @cached_property
    def touch(self) -> Statement | None:
        """A write that waits as any other and changes no row, for a table of which no row can be written."""
        written = [column.name for column in self.traffic.columns if column.written]
        if self.updates or self.insert is not None or not written:
            return None
        column = self.client.quoted(written[0])
        return Statement((f"UPDATE {self._table} SET {column} = {column} WHERE 1 = 0",))

    def update(self, names: Sequence[str]) -> Statement:
        assigned = listed([f"{self.client.quoted(name)} = ", Variable(name)] for name in names)
        return Statement.joined(f"UPDATE {self._table} SET ", *assigned, *self._where())

    def inserted(self, columns: Sequence[Column]) -> Statement:
        names = ", ".join(self.client.quoted(column.name) for column in columns)
        values = listed([Variable(column.name)] for column in columns)
        returned = f" RETURNING {self.client.column(self.traffic.key[0])}" if self.returns_key else ""
        return Statement.joined(f"INSERT INTO {self._table} ({names}) VALUES (", *values, f"){returned}")

    def inserted_with(self, names: Sequence[str]) -> Statement:
        """Return the insert of a row whose key is given, also if the server makes those of others."""
        columns = ", ".join(map(self.client.quoted, names))
        values = listed([Variable(name)] for name in names)
        return Statement.joined(f"INSERT INTO {self._table} ({columns}){self.client.given_key} VALUES (", *values, ")")

    @property
    def returns_key(self) -> bool:
        return self.traffic.numbered and self.client.returns_key

    @property
    def _table(self) -> str:
        return self.client.quoted_table(self.traffic.table)

    def _where(self) -> list[Any]:
        tests = listed(([f"{self.client.quoted(name)} = ", Variable(name)] for name in self.traffic.key), " AND ")
        return [" WHERE ", *tests]

    # Trials -----------------------------------------------------------------------------------------------------

    def tried(self, session: Session) -> list[str]:
        """Keep the statements that work, each tried in a transaction that is rolled back; return what does not work."""
        notes: list[str] = []
        chance = random.Random(0)
        if not self.rows:
            return [f"{self.name} has no rows: its writes change none."]
        if not self.traffic.key:
            return notes
        effects = self.client.effects_on(session, self.traffic.table)
        self.tries = TRIES if effects else 1
        if named := set().union(*map(written_by, effects)) - {self.traffic.table.name}:
            schema = self.traffic.table.schema
            tables = named.intersection(sa.inspect(session.connect()).get_table_names(schema))
            self.elsewhere |= {Name(name, schema) for name in tables}
        for group in self.traffic.groups:
            if not self.pool.missing(group):
                self._attempt(session, notes, partial(self._try_update, session, group, chance))
        self._try_insert(session, notes, chance)
        return notes

    def _attempt(self, session: Session, notes: list[str], trial: Callable[[], None]) -> bool:
        try:
            with _rolled_back(session):
                trial()
        except Exception as error:
            session.recover()
            notes.append(f"{self.name}: traffic leaves out a statement that fails now: {first_line(error)}")
            return False
        return True

    def _try_update(self, session: Session, group: tuple[str, ...], chance: random.Random) -> None:
        statement = self.update(group)
        for row in chance.sample(self.rows, min(self.tries, len(self.rows))):
            after = {**row, **self.pool.change(group, row, chance)}
            with self._noting_elsewhere(session):
                session.run(statement, [after[name] for name in statement.names])
            self._note_replaced(session, after)
        self.updates.append((statement, group))

    def _try_insert(self, session: Session, notes: list[str], chance: random.Random) -> None:
        if self.traffic.numbered:
            if self._attempt(session, [], lambda: self._insert(session, chance)):
                return
            self.traffic = dataclasses.replace(self.traffic, numbered=False)
        missing = self.pool.missing([column.name for column in self.traffic.inserted])
        if missing:
            notes.append(
                f"{self.name}: no new rows, because {missing[0]} must be unique and no value can be made for it."
            )
            return
        self._attempt(session, notes, lambda: self._insert(session, chance))

    def _insert(self, session: Session, chance: random.Random) -> None:
        columns = self.traffic.inserted
        statement = self.inserted(columns)
        for _ in range(self.tries):
            values = self.pool.row([column.name for column in columns], chance)
            with self._noting_elsewhere(session):
                cursor = session.run(statement, [values[name] for name in statement.names])
                key = self.client.key_of(cursor) if self.traffic.numbered else None
            row = values if key is None else {self.traffic.key[0]: key, **values}
            self._note_replaced(session, row)
            with self._noting_elsewhere(session):
                session.run(self.delete, self.key(row))
        self.insert = statement

    def _note_replaced(self, session: Session, row: Values) -> None:
        """Note the columns that have another value than they should after a write."""
        found = session.run(self.read(list(row)), self.key(row)).fetchone()
        if found is None:
            raise LookupError("a row cannot be read by its key after it was written")
        self.unrecorded.update(
            name for (name, value), other in zip(row.items(), found, strict=True) if text_of(value) != text_of(other)
        )

    @contextmanager
    def _noting_elsewhere(self, session: Session) -> Iterator[None]:
        """Note which other tables the block writes to."""
        if self.tries == 1:
            yield
            return
        before = self.client.written(session, self.traffic.table)
        yield
        after = self.client.written(session, self.traffic.table)
        self.elsewhere |= {name for name, rows in after.items() if rows > before.get(name, 0)}


@contextmanager
def _rolled_back(session: Session) -> Iterator[None]:
    session.run(Statement((session.client.begins,)))
    yield
    session.run(Statement(("ROLLBACK",)))


def first_line(error: BaseException) -> str:
    """Return the first line of a driver's error."""
    args = [one for one in getattr(error, "args", ()) if isinstance(one, str)]
    return (args[0] if args else str(error)).strip().split("\n")[0]


# Rows of a table ---------------------------------------------------------------------------------------------------


def work_on(client: Client, session: Session, place: int, traffic: TableTraffic, tables: int = 1) -> Work:
    """Read rows of a table, and return what traffic does to it.

    Args:
        client: The statements of this database.
        session: A session.
        place: The position of the table in the plan.
        traffic: The table.
        tables: The number of tables that share the memory.
    """
    names = [column.name for column in traffic.columns]
    sample = _Sample(client, session, traffic, names)
    rows = [dict(zip(names, row, strict=True)) for row in sample.rows(KEPT_BYTES // max(tables, 12))]
    highest = {
        column.name: int(sample.extreme("max", column.name) or 0)
        for column in traffic.columns
        if column.kind == "integer" and column.unique
    }
    # Copies: the rows change as they are written.
    return Work(place, traffic, client, rows, Pool(traffic.columns, [dict(row) for row in rows[:POOLED]], highest))


@dataclasses.dataclass
class _Sample:
    """Rows from all over a table, if it has an integer key: neighbours are on few pages."""

    client: Client
    session: Session
    traffic: TableTraffic
    names: list[str]

    def rows(self, most: int) -> list[Row]:
        """Return rows of ``most`` bytes at most, about."""
        first = self._rows(None, FIRST)
        width = max((_bytes_of(row) for row in first), default=1)
        wanted = max(min(SAMPLED, most // width), 1)
        starts = self._starts(min(STRETCHES, wanted))
        each = max(wanted // len(starts), 1)
        found: dict[Any, Row] = {}
        for row in itertools.chain.from_iterable(self._rows(start, each) for start in starts):
            key = tuple(row[self.names.index(name)] for name in self.traffic.key)
            found.setdefault(key or len(found), row)
        return list(found.values())

    def extreme(self, of: str, column: str) -> Any:
        place = self.client.quoted_table(self.traffic.table)
        return self.session.rows(f"SELECT {of}({self.client.quoted(column)}) FROM {place}")[0][0]

    def _starts(self, parts: int) -> list[int | None]:
        kinds = {column.name: column.kind for column in self.traffic.columns}
        first = next(iter(self.traffic.key), "")
        if kinds.get(first) != "integer":
            return [None]
        low, high = (int(self.extreme(of, first) or 0) for of in ("min", "max"))
        return [low + (high - low) * part // parts for part in range(parts)]

    def _rows(self, start: int | None, rows: int) -> list[Row]:
        return self.session.rows(self.client.sampled(self.traffic.table, self.names, self.traffic.key, start, rows))


def _bytes_of(row: Row) -> int:
    return sum(len(value) if isinstance(value, (str, bytes)) else 32 for value in row)
