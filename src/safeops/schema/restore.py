"""Archives of drops with ``archive=True``: restored, listed, and dropped permanently."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from safeops.archive.archiving import (
    RESTORE,
    bring_column_back,
    bring_table_back,
    catalogue_of,
    discard,
    on_catalogue,
    written_restore,
)
from safeops.archive.port import COPYING, RESTORED, Archives, Record
from safeops.backfilling.state import State
from safeops.errors import DefinitionMismatch, InvalidArgument, SafeOpsError, UnknownColumn, UnknownTable
from safeops.execution.helper import BRIEF_LOCK, HelperCall, Said, helper
from safeops.execution.inspect import check_names, existing, find, keeping, refuse_hidden_rows
from safeops.execution.lock_retry import outline
from safeops.execution.migration import Migration
from safeops.execution.replication import check_subscribers_of_column
from safeops.naming import Name, call, column_code
from safeops.plan_mode import current_dry_run
from safeops.schema.columns import shown_column
from safeops.schema.restored_columns import check_type, complete, forget, refuse_rewriting, tie

log = logging.getLogger("safeops")


@dataclass(frozen=True)
class Archive:
    """What a drop with ``archive=True`` has kept.

    Args:
        schema: The schema of the table; None is the only one.
        table: The table.
        column: The column; None if the whole table was dropped.
        rows: The rows of the archive; for a table, the estimate of the server.
        created_at: Seconds since 1970.
        bytes: Its approximate size; None if the server does not report it.
    """

    schema: str | None
    table: str
    column: str | None
    rows: int
    created_at: float
    bytes: int | None


@helper(
    Said("restores column {1} of {0} with its values", "Filled in short batches.", noun="column"),
    "column {table}.{column.name}",
    example={"column": lambda given: shown_column(given["table_name"], given["column"])},
    retried=True,
)
def restore_column(
    migration: HelperCall, table_name: str, column: sa.Column[Any], *, schema: str | None = None
) -> bool:
    """The column is restored as before ``drop_column_if_exists(..., archive=True)``, with the values of existing rows.

    Steps: adds the column again, empty; restores the archived values in batches, and sets the default in rows that are new
    since the drop; builds the indexes and constraints of the column again, each online; makes it NOT NULL if it was; drops
    the archive.

    Args:
        table_name: The table.
        column: The column. It must have the name and type of the dropped column. What is restored is the dropped column,
            with the indexes and constraints on that column alone.
        schema: The schema of the table.

    Returns:
        True if it was restored, False if it exists and has no archive.

    Raises:
        UnknownTable: The table does not exist.
        UnknownColumn: Neither the column nor an archive of it exists; the message lists the existing archives.
        DefinitionMismatch: The archived column has another type.
        UnsafeOperation: The server would rewrite the table, because the values are computed and stored or the domain has
            constraints; or copy it for a check; or subscribers of logical replication would stop.
        ViolatingRows: Rows that are new since the drop have no value, or break a constraint. All other steps are complete;
            the archive is kept.
        LockNotAcquired: The table, or the rows of a batch, stayed locked for the whole retry budget.

    Locks: as ``add_column_if_missing``, ``backfill``, ``create_index_if_missing`` and ``enforce_not_null``.

    Running it again: continues after the last finished step. Values that the application has written since are kept.

    Offline: ``OnlineOnly``.

    Example:
        restore_column("users", sa.Column("email", sa.String(320), nullable=False))
    """
    if not isinstance(column, sa.Column):
        raise InvalidArgument(f"The column is {column!r}, not a sa.Column.", remedy="Write:", code=migration.right)
    check_names(migration, migration.right, column_name=column.name)
    name, about = migration.name, migration.about
    _refuse_offline(migration, f"Restoring {name}.{column.name}")
    table = existing(migration, name)
    record = _latest(migration, table.name, str(column.name))
    if record is None:
        if column.name not in table.columns:
            raise _no_archive(migration, about, UnknownColumn)
        on_catalogue(migration, catalogue_of(migration).drop_if_empty)
        _forget_orphans(migration)
        return migration.skip("it exists and has no archive")
    outline(migration, table.name, f"put the archived values of {name}.{column.name} back")
    if record.status == RESTORED:
        forget(migration, record)
        return True
    check_type(migration, table, record, column)
    refuse_hidden_rows(migration, table.name, record.archive)
    refuse_rewriting(migration, table, record, column)
    if record.column not in table.columns and not record.definition["computed"]:
        again = call("restore_column", table_name, column_code(column), schema=schema)
        check_subscribers_of_column(migration, table, str(column.name), again)
    done: list[str] = []
    with keeping(done):
        bring_column_back(migration, table, record, done)
        complete(migration, record)
    return True


@helper(Said("restores table {0} with its rows", f"{BRIEF_LOCK}.", noun="table"), "table {table}", retried=True)
def restore_table(migration: HelperCall, table_name: str, *, schema: str | None = None) -> bool:
    """The table is restored as it was before ``drop_table_if_exists(..., archive=True)``, with all its rows.

    Steps: renames the archive and its indexes and constraints back, briefly; adds the foreign keys of the table again, for
    new rows first; validates them for existing rows; deletes the record of the archive.

    Args:
        table_name: The table.
        schema: The schema of the table.

    Returns:
        True if it was restored, False if it exists and has no archive.

    Raises:
        UnknownTable: Neither the table nor an archive of it exists; the message lists the existing archives.
        DefinitionMismatch: Another table has taken the name.
        ViolatingRows: Rows refer to rows that were deleted since the drop. The table is restored; the message names the
            foreign key that is missing.
        LockNotAcquired: The table, or a table that it refers to, stayed locked for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE on the table and SHARE ROW EXCLUSIVE on those that it refers to, briefly; SQLite the
    file, for a rebuild.

    Running it again: continues after the last finished step.

    Offline: ``OnlineOnly``.

    Example:
        restore_table("teams")
    """
    _refuse_offline(migration, f"Restoring {migration.name}")
    full = Name(table_name, Archives.of(migration.database).schema_of_new(schema))
    # In this order: another runner restores the table before it deletes the record.
    record, table = _latest(migration, full, None), find(migration, full)
    if record is None:
        if table is None:
            raise _no_archive(migration, migration.about, UnknownTable)
        on_catalogue(migration, catalogue_of(migration).drop_if_empty)
        return migration.skip("it exists and has no archive")
    if table is not None and find(migration, record.archive) is not None:
        raise _taken(migration.name)
    bring_table_back(migration, record)
    tie(migration, record)
    return True


@helper()
def archives(migration: HelperCall) -> list[Archive]:
    """Return the archives of drops with ``archive=True``, the oldest first.

    Returns:
        An ``Archive`` for each column and table.

    Offline: ``OnlineOnly``.

    Example:
        for one in archives():
            print(one.table, one.column, one.rows)
    """
    _refuse_offline(migration, "The list of archives")
    return [_shown(migration, record) for record in _kept(migration)]


@helper(about="old archives", loses=True)
def drop_archives(migration: HelperCall, *, older_than: float) -> bool:
    """Archives older than this are deleted permanently, with the values in them.

    Steps: drops each archive in one brief statement, with what an interrupted drop left.

    Args:
        older_than: Seconds since the drop that created the archive.

    Returns:
        True if any was dropped, False if there was none.

    Raises:
        LockNotAcquired: An archive stayed locked for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE on the archive alone, briefly.

    Running it again: drops the remaining ones.

    Offline: ``OnlineOnly``.

    Example:
        drop_archives(older_than=90 * 86400)
    """
    if isinstance(older_than, bool) or not isinstance(older_than, (int, float)) or not older_than >= 0:
        raise InvalidArgument(
            f"older_than is {older_than!r}, not a number of seconds.",
            remedy="Write:",
            code="drop_archives(older_than=90 * 86400)",
        )
    _refuse_offline(migration, "Dropping archives")
    now = float(migration.database.scalar(f"SELECT {migration.database.now}"))
    records = on_catalogue(migration, catalogue_of(migration).records)
    old = [record for record in records if now - record.created_at >= older_than]
    for record in old:
        discard(migration, record)
        log.info("dropped the archive of %s, %s", record, time.strftime("%Y-%m-%d", time.gmtime(record.created_at)))
    on_catalogue(migration, catalogue_of(migration).drop_if_empty)
    return bool(old) or migration.skip("there are none")


# Details --------------------------------------------------------------------------------------------------------


def _kept(migration: Migration) -> list[Record]:
    return [
        one for one in on_catalogue(migration, catalogue_of(migration).records) if one.status not in (COPYING, RESTORED)
    ]


def _shown(migration: Migration, record: Record) -> Archive:
    size = migration.database.sizes.bytes_of(record.archive)
    return Archive(record.schema, record.table, record.column, record.rows, record.created_at, size)


def _latest(migration: Migration, table: Name, column: str | None) -> Record | None:
    return on_catalogue(migration, lambda: catalogue_of(migration).latest(table, column))


def _forget_orphans(migration: Migration) -> None:
    """Delete the progress of restores that another runner has finished: a slower one may have added it again."""
    state = State.of(migration)
    if current_dry_run() is not None or not on_catalogue(migration, state.exists):
        return
    kept = {f"{RESTORE} {record.archive.name}" for record in on_catalogue(migration, catalogue_of(migration).records)}
    names = {part.name for part in on_catalogue(migration, state.parts)}
    for name in names - kept:
        if name.startswith(f"{RESTORE} safeops_archive_"):
            on_catalogue(migration, partial(state.forget, name))
    on_catalogue(migration, state.drop_if_empty)


def _refuse_offline(migration: Migration, change: str) -> None:
    if migration.offline:
        raise migration.online_only(change, "The archives are in the live database.")


def _no_archive(migration: Migration, what: str, kind: type[SafeOpsError]) -> SafeOpsError:
    found = _kept(migration)
    listed = "\n".join(written_restore(one) for one in found[-8:])
    return kind(
        f"There is no {what}, and no archive of it.",
        why="Only a drop with archive=True creates an archive. It is kept until it is restored, or until drop_archives().",
        remedy="The existing archives can be restored by:"
        if found
        else "There are no archives. Restore a backup, or add it empty.",
        code=listed,
    )


def _taken(name: Name) -> DefinitionMismatch:
    return DefinitionMismatch(
        f"Could not restore table {name}: another table has this name.",
        why="Both tables may have rows, and safeops cannot decide which to keep.",
        remedy="Rename or drop the existing table, and run again:",
        code=call("restore_table", name.name, schema=name.schema),
    )
