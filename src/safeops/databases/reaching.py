"""Says in a few words why a server cannot be reached, and shows no part of a password."""

from __future__ import annotations

import configparser
import socket
from collections.abc import Callable
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
    if url is not None and "@" in (url.host or ""):
        # Before that @ is the end of the password.
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


def of_a_url(error: BaseException) -> SafeOpsError | None:
    """Return what to say of an error that a URL has caused, and that may quote a part of it; None for others."""
    if isinstance(error, configparser.InterpolationError):
        return interpolated()
    if isinstance(error, (ConnectionError, socket.gaierror)):
        return unreachable(None, str(error))
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    module = place.tb_frame.f_globals.get("__name__") if place is not None else None
    parsing = isinstance(error, (sa.exc.ArgumentError, ValueError)) and module == sa.engine.url.__name__
    return malformed_url() if parsing else None
