"""The last part of a restore: indexes and constraints are added again, or the rows that break them are reported."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.exc import DBAPIError

from safeops.archive.archiving import catalogue_of, forget_progress, on_catalogue, plans_to_complete, written_restore
from safeops.archive.port import RESTORED, Archives, Record
from safeops.databases.definitions import Table
from safeops.databases.steps import Step
from safeops.errors import DefinitionMismatch, UnsafeOperation, ViolatingRows
from safeops.execution.inspect import existing, find, look_into
from safeops.execution.lock_retry import execute
from safeops.execution.migration import Migration
from safeops.naming import call, column_code
from safeops.schema import refusals
from safeops.schema.alter_column import enforce_not_null
from safeops.schema.columns import column_differences
from safeops.schema.refusals import refuse_unless_assured

log = logging.getLogger("safeops")

IF_ALLOWED = "If reads and writes can wait, run the call inside assured():"


def check_type(migration: Migration, table: Table, record: Record, column: sa.Column[Any]) -> None:
    """Raise DefinitionMismatch if the requested type differs from that of the archived values or of the existing column."""
    kept = Archives.of(migration.database).column_of_archive(dict(record.definition))
    own = ops.CreateTableOp(table.name.name, [column], schema=table.name.schema)
    wanted = own.to_table(migration.context).columns[column.name]
    existing = table.columns.get(str(column.name))
    named = Table(table.name, {**table.columns, kept.name: kept}, sql=table.sql, id=table.id)
    found = column_differences(migration, named, kept, wanted, only=frozenset({"type"}))
    if existing is not None and existing.type != kept.type:
        raise DefinitionMismatch(
            f"Column {record} exists with the type {existing.type}; its archived values are {kept.type}.",
            remedy="Drop or rename the existing column, and run again.",
        )
    if found:
        raise DefinitionMismatch(
            f"Column {record} was archived, but its {'; '.join(map(str, found))}.",
            why="A column is restored with its former type, which fits every archived value.",
            remedy="Write the former type, and change it afterwards with alter_column_type() or TypeChange.",
        )


def refuse_rewriting(migration: Migration, table: Table, record: Record, column: sa.Column[Any]) -> None:
    """Raise UnsafeOperation if adding the column again, or a check of it, would rewrite the table."""
    if not look_into(migration, table.name, lambda: migration.database.has_rows(table)):
        return
    again = call("restore_column", record.table, column_code(column))
    _refuse_checks(migration, table, record, again)
    if record.column in table.columns:
        return
    if not record.definition["computed"]:
        _refuse_domain(migration, table, record, column, again)
        return
    why = column.computed is not None and look_into(
        migration, table.name, lambda: migration.database.safety.column_refusal(column, table)
    )
    if why:
        code = f'with assured("the table is small"):\n    {again}'
        refuse_unless_assured(f"Restoring column {record} would block: {why}.", "", IF_ALLOWED, code)


def _refuse_checks(migration: Migration, table: Table, record: Record, again: str) -> None:
    missing = [name for name, *_ in record.definition.get("checks", ()) if name not in table.constraints]
    if missing and not migration.database.abilities.adds_checks_online:
        refuse_unless_assured(
            f"Column {record} had the check {', '.join(missing)}, which cannot be added to {table.name} online.",
            "The server copies the table, and writes wait until the copy is complete.",
            IF_ALLOWED,
            f'with assured("the table is small"):\n    {again}',
        )


def _refuse_domain(migration: Migration, table: Table, record: Record, column: sa.Column[Any], again: str) -> None:
    domain = look_into(migration, table.name, lambda: migration.database.types.domain(column.type))
    if domain is None or not domain.has_rules:
        return
    type_ = migration.database.type_text(column.type)
    without, with_it = (f"op.execute('ALTER DOMAIN {type_} {action} NOT NULL')" for action in ("DROP", "SET"))
    problem = f"Column {record} has the domain {type_}, which has constraints."
    why = "Adding the column checks every row, and rewrites the table under a lock that blocks reads and writes."
    if domain.required:
        raise UnsafeOperation(
            problem,
            why=f"The column is empty until its values are restored, and {type_} is NOT NULL.",
            remedy="Make the domain nullable while the values are restored:",
            code=f"{without}\n{again}\n{with_it}",
        )
    code = f'with assured("the table is small"):\n    {again}'
    refuse_unless_assured(problem, why, IF_ALLOWED, code)


def complete(migration: Migration, record: Record) -> None:
    """Add the indexes and constraints of the column again; rows may break one constraint and not the others."""
    name, column = record.of, record.column or ""
    table = existing(migration, name)
    required = record.definition["required"] and not record.definition["computed"]
    nulls = refusals.nulls(migration, table, column) if required and table.columns[column].nullable else None
    filled = nulls is None or not look_into(migration, name, lambda: _finds(migration, table, column))
    broken = _each(migration, plans_to_complete(migration, table, record, filled))
    if broken:
        raise _violated(record, broken)
    if required:
        _enforce(record)
    now = find(migration, name) or table
    execute(migration, Archives.of(migration.database).finish_restore(now, column, dict(record.definition)))
    forget(migration, record)


def _finds(migration: Migration, table: Table, column: str) -> bool:
    database = migration.database
    with database.unbounded():
        sql = f"SELECT 1 FROM {database.quoted_table(table.name)} WHERE {database.quoted(column)} IS NULL LIMIT 1"
        return bool(database.read(sql))


def _enforce(record: Record) -> None:
    try:
        enforce_not_null(record.table, record.column or "", schema=record.schema)
    except ViolatingRows as error:
        error.state = (
            f"Column {record} is restored with its values, indexes and constraints; rows that are new since the drop have no"
            " value. Its archive is kept until the column is NOT NULL. Give those rows a value, and run again."
        )
        error.args = (str(error),)
        raise


def _each(migration: Migration, plans: Iterable[Iterator[Step]]) -> list[str]:
    """Execute plans, and return the errors of the server for those that rows break."""
    broken = []
    for plan in plans:
        try:
            execute(migration, plan)
        except DBAPIError as error:
            if not migration.database.errors.is_violation(error):
                raise
            log.warning("could not restore everything: %s", error.orig)
            broken.append(str(error.orig).strip())
    return broken


def _violated(record: Record, broken: list[str]) -> ViolatingRows:
    listed = "".join(f"\n  - {error}" for error in broken)
    return ViolatingRows(
        f"{'Column' if record.column else 'Table'} {record} is restored, but rows break its constraints:{listed}",
        why="Rows were added, changed or deleted since the drop.",
        state="Everything else is restored, and the archive is kept. Running again continues from there.",
        remedy="Fix those rows and run again:",
        code=written_restore(record),
    )


def tie(migration: Migration, record: Record) -> None:
    """Add the foreign keys of a table again, and delete the record of its archive."""
    table = existing(migration, record.of)
    broken = _each(migration, Archives.of(migration.database).restore_keys(table, dict(record.definition)))
    if broken:
        raise _violated(record, broken)
    forget(migration, record)


def forget(migration: Migration, record: Record) -> None:
    """Drop the archive of what is restored."""
    if record.column is not None:
        on_catalogue(migration, lambda: catalogue_of(migration).change(record, status=RESTORED))
        execute(migration, Archives.of(migration.database).drop_archive(record.archive, dict(record.definition)))
        forget_progress(migration, record)
    on_catalogue(migration, partial(catalogue_of(migration).remove, record))
