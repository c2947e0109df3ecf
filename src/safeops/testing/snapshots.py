"""What a database has at one moment, schema and rows, and how two such states differ."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from safeops.databases import database_on
from safeops.databases.definitions import Constraint
from safeops.naming import Name
from safeops.rehearse.schemas import Schema, schema_differences, schema_now
from safeops.rehearse.shapes import tables_of

MOST = 1000
"""Rows of a table that are compared."""
KEYS = 3
"""Keys of rows that a sentence names."""
WIDTH = 60
"""Characters of a value that a sentence shows."""
RECENT = timedelta(minutes=10)
"""A time so near is taken for one that the revision has read from the clock."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """The schema and the rows of a database.

    Args:
        schema: What there is, by a name that a person understands.
        rows: The rows of each table, except those that Alembic and safeops keep for themselves.
        keys: The primary key of each table.
    """

    schema: Schema
    rows: Mapping[Name, list[dict[str, Any]]]
    keys: Mapping[Name, tuple[str, ...]] = field(default_factory=dict)


def state_of(connection: Connection) -> State:
    """Read the state of the database that a connection reaches."""
    database, home = database_on(connection), sa.inspect(connection).default_schema_name
    rows, keys = dict[Name, list[dict[str, Any]]](), dict[Name, tuple[str, ...]]()
    for _, table in tables_of(database):
        order = ", ".join(map(database.quoted, table.primary_key))
        query = f"SELECT * FROM {database.quoted_table(table.name)}{f' ORDER BY {order}' if order else ''} LIMIT {MOST}"
        result = connection.execution_options(no_parameters=True).exec_driver_sql(query)
        name = table.name.at(home)
        rows[name], keys[name] = [dict(row) for row in result.mappings()], tuple(table.primary_key)
    return State(_at_home(schema_now(database), home or ""), rows, keys)


def _at_home(schema: Schema, home: str) -> Schema:
    """Leave out the name of the default schema, which on MariaDB and MySQL is that of the database."""
    named = re.compile(rf"(?<=\s){re.escape(home)}\.")
    return {named.sub("", name, count=1): _part_at_home(part, home) for name, part in schema.items()}


def _part_at_home(part: Any, home: str) -> Any:
    if isinstance(part, Constraint) and part.referent is not None:
        return replace(part, referent=part.referent.at(home))
    # MariaDB and MySQL write it into the text of a view.
    return [text.replace(f"`{home}`.", "") for text in part] if isinstance(part, list) else part


def differences(before: State, now: State, *, ignoring: Collection[tuple[Name, str]] = ()) -> list[str]:
    """Describe how a state differs from an earlier one, in sentences: first the schema, then the rows.

    Args:
        before: The earlier state, as it should be.
        now: The later state.
        ignoring: Tables with columns whose values differ from run to run.
    """
    return [*schema_differences(before.schema, now.schema), *row_differences(before, now, ignoring=ignoring)]


def row_differences(
    before: State, now: State, *, ignoring: Collection[tuple[Name, str]] = (), nulls_kept: bool = True
) -> list[str]:
    """Describe how the rows of the tables differ that both states have.

    Args:
        before: The earlier state, as it should be.
        now: The later state.
        ignoring: Tables with columns whose values differ from run to run.
        nulls_kept: Whether a NULL that has a value now is a difference. Nothing is lost by it.
    """
    found: list[str] = []
    for name, rows in before.rows.items():
        if name in now.rows:
            left_out = {column for table, column in ignoring if table == name}
            found += _Rows(name, rows, now.rows[name], before.keys.get(name, ())).differences(left_out, nulls_kept)
    return found


def varying(one: State, other: State) -> set[tuple[Name, str]]:
    """Return the columns whose values differ between two undisturbed runs, or show the time at which they ran."""
    found: set[tuple[Name, str]] = set()
    for name, rows in one.rows.items():
        key, others = one.keys.get(name, ()), other.rows.get(name, [])
        for column in _columns(rows):
            values = [row.get(column) for row in rows]
            if any(map(is_now, values)) or _values(rows, column, key) != _values(others, column, key):
                found.add((name, column))
    return found


def _values(rows: Sequence[Row], column: str, key: Sequence[str]) -> Any:
    """Return the values of a column, in the order of the key; of a part of the key, or without one, in any order."""
    values = [_text(row.get(column)) for row in rows]
    return Counter(values) if not key or column in key else values


def is_now(value: object) -> bool:
    """Return whether a value is a time near the present one, which the revision has most likely taken from the clock."""
    if isinstance(value, str) and len(value) >= len("2026-01-01 00:00:00"):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return False
    if isinstance(value, (int, float, Decimal)):
        # Seconds or milliseconds since 1970.
        return any(abs(float(value) / unit - time.time()) < RECENT.total_seconds() for unit in (1, 1000))
    if not isinstance(value, datetime):
        return False
    clocks = [datetime.now(value.tzinfo)] if value.tzinfo else [datetime.now(), datetime.now(timezone.utc)]
    return any(abs(clock.replace(tzinfo=value.tzinfo) - value) < RECENT for clock in clocks)


# Rows -----------------------------------------------------------------------------------------------------------


class _Rows:
    """The rows of a table in two states."""

    def __init__(self, name: Name, before: Sequence[Row], now: Sequence[Row], key: Sequence[str]) -> None:
        self.name, self.before, self.now, self.key = name, before, now, key

    def differences(self, left_out: Collection[str], nulls_kept: bool) -> Iterator[str]:
        lost = set(_columns(self.before)) - set(_columns(self.now)) if self.now else set()
        columns = [column for column in _columns(self.before) if column not in left_out and column not in lost]
        if not self.key or set(self.key) - set(columns):
            filled = [column for column in columns if nulls_kept or all(row[column] is not None for row in self.before)]
            yield from self._as_a_whole(filled)
        else:
            yield from self._by_key(columns, nulls_kept)

    def _by_key(self, columns: Sequence[str], nulls_kept: bool) -> Iterator[str]:
        old, new = (_keyed(rows, self.key) for rows in (self.before, self.now))
        for what, keys in (("missing", old.keys() - new.keys()), ("added", new.keys() - old.keys())):
            if keys:
                yield f"{self.name}: {_counted(len(keys))} {what} ({_named(self.key, keys)})"
        both = [one for one in old if one in new]
        for column in columns:
            pairs = {one: (old[one][column], new[one].get(column)) for one in both}
            changed = [
                one for one, (was, now) in pairs.items() if not _same(was, now) and (nulls_kept or was is not None)
            ]
            if changed:
                was, now = map(_shown, pairs[changed[0]])
                more = f", and in {_counted(len(changed) - 1)} more" if len(changed) > 1 else ""
                row = _named(self.key, changed[:1])
                yield f"{self.name}.{column} was {was}, and is {now} in the row with {row}{more}"

    def _as_a_whole(self, columns: Sequence[str]) -> Iterator[str]:
        """Compare a table without a key, or one whose key differs from run to run."""
        old, new = (
            Counter(tuple(_text(row.get(one)) for one in columns) for row in rows) for rows in (self.before, self.now)
        )
        for what, rows in (("missing", old - new), ("added", new - old)):
            if rows:
                number, example = sum(rows.values()), _row(columns, next(iter(rows)))
                yield f"{self.name}: {_counted(number)} {what} or changed, such as {example}"


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(rows[0]) if rows else []


def _keyed(rows: Sequence[Row], key: Sequence[str]) -> dict[tuple[str, ...], Row]:
    return {tuple(_text(row.get(one)) for one in key): row for row in rows}


def _same(one: object, other: object) -> bool:
    return one == other or _text(one) == _text(other)


def _text(value: object) -> str:
    return repr(bytes(value)) if isinstance(value, (bytearray, memoryview)) else repr(value)


def _counted(number: int) -> str:
    return f"{number} row{'' if number == 1 else 's'}"


def _named(key: Sequence[str], keys: Collection[tuple[str, ...]]) -> str:
    shown = ", ".join(", ".join(one) for one in sorted(keys)[:KEYS])
    return f"{', '.join(key)} {shown}{', ...' if len(keys) > KEYS else ''}"


def _row(columns: Sequence[str], values: Sequence[str]) -> str:
    return f"({', '.join(f'{column} {_cut(value)}' for column, value in zip(columns, values, strict=True))})"


def _shown(value: object) -> str:
    return "NULL" if value is None else _cut(_text(value))


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[:WIDTH]}..."
