"""What an error of a server or its driver means for the author of a revision: by its code, never by its words."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
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
from safeops.planned import infinitive

if TYPE_CHECKING:
    from safeops.databases import Database

LONGEST = 300
_BETWEEN = sys.stdlib_module_names
"""What may call a function between safeops and SQLAlchemy: context managers, threads."""
UNCERTAIN = "Whether the last statement was carried out cannot be determined; running again looks, and continues."


def explained(database: Database, error: SQLAlchemyError, helper: str) -> SafeOpsError | None:
    """Return what an error means for the author of a revision; None for a defect of safeops, or an error that the author's
    own code raised on another connection.

    Args:
        database: The session that got it.
        error: The error, with what was being done as its detail.
        helper: The helper that was running.
    """
    if _is_the_authors(database, error):
        return None
    if isinstance(error, PendingRollbackError):
        return _MEANINGS["lost"].error_of(database, "the connection was lost before")
    if isinstance(error, (CompileError, ArgumentError)):
        return InvalidArgument(
            f"{helper}() got something that cannot be written as SQL for {database.product}: {error}",
            remedy="Give each type, value and expression as SQLAlchemy takes it, and each argument in its own place.",
        )
    if not isinstance(error, DBAPIError):
        return None
    meaning = _MEANINGS[database.errors.kind_of(error)]
    steps = "; ".join(map(infinitive, error.detail))
    return database.errors.explained(error) or meaning.error_of(database, message_of(error), steps, _statement(error))


def _is_the_authors(database: Database, error: SQLAlchemyError) -> bool:
    """Return whether code that safeops called raised it (a callable for progress, a throttle), on another connection."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if _package(frame) not in _BETWEEN]
    last_own = max((place for place, frame in enumerate(frames) if _package(frame) == "safeops"), default=-1)
    called = frames[last_own + 1 :]
    # A listener of safeops may send it in the place of the connection.
    own = None if database.offline else database.connection
    on_ours = own is not None and any(frame.f_locals.get("self") is own for frame in frames)
    return bool(called) and not on_ours and _package(called[0]) not in ("sqlalchemy", "alembic")


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def message_of(error: DBAPIError) -> str:
    """Return the server's message in one line."""
    original = error.orig
    arguments: tuple[object, ...] = getattr(original, "args", ())
    # Drivers of MariaDB and MySQL give a number and a text, pg8000 the fields of the server's message.
    text = str(arguments[1]) if len(arguments) == 2 and isinstance(arguments[0], int) else str(original)
    if arguments and isinstance(arguments[0], dict) and "M" in arguments[0]:
        fields: dict[str, str] = arguments[0]
        text = f"{fields['M']} DETAIL: {fields['D']}" if "D" in fields else fields["M"]
    return " ".join(text.split()).rstrip(".")


def _statement(error: DBAPIError) -> str:
    """Return the statement of an error that no step describes."""
    if error.detail or not error.statement:
        return ""
    statement = " ".join(error.statement.split())
    return f"\nThe statement was: {statement if len(statement) <= LONGEST else f'{statement[: LONGEST - 3]}...'}"


@dataclass(frozen=True)
class _Meaning:
    """The error for one kind; ``{product}``, ``{server}`` and ``{role_code}`` are filled in from the database.

    Args:
        problem: Its problem, as the second half of "Could not add column users.email: ...".
        is_certain: The step was not carried out.
    """

    error: type[SafeOpsError]
    problem: str
    why: str = ""
    remedy: str = ""
    code: str = ""
    state: str = ""
    unexpected: bool = False
    is_certain: bool = True

    def error_of(self, database: Database, message: str, steps: str = "", statement: str = "") -> SafeOpsError:
        names = {"product": database.product, "server": database.describe(), "role_code": database.abilities.role_code}
        problem, why, code = (text.format(**names) for text in (self.problem, self.why, self.code))
        first = f"Could not {steps}: {problem}" if steps and self.is_certain else f"{problem[0].upper()}{problem[1:]}"
        last = f" The step in progress: {steps}." if steps and not self.is_certain else statement
        error = self.error(f"{first}: {message}.{last}", why=why, remedy=self.remedy, code=code, state=self.state)
        error.unexpected = self.unexpected
        return error


_MEANINGS: Mapping[Kind, _Meaning] = {
    "lost": _Meaning(
        Unreachable,
        "the connection to {product} was lost",
        why="The server stopped or restarted, an administrator ended the session, or the network failed.",
        remedy="Run the same command again once the server can be reached.",
        state=UNCERTAIN,
        is_certain=False,
    ),
    "held": _Meaning(
        LockNotAcquired,
        "{product} did not get a lock",
        why="Another session holds the table or rows of it in a transaction that has not ended.",
        remedy="End that transaction and run again, or wait longer for it:",
        code="with settings(lock_timeout=10.0):\n    ...",
        unexpected=True,
    ),
    "rights": _Meaning(
        ServerRefused,
        "{product} refused, because the role of the migration lacks a right",
        why="Most changes of a table need its owner, new objects need CREATE on their schema, and foreign keys need"
        " REFERENCES on the table that they refer to.",
        remedy="Connect as the owner, have the owner grant the right, or take the owner's role in env.py before"
        " context.configure():",
        code="{role_code}",
    ),
    "read only": _Meaning(
        ServerRefused,
        "{product} does not let this session write",
        why="It is a replica, its disk is protected, or the session, the role or the server is set to read only.",
        remedy="Connect to the primary with a role that may write.",
    ),
    "resources": _Meaning(
        ServerRefused,
        "{product} ran out of disk space, memory or connections",
        why="The server rolled the statement back. An index build or a rebuilt table needs about as much free space as"
        " the table has.",
        remedy="Free or add what is missing, and run the same command again.",
    ),
    "cancelled": _Meaning(
        ServerRefused,
        "{product} ended a statement early",
        why="A timeout of the role, the database or the session was shorter than the statement, or an administrator"
        " cancelled it.",
        remedy="Run again; give statements more time if it was a timeout:",
        code="with settings(statement_timeout=60.0):\n    ...",
    ),
    "values": _Meaning(
        ViolatingRows,
        "a value cannot be converted, computed or stored",
        why="{product} tries each value of the rows, and each value that is given.",
        remedy="Fix the value in those rows, or the expression, default or type in the revision, and run again.",
    ),
    "rule": _Meaning(
        ViolatingRows,
        "a trigger or function of this database raised an error",
        why="It checks rows that are written, or as an event trigger the statements of a migration, and refuses these.",
        remedy="Fix the rows that it refuses or the trigger, and run again. An event trigger must accept the statements of"
        " the role that migrates, also for objects whose names begin with safeops.",
    ),
    "violation": _Meaning(ViolatingRows, "rows break a constraint", remedy="Fix those rows, and run again."),
    "dependents": _Meaning(
        DependentObjects,
        "other objects depend on it",
        remedy="Drop or change them first, in this revision or an earlier one.",
    ),
    "unsupported": _Meaning(
        UnsupportedOnDatabase,
        "{server} does not support this here",
        why="It depends on the kind of the table, the column or the index, and on limits of the server.",
        remedy="Do it in a way that the server offers, with op.execute() if safeops has no helper for it.",
    ),
    "statement": _Meaning(
        InvalidArgument,
        "{product} does not take this",
        why="A name, a type, an operator class or an expression in the arguments does not exist there, or is not allowed"
        " in this place.",
        remedy="Correct the arguments, or create first what they name.",
    ),
    "other": _Meaning(
        ServerRefused, "{product} refused", remedy="Resolve what it reports, and run again.", unexpected=True
    ),
}
