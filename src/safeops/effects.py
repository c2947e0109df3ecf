"""What a step does to tables, as values: how it locks them, and what it makes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from safeops.naming import Name

NOTHING, WRITES, ALL, ROWS = "nothing", "writes", "reads and writes", "writes to those rows"
"""What a lock can hold up."""
BRIEFLY, LONG = "briefly", "for as long as it takes"


@dataclass(frozen=True)
class Lock:
    """A lock on a table, in the words of its database, and what of the application it holds up for how long."""

    name: str | None
    holds_up: str = NOTHING
    how_long: str = ""

    @property
    def blocks(self) -> str:
        return f"{self.holds_up}, {self.how_long}" if self.how_long else self.holds_up

    def for_long(self) -> Lock:
        return replace(self, how_long=LONG)


FREE = Lock(None)
"""That of a step which locks no table."""


@dataclass(frozen=True)
class Effect:
    """What exists after a step and not before: a table, a type, or with ``column`` a column of a table."""

    name: Name
    column: str | None = None
