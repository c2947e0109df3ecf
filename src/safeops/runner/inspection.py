"""What is asked of a database before anything runs: what it is, what was left unfinished, what a step would hold up."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from safeops.databases.ports import Port
from safeops.databases.triggers import Pair
from safeops.naming import Name


class Inspection(Port):
    """The questions of ``safeops status`` and ``safeops plan``; none of them writes."""

    place = "safeops.runner.{family}:Inspection"
    asked = "An inspection of the database"

    @classmethod
    def missing_file(cls, arguments: Sequence[Any], options: dict[str, Any]) -> str | None:
        """Return the file that connecting so would create; None where connecting creates none."""
        return None

    # What it is -------------------------------------------------------------------------------------------------

    @abstractmethod
    def name_of_database(self) -> str:
        """Return what the database is called."""

    @abstractmethod
    def runner_seen(self, connection: Connection, key: str) -> str | None:
        """Describe who holds the lock that lets one runner at a time migrate, without standing in his way."""

    # What was left ----------------------------------------------------------------------------------------------

    def invalid_indexes(self) -> list[tuple[str, Name]]:
        """Return the indexes that an interrupted build has left, and their tables."""
        return []

    def unvalidated_constraints(self) -> list[tuple[str, Name]]:
        """Return the constraints that hold for new rows only, and their tables."""
        return []

    def leftover_tables(self) -> list[str]:
        """Return the tables that a rebuild of Alembic's has left half way."""
        return []

    @abstractmethod
    def open_pairs(self) -> list[Pair]:
        """Return the pairs of columns that are kept in step now."""

    def open_renames(self) -> list[tuple[str, Name]]:
        """Return the old names under which a view stands for a renamed table, and those tables."""
        return []

    # What a step would hold up ----------------------------------------------------------------------------------


class TemporaryDatabases(Port):
    """The questions of the checklist, and a database that lives as long as a check."""

    place = "safeops.runner.{family}:TemporaryDatabases"
    asked = "A temporary database"

    # Before it begins -------------------------------------------------------------------------------------------

    def refuses_writes(self) -> str | None:
        """Say why nothing can be written here; None where nothing tells that."""
        return None

    @abstractmethod
    def long_transactions(self, seconds: float) -> list[str]:
        """Describe the other transactions that have been open for so long: each may block a step."""

    @abstractmethod
    def data_folder(self) -> Path | None:
        """Return the folder that the database is in, where it is on this machine and this user may know it."""

    # A scratch database -----------------------------------------------------------------------------------------

    @classmethod
    def connect_nowhere(cls, arguments: list[Any], options: dict[str, Any]) -> None:
        """Have a connection that would create a database go to one that ends with it."""
        return

    @abstractmethod
    def make_scratch(self, name: str) -> str:
        """Make an empty database like this one; return what stands for it in a URL."""

    @abstractmethod
    def drop_scratch(self, place: str) -> None:
        """Drop it, whoever is connected to it."""

    @abstractmethod
    def is_at(self, place: str | None) -> bool:
        """Tell whether this connection is to the database that stands so in a URL."""

    @abstractmethod
    def schemas_beside(self) -> list[str]:
        """Return the other schemas of this database, but for those of the server itself."""
