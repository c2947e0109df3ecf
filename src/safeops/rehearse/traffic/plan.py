"""What traffic does to each table: made from the schema as it is before the revisions run."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.engine import Engine

from safeops.databases import database_on, definitions
from safeops.databases.definitions import Table, names_in
from safeops.naming import Name
from safeops.rehearse.inserting import Inserts
from safeops.rehearse.later_constraints import with_later


@dataclass(frozen=True)
class Column:
    """A column that traffic reads or writes.

    Args:
        name: Its name.
        kind: "integer", "text", "uuid", or "other": which new values can be made.
        unique: Each row needs another value.
        written: It is written at all; the server makes generated columns and identities.
        type: Its type as the server spells it.
    """

    name: str
    kind: str
    unique: bool
    written: bool
    type: str = ""

    @property
    def makes_new(self) -> bool:
        """Whether a value can be made that no row has."""
        return self.kind != "other"


@dataclass(frozen=True)
class TableTraffic:
    """What traffic knows of a table.

    Args:
        table: The table.
        key: The columns that identify a row; empty if there are none.
        numbered: The server makes the key of a new row, as far as its definition shows.
        columns: All columns, in their order.
        groups: The columns that one UPDATE sets: alone, or together because a constraint concerns them all.
    """

    table: Name
    key: tuple[str, ...]
    numbered: bool
    columns: tuple[Column, ...]
    groups: tuple[tuple[str, ...], ...]

    @property
    def inserted(self) -> tuple[Column, ...]:
        """The columns that an INSERT gives."""
        return tuple(one for one in self.columns if one.written and not (self.numbered and one.name in self.key))


@dataclass(frozen=True)
class Step:
    """A step of a script: a statement, ``\\set`` of a variable, or a pause."""

    sql: str = ""
    variable: str = ""
    expression: str = ""
    pause: float = 0.0


@dataclass(frozen=True)
class Script:
    """Statements of the team that are repeated.

    Args:
        steps: What it does, in order.
        rate: Runs a second; None shares the rate of the traffic.
        columns: Variables that get values of a column: variable to schema, table and column.
        place: Its file and line, for messages.
        is_optional: It is left out if it fails before the revisions run, as a statement whose values are made up may.
    """

    steps: tuple[Step, ...]
    rate: float | None = None
    columns: tuple[tuple[str, str | None, str, str], ...] = ()
    place: str = ""
    is_optional: bool = False


@dataclass(frozen=True)
class TrafficPlan:
    """What traffic does.

    Args:
        tables: The tables whose rows it reads and writes by key; each write is recorded and compared at the end.
        scripts: Statements of the team. Their writes are not recorded.
        notes: What it cannot do, in sentences.
    """

    tables: tuple[TableTraffic, ...] = ()
    scripts: tuple[Script, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrafficPlan:
        """Return the plan that ``as_json`` wrote."""
        return cls(
            tuple(_table_of(one) for one in data["tables"]),
            tuple(_script_of(one) for one in data["scripts"]),
            tuple(data["notes"]),
        )


def _table_of(data: dict[str, Any]) -> TableTraffic:
    columns = tuple(Column(**one) for one in data["columns"])
    groups = tuple(tuple(group) for group in data["groups"])
    return TableTraffic(Name(**data["table"]), tuple(data["key"]), data["numbered"], columns, groups)


def _script_of(data: dict[str, Any]) -> Script:
    steps = tuple(Step(**one) for one in data["steps"])
    columns = tuple(tuple(one) for one in data["columns"])
    return Script(**{**data, "steps": steps, "columns": columns})


# The plan of a schema ----------------------------------------------------------------------------------------------

KINDS = {
    "integer": re.compile(r"(tiny|small|medium|big)?(int|integer)(\(\d+\))?( unsigned)?"),
    "text": re.compile(r"(n?(var)?char|character|character varying|citext|(tiny|medium|long)?text|clob)(\(\d+\))?"),
    "uuid": re.compile(r"uuid"),
}
"""The types of which new values can be made."""


def plan_of(engine: Engine, tables: Iterable[Name], later: Mapping[Name, Table] | None = None) -> TrafficPlan:
    """Plan reads and writes of single rows by key, for the tables as they are now.

    Call it before the revisions run: the running release knows only the columns that exist then.

    Args:
        engine: Reaches the copy.
        tables: The tables; those that do not exist are left out, and noted.
        later: The tables with the constraints that the revisions add, which new rows meet too.

    Example:
        plan = plan_of(engine, [Name("users")])
    """
    with engine.connect() as connection:
        database = database_on(connection)
        home, later = connection.dialect.default_schema_name, later or {}
        found = {table: database.table(table) for table in dict.fromkeys(tables)}
        with_keys = Inserts.of(database).with_keys
    traffic = [
        _Described(name, with_keys(with_later(table, later.get(name.at(home))))).traffic()
        for name, table in found.items()
        if table is not None
    ]
    notes = [f"{name} does not exist before the upgrade: it gets no traffic." for name in found if found[name] is None]
    notes += [f"{one.table} has no key: its writes change no row." for one in traffic if not one.key]
    return TrafficPlan(tuple(traffic), (), tuple(notes))


class _Described:
    """A table as the server describes it."""

    def __init__(self, name: Name, table: Table) -> None:
        self.name, self.table, self.names = name, table, list(table.columns)
        keys = [*table.of_kind("unique"), *table.of_kind("primary key")]
        indexes = [index for index in table.indexes.values() if index.unique]
        self.uniques = [self._own(names_in(key)) for key in keys] + [self._own(names_in(one)) for one in indexes]
        self.excluded = {name for one in table.of_kind("exclude") for name in names_in(one)}
        self.whole_keys = [self._own(key.columns) for key in keys]
        self.whole_keys += [self._own(index.names) for index in indexes if index.where is None]
        self.foreign = [self._own(key.columns) for key in table.of_kind("foreign key")]
        self.checks = [self._own(names_in(check)) for check in table.of_kind("check")]

    def traffic(self) -> TableTraffic:
        key = self._own(self.table.primary_key) or self._unique_key()
        own = self.excluded.union(*map(self._made_new, self.uniques))
        columns = tuple(self._column(column, own) for column in self.table.columns.values())
        # Whether the server does make it, a trial shows.
        numbered = len(key) == 1 and _kind(self.table.columns[key[0]].type) == "integer"
        return TableTraffic(self.name, key, numbered, columns, tuple(self._groups(columns, key)))

    def _own(self, names: Collection[str]) -> tuple[str, ...]:
        return tuple(name for name in self.names if name in names)

    def _unique_key(self) -> tuple[str, ...]:
        required = {column.name for column in self.table.columns.values() if not column.nullable}
        return next((key for key in self.whole_keys if key and required.issuperset(key)), ())

    def _made_new(self, unique: Sequence[str]) -> Sequence[str]:
        """Return the columns of a key of which a new row gets new values: the last that refers to no other table."""
        able = [
            name for name in unique if not self._is_foreign(name) and _kind(self.table.columns[name].type) != "other"
        ]
        return able[-1:] or unique

    def _is_foreign(self, name: str) -> bool:
        return any(name in columns for columns in self.foreign)

    def _column(self, column: definitions.Column, own: set[str]) -> Column:
        kind = "other" if self._is_foreign(column.name) else _kind(column.type)
        written = column.computed is None and "always" not in (column.identity or "").lower()
        return Column(column.name, kind, column.name in own, written, column.type)

    def _groups(self, columns: Sequence[Column], key: Sequence[str]) -> Iterable[tuple[str, ...]]:
        tied = {name: {name} for name in self.names}
        for together in [*self.foreign, *self.checks]:
            joined = set().union(*(tied[name] for name in together))
            tied.update(dict.fromkeys(joined, joined))
        settable = {one.name for one in columns if one.written and one.name not in key}
        several = {name for unique in self.uniques if len(unique) > 1 for name in unique}
        settable -= several - {one.name for one in columns if one.unique}
        groups = dict.fromkeys(self._own(tied[first]) for first in self.names)
        return [group for group in groups if settable.issuperset(group)]


def _kind(type_: str) -> str:
    return next((kind for kind, form in KINDS.items() if form.fullmatch(type_.lower())), "other")
