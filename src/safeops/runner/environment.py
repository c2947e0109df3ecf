"""Reaches a project's database through the project's own env.py, and inspects it without writing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.exc import DBAPIError

from safeops import _alembic
from safeops.databases import database_class, database_for
from safeops.databases.connections import listening, run_on_connection
from safeops.databases.ports import Port
from safeops.databases.server import SessionSettings
from safeops.databases.triggers import Pair, pair_of
from safeops.errors import ServerRefused, TransactionNotOurs, Unreachable, UnsupportedOnDatabase
from safeops.execution.migration import ONE_TRANSACTION, Migration, current_settings, outside_transaction
from safeops.execution.migration_lock import without_migration_lock
from safeops.naming import Name
from safeops.planned import summary
from safeops.runner.logs import ALEMBIC, quiet_logs
from safeops.runner.revisions import scripts_of

T = TypeVar("T")
VERSION_OPTIONS = ("version_table", "version_table_schema")


class Inspection(Port):
    """What the commands read from a database before they run anything; it never writes."""

    place = "safeops.runner.{family}:Inspection"
    asked = "An inspection of the database"

    @classmethod
    def missing_file(cls, arguments: Sequence[Any], options: dict[str, Any]) -> str | None:
        """Return the file that a connection with these arguments would create; None if it creates none."""
        return None

    @abstractmethod
    def database_name(self) -> str:
        """Return the name of the database."""

    @abstractmethod
    def migration_lock_holder(self, connection: Connection, key: str) -> str | None:
        """Describe the session that holds the migration lock, without delaying it."""

    # Unfinished work --------------------------------------------------------------------------------------------

    def invalid_indexes(self) -> list[tuple[str, Name]]:
        """Return the indexes that an interrupted build has left, and their tables."""
        return []

    def unvalidated_constraints(self) -> list[tuple[str, Name]]:
        """Return the constraints that are enforced for new rows only, and their tables."""
        return []

    def leftover_tables(self) -> list[str]:
        """Return the tables that an interrupted rebuild by Alembic has left."""
        return []

    def open_pairs(self) -> list[Pair]:
        """Return the pairs of columns that are kept in sync now."""
        pairs = (pair_of(text, table) for text, table in self.sync_triggers())
        return list(dict.fromkeys(pair for pair in pairs if pair is not None))

    @abstractmethod
    def sync_triggers(self) -> list[tuple[str, Name]]:
        """Return the text of each trigger that keeps two columns in sync, and its table."""

    def open_renames(self) -> list[tuple[str, Name]]:
        """Return the old names under which a view shows a renamed table, and those tables."""
        return []

    def other_schemas(self) -> list[str]:
        """Return the schemas of this database, except the current one and those of the server."""
        return []

    # Before an upgrade ------------------------------------------------------------------------------------------

    def write_refusal(self) -> str | None:
        """Return why nothing can be written here; None if no reason is known."""
        return None

    @abstractmethod
    def long_transactions(self, seconds: float) -> list[str]:
        """Describe the other transactions that have been open for so long: each may block a step."""

    @abstractmethod
    def data_folder(self) -> Path | None:
        """Return the folder of the database; None if it is on another machine, or this user cannot see it."""


@dataclass(frozen=True)
class ReachedDatabase:
    """A database that env.py has reached once, which can be reached again without env.py.

    Args:
        script: The revisions of the project.
        engine: What env.py connected with.
        options: What env.py passed to ``context.configure()``.
        current: The revisions that the database was at.
        handed: What env.py has set on its session.
        takes_lock: Whether env.py calls ``migration_lock``.
    """

    script: ScriptDirectory
    engine: Engine
    options: dict[str, Any]
    current: tuple[str, ...]
    session_settings: SessionSettings = ()
    takes_lock: bool = True

    def connected(self, body: Callable[[Connection], T]) -> T:
        """Run ``body`` on a separate connection, in autocommit; also if the engine is asynchronous."""
        return run_on_connection(self.engine, body, session_settings=self.session_settings)

    def current_now(self) -> tuple[str, ...]:
        """Return the revisions that the database is at now."""
        options = {key: self.options[key] for key in VERSION_OPTIONS if self.options.get(key)}
        return self.connected(lambda connection: current_on(connection, options))

    def missing_in_env(self) -> Iterator[str]:
        """Describe what env.py lacks for a run by plain ``alembic``."""
        if not self.takes_lock:
            yield (
                "env.py does not call migration_lock(): two runs of alembic upgrade could migrate at the same time."
                " Write: with migration_lock(connection), context.begin_transaction():"
            )
        if not self.options.get("transaction_per_migration"):
            yield ONE_TRANSACTION


def current_on(connection: Connection, options: dict[str, Any]) -> tuple[str, ...]:
    """Return the revisions in the version table that these options name."""
    with quiet_logs(ALEMBIC):
        return MigrationContext.configure(connection, opts=options).get_current_heads()


# Through env.py -------------------------------------------------------------------------------------------------


def reach(config: Config, script: ScriptDirectory | None = None) -> ReachedDatabase:
    """Return the database that env.py connects to."""
    script = script or scripts_of(config)

    def describe(context: MigrationContext) -> ReachedDatabase:
        assert context.connection is not None
        current, connection = context.get_current_heads(), context.connection
        session_settings = database_for(context.dialect, lambda: connection).session_settings()
        return ReachedDatabase(script, connection.engine, dict(context.opts), current, session_settings)

    with without_migration_lock() as lock_calls:
        before = len(lock_calls)
        reached = run_env(config, describe, script)
        return replace(reached, takes_lock=len(lock_calls) > before)


def reach_existing(config: Config, script: ScriptDirectory | None = None) -> ReachedDatabase:
    """Return the database that env.py connects to; raise Unreachable if connecting would create it."""
    with explaining_errors(), _creating_no_database():
        return reach(config, script)


def run_env(config: Config, body: Callable[[MigrationContext], T], script: ScriptDirectory | None = None) -> T:
    """Run env.py with ``body`` instead of revisions; nothing is written, and the migration lock is not taken.

    Args:
        config: The configuration of the project.
        body: Gets the context that env.py configured, while its connection is open.
        script: The revisions of the project, if they were loaded before: loading runs each of their files.

    Raises:
        UnsupportedOnDatabase: env.py migrates several databases at once.
    """
    script = script or scripts_of(config)
    results: list[T] = []

    def instead(_current: Any, context: MigrationContext) -> list[Any]:
        results.append(body(context))
        return []

    # As `alembic current` does.
    environment = EnvironmentContext(config, script, fn=instead, dont_mutate=True)
    with quiet_logs(ALEMBIC), without_migration_lock(), environment:
        script.run_env()
    if len(results) != 1:
        raise UnsupportedOnDatabase(
            f"env.py ran the revisions {len(results)} times, and this command works on one database.",
            why="Alembic's template multidb migrates several. 0 times: env.py does not call context.run_migrations().",
            remedy="Let env.py read an argument that selects one database, and pass it:",
            code="safeops -x database=engine1 status",
        )
    return results[0]


# Without writing ------------------------------------------------------------------------------------------------


def inspect(
    config: Config, script: ScriptDirectory, body: Callable[[Migration], T], *, refusing_writes: bool = False
) -> T:
    """Run env.py with ``body`` instead of revisions, on a session that writes nothing.

    Args:
        config: The configuration of the project.
        script: Its revisions.
        body: Gets what a helper gets.
        refusing_writes: Have the server refuse writes, for code of a revision; TransactionNotOurs if it cannot.

    Raises:
        SafeOpsError: The database cannot be reached, or refuses to let this user read.
    """
    with explaining_errors(), _creating_no_database():
        return run_env(config, lambda context: _inspect(context, body, refusing_writes), script)


def _inspect(context: MigrationContext, body: Callable[[Migration], T], refusing_writes: bool) -> T:
    # As Alembic does before each revision: it takes over the transaction in which it read the version table.
    with context.begin_transaction(_per_migration=True):
        try:
            with (
                outside_transaction(context, "safeops plan", lambda: _autocommit(context)),
                _manual_transactions(context, refusing_writes) as migration,
            ):
                return body(migration)
        except TransactionNotOurs:
            if refusing_writes:
                raise
        return body(_migration(context))


@contextmanager
def _autocommit(context: MigrationContext) -> Iterator[None]:
    """Do as Alembic's ``autocommit_block`` does, also if code in it commits or rolls back the connection itself."""
    connection, transaction = context.connection, _alembic.own_transaction(context)
    assert connection is not None
    if transaction is not None:
        transaction.commit()
    level = connection.get_isolation_level()
    # Reading the level has begun a transaction.
    connection.rollback()
    connection.execution_options(isolation_level="AUTOCOMMIT")
    try:
        yield
    finally:
        if not connection.closed and not connection.invalidated:
            connection.rollback()
            connection.execution_options(isolation_level=level)
            _alembic.set_own_transaction(context, connection.begin() if transaction is not None else None)


