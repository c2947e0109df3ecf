"""The SQLite session: how long it waits for the file, who holds it, and the runner lock."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases.base import Database
from safeops.databases.kinds import Kind
from safeops.databases.sessions import Handed
from safeops.databases.sqlite.runner import RunnerLock
from safeops.databases.sqlite.tokens import literal, quoted
from safeops.databases.steps import Step
from safeops.naming import Name

# https://www.sqlite.org/rescode.html: SQLITE_BUSY and SQLITE_LOCKED, whose extended codes have further bits.
LOCK_FAILURES = {5, 6}
# By the extended code, else by the primary one.
KINDS: Mapping[int, Kind] = {
    1: "statement",
    3: "rights",
    5: "held",
    6: "held",
    7: "resources",
    8: "read only",
    9: "cancelled",
    13: "resources",
    18: "values",
    19: "violation",
    1811: "rule",
    20: "values",
    23: "rights",
}
# What decides on a connection what a statement means. A database in memory cannot be attached by another.
HANDED = ("foreign_keys", "recursive_triggers", "ignore_check_constraints", "trusted_schema")
CAME = ("already exists", "duplicate column name")
LOCKED = ("database is locked", "database table is locked", "database schema is locked")


class Session(Database):
    """What SQLite adds to a database for waiting and locking."""

    # Such a transaction is the only writer from the first.
    begins = "BEGIN IMMEDIATE"
    locks_runners_by_session = False
    _bounded = False
    _was_never_autocommit = False
    _runner_lock: RunnerLock | None = None

    def handed_over(self, *, role: bool = True) -> Handed:
        attached = [(str(row[1]), str(row[2])) for row in self.read("PRAGMA database_list") if row[2]]
        return (*attached, *((name, str(self.scalar(f"PRAGMA {name}"))) for name in HANDED))

    def take_over(self, handed: Handed) -> None:
        known = {row[1] for row in self.read("PRAGMA database_list")}
        for name, value in handed:
            if name in HANDED:
                self._send(f"PRAGMA {name}={value}")
            elif name not in known:
                self._send(f"ATTACH DATABASE {literal(value)} AS {quoted(name)}")

    def kind_of(self, error: DBAPIError) -> Kind:
        if error.connection_invalidated:
            return "lost"
        code = getattr(error.orig, "sqlite_errorcode", None)
        # Python 3.10 does not tell the code.
        if code is None:
            return "violation" if isinstance(error, sa.exc.IntegrityError) else "other"
        return KINDS.get(code) or KINDS.get(code & 0xFF, "other")

    def is_lock_failure(self, error: BaseException) -> bool:
        original = getattr(error, "orig", None) or error
        code = getattr(original, "sqlite_errorcode", None)
        # Python 3.10 does not tell the code.
        return str(original).startswith(LOCKED) if code is None else code & 0xFF in LOCK_FAILURES

    def is_race(self, error: BaseException, step: Step) -> bool:
        said = str(getattr(error, "orig", None) or error)
        return any(one in said for one in CAME) or ("DROP " in step.sql and "no such" in said)

    def is_violation(self, error: BaseException) -> bool:
        return isinstance(error, sa.exc.IntegrityError)

    def read(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        # Readers wait for a writer that commits, and the driver would let them wait for 5 s.
        with self._waiting(self.patience):
            return super().read(sql, **parameters)

    def session_bound(self, seconds: float) -> tuple[str, str] | None:
        own, bound = self._send("PRAGMA busy_timeout")[0][0], max(int(seconds * 1000), 1)
        return (f"PRAGMA busy_timeout={bound}", f"PRAGMA busy_timeout={own}") if own > bound else None

    @contextmanager
    def timeouts(self, lock: float, statement: float | None, step: Step) -> Iterator[None]:
        with self._waiting(lock):
            yield

    @contextmanager
    def _waiting(self, seconds: float) -> Iterator[None]:
        if self._bounded:
            yield
            return
        self._bounded = True
        try:
            with self.pragma("busy_timeout", max(int(seconds * 1000), 1)):
                yield
        finally:
            self._bounded = False

    @contextmanager
    def pragma(self, name: str, value: int) -> Iterator[None]:
        """Set a PRAGMA of the connection for the block, and what it was before on every path out."""
        before = self._send(f"PRAGMA {name}")[0][0]
        if before == value:
            yield
            return
        self._send(f"PRAGMA {name}={value}")
        try:
            yield
        finally:
            if not self.connection.invalidated and not self.connection.closed:
                self._send(f"PRAGMA {name}={before}")

    def _send(self, sql: str) -> Sequence[Sequence[Any]]:
        result = self.connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
        return list(result.all()) if result.returns_rows else []

    def master(self, schema: str) -> str:
        """Return the table of a database file's definitions."""
        return f"{quoted(schema)}.{'sqlite_temp_master' if schema == 'temp' else 'sqlite_master'}"

    def infos(self, table: Name) -> Sequence[Any]:
        schema = literal(table.schema or "main")
        return self.read(f"SELECT * FROM pragma_table_xinfo({literal(table.name)}, {schema})")

    def begin_by_hand(self) -> None:
        if not self.connection.in_transaction():
            self.connection.begin()
        # The engine may have said BEGIN now, as it does with SQLAlchemy's own recipe for sqlite3.
        driver: Any = self.connection.connection.driver_connection
        # From Python 3.12 on the driver may keep a transaction open at all times.
        self._was_never_autocommit = getattr(driver, "autocommit", None) is False
        if self._was_never_autocommit:
            driver.autocommit = True
        if driver.in_transaction:
            self.run("COMMIT")

    def end_by_hand(self) -> None:
        if self._was_never_autocommit and not self.connection.invalidated and not self.connection.closed:
            driver: Any = self.connection.connection.driver_connection
            driver.autocommit = False

    def blockers(self, tables: Sequence[Name]) -> list[str]:
        path = next((row[2] for row in self.read("PRAGMA database_list") if row[1] == "main"), "")
        unknown = f"another connection to {path or 'the database'}; SQLite does not tell which"
        return holders(path) or [unknown]

    # The runner lock --------------------------------------------------------------------------------------------

    def try_runner_lock(self, connection: Connection, key: str) -> bool:
        if self._runner_lock is None:
            self._runner_lock = RunnerLock(path_of(connection))
        return self._runner_lock.acquire()

    def release_runner_lock(self, connection: Connection, key: str) -> None:
        if self._runner_lock is not None:
            self._runner_lock.release()

    def runner_lock_holder(self, connection: Connection, key: str) -> str:
        holder = self._runner_lock.holder() if self._runner_lock else None
        return holder or super().runner_lock_holder(connection, key)


def path_of(connection: Connection) -> str:
    """Return the file of the main database, by the driver alone: SQLAlchemy would begin a transaction."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute("PRAGMA database_list")
        return next((str(row[2] or "") for row in cursor.fetchall() if row[1] == "main"), "")
    finally:
        cursor.close()


def holders(path: str) -> list[str]:
    """Describe the processes that hold a lock on a database's files, where the system tells (Linux)."""
    files = {str(os.stat(file).st_ino) for file in (path, f"{path}-shm") if path and os.path.exists(file)}
    try:
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return []
    pids = {int(one[4]) for one in lines if len(one) > 5 and one[5].rsplit(":")[-1] in files and int(one[4]) > 0}
    return [_described(pid) for pid in sorted(pids)]


def _described(pid: int) -> str:
    if pid == os.getpid():
        return f"pid {pid}, this process itself, by another connection"
    try:
        program = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return f"pid {pid}"
    return f"pid {pid}, program {program}"
