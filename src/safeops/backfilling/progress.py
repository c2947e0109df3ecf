"""How far a backfill is, and who is told."""

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

log = logging.getLogger("safeops")

RECENT = 30.0
"""Seconds of the recent past, of which the rate is."""
SAY_EVERY = 10.0


@dataclass(frozen=True)
class BackfillProgress:
    """How far a backfill is.

    Args:
        name: What its progress is kept under.
        table: The table, in its schema.
        rows: The rows that this run has processed.
        total: About how many rows it has to go through, from the server's statistics; None where nobody knows.
        walked: The rows that it has gone through, in earlier runs too, also those that needed nothing.
        rows_per_second: The rows gone through a second, over the recent past.
        seconds: How long it has run.
        seconds_left: How long it will go on at that rate; None where nobody knows.
        batches: The batches that this run has committed.
        batch_size: The rows of the next batch.
        key: The key of the last row of the last batch, as the server writes it; empty before the first.
        waiting: What a throttle waits for; None while it goes on.
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
        left = "" if self.seconds_left is None else f", about {_written(self.seconds_left)} left"
        waits = f", waiting: {self.waiting}" if self.waiting else ""
        return f"{self.walked:,}{of} rows, {self.rows_per_second:,.0f} rows/s{left}{size}{waits}"


def _written(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Meter:
    """Counts what a run does, and tells whoever wants to know.

    Args:
        progress: Where it begins.
        tell: Gets the progress after each batch.
    """

    def __init__(
        self, progress: BackfillProgress, tell: Callable[[BackfillProgress], Any], of_a_worker: bool = False
    ) -> None:
        self.progress, self.tell, self.of_a_worker = progress, tell, of_a_worker
        self._began = time.monotonic()
        self._before = (0, 0)
        self._recent = deque([(self._began, progress.walked)])

    def add(self, rows: int, walked: int, key: Bound, batch_size: int, batches: int = 1) -> None:
        """Note a batch."""
        now, stands = time.monotonic(), self.progress
        self._recent.append((now, stands.walked + walked))
        while now - self._recent[0][0] > RECENT and len(self._recent) > 2:
            self._recent.popleft()
        self.progress = replace(
            stands,
            rows=stands.rows + rows,
            walked=stands.walked + walked,
            batches=stands.batches + batches,
            batch_size=batch_size,
            key=key,
            **self._pace(now),
        )
        self.tell(self.progress)

    def begin(self, total: int | None, processed: int, walked: int, batches: int) -> None:
        """Note what was done before this run."""
        self._before = (processed, batches)
        self.progress = replace(self.progress, total=total, walked=walked)
        self._recent = deque([(time.monotonic(), walked)])

    def reach(self, processed: int, walked: int, batches: int) -> None:
        """Note what the workers have come to, all runs taken together."""
        stands, (rows, done) = self.progress, self._before
        new = batches - done - stands.batches
        if new:
            self.add(processed - rows - stands.rows, walked - stands.walked, (), stands.batch_size, new)

    def wait(self, reason: str | None) -> None:
        """Note what is waited for."""
        stands = replace(self.progress, waiting=reason, seconds=time.monotonic() - self._began)
        self.progress = stands
        if reason:
            self.tell(stands)

    def now(self) -> BackfillProgress:
        """Return the progress as of now, for throttles."""
        return replace(self.progress, seconds=time.monotonic() - self._began)

    def _pace(self, now: float) -> dict[str, Any]:
        (then, before), (_, walked) = self._recent[0], self._recent[-1]
        rate = (walked - before) / max(now - then, 1e-6)
        total = self.progress.total
        left = None if total is None or rate <= 0 else max(total - walked, 0) / rate
        return {"rows_per_second": rate, "seconds": now - self._began, "seconds_left": left}


class Teller:
    """Tells of a backfill in the log every 10 s, and on a terminal by a bar where tqdm is installed."""

    def __init__(self) -> None:
        self._said = time.monotonic()
        self._bar: Any = None
        self._has_looked = False

    def __call__(self, progress: BackfillProgress) -> None:
        if not self._has_looked:
            self._bar, self._has_looked = _bar(progress), True
        # A bar is falsy where there is nothing to do, and without a total it has no truth at all.
        if self._bar is not None:
            self._draw(progress)
        elif time.monotonic() - self._said >= SAY_EVERY:
            self._said = time.monotonic()
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
