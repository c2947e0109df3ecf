"""The last part of a restore: what stood on a column or a table stands again, or the rows that break it are told."""

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


def check_type(migration: Migration, table: Table, record: Record, column: sa.Column[Any]) -> None:
    """Raise DefinitionMismatch where another type is asked for than the archived values have, or than stands now."""
    kept = Archives.of(migration.database).column_of_archive(dict(record.definition))
    own = ops.CreateTableOp(table.name.name, [column], schema=table.name.schema)
    wanted = own.to_table(migration.context).columns[column.name]
    existing = table.columns.get(str(column.name))
    named = Table(table.name, {**table.columns, kept.name: kept}, sql=table.sql, id=table.id)
    found = column_differences(migration, named, kept, wanted, only=frozenset({"type"}))
    if existing is not None and existing.type != kept.type:
        raise DefinitionMismatch(
            f"Column {record} exists with the type {existing.type}; its archived values are {kept.type}.",
            remedy="Drop or rename the one that stands, and run again.",
        )
    if found:
        raise DefinitionMismatch(
            f"Column {record} was archived, but its {'; '.join(map(str, found))}.",
            why="It comes back as it was, so that every value finds its place.",
            remedy="Write the type that it had, and change it afterwards with alter_column_type() or TypeChange.",
        )


def refuse_rewriting(migration: Migration, table: Table, record: Record, column: sa.Column[Any]) -> None:
    """Raise UnsafeOperation where adding the column again, or a check of it, would rewrite the table."""
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
        refuse_unless_assured(f"Adding column {record} would block: {why}.", "", "Where that is fine, say why:", code)


def _refuse_checks(migration: Migration, table: Table, record: Record, again: str) -> None:
    missing = [name for name, *_ in record.definition.get("checks", ()) if name not in table.constraints]
    if missing and not migration.database.abilities.adds_checks_online:
        refuse_unless_assured(
            f"Column {record} had the check {', '.join(missing)}, which cannot be added to {table.name} online.",
            "The server copies the table for it, and writes wait for as long as that takes.",
            "Where that is fine, say why:",
            f'with assured("the table is small"):\n    {again}',
        )


def _refuse_domain(migration: Migration, table: Table, record: Record, column: sa.Column[Any], again: str) -> None:
    domain = look_into(migration, table.name, lambda: migration.database.types.domain(column.type))
    if domain is None or not domain.has_rules:
        return
    type_ = migration.database.type_text(column.type)
    without, with_it = (f"op.execute('ALTER DOMAIN {type_} {action} NOT NULL')" for action in ("DROP", "SET"))
    problem = f"Column {record} is of the domain {type_}, which has rules of its own."
    why = "Adding it again checks every row against them, and rewrites the table under a lock that blocks all others."
    if domain.required:
        raise UnsafeOperation(
            problem,
            why=f"Its values come after the column, and {type_} takes no NULL until then.",
            remedy="Let the domain take NULL while the values are put back:",
            code=f"{without}\n{again}\n{with_it}",
        )
    code = f'with assured("the table is small"):\n    {again}'
    refuse_unless_assured(problem, why, "Where that is fine, say why:", code)


def complete(migration: Migration, record: Record) -> None:
    """Make what is the column's own again; rows may break one constraint and not the others."""
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
            f"Column {record} is back with its values, indexes and constraints; rows that are new since the drop have none."
            " Its archive stays until NOT NULL stands. Give those rows a value, and run again."
        )
        error.args = (str(error),)
        raise


def _each(migration: Migration, plans: Iterable[Iterator[Step]]) -> list[str]:
    """Carry out plans, and return what the server said of those that rows break."""
    broken = []
    for plan in plans:
        try:
            execute(migration, plan)
        except DBAPIError as error:
            if not migration.database.errors.is_violation(error):
                raise
            log.warning("not everything could be restored: %s", error.orig)
            broken.append(str(error.orig).strip())
    return broken


def _violated(record: Record, broken: list[str]) -> ViolatingRows:
    listed = "".join(f"\n  - {error}" for error in broken)
    return ViolatingRows(
        f"{'Column' if record.column else 'Table'} {record} is back, but rows break what stood on it:{listed}",
        why="Rows were added, changed or deleted since the drop.",
        state="All else is restored, and its archive stays known. Running again goes on from there.",
        remedy="Mend those rows and run again:",
        code=written_restore(record),
    )


def tie(migration: Migration, record: Record) -> None:
    """Add the foreign keys of a table again, and forget its archive."""
    table = existing(migration, record.of)
    broken = _each(migration, Archives.of(migration.database).restore_keys(table, dict(record.definition)))
    if broken:
        raise _violated(record, broken)
    forget(migration, record)


def forget(migration: Migration, record: Record) -> None:
    """Drop the archive of what is back."""
    if record.column is not None:
        on_catalogue(migration, lambda: catalogue_of(migration).change(record, status=RESTORED))
        execute(migration, Archives.of(migration.database).drop_archive(record.archive, dict(record.definition)))
        forget_progress(migration, record)
    on_catalogue(migration, partial(catalogue_of(migration).remove, record))
