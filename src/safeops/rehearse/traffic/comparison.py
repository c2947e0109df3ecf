"""Compares the ledger with the tables: each acknowledged write must be there, also in the columns that replace others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Engine

from safeops.databases import Database, database_on
from safeops.databases.definitions import Table
from safeops.naming import Name
from safeops.rehearse.traffic.client import Session, client_of
from safeops.rehearse.traffic.ledger import DIGEST, Entry, entries, text_of
from safeops.rehearse.traffic.losses import ALTERED, MISSING, RETURNED, SHOWN, STALE, Comparison, Loss
from safeops.rehearse.traffic.plan import Column, TableTraffic, TrafficPlan
from safeops.rehearse.traffic.replacements import Replacements
from safeops.rehearse.traffic.sql import Statement, Variable, listed


def compare(
    ledger: Path,
    plan: TrafficPlan,
    engine: Engine,
    replacements: Replacements | None = None,
    name: str = "comparison",
    most: int = SHOWN,
) -> Comparison:
    """Compare the writes in a ledger with the tables as they are now. No traffic must be running.

    Args:
        ledger: The file of the ledger.
        plan: The plan of the traffic that wrote it.
        engine: Reaches the database.
        replacements: What the revisions have renamed, or given another type.
        name: What its session is called.
        most: Losses that are returned one by one.
    """
    client, url = client_of(engine.url.render_as_string(hide_password=False))
    with engine.connect() as connection, closing(Session(client, url, name)) as session:
        comparer = _Comparer(session, database_on(connection), replacements or Replacements(), most)
        for place, traffic in enumerate(plan.tables):
            comparer.table(traffic, entries(ledger, place))
    return comparer.result()


@dataclass(frozen=True)
class _Place:
    """A column that has the values of a column now.

    Args:
        column: The column that was written.
        found: The column that is read.
        was: The type of the former, before the revisions ran.
        type: The type of the latter.
        using: SQL over the former that converts its values; empty if that is not known.
    """

    column: str
    found: str
    was: str
    type: str
    using: str = ""


class _Comparer:
    def __init__(self, session: Session, database: Database, replacements: Replacements, most: int) -> None:
        self.session, self.client, self.database = session, session.client, database
        self.replacements, self.most = replacements, most
        self.rows = self.lost = self.altered = 0
        self.losses: list[Loss] = []
        self.notes: list[str] = []

    def result(self) -> Comparison:
        notes = tuple(dict.fromkeys(self.notes))
        return Comparison(self.rows, self.lost, tuple(self.losses), self.altered, notes)

    def table(self, traffic: TableTraffic, batches: Iterator[list[Entry]]) -> None:
        found = (self.database.table(name) for name in self.replacements.names_of(traffic.table))
        table = next((one for one in found if one is not None), None)
        if table is None:
            self.notes.append(f"{traffic.table} no longer exists: what was written to it is not compared.")
            return
        by_name = {column.name: self._places(traffic, column, table) for column in traffic.columns}
        if not all(by_name[name] for name in traffic.key):
            self.notes.append(f"The key of {traffic.table} no longer exists: what was written to it is not compared.")
            return
        keys = [by_name[name][0] for name in traffic.key]
        compared = _Compared(table.name, traffic, keys, [place for places in by_name.values() for place in places])
        for batch in batches:
            known = [entry for entry in batch if entry.is_known]
            if known:
                self._batch(compared, known)

    def _places(self, traffic: TableTraffic, column: Column, table: Table) -> list[_Place]:
        replacements = self.replacements.columns_of(traffic.table, column.name)
        # A change of the type concerns the column itself too, once the two have been exchanged.
        using = next((one.using for one in replacements if one.using), "")
        names = [name for name in (column.name, *(one.replaced_by for one in replacements)) if name in table.columns]
        if not names and column.written:
            self.notes.append(f"{traffic.table}.{column.name} no longer exists, and nothing is known to replace it.")
        return [_Place(column.name, name, column.type, table.columns[name].type, using) for name in names]

    # Rows -------------------------------------------------------------------------------------------------------

    def _batch(self, compared: _Compared, batch: list[Entry]) -> None:
        keys = [key.found for key in compared.keys]
        read = ", ".join(self.client.column(column) for column in [*keys, *(place.found for place in compared.places)])
        tests = listed((self._is(keys) for _ in batch), " OR ")
        query = Statement.joined(f"SELECT {read} FROM {self.client.quoted_table(compared.name)} WHERE ", *tests)
        rows = self.session.run(query, [value for entry in batch for value in entry.key]).fetchall()
        found = {compared.key(row[: len(keys)]): row[len(keys) :] for row in rows}
        self.rows += len(batch)
        for entry in batch:
            self._row(compared, entry, found.get(compared.key(entry.key)))

    def _is(self, keys: Sequence[str]) -> list[Any]:
        tests = listed(([f"{self.client.quoted(key)} = ", Variable(key)] for key in keys), " AND ")
        return ["(", *tests, ")"]

    def _row(self, compared: _Compared, entry: Entry, row: Sequence[Any] | None) -> None:
        if entry.expected is None or row is None:
            if row is None and entry.expected is not None and compared.traffic.table in self.replacements.emptied:
                self._alter(f"{compared.traffic.table}: which rows a revision deletes on purpose is not known.")
            elif (entry.expected is None) != (row is None):
                what = RETURNED if entry.expected is None else MISSING
                self._lose(Loss(str(compared.name), entry.key, "", what))
            return
        for place, value in zip(compared.places, row, strict=True):
            if place.column in entry.expected:
                self._value(compared, place, entry, text_of(value))

    def _value(self, compared: _Compared, place: _Place, entry: Entry, found: str | None) -> None:
        expected = (entry.expected or {})[place.column]
        if found == expected or self._is_converted(place, expected, found):
            return
        if (compared.traffic.table, place.column) in self.replacements.in_place:
            self._alter(
                f"{compared.traffic.table}.{place.column}: what a revision makes of the values is not compared."
            )
            return
        is_old = found is None or found in entry.earlier.get(place.column, [])
        if not is_old and self.replacements.is_rewritten(compared.traffic.table, place.column):
            self.altered += 1
            return
        what = STALE if is_old else ALTERED
        self._lose(Loss(str(compared.name), entry.key, place.found, what, expected, found))

    def _is_converted(self, place: _Place, expected: str | None, found: str | None) -> bool:
        """Return whether the value is the expected one in another type."""
        if place.was == place.type or expected is None or found is None:
            return False
        if DIGEST in expected:
            self.notes.append(f"Long values of {place.column} are not compared in its new type.")
            return True
        return _number(expected) == _number(found) or self._converts(place, expected, found)

    def _converts(self, place: _Place, expected: str, found: str) -> bool:
        """Have the server convert the expected value, and compare."""
        column = self.client.quoted(place.column)
        old = ["(SELECT ", *self.client.typed(Variable("expected"), place.was), f" AS {column}) safeops_old"]
        new = self.client.typed(Variable("found"), place.type)
        converted = place.using or self.client.cast(column, place.type)
        query = Statement.joined("SELECT 1 FROM ", *old, " WHERE ", *new, f" {self.client.equals} ({converted})")
        try:
            return self.session.run(query, [expected, found]).fetchone() is not None
        except Exception:
            # The server has no such conversion: then it is another value.
            self.session.recover()
            return False

    def _alter(self, note: str) -> None:
        self.altered += 1
        self.notes.append(note)

    def _lose(self, loss: Loss) -> None:
        self.lost += 1
        if len(self.losses) < self.most:
            self.losses.append(loss)


@dataclass(frozen=True)
class _Compared:
    """A table that is compared: its present name, its traffic, its key, and the columns to read."""

    name: Name
    traffic: TableTraffic
    keys: list[_Place]
    places: list[_Place]

    def key(self, values: Sequence[Any]) -> tuple[str | None, ...]:
        """Return a key as texts, which are the same in another numeric type."""
        texts = zip(self.keys, map(text_of, values), strict=True)
        return tuple(text if key.was == key.type else _number(text or "") for key, text in texts)


def _number(text: str) -> str:
    """Return a number in its shortest form; another text as it is."""
    try:
        return f"{Decimal(text).normalize():f}"
    except InvalidOperation:
        return text
