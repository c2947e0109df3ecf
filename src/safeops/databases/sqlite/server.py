"""What SQLite can do, what its errors mean, how large its tables are, and the lock of its runner."""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing
from datetime import datetime, timezone

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases import server
from safeops.databases.server import Holder, Kind
from safeops.databases.sqlite.session import KINDS, LOCK_FAILURES, path_of
from safeops.databases.steps import Step
from safeops.naming import Name
from safeops.planned import BRIEFLY, WRITES, Lock

CAME = ("already exists", "duplicate column name")

LOCKED = ("database is locked", "database table is locked", "database schema is locked")


class ServerErrors(server.ServerErrors):
    """Distinguishes errors by their codes."""

    def kind_of(self, error: DBAPIError) -> Kind:
        if error.connection_invalidated:
            return "lost"
        code = getattr(error.orig, "sqlite_errorcode", None)
        # Python 3.10 does not give the code.
        if code is None:
            return "violation" if isinstance(error, sa.exc.IntegrityError) else "other"
        return KINDS.get(code) or KINDS.get(code & 0xFF, "other")

    def is_lock_failure(self, error: BaseException) -> bool:
        original = getattr(error, "orig", None) or error
        code = getattr(original, "sqlite_errorcode", None)
        # Python 3.10 does not give the code.
        return str(original).startswith(LOCKED) if code is None else code & 0xFF in LOCK_FAILURES

    def is_race(self, error: BaseException, step: Step) -> bool:
        said = str(getattr(error, "orig", None) or error)
        return any(words in said for words in CAME) or ("DROP " in step.sql and "no such" in said)

    def is_violation(self, error: BaseException) -> bool:
        return isinstance(error, sa.exc.IntegrityError)


class Abilities(server.Abilities):
    """The abilities."""

    rewrites_for_types = True

    max_identifier = 9999

    counts_letters = True

    builds_indexes_online = False

    has_schemas = False

    has_deferrable_foreign_keys = True

    has_partial_indexes = True

    merges_equal_keys = True

    has_comments = False

    renders_constraints_offline = False

    renders_column_changes_offline = False

    @property
    def is_private(self) -> bool:  # type: ignore[override]
        return not next((row[2] for row in self.read("PRAGMA database_list") if row[1] == "main"), "")

    fills_before_not_null = False

    begins = "BEGIN IMMEDIATE"

    has_server = False

    locks_runners_by_session = False

    refusing_writes = "PRAGMA query_only = 1"

    accepting_writes = "PRAGMA query_only = 0"


COUNTED_BYTES = 1 << 28
"""The size of a file in whose tables rows are still counted."""


class Sizes(server.Sizes):
    """Sizes from SQLite."""

    strongest_lock = Lock("the file", WRITES, BRIEFLY)

    def estimated_rows(self, table: Name) -> int | None:
        return int(self.scalar(f"SELECT count(*) FROM {self.quoted_table(table)}"))

    def rows_of(self, table: Name) -> int | None:
        if (self.bytes_of_database() or 0) > COUNTED_BYTES:
            return None
        return super().rows_of(table)

    def lock_of(self, step: Step) -> Lock:
        return self.strongest_lock.for_long() if step.scans else self.strongest_lock

    def bytes_of_database(self) -> int | None:
        return int(self.scalar("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))


ENDING = ".safeops-lock"


class FileLock:
    """One runner's lock on a database file; it ends with the process.

    The file is kept when the lock is released: if it were removed, one runner could lock the removed file and another one
    a new file. A database in memory has no other runners.
    """

    def __init__(self, database: str) -> None:
        self.path = f"{database}{ENDING}" if database else None
        self._held: sqlite3.Connection | None = None

    def acquire(self) -> bool:
        """Take the lock; False if another process has it."""
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
        """Describe the holder of the lock, as far as it has described itself."""
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


class RunnerLock(server.RunnerLock):
    """One runner at a time."""

    _file: FileLock | None = None

    def try_runner_lock(self, connection: Connection, key: str) -> bool:
        if self._file is None:
            self._file = FileLock(path_of(connection))
        return self._file.acquire()

    def release_runner_lock(self, connection: Connection, key: str) -> None:
        if self._file is not None:
            self._file.release()

    def runner_lock_holder(self, connection: Connection, key: str) -> Holder:
        holder = self._file.holder() if self._file else None
        return Holder.named(holder) if holder else super().runner_lock_holder(connection, key)
