"""One runner at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safeops.arguments import arguments_checked
from safeops.databases import database_class, database_on
from safeops.databases.base import Database
from safeops.databases.connections import side_connection
from safeops.databases.server import ANOTHER_RUNNER, Abilities, Holder, RunnerLock
from safeops.databases.server_errors import message_of
from safeops.errors import (
    BackfillConflict,
    DefinitionMismatch,
    DependentObjects,
    InvalidArgument,
    LockNotAcquired,
    PhaseMissing,
    SafeOpsError,
    UnknownColumn,
    Unreachable,
)
from safeops.execution.heads import heads_explained
from safeops.execution.holders import listed
from safeops.execution.plain_operations import bounded_waiting
from safeops.plan_mode import current_dry_run
from safeops.policy import is_number

log = logging.getLogger("safeops")

KEY = "safeops:migration_lock"
POLL = 0.2
REMIND = 10.0
WAITING = "waiting for another runner (held by %s): %s"

_needless: ContextVar[list[Connection] | None] = ContextVar("safeops_migration_lock_needless", default=None)


@contextmanager
def without_migration_lock() -> Iterator[list[Connection]]:
    """Have ``migration_lock`` of env.py do nothing inside: a command that only reads need not wait, or holds it already.

    It gives the connections for which env.py called ``migration_lock``.
    """
    asked = _needless.get()
    token = _needless.set(asked := [] if asked is None else asked)
    try:
        yield asked
    finally:
        _needless.reset(token)


@arguments_checked()
@contextmanager
def migration_lock(connection: Connection, *, timeout: float | None = None) -> Iterator[None]:
    """Let one runner at a time migrate a database; the others wait, and then find nothing to do.

    Steps: opens a separate connection, as the engine of ``connection`` does but outside its pool; polls there for a session
    lock (PostgreSQL: an advisory lock of the database; MariaDB and MySQL: ``GET_LOCK``, in a Galera cluster a row with a
    lease of 30 s; SQLite: a lock on a file next to the database) and logs who holds it; runs the block; releases the lock.
    For the block, the setting ``lock_timeout`` limits how long each statement on ``connection`` waits for a lock, plain
    ``op.*`` included, unless the session already has a limit.

    Args:
        connection: The connection that env.py gives to ``context.configure()``; also that of an async env.py, inside
            ``run_sync``.
        timeout: Seconds to wait; None waits for as long as it takes.

    Raises:
        LockNotAcquired: Another runner held it for ``timeout`` seconds, or a plain statement in the block waited for a lock
            for ``lock_timeout`` seconds; the message names the holders.
        InvalidArgument: ``timeout`` is not a number of seconds.
        UnsupportedOnDatabase: The connection uses a pooler in transaction mode, which breaks session locks.
        Unreachable: There is no second connection for the lock.

    Locks: none on tables. It ends with the session that holds it, also when that is killed; leaving the block then logs
    an error.

    Running it again: each run takes the lock again; within one process it is not re-entrant.

    Offline: env.py does not call it for ``--sql``.

    Example:
        with engine.connect() as connection, migration_lock(connection):
            context.configure(connection=connection, transaction_per_migration=True)
            with context.begin_transaction():
                context.run_migrations()
    """
    if timeout is not None and not (is_number(timeout) and timeout >= 0):
        raise InvalidArgument(
            f"migration_lock() got timeout={timeout!r}.",
            remedy="Give seconds, or None to wait for as long as it takes:",
            code="with migration_lock(connection, timeout=600):",
        )
    asked = _needless.get()
    if asked is not None:
        asked.append(connection)
    held = nullcontext() if asked is not None else held_lock(connection, timeout, threading.Event())
    with held, bounded_waiting(connection), heads_explained():
        yield


@contextmanager
def held_lock(connection: Connection, timeout: float | None, over: threading.Event) -> Iterator[None]:
    """Hold the lock for the block, or end without it once ``over`` is set: then the block must look whether it is."""
    with _lock_connection(connection) as own:
        database = database_on(own)
        if not _wait(database, own, timeout, over):
            yield
            return
        try:
            yield
        finally:
            _let_go(database, own)


def _let_go(database: Database, own: Connection) -> None:
    """Release the lock. A lost session must not hide how the block ended: it is only logged."""
    try:
        lost = database.abilities.locks_runners_by_session and (own.invalidated or own.closed)
        lost = lost or RunnerLock.of(database).release_runner_lock(own, KEY) is False
    except SQLAlchemyError as error:
        log.debug("releasing the migration lock: %s", error)
        lost = True
    if lost:
        log.error(
            "the migration lock was lost while this runner worked, because the session that held it ended:"
            " another runner may have migrated at the same time. Check the schema, and run again"
        )


@contextmanager
def _lock_connection(connection: Connection) -> Iterator[Connection]:
    """Give a separate connection if the lock needs one."""
    if not Abilities.class_of(database_class(connection.dialect)).locks_runners_by_session:
        yield connection
        return
    with ExitStack() as stack:
        try:
            own = stack.enter_context(side_connection(connection))
            database_on(own).check_session()
        except DBAPIError as error:
            raise Unreachable(
                f"Could not open a second connection for the migration lock: {message_of(error)}.",
                why="The lock belongs to a separate session, next to the connection of the migration. The server, the role"
                " or a pooler may have none left: a pool of one connection is not enough.",
                remedy="Allow two connections for each migration, or connect to the server directly.",
            ) from error
        yield own


def _wait(database: Database, own: Connection, timeout: float | None, over: threading.Event) -> bool:
    """Wait for the lock; False if the wait was ended."""
    started, reported = time.monotonic(), -REMIND
    while not RunnerLock.of(database).try_runner_lock(own, KEY):
        waited = time.monotonic() - started
        if timeout is not None and waited >= timeout:
            raise LockNotAcquired(
                f"Could not start: another runner has been migrating this database for the {timeout:g} s that this one"
                f" waited.\nHeld by:{listed([_holder(database, own)])}",
                why="Two concurrent runners would run the same revisions twice.",
                remedy="Wait until it has finished and run again, or wait longer:",
                code="with migration_lock(connection, timeout=3600):",
            )
        if waited - reported >= REMIND:
            reported = waited
            left = "no time limit" if timeout is None else f"{timeout - waited:.0f} s of {timeout:g} s left"
            log.info(WAITING, _holder(database, own).brief, left)
        if over.wait(POLL if timeout is None else min(POLL, max(timeout - waited, 0.01))):
            return False
    return True


def _holder(database: Database, own: Connection) -> Holder:
    """Describe the runner that holds the lock. A query that fails does not end the wait."""
    try:
        return RunnerLock.of(database).runner_lock_holder(own, KEY)
    except SQLAlchemyError:
        log.debug("could not find the holder of the migration lock", exc_info=True)
        return ANOTHER_RUNNER


R = TypeVar("R")

RACES = 10
"""How often a phase inspects again after another runner was faster."""


def retry_if_overtaken(phase: Callable[[], R]) -> R:
    """Run a phase; if another runner was faster with a step of it, inspect again and continue."""
    said = ""
    for _ in range(RACES if current_dry_run() is None else 0):
        try:
            return phase()
        except SafeOpsError as error:
            before, said = said, str(error)
            # The first inspection may have seen a half-done step of another runner; the second shows whether it lasts.
            if not _is_race(error) and (said == before or not _may_be_torn(error)):
                raise
            log.info("inspecting again, in case another runner has changed it: %s", said.splitlines()[0])
    return phase()


def _is_race(error: Exception) -> bool:
    """Return whether another runner was faster; without a cause it is the author's to settle."""
    cause = isinstance(error.__cause__, (DBAPIError, LookupError))
    return cause and isinstance(error, (DefinitionMismatch, BackfillConflict))


def _may_be_torn(error: SafeOpsError) -> bool:
    # A statement that names what another runner has dropped is refused as one that was written so.
    refused = isinstance(error, InvalidArgument) or error.unexpected
    torn = refused and isinstance(error.__cause__, DBAPIError)
    return torn or isinstance(error, (PhaseMissing, DependentObjects, UnknownColumn))
