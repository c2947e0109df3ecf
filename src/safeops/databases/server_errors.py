"""Errors of a server or its driver, told as errors of safeops: by their codes, never by their words."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from sqlalchemy.exc import ArgumentError, CompileError, DBAPIError, PendingRollbackError, SQLAlchemyError

from safeops.databases.server import Kind
from safeops.errors import (
    DependentObjects,
    InvalidArgument,
    LockNotAcquired,
    SafeOpsError,
    ServerRefused,
    Unreachable,
    UnsupportedOnDatabase,
    ViolatingRows,
)

if TYPE_CHECKING:
    from safeops.databases.base import Database

LONGEST = 300
_BETWEEN = sys.stdlib_module_names
"""What may call a function between safeops and SQLAlchemy: context managers, threads."""
UNCERTAIN = "Whether the last statement was carried out cannot be determined; running again looks, and continues."


def explained(database: Database, error: SQLAlchemyError, helper: str) -> SafeOpsError | None:
    """Return what an error means for the author of a revision; None for one that safeops itself is to blame for, or that
    code of the author raised on a connection of its own.

    Args:
        database: The session that got it.
        error: The error, with what was being done as its detail.
        helper: The helper that was running.
    """
    if _is_of_the_author(database, error):
        return None
    if isinstance(error, PendingRollbackError):
        return _lost(database, "the connection was lost before", "")
    if isinstance(error, (CompileError, ArgumentError)):
        return InvalidArgument(
            f"{helper}() got something that cannot be written as SQL for {database.product}: {error}",
            remedy="Give each type, value and expression as SQLAlchemy takes it, and each argument in its own place.",
        )
    if not isinstance(error, DBAPIError):
        return None
    return database.errors.explained(error) or _TOLD[database.errors.kind_of(error)](
        database, message_of(error), _undone(error)
    )


def _is_of_the_author(database: Database, error: SQLAlchemyError) -> bool:
    """Tell whether code that safeops called raised it (a callable for progress, a throttle), and not for our connection."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if _package(frame) not in _BETWEEN]
    ours = max((place for place, one in enumerate(frames) if _package(one) == "safeops"), default=-1)
    below = frames[ours + 1 :]
    asked = any(frame.f_locals.get("self") is database.connection for frame in below)
    return bool(below) and not asked and _package(below[0]) not in ("sqlalchemy", "alembic")


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def message_of(error: DBAPIError) -> str:
    """Return what the server said, in one line."""
    original = error.orig
    arguments: tuple[object, ...] = getattr(original, "args", ())
    # Drivers of MariaDB and MySQL give a number and a text.
    text = str(arguments[1]) if len(arguments) == 2 and isinstance(arguments[0], int) else str(original)
    return " ".join(text.split()).rstrip(".")


def _undone(error: DBAPIError) -> str:
    if error.detail:
        return f" This was not done: {'; '.join(error.detail)}."
    if not error.statement:
        return ""
    asked = " ".join(error.statement.split())
    return f"\nThe statement was: {asked if len(asked) <= LONGEST else f'{asked[: LONGEST - 3]}...'}"


def _lost(database: Database, words: str, undone: str) -> SafeOpsError:
    return Unreachable(
        f"The connection to {database.product} was lost: {words}.{undone}",
        why="The server stopped or restarted, an administrator ended the session, or the network failed.",
        remedy="Run the same command again once the server can be reached.",
        state=UNCERTAIN,
    )


def _held(database: Database, words: str, undone: str) -> SafeOpsError:
    error = LockNotAcquired(
        f"{database.product} did not get a lock: {words}.{undone}",
        why="Another session holds the table or rows of it in a transaction that has not ended.",
        remedy="End that transaction and run again, or wait longer for it:",
        code="with settings(lock_timeout=10.0):\n    ...",
    )
    error.unexpected = True
    return error


