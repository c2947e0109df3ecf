"""Runs a project on an empty temporary database, and makes sure that it works on no other one."""

from __future__ import annotations

import copy
import logging
import os
import uuid
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from safeops.databases import KINDS, database_class, database_for
from safeops.databases.beside import on_a_connection
from safeops.databases.reaching import check_host
from safeops.errors import InvalidArgument, NotReady
from safeops.execution.migration_lock import without_migration_lock
from safeops.planned import summary
from safeops.runner.dumps.port import Dumps
from safeops.runner.environment import Reached, explaining_errors, look_on, reach
from safeops.runner.revision_run import RevisionRun, ending_on_signals
from safeops.runner.revisions import scripts_of
from safeops.runner.temporary.port import PREFIX, TemporaryDatabases, elsewhere, redirecting, rerouting

log = logging.getLogger("safeops")

T = TypeVar("T")


Steps = Callable[[tuple[str, ...]], list[Any]]


@dataclass(frozen=True)
class TemporaryDatabase:
    """A database that exists as long as the block of ``temporary_database``.

    Args:
        config: The configuration of the project, for this database.
        script: The revisions of the project.
        is_here: Tells whether a connection is to this database.
    """

    config: Config
    script: ScriptDirectory
    is_here: Callable[[Connection], bool]

    def run(self, steps: Steps) -> tuple[str, Exception] | None:
        """Run revisions here, and nowhere else; return the revision that failed and its error."""

        def checked(heads: tuple[str, ...], context: MigrationContext) -> list[Any]:
            self._check(context)
            return steps(heads)

        run = RevisionRun(checked)
        try:
            run.run(self.config, self.script)
        except Exception as error:
            if run.running is None:
                raise
            return run.running.revision, error
        return None

    def look(self, look: Callable[[MigrationContext], T]) -> T:
        """Run env.py with ``look`` instead of revisions, on this database."""

        def checked(context: MigrationContext) -> T:
            self._check(context)
            return look(context)

        return look_on(self.config, checked)

    def _check(self, context: MigrationContext) -> None:
        """Raise if env.py works on another database."""
        connection = context.connection
        if connection is None or not self.is_here(connection):
            raise elsewhere(str(connection.engine.url.database) if connection is not None else "no connection")


@contextmanager
def temporary_database(config: Config, url: str | None = None) -> Iterator[TemporaryDatabase]:
    """Provide an empty database of the project's kind.

    Args:
        config: The configuration of the project.
        url: An empty database to use, which is not emptied afterwards; None creates one on the project's server, and drops
            it.

    Raises:
        NotReady: None can be created, or the one at ``url`` is not empty.
    """
    with ending_on_signals(), _given(_url(url), config) if url is not None else _created(config) as temporary:
        yield temporary


# Created for the block ------------------------------------------------------------------------------------------


@contextmanager
def _created(config: Config) -> Iterator[TemporaryDatabase]:
    # On SQLite connecting would create the project's database, which is not needed.
    with _creating_nothing():
        with explaining_errors():
            reached = reach(config)
        place = _create(reached)
    live, engine = reached.engine.url, reached.engine
    url = live.set(database=place)

    def is_here(connection: Connection) -> bool:
        return _scratching(connection).is_at(place)

    try:
        # A pool that outlives env.py may hold open connections.
        _close_connections(engine)
        with redirecting(live, url), _environment(url), without_migration_lock():
            if not on_a_connection(engine, is_here):
                raise elsewhere(str(live.database))
            yield TemporaryDatabase(_config_for(config, url), reached.script, is_here)
    finally:
        _close_connections(engine)
        _drop(reached, place)


def _scratching(own: Connection) -> TemporaryDatabases:
    return TemporaryDatabases.of(database_for(own.dialect, lambda: own))


def _creating_nothing() -> AbstractContextManager[None]:
    return rerouting(
        lambda dialect, *given: TemporaryDatabases.class_of(database_class(dialect)).connect_nowhere(*given)
    )


