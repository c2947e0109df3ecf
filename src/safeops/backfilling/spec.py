"""What a backfill does: which key it scans along, what it writes, and which rows still need it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops.backfilling.port import Batches, Target
from safeops.backfilling.values import RANGE, Expressions, Function
from safeops.databases.definitions import Column, Table
from safeops.databases.server import OF_STATEMENT
from safeops.errors import InvalidArgument, UnsafeOperation
from safeops.execution.inspect import check_has_columns, look_into
from safeops.execution.migration import Migration
from safeops.naming import Code, Name, call, fitting
from safeops.plan_mode import current_dry_run


@dataclass(frozen=True)
class BackfillSpec:
    """What a backfill does, as a value that is sent to workers.

    Args:
        name: The name of its progress.
        table: The table, in its schema.
        key: The columns of the key that it scans along.
        index: The index of that key.
        columns: The columns that it fills; empty if only the results of a function name them.
        where: The condition of the rows that still need it; None: each row does.
        keeps_values: A row is filled once: an existing value is kept.
        update: The UPDATE of a batch; None if a function makes the values.
        function: That function.
        fillable: The condition of the rows that need it and that the values would fill; None if unknown.
        types: The types of all columns of the table, as SQLAlchemy reflects them; for a function only.
        columns_of_table: The columns of the table; for a function only.
        any_order: Its rows can be processed in any order: the author has named no key, and what remains is found at the end.
        writes_each: The UPDATE writes each row that needs it, and no later query finds rows that it did not write.
        home: The default schema, whose name is not stored.
    """

    name: str
    table: Name
    key: tuple[Column, ...]
    index: str
    columns: tuple[str, ...]
    where: str | None
    keeps_values: bool
    update: str | None = None
    function: Function | None = None
    fillable: str | None = None
    types: Mapping[str, Any] = field(default_factory=dict)
    columns_of_table: Mapping[str, Column] = field(default_factory=dict)
    any_order: bool = False
    writes_each: bool = False
    home: str | None = None

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """What identifies the progress of this backfill: as stored now, and as earlier releases stored it."""
        where, update = map(_unqualified, (self.where, self.update))
        earlier = replace(self, where=where, update=update)
        return self._fingerprint(self.table.at(self.home)), *(spec._fingerprint(spec.table) for spec in (self, earlier))

    def _fingerprint(self, table: Name) -> str:
        parts: list[Any] = [
            str(table),
            [column.name for column in self.key],
            self.columns,
            self.where,
            self.keeps_values,
        ]
        function = self.function
        parts += [self.update] if function is None else [function.name, function.reads, function.writes]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def as_json(self) -> str:
        """What the table of the progress stores of it."""
        return json.dumps(
            {
                "table": self.table.name,
                "schema": self.table.at(self.home).schema,
                "columns": list(self.columns),
                "key": [column.name for column in self.key],
            }
        )

    def target(self, columns: Sequence[str], key: tuple[Column, ...], rows: str = "") -> Target:
        """Return the columns into which the values of the function are written.

        Args:
            columns: Their names.
            key: The columns by which a row is found.
            rows: The condition that selects exactly their rows; empty if it may select others too.
        """
        written = tuple(self.columns_of_table[column] for column in columns)
        types = tuple(self.types[column.name] for column in written)
        return Target(self.table, key, written, types, self.keeps_values, self.index, rows)


def _unqualified(sql: str | None) -> str | None:
    """Return a condition as earlier releases wrote it for PostgreSQL, without the schema ``pg_catalog``."""
    if sql is None:
        return None
    return sql.replace("pg_catalog.num_nulls(", "num_nulls(").replace("OPERATOR(pg_catalog.=)", "=")


Values = Mapping[str, Any] | Callable[..., Any]


def spec_for(
    migration: Migration,
    table: Table,
    name: Name,
    values: Values,
    where: Any,
    key: Any,
    progress_name: str,
    keeps_values: bool = False,
) -> BackfillSpec:
    """Return the backfill of a table, or raise an error before anything is changed.

    Args:
        migration: The running migration.
        table: The table as it is.
        name: The table, as the author calls it.
        values: See ``backfill``.
        where: See ``backfill``.
        key: See ``backfill``.
        progress_name: The name of the progress.
        keeps_values: An existing value is kept under a ``where`` too, which then finds the rows without one.
    """
    database = migration.database
    function = None if isinstance(values, Mapping) else Function.of(values)
    targets = targets_of(values)
    check_has_columns(table, (*targets, *((function.reads or ()) if function else ())))
    index, columns = key_of(migration, table, key, targets)
    spec = BackfillSpec(progress_name, table.name, columns, index, targets, None, True)
    if current_dry_run() is not None and not set(targets) <= set(table.columns):
        # An earlier step would add them: each row needs a value.
        return spec
    types = _types_of(migration, table)
    expressions = Expressions(database, name, types)
    condition = condition_of(expressions, targets, where)
    spec = replace(spec, where=condition, keeps_values=keeps_values or where is None, home=database.home)
    spec = replace(spec, any_order=key is None and spec.keeps_values and bool(targets))
    if function is None:
        spec = with_update(spec, expressions, values)  # type: ignore[arg-type]
        _check_runs(migration, name, (spec.update or "").replace(RANGE, "1 = 0"))
        return spec
    Batches.of(database).check_writes_values(table)
    _check_runs(migration, name, f"SELECT 1 FROM {database.quoted_table(table.name)} WHERE {condition or '1 = 0'}")
    return replace(spec, function=function, types=types, columns_of_table=table.columns)


def with_update(spec: BackfillSpec, expressions: Expressions, values: Mapping[str, Any]) -> BackfillSpec:
    """Return the backfill with the UPDATE that writes the values."""
    own = {name: expressions.own(value) for name, value in values.items()}
    expressions.check_order(own)
    update = expressions.update(expressions.kept(own) if spec.keeps_values else own, spec.where, spec.index)
    fillable = expressions.condition(expressions.fillable(own)) if spec.keeps_values else None
    return replace(spec, update=update, fillable=fillable, writes_each=not spec.keeps_values)


def targets_of(values: Values) -> tuple[str, ...]:
    """Return the columns that the values are for, as far as they are declared."""
    if isinstance(values, Mapping):
        return tuple(values)
    return Function.of(values).writes or ()


def condition_of(expressions: Expressions, targets: Sequence[str], where: Any) -> str | None:
    """Return the condition of the rows that need the backfill; None if each does."""
    if where is None:
        return expressions.condition(expressions.unfilled(targets))
    if where is True or isinstance(where, sa.True_):
        return None
    return expressions.condition(expressions.own(sa.text(where) if isinstance(where, str) else where))


def _types_of(migration: Migration, table: Table) -> dict[str, Any]:
    name = table.name

    def look() -> list[Any]:
        return list(sa.inspect(migration.database.connection).get_columns(name.name, schema=name.schema))

    types = {column["name"]: column["type"] for column in look_into(migration, name, look)}
    for type_ in types.values():
        if isinstance(type_, sa.Float):
            # MariaDB's double would come as a decimal of 10 digits.
            type_.asdecimal = False
    # SQLAlchemy misses columns of MariaDB with a line break or a backtick in their name.
    return {column: types.get(column, sa.types.NullType()) for column in table.columns}


def _check_runs(migration: Migration, name: Name, sql: str) -> None:
    try:
        look_into(migration, name, lambda: migration.database.sizes.explain(sql))
    except DBAPIError as error:
        if migration.database.errors.kind_of(error) not in OF_STATEMENT:
            raise
        raise InvalidArgument(
            f"{migration.database.describe()} refuses the values or the condition of the backfill of {name}:"
            f" {error.orig}\nThe statement is: {sql}",
            remedy="Fix the expression:",
            code=call("backfill", name.name, Code("{...}"), schema=name.schema),
        ) from error


# The key --------------------------------------------------------------------------------------------------------


def key_of(migration: Migration, table: Table, key: Any, targets: Sequence[str]) -> tuple[str, tuple[Column, ...]]:
    """Return the index and the columns of the key to scan along."""
    asked = (key,) if isinstance(key, str) else tuple(key or ())
    check_has_columns(table, asked)
    keys = dict(_unique_keys(table))
    for index, names in keys.items():
        if set(names) == set(asked) if asked else names == table.primary_key:
            reason = _unusable_because(migration, table, names, targets)
            if reason is None:
                return index, tuple(table.columns[name] for name in names)
            problem = f"A backfill of {table.name} cannot use the key ({', '.join(names)}): {reason}."
            raise _no_key(migration, table, keys, problem)
    missing = f"no unique index on ({', '.join(asked)})" if asked else "no primary key"
    raise _no_key(migration, table, keys, f"A backfill needs a unique key, but {table.name} has {missing}.")


def _unique_keys(table: Table) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return the unique keys of a table: the primary one first."""
    for constraint in sorted(table.constraints.values(), key=lambda constraint: constraint.kind != "primary key"):
        is_key = constraint.kind in ("primary key", "unique") and "WITHOUT OVERLAPS" not in constraint.definition
        if is_key and constraint.columns:
            yield constraint.name, constraint.columns
    for index in table.indexes.values():
        of_columns = all(
            name in table.columns and "(" not in text for name, text in zip(index.names, index.columns, strict=True)
        )
        if index.unique and index.valid and index.where is None and of_columns:
            yield index.name, index.names


