"""The SQLite session: how long it waits for the file, who holds it, and the runner lock."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from safeops.databases.base import Database
from safeops.databases.server import Holder, Kind, SessionSettings
from safeops.databases.sqlite.spelling import literal, quoted
from safeops.databases.steps import Step
from safeops.naming import Name
from safeops.plan_mode import current_dry_run

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


class Session(Database):
    """What SQLite adds to a database for waiting and locking."""

    # Such a transaction is the only writer from the first.
    _bounded = False
    _shared: float | None = None
    """How long the helper that runs waits, in seconds."""
    _own: int | None = None
    """How long the session waits otherwise, in milliseconds, once a query of the helper has changed that."""
    _was_never_autocommit = False

    def session_settings(self, *, role: bool = True) -> SessionSettings:
        attached = [(str(row[1]), str(row[2])) for row in self.read("PRAGMA database_list") if row[2]]
        return (*attached, *((name, str(self.scalar(f"PRAGMA {name}"))) for name in HANDED))

    def apply_settings(self, session_settings: SessionSettings) -> None:
        known = {row[1] for row in self.read("PRAGMA database_list")}
        for name, value in session_settings:
            if name in HANDED:
                self._send(f"PRAGMA {name}={value}")
            elif name not in known:
                self._send(f"ATTACH DATABASE {literal(value)} AS {quoted(name)}")

    def read(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        # Readers wait for a writer that commits, and the driver would let them wait for 5 s.
        with self.waiting(self.lock_wait):
            return super().read(sql, **parameters)

    def session_bound(self, seconds: float) -> tuple[str, str] | None:
        own, bound = self._send("PRAGMA busy_timeout")[0][0], max(int(seconds * 1000), 1)
        return (f"PRAGMA busy_timeout={bound}", f"PRAGMA busy_timeout={own}") if own > bound else None

    @contextmanager
    def timeouts(self, lock: float, statement: float | None, step: Step) -> Iterator[None]:
        with self.waiting(lock):
            yield

    @contextmanager
    def waiting_throughout(self) -> Iterator[None]:
        """Set once for the block, at the first of its queries, what each of them would set."""
        self._shared = self.lock_wait
        try:
            yield
        finally:
            own, self._own, self._shared = self._own, None, None
            if own is not None and not self.connection.invalidated and not self.connection.closed:
                self._send(f"PRAGMA busy_timeout={own}")

    def _share(self, seconds: float) -> None:
        if self._own is None:
            self._own = int(self._send("PRAGMA busy_timeout")[0][0])
            self._send(f"PRAGMA busy_timeout={max(int(seconds * 1000), 1)}")

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        if self._bounded:
            yield
            return
        if seconds == self._shared:
            self._share(seconds)
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

    def enter_autocommit(self) -> None:
        if not self.connection.in_transaction():
            self.connection.begin()
        # The engine may have sent BEGIN now, as it does with SQLAlchemy's own recipe for sqlite3.
        driver: Any = self.connection.connection.driver_connection
        # From Python 3.12 on the driver may keep a transaction open at all times.
        self._was_never_autocommit = getattr(driver, "autocommit", None) is False
        if self._was_never_autocommit:
            driver.autocommit = True
        if driver.in_transaction:
            self.run("COMMIT")

    def leave_autocommit(self) -> None:
        if self._was_never_autocommit and not self.connection.invalidated and not self.connection.closed:
            driver: Any = self.connection.connection.driver_connection
            driver.autocommit = False

    def blockers(self, tables: Sequence[Name]) -> list[Holder]:
        path = next((row[2] for row in self.read("PRAGMA database_list") if row[1] == "main"), "")
        other = f"another connection to {path or 'the database'}"
        return list(map(Holder.named, holders(path))) or [Holder(f"{other}; SQLite does not report which", other)]

    now = "((julianday('now') - 2440587.5) * 86400.0)"

    def session_id(self) -> str:
        return f"pid {os.getpid()} on {socket.gethostname()} since {_started(os.getpid())}"

    def is_gone(self, session: str) -> bool:
        _, pid, _, host, _, start = session.split(" ")
        known = host == socket.gethostname() and _started(os.getpid())
        return bool(known) and _started(int(pid)) != start

    @contextmanager
    def read_only_session(self) -> Iterator[None]:
        with self.pragma("query_only", 1):
            yield

    @contextmanager
    def allowing_probes(self) -> Iterator[None]:
        with nullcontext() if current_dry_run() is None else self.pragma("query_only", 0):
            yield


def path_of(connection: Connection) -> str:
    """Return the file of the main database, by the driver alone: SQLAlchemy would begin a transaction."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute("PRAGMA database_list")
        return next((str(row[2] or "") for row in cursor.fetchall() if row[1] == "main"), "")
    finally:
        cursor.close()


def holders(path: str, *, without: int = 0) -> list[str]:
    """Describe the processes that hold a lock on a database's files, as far as the system shows them (Linux).

    Args:
        path: The file of the database.
        without: A process to leave out.
    """
    files = {str(os.stat(file).st_ino) for file in (path, f"{path}-shm") if path and os.path.exists(file)}
    try:
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return []
    pids = {
        int(fields[4])
        for fields in lines
        if len(fields) > 5 and fields[5].rsplit(":")[-1] in files and int(fields[4]) > 0
    }
    return [_described(pid) for pid in sorted(pids - {without})]


def _described(pid: int) -> str:
    if pid == os.getpid():
        return f"pid {pid}, this process itself, by another connection"
    try:
        program = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return f"pid {pid}"
    return f"pid {pid}, program {program}"


def _started(pid: int) -> str:
    """Return when a process began, if the system reports that (Linux); empty if it has ended."""
    try:
        # The name of the program, in parentheses, may have blanks. https://man7.org/linux/man-pages/man5/proc.5.html
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else rest[18]
