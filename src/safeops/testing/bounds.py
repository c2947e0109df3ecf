"""How long the next statement of a session may wait for a lock, by its settings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from safeops.databases.ports import Port


class Bounds(Port):
    """The settings of a session that bound its waiting. They are read by the driver, which no listener sees."""

    place = "safeops.testing.{family}.bounds:Bounds"
    asked = "A test of waiting"

    locks_tables = True
    """Locks are on tables; a statement that waits makes later ones on the same table wait."""
    whole_seconds = False
    """Bounds are counted in whole seconds."""

    @abstractmethod
    def seconds(self, words: Sequence[str]) -> float | None:
        """Return how long a statement with these words waits at most; None if there is no bound."""

    @abstractmethod
    def code(self, seconds: float) -> str:
        """Return the statement with which a revision bounds its own waiting."""
