"""The plot of a benchmark, as SVG: the speed of the variants, and the longest waits of a writer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from tests.benchmarks.results import IDLE, Results, ServerResults, Spread
from tests.benchmarks.variants import SINGLE, VARIANTS

WIDTH, LEFT, RIGHT = 760, 230, 640
BAR, GAP, HEAD, FOOT = 15, 12, 86, 44

# Its own ground makes it legible on any page; the colours follow the reader's if the page sets them.
STYLE = """
svg { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
.ground { fill: #ffffff; stroke: #d0d7de; } text { fill: #1f2328; } .quiet { fill: #59636e; font-size: 12px; }
.title { font-size: 16px; font-weight: 600; } .grid { stroke: #d8dee4; } .one { stroke: #59636e; stroke-dasharray: 3 3; }
.figure { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; }
.whisker { stroke: #1f2328; stroke-opacity: .65; stroke-width: 1.5; }
.s0 { fill: #9a6700; } .s1 { fill: #0969da; } .s2 { fill: #1a7f37; } .s3 { fill: #8250df; } .s4 { fill: #cf222e; }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117; stroke: #3d444d; } text { fill: #f0f6fc; } .quiet { fill: #9198a1; } .grid { stroke: #2a313c; }
.one { stroke: #9198a1; } .whisker { stroke: #f0f6fc; } .figure { stroke: #0d1117; }
.s0 { fill: #d29922; } .s1 { fill: #4493f8; } .s2 { fill: #3fb950; } .s3 { fill: #ab7df8; } .s4 { fill: #f85149; }
}"""


def svg(results: Results) -> str:
    """Draw one panel for each part that was measured."""
    parts: list[str] = []
    top = 0
    for panel in (_speed_panel(results), _wait_panel(results)):
        if panel is not None:
            parts += panel.drawn(top)
            top += panel.height
    description = "Speed of ways to fill a column relative to one UPDATE, and longest waits of a writer"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}">',
            f"<title>{description}</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="ground" x=".5" y=".5" width="{WIDTH - 1}" height="{top - 1}" rx="8"/>',
            *parts,
            "</svg>\n",
        ]
    )


class _Panel:
    """Rows of bars, one bar a server, along an axis."""

    def __init__(
        self,
        title: str,
        note: str,
        servers: Sequence[ServerResults],
        rows: Sequence[tuple[str, Sequence[Spread | None]]],
    ) -> None:
        self.title, self.note, self.servers, self.rows = title, note, servers, rows
        self.row_height = BAR * len(servers) + GAP
        self.height = HEAD + self.row_height * len(rows) + FOOT

    low, high = 0.0, 1.0
    unit = ""
    mark: float | None = None

    def place(self, value: float) -> float:
        """The place of a value between the two ends of the axis, from 0 to 1."""
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> Iterator[float]:
        step = 0.25 if self.high <= 2 else 0.5
        for number in range(int(self.high / step) + 1):
            yield number * step

    def figure(self, value: float) -> str:
        return f"{value:.2f}{self.unit}"

    def tick(self, value: float) -> str:
        return f"{value:g}{self.unit}"

    def drawn(self, top: int) -> Iterator[str]:
        yield f'<g transform="translate(0 {top})">'
        yield _text(20, 30, self.title, "title")
        yield _text(20, 50, self.note, "quiet")
        for number, server in enumerate(self.servers):
            x = 20 + number * 130
            yield f'<rect class="s{number % 5}" x="{x}" y="62" width="10" height="10" rx="2"/>'
            yield _text(x + 16, 71, f"PostgreSQL {server.version.split('.')[0]}", "quiet")
        yield from self._axis()
        for number, (name, spreads) in enumerate(self.rows):
            yield from self._row(HEAD + number * self.row_height, name, spreads)
        yield "</g>"

    def _axis(self) -> Iterator[str]:
        bottom = self.height - FOOT
        for value in self.ticks():
            x = self._x(value)
            kind = "one" if value == self.mark else "grid"
            yield f'<line class="{kind}" x1="{x:.1f}" y1="{HEAD - 4}" x2="{x:.1f}" y2="{bottom}"/>'
            yield _text(x, bottom + 17, self.tick(value), "quiet", "middle")

    def _row(self, top: float, name: str, spreads: Sequence[Spread | None]) -> Iterator[str]:
        yield _text(LEFT - 12, top + self.row_height / 2 + 1, name, "", "end")
        for number, spread in enumerate(spreads):
            if spread is not None:
                yield from self._bar(top + GAP / 2 + number * BAR, number, spread)

    def _bar(self, y: float, number: int, spread: Spread) -> Iterator[str]:
        end, middle = self._x(spread.median), y + (BAR - 3) / 2
        low, high = self._x(spread.low), self._x(spread.high)
        yield f'<rect class="s{number % 5}" x="{LEFT}" y="{y:.1f}" width="{end - LEFT:.1f}" height="{BAR - 3}" rx="1"/>'
        yield f'<line class="whisker" x1="{low:.1f}" y1="{middle:.1f}" x2="{high:.1f}" y2="{middle:.1f}"/>'
        yield _text(max(end, high) + 6, middle + 4, self.figure(spread.median), "quiet figure")

    def _x(self, value: float) -> float:
        return LEFT + max(0.0, min(1.0, self.place(value))) * (RIGHT - LEFT)


class _LogPanel(_Panel):
    """The same along a logarithmic axis."""

    def place(self, value: float) -> float:
        return math.log10(value / self.low) / math.log10(self.high / self.low)

    def ticks(self) -> Iterator[float]:
        for power in range(round(math.log10(self.low)), round(math.log10(self.high)) + 1):
            yield 10.0**power

    def figure(self, value: float) -> str:
        return f"{value:,.0f}{self.unit}" if value >= 10 else f"{value:.1f}{self.unit}"


def _speed_panel(results: Results) -> _Panel | None:
    names = [name for name in VARIANTS if any(name in server.seconds for server in results.servers)]
    if not names:
        return None
    rows = [
        (VARIANTS[name].title, [server.speed(name) if name in server.seconds else None for server in results.servers])
        for name in names
    ]
    panel = _Panel(
        f"Filling a column of {results.rows:,} rows: speed against one UPDATE",
        "times as fast as one UPDATE in the same round; median, and lowest to highest; more is better",
        results.servers,
        rows,
    )
    panel.high = math.ceil(max(spread.high for _, spreads in rows for spread in spreads if spread) * 2 + 0.1) / 2
    panel.unit, panel.mark = "×", 1.0
    return panel


def _wait_panel(results: Results) -> _Panel | None:
    names = [name for name in (IDLE, *VARIANTS) if any(name in server.waits for server in results.servers)]
    if SINGLE not in names:
        return None
    rows = [
        (
            "only the writer" if name == IDLE else VARIANTS[name].title,
            [
                Spread.of([wait.longest for wait in server.waits[name]]) if name in server.waits else None
                for server in results.servers
            ],
        )
        for name in names
    ]
    panel = _LogPanel(
        "Longest wait of a concurrent application's UPDATE",
        "milliseconds, logarithmic; a writer updates a random row every 2 ms; median, and lowest to highest; less is better",
        results.servers,
        rows,
    )
    values = [value for _, spreads in rows for spread in spreads if spread for value in (spread.low, spread.high)]
    panel.low = 10.0 ** min(0, math.floor(math.log10(min(values)) - 0.05))
    panel.high = 10.0 ** math.ceil(math.log10(max(values)) + 0.05)
    panel.unit = " ms"
    return panel


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
