"""Named types: enums. On a database without them there is nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from safeops.databases import sqltext
from safeops.databases.definitions import Difference, Table
from safeops.errors import InvalidArgument, UnknownType
from safeops.execution.helper import HelperCall, Said, Skip, helper
from safeops.execution.inspect import check_name, look_into, skipped
from safeops.execution.lock_retry import execute, with_lock_retry
from safeops.execution.migration import Migration
from safeops.naming import Name, call, fitting, nearest
from safeops.schema.refusals import (
    KEEP_OR_RAISE,
    check_schema,
    explained_dependents,
    keep_or_raise,
    refuse_dependents,
    refuse_unless_assured,
)


@helper(
    Said("creates type {0}", "No table is locked.", noun="type"),
    "type {type}",
    example={"values": ["sad", "ok"]},
    choices={"if_different": KEEP_OR_RAISE},
)
def create_enum_if_missing(
    migration: HelperCall,
    enum_name: str,
    values: Sequence[str],
    *,
    schema: str | None = None,
    if_different: str = "raise",
) -> bool:
    """The named type exists with these values in this order.

    Steps: looks for the type; creates it.

    Args:
        enum_name: The type.
        values: Its values, in order.
        schema: The schema of the type.
        if_different: "raise" or "keep": what to do where a type of that name has other values. Values that it has beyond
            those asked for, in the same order, are no difference: later revisions may have added them.

    Returns:
        True if it was created, False if it was there as asked, or the server has no named types.

    Raises:
        DefinitionMismatch: It has other values, or another order.

    Locks: none on tables.

    Running it again: nothing is left to do.

    Offline: guarded by a look into the catalogue.

    Example:
        create_enum_if_missing("mood", ["sad", "ok", "happy"])
    """
    _check_values(migration, values, migration.right)
    name, existing = _named_type(migration)
    if existing is not None:
        in_order = [value for value in existing if value in values] == list(values)
        found = [] if in_order else [Difference("values", existing, tuple(values))]
        return keep_or_raise(migration.about, found, if_different)
    check_schema(migration, name, migration.right)
    return execute(migration, migration.database.ddl.create_enum(name, values))


def _check_values(migration: Migration, values: Any, example: str) -> None:
    if isinstance(values, str) or not isinstance(values, Sequence) or not values or len(set(values)) < len(values):
        raise InvalidArgument(
            f"The values are {values!r}, not a list of different strings.", remedy="Write:", code=example
        )
    for value in values:
        check_name(migration, "value", value, example)


def _look(migration: Migration, name: Name) -> tuple[str, ...] | None:
    if migration.offline:
        return None
    return with_lock_retry(migration, f"looked at type {name}", lambda: migration.database.types.enum(name))


def _named_type(migration: HelperCall) -> tuple[Name, tuple[str, ...] | None]:
    """Return the name of the helper's type and its values; None if it is absent, or nobody can look."""
    name = Name(migration.given["enum_name"], migration.given["schema"])
    if not migration.database.abilities.has_named_types:
        raise Skip(migration.about, f"{migration.database.product} has no named types")
    return name, _look(migration, name)


@helper(Said("adds value {1} to type {0}", "No table is locked.", noun="value"), "type {type}")
def add_enum_value_if_missing(
    migration: HelperCall,
    enum_name: str,
    value: str,
    *,
    before: str | None = None,
    after: str | None = None,
    schema: str | None = None,
) -> bool:
    """The named type has the value.

    Steps: looks at the type; adds the value outside a transaction, so that it can be used at once.

    Args:
        enum_name: The type.
        value: The value.
        before: The value before which it stands; at most one of ``before`` and ``after``, at the end without both.
        after: The value after which it stands.
        schema: The schema of the type.

    Returns:
        True if it was added, False if it was there, or the server has no named types.

    Raises:
        UnknownType: There is no such type.
        InvalidArgument: The type has no value ``before`` or ``after``.

    Locks: none on tables. PostgreSQL cannot take a value back: ``downgrade()`` leaves it, which harms nothing.

    Running it again: nothing is left to do.

    Offline: ``ADD VALUE IF NOT EXISTS``.

    Example:
        add_enum_value_if_missing("mood", "great", after="happy")
    """
    if before is not None and after is not None:
        raise InvalidArgument("Both before and after were given.", remedy="Give at most one:", code=migration.right)
    name, existing = _named_type(migration)
    if existing is None and not migration.offline:
        raise unknown_type(migration, name)
    if existing is not None and value in existing:
        why = f"it is there{_elsewhere(existing, value, before, after)}"
        return skipped(f"value {value!r} of {migration.about}", why)
    neighbour = before or after
    if existing is not None and neighbour is not None and neighbour not in existing:
        raise InvalidArgument(
            f"Type {name} has no value {neighbour!r}.",
            remedy=nearest(neighbour, existing, "values"),
            code=migration.right,
        )
    return execute(migration, migration.database.ddl.add_enum_value(name, value, before, after))


