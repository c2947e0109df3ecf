"""Named types: enums. On a database without named types there is nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
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


def _shown(values: Any, enum_name: Any) -> list[str]:
    """Return the values of a call for messages, or an example if they are not strings."""
    given = [values] if isinstance(values, str) else values
    is_list = isinstance(given, Sequence) and given and all(isinstance(one, str) and one for one in given)
    return list(dict.fromkeys(given)) if is_list else [f"first value of {enum_name}", f"second value of {enum_name}"]


@helper(
    Said("creates type {0}", "No table is locked.", noun="type"),
    "type {type}",
    example={"values": lambda given: _shown(given["values"], given["enum_name"])},
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
        if_different: "raise" or "keep": what to do if a type of that name has other values. Additional values in the
            same order do not count as a difference: later revisions may have added them.

    Returns:
        True if it was created, False if it already existed as requested, or the server has no named types.

    Raises:
        DefinitionMismatch: It has other values, or another order.

    Locks: none on tables.

    Running it again: does nothing.

    Offline: guarded by a query of the catalogue.

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
    """Return the name of the helper's type and its values; None if it does not exist or cannot be inspected."""
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

    Steps: inspects the type; adds the value outside a transaction, so it can be used immediately.

    Args:
        enum_name: The type.
        value: The value.
        before: The existing value to insert it before. Pass at most one of ``before`` and ``after``; the default is the end.
        after: The existing value to insert it after.
        schema: The schema of the type.

    Returns:
        True if it was added, False if it already existed, or the server has no named types.

    Raises:
        UnknownType: The type does not exist.
        InvalidArgument: The type has no value ``before`` or ``after``.

    Locks: none on tables. PostgreSQL cannot drop a value: leave it in ``downgrade()``.

    Running it again: does nothing.

    Offline: ``ADD VALUE IF NOT EXISTS``.

    Example:
        add_enum_value_if_missing("mood", "great", after="happy")
    """
    if before is not None and after is not None:
        raise InvalidArgument(
            "Both before and after were given.",
            remedy="Pass at most one of them:",
            code=call("add_enum_value_if_missing", enum_name, value, after=after, schema=schema),
        )
    name, existing = _named_type(migration)
    if existing is None and not migration.offline:
        raise unknown_type(migration, name)
    if existing is not None and value in existing:
        why = f"it already exists{_elsewhere(existing, value, before, after)}"
        return skipped(f"value {value!r} of {migration.about}", why)
    neighbour = before or after
    if existing is not None and neighbour is not None and neighbour not in existing:
        raise InvalidArgument(
            f"Type {name} has no value {neighbour!r}.",
            remedy=f"{nearest(neighbour, existing, 'values')} Write:",
            code=_beside(enum_name, value, existing, before, after, schema),
        )
    return execute(migration, migration.database.ddl.add_enum_value(name, value, before, after))


def _beside(
    enum_name: str, value: str, existing: Sequence[str], before: str | None, after: str | None, schema: str | None
) -> str:
    """Write the call that adds a value, with the existing value that is most like the given one."""
    near = next(iter(get_close_matches(before or after or "", existing, n=1, cutoff=0)), None)
    place = {"before": near} if before else {"after": near}
    return call("add_enum_value_if_missing", enum_name, value, **place, schema=schema)


def _elsewhere(existing: Sequence[str], value: str, before: str | None, after: str | None) -> str:
    """Describe the place of an existing value if it is not the requested place; the server cannot move it."""
    place = existing.index(value)
    neighbours = (existing[place + 1] if place + 1 < len(existing) else None, existing[place - 1] if place else None)
    if (before is None or neighbours[0] == before) and (after is None or neighbours[1] == after):
        return ""
    return f", but not {'before' if before else 'after'} {before or after!r}: the values are {', '.join(existing)}"


def unknown_type(migration: Migration, name: Name, values: Sequence[str] = ()) -> UnknownType:
    return UnknownType(
        f"There is no type {name}.",
        remedy=f"{nearest(name.name, migration.database.types.enum_names(name.schema), 'types')} Or create it first:",
        code=call("create_enum_if_missing", name.name, _shown(values, name.name), schema=name.schema),
        about=(name.name,),
    )


@helper(Said("drops type {0}", "Refused if a column uses it.", noun="type"), "type {type}")
def drop_enum_if_exists(migration: HelperCall, enum_name: str, *, schema: str | None = None) -> bool:
    """The named type does not exist.

    Steps: looks for the type and what uses it; drops it.

    Args:
        enum_name: The type.
        schema: The schema of the type.

    Returns:
        True if it was dropped, False if it did not exist, or the server has no named types.

    Raises:
        DependentObjects: A column or a function uses it.

    Locks: none on tables.

    Running it again: does nothing.

    Offline: ``DROP TYPE IF EXISTS``.

    Example:
        drop_enum_if_exists("mood")
    """
    name, existing = _named_type(migration)
    if not migration.offline:
        if existing is None:
            return migration.skip("it does not exist")
        refuse_dependents(migration.about, migration.database.dependents.dependents_of_enum(name))
    explain = explained_dependents(migration, migration.about)
    return execute(migration, migration.database.ddl.drop_enum(name), explain)


def create_enum(migration: Migration, enum: sa.Enum) -> list[str]:
    """Create the type of a column if it is missing and the models create it; return what was created."""
    if not getattr(enum, "create_type", True) or existing_enum(migration, enum) is not None:
        return []
    name = Name(str(enum.name), enum.schema)
    execute(migration, migration.database.ddl.create_enum(name, list(enum.enums)))
    return [f"created type {name}"]


def existing_enum(migration: Migration, enum: sa.Enum) -> tuple[str, ...] | None:
    """Return the values of an existing type; None if it does not exist, and offline."""
    return _look(migration, Name(str(enum.name), enum.schema))


def enum_of(type_: Any) -> sa.Enum | None:
    """Return the enum that a type is, or that its elements have."""
    type_ = getattr(type_, "item_type", type_)
    while isinstance(type_, sa.types.TypeDecorator):
        type_ = type_.impl_instance
    return type_ if isinstance(type_, sa.Enum) and type_.name and type_.native_enum else None


NONE = ("", "")


def instead_of_domain(migration: Migration, name: Name, column: sa.Column[Any]) -> tuple[str, str]:
    """Return in words and as code how a column keeps the constraints of its domain without a rewrite.

    Both are empty if the type of the column is not a domain, or a domain without constraints.
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
        f"This type cannot be added without a rewrite. Use the type {domain.base}, in the models too, and add the"
        " constraints of the domain to the column:"
    )
    return words, "\n".join((code if domain.checks else []) + (required if domain.required else []))


def refuse_domain(migration: Migration, name: Name, column: sa.Column[Any], table: Table) -> None:
    """Raise UnsafeOperation if the server would check each existing row against the domain of a new column."""
    words, code = instead_of_domain(migration, name, column)
    if not words:
        return
    why = look_into(migration, name, lambda: migration.database.safety.column_refusal(column, table))
    if why:
        refuse_unless_assured(f"Adding column {name}.{column.name} would block: {why}.", "", words, code)