@contextmanager
def _manual_transactions(context: MigrationContext, refusing_writes: bool) -> Iterator[Migration]:
    migration = _migration(context)
    database = migration.database
    database.enter_autocommit()
    try:
        with database.read_only_session() if refusing_writes else nullcontext():
            yield migration
    finally:
        database.leave_autocommit()


def _migration(context: MigrationContext) -> Migration:
    def connection() -> Connection:
        assert context.connection is not None
        return context.connection

    settings = current_settings(context)
    database = database_for(context.dialect, connection)
    database.lock_wait = settings.lock_timeout
    return Migration(database, settings, context)


# What can go wrong ----------------------------------------------------------------------------------------------


@contextmanager
def explaining_errors(option: str = "") -> Iterator[None]:
    """Raise a driver's error as a SafeOpsError that explains in a few words why the database did not answer.

    Args:
        option: The option that names its URL; without one it is that of env.py.
    """
    database = f"The database at {option}" if option else "The database"
    try:
        yield
    except DBAPIError as error:
        if error.statement is None or error.connection_invalidated:
            raise Unreachable(
                f"{database} cannot be reached: {summary(error)}",
                remedy=f"Check the URL {f'given by {option}' if option else 'that env.py connects to'}, and that the"
                " server is running.",
            ) from error
        raise ServerRefused(
            f"{database} refused to answer: {summary(error)}",
            why=f"The query: {shorten(' '.join(error.statement.split()), 120)}",
            remedy="Connect as a user that can read the tables that the migrations write.",
        ) from error


def shorten(text: str, longest: int) -> str:
    """Cut a text that is longer than so many characters."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _creating_no_database() -> AbstractContextManager[None]:
    return listening(Engine, "do_connect", _refuse_missing)


def _refuse_missing(dialect: Dialect, _record: Any, arguments: Any, options: Any) -> None:
    # env.py may also connect to databases that safeops does not support.
    with suppress(UnsupportedOnDatabase):
        refuse_missing(dialect, arguments, options)


def refuse_missing(dialect: Dialect, arguments: Any, options: Any) -> None:
    """Raise Unreachable if connecting would create the database."""
    path = Inspection.class_of(database_class(dialect)).missing_file(arguments, options)
    if path is not None:
        raise Unreachable(
            f"There is no database: the file {path} does not exist.",
            why="Connecting would create it, and an inspection must not.",
            remedy="Check the URL. To create the database, run the first upgrade:",
            code="safeops upgrade",
        )
