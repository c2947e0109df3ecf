"""What stands in a project's database, what is still to run, and what somebody has to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from safeops.archiving.catalogue import ARCHIVED, Catalogue, Record
from safeops.archiving.columns import written_restore
from safeops.backfilling.parts import WHOLE, Part
from safeops.backfilling.state import State
from safeops.databases.twins import Pair
from safeops.foretold import summary
from safeops.locking.runner import KEY
from safeops.migration import Migration
from safeops.naming import Name, call
from safeops.runner.branching import MERGE, stay_apart
from safeops.runner.loading import scripts_of
from safeops.runner.pending import Pending, pending_revisions, unknown_revisions
from safeops.runner.reading import read

UP_TO_DATE, PENDING, ATTENTION = 0, 1, 2
OPEN_PHASE, ARCHIVE, UNSEEN = "open phase", "archive", "not seen"
UNKNOWN = "unknown revision"
NORMAL = frozenset({OPEN_PHASE, ARCHIVE, UNSEEN})
"""What is worth knowing, and nobody has to do anything about."""


@dataclass(frozen=True)
class Attention:
    """Something to look at.

    Args:
        kind: What sort of thing it is, as "invalid index".
        name: Which one.
        advice: What to do about it.
    """

    kind: str
    name: str
    advice: str


@dataclass(frozen=True)
class Status:
    """What stands in a project's database.

    Args:
        database: Its name; the file, where it is one.
        server: The kind and the version of the server.
        host: Where it was reached; empty where that is a file or a socket of this machine.
        size_bytes: How large it is; None where this user may not see that.
        current: The revisions that it is at.
        heads: The newest revisions that there are files for.
        pending: What is still to run, in order.
        attention: What there is to look at.
        lock_holder: The runner that migrates it now; None where nobody does.
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
        if any(one.kind not in NORMAL for one in self.attention):
            return ATTENTION
        return PENDING if self.pending else UP_TO_DATE

    def as_json(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def status(config: Config) -> Status:
    """Look at the database of a project, by its own env.py; nothing is written, and nobody is waited for.

    Raises:
        SafeOpsError: The database cannot be reached.
    """
    script = scripts_of(config)
    return read(config, partial(_status, script))


def _status(script: ScriptDirectory, migration: Migration) -> Status:
    database, current = migration.database, migration.context.get_current_heads()
    heads = tuple(script.get_heads())
    return Status(
        database=database.name_of_database(),
        server=database.describe(),
        host=_host(database.connection.engine.url),
        size_bytes=database.bytes_of_database(),
        current=current,
        heads=heads,
        pending=tuple(pending_revisions(script, current)),
        attention=(*_of_revisions(script, current, heads), *_of_database(migration)),
        lock_holder=database.runner_seen(database.connection, KEY),
    )


def _host(url: URL) -> str:
    host = url.host or ""
    return f"{host}:{url.port}" if host and url.port else host


# What there is to look at ---------------------------------------------------------------------------------------


def _of_revisions(script: ScriptDirectory, current: tuple[str, ...], heads: tuple[str, ...]) -> Iterator[Attention]:
    if len(heads) > 1 and not stay_apart(script):
        advice = f"Two branches have no common end. {MERGE}"
        yield Attention("several heads", ", ".join(heads), advice)
    for one in unknown_revisions(script, current):
        advice = (
            "The database is at it, and no file has it. Get the file back, as from the branch that was deployed; or where it"
            " is gone for good, say where the database is: safeops stamp REV --verify"
        )
        yield Attention(UNKNOWN, one, advice)


def _of_database(migration: Migration) -> Iterator[Attention]:
    looks: dict[str, Callable[[Migration], Iterator[Attention]]] = {
        "backfills": _backfills,
        "invalid indexes": _indexes,
        "unvalidated constraints": _constraints,
        "leftover tables": _leftovers,
        "open phases": _phases,
        "archives": _archives,
    }
    for what, look in looks.items():
        try:
            yield from list(look(migration))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            yield Attention(UNSEEN, what, f"This user may not look: {summary(error)}")


def _backfills(migration: Migration) -> Iterator[Attention]:
    state = State(migration.database, migration.settings.schema_for_state)
    for one in state.parts() if state.exists() else []:
        if one.part == WHOLE and not one.is_finished:
            yield Attention("unfinished backfill", one.name, _advice_for(state, one))


def _advice_for(state: State, whole: Part) -> str:
    if state.claimed_for(whole):
        return f"A runner is at work on it: {whole.session}"
    goes_on = "Its revision goes on with it: safeops upgrade"
    return f"{goes_on}. Where it is not wanted any more: {call('forget_backfill', whole.name)}"


def _indexes(migration: Migration) -> Iterator[Attention]:
    for index, table in migration.database.invalid_indexes():
        drop = call("drop_index_if_exists", index, table.name, schema=_schema(migration, table))
        advice = f"An interrupted build left it. create_index_if_missing() of it builds it anew; or drop it: {drop}"
        yield Attention("invalid index", f"{index} on {table}", advice)


def _constraints(migration: Migration) -> Iterator[Attention]:
    for constraint, table in migration.database.unvalidated_constraints():
        advice = (
            "Old rows were never checked. Where an upgrade was interrupted, running it again goes on. Else: "
            + call("validate_constraint", constraint, table.name, schema=_schema(migration, table))
        )
        yield Attention("unvalidated constraint", f"{constraint} on {table}", advice)


def _leftovers(migration: Migration) -> Iterator[Attention]:
    for table in migration.database.leftover_tables():
        advice = (
            f"Alembic's batch mode was interrupted. See that {table.removeprefix('_alembic_tmp_')} has its rows, then: "
        )
        yield Attention("leftover table", table, advice + call("op.drop_table", table))


def _phases(migration: Migration) -> Iterator[Attention]:
    for pair in migration.database.open_pairs():
        yield Attention(OPEN_PHASE, *_pair_told(migration, pair))
    for old, table in migration.database.open_renames():
        written = call("TableRename", old, table.name, schema=_schema(migration, table))
        advice = f"Once no application uses the old name: {written}.contract()"
        yield Attention(OPEN_PHASE, f"{old} is {table.name} now, under both names", advice)


def _schema(migration: Migration, table: Name) -> str | None:
    """Return the schema as a call has to name it."""
    return None if table.schema == migration.context.dialect.default_schema_name else table.schema


def _pair_told(migration: Migration, pair: Pair) -> tuple[str, str]:
    if pair.winner is None:
        name = f"{pair.table}.{pair.twin if pair.switched else pair.source} gets another type"
        return name, f"Once every application takes both: TypeChange(...).{'contract' if pair.switched else 'switch'}()"
    old = pair.source if pair.winner == pair.twin else pair.twin
    written = call("ColumnRename", pair.table.name, old, pair.winner, schema=_schema(migration, pair.table))
    return f"{pair.table}.{old} and {pair.winner}", f"Once no application uses {old}: {written}.contract()"


def _archives(migration: Migration) -> Iterator[Attention]:
    for record in Catalogue(migration.database, migration.settings.schema_for_state).records():
        yield Attention(ARCHIVE if record.status == ARCHIVED else "unfinished archive", str(record), _kept(record))


def _kept(record: Record) -> str:
    if record.status != ARCHIVED:
        return "A drop or a restore was interrupted. Its revision goes on with it: safeops upgrade"
    back = written_restore(record)
    return f"Kept since it was dropped, {record.rows:,} rows. To have it back: {back}; to let go of it: drop_archives()"
