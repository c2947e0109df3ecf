"""A walk along the pages of a table, in the order in which they are stored.

It reads the pages in sequence; a walk along a key looks up each row in an index. And it updates the rows of a few pages in
several passes, each in a separate batch: the first one leaves dead rows behind, in whose place the server puts the new
versions of the next ones. Those need no new entries in the indexes of the table.

A row that another session updates can move behind the walk, or beyond its end. So only a backfill walks this way whose
remaining rows are found and swept up afterwards: the order of its rows must not matter.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, TypeAlias

from safeops.backfilling.port import Bound
from safeops.backfilling.spec import BackfillSpec
from safeops.backfilling.state import Part
from safeops.backfilling.walks import Slice
from safeops.databases.definitions import Column
from safeops.databases.ports import Port
from safeops.naming import Name

SMALLEST_TABLE = 256
"""Pages that a table has at least to be walked along them."""
PASSES = 3
"""How often a page is updated, each time another part of its rows.

On PostgreSQL 18, 300,000 rows of 110 bytes: with 1, 2, 3, 4 passes 0, 36, 48, 54 % of the updates needed no entries in an
index, the write-ahead log had 128, 107, 100, 97 MB, and the table ended with 9172, 7279, 6674, 6355 pages.
"""

SAMPLED = 300
"""Pages that are looked at: how many rows they have, and whether some have many more than others."""
UNEVEN = 2
"""How many times the average a page has that makes the pages uneven. Each batch then counts its rows first.

