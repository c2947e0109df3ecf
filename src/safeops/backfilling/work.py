"""The work of a backfill: along which key it goes, what it writes, and which rows need it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops.backfilling.expressions import RANGE, Expressions
from safeops.backfilling.functions import Function
from safeops.backfilling.port import Batches, Target
from safeops.databases.definitions import Column, Table
from safeops.databases.server import OF_STATEMENT
from safeops.errors import InvalidArgument, UnsafeOperation
from safeops.execution.inspect import check_has_columns, look_into
from safeops.execution.migration import Migration
from safeops.naming import Code, Name, call, fitting
from safeops.plan_mode import current_dry_run


@dataclass(frozen=True)
class Work:
    """What a backfill does, as a value that travels to workers.

    Args:
        name: What its progress is kept under.
        table: The table, in its schema.
        key: The columns of the key that it walks along.
        index: The index of that key.
        columns: The columns that it fills; empty where a function only says so with its rows.
        needs: The condition of the rows that still need it; None: each row does.
        keeps: A row is filled once: a value that stands is kept.
        update: The UPDATE of a batch; None where a function makes the values.
        function: That function.
        fillable: The condition of the rows that need it and that the values would fill; None where nobody can tell.
        types: The types of all columns of the table, as SQLAlchemy reflects them.
        stands: The columns of the table.
        writes_each: The UPDATE writes each row that needs it, and nothing looks for those that it did not write.
        home: The schema whose name is not kept.
    """

    name: str
    table: Name
    key: tuple[Column, ...]
    index: str
    columns: tuple[str, ...]
    needs: str | None
    keeps: bool
    update: str | None = None
    function: Function | None = None
    fillable: str | None = None
    types: Mapping[str, Any] | None = None
    stands: Mapping[str, Column] | None = None
    writes_each: bool = False
    home: str | None = None

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """What must be the same for progress to be that of the same work: as it is kept, and as it was kept once."""
        needs, update = (_unqualified(one) for one in (self.needs, self.update))
        former = replace(self, needs=needs, update=update)
        return self._fingerprint(self.table.at(self.home)), *(one._fingerprint(one.table) for one in (self, former))

    def _fingerprint(self, table: Name) -> str:
        said: list[Any] = [str(table), [one.name for one in self.key], self.columns, self.needs, self.keeps]
        function = self.function
        said += [self.update] if function is None else [function.name, function.reads, function.writes]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    @property
    def described(self) -> str:
        """What is kept of it for whoever looks at the state."""
        return json.dumps(
            {
                "table": self.table.name,
                "schema": self.table.at(self.home).schema,
                "columns": list(self.columns),
                "key": [one.name for one in self.key],
            }
        )

    def target(self, columns: Sequence[str]) -> Target:
        """Return where the values of the function go."""
        stands, types = self.stands or {}, self.types or {}
        named = tuple(stands[one] for one in columns)
        return Target(self.table, self.key, named, tuple(types[one] for one in columns), self.keeps)


def _unqualified(sql: str | None) -> str | None:
    """Return a condition as earlier releases wrote it for PostgreSQL, without the schema of the server's own."""
    if sql is None:
        return None
    return sql.replace("pg_catalog.num_nulls(", "num_nulls(").replace("OPERATOR(pg_catalog.=)", "=")


Given = Mapping[str, Any] | Callable[..., Any]


def work_for(
    migration: Migration,
    stands: Table,
    name: Name,
    values: Given,
    where: Any,
    key: Any,
    label: Callable[..., str],
    keeps: bool = False,
) -> Work:
    """Return the work on a table as it stands, or raise what is wrong with it before anything is touched.

    Args:
        migration: The running migration.
        stands: The table.
        name: The table, as the author calls it.
        values: See ``backfill``.
        where: See ``backfill``.
        key: See ``backfill``.
        label: Gives the work its name, from what it fills.
        keeps: A value that stands is kept under a ``where`` too, which then tells which rows have none.
    """
    function = None if isinstance(values, Mapping) else Function.of(values)
    targets = targets_of(values)
    check_has_columns(stands, (*targets, *((function.reads or ()) if function else ())))
    index, columns = key_of(migration, stands, key, targets)
    if current_dry_run() is not None and not set(targets) <= set(stands.columns):
        # A step before would add them, so that each row is to be filled.
        return Work(label(targets, function), stands.name, columns, index, targets, None, True)
    types = _types_of(migration, stands)
    expressions = Expressions(migration.database, name, types)
    needs = needed(expressions, targets, where)
    work = Work(
        label(targets, function),
        stands.name,
        columns,
        index,
        targets,
        needs,
        keeps or where is None,
        home=migration.database.home,
    )
    if function is None:
        work = with_update(work, expressions, values)  # type: ignore[arg-type]
        _check_runs(migration, name, (work.update or "").replace(RANGE, "1 = 0"))
    else:
        Batches.of(migration.database).check_writes_values()
        work = replace(work, function=function, types=types, stands=stands.columns)
        _check_runs(
            migration, name, f"SELECT 1 FROM {migration.database.quoted_table(stands.name)} WHERE {needs or '1 = 0'}"
        )
    return work


def with_update(work: Work, expressions: Expressions, values: Mapping[str, Any]) -> Work:
    """Return the work with the UPDATE that writes the values."""
    own = {name: expressions.own(value) for name, value in values.items()}
    expressions.check_order(own)
    update = expressions.update(expressions.kept(own) if work.keeps else own, work.needs, work.index)
    fillable = expressions.condition(expressions.fillable(own)) if work.keeps else None
    return replace(work, update=update, fillable=fillable, writes_each=not work.keeps)


