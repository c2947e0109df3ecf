"""The type of a column, where changing it rewrites and scans nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops.databases.definitions import Table
from safeops.errors import DependentObjects, InvalidArgument, UnsafeOperation
from safeops.execution.inspect import check_has_columns, check_names, known, look, look_into, skipped
from safeops.execution.lock_retry import carry_out
from safeops.execution.migration import Migration, running
from safeops.execution.replication import note_subscribers
from safeops.naming import Code, Name, call, written_type
from safeops.schema.columns import column_differences
from safeops.schema.refusals import GONE, is_gone, refuse_unless_assured
from safeops.schema.types import instead_of_domain

IN_PLACE = "It belongs to a key or to the partitioning: only one statement can change its type. If writes may wait:"


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
        DependentObjects: A view, a generated column, a foreign key or the like uses it, and the server refuses.
        UnsafeOperation: It would rewrite or scan rows; the message shows the ``TypeChange`` that does not.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly (a statement that a session prepared before and whose result has the column
    fails once, with "cached plan must not change result type"); MariaDB and MySQL ALGORITHM=INSTANT or INPLACE, LOCK=NONE;
    SQLite rebuilds the table.

    Running it again: nothing is left to do.

    Offline: ``OnlineOnly``: only the live table can tell whether it would be rewritten.

    Example:
        alter_column_type("users", "name", sa.String(200))      # from String(100)
    """
    right = call("alter_column_type", table_name, column_name, Code("sa.String(200)"), schema=schema)
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
        stands = look(migration, name)
        if is_gone(migration, stands, name, column_name):
            return skipped(f"the type of {name}.{column_name}", GONE)
        stands = known(migration, stands, name)
        check_has_columns(stands, [column_name])
        assert stands is not None
        column: sa.Column[Any] = sa.Column(column_name, type_)
        sa.Table(name.name, sa.MetaData(), column, schema=name.schema)
        only = frozenset({"type", "collation"})
        if not column_differences(migration, stands, stands.columns[column_name], column, only=only):
            return skipped(f"the type of {name}.{column_name}", "it is as asked")
        look_into(migration, name, lambda: migration.database.safety.check_type_change(column, stands))
        change = f"{call('TypeChange', table_name, column_name, written_type(type_), schema=schema)}.expand()"
        _refuse_blocking(migration, stands, name, column, change)
        note_subscribers(migration, stands, f"a subscriber stops at a value that its {column_name} does not take.")
        explain = _explained(migration, stands, name, column_name, change)
        return carry_out(migration, migration.database.ddl.alter_type(name, column, stands), explain)


def _is_type(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, sa.types.TypeEngine)


def _refuse_blocking(migration: Migration, stands: Table, name: Name, column: sa.Column[Any], change: str) -> None:
    """Raise UnsafeOperation where the server would rewrite or scan rows for the new type."""
    database = migration.database
    why = look_into(migration, name, lambda: database.safety.type_refusal(column, stands))
    if not why or not look_into(migration, name, lambda: database.has_rows(stands)):
        return
    words, code = instead_of_domain(migration, name, column)
    in_place = look_into(migration, name, lambda: database.safety.type_in_place(column, stands))
    if in_place:
        words, code = IN_PLACE, in_place
    refuse_unless_assured(
        f"{name}.{column.name} is {stands.columns[str(column.name)].type}; making it"
        f" {database.type_text(column.type)} would block: {why}.",
        "",
        words or "Change it over several deploys, which blocks nobody:",
        code or change,
    )


def refuse_in_place_only(migration: Migration, stands: Table, name: Name, column: str, type_: Any) -> None:
    """Raise UnsupportedOnDatabase for a column of which this server makes no second one of another type."""
    database, wanted = migration.database, sa.Column(column, type_)
    sa.Table(name.name, sa.MetaData(), wanted, schema=name.schema)
    in_place = look_into(migration, name, lambda: database.safety.type_in_place(wanted, stands))
    if in_place:
        what = f"Another type for {name}.{column} over several deploys"
        raise database.unsupported(what, "PostgreSQL", IN_PLACE, in_place)


def _explained(
    migration: Migration, stands: Table, name: Name, column: str, change: str
) -> Callable[[DBAPIError], Any]:
    """Return what turns the server's refusal to change a type into an error that teaches."""

    def explain(error: DBAPIError) -> DependentObjects | UnsafeOperation | None:
        if migration.database.errors.is_unconvertible(error):
            return UnsafeOperation(
                f"{migration.database.product} does not change {name}.{column} to that type:"
                f" {' '.join(str(error.orig).split())}",
                remedy="Say how a value is converted, over several deploys:",
                code=change,
            )
        dependents = look_into(
            migration, name, lambda: migration.database.dependents.dependents_on_type(stands, column)
        )
        if not dependents:
            return None
        listed = "".join(f"\n  - {one}" for one in dependents)
        return DependentObjects(
            f"Cannot change the type of {name}.{column}, because others depend on it:{listed}",
            why=f"The server says: {' '.join(str(error.orig).split())}",
            remedy="Drop them first, and create them again afterwards.",
        )

    return explain
