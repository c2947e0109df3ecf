"""Measures a part on a server: every variant in turn, each on a fresh copy and in its own process."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path

from tests.benchmarks.alone import Alone, run_alone
from tests.benchmarks.results import IDLE, Results, Series
from tests.benchmarks.server import Benched
from tests.benchmarks.shape import Part
from tests.benchmarks.writer import Waits, writing

IDLE_SECONDS = 3.0


@dataclasses.dataclass(frozen=True)
class Bench:
    """How parts are measured.

    Args:
        builds: The folder to import each from, by its commit; "" is the present one.
        quick: Small tables.
        rounds: How many, instead of those of each part.
        keep: Called after each round.
    """

    results: Results
    builds: Mapping[str, Path]
    quick: bool
    rounds: int | None
    keep: Callable[[], None]

    def measure(self, server: Benched, module: str, part: Part) -> None:
        rows = part.quick if self.quick else part.rows
        version = f"{server.name} {'.'.join(map(str, server.version))}"
        self.results.series = [one for one in self.results.series if (one.part, one.server) != (part.name, version)]
        self.results.titles[part.name] = part.title
        lanes = [self._lane(part, version, rows, name, build) for name, build in self._contenders(part)]
        self.results.series += lanes
        for number in range(self.rounds or part.rounds):
            # Forward and backward in turn: a machine that slows down is unfair to none.
            for series in lanes if number % 2 == 0 else [*reversed(lanes)]:
                if self._takes_part(part, series, number):
                    self._attempt(server, module, part, series)
            self.keep()

    def _contenders(self, part: Part) -> Iterator[tuple[str, str]]:
        if part.writer:
            yield IDLE, ""
        for name, variant in part.variants.items():
            for build in self.builds if variant.ours else [""]:
                yield name, build

    def _lane(self, part: Part, version: str, rows: int, name: str, build: str) -> Series:
        title = "only the writer" if name == IDLE else part.variants[name].title
        return Series(part.name, version, name, title, rows, build)

    def _takes_part(self, part: Part, series: Series, number: int) -> bool:
        """One that failed does not."""
        rounds = None if series.variant == IDLE else part.variants[series.variant].rounds
        return len(series.seconds) == number and (rounds is None or number < rounds)

    def _attempt(self, server: Benched, module: str, part: Part, series: Series) -> None:
        try:
            self._once(server, module, part, series)
        except Exception as error:
            # The others are measured all the same; this one takes part in no further round.
            say(f"{part.name}, {series.server}, {series.variant} {series.build}: FAILED: {error!s:.2000}")

    def _once(self, server: Benched, module: str, part: Part, series: Series) -> None:
        with server.fresh(part, series.rows) as database:
            with writing(database, series.rows, part.writer) if part.writer else nullcontext(Waits()) as waits:
                before = server.cpu_seconds()
                if series.variant == IDLE:
                    alone = _idle()
                else:
                    alone = run_alone(module, part.name, series.variant, database, self.builds[series.build])
                cpu = alone.cpu_seconds + server.cpu_seconds() - before
            if series.variant != IDLE:
                part.check(database)
        series.seconds.append(round(alone.seconds, 4))
        series.cpu_seconds.append(round(cpu, 3))
        series.peak_mb.append(round(alone.peak_kb / 1024, 1))
        line = f"{part.name}, {series.server}, {series.variant} {series.build}: {alone.seconds:.2f} s, CPU {cpu:.2f} s"
        if part.writer:
            waited = waits.between(alone.began, alone.ended)
            series.longest.append(round(waited.longest, 2))
            series.p99.append(round(waited.p99, 3))
            series.median.append(round(waited.median, 3))
            line += f", longest wait {waited.longest:.1f} ms of {waited.count}"
        say(line)


def _idle() -> Alone:
    began = time.monotonic()
    time.sleep(IDLE_SECONDS)
    return Alone(IDLE_SECONDS, 0.0, 0, began, began + IDLE_SECONDS, "")


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)
