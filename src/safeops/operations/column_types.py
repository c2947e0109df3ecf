"""The type of a column, where changing it rewrites and scans nothing."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from safeops.errors import InvalidArgument
from safeops.locking import carry_out
from safeops.migration import running
from safeops.naming import Code, Name, call
from safeops.operations.columns import column_differences
from safeops.operations.story import check_has_columns, check_names, look_at, look_into, refuse_unless_assured, skipped


def alter_column_type(table_name: str, column_name: str, type_: Any, *, schema: str | None = None) -> bool:
    """The column has this type; refused where the server would rewrite or scan the table for it.

    Steps: looks at the column; asks the server on an empty copy of the table whether the change rewrites anything;
    changes the type in one brief statement.

    Args:
        table_name: The table.
        column_name: The column.
        type_: The new type, as in ``op.alter_column``.
        schema: The schema of the table.

    Returns:
        True if it was changed, False if the column has the type.

    Raises:
        UnknownTable: There is no such table.
        UnknownColumn: There is no such column.
        UnsafeOperation: It would rewrite or scan the table; the message shows the ``TypeChange`` that does not.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly (a statement that a session prepared before and whose result has the column
    fails once, with "cached plan must not change result type"); MariaDB and MySQL ALGORITHM=INSTANT or INPLACE, LOCK=NONE; SQLite
    rebuilds the table.

    Running it again: nothing is left to do.

    Offline: ``OnlineOnly``: only the live table can tell whether it would be rewritten.

    Example:
        alter_column_type("users", "name", sa.String(200))      # from String(100)
    """
    right = call("alter_column_type", table_name, column_name, "sa.String(200)", schema=schema)
    with running("alter_column_type") as migration:
        check_names(migration, right, table_name=table_name, column_name=column_name, schema=schema)
        type_ = sa.types.to_instance(type_) if _is_type(type_) else type_
        if not isinstance(type_, sa.types.TypeEngine):
            raise InvalidArgument(f"The type is {type_!r}, not a SQLAlchemy type.", remedy="Write:", code=right)
        name = Name(table_name, schema)
        if migration.offline:
            raise migration.online_only(
                f"The type of {name}.{column_name}",
                "Only the live table can tell whether the change would rewrite it.",
            )
        stands = look_at(migration, name)
        check_has_columns(stands, [column_name])
        assert stands is not None
        column: sa.Column[Any] = sa.Column(column_name, type_)
        sa.Table(name.name, sa.MetaData(), column, schema=name.schema)
        only = frozenset({"type", "collation"})
        if not column_differences(migration, stands, stands.columns[column_name], column, only=only):
            return skipped(f"the type of {name}.{column_name}", "it is as asked")
        why = look_into(migration, name, lambda: migration.database.type_refusal(column, stands))
        if why:
            refuse_unless_assured(
                f"{name}.{column_name} is {stands.columns[column_name].type}; making it"
                f" {migration.database.type_text(type_)} would block: {why}.",
                "",
                "Change it over several deploys, which blocks nobody:",
                f"{call('TypeChange', table_name, column_name, _type_code(type_), schema=schema)}.expand()",
            )
        return carry_out(migration, migration.database.alter_type(name, column, stands))


def _is_type(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, sa.types.TypeEngine)


def _type_code(type_: Any) -> Any:
    return Code(f"sa.{type_!r}")
