"""Empty databases to run revisions on, as many as are needed, one after another."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any, ClassVar

import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, Pool

from safeops import _sqlalchemy
from safeops.databases import database_class, database_on
from safeops.databases.connections import listening, run_on_connection
from safeops.databases.ports import Port
from safeops.errors import UnsupportedOnDatabase
from safeops.planned import summary
from safeops.runner.environment import ReachedDatabase, explaining_errors
from safeops.runner.temporary_database import (
    PREFIX,
    Saved,
    TemporaryDatabase,
    TemporaryDatabases,
    check_empty,
    reached_for_copies,
    scratch_url_of,
    temporary_database,
)

log = logging.getLogger("safeops")

LIMITED = "safeops_limited_waiting"


class Copies(Port):
    """Creates databases next to an empty one of the user, or empties that one again."""

    place = "safeops.review.{family}:Copies"
    asked = "A review on a scratch copy"

    limits: ClassVar[tuple[str, ...]] = ()
    """Timeouts of a session: on a copy only the revision itself can block it."""

    def create(self, name: str) -> str:
        """Create a database like this one; return what a URL names it by."""
        return TemporaryDatabases.of(self.database).create(name)

    def drop(self, database: str) -> None:
        """Drop a database that ``create`` has made."""
        TemporaryDatabases.of(self.database).drop(database)

    def kept(self) -> frozenset[str]:
        """Return the objects of an empty database, which must be kept."""
        return frozenset()

    def empty(self, kept: frozenset[str]) -> None:
        """Drop all objects of this database, except those to keep."""


class EmptyDatabases:
    """Provides empty databases of the project's kind; the user's database is empty again afterwards.

    Args:
        config: The configuration of the project.
        script: Its revisions.
        scratch_url: An empty database. Others are created next to it if its user has the privilege; None creates them on
            the project's server.
    """

    def __init__(self, config: Config, script: ScriptDirectory, scratch_url: str | None) -> None:
        self.config, self.script, self.scratch_url = config, script, scratch_url
        self._reached: ReachedDatabase | None = None
        self._beside = True

    @contextmanager
    def another(self) -> Iterator[TemporaryDatabase]:
        """Provide one, or raise NotReady: none can be created, or the one at ``scratch_url`` is not empty."""
        with explaining_errors():
            if self.scratch_url is None:
                self._reached = self._reached or reached_for_copies(self.config, self.script)
                with temporary_database(self.config, reached=self._reached) as database:
                    yield database
                return
            url = scratch_url_of(self.scratch_url)
            given = sa.create_engine(url, poolclass=NullPool, hide_parameters=True)
            name = _created_beside(given) if self._beside else None
            # On PostgreSQL a refusal takes 5 s if another session is connected to the given database.
            self._beside = name is not None
            kept = _emptied(given) if name is None else _dropped(given, name)
            used = url if name is None else url.set(database=name)
            text = used.render_as_string(hide_password=False)
            with kept, ExitStack() as stack:
                saved = None if name is None else stack.enter_context(Saved(given, name))
                yield stack.enter_context(temporary_database(self.config, text, script=self.script, saved=saved))


def learn_version(dialect: Dialect, config: Config, scratch_url: str | None) -> None:
    """Give a dialect without a connection the version and the product of the server of the copies."""

    with explaining_errors():
        if scratch_url is None:
            known = reached_for_copies(config).engine.dialect
        else:
            engine = sa.create_engine(scratch_url_of(scratch_url), poolclass=NullPool, hide_parameters=True)
            known = run_on_connection(engine, lambda connection: connection.dialect)
    for name in ("server_version_info", "is_mariadb"):
        if hasattr(known, name):
            setattr(dialect, name, getattr(known, name))


@contextmanager
def limited_waiting() -> Iterator[None]:
    """Set timeouts in the sessions of the block."""

    def limit(driver: Any, record: Any, proxy: Any) -> None:
        if record.info.setdefault(LIMITED, False):
            return
        record.info[LIMITED] = True
        with suppress(UnsupportedOnDatabase):
            limits = Copies.class_of(database_class(_sqlalchemy.dialect_of(proxy))).limits
            with closing(driver.cursor()) as cursor:
                for statement in limits:
                    cursor.execute(statement)
            # A setting ends with its transaction unless that is committed.
            driver.commit()

    with listening(Pool, "checkout", limit):
        yield


def _created_beside(given: Engine) -> str | None:
    def create(connection: Connection) -> str:
        check_empty(connection)
        return Copies.of(database_on(connection)).create(f"{PREFIX}{uuid.uuid4().hex[:12]}")

    try:
        return run_on_connection(given, create)
    except DBAPIError as error:
        log.debug("could not create a database next to the given one: %s", summary(error))
        return None


@contextmanager
def _dropped(given: Engine, name: str) -> Iterator[None]:
    try:
        yield
    finally:
        run_on_connection(given, lambda connection: Copies.of(database_on(connection)).drop(name))


@contextmanager
def _emptied(given: Engine) -> Iterator[None]:
    def look(connection: Connection) -> frozenset[str]:
        check_empty(connection)
        return Copies.of(database_on(connection)).kept()

    kept = run_on_connection(given, look)
    try:
        yield
    finally:
        run_on_connection(given, lambda connection: Copies.of(database_on(connection)).empty(kept))
