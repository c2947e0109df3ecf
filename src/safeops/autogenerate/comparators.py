"""What Alembic runs in addition to its own comparison: named types, and differences that no server could remove."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import to_list
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import StatementError

from safeops import _alembic, _sqlalchemy
from safeops.autogenerate.alembic_operations import name_of, tables_in, without_empty
from safeops.autogenerate.operations import AddEnumValue, CreateEnum, Note
from safeops.databases import database_for
from safeops.databases.base import Database
from safeops.databases.reflection import Reflection
from safeops.errors import UnsupportedOnDatabase
from safeops.naming import Name

COMPARED = "safeops_compared"
"""The key in the ``info`` of the operations for the tables of the models that are compared."""

log = logging.getLogger("safeops.autogenerate")


def register() -> None:
    """Register with Alembic."""
    _alembic.compare_last(add_named_types)
    _alembic.compare_last(leave_out_impossible)
    _alembic.compare_first(compare_defaults_safely)


def _database(context: AutogenContext) -> Database | None:
    """Return the live database; None without a connection, or if safeops does not support it."""
    connection = context.connection
    if connection is None:
        return None
    try:
        return database_for(context.dialect, lambda: connection)
    except UnsupportedOnDatabase:
        return None


# Named types ----------------------------------------------------------------------------------------------------

NamedTypes = dict[Name, sa.Enum]


def add_named_types(context: AutogenContext, upgrade_ops: ops.UpgradeOps, _schemas: Any) -> None:
    """Add what creates named types and their values, before anything uses them."""
    database = _database(context)
    if database is not None and database.abilities.has_named_types:
        wanted = types_of(to_list(context.metadata, []), context.dialect, context)
        missing = (_missing(name, enum, database.types.enum(name)) for name, enum in wanted.items())
        upgrade_ops.ops[:0] = [operation for operations in missing for operation in operations]


def _missing(name: Name, enum: sa.Enum, existing: Sequence[str] | None) -> Iterator[ops.MigrateOperation]:
    values = list(enum.enums)
    if existing is None:
        yield CreateEnum(name.name, values, schema=name.schema)
        return
    _warn(name, values, existing)
    for place, value in enumerate(values):
        if value in existing:
            continue
        before = None if place else next((known for known in values if known in existing), None)
        after = values[place - 1] if place else None
        yield AddEnumValue(name.name, value, before=before, after=after, schema=name.schema)


def _warn(name: Name, values: Sequence[str], existing: Sequence[str]) -> None:
    removed = [value for value in existing if value not in values]
    if removed:
        log.warning("type %s keeps %s, which the models lack: the server cannot take a value back", name, removed)
    if [value for value in existing if value in values] != [value for value in values if value in existing]:
        log.warning("type %s has its values in the order %s, which the server cannot change", name, list(existing))


def types_of(metadatas: Sequence[sa.MetaData], dialect: Dialect, context: AutogenContext | None = None) -> NamedTypes:
    """Return the named types that the models create, in the order of their tables."""
    found: NamedTypes = {}
    for metadata in metadatas:
        tables = [table for table in metadata.sorted_tables if _is_included(context, table, "table")]
        columns = [column for table in tables for column in table.columns]
        types = [column.type for column in columns if _is_included(context, column, "column")]
        for type_ in (*types, *_without_columns(metadata, dialect)):
            enum = enum_of(type_, dialect)
            # SQLAlchemy 2.0 loses the flag when it adapts the type to a dialect.
            own = getattr(type_, "item_type", type_)
            if enum is not None and all(getattr(each, "create_type", True) for each in (own, enum)):
                found.setdefault(_name_of(enum), enum)
    return found


def enum_of(type_: Any, dialect: Dialect) -> sa.Enum | None:
    """Return the named type of a column or of its elements; None if it has none."""
    own = type_.dialect_impl(dialect)
    while isinstance(own, sa.types.TypeDecorator):
        own = own.impl_instance
    if isinstance(own, sa.ARRAY):
        return enum_of(own.item_type, dialect)
    return own if isinstance(own, sa.Enum) and own.name and own.native_enum else None


def _name_of(enum: sa.Enum) -> Name:
    return Name(str(enum.name), enum.schema or None)


def _is_included(context: AutogenContext | None, thing: Any, kind: Any) -> bool:
    return context is None or context.run_object_filters(thing, thing.name, kind, False, None)


def _without_columns(metadata: sa.MetaData, dialect: Dialect) -> Iterator[sa.Enum]:
    """Yield the types that belong to the metadata itself and that no column has."""
    columns = (column for table in metadata.tables.values() for column in table.columns)
    used = {_name_of(enum) for column in columns if (enum := enum_of(column.type, dialect))}
    for owner in _sqlalchemy.created_with(metadata):
        enum = enum_of(owner, dialect) if isinstance(owner, sa.Enum) else None
        if enum is not None and _name_of(enum) not in used:
            yield enum


# Differences that would be found again each time ------------------------------------------------------------------


def leave_out_impossible(context: AutogenContext, upgrade_ops: ops.UpgradeOps, _schemas: Any) -> None:
    """Leave out NULL for columns that never take it, and keys of which the server makes one with another."""
    database = _database(context)
    if database is None:
        return
    models = [table for metadata in to_list(context.metadata, []) for table in metadata.tables.values()]
    upgrade_ops.info[COMPARED] = [table for table in models if _is_compared(context, table)]
    named = {Name(table.name, _schema(context, table)): table for table in models}
    for table in tables_in(upgrade_ops.ops):
        model = named.get(name_of(table))
        if model is not None:
            found = [kept for operation in table.ops for kept in _possible(database, model, operation)]
            table.ops[:] = _without_duplicates(database, model, found)
    upgrade_ops.ops[:] = without_empty(upgrade_ops.ops)


def _is_compared(context: AutogenContext, table: sa.Table) -> bool:
    by_name = context.run_name_filters(table.name, "table", {"schema_name": _schema(context, table)})
    return by_name and _is_included(context, table, "table")


def _schema(context: AutogenContext, table: sa.Table) -> str | None:
    return None if table.schema == context.dialect.default_schema_name else table.schema


def _possible(database: Database, model: sa.Table, operation: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
    column = model.columns.get(operation.column_name) if isinstance(operation, ops.AlterColumnOp) else None
    if not isinstance(operation, ops.AlterColumnOp) or column is None:
        yield operation
        return
    domain = database.types.existing_domain(column.type)
    if domain and domain.required and operation.modify_nullable:
        # SQLAlchemy reflects the NOT NULL and the default of a domain as those of the column.
        operation.modify_nullable = None
    if domain and domain.has_default and operation.modify_server_default is None:
        operation.modify_server_default = False
    if operation.modify_nullable and _is_never_null(database, column):
        operation.modify_nullable = None
        why = "of the primary key" if column.primary_key else "an identity"
        yield Note(
            f"{name_of(operation)}.{column.name} is {why} and accepts no NULL: set nullable=False in the models."
        )
    if operation.has_changes():
        yield operation


def _is_never_null(database: Database, column: sa.Column[Any]) -> bool:
    return column.primary_key or not database.wanted_column(column).nullable


def _without_duplicates(
    database: Database, model: sa.Table, found: list[ops.MigrateOperation]
) -> list[ops.MigrateOperation]:
    """Leave out the constraints that a table has already under the name of an equal one."""
    new = {str(key.constraint_name): key for key in found if isinstance(key, ops.CreateUniqueConstraintOp)}
    for group in database.equal_keys(model) if new else ():
        missing = [new[str(key.name)] for key in group if str(key.name) in new]
        # If all are missing, the first one is created.
        for key in missing if len(missing) < len(group) else missing[1:]:
            log.info("left out %s of %s: the server makes one key of it and an equal one", key.constraint_name, model)
            found.remove(key)
    return found


# Server defaults ------------------------------------------------------------------------------------------------


def compare_defaults_safely(context: AutogenContext, _upgrade_ops: ops.UpgradeOps, _schemas: Any) -> None:
    """Have defaults that the server cannot compare differ: JSON, a single apostrophe, a value that it lacks as yet.

    Those that differ by their spelling alone are left out later, if a query is needed to see that.
    """
    connection: Any = context.connection
    impl: Any = context.migration_context.impl
    database = _database(context)
    if connection is None or database is None:
        return
    if type(impl).transactional_ddl:
        impl.compare_server_default = _asking(connection, impl.compare_server_default)
    else:
        # Alembic compares the texts, without a query.
        impl.compare_server_default = _reading(database, impl.compare_server_default)


def _reading(database: Database, compare: Callable[..., Any]) -> Callable[..., bool]:
    """Compare the defaults of numbers and times as helpers do: else they become operations that are left out again."""
    is_same = Reflection.of(database).is_same_default

    def differ(existing: Any, model: Any, wanted_text: str | None, existing_text: str | None) -> bool:
        found = bool(compare(existing, model, wanted_text, existing_text))
        both = wanted_text and existing_text and isinstance(existing.type, (sa.Integer, sa.Numeric, sa.DateTime))
        return found and not (both and is_same(str(existing_text), str(wanted_text)))

    return differ


def _asking(connection: Any, compare: Callable[..., Any]) -> Callable[..., bool]:
    """Compare defaults on the server, those with the same text once."""
    answers: dict[Any, bool] = {}

    def ask(*columns_and_defaults: Any) -> bool:
        try:
            with connection.begin_nested():
                return bool(compare(*columns_and_defaults))
        except StatementError:
            # The server refuses it, or its text has a parameter without a value.
            return True

    def differ(existing: Any, model: Any, wanted_text: str | None, existing_text: str | None) -> bool:
        if wanted_text == existing_text:
            # Alembic decides that without the server.
            return bool(compare(existing, model, wanted_text, existing_text))
        question = (type(existing.type), *_default_of(model), wanted_text, existing_text)
        if question not in answers:
            answers[question] = ask(existing, model, wanted_text, existing_text)
        return answers[question]

    return differ


def _default_of(column: sa.Column[Any]) -> tuple[Any, ...]:
    """Return what Alembic compares of the default of a column: equal for two if the server compares them in the same way."""
    default: Any = getattr(column.server_default, "arg", None)
    # Two expressions of one text may have parameters of different types.
    is_text = default is None or isinstance(default, (str, sa.TextClause))
    is_counted = column.primary_key and column is _sqlalchemy.counted_column(column.table)
    return type(default), str(default) if is_text else id(default), is_counted
