"""What the helpers of all kinds of constraints share; validate and drop a constraint."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import sqlalchemy as sa
from alembic.operations import ops

from safeops.databases.definitions import Constraint, Difference, Table, differences, foreign_key
from safeops.errors import DefinitionMismatch, UnknownConstraint
from safeops.execution.helper import (
    BRIEF_LOCK,
    DROPPED_LATER,
    ONLINE,
    HelperCall,
    Said,
    existing_or_skip,
    helper,
    is_gone,
)
from safeops.execution.inspect import Absent, known, look_into, settle_name, skipped
from safeops.execution.lock_retry import execute
from safeops.execution.migration import Migration
from safeops.naming import Name, call, nearest
from safeops.schema import indexes, refusals
from safeops.schema.refusals import (
    explained_dependents,
    is_left,
    keep_or_raise,
    real_differences,
    refuse_dependents,
    refuse_unless_assured,
)

SMALL_TABLE = 8 * 1024 * 1024
"""Bytes up to which an exclusion constraint is built under its lock without ``assured()``."""

KINDS = ("foreignkey", "check", "unique", "primary", "exclude")


def create(
    migration: Migration,
    constraint: sa.Constraint,
    name: Name,
    seen: Table | None = None,
    *,
    validate: bool = True,
    if_different: str,
) -> bool:
    """Create a constraint on one table that was made from arguments; ``seen`` is the table if it has just been inspected."""
    database = migration.database
    database.safety.check_support(constraint, validate)
    settle_name(migration, constraint)
    about, things = f"constraint {constraint.name} on {name}", [str(constraint.name)]
    table = existing_or_skip(migration, name, about, _columns_of(constraint), seen, things)
    database.safety.check_virtual(table, constraint)
    if if_different == "replace" and _is_another(migration, table, constraint):
        return _replace(migration, name, table, constraint, validate)
    if table is not None:
        settled = _settled(migration, name, table, constraint, validate, if_different)
        if settled is not None:
            return settled
        look_into(migration, name, partial(database.safety.check_partition_keys, name, table, constraint))
        _refuse_unready(migration, table, constraint, validate)
    offenders = _offenders(migration, table, constraint) if table and validate else None
    plan = database.ddl.add_constraint(name, constraint, table, validate)
    return execute(migration, plan, refusals.explained_by(migration, table, offenders, str(constraint.name)))


def _is_another(migration: Migration, table: Table | None, constraint: sa.Constraint) -> bool:
    """Return whether there is a constraint of the same name and kind to replace; offline always True."""
    if table is None:
        return True
    wanted = migration.database.wanted_constraint(constraint)
    existing = migration.database.same_named(table, wanted)
    same_kind = existing is not None and existing.kind == wanted.kind
    return existing is not None and same_kind and bool(real_differences(migration, table, existing, wanted, constraint))


def _replace(migration: Migration, name: Name, table: Table | None, constraint: sa.Constraint, validate: bool) -> bool:
    """Replace another constraint, on which no other object may depend."""
    database = migration.database
    if table is not None:
        wanted = database.wanted_constraint(constraint)
        existing = database.same_named(table, wanted)
        if existing is not None and wanted.kind == "unique":
            indexes.refuse_needed(migration, table, existing, wanted.columns)
        _refuse_unready(migration, table, constraint, validate)
    offenders = _offenders(migration, table, constraint) if table else None
    plan = database.ddl.replace_constraint(name, constraint, table, validate)
    return execute(migration, plan, refusals.explained_by(migration, table, offenders, str(constraint.name)))


def check_ready(migration: Migration, constraint: sa.Constraint, name: Name, table: Table, if_different: str) -> None:
    """Raise what would stop a constraint of a column that has not been added yet."""
    migration.database.safety.check_support(constraint, True)
    migration.database.safety.check_virtual(table, constraint)
    wanted = migration.database.wanted_constraint(constraint)
    existing = migration.database.same_named(table, wanted)
    if existing is None:
        _refuse_taken(migration, wanted, table)
        _refuse_copy(migration, wanted, table)
        look_into(migration, name, lambda: migration.database.safety.check_partition_keys(name, table, constraint))
    else:
        what = f"{wanted.kind} {wanted.name} on {name}"
        found = differences(existing, wanted)
        keep_or_raise(what, found, if_different, *other_definition(existing, name, found))


def _refuse_copy(migration: Migration, wanted: Constraint, table: Table) -> None:
    """Raise UnsafeOperation if the server would copy a table with rows for the check of a new column."""
    database = migration.database
    if wanted.kind != "check" or database.abilities.adds_checks_online:
        return
    if look_into(migration, table.name, lambda: database.has_rows(table)):
        refuse_unless_assured(
            f"Check {wanted.name} cannot be added to {table.name} online: the server copies the table.",
            "Writes would wait until the copy is complete.",
            "Add the column without the check. If writes can wait, run the call inside assured():",
            'with assured("the table is small"):\n    ...',
        )


def _refuse_taken(migration: Migration, wanted: Constraint, table: Table) -> None:
    if migration.database.abilities.names_indexes_of_keys and wanted.kind in ("unique", "primary key"):
        indexes.refuse_taken(migration, wanted.name, table)


def other_definition(existing: Constraint, name: Name, found: Sequence[Difference]) -> tuple[str, str]:
    """Return what to do about a constraint of the same name and another definition."""
    if [one.part for one in found] == ["enforced"]:
        return (
            "It is NOT ENFORCED: the server checks neither existing nor new rows. Replace it with an enforced constraint,"
            " which is also validated:",
            enforced(existing, name),
        )
    type_ = "foreignkey" if existing.kind == "foreign key" else None
    drop = call("drop_constraint_if_exists", existing.name, name.name, type_=type_, schema=name.schema)
    return "Give the new constraint another name, or drop the old constraint first:", drop


def enforced(existing: Constraint, name: Name) -> str:
    """Write the call that replaces a constraint that is not enforced with an enforced one."""
    if existing.kind != "foreign key" or existing.referent is None:
        condition, schema = existing.expression or "...", name.schema
        options = {"schema": schema, "if_different": "replace"}
        return call("create_check_constraint_if_missing", existing.name, name.name, condition, **options)
    referent_schema = existing.referent.schema if name.schema else None
    return call(
        "create_foreign_key_if_missing",
        existing.name,
        name.name,
        existing.referent.name,
        list(existing.columns),
        list(existing.remote),
        onupdate=existing.onupdate,
        ondelete=existing.ondelete,
        deferrable=existing.deferrable or None,
        initially=existing.initially,
        match=existing.match,
        source_schema=name.schema,
        referent_schema=referent_schema,
        if_different="replace",
    )


def _columns_of(constraint: sa.Constraint) -> list[str]:
    if isinstance(constraint, (sa.UniqueConstraint, sa.PrimaryKeyConstraint)):
        return [*(column.name for column in constraint.columns), *indexes.included_in(constraint)]
    return []


def _settled(
    migration: Migration, name: Name, table: Table, constraint: sa.Constraint, validate: bool, if_different: str
) -> bool | None:
    """Return False if the constraint exists as requested, None if there is something to do, or raise."""
    database = migration.database
    wanted = database.wanted_constraint(constraint)
    existing = database.same_named(table, wanted)
    what = f"{wanted.kind} {wanted.name} on {name}"
    if existing is None:
        is_index = wanted.kind == "unique" or (
            wanted.kind == "primary key" and database.abilities.names_indexes_of_keys
        )
        index = table.indexes.get(wanted.name) if is_index else None
        if index is not None and index.valid:
            found = real_differences(
                migration,
                table,
                index,
                database.wanted_index(database.index_of_key(constraint)),
                database.index_of_key(constraint),
            )
            return keep_or_raise(f"index {index.name} on {name}", found, if_different) if found else None
        if index is None:
            _refuse_taken(migration, wanted, table)
        return None
    found = real_differences(migration, table, existing, wanted, constraint)
    if if_different == "raise" and _lacks_enforcement_alone(migration, existing, found):
        return None
    if found or existing.valid or not validate:
        return keep_or_raise(what, found, if_different, *other_definition(existing, name, found))
    return None


def _lacks_enforcement_alone(migration: Migration, existing: Constraint, found: Sequence[Difference]) -> bool:
    """Return whether a check only lacks enforcement, on a server that can enforce an existing check."""
    later = migration.database.abilities.enforces_checks_later and existing.kind == "check"
    return later and [one.part for one in found] == ["enforced"]


def _refuse_unready(migration: Migration, table: Table, constraint: sa.Constraint, validate: bool) -> None:
    """Raise what would make the plan fail halfway, before anything is changed."""
    if isinstance(constraint, sa.CheckConstraint) and validate:
        refusals.refuse(migration, table, _checked(migration, table, constraint))
    elif isinstance(constraint, sa.PrimaryKeyConstraint):
        for column in constraint.columns:
            if table.columns[column.name].nullable:
                refusals.refuse(migration, table, refusals.nulls(migration, table, column.name))
    elif not isinstance(constraint, (sa.CheckConstraint, sa.UniqueConstraint)) and table.bytes > SMALL_TABLE:
        refuse_unless_assured(
            f"Exclusion constraint {constraint.name} would block {table.name}, which has {table.bytes / 2**20:.0f} MiB.",
            "PostgreSQL builds its index under an ACCESS EXCLUSIVE lock, and cannot build it online.",
            "If reads and writes can wait, run the call inside assured():",
            'with assured("a maintenance window is open"):\n    ...',
        )


def _checked(migration: Migration, table: Table, constraint: sa.CheckConstraint) -> refusals.Offenders:
    condition = migration.database.part_text(constraint.sqltext)
    return refusals.against_check(migration, table, str(constraint.name), condition)


def _offenders(migration: Migration, table: Table, constraint: sa.Constraint) -> refusals.Offenders | None:
    if isinstance(constraint, sa.CheckConstraint):
        return _checked(migration, table, constraint)
    if isinstance(constraint, (sa.UniqueConstraint, sa.PrimaryKeyConstraint)):
        columns = [migration.database.quoted(column.name) for column in constraint.columns]
        nulls_equal = migration.database.wanted_constraint(constraint).nulls_not_distinct
        return refusals.duplicates(migration, table, str(constraint.name), columns, None, nulls_equal)
    return None


@helper(Said("validates {0} of {1}", f"Rows are checked {ONLINE}."), "constraint {constraint_name} on {table}")
def validate_constraint(
    migration: HelperCall, constraint_name: str, table_name: str, *, schema: str | None = None
) -> bool:
    """The foreign key or check constraint is valid for every row.

    Steps: inspects the table; checks existing rows in a scan that does not block reads or writes.

    Args:
        constraint_name: The constraint.
        table_name: The table.
        schema: The schema of the table.

    Returns:
        True if it was validated, False if it already was valid.

    Raises:
        UnknownTable: The table does not exist.
        UnknownConstraint: The table has no such constraint.
        DefinitionMismatch: It is NOT ENFORCED (PostgreSQL 18), so the server checks no rows.
        OrphanedRows: Rows break the foreign key.
        ViolatingRows: Rows break the check.
        LockNotAcquired: The table stayed locked for the whole retry budget.

    Locks: PostgreSQL SHARE UPDATE EXCLUSIVE, and ROW SHARE on the table that a foreign key refers to. MySQL copies the
    table for a check that is NOT ENFORCED, and refuses that online. On MariaDB and SQLite every
    constraint is valid from the start.

    Running it again: does nothing.

    Offline: ``VALIDATE CONSTRAINT``, guarded: only if the constraint is not valid.

    Example:
        validate_constraint("fk_orders_user", "orders")
    """
    database, name, table = migration.database, migration.name, migration.existing()
    if table is None:
        constraint_name = _as_created(migration, None, constraint_name, None)
        return execute(migration, database.ddl.validate_constraint(name, constraint_name, None))
    if is_gone(table, name, constraint_name):
        return migration.skip(DROPPED_LATER)
    constraint_name = _as_created(migration, table, constraint_name, None)
    if constraint_name not in table.constraints:
        raise UnknownConstraint(
            f"Table {name} has no constraint {constraint_name}.",
            remedy=nearest(constraint_name, table.constraints, "constraints"),
        )
    constraint = table.constraints[constraint_name]
    _refuse_unenforced(migration, constraint, name)
    if constraint.valid:
        return skipped(f"constraint {constraint_name} on {name}", "it is already valid")
    offenders = _offenders_of(migration, table, constraint)
    if offenders is not None and constraint.kind == "check" and not database.abilities.adds_checks_online:
        # The server would copy the table to check the rows.
        refusals.refuse(migration, table, offenders)
    plan = database.ddl.validate_constraint(name, constraint_name, table)
    return execute(migration, plan, refusals.explained_by(migration, table, offenders))


def _refuse_unenforced(migration: Migration, existing: Constraint, name: Name) -> None:
    if existing.enforced or (migration.database.abilities.enforces_checks_later and existing.kind == "check"):
        return
    raise DefinitionMismatch(
        f"Could not validate {existing.kind} {existing.name} of {name}: it is NOT ENFORCED: {existing.definition}",
        why="The server checks neither existing nor new rows.",
        remedy="Replace it with an enforced constraint, which is also validated:",
        code=enforced(existing, name),
    )


def _offenders_of(migration: Migration, table: Table, existing: Constraint) -> refusals.Offenders | None:
    if existing.kind == "foreign key" and existing.referent:
        key = foreign_key(table, existing, existing.referent)
        return refusals.orphans(migration, table, key, existing.referent)
    if existing.kind == "not null":
        return refusals.nulls(migration, table, existing.columns[0])
    return refusals.against_check(migration, table, existing.name, existing.expression or "true")


def _as_created(migration: HelperCall, table: Table | None, constraint: str, type_: str | None) -> str:
    """Return the name that a check got from a naming convention, such as ``ck_<table>_<name>``."""
    existing_names = table.constraints if table else {}
    if constraint in existing_names or type_ not in (None, "check") or "ck" not in migration.naming_convention:
        return constraint
    check = ops.CreateCheckConstraintOp(constraint, migration.name.name, "true", schema=migration.name.schema)
    made = str(settle_name(migration, check.to_constraint(migration.context)).name)
    return made if type_ == "check" or made in existing_names else constraint


@helper(
    Said("drops constraint {0} of {1}", f"{BRIEF_LOCK}.", noun="constraint"),
    "constraint {constraint_name} on {table}",
    changes={"missing"},
    choices={"type_": (None, *KINDS)},
)
def drop_constraint_if_exists(
    migration: HelperCall, constraint_name: str, table_name: str, *, type_: str | None = None, schema: str | None = None
) -> bool:
    """The table has no constraint of this name.

    Steps: inspects the table; drops the constraint and its index in one brief statement.

    Args:
        constraint_name: The constraint.
        table_name: The table. It need not exist.
        type_: "foreignkey", "check", "unique" or "primary", as in ``op.drop_constraint``; needed offline on MySQL.
        schema: The schema of the table.

    Returns:
        True if it was dropped, False if it did not exist.

    Raises:
        DependentObjects: A foreign key of another table depends on it, or it is the replica identity of a published table.
        LockNotAcquired: The table stayed locked for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, on both tables of a foreign key; MariaDB and MySQL ALGORITHM=INPLACE,
    LOCK=NONE if possible; SQLite rebuilds the table.

    Running it again: does nothing.

    Offline: guarded by ``IF EXISTS``.

    Example:
        drop_constraint_if_exists("ck_users_age", "users", type_="check")
    """
    database, name, inspected = migration.database, migration.name, migration.inspect()
    table = known(inspected)
    constraint_name = _as_created(migration, table, constraint_name, type_)
    constraint = database.constraint_named(table, constraint_name, type_) if table else None
    match inspected:
        case Table() as table if constraint is not None:
            _refuse_needed(migration, table, constraint)
        case Table() as table if is_left(migration, table, constraint_name):
            pass
        case Table() | Absent():
            return skipped(f"constraint {constraint_name} on {name}", "it does not exist")
    plan = database.ddl.drop_constraint(name, constraint.name if constraint else constraint_name, type_, table)
    return execute(migration, plan, explained_dependents(migration, f"constraint {constraint_name} of {name}"))


def _refuse_needed(migration: HelperCall, table: Table, constraint: Constraint) -> None:
    name, dependents = migration.name, migration.database.dependents
    needing = look_into(migration, name, lambda: dependents.dependents_of_key(table, constraint))
    refuse_dependents(f"{constraint.kind} {constraint.name} of {name}", needing)
    look_into(migration, name, lambda: dependents.check_identity(table, [constraint.name]))
