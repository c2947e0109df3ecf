"""How fast a backfill is, and how long it makes an application wait, against the ways that are written by hand.

    SAFEOPS_PG_HOME=... python -m tests.benchmarks.backfill [--rows 1000000] [--versions 15,18] [--repeat 5] [--quick]

The job is `email_lower = lower(email)` in a table of about 110 bytes a row. Each run has a fresh copy of the table;
repeats go through the variants forward and backward in turn, and a ratio is always one of two runs of one repeat.
TMPDIR chooses the disk of the servers. Three parts:

speed    every variant, alone on the server; the CPU seconds of its sessions show how far to trust a busy machine
writer   with a writer that updates a random row every 2 ms: the longest, the 99 % and the median wait
scale    in its own process: the cost of a row in a large table, and the growth of the peak of memory
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import safeops
from tests.benchmarks import plot, report, server
from tests.benchmarks.alone import run_alone
from tests.benchmarks.results import IDLE, Results, ServerResults, machine
from tests.benchmarks.variants import SINGLE, VARIANTS, check_filled
from tests.benchmarks.writer import writing
from tests.servers import ROOT

RESULTS = Path(__file__).parent / "results"
PLOT = ROOT / "docs/images/backfill.svg"
PARTS = ("speed", "writer", "scale")
IDLE_SECONDS = 5.0
SETTLED = 0.5

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    if options.draw:
        _present(Results.read(options.draw), options)
        return
    settings = dict(setting.split("=", 1) for setting in options.set)
    started = datetime.datetime.now(datetime.timezone.utc)
    results = Results(
        started=started.isoformat(timespec="seconds"),
        machine={**machine(), "flush_ms": round(server.flush_milliseconds(), 3)},
        settings={**server.SETTINGS, **settings, "all other settings": "defaults: fsync on, autovacuum on"},
        rows=options.rows,
        sizes={"least": options.rows // 10, "large": options.large or options.rows * 10},
        subject=options.subject,
    )
    # Loaded when first used: not within a measurement.
    getattr(safeops, "backfill", None)
    path = options.json or RESULTS / f"backfill-{started:%Y%m%d-%H%M%S}.json"
    for version in options.versions:
        with server.started(version, settings) as running:
            measured = ServerResults(".".join(map(str, running.version)))
            results.servers.append(measured)
            _Bench(running, results, measured, options).run()
        # After each server: an interrupted run keeps what it has.
        results.write(path)
    _say(f"written to {path}")
    _present(results, options)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.backfill", description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, help="of the table; default: 1000000")
    parser.add_argument("--large", type=int, help="rows of the large table of part scale; default: 10 times --rows")
    parser.add_argument("--versions", type=_list, default=["15", "18"], help="of PostgreSQL; default: 15,18")
    parser.add_argument("--repeat", type=int, help="default: 5")
    parser.add_argument("--repeat-scale", type=int, help="repeats of part scale; default: 2")
    parser.add_argument("--quick", action="store_true", help="200000 rows, 400000 in the large table, 2 repeats")
    parser.add_argument("--parts", type=_list, default=[*PARTS], help=f"default: {','.join(PARTS)}")
    parser.add_argument("--variants", type=_list, default=[*VARIANTS], help=f"default: {','.join(VARIANTS)}")
    parser.add_argument("--subject", default="serial", help="the variant that is judged; default: serial")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the server")
    parser.add_argument("--json", type=Path, help="where the results go; default: a new file in results/")
    parser.add_argument("--draw", type=Path, metavar="JSON", help="measure nothing; show and draw these results")
    parser.add_argument("--plot", type=Path, help=f"where the plot goes; {PLOT.relative_to(ROOT)} unless --quick")
    options = parser.parse_args(arguments)
    quick = options.quick
    options.rows = options.rows or (200_000 if quick else 1_000_000)
    options.large = options.large or (400_000 if quick else 0)
    options.repeat = options.repeat or (2 if quick else 5)
    options.repeat_scale = options.repeat_scale or (1 if quick else 2)
    options.plot = options.plot or (None if quick else PLOT)
    return options


def _list(text: str) -> list[str]:
    return text.split(",")


class _Bench:
    """All measurements on one server."""

    def __init__(
        self, running: server.DiskPostgreSQL, results: Results, measured: ServerResults, options: argparse.Namespace
    ) -> None:
        self.server, self.results, self.measured, self.options = running, results, measured, options
        self.rows: int = options.rows

    def run(self) -> None:
        _say(f"PostgreSQL {self.measured.version}: one UPDATE that does not count")
        self._seconds(SINGLE)
        for part in self.options.parts:
            getattr(self, part)()

    def speed(self) -> None:
        self.measured.seconds = {name: [] for name in self.options.variants}
        self.measured.cpu_seconds = {name: [] for name in self.options.variants}
        for name in _alternating(self.options.variants, self.options.repeat):
            seconds, cpu = self._seconds(name)
            self.measured.seconds[name].append(seconds)
            self.measured.cpu_seconds[name].append(cpu)
            _say(f"speed {name}: {seconds:.2f} s, of the server's sessions {cpu:.2f} s CPU")

    def writer(self) -> None:
        names = [IDLE, SINGLE, *(name for name in self.options.variants if name == self.options.subject)]
        names += [name for name in self.options.variants if name in ("threads", "processes")]
        self.measured.waits = {name: [] for name in names}
        for name in _alternating(names, self.options.repeat):
            with self.server.copy(self.rows) as database:
                with writing(database, self.rows) as waits:
                    time.sleep(SETTLED)
                    began = time.monotonic()
                    if name == IDLE:
                        time.sleep(IDLE_SECONDS)
                    else:
                        VARIANTS[name].run(database)
                    ended = time.monotonic()
                    time.sleep(SETTLED)
                if name != IDLE:
                    check_filled(database)
            waited = waits.between(began, ended)
            self.measured.waits[name].append(waited)
            _say(
                f"with a writer, {name}: longest {waited.longest:.1f} ms, median {waited.median:.2f} ms, n={waited.count}"
            )

    def scale(self) -> None:
        sizes = (self.results.sizes["least"], self.rows, self.results.sizes["large"])
        names = list(dict.fromkeys([SINGLE, self.options.subject]))
        self.measured.alone = {name: {rows: [] for rows in sizes} for name in names}
        pairs = [(name, rows) for rows in sizes for name in names]
        for name, rows in _alternating(pairs, self.options.repeat_scale):
            with self.server.copy(rows) as database:
                run = run_alone(name, database)
                check_filled(database)
            self.measured.alone[name][rows].append(run)
            _say(f"scale {name}, {rows:,} rows: {run.seconds:.2f} s, {run.peak_kb / 1024:.1f} MB")

    def _seconds(self, name: str) -> tuple[float, float]:
        with self.server.copy(self.rows) as database:
            before = self.server.cpu_seconds()
            seconds = VARIANTS[name].run(database)
            cpu = self.server.cpu_seconds() - before
            check_filled(database)
        return seconds, cpu


def _alternating(items: Sequence[T], times: int) -> Iterator[T]:
    """All items again and again, forward and backward in turn: a machine that slows down is unfair to none."""
    for number in range(times):
        yield from items if number % 2 == 0 else reversed(items)


def _present(results: Results, options: argparse.Namespace) -> None:
    print(report.text(results), "", report.markdown(results), sep="\n")
    if options.plot:
        options.plot.parent.mkdir(parents=True, exist_ok=True)
        options.plot.write_text(plot.svg(results))
        _say(f"drawn to {options.plot}")


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
