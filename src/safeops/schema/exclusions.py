"""Exclusion constraints: PostgreSQL alone has them, and no online way to add one."""

from __future__ import annotations

from typing import Any

from alembic.ddl.postgresql import CreateExcludeConstraintOp

from safeops.errors import InvalidArgument
from safeops.execution.inspect import check_names
from safeops.execution.migration import running
from safeops.naming import Name
from safeops.schema.constraints import create


def create_exclude_constraint_if_missing(
    constraint_name: str,
    table_name: str,
    *elements: tuple[Any, str],
    where: Any = None,
    schema: str | None = None,
    if_different: str = "raise",
    **kw: Any,
) -> bool:
    """The table has the exclusion constraint (PostgreSQL).

    PostgreSQL has no online way: it builds the index under ACCESS EXCLUSIVE, so that neither readers nor writers go on
    meanwhile. A table of more than 8 MiB is therefore refused outside ``assured(...)``.

    Steps: looks at the table and its size; adds the constraint in one statement.

    Args:
        constraint_name: The constraint.
        table_name: The table.
        *elements: Pairs of a column or expression and an operator, as in ``op.create_exclude_constraint``.
        where: The condition of a partial constraint.
        schema: The schema of the table.
        if_different: "raise", "keep" or "replace": what to do where a constraint of that name has another definition.
            "replace" drops the old one in the statement that adds the new one.
        **kw: ``using`` ("gist"), ``deferrable``, ``initially``, ``ops``.

    Returns:
        True if it was added, False if it was there as asked.

    Raises:
        UnsupportedOnDatabase: The server is not PostgreSQL.
        UnsafeOperation: The table is larger than 8 MiB.
        ViolatingRows: Rows exclude each other.
        DefinitionMismatch: The name is taken by a constraint of another definition.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE for as long as the build takes.

    Running it again: nothing is left to do.

    Offline: ``OnlineOnly``: the size of the table decides.

    Example:
        create_exclude_constraint_if_missing("ex_bookings", "bookings", ("room", "="), ("during", "&&"), using="gist")
    """
    right = (
        'create_exclude_constraint_if_missing("ex_bookings", "bookings", ("room", "="), ("during", "&&"), using="gist")'
    )
    with running("create_exclude_constraint_if_missing") as migration:
        check_names(migration, right, constraint_name=constraint_name, table_name=table_name, schema=schema)
        pairs = all(isinstance(one, tuple) and len(one) == 2 for one in elements)
        if not elements or not pairs:
            raise InvalidArgument(f"The elements are {elements!r}, not pairs.", remedy="Write:", code=right)
        if not migration.database.abilities.has_exclusion_constraints:
            raise migration.database.unsupported("An exclusion constraint", "PostgreSQL")
        if migration.offline:
            raise migration.online_only(
                f"Exclusion constraint {constraint_name}",
                "It blocks for as long as the table is large, so its size decides.",
            )
        operation = CreateExcludeConstraintOp(constraint_name, table_name, elements, where=where, schema=schema, **kw)
        return create(operation.to_constraint(migration.context), Name(table_name, schema), if_different=if_different)
