"""Databases of SQLite: a clone is a copy of the file."""

from __future__ import annotations

from pathlib import Path

from safeops.databases.sqlite.session import path_of
from safeops.runner.sqlite import ENDINGS
from safeops.runner.temporary_database import TemporaryDatabases
from safeops.testing import places


class Databases(places.Databases):
    """Files next to the one of the connection."""

    drivers = ("pysqlite",)
    kept = 1000

    def create(self, name: str) -> str:
        return str(Path(path_of(self.database.connection)).with_name(f"{name}.sqlite"))

    def clone(self, source: str, name: str) -> str:
        made = self.create(name)
        TemporaryDatabases.of(self.database).copy(source, made)
        return made

    def drop(self, database: str) -> None:
        for ending in ENDINGS:
            Path(f"{database}{ending}").unlink(missing_ok=True)

    def end_sessions(self, database: str) -> None:
        """A file has no server that could end a session."""

    def take_numbers(self) -> None:
        # Only AUTOINCREMENT counts on its own; a downgrade that deletes the rows does not set it back.
        if self.read("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"):
            self.run(f"UPDATE sqlite_sequence SET seq = seq + {places.TAKEN}")
