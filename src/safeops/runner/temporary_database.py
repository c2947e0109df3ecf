"""Runs a project on an empty temporary database, and makes sure that it works on no other one."""

from __future__ import annotations

import copy
import logging
import os
import re
import uuid
from abc import abstractmethod
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Connection, Dialect, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from safeops.databases import KINDS, database_class, database_on, family_of
from safeops.databases.connections import check_host, listening, run_on_connection
from safeops.databases.ports import Port
from safeops.databases.server import Abilities
from safeops.errors import InvalidArgument, NotReady, SafeOpsError
from safeops.execution.migration_lock import without_migration_lock
from safeops.planned import summary
from safeops.policy import settings
from safeops.runner.dumps import Dumps
from safeops.runner.environment import ReachedDatabase, explaining_errors, reach, run_env
from safeops.runner.logs import ALEMBIC, SAFEOPS, quiet_logs
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
    """

    config: Config
    script: ScriptDirectory
    is_here: Callable[[Connection], bool]

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
        # On PostgreSQL a query with parameters holds its snapshot until the next statement, and a concurrent build of
        # another session would wait for it.
        connection.exec_driver_sql("SELECT 1")


@contextmanager
def temporary_database(
    config: Config,
    url: str | None = None,
    *,
    reached: ReachedDatabase | None = None,
    script: ScriptDirectory | None = None,
) -> Iterator[TemporaryDatabase]:
    """Provide an empty database of the project's kind.

    Args:
        config: The configuration of the project.
        url: An empty database to use, which is not emptied afterwards; None creates one on the project's server, and drops
            it.
        reached: The project's own database, if it was reached before.
        script: The revisions of the project, if they were loaded before.

    Raises:
        NotReady: None can be created, or the one at ``url`` is not empty.
    """
    with ending_on_signals():
        given = None if url is None else _given(scratch_url_of(url), config, script or scripts_of(config))
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
        with redirecting(live, url), environment_variable(url), without_migration_lock():
            if not run_on_connection(engine, is_here):
                raise elsewhere(str(live.database))
            yield TemporaryDatabase(config_for(config, url), reached.script, is_here)
    finally:
        _close_connections(engine)
        _drop(reached, name)


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


def _drop(reached: ReachedDatabase, name: str) -> None:
    try:
        with _creating_nothing():
            run_on_connection(reached.engine, lambda own: TemporaryDatabases.of(database_on(own)).drop(name))
    except DBAPIError as error:
        # This must not hide how the block ended.
        log.warning("could not drop the scratch database %s, drop it yourself: %s", name, summary(error))


def _close_connections(engine: Engine) -> None:
    with suppress(SQLAlchemyError):
        # The connections of an asynchronous driver belong to an event loop that has ended.
        engine.dispose(close=not engine.dialect.is_async)


# Given by the user ----------------------------------------------------------------------------------------------


@contextmanager
def _given(url: URL, config: Config, script: ScriptDirectory) -> Iterator[TemporaryDatabase]:
    engine = sa.create_engine(url, poolclass=NullPool, hide_parameters=True)
    mark = sa.Table(f"{PREFIX}{uuid.uuid4().hex[:12]}", sa.MetaData(), sa.Column("id", sa.Integer))

    def begin(connection: Connection) -> None:
        check_empty(connection)
        mark.create(connection)

    with explaining_errors(SCRATCH_URL):
        run_on_connection(engine, begin)
    try:
        with redirecting(None, url), environment_variable(url), without_migration_lock():
            yield TemporaryDatabase(
                config_for(config, url), script, lambda connection: sa.inspect(connection).has_table(mark.name)
            )
    finally:
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


# Redirected connections -----------------------------------------------------------------------------------------


Change = Callable[[Dialect, list[Any], dict[str, Any]], None]
OF_A_SESSION = frozenset(
    re.findall(
        r"\w+",
        """application_name autocommit charset client_flag command_timeout conv detect_types factory init_command
    isolation_level options prepare_threshold row_factory server_settings sql_mode timeout""",
    )
)
"""Arguments of drivers that set up a session, as its lock timeout; the others lead to a database."""


@contextmanager
def rerouting(change: Change) -> Iterator[None]:
    """Have ``change`` alter the arguments of every connection that SQLAlchemy makes, for the block."""
    changed: list[tuple[list[Any], list[Any], dict[str, Any], dict[str, Any]]] = []

    def reroute(dialect: Dialect, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
        changed.append((arguments, list(arguments), options, dict(options)))
        change(dialect, arguments, options)

    try:
        with listening(Engine, "do_connect", reroute):
            yield
    finally:
        # Up to SQLAlchemy 2.0 an engine keeps the changed arguments.
        for arguments, before, options, named_before in reversed(changed):
            arguments[:] = before
            options.clear()
            options.update(named_before)


@contextmanager
def redirecting(live: URL | None, scratch: URL) -> Iterator[None]:
    """Have every engine that would connect to a database connect to a scratch one, for the block.

    An engine that would connect to a third database of that kind is refused.

    Args:
        live: The database that env.py connects to; None redirects every engine of that kind.
        scratch: The scratch database.
    """
    family = family_of(scratch.get_dialect())
    homes: dict[Any, Any] = {}

    def redirect(dialect: Dialect, arguments: list[Any], options: dict[str, Any]) -> None:
        if family_of(dialect) != family:
            return
        if Abilities.class_of(database_class(dialect)).schema_is_database and getattr(
            dialect, "default_schema_name", None
        ):
            # An engine that has connected before would keep looking for tables in its first database.
            homes.setdefault(dialect, dialect.default_schema_name)
            dialect.default_schema_name = scratch.database
        if live is not None:
            _replace(dialect, live, scratch, arguments, options)
            return
        kept = {name: value for name, value in options.items() if name in OF_A_SESSION}
        arguments[:], named = _arguments(dialect, scratch)
        options.clear()
        options.update(kept | named)

    try:
        with rerouting(redirect):
            yield
    finally:
        for dialect, home in homes.items():
            dialect.default_schema_name = home


def _arguments(dialect: Dialect, url: URL) -> tuple[list[Any], dict[str, Any]]:
    arguments, options = dialect.create_connect_args(url)
    return list(arguments), dict(options)


def _replace(dialect: Dialect, live: URL, scratch: URL, arguments: list[Any], options: dict[str, Any]) -> None:
    """Replace the arguments by which the scratch database differs, and keep the others: tokens, certificates."""
    before, after = (_by_key(*_arguments(dialect, url)) for url in (live, scratch))
    changes = {key: value for key, value in after.items() if before.get(key) != value}
    given = _by_key(arguments, options)
    for key, value in changes.items():
        if given.get(key) not in (before.get(key), value):
            raise elsewhere(str(given.get(key)))
        container: Any = arguments if isinstance(key, int) else options
        container[key] = value
    if not changes:
        raise elsewhere(str(live.database))


def _by_key(arguments: list[Any], options: dict[str, Any]) -> dict[Any, Any]:
    return {**dict(enumerate(arguments)), **options}


def elsewhere(database: str) -> SafeOpsError:
    """Return the error for code that would work on another database than the scratch one."""
    return SafeOpsError(
        f"env.py or a revision works on {database} instead of the scratch database.",
        why="The revisions must run on a scratch database. A connection that was opened before, one that a creator of the"
        " engine makes, or one to a third database cannot be redirected to it.",
        remedy="Let env.py connect by a URL, as with create_engine(url, poolclass=NullPool), and read the URL from:",
        code='context.get_x_argument(as_dictionary=True).get("url")',
    )
