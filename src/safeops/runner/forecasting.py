"""Runs revisions so that nothing is written: helpers tell what they would do, and all else is noted and not sent."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection, Engine

from safeops import _alembic
from safeops.errors import SafeOpsError, Unreachable
from safeops.foreseeing import Forecast, WouldWrite, foreseeing
from safeops.foretold import summary
from safeops.runner.refusing import refusing_writes_beside

COMMENTS = re.compile(r"--[^\n]*|/\*(?!M?!).*?\*/", re.DOTALL)
"""What no server reads; MariaDB does read `/*! this */`."""
LEADING = re.compile(r"[\s(]*")
"""What may stand before the first word."""
READS = re.compile(
    r"(SELECT(?!.*\bINTO\s+(OUT|DUMP)FILE\b)|WITH(?!.*\b(INSERT|UPDATE|DELETE|MERGE)\b)|VALUES|TABLE|SHOW|EXPLAIN|DESC"
    r"|DESCRIBE|PRAGMA(?!.*=)(?!.*\()|PRAGMA\s+(\w+\.)?\w+_(info|xinfo|list|check)\s*(?=\())\b",
    re.IGNORECASE | re.DOTALL,
)
SAVEPOINTS = re.compile(r"(SAVEPOINT|RELEASE|ROLLBACK TO)\b", re.IGNORECASE)
TRANSACTIONS = re.compile(r"(BEGIN(?! IMMEDIATE)|START TRANSACTION|COMMIT|ROLLBACK)\b", re.IGNORECASE)
OF_SESSION = re.compile(r"(PRAGMA|SET|RESET|USE)\b", re.IGNORECASE)
OF_MORE = re.compile(
    r"^(PRAGMA|RESET)\b|read[\s_]*(only|write)|query_only|\b(GLOBAL|PERSIST|PASSWORD|DEFAULT)\b", re.IGNORECASE
)
"""What a revision may not set: what changes more than its session, or what keeps that from writing."""
SETS = re.compile(r"\bset_config\s*\(.*read_only", re.IGNORECASE | re.DOTALL)
TRIAL = "safeops_probe"
"""In the name of every empty copy on which a definition is tried out."""
SECRETS = (
    re.compile(
        r"(\b(?:PASSWORD|IDENTIFIED)\b(?:\s+(?:BY|AS|USING|WITH\s+\S+))*\s*[=(]?\s*E?')(?:[^']|'')*(?=')", re.IGNORECASE
    ),
    re.compile(r"(\bpassword\s*=\s*)[^\s'\"&;)]+", re.IGNORECASE),
    re.compile(r"(://[^\s:/@']*:)[^\s@']+(?=@)"),
)
LOSING = re.compile(
    r"\b(DROP (TABLE|COLUMN|SCHEMA|DATABASE)|TRUNCATE)\b|(?<!\bON )(?<!\bFOR )\b(DELETE|UPDATE)\b", re.IGNORECASE
)
LONGEST = 200
SENDING = ("do_execute", "do_executemany", "do_execute_no_params")


def run_revision(forecast: Forecast, revision: str, body: Callable[[], object], connection: Connection) -> None:
    """Run the body of a revision; where it raises, the forecast of this revision ends there."""
    forecast.revision = revision
    try:
        body()
    except Exception as error:
        if isinstance(error, Unreachable) or getattr(error, "connection_invalidated", False):
            raise
        said = "would be refused" if isinstance(error, SafeOpsError) else "ends the forecast of this revision"
        forecast.unknown(_raiser(error), f"{said}: {summary(error)}", ends=True)
    finally:
        _close_what_it_began(connection)


def _close_what_it_began(connection: Connection) -> None:
    """Leave the next revision a connection that works, though this one left a savepoint or a failed transaction open."""
    savepoint, transaction = connection.get_nested_transaction(), connection.get_transaction()
    if savepoint is not None:
        savepoint.rollback()
    if transaction is not None and not transaction.is_active:
        connection.rollback()


def _raiser(error: Exception) -> str:
    """Return what a revision has called that raised; its own function where it raised itself."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
        if str(place.tb_frame.f_globals.get("__name__", "")).startswith(("safeops.", "sqlalchemy.", "alembic.")):
            break
    return "raise" if place is None else place.tb_frame.f_code.co_name


@contextmanager
def recording(context: MigrationContext, forecast: Forecast) -> Iterator[None]:
    """Note what ``op`` would execute, and what any connection is given that does not only read; send none of it."""
    connection = context.connection
    assert connection is not None

    def note(construct: Any, *_: Any, **__: Any) -> None:
        _note(forecast, _text(construct, context), sys._getframe(1))

    def guard(_cursor: Any, statement: str, *_: Any) -> bool | None:
        return _guard(forecast, statement) if foreseeing() is forecast else None

    # Also on engines that a revision makes for itself.
    for name in SENDING:
        sa.event.listen(Engine, name, guard)
    # All of it runs where each statement commits by itself already.
    context.autocommit_block = nullcontext  # type: ignore[method-assign,assignment]
    try:
        with _alembic.executing_by(context, note), refusing_writes_beside(connection):
            yield
    finally:
        del context.autocommit_block
        for name in SENDING:
            sa.event.remove(Engine, name, guard)


def _guard(forecast: Forecast, statement: str) -> bool | None:
    """Let a statement pass that only reads; of others return that they are done, or end the helper that sends them."""
    words = LEADING.sub("", COMMENTS.sub(" ", statement), count=1)
    if forecast.in_helper:
        if READS.match(words) or TRIAL in statement or _is_of_session(words):
            return None
        raise WouldWrite(_shown(statement))
    if SAVEPOINTS.match(words):
        # There is nothing to go back to, and no transaction that could have one.
        return True
    if READS.match(words) and not SETS.search(words):
        return None
    if _is_of_session(words) and not OF_MORE.search(words):
        return None
    _note(forecast, statement, sys._getframe(1))
    return True


def _is_of_session(words: str) -> bool:
    return bool(OF_SESSION.match(words) or TRANSACTIONS.match(words) or SAVEPOINTS.match(words))


def _note(forecast: Forecast, sql: str, frame: FrameType | None) -> None:
    forecast.unknown(_helper(frame), _shown(sql), loses=bool(LOSING.search(sql)))


def _helper(frame: FrameType | None) -> str:
    """Return what the revision has called to execute it."""
    called, inside = "execute", False
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        is_ours = module.startswith(("alembic", "sqlalchemy", "safeops.", "contextlib")) or module == "<string>"
        if not is_ours and inside:
            break
        inside = inside or is_ours
        if is_ours and module != "contextlib":
            called = _said(module, frame.f_code.co_name)
        frame = frame.f_back
    return called


def _said(module: str, name: str) -> str:
    return f"op.{name}" if module.startswith("alembic") else f"connection.{name}"


def _text(construct: Any, context: MigrationContext) -> str:
    if isinstance(construct, str):
        return construct
    try:
        return str(construct.compile(dialect=context.dialect))
    except sa.exc.SQLAlchemyError:
        return str(construct)


def _shown(sql: str) -> str:
    """Return a statement in one line, without a password that may stand in it."""
    line = " ".join(sql.split())
    for secret in SECRETS:
        line = secret.sub(r"\1***", line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
