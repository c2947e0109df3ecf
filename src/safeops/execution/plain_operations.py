"""Bounds how long plain ``op.*`` and ``op.execute()`` of a revision wait for locks, and names who blocked them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safeops.databases import database_on, sqltext
from safeops.databases.base import Database
from safeops.databases.server_errors import message_of
from safeops.errors import LockNotAcquired
from safeops.execution.migration import settings_of_command
from safeops.naming import Name

LONGEST = 200
NAMES = 20
"""How many of the words of a statement are looked up as names of tables."""


@contextmanager
def bounded_waiting(connection: Connection) -> Iterator[None]:
    """Bound the waiting of each statement on a connection for the block, and restore it on every path out.

    Raises:
        LockNotAcquired: A statement waited for so long; the message names the sessions in the way.
    """
    database = database_on(connection)
    seconds = settings_of_command().lock_timeout
    with _ended(connection):
        bound = database.session_bound(seconds)
        if bound is not None:
            database.run(bound[0])
    try:
        yield
    except DBAPIError as error:
        if not database.errors.is_lock_failure(error):
            raise
        raise _not_acquired(database, error) from error
    finally:
        if bound is not None and not connection.closed and not connection.invalidated:
            # In a failed transaction, which is rolled back with what it has set.
            with suppress(SQLAlchemyError), _ended(connection):
                database.run(bound[1])


@contextmanager
def _ended(connection: Connection) -> Iterator[None]:
    """End the transaction that the block begins; one that was open before is left as it is."""
    open_before = connection.in_transaction()
    yield
    if not open_before and connection.in_transaction():
        connection.commit()


def _not_acquired(database: Database, error: DBAPIError) -> LockNotAcquired:
    statement = " ".join((error.statement or "").split())
    shown = statement if len(statement) <= LONGEST else f"{statement[: LONGEST - 3]}..."
    listed = (
        "".join(f"\n  - {blocker}" for blocker in _blockers(database, statement)) or " sessions that have ended since."
    )
    return LockNotAcquired(
        f"A statement of the revision did not get its lock: {message_of(error)}. It was: {shown}\n"
        f"The lock is held by:{listed}",
        why="Plain op.* and op.execute() wait for a lock once, for the lock_timeout of the session. Helpers try again within"
        " retry_budget.",
        remedy="End those sessions and run again, use the helper, or give it more time in env.py:",
        code="configure(lock_timeout=10.0)",
        state="This statement was not carried out. What the revision committed before is kept; see what is there before"
        " you run it again, because plain op.* does not skip what is done.",
    )


def _blockers(database: Database, statement: str) -> list[str]:
    try:
        with _ended(database.connection):
            return database.blockers(_names_in(statement))
    except SQLAlchemyError:
        return []


def _names_in(statement: str) -> list[Name]:
    """Return the names in a statement that may be those of tables, with a schema in front of them or without one."""
    words = [sqltext.unquoted(text) for _, text in sqltext.tokens(statement)]
    found = [Name(word) for one in words if one not in (".", "(", ")", ",", ";") for word in (one, one.lower())]
    found += [Name(last, first) for first, dot, last in zip(words, words[1:], words[2:], strict=False) if dot == "."]
    return list(dict.fromkeys(found))[:NAMES]
