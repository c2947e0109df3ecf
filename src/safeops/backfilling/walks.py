"""Which rows the next batch of a range has: the next along its key, or of a list of keys. ``pages`` has the third way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from safeops.backfilling.port import Batches, Bound
from safeops.backfilling.spec import BackfillSpec
from safeops.backfilling.state import Part


@dataclass(frozen=True)
class Slice:
    """The rows of a batch.

    Args:
        rows: The condition that selects them, as SQL.
        end: The position of the range after them; None if it is still at its start.
        finished: The range has no rows after them.
        scanned: About how many rows the server reads for them; 0 if that is unknown.
        walked: About how many rows this batch completes.
        key: The key of the last of them, for reports; empty if they are not in the order of a key.
    """

    rows: str
    end: Bound | None
    finished: bool
    scanned: int
    walked: int
    key: Bound = ()


class Walk(Protocol):
    """A way along a range."""

    def next(self, part: Part, rows: int) -> Slice:
        """Return the next rows of a range, about as many as requested, or exactly one."""

    def wrote(self, rows: int) -> None:
        """Note that the batch with the last slice was committed, and how many rows it updated."""

    def key_of_next(self, part: Part) -> Bound:
        """Return the key of the next row of a range; empty if there is none."""


class KeyWalk:
    """A walk in the order of a key, from one key of its index to another.

    Args:
        port: How the database writes batches.
        spec: What the backfill does.
    """

    def __init__(self, port: Batches, spec: BackfillSpec) -> None:
        self.port, self.spec = port, spec

    def next(self, part: Part, rows: int) -> Slice:
        last = self._last(part, rows)
        finished = last == part.upto
        condition = self.port.within(self.spec.key, part.after, last, first=part.first)
        scanned = 0 if finished else rows
        return Slice(condition, last, finished, scanned, scanned, last)

    def wrote(self, rows: int) -> None:
        """There is nothing to note: the position of the range is enough."""

    def key_of_next(self, part: Part) -> Bound:
        return self._last(part, 1)

    def _last(self, part: Part, rows: int) -> Bound:
        spec = self.spec
        last = self.port.nth(spec.table, spec.key, spec.index, rows, after=part.after, first=part.first, upto=part.upto)
        return last or part.upto or ()


LISTED_AT_ONCE = 500
"""Keys that one statement lists."""


class ListWalk(KeyWalk):
    """A walk over the few rows of a range that need the backfill, by their keys.

    Its checkpoints are those of a walk along the key, which another runner continues.

    Args:
        port: How the database writes batches.
        spec: What the backfill does.
        keys: The keys, in their order.
    """

    def __init__(self, port: Batches, spec: BackfillSpec, keys: Sequence[Bound]) -> None:
        super().__init__(port, spec)
        self.keys = keys
        self._places = {key: place for place, key in enumerate(keys, 1)}

    def next(self, part: Part, rows: int) -> Slice:
        start = 0 if part.after is None else self._places.get(part.after)
        if start is None:
            # Another runner has continued along the key.
            return super().next(part, rows)
        keys = self.keys[start : start + min(rows, LISTED_AT_ONCE)]
        last = keys[-1] if keys else part.upto
        return Slice(self.port.among(self.spec.key, keys), last, last == part.upto, len(keys), len(keys), last or ())
