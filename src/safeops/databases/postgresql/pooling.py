"""Tells whether a connection has a session of the server to itself, which behind a pooler in transaction mode it has not."""

from __future__ import annotations

import logging
import threading
from queue import Empty, SimpleQueue
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from safeops.databases.connections import CONNECTING, watching

log = logging.getLogger("safeops")

SESSION = "SELECT pg_backend_pid()"
LOOKS = 6
"""How often the second connection asks for its session. A pool that takes turns gives it the first one's, or several."""

_judged: WeakSet[Dialect] = WeakSet()
"""The dialects, one of each engine, whose connections keep their session though they go through a pooler."""


def shares_sessions(connection: Connection, session: int) -> bool:
    """Tell whether statements of a connection may reach sessions that also serve other clients.

    A connection without a pooler has been told the id of its session when it connected. A pooler tells each client a key
    of its own. Then a second connection shows which pooler it is: in transaction mode both get the same session, or
    one of them gets several. Nothing is set on any session for that.

    Args:
        connection: The connection, in autocommit.
        session: The session that its last statement has reached.
    """
    if connection.dialect in _judged or told_session(connection.connection.driver_connection) == session:
        return False
    others = _sessions_beside(connection)
    again = connection.execute(sa.text(SESSION)).scalar_one()
    if again != session or session in others or len(others) > 1:
        return True
    if others:
        _judged.add(connection.dialect)
    return False


def told_session(driver: Any) -> int | None:
    """Return the id of the session that the server told the driver on connecting; None if the driver does not show it."""
    if hasattr(driver, "info"):
        driver = driver.info
    for name in ("backend_pid", "get_backend_pid", "get_server_pid"):
        found = getattr(driver, name, None)
        if found is not None:
            return int(found() if callable(found) else found)
    return None


def _sessions_beside(connection: Connection) -> set[int]:
    """Return the sessions that another connection reaches in turn; none if the pool has no other to give."""
    found: SimpleQueue[set[int]] = SimpleQueue()

    def ask(own: Connection, _over: threading.Event) -> None:
        found.put({own.execute(sa.text(SESSION)).scalar_one() for _ in range(LOOKS)})

    with watching(connection, ask) as is_attached:
        try:
            return found.get(timeout=CONNECTING) if is_attached() else set()
        except Empty:
            log.info("the pooler has no second session to give: whether it is in session mode cannot be determined")
            return set()
