"""Runs a project on an empty temporary database, and makes sure that it works on no other one."""

from __future__ import annotations

import copy
import logging
import os
import uuid
from abc import abstractmethod
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakSet

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from safeops.databases import KINDS, database_class, database_on
from safeops.databases.connections import check_host, run_on_connection
from safeops.databases.ports import Port
from safeops.errors import InvalidArgument, NotReady
from safeops.execution.migration_lock import without_migration_lock
from safeops.planned import summary
from safeops.policy import settings
from safeops.runner.dumps import Dumps
from safeops.runner.environment import ReachedDatabase, explaining_errors, reach, run_env
from safeops.runner.logs import ALEMBIC, SAFEOPS, quiet_logs
from safeops.runner.redirection import elsewhere, not_redirecting, redirecting, rerouting
from safeops.runner.revision_run import RevisionRun, ending_on_signals
from safeops.runner.revisions import scripts_of

log = logging.getLogger("safeops")

PREFIX = "safeops_scratch_"
"""What the name of every temporary database begins with."""
SCRATCH_URL = "--scratch-url"
T = TypeVar("T")


Steps = Callable[[tuple[str, ...]], list[Any]]


class TemporaryDatabases(Port):
    """Creates and drops temporary databases."""

    place = "safeops.runner.{family}:TemporaryDatabases"
    asked = "A temporary database"

    @classmethod
    def connect_in_memory(cls, arguments: list[Any], options: dict[str, Any]) -> None:
        """Change the arguments of a connection that would create a database file: it gets one in memory instead."""

    @abstractmethod
    def create(self, name: str) -> str:
        """Create an empty database like this one; return what a URL names it by."""

    @abstractmethod
    def drop(self, database: str) -> None:
        """Drop it, even if it has connections."""

    def is_copied_whole(self, database: str) -> bool:
        """Return whether a copy of a database has everything that it has."""
        return False

    def copy(self, source: str, target: str) -> None:
        """Make a database that is like another one, instead of what has its name, if ``is_copied_whole``."""
        raise NotImplementedError

    def end_sessions(self, database: str) -> None:
        """End the sessions of a database, and wait until the server no longer has them."""

    @abstractmethod
    def is_connected_to(self, database: str | None) -> bool:
        """Return whether this connection uses the database that a URL names so."""


@dataclass(frozen=True)
class TemporaryDatabase:
    """A database that exists as long as the block of ``temporary_database``.

    Args:
        config: The configuration of the project, for this database.
        script: The revisions of the project.
        is_here: Returns whether a connection uses this database.
        saved: Keeps a state of it; None if no other database can be created.
    """

    config: Config
    script: ScriptDirectory
    is_here: Callable[[Connection], bool]
    saved: Saved | None = None
    _engines: WeakSet[Engine] = field(default_factory=WeakSet, init=False)

    def run(self, steps: Steps) -> tuple[str, Exception] | None:
        """Run revisions here, and nowhere else; return the revision that failed and its error."""

        def checked(heads: tuple[str, ...], context: MigrationContext) -> list[Any]:
            self.check(context)
            return steps(heads)

        run = RevisionRun(checked)
        try:
            # No session waits for a table here, and no released code uses it.
            with settings(guard="off"):
                run.run(self.config, self.script)
        except Exception as error:
            if run.running is None:
                raise
            return run.running.revision, error
        return None

    def inspect(self, body: Callable[[MigrationContext], T]) -> T:
        """Run env.py with ``body`` instead of revisions, on this database."""

        def checked(context: MigrationContext) -> T:
            self.check(context)
            return body(context)

        return run_env(self.config, checked, self.script)

    def check(self, context: MigrationContext) -> None:
        """Raise if env.py works on another database."""
        connection = context.connection
        if connection is None or not self.is_here(connection):
            raise elsewhere(str(connection.engine.url.database) if connection is not None else "no connection")
        self._engines.add(connection.engine)
        # On PostgreSQL a query with parameters holds its snapshot until the next statement, and a concurrent build of
        # another session would wait for it.
        connection.exec_driver_sql("SELECT 1")

    def save(self) -> bool:
        """Keep the present state; return False if that is not possible, or would be incomplete."""
        self.close_connections()
        return self.saved is not None and self.saved.save()

    def restore(self) -> bool:
        """Return to the state that was kept; return False if the database cannot be used."""
        self.close_connections()
        return self.saved is not None and self.saved.restore()

    def close_connections(self) -> None:
        """Close those that a pool of env.py holds: it may outlive env.py."""
        for engine in self._engines:
            _close_connections(engine)