def _create(reached: Reached) -> str:
    name = f"{PREFIX}{uuid.uuid4().hex[:12]}"
    try:
        # By the user who connects: the role of the migrations may not be allowed to create databases.
        return on_a_connection(reached.engine, lambda own: _scratching(own).make_scratch(name))
    except DBAPIError as error:
        raise NotReady(
            f"No scratch database can be made: {summary(error)}.",
            why="The revisions are run on an empty database of the same kind, which is dropped at once.",
            remedy="Let this user make databases, or name an empty one:",
            code="--scratch-url URL",
        ) from error


def _drop(reached: Reached, place: str) -> None:
    try:
        with _creating_nothing():
            on_a_connection(reached.engine, lambda own: _scratching(own).drop_scratch(place))
    except DBAPIError as error:
        # This must not hide how the block ended.
        log.warning("the scratch database %s could not be dropped, drop it yourself: %s", place, summary(error))


def _close_connections(engine: Engine) -> None:
    with suppress(SQLAlchemyError):
        # The connections of an asynchronous driver belong to an event loop that has ended.
        engine.dispose(close=not engine.dialect.is_async)


# Given by the user ----------------------------------------------------------------------------------------------


@contextmanager
def _given(url: URL, config: Config) -> Iterator[TemporaryDatabase]:
    engine = sa.create_engine(url, poolclass=NullPool, hide_parameters=True)
    mark = sa.Table(f"{PREFIX}{uuid.uuid4().hex[:12]}", sa.MetaData(), sa.Column("id", sa.Integer))

    def begin(connection: Connection) -> None:
        _check_empty(connection)
        mark.create(connection)

    with explaining_errors():
        on_a_connection(engine, begin)
    try:
        with redirecting(None, url), _environment(url), without_migration_lock():
            script = scripts_of(config)
            yield TemporaryDatabase(
                _config_for(config, url), script, lambda connection: sa.inspect(connection).has_table(mark.name)
            )
    finally:
        on_a_connection(engine, lambda connection: mark.drop(connection, checkfirst=True))


def _check_empty(connection: Connection) -> None:
    things = Dumps.of(database_for(connection.dialect, lambda: connection)).things()
    if things:
        raise NotReady(
            f"The database at --scratch-url is not empty: it has {', '.join(things[:5])}.",
            why="The revisions are run there from the first one on, up and down, and what they made stays.",
            remedy="Name a database that nobody needs, and that is empty.",
        )


def _url(text: str) -> URL:
    try:
        url = sa.make_url(text)
        check_host(url)
        if url.get_backend_name() in KINDS:
            return url
    except ArgumentError:
        pass
    raise InvalidArgument(
        "--scratch-url is no URL of a database that safeops knows.",
        remedy="Write it as SQLAlchemy does:",
        code="--scratch-url postgresql+psycopg://user@localhost/scratch",
    )


# What env.py reads ----------------------------------------------------------------------------------------------


def _config_for(config: Config, url: URL) -> Config:
    """Return a copy of a configuration that names another database in every way that env.py files read it."""
    text = url.render_as_string(hide_password=False)
    copied = copy.copy(config)
    given = vars(config.cmd_opts) if config.cmd_opts is not None else {}
    copied.cmd_opts = Namespace(**{**given, "x": [*(given.get("x") or []), f"url={text}"]})
    copied.__dict__["file_config"] = copy.deepcopy(config.file_config)
    # A connection that was passed in is to the project's own database.
    copied.__dict__["attributes"] = {key: value for key, value in config.attributes.items() if key != "connection"}
    # Many env.py files ask this before they set up logging.
    copied.attributes["configure_logging"] = False
    copied.set_main_option("sqlalchemy.url", text.replace("%", "%%"))
    return copied


@contextmanager
def _environment(url: URL) -> Iterator[None]:
    before = os.environ.get("DATABASE_URL")
    os.environ["DATABASE_URL"] = url.render_as_string(hide_password=False)
    try:
        yield
    finally:
        if before is None:
            del os.environ["DATABASE_URL"]
        else:
            os.environ["DATABASE_URL"] = before
