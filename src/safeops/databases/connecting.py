"""Says in a few words why a server cannot be reached, and shows no part of a password."""

from __future__ import annotations

import configparser
import socket
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Dialect, Engine, ExceptionContext

from safeops.databases.refusals import said
from safeops.errors import InvalidArgument, SafeOpsError, Unreachable

ENCODED = (
    "In a URL the characters @ : / ? # % of a user or a password are written as %40 %3A %2F %3F %23 %25, and in alembic.ini"
    " each % is doubled, as in %%40."
)
ENCODE = "python -c \"import getpass, urllib.parse; print(urllib.parse.quote(getpass.getpass(), safe=''))\""


def explain_connecting(applies: Callable[[], bool]) -> None:
    """Have each failure to connect raise Unreachable for as long as ``applies`` says so.

    Args:
        applies: Tells whether a connection is the one that env.py makes, which only Alembic gets.
    """

    def failed(context: ExceptionContext) -> BaseException | None:
        if context.connection is not None or context.statement is not None or context.engine is None or not applies():
            return None
        # Drivers of PostgreSQL add advice in further lines.
        first = [one.strip() for one in str(context.original_exception).splitlines()][:1]
        error = context.sqlalchemy_exception
        numbered = isinstance(error, sa.exc.DBAPIError) and len(getattr(error.orig, "args", ())) > 1
        words = said(error) if numbered else "".join(first)  # type: ignore[arg-type]
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
    """Return what to say of an error that a URL has caused, and that may quote a part of it; None for others."""
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
