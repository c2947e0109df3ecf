"""Constraints of any kind: what their helpers share, to validate and to drop one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops.databases.definitions import Constraint, Difference, Table, differences
from safeops.errors import DefinitionMismatch, UnknownConstraint
from safeops.execution.inspect import (
    check_choice,
    check_has_columns,
    check_names,
    known,
    look,
    look_into,
    settle_name,
    skipped,
    table_or_none,
)
from safeops.execution.lock_retry import execute
from safeops.execution.migration import Migration, running
from safeops.naming import Name, call, nearest
from safeops.schema import indexes, refusals
from safeops.schema.refusals import (
    GONE,
    IF_DIFFERENT,
    explained_dependents,
    is_gone,
    is_left,
    keep_or_raise,
    refuse_dependents,
    refuse_unless_assured,
    settle,
)

SMALL_TABLE = 8 * 1024 * 1024
"""Bytes up to which an exclusion constraint is built under its lock without asking."""

KINDS = ("foreignkey", "check", "unique", "primary", "exclude")


def create(
    constraint: sa.Constraint,
    name: Name,
    seen: Table | None = None,
    *,
    validate: bool = True,
    if_different: str,
) -> bool:
    """Create a constraint on one table that was made from arguments; ``seen`` is the table where it was just looked at."""
    with running("create_constraint_if_missing") as migration:
        check_choice("if_different", if_different, IF_DIFFERENT)
        migration.database.safety.check_support(constraint, validate)
        settle_name(migration, constraint)
        stands = seen or look(migration, name)
        if is_gone(migration, stands, name, *_columns_of(constraint)):
            return skipped(f"constraint {constraint.name} on {name}", GONE)
        stands = known(migration, stands, name)
        check_has_columns(stands, _columns_of(constraint))
        migration.database.safety.check_virtual(stands, constraint)
        if if_different == "replace" and _is_another(migration, stands, constraint):
            return _replace(migration, name, stands, constraint, validate)
        if stands is not None:
            settled = _settled(migration, name, stands, constraint, validate, if_different)
            if settled is not None:
                return settled
            look_into(
                migration, name, partial(migration.database.safety.check_partition_keys, name, stands, constraint)
            )
            _refuse_unready(migration, stands, constraint, validate)
        offenders = _offenders(migration, stands, constraint) if stands and validate else None
        plan = migration.database.ddl.add_constraint(name, constraint, stands, validate)
        return execute(migration, plan, refusals.explained_by(migration, stands, offenders, str(constraint.name)))


def _is_another(migration: Migration, stands: Table | None, constraint: sa.Constraint) -> bool:
    """Tell whether a constraint of the same name and kind is to be replaced; offline it always is."""
    if stands is None:
        return True
    wanted = migration.database.wanted_constraint(constraint)
    there = migration.database.same_named(stands, wanted)
    same_kind = there is not None and there.kind == wanted.kind
    return there is not None and same_kind and bool(settle(migration, stands, there, wanted, constraint))


def _replace(migration: Migration, name: Name, stands: Table | None, constraint: sa.Constraint, validate: bool) -> bool:
    """Put the constraint in the place of another one, which nothing else may depend on."""
    database = migration.database
    if stands is not None:
        wanted = database.wanted_constraint(constraint)
        there = database.same_named(stands, wanted)
        if there is not None and wanted.kind == "unique":
            indexes.refuse_needed(migration, stands, there, wanted.columns)
        _refuse_unready(migration, stands, constraint, validate)
    offenders = _offenders(migration, stands, constraint) if stands else None
    plan = database.ddl.replace_constraint(name, constraint, stands, validate)
    return execute(migration, plan, refusals.explained_by(migration, stands, offenders, str(constraint.name)))


def check_ready(migration: Migration, constraint: sa.Constraint, name: Name, stands: Table, if_different: str) -> None:
    """Raise what would stop a constraint of a column that is still to be added."""
    migration.database.safety.check_support(constraint, True)
    migration.database.safety.check_virtual(stands, constraint)
    wanted = migration.database.wanted_constraint(constraint)
    there = migration.database.same_named(stands, wanted)
    if there is None:
        _refuse_taken(migration, wanted, stands)
        _refuse_copy(migration, wanted, stands)
        look_into(migration, name, lambda: migration.database.safety.check_partition_keys(name, stands, constraint))
    else:
        what = f"{wanted.kind} {wanted.name} on {name}"
        found = differences(there, wanted)
        keep_or_raise(what, found, if_different, *other_definition(there, name, found))


def _refuse_copy(migration: Migration, wanted: Constraint, stands: Table) -> None:
    """Raise UnsafeOperation where a check of a new column would have the server copy a table that has refusals."""
    database = migration.database
    if wanted.kind != "check" or database.abilities.adds_checks_online:
        return
    if look_into(migration, stands.name, lambda: database.has_rows(stands)):
        refuse_unless_assured(
            f"Check {wanted.name} cannot be added to {stands.name} online: the server copies the table for it.",
            "Writes would wait for as long as that takes.",
            "Add the column without the check. Or where writes may wait, say why:",
            'with assured("the table is small"):\n    ...',
        )


def _refuse_taken(migration: Migration, wanted: Constraint, stands: Table) -> None:
    if migration.database.abilities.names_indexes_of_keys and wanted.kind in ("unique", "primary key"):
        indexes.refuse_taken(migration, wanted.name, stands)


def other_definition(there: Constraint, name: Name, found: Sequence[Difference]) -> tuple[str, str]:
    """Return what to do about a constraint of the same name and another definition."""
    if [one.part for one in found] == ["enforced"]:
        return (
            "It is NOT ENFORCED: the server checks no row against it, neither old nor new. Replace it by one that is"
            " enforced and validated:",
            enforced(there, name),
        )
    type_ = "foreignkey" if there.kind == "foreign key" else None
    drop = call("drop_constraint_if_exists", there.name, name.name, type_=type_, schema=name.schema)
    return "Give the new one another name, or drop the old one first:", drop


def enforced(there: Constraint, name: Name) -> str:
    """Write the call that puts an enforced constraint in the place of one that is not."""
    if there.kind != "foreign key" or there.referent is None:
        condition, schema = there.expression or "...", name.schema
        options = {"schema": schema, "if_different": "replace"}
        return call("create_check_constraint_if_missing", there.name, name.name, condition, **options)
    referent_schema = there.referent.schema if name.schema else None
    return call(
        "create_foreign_key_if_missing",
        there.name,
        name.name,
        there.referent.name,
        list(there.columns),
        list(there.remote),
        onupdate=there.onupdate,
        ondelete=there.ondelete,
        deferrable=there.deferrable or None,
        initially=there.initially,
        match=there.match,
        source_schema=name.schema,
        referent_schema=referent_schema,
        if_different="replace",
    )


def _columns_of(constraint: sa.Constraint) -> list[str]:
    if isinstance(constraint, (sa.UniqueConstraint, sa.PrimaryKeyConstraint)):
        return [*(column.name for column in constraint.columns), *indexes.included_in(constraint)]
    return []


def _settled(
    migration: Migration, name: Name, stands: Table, constraint: sa.Constraint, validate: bool, if_different: str
) -> bool | None:
    """Return False where the constraint is there as asked, None where there is something to do, or raise."""
    database = migration.database
    wanted = database.wanted_constraint(constraint)
    there = database.same_named(stands, wanted)
    what = f"{wanted.kind} {wanted.name} on {name}"
    if there is None:
        is_index = wanted.kind == "unique" or (
            wanted.kind == "primary key" and database.abilities.names_indexes_of_keys
        )
        index = stands.indexes.get(wanted.name) if is_index else None
        if index is not None and index.valid:
            found = settle(
                migration,
                stands,
                index,
                database.wanted_index(database.index_of_key(constraint)),
                database.index_of_key(constraint),
            )
            return keep_or_raise(f"index {index.name} on {name}", found, if_different) if found else None
        if index is None:
            _refuse_taken(migration, wanted, stands)
        return None
    found = settle(migration, stands, there, wanted, constraint)
    if if_different == "raise" and _lacks_enforcement_alone(migration, there, found):
        return None
    if found or there.valid or not validate:
        return keep_or_raise(what, found, if_different, *other_definition(there, name, found))
    return None


def _lacks_enforcement_alone(migration: Migration, there: Constraint, found: Sequence[Difference]) -> bool:
    """Tell whether a check is as asked but NOT ENFORCED, on a server that can enforce it as it is."""
    later = migration.database.abilities.enforces_checks_later and there.kind == "check"
    return later and [one.part for one in found] == ["enforced"]


def _refuse_unready(migration: Migration, stands: Table, constraint: sa.Constraint, validate: bool) -> None:
    """Raise what would make the plan fail half way, before anything is touched."""
    if isinstance(constraint, sa.CheckConstraint) and validate:
        refusals.refuse(migration, stands, _checked(migration, stands, constraint))
    elif isinstance(constraint, sa.PrimaryKeyConstraint):
        for column in constraint.columns:
            if stands.columns[column.name].nullable:
                refusals.refuse(migration, stands, refusals.nulls(migration, stands, column.name))
    elif not isinstance(constraint, (sa.CheckConstraint, sa.UniqueConstraint)) and stands.bytes > SMALL_TABLE:
        refuse_unless_assured(
            f"Exclusion constraint {constraint.name} would block {stands.name}, which has {stands.bytes / 2**20:.0f} MiB.",
            "PostgreSQL builds its index under an ACCESS EXCLUSIVE lock, and has no online way.",
            "Where that is fine, say why:",
            'with assured("a maintenance window is open"):\n    ...',
        )


def _checked(migration: Migration, stands: Table, constraint: sa.CheckConstraint) -> refusals.Offenders:
    condition = migration.database.part_text(constraint.sqltext)
    return refusals.against_check(migration, stands, str(constraint.name), condition)


def _offenders(migration: Migration, stands: Table, constraint: sa.Constraint) -> refusals.Offenders | None:
    if isinstance(constraint, sa.CheckConstraint):
        return _checked(migration, stands, constraint)
    if isinstance(constraint, (sa.UniqueConstraint, sa.PrimaryKeyConstraint)):
        columns = [migration.database.quoted(column.name) for column in constraint.columns]
        nulls_equal = migration.database.wanted_constraint(constraint).nulls_not_distinct
        return refusals.duplicates(migration, stands, str(constraint.name), columns, None, nulls_equal)
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
        DefinitionMismatch: It is NOT ENFORCED (PostgreSQL 18), so that the server checks no row against it.
        OrphanedRows: Rows break the foreign key.
        ViolatingRows: Rows break the check.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL SHARE UPDATE EXCLUSIVE, and ROW SHARE on the table that a foreign key refers to. MySQL copies the
    table for a check that is NOT ENFORCED, and refuses that online. On MariaDB and SQLite every constraint is valid from
    the first.

    Running it again: nothing is left to do.

    Offline: ``VALIDATE CONSTRAINT`` where the constraint stands unvalidated.

    Example:
        validate_constraint("fk_orders_user", "orders")
    """
    right = call("validate_constraint", constraint_name, table_name, schema=schema)
    with running("validate_constraint") as migration:
        check_names(migration, right, constraint_name=constraint_name, table_name=table_name, schema=schema)
        name = Name(table_name, schema)
        stands = look(migration, name)
        if is_gone(migration, stands, name, constraint_name):
            return skipped(f"constraint {constraint_name} on {name}", GONE)
        stands = known(migration, stands, name)
        constraint_name = _as_created(migration, stands, constraint_name, name, None)
        if stands is not None and constraint_name not in stands.constraints:
            raise UnknownConstraint(
                f"Table {name} has no constraint {constraint_name}.",
                remedy=nearest(constraint_name, stands.constraints, "constraints"),
            )
        if stands is not None:
            _refuse_unenforced(migration, stands.constraints[constraint_name], name)
        if stands is not None and stands.constraints[constraint_name].valid:
            return skipped(f"constraint {constraint_name} on {name}", "it is valid")
        offenders = _offenders_of(migration, stands, stands.constraints[constraint_name]) if stands else None
        if stands is not None and offenders is not None and not migration.database.abilities.adds_checks_online:
            _refuse_before_copy(migration, stands, stands.constraints[constraint_name], offenders)
        plan = migration.database.ddl.validate_constraint(name, constraint_name, stands)
        return execute(migration, plan, refusals.explained_by(migration, stands, offenders))


