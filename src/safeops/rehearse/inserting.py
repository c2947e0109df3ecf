"""How rows are inserted in large numbers: what a database needs around the statements."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from safeops.databases.definitions import Table
from safeops.databases.ports import Port
from safeops.naming import Name


class Inserts(Port):
    """How many rows are inserted at once, and what an insert needs around it."""

    place = "safeops.rehearse.{family}.inserting:Inserts"
    asked = "Filling a table"

    batch: int = 100_000
    """Rows of one statement."""

    def begin(self) -> None:
        """Prepare the session."""

    def end(self, tables: Sequence[Table]) -> None:
        """Move the sequences on."""

    @abstractmethod
    def analyze(self, tables: Sequence[Table]) -> None:
        """Count the distributions for the planner."""

    def with_keys(self, table: Table) -> Table:
        """Return a table with keys in the place of constraints that rows meet if they differ in some columns."""
        return table

    def refused(self, table: Table) -> str | None:
        """Return why a table cannot be filled; None if it can."""
        return None

    def checks(self, table: Table) -> dict[str, str]:
        """Return conditions that the rows must meet in addition to the checks of the table, by what they are."""
        return {}

    def firing(self, table: Name) -> list[str]:
        """Return the triggers of a project's own that fire for each new row."""
        return []

    def defer(self, table: Table, key: str) -> None:
        """Have a foreign key checked at the end of the transaction; the session is in one."""

    def restore(self, table: Table, key: str) -> None:
        """Have it checked as it was before."""
