"""Columns: add and drop them."""

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
from safeops.execution.helper import BRIEF_LOCK, UNUSED, HelperCall, Said, helper, skipping
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
from safeops.naming import Code, Name, call, column_code, default_code, fitting, sql_over
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


def shown_column(table_name: Any, column: Any) -> Code:
    """Return the column of a call for messages, or an example if it is not a column with a name."""
    if isinstance(column, sa.Column) and isinstance(column.name, str):
        return column_code(column)
    name = column if isinstance(column, str) and column else f"column of {table_name}"
    return call("sa.Column", name, Code("sa.Text"))


@helper(
    Said("adds column {1} to {0}", f"{BRIEF_LOCK}; no row is rewritten.", noun="column"),
    "column {table}.{column.name}",
    example={"column": lambda given: shown_column(given["table_name"], given["column"])},
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

    Steps: inspects the table; adds the column alone in one brief statement; then adds its index, unique and check
    constraints and foreign keys, each with the online helper for it.

    Args:
        table_name: The table.
        column: The column as in ``op.add_column``. Unnamed constraints get their names from the naming convention of
            ``target_metadata``, else ``<table>_<column>_fkey``, ``_key`` or ``_check``. An unnamed index is
            ``ix_<table>_<column>``, or ``ix_<schema>_<table>_<column>``.
        schema: The schema of the table.
        if_different: "raise" or "keep": what to do if a column of that name has another definition. Changes by
            later calls of the same revision (``enforce_not_null``, ``set_server_default`` and others) do not count as
            differences: an interrupted run may have made them.

    Returns:
        True if anything was added, False if everything already existed as requested.

    Raises:
        UnknownTable: The table does not exist.
        DefinitionMismatch: The column has another type, nullability, default, collation or expression.
        UnsafeOperation: The column is NOT NULL without a default and the table has rows; or the server would rewrite the
            table, because each row gets another value; or subscribers of logical replication would stop.
        LockNotAcquired: The table stayed locked for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, and for a foreign key SHARE ROW EXCLUSIVE on the referenced table; MariaDB
    and MySQL ALGORITHM=INSTANT, for an index or a foreign key also INPLACE, LOCK=NONE; SQLite the file, briefly.

    Running it again: adds what is missing, also what an interrupted run did not reach.

    Offline: ``ADD COLUMN IF NOT EXISTS``. ``OnlineOnly`` if whether it is safe depends on the live table.

    Example:
        add_column_if_missing("users", sa.Column("email", sa.String(320), index=True))
    """
    if not isinstance(column, sa.Column) or column.primary_key:
        raise InvalidArgument(
            f"The column is {column!r}, not a sa.Column outside the primary key.",
            remedy="To create a primary key, use create_primary_key_if_missing(). To add a column, write:",
            code=migration.right,
        )
    check_names(migration, migration.right, column_name=column.name)
    name = migration.name
    alone = ops.CreateTableOp(table_name, [column], schema=schema).to_table(migration.context)
    part_checks(alone, alone.columns[column.name])
    settle_names(migration, alone, migration.right)
    table = migration.existing(things=())
    if table is not None and column.name not in table.columns:
        check_companions(migration, alone, name, table, if_different)
    changed = _add_bare(migration, name, alone.columns[column.name], table, if_different)
    # The table is still as it was inspected, unless the column is new.
    with keeping([f"added column {name}.{column.name}"] if changed and not migration.offline else []):
        return add_companions(migration, alone, name, None if changed else table, if_different) or changed


def part_checks(alone: sa.Table, column: sa.Column[Any]) -> None:
    """Move the checks of a column to its table: within ADD COLUMN they would be lost, or scan rows under its lock."""
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
    """Return the parts in which a column differs from the requested one; ``only`` limits the parts compared."""
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
    # In a dry run, a type that is not created yet cannot be tested.
    asks = not awaits_enum(migration, column)
    why = asks and look_into(migration, name, lambda: migration.database.safety.column_refusal(column, table))
    # Checked last: row security may hide rows from a session, and most columns can be added whether there are rows or not.
    if not (required or why) or not look_into(migration, name, lambda: migration.database.has_rows(table)):
        return
    refuse_domain(migration, name, column, table)
    plain: sa.Column[Any] = sa.Column(column.name, column.type, nullable=column.nullable)
    code = call("add_required_column", name.name, column_code(plain), populate=sql_over(name.name), schema=name.schema)
    if required:
        refuse_unless_assured(
            f"Column {name}.{column.name} is NOT NULL and has no server default, but {name} has rows.",
            "Existing rows would have no value, and an application that does not know the column could not insert rows.",
            "Add it nullable, fill it and make it NOT NULL, in one call:",
            code,
        )
    written = call("add_column_if_missing", name.name, column_code(column), schema=name.schema)
    problem = f"Adding column {name}.{column.name} would block: {why}."
    if why and (column.computed is not None or column.identity is not None):
        refuse_unless_assured(
            problem,
            "The server computes its values, so it cannot be added empty and filled in batches.",
            "If the application can wait, run the call inside assured(). Otherwise use a plain column, which the application"
            " writes:",
            f'with assured("a maintenance window is open"):\n    {written}\n# or: {code}',
        )
    elif why:
        refuse_unless_assured(problem, "", "Add it empty and fill it in batches:", _filled_later(name, column) or code)


def _refuse_unknown_rows(migration: Migration, name: Name, column: sa.Column[Any], required: bool) -> None:
    if required or not migration.database.safety.default_is_constant(column):
        raise migration.online_only(
            f"Column {name}.{column.name}", "Whether it can be added without blocking depends on the rows of the table."
        )


def _filled_later(name: Name, column: sa.Column[Any]) -> str | None:
    """Write the calls that add a column, set its default and fill it in batches; None if it has no default."""
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


# What belongs to a column, in the order in which it is created.
_COMPANIONS = (
    (sa.Index, indexes),
    (sa.CheckConstraint, constraints),
    (sa.ForeignKeyConstraint, foreign_keys),
    (sa.UniqueConstraint, constraints),
)


def _companions(alone: sa.Table, name: Name) -> Iterator[tuple[Any, Any]]:
    """Yield what belongs to a column, each with the module that creates it."""
    # The order of a set differs from process to process.
    things: list[Any] = [*alone.indexes, *alone.constraints]
    things.sort(key=lambda thing: str(thing.name))
    for kind, module in _COMPANIONS:
        for thing in things:
            if isinstance(thing, kind):
                yield (thing if kind is sa.Index else named(thing, name)), module


def check_companions(migration: Migration, alone: sa.Table, name: Name, table: Table, if_different: str) -> None:
    """Raise what would stop the index or a constraint of the column, before the column is added."""
    companions = [*_companions(alone, name)]
    if any(not isinstance(thing, sa.Index) or thing.unique for thing, _ in companions):
        referents = [key.referred_table for key in alone.foreign_key_constraints]
        refuse_hidden_rows(migration, table, *(Name(referent.name, referent.schema) for referent in referents))
    for thing, module in companions:
        module.check_ready(migration, thing, name, table, if_different)


def add_companions(migration: Migration, alone: sa.Table, name: Name, seen: Table | None, if_different: str) -> bool:
    """Add the indexes and constraints of a column; ``seen`` is its table if it has just been inspected."""
    changed = False
    for thing, module in _companions(alone, name):
        create = partial(module.create, migration, thing, name, None if changed else seen, if_different=if_different)
        changed = skipping(create) or changed
    return changed


@helper(
    Said("drops column {1} of {0}", f"{BRIEF_LOCK}.", UNUSED, noun="column"),
    "column {table}.{column_name}",
    changes={"missing"},
    loses=True,
)
def drop_column_if_exists(
    migration: HelperCall, table_name: str, column_name: str, *, schema: str | None = None, archive: bool = False
) -> bool:
    """The table has neither the column nor the indexes and constraints on that column alone.

    Steps: inspects the table and what depends on the column; deletes the progress of its backfills; drops the column with
    its indexes and constraints in one brief statement if the server can, else drops these first. With ``archive``: creates a
    table of the key and the column, and triggers that copy the application's writes to it; copies existing rows in batches;
    then drops the column and the triggers together, so no write is missed.

    Args:
        table_name: The table. It need not exist.
        column_name: The column.
        schema: The schema of the table.
        archive: Keep the values and the definition for ``restore_column``.

    Returns:
        True if it was dropped, False if it did not exist.

    Raises:
        DependentObjects: A view, policy, trigger, generated column, or an index or constraint that has other columns too,
            depends on it.
        UnsafeOperation: With ``archive``, the table has no unique key of other columns that are NOT NULL, or the server
            cannot drop the column briefly.
        LockNotAcquired: The table stayed locked for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL ALGORITHM=INSTANT or INPLACE; SQLite the file. With
    ``archive`` the same, also for the triggers; copied rows are not locked.

    Running it again: continues a copy that was stopped; else does nothing.

    Offline: ``DROP COLUMN IF EXISTS``; also call ``forget_backfill`` if the column was filled by ``backfill``.
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
            # Before the drop: after an interruption, it would no longer be known which column was filled.
            forget_backfills_of(migration, table.name, column_name)
        case Table() | Absent():
            if archive and isinstance(inspected, Table):
                finish_archive(migration, inspected.name, column_name)
            return migration.skip("it does not exist")
    return execute(migration, migration.database.ddl.drop_column(name, column_name, known(inspected)), explain)


def _refuse_dependents(migration: HelperCall, table: Table, column: str) -> None:
    refuse_dependents(migration.about, _dependents(migration, table, column))
    own = [thing.name for thing in table.things_using(column) if isinstance(thing, Index)]
    look_into(migration, migration.name, lambda: migration.database.dependents.check_identity(table, own))
    note_subscribers(migration, table, f"a subscriber whose {column} is NOT NULL and has no default stops.")


def _dependents(migration: Migration, table: Table, column: str) -> Sequence[str]:
    def look_for() -> list[str]:
        found = migration.database.dependents.dependents(table, column)
        # The triggers of an archive are dropped with the column.
        return [one for one in found if not one.startswith("trigger safeops_archive_")]

    return [*_shared(table, column), *look_into(migration, table.name, look_for)]


def _shared(table: Table, column: str) -> list[str]:
    """Describe the indexes and constraints that have other columns too; those of a recipe only if there are no others."""
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
    own = "; created by an unfinished ColumnRename or TypeChange: finish or undo that first"
    theirs = [described for name, described in found if not name.startswith("safeops_")]
    return theirs or [f"{described}{own}" for _, described in found]


def _of_one_column(table: Table, one: Constraint, column: str) -> bool:
    """Return whether a check or an exclusion names only this column."""
    return not one.columns and not any(one in table.things_using(other) for other in table.columns if other != column)
