"""The tables of a benchmark: for the terminal, and in Markdown for the README."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from tests.benchmarks.results import IDLE, Results, ServerResults, Spread
from tests.benchmarks.variants import SINGLE, VARIANTS


def text(results: Results) -> str:
    """Everything that was measured, and whether it reaches the target."""
    lines = [f"{key}: {value}" for key, value in (results.machine | results.settings).items()]
    for server in results.servers:
        lines += ["", f"PostgreSQL {server.version}, {results.rows:,} rows"]
        lines += _table([*_speed_rows(server, results)]) if server.seconds else []
        lines += _table([*_wait_rows(server)]) if server.waits else []
        lines += _table([*_alone_rows(server)]) if server.alone else []
        lines += _table([*_wanted_rows(server, results)])
    return "\n".join(lines)


def markdown(results: Results) -> str:
    """The table for the README: speed relative to the single UPDATE, and the longest wait of a writer."""
    heads = [f"PostgreSQL {server.version.split('.')[0]}" for server in results.servers]
    head = ["", *(f"{head}: speed" for head in heads), *(f"{head}: longest wait" for head in heads)]
    lines = [head, ["---"] * len(head)]
    for name in (IDLE, *VARIANTS):
        title = "only the writer" if name == IDLE else VARIANTS[name].title
        speeds = [f"{server.speed(name).median:.2f}×" if name in server.seconds else "" for server in results.servers]
        waits = [
            f"{_longest(server, name).median:,.0f} ms" if name in server.waits else "" for server in results.servers
        ]
        if any(speeds + waits):
            lines.append([title, *speeds, *waits])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _longest(server: ServerResults, name: str) -> Spread:
    return Spread.of([wait.longest for wait in server.waits[name]])


def _speed_rows(server: ServerResults, results: Results) -> Iterator[Sequence[str]]:
    yield "variant", "seconds", "server's CPU seconds", "rows a second", "speed, one UPDATE = 1"
    for name, seconds in server.seconds.items():
        rate = results.rows / statistics.median(seconds)
        cpu = Spread.of(server.cpu_seconds[name]).format()
        yield VARIANTS[name].title, Spread.of(seconds).format(), cpu, f"{rate:,.0f}", server.speed(name).format()


def _wait_rows(server: ServerResults) -> Iterator[Sequence[str]]:
    yield "with a writer", "longest ms", "99 % ms", "median ms", "updates"
    for name, waits in server.waits.items():
        figures = [Spread.of([getattr(wait, what) for wait in waits]).format() for what in ("longest", "p99", "median")]
        count = statistics.median(wait.count for wait in waits)
        yield "nothing" if name == IDLE else VARIANTS[name].title, *figures, f"{count:.0f}"


def _alone_rows(server: ServerResults) -> Iterator[Sequence[str]]:
    yield "in a process of its own", "rows", "seconds", "µs a row", "peak memory MB"
    for name, sizes in server.alone.items():
        for rows, runs in sizes.items():
            seconds = Spread.of([run.seconds for run in runs])
            peak = Spread.of([run.peak_kb / 1024 for run in runs])
            per_row = f"{seconds.median / rows * 1e6:.2f}"
            yield VARIANTS[name].title, f"{rows:,}", seconds.format(), per_row, peak.format(".1f")


def _wanted_rows(server: ServerResults, results: Results) -> Iterator[Sequence[str]]:
    yield "wanted", "is", "limit", ""
    for what, spread, sign, limit in _wanted(server, results):
        met = spread.median >= limit if sign == "≥" else spread.median <= limit
        yield what, spread.format(".3f"), f"{sign} {limit:g}", "yes" if met else "NO"


def _wanted(server: ServerResults, results: Results) -> Iterator[tuple[str, Spread, str, float]]:
    subject = results.subject
    speeds = [
        (subject, SINGLE, 1.0),
        (subject, "limit", 3.0),
        (subject, "ids", 1.3),
        ("threads", SINGLE, 1.3),
        ("processes", SINGLE, 1.3),
    ]
    for name, other, limit in speeds:
        if name in server.seconds and other in server.seconds:
            yield f"speed of {name} / {other}", server.speed(name, other), "≥", limit
    if subject in server.waits:
        yield f"longest wait beside {subject} / {SINGLE}", server.wait_ratio("longest", subject, SINGLE), "≤", 1 / 50
        yield f"median wait beside {subject} / {IDLE}", server.wait_ratio("median", subject, IDLE), "≤", 3.0
    if subject in server.alone:
        least, rows, large = results.sizes["least"], results.rows, results.sizes["large"]
        yield f"cost of a row, {large:,} / {rows:,} rows", server.cost_per_row(subject, large, rows), "≤", 1.15
        growth = server.peak_growth_mb(subject, large, least)
        yield f"growth of peak memory in MB, {least:,} to {large:,} rows", growth, "≤", 10.0


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join([first.strip().ljust(widths[0]), *others]).rstrip())
    return ["", lines[0], "-" * max(map(len, lines)), *lines[1:]]