def _refuse_before_copy(migration: Migration, stands: Table, there: Constraint, offenders: refusals.Offenders) -> None:
    """Name the rows that break a check before the server copies the table to look at them."""
    if there.kind == "check":
        refusals.refuse(migration, stands, offenders)


def _refuse_unenforced(migration: Migration, there: Constraint, name: Name) -> None:
    if there.enforced or (migration.database.abilities.enforces_checks_later and there.kind == "check"):
        return
    raise DefinitionMismatch(
        f"{there.kind.capitalize()} {there.name} of {name} is NOT ENFORCED, so it cannot be validated: {there.definition}",
        why="The server checks no row against it, neither old nor new.",
        remedy="Replace it by one that is enforced and validated:",
        code=enforced(there, name),
    )


def _offenders_of(migration: Migration, stands: Table, there: Constraint) -> refusals.Offenders | None:
    if there.kind == "foreign key" and there.referent:
        target = sa.Table(there.referent.name, sa.MetaData(), *map(_bare, there.remote), schema=there.referent.schema)
        source = sa.Table(stands.name.name, target.metadata, *map(_bare, there.columns), schema=stands.name.schema)
        key = sa.ForeignKeyConstraint(there.columns, [target.c[column] for column in there.remote])
        source.append_constraint(key)
        return refusals.orphans(migration, stands, key, there.referent)
    if there.kind == "not null":
        return refusals.nulls(migration, stands, there.columns[0])
    return refusals.against_check(migration, stands, there.name, there.expression or "true")


