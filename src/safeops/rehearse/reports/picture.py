"""The timeline of a run as SVG: each table with what blocked it, and below it how long its requests took."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from math import ceil, log10
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from safeops.rehearse.impact import ALL_WAIT, BRIEF, FREE, WRITES_WAIT
from safeops.rehearse.reports.svg import element_of
from safeops.rehearse.reports.timeline import EFFECTS, Lane, Mark, Timeline, worst
from safeops.rehearse.reports.wording import clean, shortened, took

WIDE, NARROW = 920, 380
"""The widths of a picture in pixels: of a page on a screen or on paper, and on a telephone."""
MOST_LANES = 12
HEAD, NAME, STRIP, BETWEEN, LATENCY, GAP, FOOT = 44, 20, 14, 4, 46, 12, 36
LANE = NAME + STRIP + BETWEEN + LATENCY + GAP
LEFT, RIGHT = 54, 10
PIXELS_OF_A_BUCKET = 3
PIXELS_OF_A_NUMBER, PIXELS_OF_A_DIGIT = 8, 6
FASTEST = 0.001

# Colours that matplotlib is given, each for a variable of the page's style sheet.
COLOURS = {"ink": "#000001", "quiet": "#000002", "line": "#000003", "band": "#000004", "latency": "#000005"} | {
    effect: f"#00001{number}" for number, effect in enumerate(EFFECTS)
}
VARIABLES = {colour: f"var(--{name.replace(' ', '-')})" for name, colour in COLOURS.items()}
HEIGHTS = {FREE: 0.15, BRIEF: 0.45, WRITES_WAIT: 0.75, ALL_WAIT: 1.0}
"""Of the strip: the effects differ in height too, for print and for readers who do not see the colours."""


def pictures(timeline: Timeline, max_wait: float | None, name: str) -> dict[str, str]:
    """Return the picture for each width; ``name`` makes its ids unique on the page."""
    drawn = {}
    for size, width in (("wide", WIDE), ("narrow", NARROW)):
        settings: Any = {
            "svg.fonttype": "none",
            "svg.hashsalt": f"{name}-{size}",
            "path.simplify": False,
        }
        # The page's own fonts are used: which characters matplotlib's has does not matter.
        with matplotlib.rc_context(settings), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            figure = _Drawing(timeline, max_wait, width).drawn()
            drawn[size] = element_of(figure, VARIABLES, size, described(timeline))
    return drawn


def described(timeline: Timeline) -> str:
    """Return the picture in words, for those who cannot see it."""
    return " ".join(f"{clean(lane.name)}: {summary(lane)}." for lane in timeline.lanes[:MOST_LANES])


def summary(lane: Lane) -> str:
    """Return in words how long a table was blocked, and its slowest request."""
    blocked = [
        f"{effect} {took(lane.seconds(effect))}" for effect in (ALL_WAIT, WRITES_WAIT) if lane.seconds(effect) > 0
    ]
    slowest = [f"slowest request {took(lane.slowest)}"] if lane.samples else []
    return ", ".join(blocked + slowest) or "nothing waited"


class _Drawing:
    """One pair of axes: the time to the right, and pixels downwards."""

    def __init__(self, timeline: Timeline, max_wait: float | None, width: int) -> None:
        self.timeline, self.max_wait, self.width = timeline, max_wait, width
        self.lanes = timeline.lanes[:MOST_LANES]
        self.bottom = HEAD + len(self.lanes) * LANE
        slowest = max([lane.slowest for lane in self.lanes] + [max_wait or 0.0, 10 * FASTEST])
        self.decades = ceil(log10(slowest * 1.2 / FASTEST))
        self.pixel = (timeline.window[1] - timeline.window[0]) / (width - LEFT - RIGHT)

    def drawn(self) -> Figure:
        height = self.bottom + FOOT
        # A point of matplotlib is a pixel of the page.
        figure = Figure(figsize=(self.width / 72, height / 72), dpi=72)
        figure.patch.set_visible(False)
        box = (LEFT / self.width, FOOT / height, 1 - (LEFT + RIGHT) / self.width, self.bottom / height)
        self.axes = figure.add_axes(box, xlim=self.timeline.window, ylim=(self.bottom, 0))
        self._frame()
        self._phases()
        self._statements()
        for number, lane in enumerate(self.lanes):
            self._lane(lane, HEAD + number * LANE)
        return figure

    def _text(self, x: float, y: float, text: str, colour: str, **style: Any) -> None:
        self.axes.text(x, y, clean(text), color=COLOURS[colour], parse_math=False, **{"fontsize": 10, **style})

    # Around the lanes -------------------------------------------------------------------------------------------

    def _frame(self) -> None:
        self.axes.patch.set_visible(False)
        self.axes.spines[:].set_visible(False)
        self.axes.yaxis.set_visible(False)
        self.axes.tick_params(axis="x", length=0, labelsize=10, labelcolor=COLOURS["quiet"], pad=2)
        self.axes.locator_params(axis="x", nbins=8 if self.width == WIDE else 4)
        self.axes.xaxis.set_major_formatter("{x:,g}")
        self.axes.set_xlabel("seconds since the traffic began", color=COLOURS["quiet"], fontsize=10, labelpad=3)

    def _phases(self) -> None:
        line: Any = {"color": COLOURS["line"], "solid_capstyle": "butt", "linewidth": 2}
        for name, began, ended in self.timeline.phases:
            self.axes.plot([began, max(began, ended - 3 * self.pixel)], [14, 14], **line)
            if (ended - began) / self.pixel > len(name) * PIXELS_OF_A_DIGIT:
                self._text((began + ended) / 2, 9, name, "quiet", ha="center")

    def _statements(self) -> None:
        """Draw a band for each statement over all tables, and its number if there is room."""
        # A pixel less separates it from the next one; thousands of short ones become one band.
        bars = [(mark.began, max(mark.ended - mark.began - self.pixel, self.pixel)) for mark in self.timeline.marks]
        self.axes.broken_barh(_joined(bars), (HEAD, self.bottom - HEAD), facecolor=COLOURS["band"])
        for mark in _with_room(_equal_as_one(self.timeline.marks), self.pixel):
            colour = mark.effect if mark.effect in (WRITES_WAIT, ALL_WAIT) else "ink"
            self._text(_middle(mark), HEAD - 4, str(mark.number), colour, ha="center", weight="bold")

    # A lane -----------------------------------------------------------------------------------------------------

    def _lane(self, lane: Lane, top: int) -> None:
        self._name(lane, top + NAME - 6)
        self._strip(lane, top + NAME + STRIP)
        self._requests(lane, top + NAME + STRIP + BETWEEN + LATENCY)

    def _name(self, lane: Lane, y: float) -> None:
        wide = self.width == WIDE
        began, ended = self.timeline.window
        name = shortened(clean(lane.name).replace("\n", " "), 70 if wide else 48)
        self._text(began, y, name, "ink", fontsize=11, weight="bold")
        if wide:
            self._text(ended, y, summary(lane), "quiet", fontsize=11, ha="right")

    def _strip(self, lane: Lane, y: float) -> None:
        began, ended = self.timeline.window
        bars = {FREE: [(began, ended - began)]} | {
            effect: [(a, max(b - a, 2 * self.pixel)) for a, b, one in lane.blocked if one == effect]
            for effect in EFFECTS[1:]
        }
        for effect, found in bars.items():
            height = HEIGHTS[effect] * STRIP
            if found:
                self.axes.broken_barh(_joined(found), (y - height, height), facecolor=COLOURS[effect])

    def _requests(self, lane: Lane, y: float) -> None:
        """Fill below the slowest request at each time; what exceeds the budget in the colour of a table that waits."""
        began, ended = self.timeline.window
        # With two requests in each, hardly any is empty.
        buckets = min((self.width - LEFT - RIGHT) // PIXELS_OF_A_BUCKET, len(lane.samples) // 2 + 1)
        slowest = lane.slowest_by_time(self.timeline.window, buckets)
        edges = [began + (ended - began) * number / buckets for number in range(buckets + 1)]
        budget = self.max_wait or float("inf")
        within = [y - self._height(min(one, budget)) for one in slowest]
        self.axes.stairs(within, edges, baseline=y, fill=True, color=COLOURS["latency"])
        if max(slowest) > budget:
            above = [y - self._height(one) for one in slowest]
            self.axes.stairs(above, edges, baseline=within, fill=True, color=COLOURS[ALL_WAIT])
        self._scale(y)

    def _scale(self, y: float) -> None:
        began, ended = self.timeline.window
        for decade in range(self.decades + 1):
            at = y - self._height(FASTEST * 10**decade)
            self.axes.hlines(at, began, ended, color=COLOURS["line"], linewidth=0.5)
            if decade % 2 == 0:
                self._text(began - 5 * self.pixel, at + 3, took(FASTEST * 10**decade), "quiet", ha="right")
        self.axes.hlines(y, began, ended, color=COLOURS["line"], linewidth=1)
        if self.max_wait:
            at = y - self._height(self.max_wait)
            self.axes.hlines(at, began, ended, color=COLOURS[ALL_WAIT], linewidth=1, linestyle=[(0, (4, 3))])

    def _height(self, seconds: float) -> float:
        """Return the pixels of a duration, on a scale on which each line is ten times the one below."""
        if seconds <= 0:
            return 0.0
        lowest = log10(FASTEST / 2)
        return max(0.0, (log10(seconds) - lowest) / (log10(FASTEST) + self.decades - lowest) * LATENCY)


def _equal_as_one(marks: Iterable[Mark]) -> list[Mark]:
    """Return the statements with those that are one in the report as one."""
    found: dict[int, Mark] = {}
    for mark in marks:
        first = found.setdefault(mark.number, mark)
        effect = worst((first.effect, mark.effect))
        found[mark.number] = Mark(mark.number, min(first.began, mark.began), max(first.ended, mark.ended), effect)
    return list(found.values())


def _middle(mark: Mark) -> float:
    return (mark.began + mark.ended) / 2


def _with_room(marks: Iterable[Mark], pixel: float) -> Iterator[Mark]:
    """Yield the statements of which the numbers do not overlap; those that block most and last longest come first."""
    taken: list[tuple[float, float]] = []
    for mark in sorted(marks, key=lambda mark: (-EFFECTS.index(mark.effect), mark.began - mark.ended)):
        half = (PIXELS_OF_A_NUMBER + PIXELS_OF_A_DIGIT * len(str(mark.number))) / 2 * pixel
        left, right = _middle(mark) - half, _middle(mark) + half
        if all(right <= a or left >= b for a, b in taken):
            taken.append((left, right))
            yield mark


def _joined(bars: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return bars of (from, length) with those that overlap as one."""
    joined: list[tuple[float, float]] = []
    for began, length in sorted(bars):
        if joined and began <= sum(joined[-1]):
            first = joined[-1][0]
            joined[-1] = (first, max(sum(joined[-1]), began + length) - first)
        else:
            joined.append((began, length))
    return joined
