"""Constraints: check, unique, primary key, exclusion; to validate and to drop any."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic.ddl.postgresql import CreateExcludeConstraintOp
from alembic.operations import ops

from safeops.databases.definitions import Constraint, Table
from safeops.errors import InvalidArgument, UnknownConstraint
from safeops.locking import carry_out, patiently
from safeops.migration import Migration, running
from safeops.naming import Name, call, nearest
from safeops.operations import rows
from safeops.operations.story import (
    check_choice,
    check_columns,
    check_has_columns,
    check_names,
    keep_or_raise,
    look,
    look_at,
    refuse_dependents,
    refuse_unless_assured,
    settle,
    skipped,
)

SMALL_TABLE = 8 * 1024 * 1024
"""Bytes up to which an exclusion constraint is built under its lock without asking."""

KINDS = ("foreignkey", "check", "unique", "primary", "exclude")


def create_check_constraint_if_missing(
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

    Steps: looks at the table and for rows that break it; adds it for new rows in a brief statement; checks the old rows
    in a scan that lets readers and writers go on.

    Args:
        constraint_name: The constraint.
        table_name: The table.
        condition: SQL as a string, or a SQLAlchemy expression.
        schema: The schema of the table.
        validate: Whether old rows are checked too; False leaves that to ``validate_constraint`` in a later revision.
        if_different: "raise" or "keep": what to do where a constraint of that name has another definition.
        **kw: As in ``op.create_check_constraint``.

    Returns:
        True if it was added or validated, False if it was there as asked.

    Raises:
        UnknownTable: There is no such table.
        DefinitionMismatch: The name is taken by a constraint of another definition.
        ViolatingRows: Rows break it.
        UnsupportedOnDatabase: ``validate=False`` on a server that has no unvalidated constraints.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, then SHARE UPDATE EXCLUSIVE for the scan; MariaDB and MySQL copy the
    table for a check and refuse that online; SQLite rebuilds the table.

    Running it again: an unvalidated constraint is validated.

    Offline: guarded by a look into the catalogue where the server has blocks for that.

    Example:
        create_check_constraint_if_missing("ck_users_age", "users", "age >= 0")
    """
    right = call("create_check_constraint_if_missing", constraint_name, table_name, "age >= 0", schema=schema)
    with running("create_check_constraint_if_missing") as migration:
        check_names(migration, right, constraint_name=constraint_name, table_name=table_name, schema=schema)
        if not isinstance(condition, (str, sa.sql.ClauseElement)) or (isinstance(condition, str) and not condition.strip()):
            raise InvalidArgument(f"The condition is {condition!r}, not SQL.", remedy="Write:", code=right)
        validate = not kw.pop("postgresql_not_valid", False) and validate
        operation = ops.CreateCheckConstraintOp(constraint_name, table_name, as_sql(condition), schema=schema, **kw)
        constraint = operation.to_constraint(migration.context)
        return create(constraint, Name(table_name, schema), validate=validate, if_different=if_different)


def as_sql(condition: Any) -> Any:
    """Return SQL given as a string such that none of its colons is taken for a parameter."""
    return sa.text(re.sub(r"(?<![:\\]):(?!:)", r"\\:", condition)) if isinstance(condition, str) else condition


