"""Named types of the models, compared with those of the database."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import util
from alembic.autogenerate import comparators
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import to_list
from sqlalchemy.engine import Dialect

from safeops.autogenerate.operations import AddEnumValue, CreateEnum
from safeops.databases import database_for
from safeops.errors import UnsupportedOnDatabase
from safeops.naming import Name

log = logging.getLogger("safeops.autogenerate")

Types = dict[Name, sa.Enum]


def register() -> None:
    """Register with Alembic, to run when it has compared the tables."""
    # From 1.18 on there are priorities; before, what is registered later runs later.
    ranks: Any = getattr(util, "DispatchPriority", None)
    comparators.dispatch_for("schema", **({"priority": ranks.LAST} if ranks else {}))(compare)


def compare(context: AutogenContext, upgrade_ops: ops.UpgradeOps, _schemas: Any) -> None:
    """Add what creates named types and their values, before anything uses them."""
    connection = context.connection
    if connection is None:
        return
    try:
        database = database_for(context.dialect, lambda: connection)
    except UnsupportedOnDatabase:
        return
    if database.has_named_types:
        wanted = types_of(to_list(context.metadata, []), context.dialect, context)
        found = [one for name, enum in wanted.items() for one in _missing(name, enum, database.enum(name))]
        upgrade_ops.ops[:0] = found


def _missing(name: Name, enum: sa.Enum, stands: Sequence[str] | None) -> Iterator[ops.MigrateOperation]:
    values = list(enum.enums)
    if stands is None:
        yield CreateEnum(name.name, values, schema=name.schema)
        return
    _warn(name, values, stands)
    for place, value in enumerate(values):
        if value in stands:
            continue
        before = None if place else next((one for one in values if one in stands), None)
        after = values[place - 1] if place else None
        yield AddEnumValue(name.name, value, before=before, after=after, schema=name.schema)


def _warn(name: Name, values: Sequence[str], stands: Sequence[str]) -> None:
    removed = [one for one in stands if one not in values]
    if removed:
        log.warning("type %s keeps %s, which the models lack: the server cannot take a value back", name, removed)
    if [one for one in stands if one in values] != [one for one in values if one in stands]:
        log.warning("type %s has its values in the order %s, which the server cannot change", name, list(stands))


def types_of(metadatas: Sequence[sa.MetaData], dialect: Dialect, context: AutogenContext | None = None) -> Types:
    """Return the named types of models that are theirs to create, in the order of their tables."""
    found: Types = {}
    for metadata in metadatas:
        tables = [one for one in metadata.sorted_tables if context is None or _is_compared(context, one, "table")]
        columns = [column for table in tables for column in table.columns]
        compared = [one for one in columns if context is None or _is_compared(context, one, "column")]
        for type_ in (*(column.type for column in compared), *_of_no_table(metadata, dialect)):
            enum = enum_of(type_, dialect)
            # SQLAlchemy 2.0 forgets the flag when it adapts the type to a dialect.
            own = getattr(type_, "item_type", type_)
            if enum is not None and all(getattr(one, "create_type", True) for one in (own, enum)):
                found.setdefault(_name_of(enum), enum)
    return found


def enum_of(type_: Any, dialect: Dialect) -> sa.Enum | None:
    """Return the named type that a column is of, or that its elements are of; None where it is of no named type."""
    own = type_.dialect_impl(dialect)
    while isinstance(own, sa.types.TypeDecorator):
        own = own.impl_instance
    if isinstance(own, sa.ARRAY):
        return enum_of(own.item_type, dialect)
    return own if isinstance(own, sa.Enum) and own.name and own.native_enum else None


def _name_of(enum: sa.Enum) -> Name:
    return Name(str(enum.name), enum.schema or None)


def _is_compared(context: AutogenContext, thing: Any, kind: Any) -> bool:
    return context.run_object_filters(thing, thing.name, kind, False, None)


def _of_no_table(metadata: sa.MetaData, dialect: Dialect) -> Iterator[sa.Enum]:
    """Go through the types that belong to the metadata itself and that no column is of."""
    columns = (column for table in metadata.tables.values() for column in table.columns)
    used = {_name_of(enum) for column in columns if (enum := enum_of(column.type, dialect))}
    for listener in metadata.dispatch.before_create:
        owner = getattr(listener, "target", None) or getattr(listener, "__self__", None)
        enum = enum_of(owner, dialect) if isinstance(owner, sa.Enum) else None
        if enum is not None and _name_of(enum) not in used:
            yield enum
