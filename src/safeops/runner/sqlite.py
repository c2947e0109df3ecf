"""SQLite: inspection, temporary databases, and dumps by SQLite's backup."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy.engine import Connection

from safeops.databases.sqlite.server import ENDING, FileLock
from safeops.databases.sqlite.session import holders, path_of
from safeops.databases.triggers import MARK
from safeops.errors import BackupFailed
from safeops.naming import Name
from safeops.runner import dumps, environment, temporary_database
from safeops.runner.dumps import Dumper, Login, Progress, ToolFailed


class Inspection(environment.Inspection):
    """Reads the file's own catalogue."""

    @classmethod
    def missing_file(cls, arguments: Sequence[Any], options: dict[str, Any]) -> str | None:
        path = os.fspath(arguments[0] if arguments else options.get("database", ":memory:"))
        if path.startswith("file:") and options.get("uri"):
            parts = urlsplit(path)
            path = ":memory:" if "mode=" in parts.query else unquote(parts.path)
        in_memory = path in ("", ":memory:") or path.startswith("file::memory:")
        return None if in_memory or os.path.exists(path) else path

    @property
    def _path(self) -> str:
        """The file of the database; empty if it is in memory."""
        return path_of(self.database.connection)

    def database_name(self) -> str:
        return self._path or ":memory:"

    def migration_lock_holder(self, connection: Connection, key: str) -> str | None:
        path = path_of(connection)
        if not path or not os.path.exists(f"{path}{ENDING}"):
            return None
        try:
            # The only check takes the lock and releases it immediately; a runner that meets it tries again.
            with closing(sqlite3.connect(f"{path}{ENDING}", timeout=0, isolation_level=None)) as own:
                own.execute("BEGIN IMMEDIATE")
                own.execute("ROLLBACK")
            return None
        except sqlite3.OperationalError as error:
            if not self.database.errors.is_lock_failure(error):
                return None
        return FileLock(path).holder() or "another runner"

    def leftover_tables(self) -> list[str]:
        sql = r"SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '\_alembic\_tmp\_%' ESCAPE '\' ORDER BY 1"
        return [row[0] for row in self.read(sql)]

    def sync_triggers(self) -> list[tuple[str, Name]]:
        rows = self.read("SELECT sql, tbl_name FROM sqlite_master WHERE type = 'trigger' ORDER BY tbl_name, name")
        return [(text, Name(table)) for text, table in rows if f"/*{MARK}{{" in text]

    # Before an upgrade -----------------------------------------------------------------------------------------

    def write_refusal(self) -> str | None:
        paths = (self._path, os.path.dirname(self._path)) if self._path else ()
        unwritable = [path for path in paths if not os.access(path, os.W_OK)]
        return f"this user cannot write {unwritable[0]}" if unwritable else None

    def long_transactions(self, seconds: float) -> list[str]:
        # Their age is not known: these are the processes that hold the file now.
        return holders(self._path, without=os.getpid())

    def data_folder(self) -> Path | None:
        return Path(self._path).parent if self._path else None


ENDINGS = ("", "-wal", "-shm", "-journal")
"""Endings of the files of a database."""


class TemporaryDatabases(temporary_database.TemporaryDatabases):
    """Creates each database as a file in a temporary folder."""

    @classmethod
    def connect_in_memory(cls, arguments: list[Any], options: dict[str, Any]) -> None:
        if Inspection.missing_file(arguments, options) is not None:
            arguments[0] = ":memory:"

    def create(self, name: str) -> str:
        return str(Path(tempfile.mkdtemp(prefix=name)) / "scratch.sqlite")

    def drop(self, database: str) -> None:
        shutil.rmtree(Path(database).parent, ignore_errors=True)

    def is_copied_whole(self, database: str) -> bool:
        return True

    def copy(self, source: str, target: str) -> None:
        for ending in ENDINGS:
            Path(f"{target}{ending}").unlink(missing_ok=True)
            # No revision has created the file of an empty database yet.
            if Path(f"{source}{ending}").exists():
                shutil.copyfile(f"{source}{ending}", f"{target}{ending}")

    def is_connected_to(self, database: str | None) -> bool:
        path = path_of(self.database.connection)
        return bool(path and database and os.path.realpath(path) == os.path.realpath(database))


