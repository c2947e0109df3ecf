"""Compares the ledger with the tables: each acknowledged write must be there, also in the columns that replace others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from safeops.naming import Name
from safeops.rehearse.traffic.client import Client, Session, client_of
from safeops.rehearse.traffic.ledger import DIGEST, Entry, entries, text_of
from safeops.rehearse.traffic.plan import TableTraffic, TrafficPlan
from safeops.rehearse.traffic.replacements import Replacement, Replacements
from safeops.rehearse.traffic.sql import Statement, Variable, listed

SHOWN = 5
"""Losses that are shown one by one."""
MISSING, RETURNED, STALE, ALTERED = "missing", "came back", "old value", "other value"


@dataclass(frozen=True)
class Loss:
    """An acknowledged write that a table does not have.

    Args:
        table: The table.
        key: The key of the row.
        column: The column; empty if it concerns the whole row.
        what: "missing": the row does not exist. "came back": the row was deleted. "old value": the column has a value from
            before the write, or none. "other value": it has one that the traffic did not write.
        expected: The value that was written.
        found: The value that is there.
    """

    table: str
    key: tuple[Any, ...]
    column: str
    what: str
    expected: str | None = None
    found: str | None = None


@dataclass(frozen=True)
class Comparison:
    """What the comparison found.

    Args:
        rows: The rows that were compared.
        lost: The rows and values that are lost.
        losses: The first of them.
        altered: Values of columns that a backfill changes on purpose, and that it changed; these are not lost.
        notes: What could not be compared, in sentences.
    """

    rows: int
    lost: int
    losses: tuple[Loss, ...]
    altered: int = 0
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "lost": self.lost,
            "losses": [asdict(loss) for loss in self.losses],
            "compared_rows": self.rows,
            "altered_on_purpose": self.altered,
            "not_compared": list(self.notes),
        }


def compare(
    ledger: Path, plan: TrafficPlan, engine: Engine, replacements: Replacements | None = None, name: str = "comparison"
) -> Comparison:
    """Compare the writes in a ledger with the tables as they are now. No traffic must be running.

    Args:
        ledger: The file of the ledger.
        plan: The plan of the traffic that wrote it.
        engine: Reaches the database.
        replacements: What the revisions have renamed, or given another type.
        name: What its session is called.
    """
    client, url = client_of(engine.url.render_as_string(hide_password=False))
    comparer = _Comparer(client, Session(client, url, name), engine, replacements or Replacements())
    with closing(comparer.session):
        for place, traffic in enumerate(plan.tables):
            comparer.table(traffic, entries(ledger, place))
    return comparer.result()


@dataclass(frozen=True)
class _Place:
    """A column that has the values of a column now."""

    column: str
    found: str
    replacement: Replacement | None
    was: str
    """The type of the column before the revisions ran."""


class _Comparer:
    def __init__(self, client: Client, session: Session, engine: Engine, replacements: Replacements) -> None:
        self.client, self.session, self.engine, self.replacements = client, session, engine, replacements
        self.rows = self.lost = self.altered = 0
        self.losses: list[Loss] = []
        self.notes: list[str] = []

    def result(self) -> Comparison:
        notes = tuple(dict.fromkeys(self.notes))
        return Comparison(self.rows, self.lost, tuple(self.losses), self.altered, notes)

    def table(self, traffic: TableTraffic, batches: Iterator[list[Entry]]) -> None:
        existing = self._existing(traffic.table)
        if existing is None:
            self.notes.append(f"{traffic.table} no longer exists: what was written to it is not compared.")
            return
        name, columns = existing
        keys = [self._key_column(traffic, key, columns) for key in traffic.key]
        if None in keys:
            self.notes.append(f"The key of {traffic.table} no longer exists: what was written to it is not compared.")
            return
        places = [place for column in traffic.columns for place in self._places(traffic, column, columns)]
        for batch in batches:
            self._batch(name, traffic, [str(key) for key in keys], places, batch)

    def _existing(self, table: Name) -> tuple[Name, set[str]] | None:
        """Return the name that a table has now, and its columns."""
        inspector = sa.inspect(self.engine)
        for name in self.replacements.names_of(table):
            try:
                found = {column["name"] for column in inspector.get_columns(name.name, schema=name.schema)}
            except sa.exc.NoSuchTableError:
                continue
            if found:
                return name, found
        return None

    def _key_column(self, traffic: TableTraffic, key: str, columns: set[str]) -> str | None:
        others = [one.replaced_by for one in self.replacements.columns_of(traffic.table, key)]
        return next((name for name in [key, *others] if name in columns), None)

    def _places(self, traffic: TableTraffic, column: Any, columns: set[str]) -> list[_Place]:
        replacements = self.replacements.columns_of(traffic.table, column.name)
        # A change of the type concerns the column itself too, once the two have been exchanged.
        own = next((one for one in replacements if one.type is not None), None)
        places = [_Place(column.name, column.name, own, column.type)] if column.name in columns else []
        places += [
            _Place(column.name, one.replaced_by, one, column.type) for one in replacements if one.replaced_by in columns
        ]
        if not places and column.written:
            self.notes.append(f"{traffic.table}.{column.name} no longer exists, and nothing is known to replace it.")
        return places

    # Rows -------------------------------------------------------------------------------------------------------

    def _batch(
        self, name: Name, traffic: TableTraffic, keys: list[str], places: list[_Place], batch: list[Entry]
    ) -> None:
        read = ", ".join(self.client.column(column) for column in [*keys, *(place.found for place in places)])
        tests = listed((self._is(keys) for _ in batch), " OR ")
        query = Statement.joined(f"SELECT {read} FROM {self.client.quoted_table(name)} WHERE ", *tests)
        rows = self.session.run(query, [value for entry in batch for value in entry.key]).fetchall()
        found = {tuple(map(text_of, row[: len(keys)])): row[len(keys) :] for row in rows}
        self.rows += len(batch)
        for entry in batch:
            row = found.get(tuple(map(text_of, entry.key)))
            self._row(name, traffic, places, entry, row)

    def _is(self, keys: Sequence[str]) -> list[Any]:
        tests = listed(([f"{self.client.quoted(key)} = ", Variable(key)] for key in keys), " AND ")
        return ["(", *tests, ")"]

    def _row(
        self, name: Name, traffic: TableTraffic, places: list[_Place], entry: Entry, row: Sequence[Any] | None
    ) -> None:
        if entry.expected is None or row is None:
            if (entry.expected is None) != (row is None):
                self._lose(Loss(str(name), entry.key, "", RETURNED if entry.expected is None else MISSING))
            return
        for place, value in zip(places, row, strict=True):
            if place.column in entry.expected:
                self._value(name, traffic, place, entry, text_of(value))

    def _value(self, name: Name, traffic: TableTraffic, place: _Place, entry: Entry, found: str | None) -> None:
        expected = (entry.expected or {})[place.column]
        if found == expected or self._is_converted(place, expected, found):
            return
        is_old = found is None or found in entry.earlier.get(place.column, [])
        if not is_old and self.replacements.is_rewritten(traffic.table, place.column):
            self.altered += 1
            return
        what = STALE if is_old else ALTERED
        self._lose(Loss(str(name), entry.key, place.found, what, expected, found))

    def _is_converted(self, place: _Place, expected: str | None, found: str | None) -> bool:
        """Return whether the value is the expected one in the new type."""
        replacement = place.replacement
        if replacement is None or replacement.type is None or expected is None or found is None:
            return False
        if DIGEST in expected:
            self.notes.append(f"Long values of {place.column} are not compared in its new type.")
            return True
        if _same_number(expected, found):
            return True
        new = str(replacement.type.compile(dialect=self.engine.dialect))
        column = self.client.quoted(place.column)
        converted = replacement.using or self.client.cast(column, new)
        query = Statement.joined(
            *(
                "SELECT 1 FROM (SELECT ",
                *self.client.typed(Variable("expected"), place.was),
                f" AS {column}) safeops_old",
            ),
            *(" WHERE ", *self.client.typed(Variable("found"), new), f" {self.client.equals} ({converted})"),
        )
        return self.session.run(query, [expected, found]).fetchone() is not None

    def _lose(self, loss: Loss) -> None:
        self.lost += 1
        if len(self.losses) < SHOWN:
            self.losses.append(loss)


def _same_number(one: str, other: str) -> bool:
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return False