def targets_of(values: Given) -> tuple[str, ...]:
    """Return the columns that the values are for, as far as they say so."""
    if isinstance(values, Mapping):
        return tuple(values)
    return Function.of(values).writes or ()


def needed(expressions: Expressions, targets: Sequence[str], where: Any) -> str | None:
    """Return the condition of the rows that need the work; None where each does."""
    if where is None:
        return expressions.condition(expressions.unfilled(tuple(targets)))
    if where is True or isinstance(where, sa.True_):
        return None
    return expressions.condition(expressions.own(sa.text(where) if isinstance(where, str) else where))


def _types_of(migration: Migration, stands: Table) -> dict[str, Any]:
    name = stands.name

    def look() -> list[Any]:
        return list(sa.inspect(migration.database.connection).get_columns(name.name, schema=name.schema))

    types = {one["name"]: one["type"] for one in look_into(migration, name, look)}
    for one in types.values():
        if isinstance(one, sa.Float):
            # MariaDB's double would come as a decimal of 10 digits.
            one.asdecimal = False
    # SQLAlchemy misses columns of MariaDB with a line break or a backtick in their name.
    return {column: types.get(column, sa.types.NullType()) for column in stands.columns}


def _check_runs(migration: Migration, name: Name, sql: str) -> None:
    try:
        look_into(migration, name, lambda: migration.database.sizes.explain(sql))
    except DBAPIError as error:
        if migration.database.errors.kind_of(error) not in OF_STATEMENT:
            raise
        raise InvalidArgument(
            f"{migration.database.describe()} refuses the values or the condition of the backfill of {name}:"
            f" {error.orig}\nThe statement is: {sql}",
            remedy="Mend the expression:",
            code=call("backfill", name.name, Code("{...}"), schema=name.schema),
        ) from error


# The key --------------------------------------------------------------------------------------------------------


def key_of(migration: Migration, stands: Table, key: Any, targets: Sequence[str]) -> tuple[str, tuple[Column, ...]]:
    """Return the index and the columns of the key to walk along."""
    asked = (key,) if isinstance(key, str) else tuple(key or ())
    check_has_columns(stands, asked)
    keys = dict(_keys(stands))
    for index, names in keys.items():
        if set(names) == set(asked) if asked else names == stands.primary_key:
            flaw = _flaw(migration, stands, names, targets)
            if flaw is None:
                return index, tuple(stands.columns[one] for one in names)
            raise _no_key(
                migration, stands, keys, f"The key ({', '.join(names)}) of {stands.name} does not serve: {flaw}."
            )
    missing = f"no unique index on ({', '.join(asked)})" if asked else "no primary key"
    raise _no_key(migration, stands, keys, f"A backfill walks along a unique key, but {stands.name} has {missing}.")


def _keys(stands: Table) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Go through the unique keys of a table: the primary one first."""
    constraints = sorted(stands.constraints.values(), key=lambda one: one.kind != "primary key")
    for one in constraints:
        if one.kind in ("primary key", "unique") and one.columns and "WITHOUT OVERLAPS" not in one.definition:
            yield one.name, one.columns
    for index in stands.indexes.values():
        whole = all(
            name in stands.columns and "(" not in text for name, text in zip(index.names, index.columns, strict=True)
        )
        if index.unique and index.valid and index.where is None and whole:
            yield index.name, index.names


def _flaw(migration: Migration, stands: Table, names: Sequence[str], targets: Sequence[str]) -> str | None:
    """Say why no walk goes along a key."""
    database = migration.database
    for name in names:
        column = stands.columns[name]
        if name in targets:
            return f"{name} is itself what is filled, so that rows would move while the walk goes on"
        if column.nullable and (names != stands.primary_key or _has_nulls(migration, stands, name)):
            return f"{name} takes NULL, and rows without a key would be passed over"
        flaw = Batches.of(database).key_flaw(column)
        if flaw:
            return f"{name} is {column.type}: {flaw}"
    return None


def _has_nulls(migration: Migration, stands: Table, name: str) -> bool:
    database = migration.database
    sql = f"SELECT 1 FROM {database.quoted_table(stands.name)} WHERE {database.quoted(name)} IS NULL LIMIT 1"
    return bool(look_into(migration, stands.name, lambda: database.read(sql)))


def _no_key(migration: Migration, stands: Table, keys: Mapping[str, Sequence[str]], problem: str) -> UnsafeOperation:
    fit = [names for names in keys.values() if _flaw(migration, stands, names, ()) is None]
    others = [f"({', '.join(names)})" for names in keys.values() if names not in fit]
    listed = f"Its unique keys that take NULL or cannot be walked: {', '.join(others)}. " if others else ""
    table, default = stands.name.name, migration.database.dialect.default_schema_name
    schema = None if stands.name.schema == default else stands.name.schema
    own = fitting(table, "pkey", max_bytes=migration.database.abilities.max_identifier)
    new = call("create_primary_key_if_missing", own, table, [f"column of {table}"], schema=schema)
    return UnsafeOperation(
        problem,
        why="Without such a key there is no order in which each row comes once, and no place to go on from after a stop.",
        remedy=listed
        + (
            "Name another key; expand() and undo_contract() take key= too:"
            if fit
            else "Give the table a key of columns that are NOT NULL first:"
        ),
        code=call("backfill", table, Code("{...}"), key=list(fit[0]), schema=schema) if fit else new,
    )