def _unusable_because(migration: Migration, table: Table, names: Sequence[str], targets: Sequence[str]) -> str | None:
    """Return why a backfill cannot scan along a key; None if it can."""
    for name in names:
        column = table.columns[name]
        if name in targets:
            return f"the backfill fills {name}, so rows would move in the key during the scan"
        if column.nullable and (names != table.primary_key or _has_nulls(migration, table, name)):
            return f"{name} allows NULL, and rows without a key would be skipped"
        reason = Batches.of(migration.database).unusable_because(column)
        if reason:
            return f"{name} is {column.type}: {reason}"
    return None


def _has_nulls(migration: Migration, table: Table, name: str) -> bool:
    database = migration.database
    sql = f"SELECT 1 FROM {database.quoted_table(table.name)} WHERE {database.quoted(name)} IS NULL LIMIT 1"
    return bool(look_into(migration, table.name, lambda: database.read(sql)))


def _no_key(migration: Migration, table: Table, keys: Mapping[str, Sequence[str]], problem: str) -> UnsafeOperation:
    usable = [names for names in keys.values() if _unusable_because(migration, table, names, ()) is None]
    others = [f"({', '.join(names)})" for names in keys.values() if names not in usable]
    listed = f"Its unique keys that allow NULL or cannot be scanned: {', '.join(others)}. " if others else ""
    name, default = table.name.name, migration.database.dialect.default_schema_name
    schema = None if table.name.schema == default else table.name.schema
    if usable:
        remedy = "Name another key; expand() and undo_contract() take key= too:"
        code = call("backfill", name, Code("{...}"), key=list(usable[0]), schema=schema)
    else:
        remedy = "Give the table a key of NOT NULL columns first:"
        helper, suffix = (
            ("create_unique_constraint_if_missing", "key")
            if table.primary_key
            else ("create_primary_key_if_missing", "pkey")
        )
        own = fitting(name, suffix, max_bytes=migration.database.abilities.max_identifier)
        code = call(helper, own, name, [f"column of {name}"], schema=schema)
    return UnsafeOperation(
        problem,
        why="Batches need an order that has each row once, and a position from which to continue after a stop.",
        remedy=f"{listed}{remedy}",
        code=code,
    )
