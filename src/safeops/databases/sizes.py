"""How large tables are, how many rows meet a condition, and how a step locks its tables."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from safeops.databases.ports import Port
from safeops.databases.steps import Step
from safeops.naming import Name
from safeops.planned import FREE, Lock

COUNTED = 100_000
"""Rows up to which they are counted rather than estimated."""


class Sizes(Port):
    """How large tables are, and how many rows meet a condition, without counting them."""

    place = "safeops.databases.{family}.sizes:Sizes"

    def bytes_of(self, archive: Name) -> int | None:
        """Return about how large an archive is; None where it is not cheap to tell."""
        return None

    def explain(self, sql: str) -> None:
        """Have the server plan a statement without running it, which raises what is wrong with it."""
        self.read(f"EXPLAIN {sql}")

    @abstractmethod
    def estimated_rows(self, table: Name) -> int | None:
        """Return about how many rows a table has, without counting them; None where nobody knows."""

    strongest_lock: ClassVar[Lock]
    """That of a step which does not declare its own."""

    def lock_of(self, step: Step) -> Lock:
        """Return how a step locks its tables."""
        return step.lock or (self.strongest_lock if step.locks else FREE)

    def partitions_locked(self, step: Step) -> tuple[Name, ...]:
        """Return the partitions of its tables that a step locks as well."""
        return ()

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

    @abstractmethod
    def bytes_of_database(self) -> int | None:
        """Return how large it is; None where this user may not see that."""
