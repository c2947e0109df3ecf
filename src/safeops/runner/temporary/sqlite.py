"""What an upgrade asks of SQLite before it begins, and its scratch databases."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from safeops.databases.sqlite.session import holders, path_of
from safeops.runner.inspection.sqlite import Inspection
from safeops.runner.temporary import port


class TemporaryDatabases(port.TemporaryDatabases):
    """See ``safeops.runner.temporary.port``: a scratch database is a file in a folder of its own."""

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
