"""How many rows the next batch has."""

from __future__ import annotations

FIRST = 500
LARGEST = 50_000
LARGEST_IN_PYTHON = 10_000
"""Rows that are handed to a function stand in memory."""
GROWTH = 2.0
"""How much larger than the last batch the next one may be."""
MEMORY = 0.75
"""How much of what it knew a batch leaves: the recent past counts most."""
AIM = 0.8
"""Of the time that a batch may take, how much is aimed at: rows differ, and the target is to hold for most batches."""
FAR_TOO_LONG = 3.0
"""Times the target: a batch that took longer makes the next one smaller at once."""


class Servo:
    """Chooses the size of batches so that each takes about the same time.

    The rate is rows over seconds, both fading: https://docs.percona.com/percona-toolkit/pt-online-schema-change.html
    (``--chunk-time``) does the same with a target of 0.5 s.

    Args:
        target: Seconds that a batch should take.
        fixed: Rows that a batch has at most, whatever it takes; None adapts it.
        largest: Rows that a batch has at most.
    """

    def __init__(self, target: float, fixed: int | None = None, largest: int = LARGEST) -> None:
        self.target, self.fixed = target, fixed
        self.largest = fixed or largest
        self.size = fixed or min(FIRST, largest)
        self._rows = self._seconds = 0.0

    def after(self, rows: int, seconds: float) -> None:
        """Note how long a batch took, and choose the size of the next one."""
        self._rows = MEMORY * self._rows + rows
        self._seconds = MEMORY * self._seconds + max(seconds, 1e-6)
        if seconds > FAR_TOO_LONG * self.target:
            self._rows, self._seconds = rows, seconds
        wanted = self._rows / self._seconds * self.target * AIM
        if self.fixed:
            wanted = float(self.fixed)
        self.size = max(1, int(min(wanted, self.size * GROWTH, self.largest)))

    def after_failure(self) -> None:
        """Make the next batch half as large: it ran into others."""
        self.size = max(1, self.size // 2)
