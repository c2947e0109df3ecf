"""The checks before an upgrade: what is certain to fail raises, what may get in the way is a warning."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.backfilling.load import Load
from safeops.databases import database_for
from safeops.databases.base import Database
from safeops.errors import InvalidArgument, NotReady, SafeOpsError
from safeops.planned import spelled_size, summary
from safeops.runner.environment import Reached
from safeops.runner.inspection import Inspection, TemporaryDatabases
from safeops.runner.revisions import stay_apart, steps_between, unknown_revisions

OLD = 30.0
"""Seconds after which an open transaction is named."""
LAG = 10.0
"""Seconds of replication lag from which a replica is named."""
SPARE, PART = 256 * 2**20, 5
"""The disk is named if it has fewer free bytes, or less than this part of the database's size."""


def steps_to(script: ScriptDirectory, revision: str, current: tuple[str, ...], *, down: bool = False) -> list[Any]:
    """Return the steps of an upgrade, or with ``down`` of a downgrade, or raise an error that says why there are none."""
    if not down:
        check_heads(script, revision)
        revision = "heads" if revision == "head" and stay_apart(script) else revision
    check_known(script, current)
    try:
        return steps_between(script, revision, current, down=down)
    except CommandError as error:
        raise InvalidArgument(
            f"There is no {'way back' if down else 'upgrade'} to {revision}: {error}.",
            remedy="See which revisions there are:",
            code="alembic history",
        ) from error


def check_heads(script: ScriptDirectory, revision: str) -> None:
    heads = script.get_heads()
    if revision == "head" and len(heads) > 1 and not stay_apart(script):
        raise NotReady(
            f"There are {len(heads)} heads: {', '.join(sorted(heads))}.",
            why="Two revisions follow the same one, as after two branches were merged, and nobody has said how they go on.",
            remedy="Write the revision that merges them, look at it, commit it, and upgrade again (if they are meant to stay"
            " apart, give each a branch label of its own, or upgrade to `heads`):",
            code="safeops heads --merge",
        )


def check_known(script: ScriptDirectory, current: tuple[str, ...]) -> None:
    unknown = unknown_revisions(script, current)
    if unknown:
        raise NotReady(
            f"The database is at {', '.join(unknown)}, and no file here has it.",
            why="It was migrated by other code, most likely by newer one, or the file was renamed or deleted.",
            remedy="Get the file back, as from the branch that was deployed; where it is gone for good, say where the"
            " database is:",
            code="safeops stamp REV --verify",
        )


def warnings_for(reached: Reached) -> list[str]:
    """Return what may get in the way of an upgrade, or raise NotReady for what certainly does."""
    return reached.connected(_warnings)


def _warnings(connection: Connection) -> list[str]:
    database = database_for(connection.dialect, lambda: connection)
    refusal = TemporaryDatabases.of(database).refuses_writes()
    if refusal:
        raise NotReady(
            f"Nothing can be written to {Inspection.of(database).name_of_database()}: {refusal}.",
            remedy="Connect to the primary, by a user who may change tables.",
        )
    return [warning for check in (_transactions, _replicas, _room) for warning in _run(check, database)]


def _run(check: Callable[[Database], Iterator[str]], database: Database) -> list[str]:
    """Run a check that not every server and user allows: an upgrade continues without it."""
    try:
        return list(check(database))
    except SafeOpsError:
        return []
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return [f"This user may not look for what may be in the way: {summary(error)}"]


def _transactions(database: Database) -> Iterator[str]:
    # Only a warning: it may end soon, and a helper that gives up names who blocked it.
    for transaction in TemporaryDatabases.of(database).long_transactions(OLD):
        yield f"An open transaction may block a step: {transaction}"


def _replicas(database: Database) -> Iterator[str]:
    for replica in Load.of(database).replicas():
        if replica.lag is not None and replica.lag > LAG:
            yield f"The replica {replica.name} is {replica.lag:.0f} s behind, and a migration will not make that less."


def _room(database: Database) -> Iterator[str]:
    folder = TemporaryDatabases.of(database).data_folder()
    if folder is None:
        return
    free, size = shutil.disk_usage(folder).free, database.sizes.bytes_of_database() or 0
    if free < max(SPARE, size // PART):
        yield f"{spelled_size(free)} are free in {folder}, for a database of {spelled_size(size)}."
