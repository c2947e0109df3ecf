"""The names of indexes and constraints, settled once: what the server will keep is what every step looks for."""

from __future__ import annotations

from typing import Any, TypeVar

import sqlalchemy as sa

from safeops import _sqlalchemy
from safeops.execution.inspect import check_name
from safeops.execution.migration import Migration
from safeops.naming import Name, fitting

Named = TypeVar("Named", bound=Any)

_SUFFIXES = {sa.ForeignKeyConstraint: "fkey", sa.UniqueConstraint: "key", sa.CheckConstraint: "check"}


def settle_name(migration: Migration, thing: Named, right: str = "") -> Named:
    """Give a thing the plain name that the server will keep; raise InvalidArgument where the author's own is too long.

    SQLAlchemy cuts the names that it generates when it renders them, and the server cuts what is still too long: asked by
    its uncut name, the thing would not be found again.
    """
    if not isinstance(thing.name, str):
        return thing
    if not _sqlalchemy.is_generated_name(thing.name):
        check_name(migration, "index name" if isinstance(thing, sa.Index) else "constraint name", thing.name, right)
        return thing
    database = migration.database
    name = _sqlalchemy.generated_name(thing, database.dialect)
    thing.name = (
        name if database.abilities.counts_letters else fitting(name, max_bytes=database.abilities.max_identifier)
    )
    return thing


def settle_names(migration: Migration, table: sa.Table, right: str) -> None:
    """Settle the names of all that a table was given, without the checks that its types bring for other databases."""
    for check in [one for one in table.constraints if isinstance(one, sa.CheckConstraint)]:
        # Boolean and Enum bring one for where there is no such type.
        if not _sqlalchemy.is_for_dialect(check, migration.context.impl):
            table.constraints.discard(check)
    for thing in (*table.indexes, *table.constraints):
        settle_name(migration, thing, right)


def named(constraint: Any, name: Name) -> Any:
    """Name a constraint that has no name as PostgreSQL would, on every database."""
    if not isinstance(constraint.name, str):
        suffix = _SUFFIXES.get(type(constraint), "excl")
        columns = [column.name for column in constraint.columns]
        constraint.name = fitting(name.name, *columns, suffix, max_bytes=63)
    return constraint
