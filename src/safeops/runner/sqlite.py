"""What the runner asks of SQLite, and its temporary databases there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import Connection

from safeops.databases.pairs import MARK, Pair, pair_of
from safeops.databases.sqlite.runner_lock import ENDING, FileLock
from safeops.databases.sqlite.session import holders, path_of
from safeops.naming import Name
from safeops.runner import inspection


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
