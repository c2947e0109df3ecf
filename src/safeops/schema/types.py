"""Named types: enums. On a database without them there is nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from safeops.databases import sqltext
from safeops.databases.definitions import Difference, Table
from safeops.errors import InvalidArgument, UnknownType
from safeops.execution.inspect import check_choice, check_name, check_names, look_into, skipped
from safeops.execution.lock_retry import execute, with_lock_retry
from safeops.execution.migration import Migration, running
from safeops.naming import Name, call, fitting, nearest
from safeops.schema.refusals import (
    check_schema,
    explained_dependents,
    keep_or_raise,
    refuse_dependents,
    refuse_unless_assured,
)


def create_enum_if_missing(
    enum_name: str, values: Sequence[str], *, schema: str | None = None, if_different: str = "raise"
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
    right = call("create_enum_if_missing", enum_name, ["sad", "ok"], schema=schema)
    with running("create_enum_if_missing") as migration:
        check_names(migration, right, enum_name=enum_name, schema=schema)
        check_choice("if_different", if_different, ("raise", "keep"))
        _check_values(migration, values, right)
        name = Name(enum_name, schema)
        if not migration.database.abilities.has_named_types:
            return _no_named_types(migration, name)
        there = _look(migration, name)
        if there is not None:
            same = [value for value in there if value in values] == list(values)
            found = [] if same else [Difference("values", there, tuple(values))]
            return keep_or_raise(f"type {name}", found, if_different)
        check_schema(migration, name, right)
        return execute(migration, migration.database.ddl.create_enum(name, values))


def _check_values(migration: Migration, values: Any, right: str) -> None:
    if isinstance(values, str) or not isinstance(values, Sequence) or not values or len(set(values)) < len(values):
        raise InvalidArgument(
            f"The values are {values!r}, not a list of different strings.", remedy="Write:", code=right
        )
    for value in values:
        check_name(migration, "value", value, right)


def _look(migration: Migration, name: Name) -> tuple[str, ...] | None:
    if migration.offline:
        return None
    return with_lock_retry(migration, f"looked at type {name}", lambda: migration.database.types.enum(name))


def _no_named_types(migration: Migration, name: Name) -> bool:
    return skipped(f"type {name}", f"{migration.database.product} has no named types")


def add_enum_value_if_missing(
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
    right = call("add_enum_value_if_missing", enum_name, value, schema=schema)
    with running("add_enum_value_if_missing") as migration:
        check_names(migration, right, enum_name=enum_name, value=value, schema=schema)
        if before is not None and after is not None:
            raise InvalidArgument("Both before and after were given.", remedy="Give at most one:", code=right)
        name = Name(enum_name, schema)
        if not migration.database.abilities.has_named_types:
            return _no_named_types(migration, name)
        there = _look(migration, name)
        if there is None and not migration.offline:
            raise unknown_type(migration, name)
        if there is not None and value in there:
            return skipped(f"value {value!r} of type {name}", f"it is there{_elsewhere(there, value, before, after)}")
        neighbour = before or after
        if there is not None and neighbour is not None and neighbour not in there:
            raise InvalidArgument(
                f"Type {name} has no value {neighbour!r}.",
                remedy=nearest(neighbour, there, "values"),
                code=right,
            )
        return execute(migration, migration.database.ddl.add_enum_value(name, value, before, after))


def _elsewhere(there: Sequence[str], value: str, before: str | None, after: str | None) -> str:
    """Say where a value stands that does not stand where it was asked for; the server cannot move it."""
    place = there.index(value)
    neighbours = (there[place + 1] if place + 1 < len(there) else None, there[place - 1] if place else None)
    if (before is None or neighbours[0] == before) and (after is None or neighbours[1] == after):
        return ""
    return f", but not {'before' if before else 'after'} {before or after!r}: the values are {', '.join(there)}"


def unknown_type(migration: Migration, name: Name) -> UnknownType:
    return UnknownType(
        f"There is no type {name}.",
        remedy=f"{nearest(name.name, migration.database.types.enum_names(name.schema), 'types')} Or create it first:",
        code=call("create_enum_if_missing", name.name, ["..."], schema=name.schema),
    )


def drop_enum_if_exists(enum_name: str, *, schema: str | None = None) -> bool:
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
    right = call("drop_enum_if_exists", enum_name, schema=schema)
    with running("drop_enum_if_exists") as migration:
        check_names(migration, right, enum_name=enum_name, schema=schema)
        name = Name(enum_name, schema)
        if not migration.database.abilities.has_named_types:
            return _no_named_types(migration, name)
        if not migration.offline:
            if _look(migration, name) is None:
                return skipped(f"type {name}", "it is not there")
            refuse_dependents(f"type {name}", migration.database.dependents.dependents_of_enum(name))
        explain = explained_dependents(migration, f"type {name}")
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


def refuse_domain(migration: Migration, name: Name, column: sa.Column[Any], stands: Table) -> None:
    """Raise UnsafeOperation where a new column would have the server check each existing row against its domain."""
    words, code = instead_of_domain(migration, name, column)
    if not words:
        return
    why = look_into(migration, name, lambda: migration.database.safety.column_refusal(column, stands))
    if why:
        refuse_unless_assured(f"Adding column {name}.{column.name} would block: {why}.", "", words, code)
