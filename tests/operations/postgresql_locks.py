"""Scans and locks as PostgreSQL reports them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from tests.projects import is_watched, listening
from tests.servers import Database

_STRONG = """
  SELECT l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
  WHERE l.granted AND l.pid = pg_backend_pid() AND c.relname = '{table}'
    AND l.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
"""


@contextmanager
def scans_under_strong_locks(database: Database, table: str) -> Iterator[list[str]]:
    """Collects the statements that read every row of a table while their transaction kept writers out.

    Each DDL statement that would commit alone runs inside a separate transaction. At its end the server reports the locks
    held and the rows scanned.
    """
    found: list[str] = []
    count = f"SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_xact_all_tables WHERE relname = '{table}'"
    busy = threading.local()

    def before(connection: sa.Connection, cursor: object, statement: str, *_: object) -> None:
        if _is_plain_ddl(statement) and is_watched(connection, database) and not getattr(busy, "now", False):
            _ask(connection, busy, "BEGIN")
            # What earlier transactions of the session read is in it until the server collects it.
            busy.read = _ask(connection, busy, count)[0][0]

    def after(connection: sa.Connection, cursor: object, statement: str, *_: object) -> None:
        if not _is_plain_ddl(statement) or not is_watched(connection, database) or getattr(busy, "now", False):
            return
        scanned = int(str(_ask(connection, busy, count)[0][0])) - int(str(busy.read))
        strong = _ask(connection, busy, _STRONG.format(table=table))
        _ask(connection, busy, "COMMIT")
        if scanned and strong:
            found.append(f"{statement}: {scanned} rows under {strong}")

    with listening({"before_cursor_execute": before, "after_cursor_execute": after}):
        yield found


def _is_plain_ddl(statement: str) -> bool:
    words = statement.split()
    return bool(words) and words[0] in ("ALTER", "CREATE", "DROP") and "CONCURRENTLY" not in words


def _ask(connection: sa.Connection, busy: threading.local, statement: str) -> list[tuple[object, ...]]:
    busy.now = True
    try:
        result = connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        busy.now = False
