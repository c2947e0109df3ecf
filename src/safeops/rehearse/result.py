"""The result of a rehearsal, and its JSON, from which every report is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from safeops import __version__
from safeops.planned import counted
from safeops.rehearse.blocking import BRIEFLY, effect_of
from safeops.rehearse.effects import Statement
from safeops.rehearse.impact import FREE, UNKNOWN
from safeops.rehearse.measuring import Run
from safeops.rehearse.projection import Projected, duration_text
from safeops.rehearse.statement import NOT_SEEN, ROWS_WAIT
from safeops.rehearse.traffic import Comparison, TrafficResult
from safeops.rehearse.verdict import Verdict
from safeops.rehearse.way_back import Back
from safeops.runner.revision_run import ATTENTION, DONE, PENDING, Applied, Result

PHASES = ("before", "during", "after", "back")
"""The phases with traffic."""
NOTHING = Run((), ())


@dataclass(frozen=True)
class Rehearsal(Result):
    """What revisions did on a copy of the database, under traffic.

    Args:
        revisions: The revisions that were run, in order.
        verdict: Which budgets and promises were missed.
        server: The server of the copy, as "PostgreSQL 18".
        kind: The copy: "filled", "backup" or "as is".
        rows: The rows of each table of the copy before the upgrade.
        run: The upgrade: its statements, what their locks blocked, and who waited.
        downs: The statements of the downgrade.
        traffic: What the traffic met; None without traffic.
        compared: What the comparisons with the ledger of the traffic found, by when they were made.
        back: The downgrade; None if it was not tried.
        projected: How long each revision would take in production.
        max_wait: The longest wait that is accepted, in seconds.
        max_seconds: The longest run that is accepted, in seconds.
        phases: When each phase of the rehearsal began and ended.
        measured: How it was measured, and what was not, in sentences.
        began: When it began.
    """

    revisions: tuple[Applied, ...]
    verdict: Verdict
    server: str = ""
    kind: str = "filled"
    rows: Mapping[str, int] = field(default_factory=dict)
    run: Run = NOTHING
    downs: tuple[Statement, ...] = ()
    traffic: TrafficResult | None = None
    compared: Mapping[str, Comparison] = field(default_factory=dict)
    back: Back | None = None
    projected: Mapping[str, Projected] = field(default_factory=dict)
    max_wait: float = 0.5
    max_seconds: float = 600.0
    phases: tuple[tuple[str, float, float], ...] = ()
    measured: tuple[str, ...] = ()
    began: str = ""

    @property
    def exit_status(self) -> int:
        if not self.verdict.ok:
            return PENDING
        return DONE if self.verdict.judged else ATTENTION

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The statements of the upgrade, and after them those of the downgrade."""
        return (*self.run.statements, *self.downs)

    @property
    def summary(self) -> str:
        """The verdict in one sentence."""
        if not self.revisions:
            return "Nothing is pending: there is nothing to rehearse."
        first = next(iter(self.verdict.findings), None)
        if first is None:
            return f"Ready: {self._ran}{self._traffic_text}{self._back_text}."
        more = len(self.verdict.findings) - 1
        others = f" {more} more finding{'' if more == 1 else 's'}." if more else ""
        return f"{'Not ready' if not self.verdict.ok else 'Not certain'}: {first.what.removesuffix('.')}.{others}"

    @property
    def _ran(self) -> str:
        number = len(self.revisions)
        took = duration_text(sum(one.seconds for one in self.revisions))
        return f"{number} revision{'' if number == 1 else 's'} ran in {took} on {counted(sum(self.rows.values()))}"

    @property
    def _traffic_text(self) -> str:
        if self.traffic is None:
            return ", without traffic"
        if not self.traffic.sent:
            return "; the application sent nothing, because no table existed before"
        figures = self.traffic.phases.get("during", {}).values()
        longest = max((kind["longest"] for table in figures for kind in table.values()), default=None)
        slowest = f" or took longer than {duration_text(longest)}" if longest is not None else ""
        lost = ", and no write was lost" if any(one.rows for one in self.compared.values()) else ""
        return f"; no statement of the application failed{slowest}{lost}"

    @property
    def _back_text(self) -> str:
        if self.back is None:
            return ""
        return "; it declares that it cannot be undone" if self.back.irreversible else "; the downgrade leads back"

    # As JSON ----------------------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        return {
            "summary": self.summary,
            "safeops": __version__,
            "began": self.began,
            "server": self.server,
            "copy": {"kind": self.kind, "rows": dict(self.rows)},
            "budgets": {"max_wait": self.max_wait, "max_seconds": self.max_seconds},
            "revisions": [_revision(one) for one in self.revisions],
            "statements": [self._statement(place, one) for place, one in enumerate(self.statements)],
            "waits": [wait.as_json() for wait in self.run.waits],
            "traffic": self._traffic_as_json(),
            "back": self.back.as_json() if self.back is not None else None,
            "at_production_size": {name: one.as_json() for name, one in self.projected.items()} or None,
            "disk_bytes": self.run.disk_bytes,
            "temporary_bytes": self.run.temporary_bytes,
            "verdict": self.verdict.as_json(),
            "measured": list(self.measured),
            "timeline": self._timeline(),
        }

    def _traffic_as_json(self) -> dict[str, Any] | None:
        if self.traffic is None:
            return None
        compared = self.compared.values()
        found: dict[str, Any] = {
            "writes": self.traffic.writes,
            "reads": self.traffic.reads,
            "errors": [asdict(error) for error in self.traffic.errors],
            "longest_wait": self.traffic.longest_wait,
            "longest_sql": self.traffic.longest_sql,
            "lost": sum(one.lost for one in compared),
            "lost_rows": [asdict(loss) for one in compared for loss in one.losses],
            "compared_rows": max((one.rows for one in compared), default=0),
            "not_compared": list(dict.fromkeys(note for one in compared for note in one.notes)),
            "notes": list(self.traffic.notes),
        }
        for phase in dict.fromkeys((*PHASES, *self.traffic.phases)):
            tables = self.traffic.phases.get(phase, {})
            found[phase] = {table: {**_together(kinds), **kinds} for table, kinds in tables.items()}
        return found

    def _statement(self, place: int, one: Any) -> dict[str, Any]:
        waited = [wait.seconds for wait in self.run.waits if wait.statement == place and not wait.by_migration]
        effect = effect_of(place, self.run.blocked)
        if effect == FREE and one.seen == NOT_SEEN:
            effect = UNKNOWN
        elif effect == FREE and one.locks_rows and one.held_seconds >= BRIEFLY:
            effect = ROWS_WAIT
        return {**one.as_json(), "longest_wait": round(max(waited, default=0.0), 4), "effect": effect}

    def _timeline(self) -> dict[str, Any]:
        start = min([began for _, began, _ in self.phases], default=0.0)
        tables = {table: {"samples": samples, "blocked": blocked} for table, samples, blocked in self._courses(start)}
        return {
            "phases": [[name, _since(began, start), _since(ended, start)] for name, began, ended in self.phases],
            "statements": [
                [_since(one.began, start), _since(one.began + one.seconds, start)] for one in self.statements
            ],
            "tables": tables,
        }

    def _courses(self, start: float) -> Iterator[tuple[str, list[Any], list[Any]]]:
        """Yield for each table how long its statements took over time, and when they waited."""
        traffic = self.traffic
        samples = traffic.samples if traffic is not None else {}
        for table, points in samples.items():
            waits = traffic.blocked(table) if traffic is not None else []
            stretches = [_stretch(one.began, one.ended, one.how, start) for one in waits]
            yield table, [[_since(at, start), round(took, 5)] for at, took in points], stretches
        for table in dict.fromkeys(one.table for one in self.run.blocked if one.table not in samples):
            held = [one for one in self.run.blocked if one.table == table]
            yield table, [], [_stretch(one.began, one.ended, one.effect, start) for one in held]


def _together(kinds: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the figures of reads and writes as one: the counts added, the slowest of the others."""
    figures = dict.fromkeys(figure for kind in kinds.values() for figure in kind)
    return {figure: (sum if figure == "count" else max)(kind[figure] for kind in kinds.values()) for figure in figures}


def _stretch(began: float, ended: float, effect: str, start: float) -> list[Any]:
    return [_since(began, start), _since(ended, start), effect]


def _since(moment: float, start: float) -> float:
    return round(moment - start, 4)


def _revision(applied: Applied) -> dict[str, Any]:
    return {"revision": applied.revision, "message": applied.message, "seconds": round(applied.seconds, 3)}
