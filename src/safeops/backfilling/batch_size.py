"""How many rows the next batch has."""

from __future__ import annotations

import math

from safeops.backfilling.port import AIM

FIRST = 500
LARGEST = 50_000
LARGEST_IN_PYTHON = 10_000
"""Rows that are passed to a function are held in memory."""
GROWTH = 2.0
"""How much larger than the last batch the next one may be."""
MEMORY = 0.75
"""The weight of earlier batches after each new one: recent batches count most."""
OVERHEAD_GROWTH = 1.1
"""How much the overhead grows at most from batch to batch: a single delay does not count."""
FAR_TOO_LONG = 3.0
"""Times the target: a batch that took longer makes the next one smaller at once."""


class BatchSize:
    """Chooses the rows of a batch to make each batch take about the same time.

    The rate is rows over seconds, both decaying: https://docs.percona.com/percona-toolkit/pt-online-schema-change.html
    (``--chunk-time``) does the same with a target of 0.5 s.

    Args:
        target: Seconds that a batch should take.
        fixed: Rows that a batch has at most, however long it takes; None adapts it.
        largest: Rows that a batch has at most.
        aim: The share of the target to aim at.
    """

    def __init__(self, target: float, fixed: int | None = None, largest: int = LARGEST, aim: float = AIM) -> None:
        self.target, self.fixed, self.aim = target, fixed, aim
        self.largest = self._largest = fixed or largest
        self.rows = fixed or min(FIRST, largest)
        self._rows = self._seconds = 0.0
        self._overhead = math.inf

    def adapt(self, rows: int, seconds: float, overhead: float = 0.0) -> None:
        """Choose the size of the next batch.

        Args:
            rows: The rows of the last one.
            seconds: How long it took.
            overhead: How long the statements before it took, which touch no rows. A slow network or a busy server delays
                the others as well, and fewer rows in a batch would not help: so much does not count.
        """
        self._overhead = min(overhead, self._overhead * OVERHEAD_GROWTH)
        seconds = max(seconds - self._overhead, seconds / 10)
        self._rows = MEMORY * self._rows + rows
        self._seconds = MEMORY * self._seconds + max(seconds, 1e-6)
        if seconds > FAR_TOO_LONG * self.target:
            self._rows, self._seconds = rows, seconds
        wanted = float(self.fixed or self._rows / self._seconds * self.target * self.aim)
        self.rows = max(1, int(min(wanted, self.rows * GROWTH, self.largest)))

    def limit(self, rows: int | None) -> None:
        """Limit the following batches to a number of rows; None lets them grow again."""
        if self.fixed is None:
            grown = min(int(self.largest * GROWTH), self._largest)
            self.largest = grown if rows is None else max(min(rows, self._largest), 1)

    def halve(self) -> None:
        """Make the next batch half as large: the last one was blocked or refused."""
        self.rows = max(1, self.rows // 2)
