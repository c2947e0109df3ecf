"""Bounds how long plain ``op.*`` and SQL of a revision wait for locks, names who blocked them, and tries them again.

``configure()`` and ``migration_lock()`` of env.py install it: listeners of SQLAlchemy, which act on the statements that a
revision's own code sends while Alembic runs it, on any connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import Pool

from safeops import _sqlalchemy
from safeops.databases import database_on
from safeops.databases.driver_text import server_text
from safeops.databases.statements import words_of
from safeops.databases.waiting import Waiting, send_by
from safeops.errors import UnsupportedOnDatabase
from safeops.execution.guarding import check_refusal
from safeops.execution.holders import ending, who_holds
from safeops.execution.migration import current_settings, is_configured, is_migrating, settings_of_command
from safeops.execution.plain_statement import (
    KEY,
    PlainSession,
    PlainStatement,
    bound_transaction,
    database_of,
    names_in,
    not_acquired,
)
from safeops.execution.senders import Sender, Who, sender
from safeops.plan_mode import current_dry_run


def _session_of(connection: Connection) -> PlainSession:
    found = connection.info.get(KEY)
    if not isinstance(found, PlainSession):
        found = connection.info[KEY] = PlainSession()
    return found


# The session of migration_lock ----------------------------------------------------------------------------------


@contextmanager
def bounded_waiting(connection: Connection) -> Iterator[None]:
    """Bound the waiting of each statement on a connection for the block, and restore it on every path out.

    Raises:
        LockNotAcquired: A statement waited for so long; the message names the sessions in the way.
    """
    install()
    database = database_on(connection)
    seconds = settings_of_command().lock_timeout
    with ending(connection):
        bound = database.session_bound(seconds)
        if bound is not None:
            database.run(bound[0])
        session = _session_of(connection)
        session.locked, session.lock_bound = True, bound is not None
        session.lose_bound()
    try:
        yield
    except DBAPIError as error:
        if not database.errors.is_lock_failure(error):
            raise
        raise not_acquired(database, error, who_holds(database, names_in(error.statement or ""))) from error
    finally:
        if not connection.closed and not connection.invalidated:
            session.locked = session.lock_bound = session.bounded = False
            # In a failed transaction, which is rolled back with what it has set.
            with suppress(SQLAlchemyError), ending(connection):
                if bound is not None:
                    database.run(bound[1])


# Every session --------------------------------------------------------------------------------------------------

_installed = False


def install() -> None:
    """Have the statements of revisions bounded, in every command of Alembic whose env.py installs it."""
    global _installed
    if _installed:
        return
    _installed = True
    listeners: dict[str, Callable[..., Any]] = {
        "do_execute": _execute,
        "do_executemany": _execute_many,
        "do_execute_no_params": _execute_plainly,
        "begin": _transaction_begun,
        "commit": _transaction_ended,
        "rollback": _transaction_ended,
        "rollback_savepoint": _savepoint_ended,
    }
    for name, listener in listeners.items():
        event.listen(Engine, name, listener)
    event.listen(Pool, "checkin", _returned)


def _execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
    return _sending(
        context, statement, parameters, lambda: context.dialect.do_execute(cursor, statement, parameters, context)
    )


def _execute_many(cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
    return _sending(
        context, statement, parameters, lambda: context.dialect.do_executemany(cursor, statement, parameters, context)
    )


def _execute_plainly(cursor: Any, statement: str, context: Any) -> bool | None:
    return _sending(context, statement, None, lambda: context.dialect.do_execute_no_params(cursor, statement, context))


def _transaction_begun(connection: Connection) -> None:
    """Bound a transaction of a revision from its beginning, for what the driver sends without SQLAlchemy."""
    if current_dry_run() is not None or not is_migrating() or (found := sender()) is None:
        return
    if found.who is not Who.HELPER and is_configured(found.context):
        with suppress(NotImplementedError, UnsupportedOnDatabase):
            session = _session_of(connection)
            waiting = Waiting.of(database_of(session, connection))
            if not session.busy:
                bound_transaction(waiting, session, current_settings(found.context))


def _transaction_ended(connection: Connection) -> None:
    session = connection.info.get(KEY) if not connection.invalidated else None
    if session is not None and not session.busy:
        session.end_transaction()
        _savepoint_ended(connection)


def _savepoint_ended(connection: Connection, *_: Any) -> None:
    session = connection.info.get(KEY) if not connection.invalidated else None
    if session is not None and not session.restoring:
        session.lose_bound()


def _returned(driver: Any, record: Any) -> None:
    """Give a connection back to its pool without the bound."""
    session = record.info.pop(KEY, None)
    if driver is None or session is None or not session.restoring:
        return
    try:
        send_by(driver, session.restoring)
        driver.commit()
    except Exception:
        # The pool must not hand out a connection that gives up early.
        record.invalidate()


def _sending(context: Any, sql: str, parameters: Any, send: Callable[[], None]) -> bool | None:
    """Send a statement if it is one to look after, and return True; else leave that to SQLAlchemy."""
    connection = context.root_connection if context is not None else None
    if connection is None or current_dry_run() is not None:
        return None
    try:
        session = _session_of(connection) if is_migrating() else connection.info.get(KEY)
    except NotImplementedError:
        # SQLAlchemy reads the version of the server, on a connection that belongs to no pool yet.
        return None
    if session is None or session.busy:
        return None
    found, text = sender(), server_text(sql, parameters, connection.dialect)
    session.busy = True
    try:
        if found is not None:
            _guard(found, connection, session, text, parameters, many=bool(context.executemany))
        return PlainStatement(connection, session, found, text, send, many=bool(context.executemany)).sent()
    finally:
        session.busy = False


# The guard ------------------------------------------------------------------------------------------------------


def _guard(
    found: Sender, connection: Connection, session: PlainSession, sql: str, parameters: Any, *, many: bool
) -> None:
    """Have a statement judged before it is sent, if env.py has switched the guard on."""
    settings = current_settings(found.context)
    if settings.guard == "off":
        return
    if found.who is Who.ALEMBIC:
        check_refusal(found.context)
        return
    if found.who is Who.HELPER and words_of(sql)[:1] != ("CREATE",):
        return
    # The judge is imported only if there is something to judge.
    from safeops.execution.guard import Sending, guard_of

    guard = guard_of(found, settings)
    if guard is None:
        return
    if found.who is Who.HELPER:
        guard.helper_created(connection, sql)
    else:
        is_plain = _sqlalchemy.is_autocommit(connection)
        guard.check(
            found, settings, connection, Sending(sql, parameters, many, session.number, is_plain, session.ended)
        )
