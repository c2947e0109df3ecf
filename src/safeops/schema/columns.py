"""Columns: add and drop them, and change their default and type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops import _sqlalchemy
from safeops.archive.archiving import abandon_archive, archive_column, finish_archive
from safeops.backfilling.status import forget_backfills_of
from safeops.databases.definitions import Column, Constraint, Difference, Index, Table
from safeops.errors import InvalidArgument
from safeops.execution.helper import MOMENT, UNUSED, HelperCall, Said, helper, skipping
from safeops.execution.inspect import (
    Absent,
    check_names,
    keeping,
    known,
    look_into,
    named,
    refuse_hidden_rows,
    settle_names,
)
from safeops.execution.lock_retry import execute
from safeops.execution.migration import Migration
from safeops.execution.replication import check_subscribers_of_column, note_subscribers
from safeops.naming import Code, Name, call, column_code, default_code, fitting
from safeops.schema import constraints, foreign_keys, indexes
from safeops.schema.prerequisites import awaits_enum, check_types, prepare
from safeops.schema.refusals import (
    KEEP_OR_RAISE,
    explained_dependents,
    keep_or_raise,
    real_differences,
    refuse_archive_offline,
    refuse_dependents,
    refuse_unless_assured,
)
from safeops.schema.types import refuse_domain


@helper(
    Said("adds column {1} to {0}", f"{MOMENT}; no row is rewritten.", noun="column"),
    "column {table}.{column.name}",
    example={"column": Code("sa.Column(...)")},
    choices={"if_different": KEEP_OR_RAISE},
)
def add_column_if_missing(
    migration: HelperCall,
    table_name: str,
    column: sa.Column[Any],
    *,
    schema: str | None = None,
    if_different: str = "raise",
) -> bool:
    """The table has the column, with its default, comment, index, unique constraint and foreign keys.

    Steps: looks at the table; adds the bare column in one brief statement; then its index, unique and check constraints
    and foreign keys, each by the online helper of its kind.

    Args:
        table_name: The table.
        column: The column as in ``op.add_column``. What is unnamed in it gets the name that the naming convention of
            ``target_metadata`` gives, else ``<table>_<column>_fkey``, ``_key`` or ``_check``; an index without a
            convention is ``ix_<table>_<column>``, with the schema before the table where there is one.
        schema: The schema of the table.
        if_different: "raise" or "keep": what to do where a column of that name has another definition. What a later call
            of the same revision changes (``enforce_not_null``, ``set_server_default``, ...) is no difference: an
            interrupted run may have come so far.

    Returns:
        True if anything was added, False if all was there as asked.

    Raises:
        UnknownTable: There is no such table.
        DefinitionMismatch: The column has another type, nullability, default, collation or expression.
        UnsafeOperation: It is NOT NULL without a default and the table has rows, or its values would differ from row to
            row, so that the server rewrites the table; or subscribers of logical replication would stop over it.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL ALGORITHM=INSTANT; SQLite the file, briefly.

    Running it again: adds what is still missing, also a part that an interrupted run left out.

    Offline: ``ADD COLUMN IF NOT EXISTS``; a column that only the live table can allow is ``OnlineOnly``.

    Example:
        add_column_if_missing("users", sa.Column("email", sa.String(320), index=True))
    """
    if not isinstance(column, sa.Column) or column.primary_key:
        raise InvalidArgument(
            f"The column is {column!r}, not a sa.Column outside the primary key.",
            remedy="A new key is made by create_primary_key_if_missing(). A column is added so:",
            code='add_column_if_missing("users", sa.Column("email", sa.Text))',
        )
    check_names(migration, migration.right, column_name=column.name)
    name = migration.name
    alone = ops.CreateTableOp(table_name, [column], schema=schema).to_table(migration.context)
    part_checks(alone, alone.columns[column.name])
    settle_names(migration, alone, migration.right)
    table = migration.existing()
    if table is not None and column.name not in table.columns:
        check_companions(migration, alone, name, table, if_different)
    changed = _add_bare(migration, name, alone.columns[column.name], table, if_different)
    # The table is still as it was inspected, unless the column is new.
    with keeping([f"added column {name}.{column.name}"] if changed and not migration.offline else []):
        return add_companions(migration, alone, name, None if changed else table, if_different) or changed


def part_checks(alone: sa.Table, column: sa.Column[Any]) -> None:
    """Take the checks out of a column's definition, in which they would be lost, or scan under the lock of ADD COLUMN."""
    for check in [constraint for constraint in column.constraints if isinstance(constraint, sa.CheckConstraint)]:
        column.constraints.discard(check)
        own = sa.schema.conv(fitting(alone.name, column.name, "check", max_bytes=63))
        name = check.name if isinstance(check.name, str) else own
        alone.append_constraint(sa.CheckConstraint(check.sqltext, name=name))


