"""Sends several statements in one message: they are one transaction, and one round trip.

Listeners, as those that log, see the statement that is meant, without what it takes along.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from sqlalchemy import event
from sqlalchemy.engine import Connection, CursorResult, Dialect

ALONG = "safeops_along"
"""The execution option that has what is sent before a statement."""
DRIVERS = ("psycopg", "psycopg2")
"""The drivers that send a text without parameters as it is; others prepare it, which takes one statement."""

_listening: WeakSet[Dialect] = WeakSet()


def takes_along(connection: Connection) -> bool:
    """Return whether the driver of a connection sends several statements at once."""
    return connection.dialect.driver in DRIVERS and not connection.dialect.is_async


def send_along(connection: Connection, before: str, sql: str) -> CursorResult[Any]:
    """Send a statement behind others, and return its own result."""
    if connection.dialect not in _listening:
        # After the listeners of all engines, some of which must see it first.
        event.listen(connection.engine, "do_execute_no_params", _execute)
        _listening.add(connection.dialect)
    return connection.exec_driver_sql(sql, execution_options={"no_parameters": True, ALONG: before})


def _execute(cursor: Any, statement: str, context: Any) -> bool | None:
    before = context.execution_options.get(ALONG)
    if before is None:
        return None
    cursor.execute(f"{before};\n{statement}")
    # Psycopg 3 begins with the result of the first one; psycopg2 keeps that of the last one only.
    while context.dialect.driver == "psycopg" and cursor.nextset():
        pass
    return True
