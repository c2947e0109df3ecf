"""The locks that PostgreSQL itself lists.

Each statement runs in a transaction, at whose end the server lists the locks held. What cannot run in one meets a session
that holds it up, until the server lists the lock that it waits for.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from tests.catalogue import KEPT
from tests.plans.observed import Observed
from tests.projects import is_read, is_watched, listening
from tests.servers import Database

STRENGTH = ("SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE")
"""The locks that keep more out than changes of the table, from the weakest on."""
ALONE = re.compile(r"\bCONCURRENTLY\b|^\s*ALTER TYPE\b.*\bADD VALUE\b", re.DOTALL)
TABLES = """SELECT c.oid, c.relname, pg_relation_filenode(c.oid), c.relkind FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname !~ '^(pg_|information_schema)'"""
HELD = """SELECT relation, replace(mode, 'Lock', '') FROM pg_locks
    WHERE locktype = 'relation' AND pid = {pid} AND granted = {granted}
    AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')"""


class PostgreSQLObserver:
    """Notes the locks of every session of a database but for those of the harness."""

    def __init__(self, database: Database, found: Observed) -> None:
        self.database, self.found = database, found
        self.tables = {oid: (name, file) for oid, name, file, _ in database.query(TABLES) if name not in KEPT}
        self.state = threading.local()

    @contextmanager
    def observing(self) -> Iterator[None]:
        listeners = {
            "before_cursor_execute": self._before,
            "after_cursor_execute": self._after,
            "handle_error": self._failed,
            "commit": self._committing,
        }
        with listening(listeners):
            yield
        files = {oid: file for oid, _, file, _ in self.database.query(TABLES)}
        self.found.rewritten |= {name for oid, (name, file) in self.tables.items() if files.get(oid, file) != file}

    def _is_watched(self, connection: sa.Connection | None) -> bool:
        quiet = getattr(self.state, "quiet", False)
        return not quiet and connection is not None and is_watched(connection, self.database)

    def _before(self, connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if not self._is_watched(connection):
            return
        if statement == "COMMIT":
            self._sample(connection)
        elif _commits_by_itself(connection) and not is_read(statement) and not statement.startswith("BEGIN"):
            if ALONE.search(statement):
                self.state.gate = _Gate(self.database, connection)
                self.state.gate.start()
            else:
                self._send(connection, "BEGIN")
                self.state.began = True

    def _after(self, connection: sa.Connection, *_: object) -> None:
        if self._is_watched(connection):
            if getattr(self.state, "began", False):
                self._sample(connection)
            self._end(connection, "COMMIT")

    def _failed(self, context: Any) -> None:
        if self._is_watched(context.connection):
            self._end(context.connection, "ROLLBACK")

    def _committing(self, connection: sa.Connection) -> None:
        if self._is_watched(connection):
            self._sample(connection)

    def _end(self, connection: sa.Connection, ending: str) -> None:
        if getattr(self.state, "began", False):
            self.state.began = False
            self._send(connection, ending)
        gate, self.state.gate = getattr(self.state, "gate", None), None
        self._note(gate.end() if gate else [])

    def _sample(self, connection: sa.Connection) -> None:
        self._note(self._send(connection, HELD.format(pid="pg_backend_pid()", granted="true")))

    def _note(self, rows: list[Any]) -> None:
        for oid, mode in rows:
            if oid in self.tables:
                # AccessExclusive is ACCESS EXCLUSIVE.
                self.found.saw(self.tables[oid][0], re.sub(r"(?<=[a-z])(?=[A-Z])", " ", mode).upper())

    def _send(self, connection: sa.Connection, statement: str) -> list[Any]:
        """Sends a statement of the observer's own."""
        self.state.quiet = True
        try:
            result = connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            return [tuple(row) for row in result] if result.returns_rows else []
        finally:
            self.state.quiet = False


def _commits_by_itself(connection: sa.Connection) -> bool:
    session: Any = connection.connection.driver_connection
    return bool(session.info.transaction_status.name == "IDLE" and session.autocommit)


class _Gate(threading.Thread):
    """Holds up a statement until the server lists which lock it waits for."""

    def __init__(self, database: Database, connection: sa.Connection) -> None:
        super().__init__(daemon=True)
        self.pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
        self.database = database
        self.closed, self.over = threading.Event(), threading.Event()
        self.seen: list[Any] = []

    def start(self) -> None:
        super().start()
        assert self.closed.wait(10)

    def run(self) -> None:
        observer = self.database.observer()
        with observer.connect() as holder, observer.connect() as looker:
            looker = looker.execution_options(isolation_level="AUTOCOMMIT")
            for oid, name, _, kind in looker.exec_driver_sql(TABLES):
                if name not in KEPT and kind != "v":
                    (name,) = looker.exec_driver_sql(f"SELECT {oid}::regclass::text").one()
                    holder.exec_driver_sql(f"LOCK TABLE ONLY {name} IN SHARE UPDATE EXCLUSIVE MODE")
            self.closed.set()
            while not self.over.is_set() and not self.seen:
                self.seen = looker.exec_driver_sql(HELD.format(pid=self.pid, granted="false")).all()
                time.sleep(0.001)
            holder.rollback()

    def end(self) -> list[Any]:
        self.over.set()
        self.join(10)
        return self.seen
