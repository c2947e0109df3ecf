"""Server defaults."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from safeops.databases.definitions import Table
from safeops.errors import InvalidArgument
from safeops.execution.inspect import check_has_columns, check_names, known, look, skipped
from safeops.execution.lock_retry import carry_out
from safeops.execution.migration import running
from safeops.naming import Name, call
from safeops.schema.columns import column_differences
from safeops.schema.refusals import GONE, is_gone


def set_server_default(table_name: str, column_name: str, default: Any, *, schema: str | None = None) -> bool:
    """The column has this server default, or none.

    Steps: looks at the column; sets or drops the default in one brief statement. Rows that stand keep their values.

    Args:
        table_name: The table.
        column_name: The column.
        default: As ``server_default`` in ``op.alter_column``: a string is a value, ``sa.text("now()")`` an expression;
            None removes it.
        schema: The schema of the table.

    Returns:
        True if it was changed, False if it was as asked.

    Raises:
        UnknownTable: There is no such table.
        UnknownColumn: There is no such column.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL ALGORITHM=INSTANT; SQLite rebuilds the table.

    Running it again: nothing is left to do.

    Offline: ``ALTER COLUMN ... SET DEFAULT``, which is the same a second time.

    Example:
        set_server_default("users", "active", sa.text("true"))
    """
    right = call("set_server_default", table_name, column_name, default, schema=schema)
    with running("set_server_default") as migration:
        check_names(migration, right, table_name=table_name, column_name=column_name, schema=schema)
        if default is not None and not isinstance(default, (str, sa.FetchedValue, sa.sql.ClauseElement)):
            raise InvalidArgument(
                f"The default is {default!r}, not a string, an expression or None.",
                why="A server default is SQL: the server has to be able to read it.",
                remedy="Write a value as a string, or SQL:",
                code=call("set_server_default", table_name, column_name, str(default), schema=schema),
            )
        name = Name(table_name, schema)
        stands = look(migration, name)
        if is_gone(migration, stands, name, column_name):
            return skipped(f"the default of {name}.{column_name}", GONE)
        stands = known(migration, stands, name)
        check_has_columns(stands, [column_name])
        column = _column_like(name, column_name, stands, server_default=default)
        text = migration.database.default_text(column)
        if stands is not None:
            there = stands.columns[column_name]
            only = frozenset({"default"})
            if text == there.default or not column_differences(migration, stands, there, column, only=only):
                return skipped(f"the default of {name}.{column_name}", "it is as asked")
        return carry_out(migration, migration.database.ddl.set_default(name, column_name, text, stands))


def _column_like(name: Name, column: str, stands: Table | None, **changes: Any) -> sa.Column[Any]:
    """Return a column of the type that stands, so that only the changes differ."""
    there = stands.columns[column] if stands else None
    type_: Any = _Spelled(there.type) if there else sa.types.NullType()
    made: sa.Column[Any] = sa.Column(column, type_, nullable=there.nullable if there else True, **changes)
    sa.Table(name.name, sa.MetaData(), made, schema=name.schema)
    return made


class _Spelled(sa.types.UserDefinedType[Any]):
    """A type that is spelled as the server spells it."""

    cache_ok = True

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def get_col_spec(self, **kw: Any) -> str:
        return self.spelling
