"""What the traffic met."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from safeops.rehearse.impact import ALL_WAIT, BRIEF, WRITES_WAIT
from safeops.rehearse.traffic.errors import TrafficError
from safeops.rehearse.traffic.latencies import Wait

BRIEFLY = 0.5
"""Seconds up to which a wait is called brief."""


class Stretch(NamedTuple):
    """A time in which statements of a table waited: "brief", "writes wait" or "all wait"."""

    began: float
    ended: float
    how: str


@dataclass(frozen=True)
class TrafficResult:
    """What the traffic met, by a clock that all processes of the machine share (``time.monotonic()``).

    Args:
        writes: The writes that were sent, also those that failed.
        reads: The reads that were sent.
        errors: The errors, by table, statement and code.
        longest_wait: Seconds of the slowest statement.
        longest_sql: That statement, and its table.
        phases: The figures of each phase by table, in seconds: ``phases["during"]["users"]["writes"]["p99"]``, and also
            ``count``, ``p50`` and ``longest``. The quantiles count what a client would have sent while it waited.
        samples: For each table when statements began and how long they took: the slowest of each stretch of time.
        waits: When reads and writes waited 50 ms and longer.
        notes: What the traffic left out, and why.
    """

    writes: int
    reads: int
    errors: tuple[TrafficError, ...]
    longest_wait: float
    longest_sql: str
    phases: dict[str, dict[str, dict[str, dict[str, float]]]]
    samples: dict[str, list[tuple[float, float]]]
    waits: tuple[Wait, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrafficResult:
        """Return the result that the process of the traffic wrote."""
        longest = data["longest"] or ("", False, 0.0, 0.0, "")
        return cls(
            data["writes"],
            data["reads"],
            tuple(TrafficError(**error) for error in data["errors"]),
            longest[3],
            longest[4],
            data["phases"],
            {table: [(at, seconds) for at, seconds in points] for table, points in data["samples"].items()},
            tuple(Wait(*wait) for wait in data["waits"]),
            tuple(data["notes"]),
        )

    @property
    def sent(self) -> int:
        """The statements that were sent."""
        return self.reads + self.writes

    def blocked(self, table: str, brief: float = BRIEFLY) -> list[Stretch]:
        """Return when statements of a table waited; in between it was free."""
        waits = [wait for wait in self.waits if wait.table == table]
        edges = sorted({edge for wait in waits for edge in (wait.began, wait.ended)})
        stretches: list[Stretch] = []
        for began, ended in pairwise(edges):
            over = [wait for wait in waits if wait.began < ended and wait.ended > began]
            if over:
                _extend(stretches, Stretch(began, ended, _how(over, brief)))
        return stretches


def _how(waits: list[Wait], brief: float) -> str:
    if max(wait.longest for wait in waits) < brief:
        return BRIEF
    long = [wait for wait in waits if wait.longest >= brief]
    return WRITES_WAIT if all(wait.writes for wait in long) else ALL_WAIT


def _extend(stretches: list[Stretch], stretch: Stretch) -> None:
    last = stretches[-1] if stretches else None
    if last and last.how == stretch.how and last.ended >= stretch.began:
        stretches[-1] = last._replace(ended=stretch.ended)
    else:
        stretches.append(stretch)