PAGES = 1000
"""Pages that are copied before other connections get a turn."""
RESTARTS = 5
"""How often a copy restarts because another connection wrote, before it is made in one go."""
BUSY = 60.0
"""Seconds that a copy waits for another connection that holds the file."""
TOOL = f"SQLite {sqlite3.sqlite_version}"


class Dumps(dumps.Dumps):
    """Copies of the file; of a connection with several files, the main one is copied."""

    ending = ".sqlite"
    magic = b"SQLite format 3\0"

    def name(self) -> str:
        return self._file().stem

    def least_size(self) -> int:
        return int(self.scalar("PRAGMA page_count")) * int(self.scalar("PRAGMA page_size"))

    def objects(self) -> list[str]:
        return [f"{kind} {name}" for kind, name in self.read("SELECT type, name FROM sqlite_master LIMIT 5")]

    def dumper(self, logins: Sequence[Login]) -> SQLiteDumper:
        return SQLiteDumper(self._file())

    def _file(self) -> Path:
        path = next((row[2] for row in self.read("PRAGMA database_list") if row[1] == "main"), "")
        if not path:
            raise BackupFailed(
                "The engine connects to a database in memory, which no other connection can see.",
                remedy="Use a file in env.py:",
                code='create_engine("sqlite:///app.sqlite")',
            )
        return Path(path)


class SQLiteDumper(Dumper):
    """SQLite's backup, over separate connections.

    Args:
        file: The file of the database.
    """

    tool = TOOL

    def __init__(self, file: Path) -> None:
        self.file = file

    def dump(self, path: Path, progress: Progress) -> None:
        try:
            self._dump(path, PAGES, progress)
        except _RestartedTooOften:
            # An unfinished copy cannot be continued.
            os.truncate(path, 0)
            self._dump(path, -1, progress)

    def _dump(self, path: Path, pages: int, progress: Progress) -> None:
        with _opened(self.file, "rw") as source, _opened(path, "rw") as target:
            # A copy that fails is deleted, so it needs no journal.
            target.execute("PRAGMA journal_mode = OFF")
            target.execute("PRAGMA synchronous = OFF")
            _copy(source, target, pages, progress)

    def check(self, path: Path) -> None:
        with _opened(path, "ro&immutable=1") as copy:
            lines = [row[0] for row in copy.execute("PRAGMA quick_check(5)")]
        if lines != ["ok"]:
            raise ToolFailed(TOOL, "\n".join(lines))

    def count(self, path: Path) -> dict[str, int]:
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        with _opened(path, "ro&immutable=1") as copy:
            names = ['"{}"'.format(row[0].replace('"', '""')) for row in copy.execute(tables).fetchall()]
            return {name: copy.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}

    def load(self, path: Path, owners: bool) -> None:
        with _opened(path, "ro&immutable=1") as source, _opened(self.file, "rwc") as target:
            _copy(source, target, PAGES, lambda _: None)


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True, isolation_level=None)) as opened:
            yield opened
    except sqlite3.Error as error:
        raise ToolFailed(TOOL, f"{error} ({path})") from error


class _RestartedTooOften(Exception):
    """Other connections write so often that the copy does not complete."""


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, pages: int, progress: Progress) -> None:
    """Copy a file that other connections write to, as of one moment.

    With a write-ahead log, a transaction keeps that state, and blocks no other connection. Without one, each commit of
    another connection restarts the copy; after some restarts it is made in one go, and writers wait for it.
    """
    if source.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
    watch = _Watch(source.execute("PRAGMA page_size").fetchone()[0], progress)
    source.backup(target, pages=pages, progress=watch, sleep=0.02)


class _Watch:
    """Follows a copy: how far it is, how often it restarted, how long it has waited."""

    def __init__(self, size: int, progress: Progress) -> None:
        self.size, self.progress, self.restarts = size, progress, 0
        self.left, self.moved = -1, time.monotonic()

    def __call__(self, _status: int, left: int, total: int) -> None:
        now = time.monotonic()
        if left == self.left:
            if now - self.moved > BUSY:
                raise ToolFailed(TOOL, f"another connection has held the file for {BUSY:.0f} s")
            return
        if left > self.left >= 0:
            self.restarts += 1
            if self.restarts > RESTARTS:
                raise _RestartedTooOften
        self.left, self.moved = left, now
        self.progress((total - left) * self.size)