def _add_bare(migration: Migration, name: Name, column: sa.Column[Any], table: Table | None, if_different: str) -> bool:
    existing = table.columns.get(str(column.name)) if table else None
    if table is not None and existing is not None:
        if migration.database.ddl.awaits_default(existing):
            return execute(migration, migration.database.ddl.add_column(name, column, table))
        found = column_differences(migration, table, existing, column, ahead=True)
        return keep_or_raise(f"column {name}.{column.name}", found, if_different)
    migration.database.safety.check_column_support(column)
    check_types(migration, [column])
    _refuse_blocking(migration, name, column, table)
    if table is not None and column.computed is None:
        written = call("add_column_if_missing", name.name, column_code(column), schema=name.schema)
        check_subscribers_of_column(migration, table, str(column.name), written)
    with keeping(prepare(migration, [column])):
        return execute(migration, migration.database.ddl.add_column(name, column, table))


def column_differences(
    migration: Migration,
    table: Table,
    existing: Column,
    column: sa.Column[Any],
    *,
    only: frozenset[str] | None = None,
    autoincrement: bool = False,
    ahead: bool = False,
) -> list[Difference]:
    """Return in which parts, or in which of ``only`` these, a column differs from what is wanted."""
    wanted = migration.database.wanted_column(column)
    ignoring = {"comment"} if wanted.comment is None else set()
    ignoring |= {"default", "identity"} if autoincrement else set()
    if only is not None:
        ignoring = {part.name for part in fields(Column)} - only
    return real_differences(migration, table, existing, wanted, column, ignoring=frozenset(ignoring), ahead=ahead)


def _refuse_blocking(migration: Migration, name: Name, column: sa.Column[Any], table: Table | None) -> None:
    required = (
        not column.nullable and column.server_default is None and column.computed is None and column.identity is None
    )
    if table is None:
        _refuse_unknown_rows(migration, name, column, required)
        return
    # In a forecast, a type that is yet to be created cannot be tried out.
    asks = not awaits_enum(migration, column)
    why = asks and look_into(migration, name, lambda: migration.database.safety.column_refusal(column, table))
    # Asked last: row security may keep the rows from a session, and most columns are added whether there are rows or not.
    if not (required or why) or not look_into(migration, name, lambda: migration.database.has_rows(table)):
        return
    refuse_domain(migration, name, column, table)
    code = call(
        "add_required_column", name.name, column_code(column), populate=Code("sa.text('...')"), schema=name.schema
    )
    if required:
        refuse_unless_assured(
            f"Column {name}.{column.name} is NOT NULL and has no server default, but {name} has rows.",
            "Those rows would have no value for it, and an application that does not know the column could not insert.",
            "Add it nullable, fill it, then enforce it, which is one call:",
            code,
        )
    problem = f"Adding column {name}.{column.name} would block: {why}."
    if why and (column.computed is not None or column.identity is not None):
        refuse_unless_assured(
            problem,
            "Its values are the server's, so that it cannot be added empty and be filled in batches.",
            "Where all may wait for it, say why. Else have a plain column, in the models too, and the application write it:",
            f'with assured("a maintenance window is open"):\n    ...\n{code}',
        )
    elif why:
        refuse_unless_assured(problem, "", "Add it empty and fill it in batches:", _filled_later(name, column) or code)


def _refuse_unknown_rows(migration: Migration, name: Name, column: sa.Column[Any], required: bool) -> None:
    if required or not migration.database.safety.default_is_constant(column):
        raise migration.online_only(
            f"Column {name}.{column.name}", "Whether it can be added without blocking depends on the rows of the table."
        )


def _filled_later(name: Name, column: sa.Column[Any]) -> str | None:
    """Write the calls that add a column, give it its default and fill it in batches; None where it has no default."""
    own, default = str(column.name), default_code(column)
    value = default_code(column, as_value=True)
    if not default:
        return None
    required = _sqlalchemy.copied(column)
    required.nullable = False
    at_once = call("add_required_column", name.name, column_code(required), populate=value, schema=name.schema)
    if not column.nullable:
        return at_once
    bare = _sqlalchemy.copied(column)
    bare.server_default = None
    calls = [
        call("add_column_if_missing", name.name, column_code(bare), schema=name.schema),
        call("set_server_default", name.name, own, default, schema=name.schema),
        call("backfill", name.name, {own: value}, schema=name.schema),
        f"# or NOT NULL: {at_once}",
    ]
    return "\n".join(calls)


# What a column may bring along, in the order in which it is made.
_COMPANIONS = (
    (sa.Index, indexes),
    (sa.CheckConstraint, constraints),
    (sa.ForeignKeyConstraint, foreign_keys),
    (sa.UniqueConstraint, constraints),
)


def _companions(alone: sa.Table, name: Name) -> Iterator[tuple[Any, Any]]:
    """Go through what a column brings along, each with the module that makes it."""
    # A set has another order in each process.
    things: list[Any] = [*alone.indexes, *alone.constraints]
    things.sort(key=lambda thing: str(thing.name))
    for kind, module in _COMPANIONS:
        for thing in things:
            if isinstance(thing, kind):
                yield (thing if kind is sa.Index else named(thing, name)), module