def _bare(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.types.NullType())


def _as_created(migration: Migration, stands: Table | None, constraint: str, name: Name, type_: str | None) -> str:
    """Return the name that a check got when a naming convention made ``ck_<table>_<name>`` of the author's."""
    known = stands is not None and constraint in stands.constraints
    if known or type_ not in (None, "check") or "ck" not in migration.naming_convention:
        return constraint
    check = ops.CreateCheckConstraintOp(constraint, name.name, "true", schema=name.schema)
    made = str(settle_name(migration, check.to_constraint(migration.context)).name)
    return made if type_ == "check" or (stands is not None and made in stands.constraints) else constraint


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
        DependentObjects: A foreign key of another table stands on it, or it is the replica identity of a published table.
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
        check_choice("type_", type_, (None, *KINDS))
        name = Name(table_name, schema)
        stands = table_or_none(look(migration, name), name)
        constraint_name = _as_created(migration, stands, constraint_name, name, type_)
        there = migration.database.constraint_named(stands, constraint_name, type_) if stands else None
        if there is None and not migration.offline and not is_left(migration, stands, name, constraint_name):
            return skipped(f"constraint {constraint_name} on {name}", "it is not there")
        if stands is not None and there is not None:
            standing = look_into(
                migration, name, lambda: migration.database.dependents.dependents_of_key(stands, there)
            )
            refuse_dependents(f"{there.kind} {there.name} of {name}", standing)
            look_into(migration, name, lambda: migration.database.dependents.check_identity(stands, [there.name]))
        plan = migration.database.ddl.drop_constraint(name, there.name if there else constraint_name, type_, stands)
        return execute(migration, plan, explained_dependents(migration, f"constraint {constraint_name} of {name}"))
