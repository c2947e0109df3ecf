"""The progress of a backfill, and its reports."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from safeops.backfilling.port import Bound
from safeops.backfilling.terminal import TerminalLine, rendered, terminal
from safeops.databases.base import Database
from safeops.naming import Name

log = logging.getLogger("safeops")

RECENT = 30.0
"""Seconds over which the rate is measured."""
REPORT_EVERY = 10.0
"""Seconds between two log lines."""
SHOW_AFTER, DRAW_EVERY = 0.5, 0.1
"""Seconds after which a terminal shows the progress, and between two changes of what it shows."""


@dataclass(frozen=True)
class BackfillProgress:
    """The progress of a backfill.

    Args:
        name: The name of the backfill.
        table: The table, in its schema.
        rows: The rows that this run has processed.
        total: About how many rows it must scan, from the server's statistics; None if unknown.
        walked: The rows that it has scanned, including earlier runs and rows that needed nothing.
        rows_per_second: The rows scanned per second, over the last 30 s.
        seconds: How long it has run.
        seconds_left: How long the rest takes at that rate; None if unknown.
        batches: The batches that this run has committed.
        batch_size: The rows of the next batch.
        key: The key of the last row of the last batch, as the server writes it; empty before the first, and if the rows
            are not processed in the order of their key.
        waiting: Why a throttle waits; None while batches run.
        database: The connection of the backfill, for throttles that query the server.
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
        if self.total is None:
            rows = f"{self.walked:,} rows"
        else:
            rows = f"{_percent(self)} ({self.walked:,} of about {max(self.total, self.walked):,} rows)"
        left = f", about {_duration(self.seconds_left)} left" if self.seconds_left else ""
        size = f", batches of {self.batch_size:,}" if self.batch_size else ""
        waits = f", waiting: {self.waiting}" if self.waiting else ""
        return f"{rows}, {self.rows_per_second:,.0f} rows/s{left}{size}{waits}"


Throttle = Callable[[BackfillProgress], "str | None"]
"""Returns why the next batch must wait; None if it can run."""


def _share(progress: BackfillProgress) -> float | None:
    """Return which part is done; the total is an estimate, so a run that has not ended is never shown as complete."""
    if progress.total is None:
        return None
    return min(progress.walked / max(progress.total, progress.walked, 1), 0.99)


def _percent(progress: BackfillProgress) -> str:
    return f"{int(100 * (_share(progress) or 0))} %"


def _short(number: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 10 * size:
            return f"{number / size:,.0f}{unit}"
        if number >= size and size > 1e3:
            return f"{number / size:.1f}{unit}"
    return f"{number:,.0f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(round(seconds), 1), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Meter:
    """Counts what a run does, and reports it.

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
            return "All earlier batches are kept; running again continues from there."
        return f"{self.progress.rows:,} rows are done and kept; running again continues from there."

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
        """Set the reason to wait."""
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
    """Shows the progress of a backfill as a line on a terminal; elsewhere it is logged every 10 s.

    Args:
        verb: What is done, such as "backfilling".
        what: To what.
    """

    def __init__(self, verb: str, what: str) -> None:
        self._verb, self._what = verb, what
        self._began = self._reported = time.monotonic()
        self._line: TerminalLine | None = None
        self._last: BackfillProgress | None = None
        self._has_terminal = True
        self._drawn = 0.0

    @classmethod
    def of(cls, verb: str, table: Name, columns: tuple[str, ...], database: Database) -> Reporter:
        """Return one that names the columns, without the schema if it is the default one."""
        short = table.at(database.dialect.default_schema_name)
        return cls(verb, ".".join(filter(None, (str(short), ", ".join(columns)))))

    def __enter__(self) -> Reporter:
        return self

    def __call__(self, progress: BackfillProgress) -> None:
        self._last, now = progress, time.monotonic()
        if self._line is None and self._has_terminal and now - self._began >= SHOW_AFTER:
            stream = terminal()
            self._line = None if stream is None else TerminalLine(stream)
            self._has_terminal = stream is not None
        if self._line is not None:
            if now - self._drawn >= DRAW_EVERY:
                self._draw(self._line, _figures(progress), _share(progress))
        elif now - self._reported >= REPORT_EVERY:
            self._reported = now
            log.info("%s %s: %s", self._verb, self._what, progress)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._line is not None and self._last is not None:
            is_finished = kind is None
            figures = _figures_at_end(self._last) if is_finished else _figures(self._last)
            self._draw(self._line, figures, 1.0 if is_finished else _share(self._last))
        self._close()

    def _draw(self, line: TerminalLine, figures: list[list[str]], share: float | None) -> None:
        self._drawn = time.monotonic()
        try:
            line.draw(rendered([f"{self._verb} {self._what}", self._what], figures, share))
        except (OSError, ValueError):
            # The terminal was closed, as after a lost SSH connection. The work continues without it.
            self._close()
            self._has_terminal = False

    def _close(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line = None


def _figures(progress: BackfillProgress) -> list[list[str]]:
    """Return what a terminal shows: in full, and shorter. Numbers are padded to keep the layout of the line."""
    full, short = [f"{progress.walked:,} rows"], [f"{_short(progress.walked)} rows"]
    if progress.total is not None:
        total = f"{max(progress.total, progress.walked):,}"
        percent = f"{_percent(progress):>4}"
        full = [percent, f"{progress.walked:>{len(total)},} of about {total} rows"]
        short = [percent, f"{_short(progress.walked):>5}/{_short(max(progress.total, progress.walked))} rows"]
    if progress.waiting:
        return [[*full, f"waiting: {progress.waiting}"], [*short, f"waiting: {progress.waiting}"]]
    full.append(f"{progress.rows_per_second:>7,.0f} rows/s")
    short.append(f"{_short(progress.rows_per_second):>5} rows/s")
    if progress.seconds_left:
        full.append(f"about {_duration(progress.seconds_left)} left")
        short.append(f"{_duration(progress.seconds_left)} left")
    return [full, short]


def _figures_at_end(progress: BackfillProgress) -> list[list[str]]:
    rate, took = progress.rows_per_second, _duration(progress.seconds)
    return [
        ["100 %", f"{progress.walked:,} rows", f"{rate:,.0f} rows/s", f"took {took}"],
        ["100 %", f"{_short(progress.walked)} rows", f"{_short(rate)} rows/s", f"took {took}"],
    ]