def check_companions(migration: Migration, alone: sa.Table, name: Name, table: Table, if_different: str) -> None:
    """Raise what would stop the index or a constraint of the column, before the column itself is added."""
    companions = [*_companions(alone, name)]
    if any(not isinstance(thing, sa.Index) or thing.unique for thing, _ in companions):
        # They hold for the rows or not.
        referents = [key.referred_table for key in alone.foreign_key_constraints]
        refuse_hidden_rows(migration, table.name, *(Name(referent.name, referent.schema) for referent in referents))
    for thing, module in companions:
        module.check_ready(migration, thing, name, table, if_different)


def add_companions(migration: Migration, alone: sa.Table, name: Name, seen: Table | None, if_different: str) -> bool:
    """Add the indexes and constraints of a column; ``seen`` is its table if it was just looked at."""
    changed = False
    for thing, module in _companions(alone, name):
        create = partial(module.create, migration, thing, name, None if changed else seen, if_different=if_different)
        changed = skipping(create) or changed
    return changed


@helper(
    Said("drops column {1} of {0}", f"{MOMENT}.", UNUSED, noun="column"),
    "column {table}.{column_name}",
    changes={"missing"},
    loses=True,
)
def drop_column_if_exists(
    migration: HelperCall, table_name: str, column_name: str, *, schema: str | None = None, archive: bool = False
) -> bool:
    """The table does not have the column, nor the indexes and constraints of that column alone.

    Steps: looks at the table and at what depends on the column; forgets the backfills of the column; drops the column and
    what is its own in one brief statement where the server can, else what is its own first. With ``archive``: makes a table
    of the key and the column and triggers that write to it what the application does; copies the rows that stand in
    batches; then drops the column together with the triggers, while no write can fall in between.

    Args:
        table_name: The table; where there is none, there is nothing to drop.
        column_name: The column.
        schema: The schema of the table.
        archive: Keep the values and the definition, so that ``restore_column`` brings them back.

    Returns:
        True if it was dropped, False if it was not there.

    Raises:
        DependentObjects: A view, policy, trigger, generated column, or an index or constraint with other columns too,
            stands on it.
        UnsafeOperation: With ``archive``, the table has no unique key of other columns that are NOT NULL, or the server does
            not drop the column in a moment.
        LockNotAcquired: The table was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL ALGORITHM=INSTANT or INPLACE; SQLite the file. With
    ``archive`` the same, also for the triggers, and none on the rows that are copied.

    Running it again: goes on with a copy that was stopped; else nothing is left to do.

    Offline: ``DROP COLUMN IF EXISTS``; call ``forget_backfill`` beside it where the column was filled by ``backfill``.
    ``archive=True`` is ``OnlineOnly``.

    Example:
        drop_column_if_exists("users", "email")
    """
    name, about, inspected = migration.name, migration.about, migration.inspect()
    refuse_archive_offline(migration, about, archive)
    explain = explained_dependents(migration, about)
    match inspected:
        case Table() as table if column_name in table.columns:
            _refuse_dependents(migration, table, column_name)
            if archive:
                return archive_column(migration, table, column_name, explain)
            abandon_archive(migration, table.name, column_name)
            # Before it goes: after a stop in between nobody would know of the column any more.
            forget_backfills_of(migration, table.name, column_name)
        case Table() | Absent():
            if archive and isinstance(inspected, Table):
                finish_archive(migration, inspected.name, column_name)
            return migration.skip("it is not there")
    return execute(migration, migration.database.ddl.drop_column(name, column_name, known(inspected)), explain)


def _refuse_dependents(migration: HelperCall, table: Table, column: str) -> None:
    refuse_dependents(migration.about, _dependents(migration, table, column))
    own = [thing.name for thing in table.things_using(column) if isinstance(thing, Index)]
    look_into(migration, migration.name, lambda: migration.database.dependents.check_identity(table, own))
    note_subscribers(migration, table, f"a subscriber whose {column} is NOT NULL and has no default stops.")


def _dependents(migration: Migration, table: Table, column: str) -> Sequence[str]:
    def look_for() -> list[str]:
        found = migration.database.dependents.dependents(table, column)
        # What follows the writes of the application goes along with the column.
        return [one for one in found if not one.startswith("trigger safeops_archive_")]

    return [*_shared(table, column), *look_into(migration, table.name, look_for)]


def _shared(table: Table, column: str) -> list[str]:
    """Describe the indexes and constraints that have other columns too; those of a recipe only where there are no others."""
    found = []
    for thing in table.things_using(column):
        whole = set(thing.names) == {column}
        if isinstance(thing, Index) and not thing.of_constraint and not (whole and not thing.include):
            found.append((thing.name, f"index {thing.name}: {thing.definition}"))
        elif (
            isinstance(thing, Constraint)
            and thing.kind != "not null"
            and not whole
            and not _of_one_column(table, thing, column)
        ):
            found.append((thing.name, f"{thing.kind} {thing.name}: {thing.definition}"))
    own = "; a ColumnRename or TypeChange under way has made it: finish or undo that first"
    theirs = [described for name, described in found if not name.startswith("safeops_")]
    return theirs or [f"{described}{own}" for _, described in found]


def _of_one_column(table: Table, one: Constraint, column: str) -> bool:
    """Tell whether a check or an exclusion names this column and no other."""
    return not one.columns and not any(one in table.things_using(other) for other in table.columns if other != column)
