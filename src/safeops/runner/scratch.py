"""Runs a project on an empty database that nobody needs, and makes sure that it is no other one."""

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
from safeops.databases.scratching import PREFIX, elsewhere, redirecting, rerouting
from safeops.errors import InvalidArgument, NotReady
from safeops.foretold import summary
from safeops.locking import without_migration_lock
from safeops.runner.backups.failing import ending_on_signals
from safeops.runner.environment import Reached, look_on
from safeops.runner.loading import scripts_of
from safeops.runner.reading import explained
from safeops.runner.running import Course, Progress, reached_or_explained

log = logging.getLogger("safeops")

T = TypeVar("T")


@dataclass(frozen=True)
class Scratch:
    """A scratch database, as long as ``scratch_for`` keeps it.

    Args:
        config: The configuration of the project, for this database.
        script: The revisions of the project.
        is_here: Tells whether a connection is to this database.
    """

    config: Config
    script: ScriptDirectory
    is_here: Callable[[Connection], bool]

    def run(self, steps: Callable[[tuple[str, ...]], list[Any]], progress: Progress | None = None) -> Course:
        """Run revisions here; what they raise is in ``course.running``'s revision, and is raised as it is."""
        course = self.course(steps, progress)
        course.run(self.config, self.script)
        return course

    def course(self, steps: Callable[[tuple[str, ...]], list[Any]], progress: Progress | None = None) -> Course:
        """Return a run of revisions that is refused anywhere but here."""

        def checked(heads: tuple[str, ...], context: MigrationContext) -> list[Any]:
            self.check(context)
            return steps(heads)

        return Course(checked, progress)

    def look(self, look: Callable[[MigrationContext], T]) -> T:
        """Run env.py and ``look`` on this database."""

        def checked(context: MigrationContext) -> T:
            self.check(context)
            return look(context)

        return look_on(self.config, checked)

    def check(self, context: MigrationContext) -> None:
        """Raise where env.py works on another database."""
        connection = context.connection
        if connection is None or not self.is_here(connection):
            raise elsewhere(str(connection.engine.url.database) if connection is not None else "no connection")


@contextmanager
def scratch_for(config: Config, url: str | None = None) -> Iterator[Scratch]:
    """Give an empty database of the kind that the project has.

    Args:
        config: The configuration of the project.
        url: An empty database to use, in which what was made stays; None makes one on the project's server,
            and drops it.

    Raises:
        NotReady: None can be made, or the one at ``url`` has something in it.
    """
    with ending_on_signals(), _at(_url(url), config) if url is not None else _beside(config) as scratch:
        yield scratch


# One of our own -------------------------------------------------------------------------------------------------


@contextmanager
def _beside(config: Config) -> Iterator[Scratch]:
    # Where connecting creates a database, it is not needed: there is no server to ask.
    with _creating_nothing():
        reached = reached_or_explained(config)
        place = _made(reached)
    live, engine = reached.engine.url, reached.engine
    url = live.set(database=place)

    def is_here(connection: Connection) -> bool:
        return database_for(connection.dialect, lambda: connection).is_at(place)

    try:
        # A pool that outlives env.py may have connections that stand already.
        _forget_connections(engine)
        with redirecting(live, url), _environment(url), without_migration_lock():
            if not on_a_connection(engine, is_here):
                raise elsewhere(str(live.database))
            yield Scratch(_config_for(config, url), reached.script, is_here)
    finally:
        _forget_connections(engine)
        _drop(reached, place)


def _creating_nothing() -> AbstractContextManager[None]:
    return rerouting(lambda dialect, *given: database_class(dialect).connect_nowhere(*given))


def _made(reached: Reached) -> str:
    name = f"{PREFIX}{uuid.uuid4().hex[:12]}"
    try:
        # As who has connected: the role of the migrations may not make databases.
        return on_a_connection(reached.engine, lambda own: database_for(own.dialect, lambda: own).make_scratch(name))
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
            on_a_connection(reached.engine, lambda own: database_for(own.dialect, lambda: own).drop_scratch(place))
    except DBAPIError as error:
        # It must not hide how the check ended.
        log.warning("the scratch database %s could not be dropped, drop it yourself: %s", place, summary(error))


def _forget_connections(engine: Engine) -> None:
    with suppress(SQLAlchemyError):
        # Those of an asynchronous driver belong to an event loop that has ended.
        engine.dispose(close=not engine.dialect.is_async)


# One that was named ---------------------------------------------------------------------------------------------


@contextmanager
def _at(url: URL, config: Config) -> Iterator[Scratch]:
    engine = sa.create_engine(url, poolclass=NullPool, hide_parameters=True)
    mark = sa.Table(f"{PREFIX}{uuid.uuid4().hex[:12]}", sa.MetaData(), sa.Column("id", sa.Integer))

    def begin(own: Connection) -> None:
        _check_empty(own)
        mark.create(own)

    try:
        on_a_connection(engine, begin)
    except DBAPIError as error:
        raise explained(error) from error
    try:
        with redirecting(None, url), _environment(url), without_migration_lock():
            script = scripts_of(config)
            yield Scratch(_config_for(config, url), script, lambda own: sa.inspect(own).has_table(mark.name))
    finally:
        on_a_connection(engine, lambda own: mark.drop(own, checkfirst=True))


def _check_empty(own: Connection) -> None:
    things = database_for(own.dialect, lambda: own).things()
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


# What env.py is told --------------------------------------------------------------------------------------------


def _config_for(config: Config, url: URL) -> Config:
    """Return a copy of a configuration that names another database, in all the ways in which env.py files ask for it."""
    text = url.render_as_string(hide_password=False)
    found = copy.copy(config)
    given = vars(config.cmd_opts) if config.cmd_opts is not None else {}
    found.cmd_opts = Namespace(**{**given, "x": [*(given.get("x") or []), f"url={text}"]})
    found.__dict__["file_config"] = copy.deepcopy(config.file_config)
    # A connection that was handed over would be the project's own.
    found.__dict__["attributes"] = {key: one for key, one in config.attributes.items() if key != "connection"}
    # What env.py files ask that can be told: that nobody wants to read all this.
    found.attributes["configure_logging"] = False
    found.set_main_option("sqlalchemy.url", text.replace("%", "%%"))
    return found


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
