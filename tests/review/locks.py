"""What PostgreSQL itself records about rows that a migration reads while it blocks other sessions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from tests.projects import is_watched, listening
from tests.servers import Database

_COUNT = (
    "SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0) FROM pg_stat_xact_all_tables WHERE relname = ANY ('{%s}')"
)
_STRONG = """
  SELECT c.relname || ': ' || l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
   WHERE l.granted AND l.pid = pg_backend_pid() AND c.relname = ANY ('{%s}')
     AND l.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
"""
MANY = 5_000
"""Rows: the tables of the tests have more."""


@contextmanager
def long_locks(database: Database, *tables: str) -> Iterator[list[str]]:
    """Collects the statements that read most rows of a table while their transaction kept readers or writers out.

    A statement in autocommit is run in a transaction instead, with a query of the server at its end.
    """
    found: list[str] = []
    names = ",".join(tables)
    state = threading.local()

    def before(connection: sa.Connection, cursor: Any, statement: str, *_: object) -> None:
        if not is_watched(connection, database) or not _changes(statement):
            return
        driver: Any = connection.connection.dbapi_connection
        state.own = driver.autocommit and driver.info.transaction_status == TransactionStatus.IDLE
        if state.own:
            driver.execute("BEGIN")
        state.read = driver.execute(_COUNT % names).fetchone()[0]

    def after(connection: sa.Connection, cursor: Any, statement: str, *_: object) -> None:
        if not is_watched(connection, database) or not _changes(statement):
            return
        driver: Any = connection.connection.dbapi_connection
        read = int(driver.execute(_COUNT % names).fetchone()[0]) - int(state.read)
        strong = [lock for (lock,) in driver.execute(_STRONG % names).fetchall()]
        if state.own:
            driver.execute("COMMIT")
        if read >= MANY and strong:
            found.append(f"{statement}: {read} rows under {strong}")

    with listening({"before_cursor_execute": before, "after_cursor_execute": after}):
        yield found


def _changes(statement: str) -> bool:
    words = statement.split()
    plain = bool(words) and words[0] in ("ALTER", "CREATE", "DROP", "UPDATE", "DELETE") and "CONCURRENTLY" not in words
    # Code that is tried on an empty copy has separate transactions.
    return plain and "safeops_probe" not in statement
