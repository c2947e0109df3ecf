"""Keeps a dropped column or table, and restores it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError

from safeops.archive.port import ARCHIVED, COPYING, RESTORING, TABLE, Archives, Catalogue, Definition, Record, overtaken
from safeops.backfilling.batch import CANCELLED, Limits
from safeops.backfilling.progress import Reporter
from safeops.backfilling.run import BackfillRun
from safeops.backfilling.spec import BackfillSpec, key_of
from safeops.backfilling.state import State
from safeops.backfilling.status import forget_backfills_of
from safeops.backfilling.values import RANGE
from safeops.databases.base import Database
from safeops.databases.definitions import Column, Table
from safeops.databases.steps import Step
from safeops.errors import BackfillConflict, BackfillIncomplete, UnsafeOperation
from safeops.execution.inspect import find, keeping, look_into
from safeops.execution.lock_retry import Explain, execute, tidying, with_lock_retry
from safeops.execution.migration import Migration
from safeops.execution.replication import check_subscribers_of_kept_table, check_subscribers_of_state
from safeops.naming import Code, Name, call
from safeops.plan_mode import DryRun, current_dry_run
from safeops.planned import PlannedStatement

log = logging.getLogger("safeops")

T = TypeVar("T")

Key = tuple[str, tuple[Column, ...]]
Describe = Callable[[Record], Definition]
COPY, RESTORE = "copy", "restore"


def catalogue_of(migration: Migration) -> Catalogue:
    return Catalogue(migration.database, migration.settings.schema_for_state)


def on_catalogue(migration: Migration, action: Callable[[], T]) -> T:
    """Read or write the table of archives, which other sessions may lock briefly."""
    return with_lock_retry(migration, "kept the table of archives", action)


def _change(migration: Migration, record: Record, **changes: Any) -> None:
    on_catalogue(migration, lambda: catalogue_of(migration).change(record, **changes))


def _open_record(migration: Migration, table: Name, column: str | None) -> Record | None:
    """Return the archive of a drop that has not finished."""
    return on_catalogue(migration, lambda: catalogue_of(migration).latest(table, column, open_=True))


def _begin(
    migration: Migration, table: Table, column: str | None, describe: Describe, done: list[str], **changes: Any
) -> Record:
    """Return the archive of a drop with its definition; what an interrupted run has recorded is kept."""
    record = _open_record(migration, table.name, column)
    record = record or on_catalogue(migration, lambda: catalogue_of(migration).add(table.name, column))
    # It stays if the drop gives up: another runner may have continued it.
    done.append(f"recorded archive {record.archive} in {TABLE}")
    if record.definition:
        return record
    definition = look_into(migration, table.name, lambda: describe(record))
    _change(migration, record, definition=definition, **changes)
    return replace(record, definition=definition)


def _count(migration: Migration, count: Callable[[], int]) -> int:
    """Count rows without a timeout."""

    def unbounded() -> int:
        with migration.database.unbounded():
            return count()

    return on_catalogue(migration, unbounded)


# Dropping -------------------------------------------------------------------------------------------------------


def archive_column(migration: Migration, table: Table, column: str, explain: Explain) -> bool:
    """Drop a column and keep its values; no write of the application is lost."""
    database, archives = migration.database, Archives.of(migration.database)
    column = table.columns[column].name
    what = f"column {table.name}.{column}"
    refuse_unarchivable(migration, table, column, what)
    change = f"Archiving {what}"
    look_into(migration, table.name, lambda: database.triggers.check_triggers(change, table.name, locks_table=True))
    key = key_for(migration, table, column)
    _check_subscribers(migration, table, column)
    if (dry_run := current_dry_run()) is not None:
        return _record_plan(dry_run, database, table, column)
    _refuse_undroppable(migration, table, column, explain)

    def describe(record: Record) -> Definition:
        place = {"key": [part.name for part in key[1]], "archive": [record.archive.name, record.schema]}
        return {**archives.describe_column(table, column), **place}

    done: list[str] = []
    with keeping(done):
        record = _begin(migration, table, column, describe, done)
        if not record.definition["computed"]:
            _copy(migration, table, column, record, key, done)
            counted = f"SELECT count(*) FROM {database.quoted_table(record.archive)}"
            _change(migration, record, kept_rows=_count(migration, lambda: int(database.scalar(counted))))
        forget_backfills_of(migration, table.name, column)
        forget_progress(migration, record)
        now = find(migration, table.name) or table
        plan = (
            database.ddl.drop_column(table.name, column, now)
            if record.definition["computed"]
            else archives.drop_archived_column(now, column, key[1], record.archive, dict(record.definition))
        )
        execute(migration, plan, explain)
    _change(migration, record, status=ARCHIVED)
    return True


def _refuse_undroppable(migration: Migration, table: Table, column: str, explain: Explain) -> None:
    """Raise the error with which the server would refuse the drop, before anything is copied."""
    try:
        look_into(migration, table.name, lambda: migration.database.dependents.check_droppable(table, column))
    except DBAPIError as error:
        taught = explain(error)
        if taught is None:
            raise
        raise taught from error


def _check_subscribers(migration: Migration, table: Table, column: str) -> None:
    """Raise UnsafeOperation if the tables of an archive would be published automatically."""
    written = call("drop_column_if_exists", table.name.name, column, schema=table.name.schema, archive=True)
    check_subscribers_of_state(migration, catalogue_of(migration), written)
    check_subscribers_of_state(migration, State.of(migration), written)
    check_subscribers_of_kept_table(migration, Name("safeops_archive_1", table.name.schema), written)


def _record_plan(dry_run: DryRun, database: Database, table: Table, column: str) -> bool:
    what, rows = f"column {table.name}.{column}", database.sizes.rows_of(table.name)
    dry_run.add(PlannedStatement(f"copied {what} into an archive", rows=rows, size=database.sizes.bytes_of(table.name)))
    drop = next(database.ddl.drop_column(table.name, column, table))
    dry_run.add(
        PlannedStatement(f"dropped {what}, whose values stay in the archive", database.sizes.lock_of(drop), drop.locks)
    )
    return True


def finish_archive(migration: Migration, table: Name, column: str | None) -> None:
    """Record a finished drop whose run was stopped right afterwards."""
    record = _open_record(migration, table, column)
    if record is not None and record.definition:
        _change(migration, record, status=ARCHIVED)
    elif record is not None:
        # Nothing was copied: it would hide an archive that has the values.
        on_catalogue(migration, partial(catalogue_of(migration).remove, record))


def abandon_archive(migration: Migration, table: Name, column: str | None) -> None:
    """Drop what was begun of an archive whose column or table is dropped without it, or is not dropped."""
    if not Archives.serves(migration.database):
        return
    record = _open_record(migration, table, column)
    if record is not None:
        discard(migration, record)


def discard(migration: Migration, record: Record) -> None:
    """Drop an archive and its triggers."""
    database = migration.database
    if record.status == COPYING and record.column is not None and find(migration, record.of) is not None:
        execute(migration, Archives.of(database).stop_following(record.of, record.archive))
    if record.status != COPYING or record.column is not None:
        drops = Archives.of(database).drop_archive(record.archive, dict(record.definition))
        execute(migration, (replace(step, loses=True) for step in drops))
    forget_progress(migration, record)
    on_catalogue(migration, partial(catalogue_of(migration).remove, record))


def forget_progress(migration: Migration, record: Record) -> None:
    state = State.of(migration)
    if current_dry_run() is None and state.exists():
        for verb in (COPY, RESTORE):
            on_catalogue(migration, partial(state.forget, _name_of(record, verb)))
        on_catalogue(migration, state.drop_if_empty)


def refuse_unarchivable(migration: Migration, table: Table, column: str | None, what: str) -> None:
    flaw = look_into(migration, table.name, lambda: Archives.of(migration.database).archive_refusal(table, column))
    if flaw:
        helper = "drop_table_if_exists" if column is None else "drop_column_if_exists"
        arguments = [table.name.name, *([] if column is None else [column])]
        raise migration.database.unsupported(
            f"An archive of {what}",
            f"another kind of table: {flaw}",
            "Copy the data to keep, and drop it without an archive:",
            call(helper, *arguments, schema=table.name.schema),
        )


def _copy(migration: Migration, table: Table, column: str, record: Record, key: Key, done: list[str]) -> None:
    """Create the triggers first, then copy all rows; values from the triggers are newer than copied ones."""
    archives, archive = Archives.of(migration.database), record.archive
    followed = look_into(migration, table.name, lambda: archives.is_followed(table.name, archive))
    if not followed or find(migration, archive) is None:
        # Another runner drops the triggers with the column: then the archive has all values, and must stay.
        now = find(migration, table.name)
        if now is None or column not in now.columns:
            raise overtaken(table.name, column)
        # Without its triggers an archive has missed writes: start again.
        execute(migration, tidying(archives.stop_following(table.name, archive)))
        execute(migration, tidying(archives.drop_archive(archive, {})))
        forget_progress(migration, record)
        execute(migration, archives.create_archive(table, column, key[1], archive))
    done.append(f"created table {archive} and the triggers that copy writes to {table.name}.{column}")
    execute(migration, archives.before_copy(find(migration, table.name) or table, column))
    index, columns = key
    update = archives.copy(table.name, index, columns, column, archive, RANGE)
    _run_batches(
        migration,
        record,
        BackfillSpec(_name_of(record, COPY), table.name, columns, index, (column,), None, False, update),
        "archiving",
    )
    done.append("copied all its values")


def _run_batches(migration: Migration, record: Record, spec: BackfillSpec, verb: str) -> None:
    limits = Limits(migration.settings.target_seconds)
    with Reporter.of(verb, spec.table, spec.columns, migration.database) as reporter:
        run = partial(BackfillRun, migration, spec, limits, reporter)
        try:
            report = run().execute()
        except BackfillConflict:
            # It began before the database was copied under another name. Each value is copied only once.
            forget_progress(migration, record)
            report = run().execute()
    log.info("finished %s: %s", spec.name, report)


def _name_of(record: Record, verb: str) -> str:
    return f"{verb} {record.archive.name}"


def key_for(migration: Migration, table: Table, column: str) -> Key:
    """Return the index and columns of a unique key of other columns, under which the values are kept."""
    for names in _unique(table):
        try:
            key = key_of(migration, table, names, (column,))
        except UnsafeOperation:
            continue
        if not _moves_unseen(migration, table, names):
            return key
    raise UnsafeOperation(
        f"Could not archive {table.name}.{column}: {table.name} has no unique key of other columns that are NOT NULL.",
        why="Each value is archived under the key of its row. A key cannot be used if a foreign key changes it ON UPDATE"
        " without firing triggers.",
        remedy="Create such a key first, or drop the column without its values:",
        code=call(
            "create_primary_key_if_missing",
            f"{table.name.name}_pkey",
            table.name.name,
            [f"column of {table.name.name}"],
        )
        + "\n"
        + call("drop_column_if_exists", table.name.name, column, schema=table.name.schema),
    )


def _unique(table: Table) -> Iterator[Sequence[str]]:
    found = [table.primary_key]
    found += [constraint.columns for constraint in table.constraints.values() if constraint.kind == "unique"]
    found += [index.names for index in table.indexes.values() if index.unique and index.where is None]
    return (names for names in found if names and all(name in table.columns for name in names))


def _moves_unseen(migration: Migration, table: Table, names: Sequence[str]) -> bool:
    keys = [
        constraint
        for constraint in table.constraints.values()
        if constraint.kind == "foreign key" and constraint.onupdate
    ]
    moving = any(key.onupdate != "RESTRICT" and set(key.columns) & set(names) for key in keys)
    return moving and not migration.database.abilities.cascades_fire_triggers


# Restoring ------------------------------------------------------------------------------------------------------


def bring_column_back(migration: Migration, table: Table, record: Record, done: list[str]) -> None:
    """Add a column again and restore its values; ``plans_to_complete`` adds constraints and NOT NULL."""
    archives, definition, column = Archives.of(migration.database), dict(record.definition), record.column or ""
    missing = column not in table.columns
    if record.status == COPYING and not missing:
        # The column was never dropped, so it still has its values.
        execute(migration, archives.stop_following(record.of, record.archive))
        return
    _change(migration, record, status=RESTORING)
    if missing:
        execute(migration, archives.restore_column(table, column, definition))
        table = find(migration, record.of) or table
    done.append(f"added column {record} again")
    if not archives.default_is_late(definition):
        execute(migration, archives.restore_default(table, column, definition))
    if not definition["computed"]:
        _put_back(migration, find(migration, record.of) or table, record, definition)
        done.append("restored its archived values")


def _put_back(migration: Migration, table: Table, record: Record, definition: dict[str, object]) -> None:
    archives, column = Archives.of(migration.database), record.column or ""
    names = [str(one) for one in definition["key"]]  # type: ignore[attr-defined]
    index, key = key_of(migration, table, names, (column,))
    fill = None if definition["fill"] is None else str(definition["fill"])
    restore_values = partial(archives.restore_values, table, names, column, record.archive, fill)
    _run_batches(
        migration,
        record,
        BackfillSpec(_name_of(record, RESTORE), table.name, key, index, (column,), None, False, restore_values(RANGE)),
        "restoring",
    )
    _refuse_lost(migration, table, names, record)
    if archives.default_is_late(dict(definition)) and fill is not None:
        late = Step(restore_values("1 = 1"), f"set the default of {record} in new rows", (table.name,), scans=True)
        execute(migration, [late])
    gone = _count(migration, lambda: archives.count_gone(table.name, names, record.archive))
    if gone:
        log.warning("could not restore %d archived values of %s: their rows have been deleted since", gone, record)


def _refuse_lost(migration: Migration, table: Table, names: Sequence[str], record: Record) -> None:
    """Raise BackfillIncomplete, and keep the archive, if triggers removed restored values."""
    database = migration.database
    triggers = [] if current_dry_run() is not None else database.triggers.update_triggers(table.name)
    if not triggers:
        return
    archived = names, record.column or "", record.archive
    lost = _count(migration, lambda: Archives.of(database).count_lost(table.name, *archived))
    if lost:
        forget_progress(migration, record)
        raise BackfillIncomplete(
            f"{lost:,} rows of {table.name} have no {record.column}, although their archived value was written.",
            remedy=CANCELLED.format(", ".join(triggers)),
            state=f"The column exists, and {record.archive} keeps all values. Running again continues from there.",
        )


def plans_to_complete(migration: Migration, table: Table, record: Record, filled: bool) -> Iterable[Iterator[Step]]:
    """Return a plan for each index and constraint of the column that is still missing."""
    return Archives.of(migration.database).restore_constraints(
        table, record.column or "", dict(record.definition), filled=filled
    )


def written_restore(record: Record) -> str:
    """Write the call that restores an archive."""
    if record.column is None:
        return call("restore_table", record.table, schema=record.schema)
    column = Code(f'sa.Column("{record.column}", ...)')
    return call("restore_column", record.table, column, schema=record.schema)


def archive_table(migration: Migration, table: Table, explain: Explain) -> bool:
    """Rename a table into an archive: its names become free, and no foreign key ties it to other tables."""
    database, archives = migration.database, Archives.of(migration.database)
    refuse_unarchivable(migration, table, None, f"table {table.name}")
    written = call("drop_table_if_exists", table.name.name, schema=table.name.schema, archive=True)
    check_subscribers_of_state(migration, catalogue_of(migration), written)
    if (dry_run := current_dry_run()) is not None:
        drop = next(database.ddl.drop_table(table.name, table))
        dry_run.add(
            PlannedStatement(f"put table {table.name} away as an archive", database.sizes.lock_of(drop), drop.locks)
        )
        return True

    def describe(record: Record) -> Definition:
        return {**archives.describe_table(table, record.archive), "described": True}

    rows = database.sizes.estimated_rows(table.name) or 0
    done: list[str] = []
    with keeping(done):
        record = _begin(migration, table, None, describe, done, kept_rows=rows)
        execute(migration, archives.move_to_archive(table, record.archive, dict(record.definition)), explain)
    _change(migration, record, status=ARCHIVED)
    return True


def bring_table_back(migration: Migration, record: Record) -> None:
    """Rename an archive back into the table; the caller adds its foreign keys."""
    if find(migration, record.archive) is not None:
        execute(
            migration, Archives.of(migration.database).move_back(record.of, record.archive, dict(record.definition))
        )
    _change(migration, record, status=RESTORING)
