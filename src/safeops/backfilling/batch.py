"""One batch of a backfill. In this order:

1. The end of the batch is looked up (``walks``, ``pages``); nothing is locked.
2. A transaction begins, with a short lock timeout.
3. The rows of the batch are updated: by one UPDATE; for a Python function, by a SELECT and an UPDATE with what the
   function returns. The SELECT locks the rows, or along pages reads their versions.
4. The checkpoint of the range is updated: its position, its counters and its lease, only while this runner has the claim.
5. The transaction commits: a batch and its checkpoint are kept together or not at all.

The port ``Batches`` has the differences between databases.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from safeops.backfilling.batch_size import LARGEST, LARGEST_IN_PYTHON, BatchSize
from safeops.backfilling.by_function import ByFunction
from safeops.backfilling.pages import Heap, PageWalk
from safeops.backfilling.port import AIM, Batches, Bound
from safeops.backfilling.progress import Meter, Throttle
from safeops.backfilling.spec import BackfillSpec
from safeops.backfilling.state import Part, State
from safeops.backfilling.values import RANGE
from safeops.backfilling.walks import KeyWalk, ListWalk, Slice, Walk
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
        self._by_function = ByFunction(self.database, spec, self.size, meter)

    def write(self, part: Part) -> Written:
        """Write the next batch of a range and its checkpoint, or raise ClaimLost."""
        walk, size = self._walk(part), self.size.rows
        taken = walk.next(part, size)
        began = time.monotonic()
        with self.port.transaction(self._lock_timeout(size), flush=taken.finished or self.settings.flush_each_batch):
            entered = time.monotonic()
            rows, unfilled = self._update(taken, part)
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

    @cached_property
    def _by_function_along_pages(self) -> ByFunction:
        return ByFunction(self.database, self.spec, self.size, self.meter, self._by_pages.heap)

    def _lock_timeout(self, size: int) -> float:
        """Return how long a statement waits for a lock: short, because it keeps its updated rows locked while it waits."""
        longest = self.settings.lock_timeout
        return longest if size == 1 else min(longest, max(2 * self.limits.target_seconds, SHORTEST_LOCK_TIMEOUT))

    def _update(self, taken: Slice, part: Part) -> tuple[int, int]:
        """Update the rows of the batch; return how many were processed, and how many of them have no value."""
        spec, keys = self.spec, taken.rows
        if spec.function is not None:
            by_function = self._by_function_along_pages if part.is_by_pages else self._by_function
            return by_function.update(spec.function, keys, taken.scanned)
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
