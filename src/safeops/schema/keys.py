"""Unique and primary keys: the index is built online, and the constraint is made from it briefly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops.arguments import Keywords
from safeops.execution.helper import ONLINE, HelperCall, Said, helper, shown_columns
from safeops.execution.inspect import check_choice, check_columns
from safeops.schema.constraints import create
from safeops.schema.refusals import IF_DIFFERENT, KEEP_OR_RAISE


@helper(
    Said("makes {2} of {1} unique", f"Its index is built {ONLINE}.", kind="makes ... unique"),
    example={"columns": shown_columns},
    choices={"if_different": IF_DIFFERENT},
    keywords=Keywords(("comment", "info"), sa.UniqueConstraint),
)
def create_unique_constraint_if_missing(
    migration: HelperCall,
    /,
    constraint_name: str,
    table_name: str,
    columns: Sequence[str],
    *,
    schema: str | None = None,
    deferrable: bool | None = None,
    initially: str | None = None,
    if_different: str = "raise",
    **kw: Any,
) -> bool:
    """The table has the unique constraint.

    Steps: inspects the table; builds a unique index online; makes the constraint from it in a brief statement.

    Args:
        constraint_name: The name of the constraint and of its index.
        table_name: The table.
        columns: The columns, in order.
        schema: The schema of the table.
        deferrable: Whether the check can be deferred to the end of a transaction (PostgreSQL).
        initially: "DEFERRED" or "IMMEDIATE" (PostgreSQL).
        if_different: "raise", "keep" or "replace": what to do if the name is taken by another definition. "replace"
            builds the new index as ``safeops_new_<name>``, then exchanges the two in a brief statement; on MariaDB, MySQL
            and SQLite in one statement.
        **kw: As in ``op.create_unique_constraint``: ``postgresql_include``, ``postgresql_nulls_not_distinct``.

    Returns:
        True if it was added, False if it already existed as requested.

    Raises:
        UnknownTable: The table does not exist.
        UnknownColumn: The table has no such column.
        DefinitionMismatch: The name is taken by a constraint or an index of another definition.
        DuplicateRows: Several rows have the same values.
        UnsupportedOnDatabase: The server has no deferrable unique constraints.
        LockNotAcquired: The table stayed locked for the whole retry budget.

    Locks: PostgreSQL SHARE UPDATE EXCLUSIVE for the build, then ACCESS EXCLUSIVE, briefly (on a table without rows only
    that); MariaDB and MySQL ALGORITHM=INPLACE, LOCK=NONE; SQLite rebuilds the table.

    Running it again: restarts an interrupted build; makes the constraint from a finished index.

    Offline: ``CREATE INDEX ... IF NOT EXISTS``; the constraint is guarded by a query of the catalogue.

    Example:
        create_unique_constraint_if_missing("uq_users_email", "users", ["email"])
    """
    check_columns(migration, "columns", columns, migration.right)
    timing = initially.upper() if isinstance(initially, str) else initially
    check_choice("initially", timing, (None, "DEFERRED", "IMMEDIATE"))
    options = {"schema": schema, "deferrable": deferrable, "initially": initially, **kw}
    operation = ops.CreateUniqueConstraintOp(constraint_name, table_name, list(columns), **options)
    constraint = operation.to_constraint(migration.context)
    return create(migration, constraint, migration.name, if_different=if_different)


@helper(
    Said("makes {2} the primary key of {1}", f"Its index is built {ONLINE}."),
    changes={"nullable"},
    example={"columns": shown_columns},
    choices={"if_different": KEEP_OR_RAISE},
    keywords=Keywords(("comment", "deferrable", "info", "initially"), sa.PrimaryKeyConstraint),
)
def create_primary_key_if_missing(
    migration: HelperCall,
    /,
    constraint_name: str,
    table_name: str,
    columns: Sequence[str],
    *,
    schema: str | None = None,
    if_different: str = "raise",
    **kw: Any,
) -> bool:
    """The table has the primary key, and its columns are NOT NULL.

    Steps: inspects the table; makes the columns NOT NULL as ``enforce_not_null`` does; builds a unique index online;
    makes the key from it in a brief statement.

    Args:
        constraint_name: The name of the key and of its index. MariaDB, MySQL and SQLite do not keep it.
        table_name: The table.
        columns: The columns, in order.
        schema: The schema of the table.
        if_different: "raise" or "keep": what to do if the table has another primary key.
        **kw: As in ``op.create_primary_key``.

    Returns:
        True if it was added, False if it already existed as requested.

    Raises:
        UnknownTable: The table does not exist.
        UnknownColumn: The table has no such column.
        DefinitionMismatch: The table has another primary key, or the name is taken.
        DuplicateRows: Several rows have the same values.
        ViolatingRows: Rows have NULL in a column.
        LockNotAcquired: The table stayed locked for the whole retry budget.

    Locks: PostgreSQL as ``create_unique_constraint_if_missing`` and ``enforce_not_null``; MariaDB and MySQL rebuild the
    table with ALGORITHM=INPLACE, LOCK=NONE; SQLite rebuilds the table.

    Running it again: continues after the last finished step.

    Offline: as ``create_unique_constraint_if_missing``.

    Example:
        create_primary_key_if_missing("pk_events", "events", ["id"])
    """
    check_columns(migration, "columns", columns, migration.right)
    operation = ops.CreatePrimaryKeyOp(constraint_name, table_name, list(columns), schema=schema, **kw)
    constraint = operation.to_constraint(migration.context)
    return create(migration, constraint, migration.name, if_different=if_different)
