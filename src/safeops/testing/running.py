"""Runs the revisions of a project on a database of the tests, in this process, and nowhere else."""

from __future__ import annotations

import io
import logging.config
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL, Connection, Dialect, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from safeops import _sqlalchemy
from safeops.databases import database_on
from safeops.databases.connections import listening, of_a_url
from safeops.errors import InvalidArgument, SafeOpsError
from safeops.planned import summary
from safeops.runner.environment import VERSION_OPTIONS, run_env
from safeops.runner.logs import ALEMBIC, SAFEOPS, quiet_logs
from safeops.runner.redirection import redirecting
from safeops.runner.revision_run import RevisionRun, Steps
from safeops.runner.revisions import line_in
from safeops.runner.temporary_database import (
    TemporaryDatabase,
    TemporaryDatabases,
    config_for,
    environment_variable,
)
from safeops.testing.places import Place
from safeops.testing.project import Project

T = TypeVar("T")

HANDED = "safeops_hands_connection"
"""In the attributes of a configuration: env.py needs a connection in them, as the application of the project passes it,
with these options.
"""


class ProcessExit(Exception):
    """env.py or a revision ends its process, as by ``sys.exit()``."""


class Runner:
    """Runs revisions on one database.

    Args:
        config: The configuration of the project.
        script: Its revisions.
        url: The database.
        project_url: The same with the driver of the project.
    """

    def __init__(self, config: Config, script: ScriptDirectory, url: URL, project_url: URL) -> None:
        self.url, self.project_url = url, project_url
        self._here = TemporaryDatabase(config_for(config, project_url), script, self._is_here)

    @classmethod
    def of(cls, project: Project, place: Place, url: URL) -> Runner:
        """Return the runner of a project for a database of a place."""
        return cls(project.config, project.script, url, place.for_project(url))

    @property
    def config(self) -> Config:
        """The configuration of the project, for this database."""
        return self._here.config

    def run(self, steps: Steps, destination: str) -> RevisionRun:
        """Run revisions; raise what they raise."""

        def checked(heads: tuple[str, ...], context: MigrationContext) -> Any:
            self._here.check(context)
            return steps(heads, context)

        run = RevisionRun(checked, destination=destination)
        with self.redirected():
            run.run(self.config, self._here.script)
        return run

    def inspect(self, body: Callable[[MigrationContext], T]) -> T:
        """Run env.py with ``body`` instead of revisions."""
        with self.redirected():
            return self._here.inspect(body)

    def script_of(self, step: Any, heads: tuple[str, ...], destination: str) -> list[str]:
        """Return what ``--sql`` writes for one revision, in the pieces in which Alembic writes it."""
        pieces = _Pieces()
        config = self.config
        config.output_buffer = pieces
        options: dict[str, Any] = {"starting_rev": heads or None, "destination_rev": destination, "tag": None}
        environment = EnvironmentContext(config, self._here.script, fn=lambda *_: [step], as_sql=True, **options)
        try:
            with self.redirected(), environment:
                self._here.script.run_env()
        finally:
            config.output_buffer = io.StringIO()
        return [text for text in map(str.strip, pieces.written) if text]

    @contextmanager
    def redirected(self) -> Iterator[None]:
        """Have every engine of the project connect to this database, for the block."""
        handing = self._handing_connection() if HANDED in self.config.attributes else nullcontext()
        with _closing_pools(), redirecting(None, self.url), environment_variable(self.project_url), _quietly(), handing:
            try:
                yield
            except SystemExit as error:
                # It would end the process of the tests.
                raise ProcessExit(error.code).with_traceback(error.__traceback__) from error

    @contextmanager
    def _handing_connection(self) -> Iterator[None]:
        attributes = self.config.attributes
        engine = sa.create_engine(self.url, poolclass=NullPool, execution_options=attributes[HANDED])
        with engine.connect() as connection:
            before = attributes.get("connection")
            attributes["connection"] = connection
            try:
                yield
            finally:
                attributes["connection"] = before

    def _is_here(self, connection: Connection) -> bool:
        return TemporaryDatabases.of(database_on(connection)).is_connected_to(self.url.database)