def _elsewhere(existing: Sequence[str], value: str, before: str | None, after: str | None) -> str:
    """Say where a value stands that does not stand where it was asked for; the server cannot move it."""
    place = existing.index(value)
    neighbours = (existing[place + 1] if place + 1 < len(existing) else None, existing[place - 1] if place else None)
    if (before is None or neighbours[0] == before) and (after is None or neighbours[1] == after):
        return ""
    return f", but not {'before' if before else 'after'} {before or after!r}: the values are {', '.join(existing)}"


def unknown_type(migration: Migration, name: Name) -> UnknownType:
    return UnknownType(
        f"There is no type {name}.",
        remedy=f"{nearest(name.name, migration.database.types.enum_names(name.schema), 'types')} Or create it first:",
        code=call("create_enum_if_missing", name.name, ["..."], schema=name.schema),
        about=(name.name,),
    )


@helper(Said("drops type {0}", "Refused while a column has it.", noun="type"), "type {type}")
def drop_enum_if_exists(migration: HelperCall, enum_name: str, *, schema: str | None = None) -> bool:
    """The named type does not exist.

    Steps: looks for the type and what uses it; drops it.

    Args:
        enum_name: The type.
        schema: The schema of the type.

    Returns:
        True if it was dropped, False if it was not there, or the server has no named types.

    Raises:
        DependentObjects: A column or a function uses it.

    Locks: none on tables.

    Running it again: nothing is left to do.

    Offline: ``DROP TYPE IF EXISTS``.

    Example:
        drop_enum_if_exists("mood")
    """
    name, existing = _named_type(migration)
    if not migration.offline:
        if existing is None:
            return migration.skip("it is not there")
        refuse_dependents(migration.about, migration.database.dependents.dependents_of_enum(name))
    explain = explained_dependents(migration, migration.about)
    return execute(migration, migration.database.ddl.drop_enum(name), explain)


def create_enum(migration: Migration, enum: sa.Enum) -> list[str]:
    """Create the type of a column if it is missing and the models are to create it; say so."""
    if not getattr(enum, "create_type", True) or enum_stands(migration, enum) is not None:
        return []
    name = Name(str(enum.name), enum.schema)
    execute(migration, migration.database.ddl.create_enum(name, list(enum.enums)))
    return [f"created type {name}"]


def enum_stands(migration: Migration, enum: sa.Enum) -> tuple[str, ...] | None:
    """Return the values of a type as it stands; None where there is none, and offline."""
    return _look(migration, Name(str(enum.name), enum.schema))


def enum_of(type_: Any) -> sa.Enum | None:
    """Return the enum that a type is, or that its elements are of."""
    type_ = getattr(type_, "item_type", type_)
    while isinstance(type_, sa.types.TypeDecorator):
        type_ = type_.impl_instance
    return type_ if isinstance(type_, sa.Enum) and type_.name and type_.native_enum else None


NONE = ("", "")


def instead_of_domain(migration: Migration, name: Name, column: sa.Column[Any]) -> tuple[str, str]:
    """Return in words and as code how a column keeps the rules of its domain without a rewrite.

    Both are empty where the type of the column is no domain, or one without rules.
    """
    domain = look_into(migration, name, lambda: migration.database.types.domain(column.type))
    if domain is None or not domain.has_rules:
        return NONE
    own, quoted = str(column.name), migration.database.quoted(str(column.name))
    condition = " AND ".join(sqltext.with_word(check, "VALUE", quoted) for check in domain.checks)
    check = fitting("ck", name.name, own, max_bytes=migration.database.abilities.max_identifier)
    code = [call("create_check_constraint_if_missing", check, name.name, condition, schema=name.schema)]
    required = [call("enforce_not_null", name.name, own, schema=name.schema)]
    words = (
        f"No column can get this type without a rewrite. Give it the type {domain.base}, in the models too, and have the"
        " column keep the rules of the domain:"
    )
    return words, "\n".join((code if domain.checks else []) + (required if domain.required else []))


def refuse_domain(migration: Migration, name: Name, column: sa.Column[Any], table: Table) -> None:
    """Raise UnsafeOperation where a new column would have the server check each existing row against its domain."""
    words, code = instead_of_domain(migration, name, column)
    if not words:
        return
    why = look_into(migration, name, lambda: migration.database.safety.column_refusal(column, table))
    if why:
        refuse_unless_assured(f"Adding column {name}.{column.name} would block: {why}.", "", words, code)
