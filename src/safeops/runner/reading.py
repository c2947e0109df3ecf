"""Looks at a project's database where nothing can be written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.exc import DBAPIError

from safeops.databases import database_class, database_for
from safeops.errors import SafeOpsError, ServerRefused, TransactionNotOurs, Unreachable, UnsupportedOnDatabase
from safeops.foretold import summary
from safeops.migration import Migration, current_settings, outside_transaction
from safeops.runner.environment import look_on

T = TypeVar("T")


def read(config: Config, look: Callable[[Migration], T], *, refusing_writes: bool = False) -> T:
    """Run env.py, and ``look`` where it would run revisions.

    Args:
        config: The configuration of the project.
        look: Gets what a helper gets.
        refusing_writes: Have the server refuse to write, for code that is not ours; TransactionNotOurs where it cannot.

    Raises:
        SafeOpsError: The database cannot be reached, or does not let this user look.
    """
    with _explaining():
        return look_on(config, lambda context: _read(context, look, refusing_writes))


def _read(context: MigrationContext, look: Callable[[Migration], T], refusing_writes: bool) -> T:
    # As Alembic does before each revision: it takes over what its own look at the version table has begun.
    with context.begin_transaction(_per_migration=True):
        try:
            with (
                outside_transaction(context, "safeops plan", lambda: _stepping_out(context)),
                _by_hand(context, refusing_writes) as migration,
            ):
                return look(migration)
        except TransactionNotOurs:
            if refusing_writes:
                raise
        return look(_migration(context))


@contextmanager
def _stepping_out(context: MigrationContext) -> Iterator[None]:
    """Do as Alembic's ``autocommit_block`` does, also where code in it commits or rolls back the connection itself."""
    connection, began = context.connection, context._transaction
    assert connection is not None
    if began is not None:
        began.commit()
    level = connection.get_isolation_level()
    # Asking has begun a transaction.
    connection.rollback()
    connection.execution_options(isolation_level="AUTOCOMMIT")
    try:
        yield
    finally:
        if not connection.closed and not connection.invalidated:
            connection.rollback()
            connection.execution_options(isolation_level=level)
            context._transaction = connection.begin() if began is not None else None


@contextmanager
def _by_hand(context: MigrationContext, refusing_writes: bool) -> Iterator[Migration]:
    migration = _migration(context)
    database = migration.database
    database.begin_by_hand()
    try:
        with database.reading_only() if refusing_writes else nullcontext():
            yield migration
    finally:
        database.end_by_hand()


def _migration(context: MigrationContext) -> Migration:
    def connection() -> Connection:
        assert context.connection is not None
        return context.connection

    settings = current_settings(context)
    database = database_for(context.dialect, connection)
    database.patience = settings.lock_timeout
    return Migration(database, settings, context)


@contextmanager
def _explaining() -> Iterator[None]:
    """Say in a few words why a database cannot be looked at, and create none by looking."""
    sa.event.listen(Engine, "do_connect", _refuse_missing)
    try:
        yield
    except DBAPIError as error:
        raise explained(error) from error
    finally:
        sa.event.remove(Engine, "do_connect", _refuse_missing)


def explained(error: DBAPIError) -> SafeOpsError:
    """Return the error of a server that cannot be reached, or that refuses a question."""
    if error.statement is None or error.connection_invalidated:
        return Unreachable(
            f"The database cannot be reached: {summary(error)}",
            remedy="Check the URL that env.py connects to, and that the server runs.",
        )
    asked = " ".join(error.statement.split())
    return ServerRefused(
        f"The database refused to answer: {summary(error)}",
        why=f"It was asked: {asked if len(asked) <= 120 else f'{asked[:117]}...'}",
        remedy="Look with a user that may read what the migrations write.",
    )


def _refuse_missing(dialect: Dialect, _record: Any, arguments: Any, options: Any) -> None:
    # env.py may connect to others too, which are none of ours.
    with suppress(UnsupportedOnDatabase):
        refuse_missing(dialect, arguments, options)


def refuse_missing(dialect: Dialect, arguments: Any, options: Any) -> None:
    """Raise where connecting would create the database."""
    path = database_class(dialect).missing_file(arguments, options)
    if path is not None:
        raise Unreachable(
            f"There is no database: the file {path} does not exist.",
            why="Connecting would create it, and looking must not.",
            remedy="Check the URL; where the database is to be made, the first upgrade makes it:",
            code="safeops upgrade",
        )
