"""What a picture shows: when each table was blocked, and how long the requests of the traffic took, in a window of time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safeops.rehearse.impact import ALL_WAIT, BRIEF, FREE, WRITES_WAIT

EFFECTS = (FREE, BRIEF, WRITES_WAIT, ALL_WAIT)
"""What a statement does to the requests for a table, from the mildest."""
BLOCKING = (WRITES_WAIT, ALL_WAIT)
LEAST_AROUND, SHARE_AROUND = 0.5, 0.15
"""How much of the time before and after a run is shown: seconds, and the share of the run."""
PHASES = {"during": "upgrade", "back": "downgrade", "again": "upgrade again"}
PHASE_OF = {"up": "during", "down": "back"}
MANY = 10
"""So many statements that change rows, and differ in numbers alone, are batches."""
_NUMBER = re.compile(r"\d+")
_CHANGES_ROWS = re.compile(r"\s*(insert|update|delete|merge|replace|with|select)\b", re.I)

Span = tuple[float, float]


def worst(effects: Iterable[str]) -> str:
    """Return the effect that blocks most."""
    return max((effect for effect in effects if effect in EFFECTS), key=EFFECTS.index, default=FREE)


@dataclass(frozen=True)
class Lane:
    """One table: ``blocked`` has (from, to, effect), ``samples`` when a request began and how many seconds it took."""

    name: str
    blocked: Sequence[tuple[float, float, str]]
    samples: Sequence[tuple[float, float]]

    def within(self, window: Span) -> Lane:
        blocked = [(max(a, window[0]), min(b, window[1]), effect) for a, b, effect in self.blocked]
        samples = [(at, took) for at, took in self.samples if at + took >= window[0] and at <= window[1]]
        return Lane(self.name, [one for one in blocked if one[0] <= one[1]], samples)

    def seconds(self, effect: str) -> float:
        return sum(b - a for a, b, one in self.blocked if one == effect)

    @property
    def effect(self) -> str:
        return worst(effect for _, _, effect in self.blocked)

    @property
    def slowest(self) -> float:
        return max((took for _, took in self.samples), default=0.0)

    @property
    def weight(self) -> tuple[int, float]:
        """What the tables are sorted by: those that were blocked most come first."""
        return EFFECTS.index(self.effect), self.slowest

    def slowest_by_time(self, window: Span, buckets: int) -> list[float]:
        """Return for each part of the window the slowest request that began or was waiting in it; 0 if there was none."""
        width = (window[1] - window[0]) / buckets or 1.0
        slowest = [0.0] * buckets
        for at, took in self.samples:
            first = max(0, int((at - window[0]) / width))
            last = min(buckets - 1, int((at + took - window[0]) / width))
            for bucket in range(first, last + 1):
                slowest[bucket] = max(slowest[bucket], took)
        return slowest


@dataclass(frozen=True)
class Mark:
    """A statement: its number in the report, when it ran, and its effect."""

    number: int
    began: float
    ended: float
    effect: str


@dataclass(frozen=True)
class Timeline:
    """The lanes and the statements of one run, up or down, in its window of time."""

    window: Span
    lanes: Sequence[Lane]
    marks: Sequence[Mark]
    phases: Sequence[tuple[str, float, float]]


def lanes_of(timeline: Mapping[str, Any]) -> list[Lane]:
    """Return a lane for each table."""
    return [
        Lane(
            name,
            [(float(a), float(b), effect) for a, b, effect in table.get("blocked") or ()],
            [(float(at), float(took)) for at, took in table.get("samples") or ()],
        )
        for name, table in (timeline.get("tables") or {}).items()
    ]


def marks_of(rehearsal: Mapping[str, Any], lanes: Sequence[Lane], direction: str) -> list[Mark]:
    """Return the statements of which the time is known."""
    spans = (rehearsal.get("timeline") or {}).get("statements") or ()
    statements = rehearsal.get("statements") or ()
    return [
        Mark(number, float(span[0]), float(span[1]), effect_of(statement, span, lanes))
        for number, statement, span in zip(numbers_of(statements), statements, spans, strict=False)
        if span and statement.get("direction", "up") == direction
    ]


def numbers_of(statements: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    """Yield the number of each statement in the report; batches of a backfill, which differ in numbers alone, have one."""
    alike = Counter(_alike(one) for one in statements)
    first: dict[tuple[object, ...], int] = {}
    for number, one in enumerate(statements, 1):
        key, sql = _alike(one), one.get("sql") or ""
        is_batch = alike[key] >= MANY and _CHANGES_ROWS.match(sql)
        yield first.setdefault(key if is_batch else (*key[:-1], sql), number)


def _alike(statement: Mapping[str, Any]) -> tuple[object, ...]:
    locks = tuple(sorted((statement.get("locks") or {}).items()))
    sql = _NUMBER.sub("0", statement.get("sql") or "")
    return statement.get("revision") or "", statement.get("direction") or "up", locks, sql


def effect_of(statement: Mapping[str, Any], span: Sequence[float] | None, lanes: Iterable[Lane]) -> str:
    """Return what a statement did to the requests; if it is not given, what happened to its tables while it ran."""
    if statement.get("effect"):
        return worst([statement["effect"]])
    if not span:
        return FREE
    tables = statement.get("locks") or {}
    return worst(
        effect
        for lane in lanes
        if lane.name in tables
        for began, ended, effect in lane.blocked
        if began <= span[1] and ended >= span[0]
    )


def timeline_of(rehearsal: Mapping[str, Any], direction: str = "up") -> Timeline | None:
    """Return what a picture of the upgrade or of the downgrade shows; None if nothing was measured."""
    timeline = rehearsal.get("timeline") or {}
    lanes = lanes_of(timeline)
    marks = marks_of(rehearsal, lanes, direction)
    named = [(str(name), float(began), float(ended)) for name, began, ended in timeline.get("phases") or ()]
    run = [(began, ended) for name, began, ended in named if name == PHASE_OF[direction]]
    run += [(mark.began, mark.ended) for mark in marks]
    if not lanes or not run:
        return None
    window = _window(run, lanes)
    shown = sorted((lane.within(window) for lane in lanes), key=lambda lane: lane.weight, reverse=True)
    phases = [(PHASES.get(name, name), max(a, window[0]), min(b, window[1])) for name, a, b in named]
    return Timeline(window, shown, marks, [phase for phase in phases if phase[1] < phase[2]])


def _window(run: Sequence[Span], lanes: Sequence[Lane]) -> Span:
    """Return the time of a run with some time around, in which there was traffic."""
    began, ended = min(one[0] for one in run), max(one[1] for one in run)
    around = max(LEAST_AROUND, SHARE_AROUND * (ended - began))
    times = [time for lane in lanes for at, took in lane.samples for time in (at, at + took)]
    first, last = min(times, default=began), max(times, default=ended)
    return min(began, max(began - around, first)), max(ended, min(ended + around, last))
