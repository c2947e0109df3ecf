"""The plot of the results, as SVG: the speed of each way to fill a column, against the longest wait of a writer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from tests.benchmarks.results import IDLE, Results, Spread

WIDTH, HEIGHT = 440, 330
LEFT, TOP, RIGHT, BOTTOM = 66, 46, 424, 276
HEAD = 64
SHORT = {
    "single": "one UPDATE",
    "limit": "LIMIT loop",
    "ids": "lists of ids",
    "ranges": "key ranges",
    "serial": "backfill",
    "threads": "2 threads",
    "processes": "2 processes",
}
OURS = ("serial", "threads", "processes")
LETTER, LINE = 6.4, 14

# Its own ground makes it legible on any page; the colours follow the reader's if the page sets them.
STYLE = """
svg { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
.ground { fill: #ffffff; stroke: #d0d7de; } text { fill: #1f2328; } .quiet { fill: #59636e; }
.title { font-size: 16px; font-weight: 600; } .head { font-size: 13px; font-weight: 600; }
.grid { stroke: #d8dee4; } .one { stroke: #59636e; stroke-dasharray: 3 3; }
.label { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; }
.ours { fill: #0969da; stroke: #0969da; } .earlier { fill: #ffffff; stroke: #0969da; stroke-width: 1.5; }
.hand { fill: #9a6700; stroke: #9a6700; } .spread { stroke-opacity: .45; }
.change { stroke: #0969da; stroke-dasharray: 2 3; fill: none; }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117; stroke: #3d444d; } text { fill: #f0f6fc; } .quiet { fill: #9198a1; } .grid { stroke: #2a313c; }
.one { stroke: #9198a1; } .label { stroke: #0d1117; }
.ours { fill: #4493f8; stroke: #4493f8; } .earlier { fill: #0d1117; stroke: #4493f8; } .change { stroke: #4493f8; }
.hand { fill: #d29922; stroke: #d29922; }
}"""


@dataclasses.dataclass(frozen=True)
class _Point:
    variant: str
    build: str
    speed: Spread
    wait: Spread

    @property
    def kind(self) -> str:
        return "earlier" if self.build else "ours" if self.variant in OURS else "hand"


def svg(results: Results) -> str:
    """Draw a panel for each server whose speeds and waits were measured."""
    panels = {server: points for _, server in results.tables() if (points := _points(results, server))}
    builds = sorted({point.build for points in panels.values() for point in points if point.build})
    columns, rows = min(2, len(panels)) or 1, math.ceil(len(panels) / 2)
    width, height = 20 + max(columns, 2) * WIDTH, HEAD + rows * HEIGHT + 8
    title = "Speed of ways to fill a column, against the longest wait of a writer next to each"
    drawn: list[str] = []
    for number, (server, points) in enumerate(panels.items()):
        drawn.append(f'<g transform="translate({10 + number % 2 * WIDTH} {HEAD + number // 2 * HEIGHT})">')
        drawn += [*_Panel(_name(results, server), points).drawn(), "</g>"]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="ground" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>',
            _text(20, 28, title, "title"),
            *_legend(builds),
            *drawn,
            "</svg>\n",
        ]
    )


def _legend(builds: Sequence[str]) -> Iterator[str]:
    kinds = {"ours": "safeops", "hand": "by hand"}
    kinds |= {"earlier": f"safeops at {', '.join(builds)}"} if builds else {}
    x = 26.0
    for kind, text in kinds.items():
        yield _mark(kind, x, 48)
        yield _text(x + 11, 52, text)
        x += 30 + LETTER * len(text)
    note = "; lines: lowest to highest; to the right and further down is better"
    yield _text(x - 12, 52, note, "quiet")


def _name(results: Results, server: str) -> str:
    first = results.of("backfill", server)[0]
    return f"{first.major}, {first.rows:,} rows"


def _points(results: Results, server: str) -> list[_Point]:
    single = results.one("backfill", server, "single")
    found = []
    for one in results.of("backfill", server):
        waited = results.one("writer", server, one.variant, one.build)
        if single and waited and waited.variant != IDLE:
            found.append(_Point(one.variant, one.build, one.speed(single), Spread.of(waited.longest)))
    return found


class _Panel:
    """One server: speeds from left to right, waits upwards on a logarithmic axis."""

    def __init__(self, title: str, points: Sequence[_Point]) -> None:
        self.title, self.points = title, points
        self.fastest = math.ceil(max(point.speed.high for point in points) * 4 + 0.2) / 4
        self.low = math.floor(math.log10(min(point.wait.low for point in points)) - 0.02)
        self.high = math.ceil(math.log10(max(point.wait.high for point in points)) + 0.02)
        self.taken = [_around(*self._place(point), 7, 7) for point in points]

    def drawn(self) -> Iterator[str]:
        yield _text(LEFT, 22, self.title, "head")
        yield _text(LEFT, 38, "longest wait of a writer", "quiet")
        yield _text(RIGHT, BOTTOM + 36, "speed, one UPDATE = 1", "quiet", "end")
        yield from self._axes()
        for point in self.points:
            yield from self._spread(point)
        for point in self.points:
            yield from self._change(point)
            yield _mark(point.kind, *self._place(point))
        for point in self.points:
            if not point.build:
                yield self._label(point)

    def _axes(self) -> Iterator[str]:
        step = 0.25 if self.fastest <= 2 else 0.5
        for number in range(int(self.fastest / step) + 1):
            x = self._x(number * step)
            kind = "one" if number * step == 1 else "grid"
            yield f'<line class="{kind}" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{BOTTOM}"/>'
            yield _text(x, BOTTOM + 17, f"{number * step:g}", "quiet", "middle")
        for power in range(self.low, self.high + 1):
            y = self._y(10.0**power)
            yield f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{RIGHT}" y2="{y:.1f}"/>'
            unit = f"{10**power:,} ms" if power < 3 else f"{10 ** (power - 3):,} s"
            yield _text(LEFT - 8, y + 4, unit, "quiet", "end")

    def _spread(self, point: _Point) -> Iterator[str]:
        x, y = self._place(point)
        across = f"M{self._x(point.speed.low):.1f} {y:.1f}H{self._x(point.speed.high):.1f}"
        up = f"M{x:.1f} {self._y(point.wait.low):.1f}V{self._y(point.wait.high):.1f}"
        yield f'<path class="spread {"hand" if point.kind == "hand" else "ours"}" d="{across}{up}"/>'

    def _change(self, point: _Point) -> Iterator[str]:
        """From the earlier build to the present one."""
        for now in self.points:
            if point.build and (now.variant, now.build) == (point.variant, ""):
                (x, y), (to_x, to_y) = self._place(point), self._place(now)
                yield f'<path class="change" d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}"/>'

    def _label(self, point: _Point) -> str:
        """Next to its point, at the place that covers the least."""
        text = SHORT.get(point.variant, point.variant)
        half, (x, y) = LETTER * len(text) / 2, self._place(point)
        sides = [(half + 11, 0), (-half - 11, 0), (0, -16), (0, 16), (half + 8, -14), (half + 8, 14)]
        sides += [(-half - 8, -14), (-half - 8, 14), (0, -30), (0, 30), (half + 8, -28), (half + 8, 28)]
        boxes = [_around(x + dx, y + dy, half, LINE / 2) for dx, dy in sides]
        best = min(boxes, key=self._cost)
        self.taken.append(best)
        return _text((best[0] + best[2]) / 2, (best[1] + best[3]) / 2 + 4, text, "label", "middle")

    def _cost(self, box: tuple[float, float, float, float]) -> float:
        left, top, right, bottom = box
        outside = max(0, LEFT - left, right - RIGHT - 10, TOP - top, bottom - BOTTOM)
        return outside * LINE + sum(_shared(box, other) for other in self.taken)

    def _place(self, point: _Point) -> tuple[float, float]:
        return self._x(point.speed.median), self._y(point.wait.median)

    def _x(self, speed: float) -> float:
        return LEFT + speed / self.fastest * (RIGHT - LEFT)

    def _y(self, wait: float) -> float:
        return BOTTOM - (math.log10(wait) - self.low) / (self.high - self.low) * (BOTTOM - TOP)


def _around(x: float, y: float, half: float, high: float) -> tuple[float, float, float, float]:
    return x - half, y - high, x + half, y + high


def _shared(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """The area that two boxes share."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, wide) * max(0.0, high)


def _mark(kind: str, x: float, y: float) -> str:
    if kind == "hand":
        return f'<rect class="hand" x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9"/>'
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
