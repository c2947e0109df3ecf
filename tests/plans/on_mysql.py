"""The metadata locks that MariaDB or MySQL itself lists, while a reader and a writer of each table hold a statement up."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import sqlalchemy as sa
from tests.catalogue import KEPT
from tests.plans.observed import Observed
from tests.projects import is_watched, listening
from tests.servers import Database

KEEPS_READERS_OUT = ("EXCLUSIVE", "SHARED_NO_READ_WRITE")
PENDING = """SELECT l.OBJECT_NAME, l.LOCK_TYPE FROM performance_schema.metadata_locks l
    JOIN performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID
    WHERE l.OBJECT_TYPE = 'TABLE' AND l.LOCK_STATUS = 'PENDING' AND t.PROCESSLIST_ID = {session}"""
SHOWN = "UPDATE performance_schema.setup_instruments SET ENABLED = 'YES' WHERE NAME = 'wait/lock/metadata/sql/mdl'"
"""MariaDB does not list its locks of itself."""
ALTERED = re.compile(r"\s*(?:ALTER\s+TABLE|CREATE\b[^(]*\bINDEX\s+\S+\s+ON)\s+(?:`?\w+`?\.)?`?(\w+)")
SCHEMA_CHANGE = re.compile(r"\s*(ALTER|CREATE|DROP|RENAME|TRUNCATE|LOCK|OPTIMIZE)\b", re.IGNORECASE)


class MySQLObserver:
    """Notes the locks of every session of a database but for those of the harness."""

    def __init__(self, database: Database, found: Observed) -> None:
        self.database, self.found = database, found
        with database.observer().connect() as connection:
            inspector = sa.inspect(connection)
            self.tables = [name for name in inspector.get_table_names() if name not in KEPT]
            self.views = inspector.get_view_names()
        self.impatient: set[str] = set()
        self.holds_tables = False

    @contextmanager
    def observing(self) -> Iterator[None]:
        self.database.execute(SHOWN)
        listeners = {
            "before_cursor_execute": self._before,
            "after_cursor_execute": self._after,
            "handle_error": self._failed,
        }
        with ExitStack() as stack:
            self.crowd = _Crowd(self.database, stack, self.tables, self.views)
            stack.enter_context(listening(listeners))
            yield

    def _before(self, connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if not is_watched(connection, self.database):
            return
        self.holds_tables = self.holds_tables and statement != "UNLOCK TABLES"
        # No other session reads tables that the session has locked whole.
        if SCHEMA_CHANGE.match(statement) and statement not in self.impatient and not self.holds_tables:
            self.crowd.gather(connection.connection.driver_connection.thread_id())  # type: ignore[union-attr]

    def _after(self, connection: sa.Connection, cursor: Any, statement: str, *_: object) -> None:
        if is_watched(connection, self.database):
            self._note(self.crowd.disperse())
            self.holds_tables = self.holds_tables or statement.startswith("LOCK TABLES")
            altered = ALTERED.match(statement)
            # A copy counts the rows that it wrote.
            if altered and altered[1] in self.tables and cursor.rowcount > 0:
                self.found.rewritten.add(altered[1])

    def _failed(self, context: Any) -> None:
        # What the server refused has waited for nothing that the next attempt would not wait for as well.
        self._note(self.crowd.disperse())
        if (context.statement or "").startswith("RENAME TABLE"):
            # It waits for no lock, so its mode cannot be observed: all of them are exclusive.
            self.impatient.add(context.statement)
            self._note([(name, "EXCLUSIVE") for name in re.findall(r"(\w+)\b`?(?!\.)", context.statement)])

    def _note(self, rows: list[tuple[str, str]]) -> None:
        for table, mode in rows:
            if table in (*self.tables, *self.views):
                self.found.saw(table, mode)


class _Crowd:
    """A reader and a writer of each table, and a reader of each view, in sessions that are kept."""

    def __init__(self, database: Database, stack: ExitStack, tables: list[str], views: list[str]) -> None:
        def session() -> sa.Connection:
            return stack.enter_context(database.observer().connect())

        self.database, self.tables, self.views = database, tables, views
        self.readers = {name: session() for name in (*tables, *views)}
        self.writers = {name: session() for name in tables}
        self.looker = session().execution_options(isolation_level="AUTOCOMMIT")
        self.thread: threading.Thread | None = None
        self.over = threading.Event()
        self.seen: set[tuple[str, str]] = set()

    def gather(self, session: int) -> None:
        """Begin to hold up a session; those that it waits for end at once."""
        for sessions, ending in ((self.readers, ""), (self.writers, " FOR UPDATE")):
            for name in list(sessions):
                self._look_at(sessions, name, ending)
        self.seen.clear()
        self.over.clear()
        self.thread = threading.Thread(target=self._watch, args=(session,), daemon=True)
        self.thread.start()

    def _look_at(self, sessions: dict[str, sa.Connection], name: str, ending: str) -> None:
        try:
            sessions[name].exec_driver_sql(f"SELECT 1 FROM {self.database.quoted(name)} WHERE 1 = 0{ending}").all()
        except sa.exc.ProgrammingError:
            # It has been dropped.
            sessions.pop(name).rollback()

    def _watch(self, session: int) -> None:
        while not self.over.is_set():
            for table, mode in self.looker.exec_driver_sql(PENDING.format(session=session)).all():
                self.seen.add((table, mode))
                # Who reads a view reads its table.
                gone = [self.readers.get(one) for one in (table, *self.views) if mode in KEEPS_READERS_OUT]
                for one in filter(None, (*gone, self.writers.get(table))):
                    one.rollback()
            time.sleep(0.001)

    def disperse(self) -> list[tuple[str, str]]:
        """End them all, and return what was waited for."""
        if self.thread is None:
            return []
        self.over.set()
        self.thread.join(10)
        self.thread = None
        for one in (*self.readers.values(), *self.writers.values()):
            one.rollback()
        return sorted(self.seen)
