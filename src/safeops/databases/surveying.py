"""What is asked of a database before anything runs: what it is, what was left unfinished, what a step would hold up."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from sqlalchemy.engine import Connection

from safeops.databases.archives import Archives
from safeops.databases.batches import Batches
from safeops.databases.renaming import Renaming
from safeops.databases.steps import Step
from safeops.databases.twins import Pair, Twins
from safeops.naming import Name

COUNTED = 100_000
"""Rows up to which they are counted rather than estimated."""
NOTHING = "nothing"


class Surveying(Archives, Batches, Renaming, Twins):
    """The questions of ``safeops status`` and ``safeops plan``; none of them writes."""

    refusing_writes: ClassVar[str]
    """Has the server refuse what a session would write from its next transaction on."""
    accepting_writes: ClassVar[str]
    """Takes that back."""

    @classmethod
    def missing_file(cls, arguments: Sequence[Any], options: dict[str, Any]) -> str | None:
        """Return the file that connecting so would create; None where connecting creates none."""
        return None

    @abstractmethod
    def reading_only(self) -> AbstractContextManager[None]:
        """Have the server refuse to write for the block, but for the empty copies on which a definition is tried out."""

    def trying_out(self) -> AbstractContextManager[None]:
        """Let the session write to such a copy for the block."""
        return nullcontext()

    # What it is -------------------------------------------------------------------------------------------------

    @abstractmethod
    def name_of_database(self) -> str:
        """Return what the database is called."""

    @abstractmethod
    def bytes_of_database(self) -> int | None:
        """Return how large it is; None where this user may not see that."""

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

    @abstractmethod
    def locking_of(self, step: Step) -> tuple[str | None, str]:
        """Say what a step locks, and what of the application that holds up."""

    def reads_rows(self, step: Step) -> bool:
        """Tell whether a step takes the longer the more rows its table has."""
        return step.scans and "DROP INDEX" not in step.sql

    def is_brief(self, step: Step) -> bool:
        """Tell whether a step is done in a moment, also where the author has assured that it may take longer."""
        return not re.search(r"\b(TYPE|MODIFY|ADD COLUMN)\b", step.sql)

    def doubt(self, step: Step) -> str:
        """Say what may come in the way of a step, as the end of what it does; empty where nothing is known."""
        return ""

    def rows_of(self, table: Name) -> int | None:
        """Return about how many rows a table has: counted where they are few; None where it is not cheap to tell."""
        rows = self.estimated_rows(table)
        if rows is None or rows > COUNTED:
            return rows
        return int(self.scalar(f"SELECT count(*) FROM {self.quoted_table(table)}"))

    def rows_meeting(self, table: Name, condition: str | None, columns: Sequence[str]) -> int | None:
        """Return about how many rows meet a condition: counted in a small table, else as the planner estimates it.

        Args:
            table: The table.
            condition: The condition; None is each row.
            columns: The columns that the condition is about.
        """
        whole = self.rows_of(table)
        if condition is None or whole is None:
            return whole
        if whole <= COUNTED:
            return int(self.scalar(f"SELECT count(*) FROM {self.quoted_table(table)} WHERE {condition}"))
        return self.planned_rows(table, condition, columns, whole)

    def planned_rows(self, table: Name, condition: str, columns: Sequence[str], whole: int) -> int | None:
        """Return how many rows the planner expects to meet a condition, of ``whole``; None where it does not say."""
        return None