@contextmanager
def _closing_pools() -> Iterator[None]:
    """Close what engines keep in their pools after the block, as the end of a process does, which ends locks of sessions."""
    thread, used = threading.get_ident(), dict[int, Engine]()

    def note(connection: Connection) -> None:
        if threading.get_ident() == thread:
            used[id(connection.engine)] = connection.engine

    try:
        with listening(Engine, "engine_connect", note):
            yield
    finally:
        for engine in used.values():
            with suppress(SQLAlchemyError):
                # The connections of an asynchronous driver belong to an event loop that has ended.
                engine.dispose(close=not engine.dialect.is_async)


class _Pieces(io.StringIO):
    """Keeps what is written, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return len(text)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep env.py from setting up the logging of the tests, and from printing between their results."""
    own = logging.config.fileConfig
    logging.config.fileConfig = lambda *_, **__: None
    try:
        with quiet_logs(ALEMBIC, SAFEOPS), redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.config.fileConfig = own


# How env.py runs revisions --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Environment:
    """How env.py runs revisions.

    Args:
        transactional: Whether a revision that is stopped is rolled back, as far as it has not committed itself.
        options: The names of the table of versions.
    """

    transactional: bool
    options: dict[str, Any]


def environment_of(project: Project, place: Place) -> Environment:
    """Find out how env.py runs revisions, on an empty database, which is dropped again.

    Raises:
        SafeOpsError: env.py fails, or works on another database.
    """
    url = place.create()
    try:
        return Runner.of(project, place, url).inspect(_environment_in)
    except SafeOpsError:
        raise
    except Exception as error:
        if (found := _environment_with_connection(project, place, url)) is not None:
            return found
        env = Path(project.script.dir) / "env.py"
        raise InvalidArgument(
            f"env.py fails ({env}:{line_in(env, error)}): {summary(error)}",
            why="DATABASE_URL, sqlalchemy.url and -x url were set to an empty database of the tests.",
            remedy="Set what else it needs before pytest runs, or pass an argument for env.py:",
            code="pytest --safeops --safeops-x KEY=VALUE",
        ) from error
    finally:
        place.drop(url)


def _environment_with_connection(project: Project, place: Place, url: URL) -> Environment | None:
    """Return how an env.py runs revisions that needs a connection in ``config.attributes``; None if it fails anyway."""
    attributes = project.config.attributes
    attributes[HANDED] = dict(attributes["connection"].get_execution_options()) if "connection" in attributes else {}
    try:
        return Runner.of(project, place, url).inspect(_environment_in)
    except Exception:
        del attributes[HANDED]
        return None


def _environment_in(context: MigrationContext) -> Environment:
    connection = context.connection
    autocommit = connection is not None and _sqlalchemy.is_autocommit(connection)
    options = {key: context.opts[key] for key in VERSION_OPTIONS if context.opts.get(key)}
    return Environment(bool(context.impl.transactional_ddl) and not autocommit, options)


# The kind of the project's database -----------------------------------------------------------------------------


class _Connecting(BaseException):
    """env.py is about to connect; no error that env.py handles, as one that waits for its server."""

    def __init__(self, drivername: str) -> None:
        self.drivername = drivername
        super().__init__(drivername)


def drivername_of(config: Config, script: ScriptDirectory) -> str | None:
    """Return what the URL of the project's database begins with, without connecting to it; None if that is not known.

    Raises:
        SafeOpsError: The driver of the URL is not installed, or the URL cannot be read.
    """

    def connect(dialect: Dialect, *_: Any) -> None:
        raise _Connecting(dialect.dialect_description)

    try:
        with listening(Engine, "do_connect", connect), _quietly():
            run_env(config, lambda _: None, script)
    except _Connecting as found:
        return found.drivername
    except (Exception, SystemExit) as error:
        # In continuous integration env.py often has no URL before it is given one.
        explained = of_a_url(error)
        if isinstance(explained, InvalidArgument) and isinstance(error, ImportError):
            raise explained from error
    return None
