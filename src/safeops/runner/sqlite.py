"""What the runner asks of SQLite, and its temporary databases there."""

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
from safeops.databases.triggers import MARK, Pair, pair_of
from safeops.errors import BackupFailed
from safeops.naming import Name
from safeops.runner import dumps, inspection
from safeops.runner.dumps import Dumper, Login, Progress, ToolFailed


class Inspection(inspection.Inspection):
    """The questions of ``safeops status`` and ``safeops plan``."""

    @classmethod
    def missing_file(cls, arguments: Sequence[Any], options: dict[str, Any]) -> str | None:
        path = os.fspath(arguments[0] if arguments else options.get("database", ":memory:"))
        if path.startswith("file:") and options.get("uri"):
            parts = urlsplit(path)
            path = ":memory:" if "mode=" in parts.query else unquote(parts.path)
        in_memory = path in ("", ":memory:") or path.startswith("file::memory:")
        return None if in_memory or os.path.exists(path) else path

    def name_of_database(self) -> str:
        return path_of(self.database.connection) or ":memory:"

    def runner_seen(self, connection: Connection, key: str) -> str | None:
        path = path_of(connection)
        if not path or not os.path.exists(f"{path}{ENDING}"):
            return None
        try:
            # There is no asking: it is taken and let go at once. A runner that comes just then tries again anyway.
            with closing(sqlite3.connect(f"{path}{ENDING}", timeout=0, isolation_level=None)) as own:
                own.execute("BEGIN IMMEDIATE")
                own.execute("ROLLBACK")
            return None
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                return None
        return FileLock(path).holder() or "another runner"

    def leftover_tables(self) -> list[str]:
        sql = r"SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '\_alembic\_tmp\_%' ESCAPE '\' ORDER BY 1"
        return [row[0] for row in self.read(sql)]

    def open_pairs(self) -> list[Pair]:
        rows = self.read("SELECT sql, tbl_name FROM sqlite_master WHERE type = 'trigger' ORDER BY tbl_name, name")
        found = [pair_of(text, Name(table)) for text, table in rows if f"/*{MARK}{{" in text]
        return list(dict.fromkeys(pair for pair in found if pair is not None))


class TemporaryDatabases(inspection.TemporaryDatabases):
    """See ``safeops.runner.inspection``: a scratch database is a file in a folder of its own."""

    def refuses_writes(self) -> str | None:
        path = path_of(self.database.connection)
        unwritable = [one for one in (path, os.path.dirname(path)) if path and not os.access(one, os.W_OK)]
        return f"this user may not write {unwritable[0]}" if unwritable else None

    def long_transactions(self, seconds: float) -> list[str]:
        # Nobody knows how long they have stood: who holds the file at this moment is named.
        own = f"pid {os.getpid()},"
        return [one for one in holders(path_of(self.database.connection)) if not one.startswith(own)]

    def data_folder(self) -> Path | None:
        path = path_of(self.database.connection)
        return Path(path).parent if path else None

    @classmethod
    def connect_nowhere(cls, arguments: list[Any], options: dict[str, Any]) -> None:
        if Inspection.missing_file(arguments, options) is not None:
            arguments[0] = ":memory:"

    def make_scratch(self, name: str) -> str:
        return str(Path(tempfile.mkdtemp(prefix=name)) / "scratch.sqlite")

    def drop_scratch(self, place: str) -> None:
        shutil.rmtree(Path(place).parent, ignore_errors=True)

    def is_at(self, place: str | None) -> bool:
        path = path_of(self.database.connection)
        return bool(path and place and os.path.realpath(path) == os.path.realpath(place))

    def schemas_beside(self) -> list[str]:
        return []


PAGES = 1000
"""How many pages are copied before other connections get a turn."""
RESTARTS = 5
"""How often a copy may begin again because somebody wrote, before it is made in one go."""
BUSY = 60.0
"""Seconds that a copy waits for somebody who holds the file."""
TOOL = f"SQLite {sqlite3.sqlite_version}"


class Dumps(dumps.Dumps):
    """See ``safeops.runner.dumps``. Of a connection with several files, the main one is dumped."""

    def dump_name(self) -> str:
        return self._file().stem

    def least_dump_size(self) -> int:
        return int(self.scalar("PRAGMA page_count")) * int(self.scalar("PRAGMA page_size"))

    def dumper(self, login: Login | None) -> SQLiteDumper:
        return SQLiteDumper(self._file())

    def things(self) -> list[str]:
        return [f"{kind} {name}" for kind, name in self.read("SELECT type, name FROM sqlite_master LIMIT 5")]

    def _file(self) -> Path:
        path = next((row[2] for row in self.read("PRAGMA database_list") if row[1] == "main"), "")
        if not path:
            raise BackupFailed(
                "The engine connects to a database in memory, which no other connection can see.",
                remedy="Give it a file in env.py:",
                code='create_engine("sqlite:///app.sqlite")',
            )
        return Path(path)


class SQLiteDumper(Dumper):
    """SQLite's backup, over connections of its own.

    Args:
        file: The file of the database.
    """

    tool = TOOL

    def __init__(self, file: Path) -> None:
        self.file = file

    def dump(self, path: Path, progress: Progress) -> None:
        try:
            self._dump(path, PAGES, progress)
        except _WrittenAgain:
            # What is there of it cannot be gone on with.
            os.truncate(path, 0)
            self._dump(path, -1, progress)

    def _dump(self, path: Path, pages: int, progress: Progress) -> None:
        with _opened(self.file, "rw") as source, _opened(path, "rw") as target:
            # What fails is thrown away as a whole, and a journal beside it would only be left over.
            target.execute("PRAGMA journal_mode = OFF")
            target.execute("PRAGMA synchronous = OFF")
            _copy(source, target, pages, progress)

    def check(self, path: Path) -> None:
        with _opened(path, "ro&immutable=1") as copy:
            found = [row[0] for row in copy.execute("PRAGMA quick_check(5)")]
        if found != ["ok"]:
            raise ToolFailed(TOOL, "\n".join(found))

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


class _WrittenAgain(Exception):
    """Others write faster than the copy gets to its end."""


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, pages: int, progress: Progress) -> None:
    """Copy a file that others write to; what comes out is as of one moment.

    With a write-ahead log a transaction keeps that moment, and nobody waits. Without one, each commit of another
    connection makes the copy begin again; one that never gets to its end is made in one go, and writers wait for it.
    """
    if source.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
    watch = _Watch(source.execute("PRAGMA page_size").fetchone()[0], progress)
    source.backup(target, pages=pages, progress=watch, sleep=0.02)


class _Watch:
    """Looks on at a copy: how far it is, how often it began again, how long it has waited."""

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
                raise _WrittenAgain
        self.left, self.moved = left, now
        self.progress((total - left) * self.size)
