"""The figures of README and docs: each is rendered from the results, between two comments of a page.

<!-- measured: speeds backfill -->
...
<!-- measured until here -->
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.benchmarks import plot
from tests.benchmarks.results import IDLE, Results, Series, Spread
from tests.servers import ROOT

PLOT = ROOT / "docs/images/backfill.svg"
BLOCK = re.compile(
    r"(?P<head><!-- measured: (?P<what>[\w -]+?) -->\n).*?(?P<end><!-- measured until here -->)", re.DOTALL
)
POSTGRESQL = ("PostgreSQL 15", "PostgreSQL 18")


def write(results: Results) -> None:
    """Render the plot and all figures of the pages."""
    PLOT.write_text(plot.svg(results))
    for page in pages():
        page.write_text(rendered(page.read_text(), results))


def pages() -> list[Path]:
    """The pages that have figures."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if BLOCK.search(page.read_text())]


def rendered(text: str, results: Results) -> str:
    def block(found: re.Match[str]) -> str:
        form, *arguments = found["what"].split()
        return f"{found['head']}{FORMS[form](results, *arguments)}\n{found['end']}"

    return BLOCK.sub(block, text)


def _method(results: Results) -> str:
    machine, at = results.machine, f" at commit {results.commit}" if results.commit else ""
    memory = results.settings["PostgreSQL"]["shared_buffers"]
    again: dict[str, list[str]] = {}
    for part, commit in results.commits.items():
        again.setdefault(commit, []).append(f'"{results.titles[part]}"')
    later = [f" Measured again at commit {commit}: {', '.join(titles)}." for commit, titles in again.items()]
    return _lines(
        f"Measured on {results.started[:10]}{at} on {machine['cores']} cores ({machine['processor']}) and a disk that"
        f" flushes a page in {machine['flush_ms']:.2f} ms. The servers have {memory} of buffers and the durability of their"
        " defaults. Each figure is the median of the rounds, with the lowest and the highest." + "".join(later)
    )


def _summary(results: Results) -> str:
    """What README and the FAQ state."""
    serial, threads = _speeds_of(results, "serial"), _speeds_of(results, "threads")
    longest = [_longest(results.one("writer", server, "serial")) for server in POSTGRESQL]
    others = [_longest(results.one("writer", server, "single")) for server in POSTGRESQL]
    rows = results.of("backfill", POSTGRESQL[0])[0].rows
    return _lines(
        f"For {rows:,} rows on PostgreSQL 15 and 18, `backfill` is {_both(serial)} times as fast as one `UPDATE`, or"
        f" {_both(threads)} times with two threads. The longest wait of a concurrent writer is"
        f" {' and '.join(map(_wait, longest))} instead of {' and '.join(map(_wait, others))}, and the backfill can be"
        " stopped and resumed."
    )


def _speeds_of(results: Results, variant: str) -> list[float]:
    found = []
    for server in POSTGRESQL:
        one, single = results.one("backfill", server, variant), results.one("backfill", server, "single")
        if one is None or single is None:
            raise LookupError(f"the results lack {variant} on {server}: measure part backfill")
        found.append(one.speed(single).median)
    return found


def _both(values: Sequence[float]) -> str:
    return " and ".join(f"{value:.2f}" for value in values)


def _longest(series: Series | None) -> float:
    if series is None:
        raise LookupError("the results lack waits: measure part writer")
    return Spread.of(series.longest).median


def _speeds(results: Results, part: str) -> str:
    def cell(one: Series, base: Series) -> str:
        return f"{Spread.of(one.seconds).median:.2f} s" if one is base else one.speed(base).format()

    return _table(results, part, cell)


def _times(results: Results, part: str) -> str:
    """How many times as long as the first."""

    def cell(one: Series, base: Series) -> str:
        return f"{Spread.of(one.seconds).median:.2f} s" if one is base else base.speed(one).format()

    return _table(results, part, cell)


def _waits(results: Results, part: str) -> str:
    def cell(one: Series, _base: Series) -> str:
        others = [f"{Spread.of(figures).median:,.1f}" for figures in (one.p99, one.median) if figures]
        return "; ".join([Spread.of(one.longest).format(",.0f"), *others])

    return _table(results, part, cell)


def _memory(results: Results, part: str) -> str:
    return _table(results, part, lambda one, _base: f"{max(one.peak_mb):.0f} MB" if max(one.peak_mb) else "")


def _table(results: Results, part: str, cell: Callable[[Series, Series], str]) -> str:
    """The variants of a part, with a column for each server."""
    servers = [server for name, server in results.tables() if name == part]
    columns = [results.of(part, server) for server in servers]
    if not columns:
        return "Not measured."
    bases = [next(one for one in column if one.variant != IDLE) for column in columns]
    lines = [
        ["", *(f"{column[0].major}{_count(column[0].rows)}" for column in columns)],
        ["---"] * (1 + len(columns)),
    ]
    shown = ((one.variant, one.build, one.title) for column in columns for one in column)
    for variant, build, title in dict.fromkeys(shown):
        found = [results.one(part, server, variant, build) for server in servers]
        cells = [cell(one, base) if one else "" for one, base in zip(found, bases, strict=True)]
        lines.append([title + (f" at {build}" if build else ""), *cells])
    return "\n".join("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|" for cells in lines)


def _count(rows: int) -> str:
    return f", {rows:,} rows" if rows else ""


def _lines(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 140, break_on_hyphens=False))


def _wait(milliseconds: float) -> str:
    return f"{milliseconds:,.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


FORMS: Mapping[str, Callable[..., str]] = {
    "method": _method,
    "summary": _summary,
    "speeds": _speeds,
    "times": _times,
    "waits": _waits,
    "memory": _memory,
}
