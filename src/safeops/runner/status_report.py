"""The state of a project's database, what is still to run, and what needs attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from safeops.archive.archiving import written_restore
from safeops.archive.port import ARCHIVED, Catalogue, Record
from safeops.backfilling.state import WHOLE, Part, State
from safeops.databases.triggers import Pair
from safeops.execution.migration import Migration
from safeops.execution.migration_lock import KEY
from safeops.naming import Name, call
from safeops.planned import summary
from safeops.runner.environment import Inspection, inspect
from safeops.runner.revision_run import ATTENTION, DONE, PENDING, Result
from safeops.runner.revisions import (
    GET_FILE_BACK,
    MERGE,
    STAMP,
    Pending,
    pending_revisions,
    scripts_of,
    unknown_revisions,
    unmerged_heads,
)

OPEN_PHASE, ARCHIVE, UNSEEN = "open phase", "archive", "not seen"
UNKNOWN_REVISION = "unknown revision"
NORMAL = frozenset({OPEN_PHASE, ARCHIVE, UNSEEN})
"""Kinds for information, which need no action."""


@dataclass(frozen=True)
class Attention:
    """Something that needs attention, or is in progress.

    Args:
        kind: The kind, as "invalid index".
        name: The object.
        advice: What to do about it.
    """

    kind: str
    name: str
    advice: str


@dataclass(frozen=True)
class Status(Result):
    """The state of a project's database.

    Args:
        database: Its name; on SQLite the file.
        server: The kind and the version of the server.
        host: The host and port; empty for a file or a local socket.
        size_bytes: How large it is; None if this user cannot see that.
        current: The revisions that it is at.
        heads: The newest revisions that there are files for.
        pending: What is still to run, in order.
        attention: What needs attention, or is in progress.
        lock_holder: The runner that migrates it now; None if there is none.
    """

    database: str
    server: str
    host: str
    size_bytes: int | None
    current: tuple[str, ...]
    heads: tuple[str, ...]
    pending: tuple[Pending, ...]
    attention: tuple[Attention, ...]
    lock_holder: str | None

    @property
    def exit_status(self) -> int:
        if any(item.kind not in NORMAL for item in self.attention):
            return ATTENTION
        return PENDING if self.pending else DONE


def status(config: Config) -> Status:
    """Return the state of a project's database, reached by its env.py; writes nothing and waits for no lock.

    Raises:
        SafeOpsError: The database cannot be reached.
    """
    script = scripts_of(config)
    return inspect(config, script, partial(_status, script))


def _status(script: ScriptDirectory, migration: Migration) -> Status:
    database, current = migration.database, migration.context.get_current_heads()
    return Status(
        database=Inspection.of(database).database_name(),
        server=database.describe(),
        host=_host(database.connection.engine.url),
        size_bytes=database.sizes.bytes_of_database(),
        current=current,
        heads=tuple(script.get_heads()),
        pending=tuple(pending_revisions(script, current)),
        attention=(*_revisions(script, current), *_database(migration)),
        lock_holder=Inspection.of(database).migration_lock_holder(database.connection, KEY),
    )


def _host(url: URL) -> str:
    host = url.host or ""
    return f"{host}:{url.port}" if host and url.port else host


# What needs attention -------------------------------------------------------------------------------------------


def _revisions(script: ScriptDirectory, current: tuple[str, ...]) -> Iterator[Attention]:
    if heads := unmerged_heads(script):
        yield Attention("several heads", ", ".join(heads), f"Two branches were not merged. {MERGE}")
    for unknown in unknown_revisions(script, current):
        advice = f"The database is at this revision, but no file has it. {GET_FILE_BACK} {STAMP}"
        yield Attention(UNKNOWN_REVISION, unknown, advice)


def _database(migration: Migration) -> Iterator[Attention]:
    inspections: dict[str, Callable[[Migration], Iterator[Attention]]] = {
        "backfills": _backfills,
        "invalid indexes": _indexes,
        "unvalidated constraints": _constraints,
        "leftover tables": _leftovers,
        "open phases": _phases,
        "archives": _archives,
    }
    for what, inspection in inspections.items():
        try:
            yield from list(inspection(migration))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            yield Attention(UNSEEN, what, f"This user cannot read it: {summary(error)}")


def _backfills(migration: Migration) -> Iterator[Attention]:
    state = State.of(migration)
    for part in state.parts() if state.exists() else []:
        if part.part == WHOLE and not part.is_finished:
            yield Attention("unfinished backfill", part.name, _backfill_advice(state, part))


def _backfill_advice(state: State, whole: Part) -> str:
    if state.claimed_for(whole):
        return f"A runner is working on it: {whole.session}"
    forget = call("forget_backfill", whole.name)
    return f"To continue it: safeops upgrade. If it is no longer needed, discard its progress: {forget}"


def _indexes(migration: Migration) -> Iterator[Attention]:
    for index, table in Inspection.of(migration.database).invalid_indexes():
        drop = call("drop_index_if_exists", index, table.name, schema=_schema(migration, table))
        advice = f"An interrupted build left it. create_index_if_missing() builds it again; or drop it: {drop}"
        yield Attention("invalid index", f"{index} on {table}", advice)


def _constraints(migration: Migration) -> Iterator[Attention]:
    for constraint, table in Inspection.of(migration.database).unvalidated_constraints():
        advice = "Existing rows were never checked. If an upgrade was interrupted, run it again. Otherwise: " + call(
            "validate_constraint", constraint, table.name, schema=_schema(migration, table)
        )
        yield Attention("unvalidated constraint", f"{constraint} on {table}", advice)


def _leftovers(migration: Migration) -> Iterator[Attention]:
    for table in Inspection.of(migration.database).leftover_tables():
        original = table.removeprefix("_alembic_tmp_")
        advice = f"Alembic's batch mode was interrupted. Check that {original} has its rows, then: "
        yield Attention("leftover table", table, advice + call("op.drop_table", table))


def _phases(migration: Migration) -> Iterator[Attention]:
    for pair in Inspection.of(migration.database).open_pairs():
        yield Attention(OPEN_PHASE, *_pair_advice(migration, pair))
    for old, table in Inspection.of(migration.database).open_renames():
        change = call("TableRename", old, table.name, schema=_schema(migration, table))
        advice = f"Once no application uses the old name: {change}.contract()"
        yield Attention(OPEN_PHASE, f"{old} is {table.name} now, under both names", advice)


def _schema(migration: Migration, table: Name) -> str | None:
    """Return the schema as a call must name it."""
    return None if table.schema == migration.context.dialect.default_schema_name else table.schema


def _pair_advice(migration: Migration, pair: Pair) -> tuple[str, str]:
    if pair.winner is None:
        name = f"{pair.table}.{pair.shadow if pair.switched else pair.source} gets another type"
        return (
            name,
            f"Once every application accepts both types: TypeChange(...).{'contract' if pair.switched else 'switch'}()",
        )
    old = pair.source if pair.winner == pair.shadow else pair.shadow
    change = call("ColumnRename", pair.table.name, old, pair.winner, schema=_schema(migration, pair.table))
    return f"{pair.table}.{old} and {pair.winner}", f"Once no application uses {old}: {change}.contract()"


def _archives(migration: Migration) -> Iterator[Attention]:
    for record in Catalogue(migration.database, migration.settings.schema_for_state).records():
        yield Attention(
            ARCHIVE if record.status == ARCHIVED else "unfinished archive", str(record), _archive_advice(record)
        )


def _archive_advice(record: Record) -> str:
    if record.status != ARCHIVED:
        return "A drop or a restore was interrupted. To continue it: safeops upgrade"
    restore = written_restore(record)
    return f"Kept when it was dropped, {record.rows:,} rows. To restore it: {restore}. To delete it: drop_archives()"
