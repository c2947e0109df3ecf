"""NOT NULL: proved under a weak lock, then set in a moment."""

from __future__ import annotations

from safeops.errors import UnsafeOperation
from safeops.execution.inspect import check_has_columns, check_names, known, look, look_into, skipped
from safeops.execution.lock_retry import carry_out
from safeops.execution.migration import running
from safeops.naming import Name, call
from safeops.schema import refusals
from safeops.schema.refusals import GONE, is_gone


def enforce_not_null(table_name: str, column_name: str, *, schema: str | None = None) -> bool:
    """The column is NOT NULL.

    Steps: looks at the column and for rows without a value; PostgreSQL 18: adds NOT NULL NOT VALID, validates it;
    PostgreSQL 14 to 17: adds a check for new rows, validates it, sets NOT NULL (which finds the proof and does not scan),
    drops the check; MariaDB and MySQL: one online ALTER; SQLite: rebuilds the table.

    Args:
        table_name: The table.
        column_name: The column.
        schema: The schema of the table.

    Returns:
        True if it was made NOT NULL, or an interrupted run was completed; False if it was so.

    Raises:
        UnknownTable: There is no such table.
        UnknownColumn: There is no such column.
        ViolatingRows: Rows have NULL there.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, and SHARE UPDATE EXCLUSIVE for the scan; MariaDB and MySQL
    ALGORITHM=INPLACE, LOCK=NONE; SQLite the file for the rebuild.

    Running it again: goes on after the last finished step.

    Offline: the steps of PostgreSQL 14 to 17, guarded; a row without a value makes the validation fail. ``OnlineOnly`` on
    MariaDB, MySQL and SQLite, where the whole column has to be repeated.

    Example:
        enforce_not_null("users", "email")
    """
    right = call("enforce_not_null", table_name, column_name, schema=schema)
    with running("enforce_not_null") as migration:
        check_names(migration, right, table_name=table_name, column_name=column_name, schema=schema)
        name = Name(table_name, schema)
        stands = look(migration, name)
        if is_gone(migration, stands, name, column_name):
            return skipped(f"NOT NULL of {name}.{column_name}", GONE)
        stands = known(migration, stands, name)
        check_has_columns(stands, [column_name])
        takes_null = stands is not None and stands.columns[column_name].nullable
        offenders = refusals.nulls(migration, stands, column_name) if stands and takes_null else None
        if stands is not None and offenders is not None:
            refusals.refuse(migration, stands, offenders)
        plan = migration.database.ddl.set_not_null(name, column_name, stands)
        changed = carry_out(migration, plan, refusals.explained_by(migration, stands, offenders))
        return changed or skipped(f"NOT NULL of {name}.{column_name}", "it is there")


def relax_not_null(table_name: str, column_name: str, *, schema: str | None = None) -> bool:
    """The column takes NULL.

    Steps: looks at the column; drops NOT NULL in one brief statement.

    Args:
        table_name: The table.
        column_name: The column.
        schema: The schema of the table.

    Returns:
        True if it was changed, False if it takes NULL already.

    Raises:
        UnknownTable: There is no such table.
        UnknownColumn: There is no such column.
        UnsafeOperation: The column is part of the primary key.
        DependentObjects: The column is in the replica identity of the table.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL ALGORITHM=INSTANT or INPLACE; SQLite rebuilds the table.

    Running it again: nothing is left to do.

    Offline: ``DROP NOT NULL``, which is the same a second time; ``OnlineOnly`` on MariaDB, MySQL and SQLite.

    Example:
        relax_not_null("users", "email")
    """
    right = call("relax_not_null", table_name, column_name, schema=schema)
    with running("relax_not_null") as migration:
        check_names(migration, right, table_name=table_name, column_name=column_name, schema=schema)
        name = Name(table_name, schema)
        stands = look(migration, name)
        if is_gone(migration, stands, name, column_name):
            return skipped(f"NOT NULL of {name}.{column_name}", GONE)
        stands = known(migration, stands, name)
        check_has_columns(stands, [column_name])
        if (
            stands is not None
            and stands.columns[column_name].nullable
            and not migration.database.ddl.has_unfinished_not_null(stands, column_name)
        ):
            return skipped(f"NOT NULL of {name}.{column_name}", "it is not there")
        if stands is not None and column_name in stands.primary_key:
            refuse_key(name, column_name)
        if stands is not None:
            look_into(migration, name, lambda: migration.database.dependents.check_takes_null(stands, column_name))
        return carry_out(migration, migration.database.ddl.drop_not_null(name, column_name, stands))


def refuse_key(name: Name, column: str) -> None:
    """Say that a column of the primary key cannot take NULL."""
    raise UnsafeOperation(
        f"{name}.{column} is part of the primary key, so it cannot take NULL.",
        remedy="Drop the key first, if that is what you mean:",
        code=call("drop_constraint_if_exists", f"{name.name}_pkey", name.name, type_="primary", schema=name.schema),
    )