class Saved:
    """Keeps a state of a temporary database, which is restored faster than revisions run again.

    The database keeps its name, so env.py is led to it as before. What is kept is dropped at the end of the block.

    Args:
        engine: Connects to a database next to it.
        name: What a URL names it by.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self._name, self._copy = engine, name, f"{name}_saved"
        self._exists = False

    def __enter__(self) -> Saved:
        return self

    def __exit__(self, *_: object) -> None:
        if self._exists:
            _drop(self._engine, self._copy)

    def save(self) -> bool:
        """Keep the present state; return False if that is not possible, or would be incomplete."""
        self._exists = True
        return self._copied(self._name, self._copy)

    def restore(self) -> bool:
        """Return the database to the state that was kept; return False if it cannot be used."""
        return self._copied(self._copy, self._name)

    def _copied(self, source: str, target: str) -> bool:
        def copy(own: Connection) -> bool:
            databases = TemporaryDatabases.of(database_on(own))
            # A creator of connections can ignore the URL of its engine.
            if databases.is_connected_to(self._name) or not databases.is_copied_whole(source):
                return False
            databases.end_sessions(source)
            databases.copy(source, target)
            return True

        try:
            with not_redirecting(), _creating_nothing():
                return run_on_connection(self._engine, copy)
        except (DBAPIError, OSError) as error:
            log.debug("could not copy the scratch database: %s", summary(error))
            return False


@contextmanager
def temporary_database(
    config: Config,
    url: str | None = None,
    *,
    reached: ReachedDatabase | None = None,
    script: ScriptDirectory | None = None,
    saved: Saved | None = None,
) -> Iterator[TemporaryDatabase]:
    """Provide an empty database of the project's kind.

    Args:
        config: The configuration of the project.
        url: An empty database to use, which is not emptied afterwards; None creates one on the project's server, and drops
            it.
        reached: The project's own database, if it was reached before.
        script: The revisions of the project, if they were loaded before.
        saved: Keeps a state of the database at ``url``, if others can be created next to it.

    Raises:
        NotReady: None can be created, or the one at ``url`` is not empty.
    """
    with ending_on_signals():
        given = None if url is None else _given(scratch_url_of(url), config, script or scripts_of(config), saved)
        with (
            quiet_logs(ALEMBIC, SAFEOPS),
            given or _created(config, reached or reached_for_copies(config, script)) as temporary,
        ):
            yield temporary


# Created for the block ------------------------------------------------------------------------------------------


def reached_for_copies(config: Config, script: ScriptDirectory | None = None) -> ReachedDatabase:
    """Return the project's own database, or its server if there is no such database yet."""
    # On SQLite connecting would create the project's database, which is not needed.
    with _creating_nothing(), explaining_errors():
        return reach(config, script)


@contextmanager
def _created(config: Config, reached: ReachedDatabase) -> Iterator[TemporaryDatabase]:
    with _creating_nothing():
        name = _create(reached)
    live, engine = reached.engine.url, reached.engine
    url = live.set(database=name)

    def is_here(connection: Connection) -> bool:
        return TemporaryDatabases.of(database_on(connection)).is_connected_to(name)

    try:
        # A pool that outlives env.py may hold open connections.
        _close_connections(engine)
        with (
            Saved(engine, name) as saved,
            redirecting(live, url),
            environment_variable(url),
            without_migration_lock(),
        ):
            if not run_on_connection(engine, is_here):
                raise elsewhere(str(live.database))
            yield TemporaryDatabase(config_for(config, url), reached.script, is_here, saved)
    finally:
        _close_connections(engine)
        _drop(engine, name)


def _creating_nothing() -> AbstractContextManager[None]:
    return rerouting(
        lambda dialect, *arguments: TemporaryDatabases.class_of(database_class(dialect)).connect_in_memory(*arguments)
    )


