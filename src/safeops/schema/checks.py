"""Check constraints: added briefly for new rows, then validated for existing rows without blocking reads and writes."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from alembic.ddl.postgresql import CreateExcludeConstraintOp
from alembic.operations import ops
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from safeops.arguments import Keywords
from safeops.databases import sqltext
from safeops.errors import InvalidArgument
from safeops.execution.helper import ONLINE, HelperCall, Said, helper
from safeops.naming import Code
from safeops.schema.constraints import create
from safeops.schema.refusals import IF_DIFFERENT


@helper(
    Said("adds check {0} to {1}", f"Rows are checked {ONLINE}; MariaDB needs assured().", noun="check"),
    example={"condition": lambda given: f"SQL over columns of {given['table_name']}"},
    choices={"if_different": IF_DIFFERENT},
    keywords=Keywords(("comment", "deferrable", "info", "initially"), sa.CheckConstraint),
)
def create_check_constraint_if_missing(
    migration: HelperCall,
    /,
    constraint_name: str,
    table_name: str,
    condition: Any,
    *,
    schema: str | None = None,
    validate: bool = True,
    if_different: str = "raise",
    **kw: Any,
) -> bool:
    """The table has the check constraint, valid for every row.

    Steps: inspects the table and looks for rows that break the check; adds it for new rows in a brief statement; checks
    existing rows in a scan that does not block reads or writes.

    Args:
        constraint_name: The constraint.
        table_name: The table.
        condition: SQL as a string, or a SQLAlchemy expression.
        schema: The schema of the table.
        validate: Whether existing rows are checked too; False leaves that to ``validate_constraint`` in a later revision.
        if_different: "raise", "keep" or "replace": what to do if a check of that name has another definition. "replace"
            adds and checks the new one as ``safeops_new_<name>`` before it drops the old one; on MariaDB, MySQL and SQLite
            in one statement.
        **kw: As in ``op.create_check_constraint``.

    Returns:
        True if it was added or validated, False if it already existed as requested.

    Raises:
        UnknownTable: The table does not exist.
        DefinitionMismatch: The name is taken by a constraint of another definition.
        ViolatingRows: Rows break the check.
        UnsupportedOnDatabase: ``validate=False`` on a server that has no unvalidated constraints.
        LockNotAcquired: The table stayed locked for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, then SHARE UPDATE EXCLUSIVE for the scan of rows, if there are any; MariaDB
    and MySQL copy the table, which is refused outside ``assured(...)``; SQLite rebuilds the table.

    Running it again: validates a constraint that is not valid yet.

    Offline: guarded by a query of the catalogue, on servers that can run a block of statements.

    Example:
        create_check_constraint_if_missing("ck_users_age", "users", "age >= 0")
    """
    is_sql = bool(condition.strip()) if isinstance(condition, str) else isinstance(condition, sa.sql.ClauseElement)
    if not is_sql:
        raise InvalidArgument(f"The condition is {condition!r}, not SQL.", remedy="Write:", code=migration.right)
    validate = not kw.pop("postgresql_not_valid", False) and validate
    operation = ops.CreateCheckConstraintOp(constraint_name, table_name, as_sql(condition), schema=schema, **kw)
    constraint = operation.to_constraint(migration.context)
    return create(migration, constraint, migration.name, validate=validate, if_different=if_different)


def as_sql(condition: Any) -> Any:
    """Return SQL that was given as a string with its colons escaped, which would be read as parameters."""
    if not isinstance(condition, str):
        return condition
    # A comment would hide the parenthesis that follows.
    return sa.text(re.sub(r"(?<![:\\]):(?!:)", r"\\:", sqltext.without_comments(condition)))


@helper(
    Said("adds exclusion {0} to {1}", "TODO Writers wait while its index is built: state how long.", noun="exclusion"),
    example={"elements": lambda given: Code(f'("column of {given["table_name"]}", "="), using="gist"')},
    choices={"if_different": IF_DIFFERENT},
    keywords=Keywords(("comment", "deferrable", "info", "initially", "ops", "using"), ExcludeConstraint),
)
def create_exclude_constraint_if_missing(
    migration: HelperCall,
    /,
    constraint_name: str,
    table_name: str,
    *elements: tuple[Any, str],
    where: Any = None,
    schema: str | None = None,
    if_different: str = "raise",
    **kw: Any,
) -> bool:
    """The table has the exclusion constraint (PostgreSQL).

    PostgreSQL cannot build it online: the build holds ACCESS EXCLUSIVE, which blocks reads and writes. A table of more than
    8 MiB is therefore refused outside ``assured(...)``.

    Steps: inspects the table and its size; adds the constraint in one statement.

    Args:
        constraint_name: The constraint.
        table_name: The table.
        *elements: Pairs of a column or expression and an operator, as in ``op.create_exclude_constraint``.
        where: The condition of a partial constraint.
        schema: The schema of the table.
        if_different: "raise", "keep" or "replace": what to do if a constraint of that name has another definition.
            "replace" drops the old one in the statement that adds the new one.
        **kw: ``using`` ("gist"), ``deferrable``, ``initially``, ``ops``.

    Returns:
        True if it was added, False if it already existed as requested.

    Raises:
        UnsupportedOnDatabase: The server is not PostgreSQL.
        UnsafeOperation: The table is larger than 8 MiB.
        ViolatingRows: Rows exclude each other.
        DefinitionMismatch: The name is taken by a constraint of another definition.
        LockNotAcquired: The table stayed locked for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE until the build ends.

    Running it again: does nothing.

    Offline: ``OnlineOnly``: whether it is allowed depends on the size of the table.

    Example:
        create_exclude_constraint_if_missing("ex_bookings", "bookings", ("room", "="), ("during", "&&"), using="gist")
    """
    if not elements or not all(isinstance(element, tuple) and len(element) == 2 for element in elements):
        raise InvalidArgument(
            f"The elements are {elements!r}, not pairs of a column and an operator.",
            remedy="Write:",
            code=migration.right,
        )
    if not migration.database.abilities.has_exclusion_constraints:
        raise migration.database.unsupported("An exclusion constraint", "PostgreSQL")
    if migration.offline:
        raise migration.online_only(
            f"Exclusion constraint {constraint_name}",
            "How long it blocks depends on the size of the table.",
        )
    operation = CreateExcludeConstraintOp(constraint_name, table_name, elements, where=where, schema=schema, **kw)
    return create(migration, operation.to_constraint(migration.context), migration.name, if_different=if_different)