On PostgreSQL 18, 1,000,000 rows of 100 bytes: counting takes 5 % of the time of one UPDATE.
"""
SPARSE = 10
"""Rows a page on average, below which each batch counts its rows too: a sample can miss a few pages with many more."""

Position: TypeAlias = tuple[int, int]
"""A page of the table, and a line in it."""


@dataclass(frozen=True)
class Size:
    """How many pages a table has, and how many lines each of them has at most."""

    pages: int
    lines: int


class Heap(Port):
    """A table as the server stores it, on servers that can select rows by their place."""

    place = "safeops.backfilling.{family}:Heap"
    asked = "Selecting rows by their page"

    version: ClassVar[tuple[Column, ...]]
    """The columns that identify a version of a row of the table itself: another one has other values in them."""
    hint: ClassVar[str]
    """The hint by which a query reads the table itself, and not its children: they have rows at the same places."""

    @abstractmethod
    def size(self, table: Name) -> Size | None:
        """Return the size of a table; None if its rows cannot be selected by their place."""

    @abstractmethod
    def within(self, start: Position, stop: Position, share: float) -> str:
        """Return the condition of the rows from one place to before another, of which it selects a share."""

    @abstractmethod
    def sample(self, table: Name, share: float) -> tuple[int, int]:
        """Return how many rows a random share of the pages has, and how many the fullest of them."""

    @abstractmethod
    def place_of(self, table: Name, start: Position, stop: Position, number: int) -> Bound | None:
        """Return the place of the row with a number, counted from one place to before another; None if they are fewer."""

    @abstractmethod
    def written_now(self) -> str:
        """Return the condition of the rows that this transaction has written."""

    @abstractmethod
    def key_at(self, table: Name, key: tuple[Column, ...], position: Position) -> Bound | None:
        """Return the key of the row at a place; None if there is none."""


def cut(start: Bound | None, stop: Bound, pieces: int) -> list[Bound]:
    """Cut the pages of a range into pieces; return the end of each."""
    first, last = _position(start)[0], _position(stop)[0]
    cuts = {first + (last - first) * piece // pieces for piece in range(1, pieces)} - {first, last}
    return [*(bound((page, 0)) for page in sorted(cuts)), stop]


def bound(position: Position) -> Bound:
    """Return a place as a bound of a range."""
    return (f"({position[0]},{position[1]})",)


def _position(text: Bound | None) -> Position:
    if not text:
        return 0, 0
    page, line = text[0].strip("()").split(",")
    return int(page), int(line)


@dataclass(frozen=True)
class _Pass:
    """A pass over some pages: which one of how many, and how many rows those before it have updated."""

    part: int
    start: Position
    stop: Position
    passes: int
    number: int = 1
    updated: int = 0

    @property
    def is_last(self) -> bool:
        return self.number == self.passes


class PageWalk:
    """A walk along the pages of a table.

    Args:
        heap: The table, as the server stores it.
        spec: What the backfill does.
    """

    def __init__(self, heap: Heap, spec: BackfillSpec) -> None:
        self.heap, self.spec = heap, spec
        self._taken: _Pass | None = None
        self._open: _Pass | None = None
        self._refused_before: Position = (0, 0)

    @cached_property
    def _size(self) -> Size:
        return self.heap.size(self.spec.table) or Size(1, 1)

    @cached_property
    def _sample(self) -> tuple[float, int]:
        """How many rows a page has on average, and how many the fullest has, of some pages."""
        # The statistics of the server can be older than the table.
        share = min(SAMPLED / max(self._size.pages, 1), 1.0)
        rows, most = self.heap.sample(self.spec.table, share)
        return max(rows / max(share * self._size.pages, 1.0), 1.0), most

    @property
    def _rows_a_page(self) -> float:
        return self._sample[0]

    @property
    def _is_even(self) -> bool:
        """Whether the pages have about equally many rows: then a batch has about as many as it should."""
        average, most = self._sample
        return average >= SPARSE and most <= UNEVEN * average

    def next(self, part: Part, rows: int) -> Slice:
        start = _position(part.after or part.first)
        if self._taken is not None:
            # The last batch failed. Until its rows are done, there is one pass: if a first pass succeeded again and
            # again, the next one would meet the same locked or refused row each time.
            self._refused_before = self._taken.stop
        taken = self._next_pass(part.part, start) or self._first_pass(part, start, rows)
        self._taken, self._open = taken, None
        condition = self.heap.within(start, taken.stop, taken.number / taken.passes)
        held = round(self._rows_between(start, taken.stop))
        scanned = max(held // taken.passes, 1)
        if not taken.is_last:
            return Slice(condition, part.after, False, scanned, 0)
        finished = taken.stop >= _position(part.upto)
        return Slice(condition, bound(taken.stop), finished, scanned, max(held - taken.updated, 0))

    def _next_pass(self, part: int, start: Position) -> _Pass | None:
        return self._open if self._open and (self._open.part, self._open.start) == (part, start) else None

    def _first_pass(self, part: Part, start: Position, rows: int) -> _Pass:
        """Return the pass over about so many rows: whole pages, each again and again, or a few lines of one."""
        page, line = start
        # A function would be called in each pass for the rows for which it returns no value.
        once = start < self._refused_before or self.spec.function is not None
        passes = 1 if once else PASSES
        pages = int(rows * passes / self._rows_a_page) if rows > 1 else 0
        line_after = (page, line + rows) if line + rows <= self._size.lines else (page + 1, 0)
        stop = min((page + pages, 0) if pages else line_after, _position(part.upto))
        if pages > 1 and not self._is_even:
            stop = self._stop_of(start, stop, rows * passes)
        return _Pass(part.part, start, stop, passes if pages else 1)

    def _stop_of(self, start: Position, stop: Position, rows: int) -> Position:
        """Return an earlier end if there are more rows than on other pages, such as those from which most were deleted."""
        last = self.heap.place_of(self.spec.table, start, stop, rows)
        return max((_position(last)[0], 0), (start[0] + 1, 0)) if last else stop

    def _rows_between(self, start: Position, stop: Position) -> float:
        if start[0] == stop[0]:
            return min(stop[1] - start[1], self._rows_a_page)
        return (stop[0] - start[0]) * self._rows_a_page

    def wrote(self, rows: int) -> None:
        taken, self._taken = self._taken, None
        if taken is not None and not taken.is_last:
            # If no row of the first share needed it, few of the others do, if any.
            number = taken.number + 1 if rows else taken.passes
            self._open = replace(taken, number=number, updated=taken.updated + rows)

    def key_of_next(self, part: Part) -> Bound:
        return self.heap.key_at(self.spec.table, self.spec.key, _position(part.after or part.first)) or ()
