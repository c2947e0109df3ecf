"""What is asked of a database before anything runs: what it is, what was left unfinished, what a step would hold up."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from safeops.databases.pairs import Pair
from safeops.databases.ports import Port
from safeops.naming import Name


class Inspection(Port):
    """The questions of ``safeops status`` and ``safeops plan``; none of them writes."""

    place = "safeops.runner.inspection.{family}:Inspection"
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