def _rights(database: Database, words: str, undone: str) -> SafeOpsError:
    return ServerRefused(
        f"{database.product} refused, because the role of the migration lacks a right: {words}.{undone}",
        why="Most changes of a table need its owner, new objects need CREATE on their schema, and foreign keys need"
        " REFERENCES on the table that they refer to.",
        remedy="Connect as the owner, have the owner grant the right, or take the owner's role in env.py before"
        " context.configure():",
        code=database.abilities.role_code,
    )


def _read_only(database: Database, words: str, undone: str) -> SafeOpsError:
    return ServerRefused(
        f"{database.product} does not let this session write: {words}.{undone}",
        why="It is a replica, its disk is protected, or the session, the role or the server is set to read only.",
        remedy="Connect to the primary with a role that may write.",
    )


def _resources(database: Database, words: str, undone: str) -> SafeOpsError:
    return ServerRefused(
        f"{database.product} ran out of disk space, memory or connections: {words}.{undone}",
        why="The server rolled the statement back. An index build or a rebuilt table needs about as much free space as"
        " the table has.",
        remedy="Free or add what is missing, and run the same command again.",
    )


def _cancelled(database: Database, words: str, undone: str) -> SafeOpsError:
    return ServerRefused(
        f"{database.product} ended a statement early: {words}.{undone}",
        why="A timeout of the role, the database or the session was shorter than the statement, or an administrator"
        " cancelled it.",
        remedy="Run again; give statements more time if it was a timeout:",
        code="with settings(statement_timeout=60.0):\n    ...",
    )


def _values(database: Database, words: str, undone: str) -> SafeOpsError:
    return ViolatingRows(
        f"A value cannot be converted, computed or stored: {words}.{undone}",
        why=f"{database.product} tries each value of the rows, and each value that is given.",
        remedy="Fix the value in those rows, or the expression, default or type in the revision, and run again.",
    )


def _rule(database: Database, words: str, undone: str) -> SafeOpsError:
    return ViolatingRows(
        f"A trigger or function of this database raised an error: {words}.{undone}",
        why="It checks rows that are written, and does not take these.",
        remedy="Fix the rows that it refuses or the trigger, and run again.",
    )


def _violation(_: Database, words: str, undone: str) -> SafeOpsError:
    return ViolatingRows(
        f"Rows break a constraint: {words}.{undone}",
        remedy="Fix those rows, and run again.",
    )


def _dependents(_: Database, words: str, undone: str) -> SafeOpsError:
    return DependentObjects(
        f"Other objects depend on it: {words}.{undone}",
        remedy="Drop or change them first, in this revision or an earlier one.",
    )


def _unsupported(database: Database, words: str, undone: str) -> SafeOpsError:
    return UnsupportedOnDatabase(
        f"{database.describe()} does not support this here: {words}.{undone}",
        why="It depends on the kind of the table, the column or the index, and on limits of the server.",
        remedy="Do it in a way that the server offers, with op.execute() if safeops has no helper for it.",
    )


def _statement(database: Database, words: str, undone: str) -> SafeOpsError:
    return InvalidArgument(
        f"{database.product} does not take this: {words}.{undone}",
        why="A name, a type, an operator class or an expression in the arguments does not exist there, or is not allowed"
        " in this place.",
        remedy="Correct the arguments, or create first what they name.",
    )


def _other(database: Database, words: str, undone: str) -> SafeOpsError:
    error = ServerRefused(
        f"{database.product} refused: {words}.{undone}", remedy="Resolve what it reports, and run again."
    )
    error.unexpected = True
    return error


_TOLD: dict[Kind, Callable[[Database, str, str], SafeOpsError]] = {
    "lost": _lost,
    "held": _held,
    "rights": _rights,
    "read only": _read_only,
    "resources": _resources,
    "cancelled": _cancelled,
    "values": _values,
    "rule": _rule,
    "violation": _violation,
    "dependents": _dependents,
    "unsupported": _unsupported,
    "statement": _statement,
    "other": _other,
}