def create_unique_constraint_if_missing(
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

    Steps: looks at the table; builds a unique index online; makes the constraint of it in a brief statement.

    Args:
        constraint_name: The constraint, and its index.
        table_name: The table.
        columns: The columns, in order.
        schema: The schema of the table.
        deferrable: Whether the check may wait for the end of a transaction (PostgreSQL).
        initially: "DEFERRED" or "IMMEDIATE" (PostgreSQL).
        if_different: "raise" or "keep": what to do where the name is taken by another definition.
        **kw: As in ``op.create_unique_constraint``: ``postgresql_include``, ``postgresql_nulls_not_distinct``.

    Returns:
        True if it was added, False if it was there as asked.

    Raises:
        UnknownTable: There is no such table.
        UnknownColumn: The table has no such column.
        DefinitionMismatch: The name is taken by a constraint or an index of another definition.
        DuplicateRows: Rows share the values.
        UnsupportedOnDatabase: The server's unique constraints are not deferrable.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL SHARE UPDATE EXCLUSIVE for the build, then ACCESS EXCLUSIVE, briefly; MariaDB and MySQL
    ALGORITHM=INPLACE, LOCK=NONE; SQLite rebuilds the table.

    Running it again: an interrupted build is begun anew, a finished index becomes the constraint.

    Offline: index by ``IF NOT EXISTS``, constraint guarded by a look into the catalogue.

    Example:
        create_unique_constraint_if_missing("uq_users_email", "users", ["email"])
    """
    right = call("create_unique_constraint_if_missing", constraint_name, table_name, ["email"], schema=schema)
    with running("create_unique_constraint_if_missing") as migration:
        check_names(migration, right, constraint_name=constraint_name, table_name=table_name, schema=schema)
        check_columns(migration, "columns", columns, right)
        check_choice("initially", initially and initially.upper(), (None, "DEFERRED", "IMMEDIATE"))  # type: ignore[arg-type]
        operation = ops.CreateUniqueConstraintOp(
            constraint_name, table_name, list(columns), schema=schema, deferrable=deferrable, initially=initially, **kw
        )
        return create(operation.to_constraint(migration.context), Name(table_name, schema), if_different=if_different)


def create_primary_key_if_missing(
    constraint_name: str,
    table_name: str,
    columns: Sequence[str],
    *,
    schema: str | None = None,
    if_different: str = "raise",
    **kw: Any,
) -> bool:
    """The table has the primary key, and its columns are NOT NULL.

    Steps: looks at the table; makes the columns NOT NULL as ``enforce_not_null`` does; builds a unique index online;
    makes the key of it in a brief statement.

    Args:
        constraint_name: The key, and its index. MariaDB, MySQL and SQLite have no name for it and keep none.
        table_name: The table.
        columns: The columns, in order.
        schema: The schema of the table.
        if_different: "raise" or "keep": what to do where the table has another primary key.
        **kw: As in ``op.create_primary_key``.

    Returns:
        True if it was added, False if it was there as asked.

    Raises:
        UnknownTable: There is no such table.
        UnknownColumn: The table has no such column.
        DefinitionMismatch: The table has another primary key, or the name is taken.
        DuplicateRows: Rows share the values.
        ViolatingRows: Rows have NULL in a column.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL as ``create_unique_constraint_if_missing`` and ``enforce_not_null``; MariaDB and MySQL rebuild the
    table with ALGORITHM=INPLACE, LOCK=NONE; SQLite rebuilds the table.

    Running it again: goes on after the last finished step.

    Offline: as ``create_unique_constraint_if_missing``.

    Example:
        create_primary_key_if_missing("pk_events", "events", ["id"])
    """
    right = call("create_primary_key_if_missing", constraint_name, table_name, ["id"], schema=schema)
    with running("create_primary_key_if_missing") as migration:
        check_names(migration, right, constraint_name=constraint_name, table_name=table_name, schema=schema)
        check_columns(migration, "columns", columns, right)
        operation = ops.CreatePrimaryKeyOp(constraint_name, table_name, list(columns), schema=schema, **kw)
        return create(operation.to_constraint(migration.context), Name(table_name, schema), if_different=if_different)


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
        if_different: "raise" or "keep": what to do where a constraint of that name has another definition.
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
    right = 'create_exclude_constraint_if_missing("ex_bookings", "bookings", ("room", "="), ("during", "&&"), using="gist")'
    with running("create_exclude_constraint_if_missing") as migration:
        check_names(migration, right, constraint_name=constraint_name, table_name=table_name, schema=schema)
        pairs = all(isinstance(one, tuple) and len(one) == 2 for one in elements)
        if not elements or not pairs:
            raise InvalidArgument(f"The elements are {elements!r}, not pairs.", remedy="Write:", code=right)
        if not migration.database.has_exclusion_constraints:
            raise migration.database.unsupported("An exclusion constraint", "PostgreSQL")
        if migration.offline:
            raise migration.online_only(
                f"Exclusion constraint {constraint_name}", "It blocks for as long as the table is large, so its size decides."
            )
        operation = CreateExcludeConstraintOp(constraint_name, table_name, elements, where=where, schema=schema, **kw)
        return create(operation.to_constraint(migration.context), Name(table_name, schema), if_different=if_different)


def create(constraint: sa.Constraint, name: Name, *, validate: bool = True, if_different: str) -> bool:
    """Create a constraint on one table that was made from arguments."""
    with running("create_constraint_if_missing") as migration:
        check_choice("if_different", if_different, ("raise", "keep"))
        migration.database.check_support(constraint, validate)
        stands = look_at(migration, name)
        check_has_columns(stands, _columns_of(constraint))
        if stands is not None:
            settled = _settled(migration, stands, constraint, validate, if_different)
            if settled is not None:
                return settled
            _refuse_unready(migration, stands, constraint, validate)
        offenders = _offenders(migration, stands, constraint) if stands else None
        plan = migration.database.add_constraint(name, constraint, stands, validate)
        return carry_out(migration, plan, rows.explained_by(migration, stands, offenders))


def _columns_of(constraint: sa.Constraint) -> list[str]:
    if isinstance(constraint, (sa.UniqueConstraint, sa.PrimaryKeyConstraint)):
        return [column.name for column in constraint.columns]
    return []


def _settled(
    migration: Migration, stands: Table, constraint: sa.Constraint, validate: bool, if_different: str
) -> bool | None:
    """Return False where the constraint is there as asked, None where there is something to do, or raise."""
    database = migration.database
    wanted = database.wanted_constraint(constraint)
    there = database.same_named(stands, wanted)
    what = f"{wanted.kind} {constraint.name} on {stands.name}"
    if there is None:
        index = stands.indexes.get(wanted.name) if wanted.kind in ("unique", "primary key") else None
        if index is not None and index.valid:
            found = settle(migration, stands, index, database.wanted_index(database.index_of_key(constraint)), database.index_of_key(constraint))
            return keep_or_raise(f"index {index.name} on {stands.name}", found, if_different) if found else None
        return None
    found = settle(migration, stands, there, wanted, constraint)
    if found or there.valid or not validate:
        drop = call("drop_constraint_if_exists", there.name, stands.name.name, schema=stands.name.schema)
        return keep_or_raise(what, found, if_different, "Give the new one another name, or drop the old one first:", drop)
    return None


def _refuse_unready(migration: Migration, stands: Table, constraint: sa.Constraint, validate: bool) -> None:
    """Raise what would make the plan fail half way, before anything is touched."""
    if isinstance(constraint, sa.CheckConstraint) and validate:
        rows.refuse(migration, stands, _checked(migration, stands, constraint))
    elif isinstance(constraint, sa.PrimaryKeyConstraint):
        for column in constraint.columns:
            if stands.columns[column.name].nullable:
                rows.refuse(migration, stands, rows.nulls(migration, stands, column.name))
    elif not isinstance(constraint, (sa.CheckConstraint, sa.UniqueConstraint)) and stands.bytes > SMALL_TABLE:
        refuse_unless_assured(
            f"Exclusion constraint {constraint.name} would block {stands.name}, which has {stands.bytes / 2**20:.0f} MiB.",
            "PostgreSQL builds its index under an ACCESS EXCLUSIVE lock, and has no online way.",
            "Where that is fine, say why:",
            'with assured("a maintenance window is open"):\n    ...',
        )


def _checked(migration: Migration, stands: Table, constraint: sa.CheckConstraint) -> rows.Offenders:
    condition = migration.database.rendered(constraint.sqltext)
    return rows.against_check(migration, stands, str(constraint.name), condition)


def _offenders(migration: Migration, stands: Table, constraint: sa.Constraint) -> rows.Offenders | None:
    if isinstance(constraint, sa.CheckConstraint):
        return _checked(migration, stands, constraint)
    if isinstance(constraint, (sa.UniqueConstraint, sa.PrimaryKeyConstraint)):
        columns = [migration.database.quoted(column.name) for column in constraint.columns]
        return rows.duplicates(migration, stands, str(constraint.name), columns, None)
    return None


def validate_constraint(constraint_name: str, table_name: str, *, schema: str | None = None) -> bool:
    """The foreign key or check constraint is valid for every row.

    Steps: looks at the table; checks the old rows in a scan that lets readers and writers go on.

    Args:
        constraint_name: The constraint.
        table_name: The table.
        schema: The schema of the table.

    Returns:
        True if it was validated, False if it was valid.

    Raises:
        UnknownTable: There is no such table.
        UnknownConstraint: The table has no such constraint.
        OrphanedRows: Rows break the foreign key.
        ViolatingRows: Rows break the check.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL SHARE UPDATE EXCLUSIVE, and ROW SHARE on the table that a foreign key refers to. On MariaDB, MySQL
    and SQLite every constraint is valid from the first.

    Running it again: nothing is left to do.

    Offline: ``VALIDATE CONSTRAINT`` where the constraint stands unvalidated.

    Example:
        validate_constraint("fk_orders_user", "orders")
    """
    right = call("validate_constraint", constraint_name, table_name, schema=schema)
    with running("validate_constraint") as migration:
        check_names(migration, right, constraint_name=constraint_name, table_name=table_name, schema=schema)
        name = Name(table_name, schema)
        stands = look_at(migration, name)
        if stands is not None and constraint_name not in stands.constraints:
            raise UnknownConstraint(
                f"Table {name} has no constraint {constraint_name}.",
                remedy=nearest(constraint_name, stands.constraints, "constraints"),
            )
        if stands is not None and stands.constraints[constraint_name].valid:
            return skipped(f"constraint {constraint_name} on {name}", "it is valid")
        offenders = _offenders_of(migration, stands, stands.constraints[constraint_name]) if stands else None
        plan = migration.database.validate_constraint(name, constraint_name, stands)
        return carry_out(migration, plan, rows.explained_by(migration, stands, offenders))


def _offenders_of(migration: Migration, stands: Table, there: Constraint) -> rows.Offenders | None:
    if there.kind == "foreign key" and there.referent:
        target = sa.Table(there.referent.name, sa.MetaData(), *map(_bare, there.remote), schema=there.referent.schema)
        source = sa.Table(stands.name.name, target.metadata, *map(_bare, there.columns), schema=stands.name.schema)
        key = sa.ForeignKeyConstraint(there.columns, [target.c[column] for column in there.remote])
        source.append_constraint(key)
        return rows.orphans(migration, stands, key, there.referent)
    if there.kind == "not null":
        return rows.nulls(migration, stands, there.columns[0])
    return rows.against_check(migration, stands, there.name, there.expression or "true")


def _bare(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.types.NullType())


def drop_constraint_if_exists(
    constraint_name: str, table_name: str, *, type_: str | None = None, schema: str | None = None
) -> bool:
    """The table has no constraint of this name.

    Steps: looks at the table; drops the constraint, and the index that belongs to it, in one brief statement.

    Args:
        constraint_name: The constraint.
        table_name: The table; where there is none, there is nothing to drop.
        type_: "foreignkey", "check", "unique" or "primary", as in ``op.drop_constraint``; needed offline on MySQL.
        schema: The schema of the table.

    Returns:
        True if it was dropped, False if it was not there.

    Raises:
        DependentObjects: A foreign key of another table stands on it.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, on both tables of a foreign key; MariaDB and MySQL ALGORITHM=INPLACE,
    LOCK=NONE where they can; SQLite rebuilds the table.

    Running it again: nothing is left to do.

    Offline: guarded by ``IF EXISTS``.

    Example:
        drop_constraint_if_exists("ck_users_age", "users", type_="check")
    """
    right = call("drop_constraint_if_exists", constraint_name, table_name, schema=schema)
    with running("drop_constraint_if_exists") as migration:
        check_names(migration, right, constraint_name=constraint_name, table_name=table_name, schema=schema)
        check_choice("type_", type_, (*KINDS, None))  # type: ignore[arg-type]
        name = Name(table_name, schema)
        stands = look(migration, name)
        there = migration.database.constraint_named(stands, constraint_name, type_) if stands else None
        if there is None and not migration.offline:
            return skipped(f"constraint {constraint_name} on {name}", "it is not there")
        if stands is not None and there is not None:
            what = f"{there.kind} {there.name} of {name}"
            refuse_dependents(what, patiently(migration, f"looked at {name}", lambda: migration.database.dependents_of_key(stands, there)))
        plan = migration.database.drop_constraint(name, there.name if there else constraint_name, type_, stands)
        return carry_out(migration, plan)
