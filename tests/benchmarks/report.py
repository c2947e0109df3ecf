"""The tables of what was measured, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.benchmarks.results import IDLE, Results, Series, Spread


def text(results: Results) -> str:
    """A table for each part and server."""
    facts = {"measured": results.started, "commit": results.commit, **results.machine}
    lines = [f"{key}: {value}" for key, value in facts.items()]
    for product, settings in results.settings.items():
        lines.append(
            f"{product}: {', '.join(f'{name}={value}' for name, value in settings.items())}; else its defaults"
        )
    for part, server in results.tables():
        series = results.of(part, server)
        lines += ["", f"{results.titles[part]}: {server}, {series[0].rows:,} rows, {len(series[0].seconds)} rounds"]
        lines += _table([*_rows(series)])
    return "\n".join(lines)


def _rows(series: Sequence[Series]) -> Iterator[Sequence[str]]:
    base = next(one for one in series if one.variant != IDLE)
    earlier = {one.variant: one for one in series if one.build}
    waits = any(one.longest for one in series)
    head = ["", "seconds", "CPU seconds", "peak MB", "speed, first = 1"]
    head += ["speed, earlier = 1"] if earlier else []
    yield [*head, "longest wait ms", "99 %", "median"] if waits else head
    for one in series:
        before = earlier.get(one.variant)
        yield [
            one.title.replace("`", "") + (f" at {one.build}" if one.build else ""),
            *(["", "", "", ""] if one.variant == IDLE else _speeds(one, base)),
            *([one.speed(before).format() if before and one is not before else ""] if earlier else []),
            *([_spread(figures) for figures in (one.longest, one.p99, one.median)] if waits else []),
        ]


def _spread(figures: Sequence[float]) -> str:
    return Spread.of(figures).format(".1f") if figures else ""


def _speeds(one: Series, base: Series) -> Iterator[str]:
    yield Spread.of(one.seconds).format()
    yield Spread.of(one.cpu_seconds).format()
    yield f"{max(one.peak_mb):.0f}"
    yield one.speed(base).format()


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join([first.strip().ljust(widths[0]), *others]).rstrip())
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]
