"""What was seen of a run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Observed:
    """What a run did to the tables that existed before it."""

    locks: dict[str, set[str]] = field(default_factory=dict)
    """By table, the locks that other sessions would wait for."""
    rewritten: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    """Columns whose values no longer exist."""

    def saw(self, table: str, lock: str) -> None:
        self.locks.setdefault(table, set()).add(lock)
