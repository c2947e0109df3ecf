"""Archives: what was dropped with ``archive=True`` comes back, is listed, and is dropped for good."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from safeops.archive.archiving import (
    bring_column_back,
    bring_table_back,
    catalogue_of,
    discard,
    on_catalogue,
    written_restore,
)
from safeops.archive.port import COPYING, RESTORED, Archives, Record
from safeops.errors import DefinitionMismatch, InvalidArgument, SafeOpsError, UnknownColumn, UnknownTable
from safeops.execution.helper import MOMENT, HelperCall, Said, helper
from safeops.execution.inspect import check_names, existing, find, keeping, refuse_hidden_rows
from safeops.execution.lock_retry import outline
from safeops.execution.migration import Migration
from safeops.execution.replication import check_subscribers_of_column
from safeops.naming import Code, Name, call, column_code
from safeops.schema.restored_columns import check_type, complete, forget, refuse_rewriting, tie

log = logging.getLogger("safeops")


@dataclass(frozen=True)
class Archive:
    """What a drop with ``archive=True`` has kept.

    Args:
        schema: The schema of the table; None is the only one.
        table: The table.
        column: The column; None where the whole table was dropped.
        rows: The rows of the archive; of a table as the server estimated them.
        created_at: Seconds since 1970.
        bytes: About how large it is; None where the server does not tell.
    """

    schema: str | None
    table: str
    column: str | None
    rows: int
    created_at: float
    bytes: int | None


@helper(
    Said("brings column {1} of {0} back, with its values", "Filled in short batches.", noun="column"),
    "column {table}.{column.name}",
    example={"column": Code('sa.Column("name of the column", ...)')},
)
def restore_column(
    migration: HelperCall, table_name: str, column: sa.Column[Any], *, schema: str | None = None
) -> bool:
    """The column is back as ``drop_column_if_exists(..., archive=True)`` found it, with the values of the rows that stand.

    Steps: adds the column again, without a value in any row; puts the archived values back in batches, and the default
    into rows that are new since; builds the indexes and constraints of the column again, each online; makes it NOT NULL
    where it was; drops the archive.

    Args:
        table_name: The table.
        column: The column, as the author wrote it. What comes back is the column that was dropped, with the indexes and
            constraints of it alone; this one has to have its name and type.
        schema: The schema of the table.

    Returns:
        True if it came back, False if it is there and nothing is archived.

    Raises:
        UnknownTable: There is no such table.
        UnknownColumn: There is no such column and no archive of it; the message names the archives that there are.
        DefinitionMismatch: The archived column has another type.
        UnsafeOperation: Its values are computed and stored, or its domain has rules, so that the server rewrites the table;
            it had a check that the server copies the table for; or subscribers of logical replication would stop over it.
        ViolatingRows: Rows that are new since have no value, or break a constraint. All else is done; the archive stays.
        LockNotAcquired: Others held the table, or the rows of a batch, for the whole retry budget.

    Locks: as ``add_column_if_missing``, ``backfill``, ``create_index_if_missing`` and ``enforce_not_null``.

    Running it again: goes on after what is finished. A value that the application wrote since is kept.

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
        return migration.skip("it is there, and nothing of it is archived")
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


@helper(Said("brings table {0} back, with its rows", f"{MOMENT}.", noun="table"), "table {table}")
def restore_table(migration: HelperCall, table_name: str, *, schema: str | None = None) -> bool:
    """The table is back as ``drop_table_if_exists(..., archive=True)`` found it, with all its rows.

    Steps: renames the archive and what belongs to it back, in a moment; adds the foreign keys of the table again, for new
    rows first, and checks the old rows against them; forgets the archive.

    Args:
        table_name: The table.
        schema: The schema of the table.

    Returns:
        True if it came back, False if it is there and nothing is archived.

    Raises:
        UnknownTable: There is no such table and no archive of it; the message names the archives that there are.
        DefinitionMismatch: Another table has the name by now.
        ViolatingRows: Rows refer to rows that were deleted since. The table is back; the message says which key is not.
        LockNotAcquired: The table, or one that it refers to, was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE on the table and SHARE ROW EXCLUSIVE on those that it refers to, briefly; SQLite the
    file, for a rebuild.

    Running it again: goes on after what is finished.

    Offline: ``OnlineOnly``.

    Example:
        restore_table("teams")
    """
    _refuse_offline(migration, f"Restoring {migration.name}")
    full = Name(table_name, Archives.of(migration.database).schema_of_new(schema))
    table, record = find(migration, full), _latest(migration, full, None)
    if record is None:
        if table is None:
            raise _no_archive(migration, migration.about, UnknownTable)
        on_catalogue(migration, catalogue_of(migration).drop_if_empty)
        return migration.skip("it is there, and nothing of it is archived")
    if table is not None and find(migration, record.archive) is not None:
        raise _taken(migration.name)
    bring_table_back(migration, record)
    tie(migration, record)
    return True


@helper()
def archives(migration: HelperCall) -> list[Archive]:
    """Return what drops with ``archive=True`` have kept, the oldest first.

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
    """No archive is left that is older than that; the values in them are gone for good.

    Steps: drops each archive in one brief statement, with what an interrupted drop has left behind.

    Args:
        older_than: Seconds since the drop that made it.

    Returns:
        True if any was dropped, False if there was none.

    Raises:
        LockNotAcquired: An archive was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE on the archive alone, briefly.

    Running it again: drops those that are left.

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


def _refuse_offline(migration: Migration, deed: str) -> None:
    if migration.offline:
        raise migration.online_only(deed, "What there is to do depends on what is archived in the live database.")


def _no_archive(migration: Migration, what: str, kind: type[SafeOpsError]) -> SafeOpsError:
    found = _kept(migration)
    listed = "\n".join(written_restore(one) for one in found[-8:])
    return kind(
        f"There is no {what}, and no archive of it.",
        why="Only a drop with archive=True keeps what it drops, until drop_archives() or until it is restored.",
        remedy="These archives there are:"
        if found
        else "There are no archives at all. Restore a backup, or add it empty.",
        code=listed,
    )


def _taken(name: Name) -> DefinitionMismatch:
    return DefinitionMismatch(
        f"Table {name} exists, so that the archived one cannot have its name back.",
        why="Both may have rows, and nobody but the author can tell which are wanted.",
        remedy="Rename the one that stands, or drop it where it is not wanted, and run again:",
        code=call("restore_table", name.name, schema=name.schema),
    )
