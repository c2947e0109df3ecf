"""The transaction that a statement is part of: which locks earlier statements left in it, and how many rows they changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from safeops.naming import Name


@dataclass
class Transaction:
    """A transaction of a revision.

    Args:
        number: Its number; None in autocommit.
        held: The strongest lock on each table, with the statement that took it.
        rows: How many existing rows were changed or locked, by table.
    """

    number: int | None = None
    held: dict[Name, tuple[str, str]] = field(default_factory=dict)
    rows: dict[Name, int] = field(default_factory=dict)

    def hold(self, table: Name, lock: str, statement: str, strength: Callable[[str], int]) -> None:
        """Keep a lock on a table, unless a stronger one is held."""
        if lock and strength(lock) > strength(self.held.get(table, ("", ""))[0]):
            self.held[table] = lock, statement

    def change(self, table: Name, rows: int) -> int:
        """Add rows that a statement changes or locks; return how many it is by now."""
        self.rows[table] = self.rows.get(table, 0) + rows
        return self.rows[table]

    def end(self) -> None:
        self.held.clear()
        self.rows.clear()