def _create(reached: ReachedDatabase) -> str:
    name = f"{PREFIX}{uuid.uuid4().hex[:12]}"
    try:
        # As the user who connects: the role of the migrations might lack the right to create databases.
        return run_on_connection(reached.engine, lambda own: TemporaryDatabases.of(database_on(own)).create(name))
    except DBAPIError as error:
        raise NotReady(
            f"Could not create a scratch database: {summary(error)}.",
            why="The revisions are run on an empty database of the same kind, which is dropped afterwards.",
            remedy="Allow this user to create databases, or name an empty one:",
            code="--scratch-url URL",
        ) from error


def _drop(engine: Engine, name: str) -> None:
    try:
        with _creating_nothing():
            run_on_connection(engine, lambda own: TemporaryDatabases.of(database_on(own)).drop(name))
    except DBAPIError as error:
        # This must not hide how the block ended.
        log.warning("could not drop the scratch database %s, drop it yourself: %s", name, summary(error))


def _close_connections(engine: Engine) -> None:
    with suppress(SQLAlchemyError):
        # The connections of an asynchronous driver belong to an event loop that has ended.
        engine.dispose(close=not engine.dialect.is_async)


# Given by the user ----------------------------------------------------------------------------------------------


@contextmanager
def _given(url: URL, config: Config, script: ScriptDirectory, saved: Saved | None) -> Iterator[TemporaryDatabase]:
    engine = sa.create_engine(url, poolclass=NullPool, hide_parameters=True)
    mark = sa.Table(f"{PREFIX}{uuid.uuid4().hex[:12]}", sa.MetaData(), sa.Column("id", sa.Integer))

    def begin(connection: Connection) -> None:
        check_empty(connection)
        mark.create(connection)

    with explaining_errors(SCRATCH_URL):
        run_on_connection(engine, begin)
    try:
        temporary = TemporaryDatabase(
            config_for(config, url), script, lambda connection: sa.inspect(connection).has_table(mark.name), saved
        )
        with redirecting(None, url), environment_variable(url), without_migration_lock():
            try:
                yield temporary
            finally:
                temporary.close_connections()
    finally:
        # If it could not be restored, it no longer exists.
        with suppress(DBAPIError) if saved is not None else nullcontext():
            run_on_connection(engine, lambda connection: mark.drop(connection, checkfirst=True))


def check_empty(connection: Connection, option: str = SCRATCH_URL) -> None:
    """Raise NotReady if a database that a user gave has anything in it."""
    if objects := Dumps.of(database_on(connection)).objects():
        raise NotReady(
            f"The database at {option} is not empty: it has {', '.join(objects)}.",
            why="Revisions are run there, up and down, and what they create is not removed.",
            remedy="Name an empty database that is used for nothing else.",
        )


def scratch_url_of(text: str, option: str = SCRATCH_URL) -> URL:
    """Return the URL that a user gave of an empty database, or raise InvalidArgument."""
    with suppress(ArgumentError):
        url = sa.make_url(text)
        check_host(url)
        if url.get_backend_name() in KINDS:
            return url
    raise InvalidArgument(
        f"{option} is not the URL of a database that safeops supports.",
        remedy="Write it as SQLAlchemy does:",
        code=f"{option} postgresql+psycopg://user@localhost/scratch",
    )


# What env.py reads ----------------------------------------------------------------------------------------------


def config_for(config: Config, url: URL) -> Config:
    """Return a copy of a configuration with another database, in each place from which env.py files read its URL."""
    text = url.render_as_string(hide_password=False)
    copied = copy.copy(config)
    options = vars(config.cmd_opts) if config.cmd_opts is not None else {}
    copied.cmd_opts = Namespace(**{**options, "x": [*(options.get("x") or []), f"url={text}"]})
    copied.__dict__["file_config"] = copy.deepcopy(config.file_config)
    # A connection that was passed in uses the project's own database.
    copied.__dict__["attributes"] = {key: value for key, value in config.attributes.items() if key != "connection"}
    # Many env.py files read this before they set up logging.
    copied.attributes["configure_logging"] = False
    copied.set_main_option("sqlalchemy.url", text.replace("%", "%%"))
    return copied


@contextmanager
def environment_variable(url: URL) -> Iterator[None]:
    """Set the environment variable that most env.py files read, for the block."""
    before = os.environ.get("DATABASE_URL")
    os.environ["DATABASE_URL"] = url.render_as_string(hide_password=False)
    try:
        yield
    finally:
        if before is None:
            del os.environ["DATABASE_URL"]
        else:
            os.environ["DATABASE_URL"] = before
