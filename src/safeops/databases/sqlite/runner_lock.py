"""The lock of SQLite that lets one runner at a time migrate."""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing
from datetime import datetime, timezone

from sqlalchemy.engine import Connection

from safeops.databases import runner_lock
from safeops.databases.sqlite.session import path_of

ENDING = ".safeops-lock"


class FileLock:
    """One runner's lock on a database file; it ends with the process.

    The file stays when the lock is let go: if it were removed, another runner could hold the removed one, and a third a
    new one. A database in memory has no other runners.
    """

    def __init__(self, database: str) -> None:
        self.path = f"{database}{ENDING}" if database else None
        self._held: sqlite3.Connection | None = None

    def acquire(self) -> bool:
        """Take the lock; False where another has it."""
        if self.path is None:
            return True
        own = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            own.execute("CREATE TABLE IF NOT EXISTS holder (who TEXT)")
            own.execute("BEGIN IMMEDIATE")
            own.execute("DELETE FROM holder")
            own.execute("INSERT INTO holder VALUES (?)", [_myself()])
            own.execute("COMMIT")
            # The lock is this transaction alone. What was written before it others can read.
            own.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            own.close()
            if "locked" not in str(error):
                raise
            return False
        self._held = own
        return True

    def release(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def holder(self) -> str | None:
        """Describe who holds the lock, as far as he has said."""
        if self.path is None:
            return None
        try:
            with closing(sqlite3.connect(self.path, timeout=0)) as own:
                row = own.execute("SELECT who FROM holder").fetchone()
        except sqlite3.OperationalError:
            return None
        return str(row[0]) if row else None


def _myself() -> str:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"pid {os.getpid()} on {socket.gethostname()}, since {now}"


class RunnerLock(runner_lock.RunnerLock):
    """One runner at a time."""

    _file: FileLock | None = None

    def try_runner_lock(self, connection: Connection, key: str) -> bool:
        if self._file is None:
            self._file = FileLock(path_of(connection))
        return self._file.acquire()

    def release_runner_lock(self, connection: Connection, key: str) -> None:
        if self._file is not None:
            self._file.release()

    def runner_lock_holder(self, connection: Connection, key: str) -> str:
        holder = self._file.holder() if self._file else None
        return holder or super().runner_lock_holder(connection, key)
