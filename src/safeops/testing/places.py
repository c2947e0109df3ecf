"""Makes the databases of the tests: next to an empty one, as clones of one that is not in use."""

from __future__ import annotations

import shutil
import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from safeops.databases import database_class, database_on
from safeops.databases.connections import PACKAGES, explain_url_errors, run_on_connection
from safeops.databases.ports import Port
from safeops.errors import InvalidArgument, NotReady
from safeops.planned import summary
from safeops.rehearse.embedded import temporary_server
from safeops.runner.environment import explaining_errors
from safeops.runner.temporary_database import PREFIX, check_empty, scratch_url_of

OPTION = "--safeops-url"
MEMORY = Path("/dev/shm")
ROOM = 2**30
"""Bytes that must be free in memory to keep the databases there."""
TAKEN = 7
"""Numbers that are taken of a sequence."""
T = TypeVar("T")


class Databases(Port):
    """Creates, clones and drops databases next to this one."""

    place = "safeops.testing.{family}.places:Databases"
    asked = "A database for tests"

    drivers: ClassVar[tuple[str, ...]]
    """The drivers that are not asynchronous, as SQLAlchemy calls them."""
    kept: ClassVar[int] = 12
    """How many templates are kept at most: each takes some megabytes."""

    @abstractmethod
    def create(self, name: str) -> str:
        """Create an empty database; return what a URL names it by."""

    @abstractmethod
    def clone(self, source: str, name: str) -> str:
        """Create a database like another one, which has no sessions."""

    @abstractmethod
    def drop(self, database: str) -> None:
        """Drop a database, even if it has sessions."""

    @abstractmethod
    def end_sessions(self, database: str) -> None:
        """End the sessions of a database, and wait until the server no longer has them."""

    @abstractmethod
    def take_numbers(self) -> None:
        """Take numbers of each sequence of this database, as runs do that were rolled back: no rollback returns them."""

    def hasten(self) -> None:
        """Set up a server that is only there for the tests, and need not outlive the machine."""


class Place:
    """Makes databases next to an empty one.

    Args:
        url: The empty database, in which nothing is ever written.
        drivername: What the URLs of the project begin with; by default as ``url``.
    """

    def __init__(self, url: URL, drivername: str | None = None) -> None:
        self.url = with_plain_driver(url)
        self.drivername = drivername or url.drivername
        self._engine = sa.create_engine(self.url, poolclass=NullPool)
        self.kept = self._run(lambda databases: databases.kept)

    def create(self) -> URL:
        """Create an empty database."""
        return self._at(self._run(lambda databases: databases.create(_name())))

    def clone(self, url: URL) -> URL:
        """Create a database like another one, which is not in use."""
        return self._at(self._run(lambda databases: databases.clone(str(url.database), _name())))

    def drop(self, url: URL) -> None:
        """Drop a database, even if it has sessions."""
        self._run(lambda databases: databases.drop(str(url.database)))

    def end_sessions(self, url: URL) -> None:
        """End all sessions of a database, as a server does when its clients have disconnected."""
        self._run(lambda databases: databases.end_sessions(str(url.database)))

    def for_project(self, url: URL) -> URL:
        """Return the URL of a database with the driver of the project."""
        return url.set(drivername=self.drivername)

    def hasten(self) -> None:
        self._run(lambda databases: databases.hasten())

    def check(self) -> None:
        """Raise NotReady if the database has tables, or if no other one can be created next to it."""
        with explaining_errors(OPTION):
            run_on_connection(self._engine, lambda own: check_empty(own, OPTION))
        try:
            self.drop(self.create())
        except DBAPIError as error:
            raise NotReady(
                f"No database can be created next to the one at {OPTION}: {summary(error)}.",
                why="Each test has its own database, which is dropped afterwards.",
                remedy="Allow this user to create databases. On PostgreSQL:",
                code=f"ALTER ROLE {self.url.username or 'name'} CREATEDB;",
            ) from error

    def _at(self, name: str) -> URL:
        return self.url.set(database=name)

    def _run(self, body: Callable[[Databases], T]) -> T:
        def run(connection: Connection) -> T:
            return body(Databases.of(database_on(connection)))

        return run_on_connection(self._engine, run)


def _name() -> str:
    return f"{PREFIX}{uuid.uuid4().hex[:12]}"


def take_numbers(engine: Engine) -> None:
    """Have each sequence of a database return other numbers than it would have returned."""
    run_on_connection(engine, lambda own: Databases.of(database_on(own)).take_numbers())


@contextmanager
def opened(url: str | None, drivername: str | None) -> Iterator[Place]:
    """Provide the place of the databases, for the block.

    Args:
        url: An empty database that the team has named; None starts a temporary server of the project's kind.
        drivername: What the URLs of the project begin with, as far as that is known.
    """
    if url is not None:
        given = scratch_url_of(url, OPTION)
        same = drivername is not None and sa.make_url(f"{drivername}://").get_backend_name() == given.get_backend_name()
        with explain_url_errors(), explaining_errors(OPTION):
            place = Place(given, drivername if same else None)
        place.check()
        yield place
        return
    own = sa.make_url(f"{drivername}://") if drivername is not None else None
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    with temporary_server(own, option=OPTION, command="pytest --safeops", folder=MEMORY if roomy else None) as made:
        place = Place(made, drivername)
        place.hasten()
        yield place


def with_plain_driver(url: URL) -> URL:
    """Return a URL whose driver is not asynchronous, for the connections of the tests themselves."""
    with explain_url_errors():
        dialect = url.get_dialect()
    drivers = Databases.class_of(database_class(dialect())).drivers
    own = [] if dialect.is_async else [url]
    for one in (*own, *(url.set(drivername=f"{url.get_backend_name()}+{driver}") for driver in drivers)):
        with suppress(ImportError):
            one.get_dialect().import_dbapi()
            return one
    raise InvalidArgument(
        "No driver of the database is installed that is not asynchronous.",
        why="The tests connect themselves too, not only by env.py.",
        remedy="Install one:",
        code=f'pip install "{PACKAGES.get(drivers[0], drivers[0])}"',
    )
