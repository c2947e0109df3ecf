"""How long statements took: by table and phase, the waits, and their course over time. Memory does not grow with time."""

from __future__ import annotations

import math
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

POINTS = 2000
"""The points of a table's course over time."""
WAITING = 0.05
"""Seconds from which a statement counts as one that waited."""
INTERVALS = 500
"""The waits that are kept of a table's reads, and of its writes."""
APART = 0.05
"""Seconds between two waits that count as one."""
_STEP = math.log(1.05)
_SPREAD = 1000


class Sample(NamedTuple):
    """A statement that was sent: when it began, on a clock that all processes share, and how long it took, in seconds."""

    table: str
    writes: bool
    began: float
    seconds: float
    sql: str = ""

    @property
    def ended(self) -> float:
        return self.began + self.seconds


class Wait(NamedTuple):
    """A time in which reads or writes of a table waited; several waits that overlap are one."""

    table: str
    writes: bool
    began: float
    ended: float
    longest: float
    """Seconds that one statement waited."""
    sql: str
    """That statement."""


class Histogram:
    """The distribution of durations, to within 2.5 %; the longest is exact."""

    def __init__(self) -> None:
        self.count, self.longest = 0, 0.0
        self._weights: Counter[int] = Counter()

    def add(self, seconds: float, interval: float) -> None:
        """Add a duration.

        A client that waits sends nothing in the meantime. The statements that it would have sent, one each ``interval``
        seconds, would have waited for the rest of the time: they count in the quantiles, not in ``count``.
        """
        self.count += 1
        self.longest = max(self.longest, seconds)
        self._weights[_bucket(seconds)] += 1
        missed = int(seconds / interval)
        parts = min(missed, _SPREAD)
        for part in range(parts):
            self._weights[_bucket(seconds * (part + 0.5) / parts)] += max(missed // parts, 1)

    def quantile(self, share: float) -> float:
        wanted, seen = share * self._weights.total(), 0
        for bucket in sorted(self._weights):
            seen += self._weights[bucket]
            if seen >= wanted:
                return min(math.exp((bucket + 0.5) * _STEP) / 1e6, self.longest)
        return 0.0

    def as_json(self) -> dict[str, float]:
        """Return the figures, in seconds."""
        return {
            "count": self.count,
            "p50": self.quantile(0.5),
            "p99": self.quantile(0.99),
            "longest": self.longest,
        }


def _bucket(seconds: float) -> int:
    return int(math.log(max(seconds * 1e6, 1.0)) / _STEP)


class Course:
    """Durations over time: the slowest of each stretch, whose length doubles when there are too many."""

    def __init__(self, points: int = POINTS) -> None:
        self._points, self._width = points, 0.01
        self._slowest: dict[int, tuple[float, float]] = {}

    def add(self, sample: Sample) -> None:
        self._put(sample.began, sample.seconds)
        if len(self._slowest) > self._points:
            self._width *= 2
            kept, self._slowest = self._slowest, {}
            for began, seconds in kept.values():
                self._put(began, seconds)

    def _put(self, began: float, seconds: float) -> None:
        place = int(began / self._width)
        if place not in self._slowest or self._slowest[place][1] < seconds:
            self._slowest[place] = (began, seconds)

    def points(self) -> list[tuple[float, float]]:
        return [self._slowest[place] for place in sorted(self._slowest)]


class Waits:
    """When statements of a table waited."""

    def __init__(self) -> None:
        self.intervals: list[Wait] = []

    def add(self, sample: Sample) -> None:
        wait = Wait(sample.table, sample.writes, sample.began, sample.ended, sample.seconds, sample.sql)
        while self.intervals and self.intervals[-1].ended + APART >= wait.began:
            wait = _together(self.intervals.pop(), wait)
        self.intervals.append(wait)
        if len(self.intervals) > INTERVALS:
            self.intervals.remove(min(self.intervals, key=lambda one: one.longest))


def _together(one: Wait, other: Wait) -> Wait:
    longer = max(one, other, key=lambda wait: wait.longest)
    return longer._replace(began=min(one.began, other.began), ended=max(one.ended, other.ended))


@dataclass
class Latencies:
    """All that is kept of the durations."""

    histograms: dict[tuple[str, str, bool], Histogram] = field(default_factory=lambda: defaultdict(Histogram))
    courses: dict[str, Course] = field(default_factory=lambda: defaultdict(Course))
    waits: dict[tuple[str, bool], Waits] = field(default_factory=lambda: defaultdict(Waits))
    reads: int = 0
    writes: int = 0
    longest: Sample | None = None
    _phases: list[tuple[float, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def mark(self, at: float, phase: str) -> None:
        """Begin a phase."""
        with self._lock:
            self._phases.append((at, phase))

    def add(self, sample: Sample, interval: float) -> None:
        """Add a statement that has ended.

        Args:
            sample: The statement.
            interval: Seconds from one statement of its client to the next.
        """
        # A wait belongs to the phase that most of it was in: the lock that ends a phase is released just before its end.
        middle = sample.began + sample.seconds / 2
        with self._lock:
            self.reads, self.writes = self.reads + (not sample.writes), self.writes + sample.writes
            self.histograms[sample.table, self._phase_at(middle), sample.writes].add(sample.seconds, interval)
            self.courses[sample.table].add(sample)
            if sample.seconds >= WAITING:
                self.waits[sample.table, sample.writes].add(sample)
            if self.longest is None or sample.seconds > self.longest.seconds:
                self.longest = sample

    def _phase_at(self, moment: float) -> str:
        return next((phase for at, phase in reversed(self._phases) if at <= moment), "before")

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        with self._lock:
            phases: dict[str, Any] = {}
            for (table, phase, writes), histogram in self.histograms.items():
                phases.setdefault(phase, {}).setdefault(table, {})["writes" if writes else "reads"] = (
                    histogram.as_json()
                )
            waits = [one for known in self.waits.values() for one in known.intervals]
            return {
                "reads": self.reads,
                "writes": self.writes,
                "longest": self.longest,
                "phases": phases,
                "samples": {table: course.points() for table, course in self.courses.items()},
                "waits": sorted(waits, key=lambda one: one.began),
            }
