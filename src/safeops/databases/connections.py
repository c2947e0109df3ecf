"""Connections besides the migration's own, and why a server cannot be reached."""

from __future__ import annotations

import asyncio
import configparser
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Dialect, Engine, ExceptionContext

from safeops.databases import database_on
from safeops.databases.server import SessionSettings
from safeops.databases.server_errors import message_of
from safeops.errors import InvalidArgument, SafeOpsError, Unreachable

ENCODED = (
    "In a URL the characters @ : / ? # % of a user or a password are written as %40 %3A %2F %3F %23 %25, and in alembic.ini"
    " each % is doubled, as in %%40."
)
ENCODE = "python -c \"import getpass, urllib.parse; print(urllib.parse.quote(getpass.getpass(), safe=''))\""


def explain_connecting(applies: Callable[[], bool]) -> None:
    """Have each failure to connect raise Unreachable for as long as ``applies`` returns True.

    Args:
        applies: Returns whether a connection is the one that env.py makes, which only Alembic gets.
    """

    def failed(context: ExceptionContext) -> BaseException | None:
        if context.connection is not None or context.statement is not None or context.engine is None or not applies():
            return None
        # Drivers of PostgreSQL add advice in further lines.
        first = [line.strip() for line in str(context.original_exception).splitlines()][:1]
        error = context.sqlalchemy_exception
        numbered = isinstance(error, sa.exc.DBAPIError) and len(getattr(error.orig, "args", ())) > 1
        words = message_of(error) if numbered else "".join(first)  # type: ignore[arg-type]
        return unreachable(context.engine.url, words.rstrip("."))

    def connect(dialect: Dialect, _record: Any, arguments: Any, options: Any) -> Any:
        # An asynchronous driver raises errors of the system too, which SQLAlchemy hands on as they are. A listener of
        # env.py's own may make the connection itself: then it is left to that.
        if not (dialect.is_async and applies() and len(list(dialect.dispatch.do_connect)) == 1):
            return None
        try:
            return dialect.connect(*arguments, **options)
        except OSError as error:
            raise unreachable(None, str(error)) from error

    sa.event.listen(Engine, "handle_error", failed)
    sa.event.listen(Engine, "do_connect", connect)


def unreachable(url: URL | None, words: str) -> Unreachable:
    """Return the error of a server that does not answer, or that refuses the login."""
    if url is not None and _splits_a_password(url):
        return Unreachable(
            "The database cannot be reached: the host in its URL contains an @.",
            why=f"Most likely an @ in the password ends it too early. {ENCODED}",
            remedy="This prints a password as a URL takes it:",
            code=ENCODE,
        )
    return Unreachable(
        f"The database cannot be reached: {words}.",
        remedy="Check that the server runs, and the URL that env.py connects to. In that URL, a password with @ : / or %"
        " must be percent-encoded.",
    )


def check_host(url: URL) -> None:
    """Raise Unreachable for a host that has the end of a password in it: the errors of drivers repeat the host."""
    if _splits_a_password(url):
        raise unreachable(url, "")


def _splits_a_password(url: URL) -> bool:
    return "@" in (url.host or "")


def malformed_url() -> InvalidArgument:
    """Return the error of a URL that cannot be read, of which nothing is shown: any part may be one of the password."""
    return InvalidArgument(
        "The URL of the database cannot be read.",
        why=f"It must look like postgresql+psycopg://user:password@host:5432/database. {ENCODED}",
        remedy="This prints a password as a URL takes it:",
        code=ENCODE,
    )


def interpolated() -> InvalidArgument:
    """Return the error of a lone % in alembic.ini, of which nothing is shown either."""
    return InvalidArgument(
        "A value in alembic.ini, most likely sqlalchemy.url, contains a % that is not doubled.",
        why=f"The file takes % for the beginning of a reference. {ENCODED}",
        remedy="Double each % there, for example:",
        code="sqlalchemy.url = postgresql+psycopg://user:p%%40ssword@localhost/database",
    )


def without_driver(error: Exception) -> InvalidArgument:
    """Return the error of a URL that begins with what SQLAlchemy does not know, or whose driver is not installed."""
    return InvalidArgument(
        f"The URL of the database names a driver that is not there: {error}.",
        why="The URL begins with the database and its driver. SQLAlchemy does not know postgres://, and for postgresql://,"
        " mysql:// and mariadb:// without a driver it takes its own choice (psycopg2 or psycopg, mysqlclient).",
        remedy="Install that driver, or name one that is installed, for example:",
        code="postgresql+psycopg://user:password@localhost/database\nmysql+pymysql://user:password@localhost/database",
    )


def of_a_url(error: BaseException) -> SafeOpsError | None:
    """Return the error to raise for one that a URL has caused, and that may quote a part of it; None for others."""
    if isinstance(error, configparser.InterpolationError):
        return interpolated()
    if isinstance(error, (ConnectionError, socket.gaierror)):
        return unreachable(None, str(error))
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, sa.exc.NoSuchModuleError) or (
        isinstance(error, ImportError) and any(map(_imports_a_driver, frames))
    ):
        return without_driver(error)
    parsing = (
        isinstance(error, (sa.exc.ArgumentError, ValueError))
        and frames
        and _module(frames[-1]) == sa.engine.url.__name__
    )
    return malformed_url() if parsing else None


