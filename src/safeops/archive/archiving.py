"""Keeps a dropped column or table, and brings it back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from safeops.archive.port import ARCHIVED, COPYING, RESTORING, Archives, Catalogue, Record
from safeops.backfilling.expressions import RANGE
from safeops.backfilling.progress import Teller
from safeops.backfilling.range_walker import Pace
from safeops.backfilling.running import Run
from safeops.backfilling.state import State
from safeops.backfilling.status import CANCELLED, forget_backfills_of
from safeops.backfilling.work import Work, key_of
from safeops.databases.base import Database
from safeops.databases.definitions import Column, Table
from safeops.databases.steps import Step
from safeops.errors import BackfillConflict, BackfillIncomplete, SafeOpsError, UnsafeOperation
from safeops.execution.inspect import keeping, look, look_into
from safeops.execution.lock_retry import execute, with_lock_retry
from safeops.execution.migration import Migration
from safeops.execution.replication import heed_kept_table
from safeops.naming import Code, Name, call
from safeops.plan_mode import DryRun, current_dry_run
from safeops.planned import PlannedStatement

log = logging.getLogger("safeops")

T = TypeVar("T")

Key = tuple[str, tuple[Column, ...]]


def catalogue_of(migration: Migration) -> Catalogue:
    return Catalogue(migration.database, migration.settings.schema_for_state)


def noted(migration: Migration, action: Callable[[], T]) -> T:
    """Read or write the table of archives, which others may have locked for a moment."""
    return with_lock_retry(migration, "kept the table of archives", action)


# Dropping -------------------------------------------------------------------------------------------------------


def archive_column(migration: Migration, stands: Table, column: str, explain: Callable[..., object]) -> bool:
    """Drop a column and keep its values; no write of the application is lost on the way."""
    database, catalogue = migration.database, catalogue_of(migration)
    column = stands.columns[column].name
    what = f"column {stands.name}.{column}"
    refuse_flaw(migration, stands, column, what)
    asked = f"Archiving {what}"
    look_into(migration, stands.name, lambda: database.triggers.check_triggers(asked, stands.name, locks_table=True))
    key = key_for(migration, stands, column)
    _heed_subscribers(migration, catalogue, stands, column)
    if (dry_run := current_dry_run()) is not None:
        return _tell(dry_run, database, stands, column)
    _refuse_undroppable(migration, stands, column, explain)
    record = noted(migration, lambda: _begun(catalogue, stands, column))
    if not record.definition:
        definition = look_into(migration, stands.name, lambda: Archives.of(database).described_column(stands, column))
        definition |= {"key": [one.name for one in key[1]], "archive": [record.archive.name, record.schema]}
        noted(migration, partial(catalogue.change, record, definition=definition))
        record = replace(record, definition=definition)
    done: list[str] = []
    with keeping(done):
        if not record.definition["computed"]:
            _copy(migration, stands, column, record, key, done)
            _count(migration, catalogue, record)
        forget_backfills_of(migration, stands.name, column)
        forget_walk(migration, record)
        now = look(migration, stands.name) or stands
        plan = (
            database.ddl.drop_column(stands.name, column, now)
            if record.definition["computed"]
            else Archives.of(database).drop_followed(now, column, key[1], record.archive, dict(record.definition))
        )
        execute(migration, plan, explain)  # type: ignore[arg-type]
    noted(migration, lambda: catalogue.change(record, status=ARCHIVED))
    return True


def _refuse_undroppable(migration: Migration, stands: Table, column: str, explain: Callable[..., object]) -> None:
    """Raise what the server would refuse the drop for, before anything is copied."""
    try:
        look_into(migration, stands.name, lambda: migration.database.dependents.check_droppable(stands, column))
    except DBAPIError as error:
        taught = explain(error)
        if not isinstance(taught, SafeOpsError):
            raise
        raise taught from error


def _heed_subscribers(migration: Migration, catalogue: Catalogue, stands: Table, column: str) -> None:
    """Raise UnsafeOperation where the tables that an archive takes would be published by themselves."""
    written = call("drop_column_if_exists", stands.name.name, column, schema=stands.name.schema, archive=True)
    heed_kept_table(migration, catalogue.name, catalogue.exists(), written)
    state = State(migration.database, migration.settings.schema_for_state)
    heed_kept_table(migration, state.name, state.exists(), written)
    heed_kept_table(migration, Name("safeops_archive_1", stands.name.schema), False, written)


def _tell(dry_run: DryRun, database: Database, stands: Table, column: str) -> bool:
    what, rows = f"column {stands.name}.{column}", database.sizes.rows_of(stands.name)
    dry_run.add(
        PlannedStatement(f"copied {what} into an archive", rows=rows, size=database.sizes.bytes_of(stands.name))
    )
    drop = next(database.ddl.drop_column(stands.name, column, stands))
    dry_run.add(
        PlannedStatement(f"dropped {what}, whose values stay in the archive", database.sizes.lock_of(drop), drop.locks)
    )
    return True


def finish_archive(migration: Migration, table: Name, column: str | None) -> None:
    """Note that a drop has finished whose run was stopped right after it."""
    catalogue = catalogue_of(migration)
    record = noted(migration, lambda: catalogue.latest(table, column, open_=True))
    if record is not None:
        noted(migration, lambda: catalogue.change(record, status=ARCHIVED))


def abandon_archive(migration: Migration, table: Name, column: str) -> None:
    """Stop following a column that is now dropped without being kept, or is not dropped after all."""
    if not Archives.serves(migration.database):
        return
    catalogue = catalogue_of(migration)
    record = noted(migration, lambda: catalogue.latest(table, column, open_=True))
    if record is not None:
        discard(migration, record)


def discard(migration: Migration, record: Record) -> None:
    """Drop an archive, and what follows the application for it."""
    database = migration.database
    if record.status == COPYING and record.column is not None and look(migration, record.of) is not None:
        execute(migration, Archives.of(database).unfollow(record.of, record.archive))
    if record.status != COPYING or record.column is not None:
        drops = Archives.of(database).drop_archive(record.archive, dict(record.definition))
        execute(migration, (replace(step, loses=True) for step in drops))
    forget_walk(migration, record)
    noted(migration, partial(catalogue_of(migration).remove, record))


def forget_walk(migration: Migration, record: Record) -> None:
    state = State(migration.database, migration.settings.schema_for_state)
    if current_dry_run() is None and state.exists():
        for verb in ("copy", "restore"):
            noted(migration, partial(state.forget, _name_of(record, verb)))
        noted(migration, state.drop_if_empty)


def refuse_flaw(migration: Migration, stands: Table, column: str | None, what: str) -> None:
    flaw = look_into(migration, stands.name, lambda: Archives.of(migration.database).archive_flaw(stands, column))
    if flaw:
        deed = "drop_table_if_exists" if column is None else "drop_column_if_exists"
        arguments = [stands.name.name, *([] if column is None else [column])]
        raise migration.database.unsupported(
            f"An archive of {what}",
            f"another kind of table: {flaw}",
            "Copy what you want to keep, and drop it without an archive:",
            call(deed, *arguments, schema=stands.name.schema),
        )


def _begun(catalogue: Catalogue, stands: Table, column: str) -> Record:
    return catalogue.latest(stands.name, column, open_=True) or catalogue.add(stands.name, column)


def _copy(migration: Migration, stands: Table, column: str, record: Record, key: Key, done: list[str]) -> None:
    """Follow the application first, then copy all rows; what follows is newer than what is copied."""
    database, archive = migration.database, record.archive
    followed = look_into(migration, stands.name, lambda: Archives.of(database).is_followed(stands.name, archive))
    if not followed or look(migration, archive) is None:
        # Writes since it stopped following would be missed: it begins anew.
        execute(migration, Archives.of(database).unfollow(stands.name, archive))
        execute(migration, Archives.of(database).drop_archive(archive, {}))
        forget_walk(migration, record)
        execute(migration, Archives.of(database).create_archive(stands, column, key[1], archive))
    done.append(f"created table {archive} and the triggers by which it follows the writes to {stands.name}.{column}")
    execute(migration, Archives.of(database).before_copy(look(migration, stands.name) or stands, column))
    index, columns = key
    update = Archives.of(database).copy(stands.name, index, columns, column, archive, RANGE)
    _walk(
        migration, record, Work(_name_of(record, "copy"), stands.name, columns, index, (column,), None, False, update)
    )
    done.append("copied all its values")


def _walk(migration: Migration, record: Record, work: Work) -> None:
    pace = Pace(migration.settings.target_seconds)
    with closing(Teller()) as teller:
        run = partial(Run, migration, work, pace, teller, None, None)
        try:
            report = run().execute()
        except BackfillConflict:
            # It was begun before the database was copied under another name. A value is copied but once.
            forget_walk(migration, record)
            report = run().execute()
    log.info("%s: %d rows in %d batches (%.1f s)", work.name, report.rows, report.batches, report.seconds)


def _name_of(record: Record, verb: str) -> str:
    return f"{verb} {record.archive.name}"


def _count(migration: Migration, catalogue: Catalogue, record: Record) -> None:
    database = migration.database

    def count() -> int:
        with database.unbounded():
            return int(database.scalar(f"SELECT count(*) FROM {database.quoted_table(record.archive)}"))

    rows = noted(migration, count)
    noted(migration, lambda: catalogue.change(record, kept_rows=rows))


def key_for(migration: Migration, stands: Table, column: str) -> Key:
    """Return the index and columns of a unique key of other columns, along which the values are kept."""
    for names in _unique(stands):
        try:
            key = key_of(migration, stands, names, (column,))
        except UnsafeOperation:
            continue
        if not _moves_unseen(migration, stands, names):
            return key
    raise UnsafeOperation(
        f"The values of {stands.name}.{column} cannot be kept: {stands.name} has no unique key of other columns that are"
        " NOT NULL.",
        why="Each value is kept under the key of its row, so that it finds its row again. A key that a foreign key changes"
        " ON UPDATE does not serve where the server tells nobody of that.",
        remedy="Give the table such a key first, or drop the column without its values:",
        code=call(
            "create_primary_key_if_missing",
            f"{stands.name.name}_pkey",
            stands.name.name,
            [f"column of {stands.name.name}"],
        )
        + "\n"
        + call("drop_column_if_exists", stands.name.name, column, schema=stands.name.schema),
    )


def _unique(stands: Table) -> Iterator[Sequence[str]]:
    found = [stands.primary_key]
    found += [one.columns for one in stands.constraints.values() if one.kind == "unique"]
    found += [one.names for one in stands.indexes.values() if one.unique and one.where is None]
    return (names for names in found if names and all(one in stands.columns for one in names))


def _moves_unseen(migration: Migration, stands: Table, names: Sequence[str]) -> bool:
    keys = [one for one in stands.constraints.values() if one.kind == "foreign key" and one.onupdate]
    moving = any(one.onupdate != "RESTRICT" and set(one.columns) & set(names) for one in keys)
    return moving and not migration.database.abilities.cascades_fire_triggers


# Restoring ------------------------------------------------------------------------------------------------------


def bring_column_back(migration: Migration, stands: Table, record: Record, done: list[str]) -> None:
    """Add a column again and put its values back; constraints and NOT NULL are left to ``plans_to_complete``."""
    database, definition, column = migration.database, dict(record.definition), record.column or ""
    missing = column not in stands.columns
    if record.status == COPYING and not missing:
        # It was never dropped: its values are where they were.
        execute(migration, Archives.of(database).unfollow(record.of, record.archive))
        return
    noted(migration, lambda: catalogue_of(migration).change(record, status=RESTORING))
    if missing:
        execute(migration, Archives.of(database).add_again(stands, column, definition))
        stands = look(migration, record.of) or stands
    done.append(f"added column {record} again")
    if not Archives.of(database).default_is_late(definition):
        execute(migration, Archives.of(database).default_again(stands, column, definition))
    if not definition["computed"]:
        _put_back(migration, look(migration, record.of) or stands, record, definition)
        done.append("put its archived values back")


def _put_back(migration: Migration, stands: Table, record: Record, definition: dict[str, object]) -> None:
    database, column = migration.database, record.column or ""
    names = [str(one) for one in definition["key"]]  # type: ignore[attr-defined]
    index, key = key_of(migration, stands, names, (column,))
    fill = None if definition["fill"] is None else str(definition["fill"])
    put_back = partial(Archives.of(database).put_back, stands, names, column, record.archive, fill)
    name = _name_of(record, "restore")
    _walk(migration, record, Work(name, stands.name, key, index, (column,), None, False, put_back(RANGE)))
    _refuse_lost(migration, stands, names, record)
    if Archives.of(database).default_is_late(dict(definition)) and fill is not None:
        late = Step(
            put_back("1 = 1"), f"gave {record} its default in rows that came meanwhile", (stands.name,), scans=True
        )
        execute(migration, [late])
    gone = _gone(migration, stands, names, record)
    if gone:
        log.warning("%d of the archived values of %s have no row any more: it was deleted since", gone, record)


def _refuse_lost(migration: Migration, stands: Table, names: Sequence[str], record: Record) -> None:
    """Raise BackfillIncomplete, and keep the archive, if triggers took values away that were put back."""
    database = migration.database
    triggers = [] if current_dry_run() is not None else database.triggers.update_triggers(stands.name)
    if not triggers:
        return
    with database.unbounded():
        lost = Archives.of(database).count_lost(stands.name, names, record.column or "", record.archive)
    if lost:
        forget_walk(migration, record)
        raise BackfillIncomplete(
            f"{lost:,} rows of {stands.name} have no {record.column} although their archived value was written.",
            remedy=CANCELLED.format(", ".join(triggers)),
            state=f"The column is there, and {record.archive} keeps all values. Running again continues from there.",
        )


def _gone(migration: Migration, stands: Table, names: Sequence[str], record: Record) -> int:
    def count() -> int:
        with migration.database.unbounded():
            return Archives.of(migration.database).count_gone(stands.name, names, record.archive)

    return noted(migration, count)


def plans_to_complete(migration: Migration, stands: Table, record: Record, filled: bool) -> Iterable[Iterator[Step]]:
    """Return a plan for each index and constraint of the column that is still missing."""
    return Archives.of(migration.database).complete_again(
        stands, record.column or "", dict(record.definition), filled=filled
    )


def written_restore(record: Record) -> str:
    """Write out the call that brings an archive back."""
    if record.column is None:
        return call("restore_table", record.table, schema=record.schema)
    column = Code(f'sa.Column("{record.column}", ...)')
    return call("restore_column", record.table, column, schema=record.schema)


def archive_table(migration: Migration, stands: Table, explain: Callable[..., object]) -> bool:
    """Rename a table into an archive, so that its names are free and nothing ties it to other tables."""
    database, catalogue = migration.database, catalogue_of(migration)
    refuse_flaw(migration, stands, None, f"table {stands.name}")
    written = call("drop_table_if_exists", stands.name.name, schema=stands.name.schema, archive=True)
    heed_kept_table(migration, catalogue.name, catalogue.exists(), written)
    if (dry_run := current_dry_run()) is not None:
        drop = next(database.ddl.drop_table(stands.name, stands))
        dry_run.add(
            PlannedStatement(f"put table {stands.name} away as an archive", database.sizes.lock_of(drop), drop.locks)
        )
        return True
    record = noted(
        migration, lambda: catalogue.latest(stands.name, None, open_=True) or catalogue.add(stands.name, None)
    )
    if not record.definition:
        definition = look_into(
            migration, stands.name, lambda: Archives.of(database).described_table(stands, record.archive)
        )
        definition["described"] = True
        rows = database.sizes.estimated_rows(stands.name) or 0
        noted(migration, partial(catalogue.change, record, definition=definition, kept_rows=rows))
        record = replace(record, definition=definition)
    plan = Archives.of(database).put_away(stands, record.archive, dict(record.definition))
    execute(migration, plan, explain)  # type: ignore[arg-type]
    noted(migration, lambda: catalogue.change(record, status=ARCHIVED))
    return True


def bring_table_back(migration: Migration, record: Record) -> None:
    """Rename an archive into the table that it was; its foreign keys are left to the caller."""
    if look(migration, record.archive) is not None:
        execute(
            migration, Archives.of(migration.database).bring_back(record.of, record.archive, dict(record.definition))
        )
    noted(migration, lambda: catalogue_of(migration).change(record, status=RESTORING))
