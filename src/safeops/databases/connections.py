"""Connections in addition to the migration's own, and why a server cannot be reached."""

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
    "In the user and the password of a URL, write @ : / ? # % as %40 %3A %2F %3F %23 %25. In alembic.ini, double each %, as"
    " in %%40."
)
PACKAGES = {
    "MySQLdb": "mysqlclient",
    "mysql": "mysql-connector-python",
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
}
"""The package to install for the module of a driver, if its name is another one."""
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
    if url is not None and (_splits_a_password(url) or _has_the_rest_of_a_password(url)):
        part = "host" if _splits_a_password(url) else "database name"
        return Unreachable(
            f"The database cannot be reached: the {part} in its URL contains an @.",
            why=f"Most likely the password contains characters that are not percent-encoded. {ENCODED}",
            remedy="This command prints a password in the form that a URL needs:",
            code=ENCODE,
        )
    return Unreachable(
        f"The database cannot be reached: {words}.",
        remedy="Check that the server is running, and the URL that env.py connects to. The characters @ : / % of a password"
        " must be percent-encoded in it." + (" The URL, without its password and options:" if url is not None else ""),
        code="" if url is None else url.set(query={}).render_as_string(hide_password=True),
    )


def check_host(url: URL) -> None:
    """Raise Unreachable for a host that has the end of a password in it: the errors of drivers repeat the host."""
    if _splits_a_password(url):
        raise unreachable(url, "")


def _splits_a_password(url: URL) -> bool:
    return "@" in (url.host or "")


def _has_the_rest_of_a_password(url: URL) -> bool:
    """Return whether a / in the password ends the host too early. The path of a file may contain an @."""
    return url.host is not None and "@" in (url.database or "")


def malformed_url() -> InvalidArgument:
    """Return the error of a URL that cannot be read, of which nothing is shown: any part may be one of the password."""
    return InvalidArgument(
        "The URL of the database cannot be read.",
        why=f"It must look like postgresql+psycopg://user:password@host:5432/database. {ENCODED}",
        remedy="This command prints a password in the form that a URL needs:",
        code=ENCODE,
    )


def interpolated() -> InvalidArgument:
    """Return the error of a lone % in alembic.ini, of which nothing is shown either."""
    return InvalidArgument(
        "In alembic.ini, most likely in sqlalchemy.url, a % is not doubled, or a %(name)s without a value is used.",
        why=f"In this file a single % begins a reference to another value. {ENCODED}",
        remedy="Double each % there, for example:",
        code="sqlalchemy.url = postgresql+psycopg://user:p%%40ssword@localhost/database",
    )


def without_driver(module: str, error: ImportError) -> InvalidArgument:
    """Return the error of a URL whose driver is not installed."""
    package = PACKAGES.get(module, module)
    return InvalidArgument(
        f"The driver of the database URL cannot be imported: {error}.",
        why="The URL names the driver after a +. Without one SQLAlchemy uses mysqlclient for MySQL and MariaDB, and for"
        " PostgreSQL psycopg2 (psycopg from SQLAlchemy 2.1 on).",
        remedy="Install it, or name an installed driver in the URL, such as postgresql+psycopg:// or mysql+pymysql://:",
        code=f'pip install "{package}"' if "[" in package else f"pip install {package}",
    )


def without_greenlet() -> InvalidArgument:
    """Return the error of an asynchronous URL if SQLAlchemy cannot use asynchronous drivers."""
    return InvalidArgument(
        "The driver of the database URL is asynchronous, and the package greenlet is not installed.",
        why="SQLAlchemy needs it for asynchronous drivers, and does not install it automatically.",
        remedy="Install it, or name a synchronous driver in the URL:",
        code='pip install "sqlalchemy[asyncio]"',
    )


def unknown_dialect(error: Exception) -> InvalidArgument:
    """Return the error of a URL that begins with a name that SQLAlchemy does not know."""
    return InvalidArgument(
        f"The database URL begins with an unknown database or driver: {error}.",
        why="SQLAlchemy's names are postgresql (not postgres), mysql, mariadb and sqlite, each with a driver after a +.",
        remedy="Write the database and its driver, for example:",
        code="postgresql+psycopg://user:password@localhost/database\nmysql+pymysql://user:password@localhost/database",
    )


@contextmanager
def explain_url_errors() -> Iterator[None]:
    """Have an error that a URL causes explain itself, without a part of its password.

    Example:
        with explain_url_errors():
            engine = create_engine(url)
    """
    try:
        yield
    except Exception as error:
        explained = of_a_url(error)
        if explained is None:
            raise
        raise explained from None


def of_a_url(error: BaseException) -> SafeOpsError | None:
    """Return the error to raise for one that a URL has caused, and that may quote a part of it; None for others."""
    if isinstance(error, configparser.InterpolationError):
        return interpolated()
    if isinstance(error, (ConnectionError, socket.gaierror)):
        return unreachable(None, str(error))
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, sa.exc.NoSuchModuleError):
        return unknown_dialect(error)
    if isinstance(error, ImportError) and any(map(_imports_a_driver, frames)):
        return without_driver((error.name or _module(frames[-1])).partition(".")[0], error)
    if isinstance(error, (ImportError, ValueError)) and "greenlet" in str(error):
        return without_greenlet()
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
            raise InvalidArgument("The engine has only one connection, and a second one is needed.")
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
