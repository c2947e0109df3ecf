"""How far a backfill is, and how that is reported."""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from safeops.backfilling.port import Bound
from safeops.databases.base import Database
from safeops.naming import Name

log = logging.getLogger("safeops")

RECENT = 30.0
"""Seconds over which the rate is measured."""
REPORT_EVERY = 10.0


@dataclass(frozen=True)
class BackfillProgress:
    """How far a backfill is.

    Args:
        name: The name of the backfill.
        table: The table, in its schema.
        rows: The rows that this run has processed.
        total: About how many rows it has to go through, from the server's statistics; None if unknown.
        walked: The rows that it has gone through, including earlier runs and rows that needed nothing.
        rows_per_second: The rows gone through per second, over the recent past.
        seconds: How long it has run.
        seconds_left: How long the rest takes at that rate; None if unknown.
        batches: The batches that this run has committed.
        batch_size: The rows of the next batch.
        key: The key of the last row of the last batch, as the server writes it; empty before the first.
        waiting: What a throttle waits for; None while batches run.
        database: The connection of the backfill, for throttles that ask the server.
    """

    name: str
    table: str
    rows: int = 0
    total: int | None = None
    walked: int = 0
    rows_per_second: float = 0.0
    seconds: float = 0.0
    seconds_left: float | None = None
    batches: int = 0
    batch_size: int = 0
    key: Bound = ()
    waiting: str | None = None
    database: Database | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        """Return the line for the log."""
        size = f", batches of {self.batch_size:,}" if self.batch_size else ""
        of = f" of about {max(self.total, self.walked):,}" if self.total is not None else ""
        left = "" if self.seconds_left is None else f", about {_duration(self.seconds_left)} left"
        waits = f", waiting: {self.waiting}" if self.waiting else ""
        return f"{self.walked:,}{of} rows, {self.rows_per_second:,.0f} rows/s{left}{size}{waits}"


Throttle = Callable[[BackfillProgress], "str | None"]
"""Returns why the next batch must wait; None if it need not."""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Meter:
    """Counts what a run does, and passes it on.

    Args:
        name: The name of the backfill.
        table: Its table.
        database: Its connection.
        on_progress: Called with the progress after each batch.
        is_worker: It counts for one of several workers.
    """

    def __init__(
        self,
        name: str,
        table: Name,
        database: Database,
        on_progress: Callable[[BackfillProgress], Any] = lambda _: None,
        *,
        is_worker: bool = False,
    ) -> None:
        self.progress = BackfillProgress(name, str(table), database=database)
        self.on_progress, self.is_worker = on_progress, is_worker
        self._began = time.monotonic()
        self._earlier = (0, 0)
        self._recent = deque([(self._began, 0)])

    @property
    def kept(self) -> str:
        """What is kept so far, for messages."""
        if self.is_worker:
            return "All batches before are kept; running again goes on from there."
        return f"{self.progress.rows:,} rows are done and kept; running again goes on from there."

    def add(self, rows: int, walked: int, key: Bound, batch_size: int, batches: int = 1) -> None:
        """Count a batch."""
        now, before = time.monotonic(), self.progress
        self._recent.append((now, before.walked + walked))
        while now - self._recent[0][0] > RECENT and len(self._recent) > 2:
            self._recent.popleft()
        self.progress = replace(
            before,
            rows=before.rows + rows,
            walked=before.walked + walked,
            batches=before.batches + batches,
            batch_size=batch_size,
            key=key,
            **self._rate(now),
        )
        self.on_progress(self.progress)

    def begin(self, total: int | None, processed: int, walked: int, batches: int) -> None:
        """Set what earlier runs have done."""
        self._earlier = (processed, batches)
        self.progress = replace(self.progress, total=total, walked=walked)
        self._recent = deque([(time.monotonic(), walked)])

    def reach(self, processed: int, walked: int, batches: int) -> None:
        """Count what the workers have done, from the totals of all runs."""
        before, (earlier_rows, earlier_batches) = self.progress, self._earlier
        new = batches - earlier_batches - before.batches
        if new:
            rows = processed - earlier_rows - before.rows
            self.add(rows, walked - before.walked, (), before.batch_size, new)

    def wait(self, reason: str | None) -> None:
        """Set what is waited for."""
        self.progress = replace(self.now(), waiting=reason)
        if reason:
            self.on_progress(self.progress)

    def now(self) -> BackfillProgress:
        """Return the progress as of now, for throttles."""
        return replace(self.progress, seconds=time.monotonic() - self._began)

    def _rate(self, now: float) -> dict[str, Any]:
        (then, before), (_, walked) = self._recent[0], self._recent[-1]
        rate = (walked - before) / max(now - then, 1e-6)
        total = self.progress.total
        left = None if total is None or rate <= 0 else max(total - walked, 0) / rate
        return {"rows_per_second": rate, "seconds": now - self._began, "seconds_left": left}


class Reporter:
    """Logs the progress of a backfill every 10 s, or draws a bar on a terminal if tqdm is installed."""

    def __init__(self) -> None:
        self._reported = time.monotonic()
        self._bar: Any = None
        self._has_looked = False

    def __call__(self, progress: BackfillProgress) -> None:
        if not self._has_looked:
            self._bar, self._has_looked = _bar(progress), True
        # A bar is falsy if there is nothing to do, and without a total it has no truth at all.
        if self._bar is not None:
            self._draw(progress)
        elif time.monotonic() - self._reported >= REPORT_EVERY:
            self._reported = time.monotonic()
            log.info("backfill %s: %s", progress.name, progress)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _draw(self, progress: BackfillProgress) -> None:
        self._bar.total = None if progress.total is None else max(progress.total, progress.walked)
        self._bar.n = progress.walked
        self._bar.set_postfix_str(f"waiting: {progress.waiting}" if progress.waiting else "", refresh=False)
        self._bar.refresh()


def _bar(progress: BackfillProgress) -> Any:
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(desc=progress.name, total=progress.total, initial=progress.walked, unit=" rows", unit_scale=True)