def _imports_a_driver(frame: FrameType) -> bool:
    return frame.f_code.co_name == "import_dbapi" and _module(frame).startswith("sqlalchemy.dialects.")


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


log = logging.getLogger("safeops")

T = TypeVar("T")
Body = Callable[[Connection, threading.Event], None]
Failed = Callable[[Exception], None]

CONNECTING = 10.0
"""Seconds to wait for the second connection; a pooler may let one wait forever."""
AGAIN = 1.0


def side_connection(
    connection: Connection, session_settings: SessionSettings = ()
) -> AbstractContextManager[Connection]:
    """Open a separate connection in autocommit, as the engine makes them but outside its pool.

    The pool may have no second one to give. A copy of it keeps the arguments, the creator and the listeners.

    Args:
        connection: The connection of the migration.
        session_settings: What was set on a session that it takes over.
    """
    # A lost connection has no driver connection to compare with.
    other_than = None if connection.invalidated else connection.connection.driver_connection
    return _outside(connection.engine, other_than, session_settings)


@contextmanager
def _outside(engine: Engine, other_than: Any, session_settings: SessionSettings) -> Iterator[Connection]:
    pool = engine.pool.recreate()
    copy = Engine(pool, engine.dialect, engine.url, hide_parameters=engine.hide_parameters)
    with copy.connect() as fresh:
        if fresh.connection.driver_connection is other_than:
            # A creator that always returns the same one. Disposing of the pool would close it.
            raise InvalidArgument("The engine has one connection only, and another one is needed beside it.")
        try:
            own = fresh.execution_options(isolation_level="AUTOCOMMIT")
            if session_settings:
                database_on(own).apply_settings(session_settings)
            yield own
        finally:
            fresh.close()
            pool.dispose()


@contextmanager
def listening(target: Any, name: str, listener: Callable[..., Any]) -> Iterator[None]:
    """Have a listener get an event of SQLAlchemy, for the block."""
    sa.event.listen(target, name, listener)
    try:
        yield
    finally:
        sa.event.remove(target, name, listener)


def run_on_connection(
    engine: Engine, body: Callable[[Connection], T], other_than: Any = None, session_settings: SessionSettings = ()
) -> T:
    """Run ``body`` on a separate connection, in any thread, also with an asynchronous engine.

    Args:
        engine: Makes the connection, outside its pool.
        body: Gets it, in autocommit.
        other_than: The driver's connection of the migration, which it must not be.
        session_settings: What was set on a session that it takes over.
    """

    def run() -> T:
        with _outside(engine, other_than, session_settings) as own:
            return body(own)

    if not engine.dialect.is_async:
        return run()
    from sqlalchemy.util import greenlet_spawn

    return asyncio.run(greenlet_spawn(run))


@contextmanager
def watching(
    connection: Connection,
    body: Body,
    after: float = 0.0,
    session_settings: SessionSettings = (),
    failed: Failed | None = None,
) -> Iterator[Callable[[], bool]]:
    """Run ``body`` in a thread, on a separate connection, until the block ends.

    ``body`` gets that connection and an event that is set when the block has ended. The block gets a function that waits
    for the connection, and returns whether there is one: without it the block must bound its waiting itself. A block
    that ends within ``after`` seconds needs no connection, and none is opened. If ``failed`` is given, it gets each
    error, and a failed connection is tried again.
    """
    watcher = _Watcher(connection, body, after, session_settings, failed)
    thread = threading.Thread(target=watcher.run, name="safeops-watch", daemon=True)
    thread.start()
    try:
        yield watcher.is_attached
    finally:
        watcher.ended.set()
        thread.join(timeout=5)


class _Watcher:
    """What runs in the thread."""

    def __init__(
        self, connection: Connection, body: Body, after: float, session_settings: SessionSettings, failed: Failed | None
    ) -> None:
        self.engine, self.body, self.after, self.session_settings = connection.engine, body, after, session_settings
        self.retries, self.failed = failed is not None, failed or _noted
        self._taken = connection.connection.driver_connection
        self.ended, self._tried, self._attached = threading.Event(), threading.Event(), False

    def is_attached(self) -> bool:
        return self._tried.wait(CONNECTING) and self._attached

    def run(self) -> None:
        self.ended.wait(self.after)
        while not self.ended.is_set():
            try:
                run_on_connection(self.engine, self._look_on, self._taken, self.session_settings)
                return
            except Exception as error:
                self.failed(error)
            if not (self._attached or self.retries):
                self._tried.set()
                return
            # The caller relies on it: a lost connection is made again.
            self.ended.wait(AGAIN)

    def _look_on(self, own: Connection) -> None:
        self._attached = True
        self._tried.set()
        self.body(own, self.ended)


def _noted(error: Exception) -> None:
    log.info("watching ended: %s", str(error).splitlines()[0] if str(error) else repr(error))
