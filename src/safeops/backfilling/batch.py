"""One batch of a backfill. In this order:

1. The end of the batch is looked up (``walks``, ``pages``); nothing is locked.
2. A transaction begins, with a short lock timeout.
3. The rows of the batch are updated: by one UPDATE; for a Python function, by a SELECT that locks the rows and an
   UPDATE with what the function returns.
4. The checkpoint of the range is updated: its position, its counters and its lease, only while this runner has the claim.
5. The transaction commits: a batch and its checkpoint are kept together or not at all.

The port ``Batches`` has the differences between databases.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from safeops.backfilling.by_function import ByFunction
from safeops.backfilling.pages import Heap, PageWalk
from safeops.backfilling.port import AIM, Batches, Bound
from safeops.backfilling.progress import Meter, Throttle
from safeops.backfilling.spec import BackfillSpec
from safeops.backfilling.state import Part, State
from safeops.backfilling.values import RANGE
from safeops.backfilling.walks import KeyWalk, ListWalk, Walk
from safeops.databases.base import Database
from safeops.errors import BackfillIncomplete
from safeops.execution.migration import Terms

SHORTEST_LOCK_TIMEOUT = 0.05


@dataclass(frozen=True)
class Limits:
    """How fast a backfill may run.

    Args:
        target_seconds: Seconds that a batch should take.
        batch_size: Rows per batch; None adapts it.
        pause: Seconds between two batches.
        throttles: Called before each batch.
    """

    target_seconds: float
    batch_size: int | None = None
    pause: float = 0.0
    throttles: tuple[Throttle, ...] = ()


@dataclass(frozen=True)
class Written:
    """A batch that was committed.

    Args:
        part: The range after it.
        rows: The rows that were processed.
        walked: The rows that were scanned, including those that needed nothing.
        key: The key of the last of them; empty if they were not in the order of a key.
    """

    part: Part
    rows: int
    walked: int
    key: Bound


class Batch:
    """Writes the next batch of a range, and adapts the batch size.

    Args:
        terms: The connection, and its settings.
        spec: What the backfill does.
        limits: How fast it may run.
        state: The table of the progress.
        token: The runner claims ranges under it.
        meter: Counts what is kept so far, for messages.
    """

    def __init__(
        self, terms: Terms, spec: BackfillSpec, limits: Limits, state: State, token: str, meter: Meter
    ) -> None:
        self.database, self.settings = terms.database, terms.settings
        self.port = Batches.of(terms.database)
        self.spec, self.limits, self.state, self.token, self.meter = spec, limits, state, token, meter
        largest, aim = (LARGEST, self.port.aim) if spec.function is None else (LARGEST_IN_PYTHON, AIM)
        self.size = BatchSize(limits.target_seconds, limits.batch_size, largest, aim)
        self._by_key = KeyWalk(self.port, spec)
        self._listed: dict[int, ListWalk] = {}
        self._by_function = ByFunction(terms.database, spec, self.size, meter)

    def write(self, part: Part) -> Written:
        """Write the next batch of a range and its checkpoint, or raise ClaimLost."""
        walk, size = self._walk(part), self.size.rows
        taken = walk.next(part, size)
        began = time.monotonic()
        with self.port.transaction(self._lock_timeout(size), flush=taken.finished or self.settings.flush_each_batch):
            entered = time.monotonic()
            rows, unfilled = self._update(taken.rows)
            walked = max(rows, taken.walked)
            added = {"processed": rows, "unfilled": unfilled, "walked": walked, "seconds": time.monotonic() - began}
            self.state.checkpoint(part, self.token, taken.end, finished=taken.finished, **added)
        walk.wrote(rows)
        self.size.adapt(max(rows, taken.scanned) or size, time.monotonic() - entered, entered - began)
        return Written(part.after_batch(taken.end, taken.finished), rows, walked, taken.key)

    def list_rows(self, number: int, keys: Sequence[Bound]) -> None:
        """Walk a range over the rows with these keys only: all others were found to need nothing."""
        self._listed[number] = ListWalk(self.port, self.spec, keys)

    def key_of_next(self, part: Part) -> Bound:
        """Return the key of the next row of a range."""
        return self._walk(part).key_of_next(part)

    def _walk(self, part: Part) -> Walk:
        return self._by_pages if part.is_by_pages else self._listed.get(part.part, self._by_key)

    @cached_property
    def _by_pages(self) -> PageWalk:
        return PageWalk(Heap.of(self.database), self.spec)

    def _lock_timeout(self, size: int) -> float:
        """Return how long a statement waits for a lock: short, because it keeps its updated rows locked while it waits."""
        longest = self.settings.lock_timeout
        return longest if size == 1 else min(longest, max(2 * self.limits.target_seconds, SHORTEST_LOCK_TIMEOUT))

    def _update(self, keys: str) -> tuple[int, int]:
        """Update the rows of the batch; return how many were processed, and how many of them have no value."""
        spec = self.spec
        if spec.function is not None:
            return self._by_function.update(spec.function, keys)
        expected = self._rows_to_update(keys)
        updated = self.database.run((spec.update or "").replace(RANGE, keys))
        if updated < expected:
            raise _cancelled(self.database, spec, expected - updated, self.meter.kept)
        return updated, 0

    def _rows_to_update(self, keys: str) -> int:
        """Return how many rows the UPDATE must write, if a trigger may cancel some and nothing finds them at the end."""
        spec = self.spec
        if not spec.writes_each or not self._has_triggers:
            return 0
        return self.port.lock_and_count(spec.table, f"({keys}) AND ({spec.where or '1 = 1'})")

    @cached_property
    def _has_triggers(self) -> bool:
        return bool(self.database.triggers.update_triggers(self.spec.table))


CANCELLED = (
    "An UPDATE of the table fires {}, which can cancel the update or revert the value. Disable or change it until the rows"
    " are filled, and run again."
)


def _cancelled(database: Database, spec: BackfillSpec, rows: int, state: str) -> BackfillIncomplete:
    triggers = ", ".join(database.triggers.update_triggers(spec.table))
    return BackfillIncomplete(
        f"Backfill {spec.name} could not change {rows:,} rows of {spec.table}: a trigger cancelled the UPDATE.",
        remedy=f"{CANCELLED.format(triggers)} Exclude rows that already have the value with where=.",
        state=state,
    )


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
