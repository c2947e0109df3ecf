"""Columns of a type that has rules of its own, which the server checks on every row."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from safeops.databases import sqltext
from safeops.databases.definitions import Table
from safeops.execution.inspect import look_into
from safeops.execution.migration import Migration
from safeops.naming import Name, call, fitting
from safeops.schema.refusals import refuse_unless_assured

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
