"""What the traffic met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from safeops.rehearse.traffic.errors import TrafficError
from safeops.rehearse.traffic.latencies import Wait
from safeops.rehearse.traffic.losses import Comparison

BRIEF = 0.5
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
        comparison: What the comparison with the ledger found; None if there was none.
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
    comparison: Comparison | None = field(default=None)

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

    @property
    def lost(self) -> int:
        """The acknowledged writes that the tables no longer have; 0 if they were not compared."""
        return self.comparison.lost if self.comparison else 0

    def phase(self, name: str) -> dict[str, dict[str, float]]:
        """Return the figures of a phase for all tables together: the counts added, the slowest of the others."""
        found: dict[str, dict[str, float]] = {}
        for table in self.phases.get(name, {}).values():
            for kind, figures in table.items():
                known = found.setdefault(kind, dict.fromkeys(figures, 0))
                for figure, value in figures.items():
                    known[figure] = known[figure] + value if figure == "count" else max(known[figure], value)
        return found

    def blocked(self, table: str, brief: float = BRIEF) -> list[Stretch]:
        """Return when statements of a table waited; in between it was free."""
        waits = [wait for wait in self.waits if wait.table == table]
        edges = sorted({edge for wait in waits for edge in (wait.began, wait.ended)})
        stretches: list[Stretch] = []
        for began, ended in pairwise(edges):
            over = [wait for wait in waits if wait.began < ended and wait.ended > began]
            if over:
                _extend(stretches, Stretch(began, ended, _how(over, brief)))
        return stretches

    def as_json(self) -> dict[str, Any]:
        """Return the figures as plain data, without the course over time."""
        compared = self.comparison.as_json() if self.comparison else {"lost": None, "losses": []}
        return {
            "writes": self.writes,
            "reads": self.reads,
            "errors": [asdict(error) for error in self.errors],
            "longest_wait": self.longest_wait,
            "longest_sql": self.longest_sql,
            **{
                phase: dict(self._by_table(phase))
                for phase in dict.fromkeys(["before", "during", "after", *self.phases])
            },
            "notes": list(self.notes),
            **compared,
        }

    def _by_table(self, phase: str) -> Iterator[tuple[str, Any]]:
        yield from self.phase(phase).items()
        yield "tables", self.phases.get(phase, {})


def _how(waits: list[Wait], brief: float) -> str:
    if max(wait.longest for wait in waits) < brief:
        return "brief"
    long = [wait for wait in waits if wait.longest >= brief]
    return "writes wait" if all(wait.writes for wait in long) else "all wait"


def _extend(stretches: list[Stretch], stretch: Stretch) -> None:
    last = stretches[-1] if stretches else None
    if last and last.how == stretch.how and last.ended >= stretch.began:
        stretches[-1] = last._replace(ended=stretch.ended)
    else:
        stretches.append(stretch)
