"""The types of a type change: whether they are any, whether the column has its type, and whether one step would do."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from safeops.databases.definitions import Table
from safeops.errors import InvalidArgument
from safeops.execution.inspect import look_into
from safeops.execution.migration import Migration
from safeops.naming import call, written_type
from safeops.schema.columns import column_differences


def check_type(value: Any) -> None:
    """Raise InvalidArgument for what is no type."""
    engine = sa.types.TypeEngine
    if not (isinstance(value, engine) or (isinstance(value, type) and issubclass(value, engine))):
        raise InvalidArgument(
            f"The type is {value!r}, not a SQLAlchemy type.",
            remedy="Write:",
            code='TypeChange("orders", "id", sa.BigInteger()).expand()',
        )


def check_sql(argument: str, value: Any, column: str) -> None:
    """Raise InvalidArgument for what is no SQL, where any is given."""
    if value is not None and not (isinstance(value, str) and value.strip()):
        code = f'{argument}="CAST({column} AS ...)"'
        raise InvalidArgument(f"{argument} is {value!r}, not SQL.", remedy="Write:", code=code)


def has_type(migration: Migration, stands: Table, name: str, type_: sa.types.TypeEngine[Any]) -> bool:
    """Tell whether a column has a type already."""
    column = _column(stands, name, type_)
    only = frozenset({"type", "collation"})
    return not column_differences(migration, stands, stands.columns[name], column, only=only)


def refuse_needless(
    migration: Migration, stands: Table, name: str, type_: sa.types.TypeEngine[Any], schema: str | None
) -> None:
    """Raise InvalidArgument where the change needs no rewrite, so that one step does it."""
    database, column = migration.database, _column(stands, name, type_)
    if database.abilities.rewrites_for_types:
        return
    if look_into(migration, stands.name, lambda: database.safety.type_refusal(column, stands)) is None:
        raise InvalidArgument(
            f"{stands.name}.{name} becomes {database.type_text(type_)} without a rewrite.",
            why="The server changes it in a moment, so that no second column is needed.",
            remedy="Do it in one step:",
            code=call("alter_column_type", stands.name.name, name, written_type(type_), schema=schema),
        )


def _column(stands: Table, name: str, type_: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    column: sa.Column[Any] = sa.Column(name, type_)
    sa.Table(stands.name.name, sa.MetaData(), column, schema=stands.name.schema)
    return column
