"""A rehearsal on one copy: under traffic, statement by statement, there and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from safeops.databases import database_for, database_on
from safeops.naming import Name
from safeops.rehearse.effects import Statement
from safeops.rehearse.findings import findings_of
from safeops.rehearse.following import OBSERVER, following
from safeops.rehearse.measuring import Run, held_in_production, measured_run, seconds_in_production, with_reviewed
from safeops.rehearse.projection import Projected
from safeops.rehearse.result import Rehearsal
from safeops.rehearse.running import pending_on
from safeops.rehearse.saved_rows import keeping_rows
from safeops.rehearse.shapes import tables_of
from safeops.rehearse.stage import Stage, staged
from safeops.rehearse.traffic import TrafficPlan
from safeops.rehearse.verdict import Evidence, Verdict, judged
from safeops.rehearse.way_back import Back, WayBack
from safeops.runner.checks import is_allowed
from safeops.runner.logs import ALEMBIC, SAFEOPS, quiet_logs
from safeops.runner.revisions import Pending, scripts_of

if TYPE_CHECKING:
    from safeops.rehearse.copying import Copy

LOSSY = "lossy-downgrade"
"""The rule of a comment that accepts rows which a downgrade does not restore."""
BEFORE, AFTER = 3.0, 2.0
"""Seconds of traffic before the upgrade, to compare with, and after it, when prepared statements meet the new schema."""


@dataclass(frozen=True)
class Asked:
    """What to rehearse, and the budgets.

    Args:
        revision: The target.
        traffic: "auto", "none", or a plan.
        writers: The clients that write each table.
        max_wait: The longest wait that is accepted, in seconds.
        max_seconds: The longest run that is accepted, in seconds.
        before: Seconds of traffic before the upgrade.
        after: Seconds of traffic after it.
    """

    revision: str = "head"
    traffic: str | TrafficPlan = "auto"
    writers: int = 2
    max_wait: float = 0.5
    max_seconds: float = 600.0
    before: float = BEFORE
    after: float = AFTER


class Rehearsing:
    """A rehearsal on one copy.

    Args:
        copy: The copy.
        asked: What to rehearse, and the budgets.
        small: The run on a tenth of the rows; None if there was none.
        production: The rows of each table of production, as far as they are known.
        remarks: How it is measured, and what is not, in sentences.
    """

    def __init__(
        self,
        copy: Copy,
        asked: Asked,
        small: Run | None = None,
        production: Mapping[Name, int] | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        self.copy, self.asked, self.small = copy, asked, small
        self.production, self.remarks = production or {}, list(remarks)
        self.downs: list[Statement] = []
        self._names: dict[str, Name] = {}
        self.began = datetime.now(timezone.utc).isoformat(timespec="seconds")

    def run(self) -> Rehearsal:
        """Rehearse, or raise what went wrong with what is left in the copy."""
        pending = pending_on(self.copy.config, self.asked.revision)
        if not pending:
            return Rehearsal((), Verdict(), kind=self.copy.kind)
        tables = self._tables()
        with keeping_rows(self.copy.engine) as keeper:
            way_back = WayBack(self.copy.config, self.copy.engine, keeper, self.copy.revision or "base")
            with staged(self.copy.engine, tables, self.asked.traffic, self.asked.writers, self.copy.later) as stage:
                run = self._up(stage)
                back = self._back(stage, way_back, run, pending)
                return self._judged(run, back, stage, pending)

    def _tables(self) -> list[Name]:
        """Return the tables that the revisions work on: the small run has seen them; else all."""
        with self.copy.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT", **OBSERVER)
            names = [table.name for _, table in tables_of(database_on(connection))]
        self._names = {name.name: name for name in names}
        seen = [name for name in names if self.small is not None and self.small.works_on(name)]
        return seen or names

    def _named(self, name: Name) -> str:
        """Return a table as its statements and the traffic name it: with its schema."""
        return str(name if name.schema else self._names.get(name.name, name))

    # There and back ---------------------------------------------------------------------------------------------

    def _up(self, stage: Stage) -> Run:
        stage.wait("before", self.asked.before)
        with stage.phase("during"):
            run = measured_run(self.copy.config, self.copy.engine, self.asked.revision, self.copy.rows)
        stage.wait("after", self.asked.after)
        stage.compare("after the upgrade", run.replacements, run.statements)
        return run

    def _back(self, stage: Stage, way_back: WayBack, run: Run, pending: Sequence[Pending]) -> Back:
        stage.resume()
        with stage.phase("back"), quiet_logs(ALEMBIC, SAFEOPS), following() as followed:
            back = way_back.down(followed)
        self.downs = followed.statements
        if not back.why:
            stage.compare("after the downgrade", run.replacements, (*run.statements, *self.downs))
            accepted = self._accepted(pending)
            back = way_back.compared(back, None if accepted else stage.touched())
        stage.stop()
        with stage.phase("again"), quiet_logs(ALEMBIC, SAFEOPS):
            return way_back.again(back, self.asked.revision)

    def _accepted(self, pending: Sequence[Pending]) -> bool:
        """Return whether a revision accepts that its downgrade does not restore the rows, and note it."""
        scripts = scripts_of(self.copy.config)
        found = [one.revision for one in pending if is_allowed(LOSSY, scripts.get_revision(one.revision).path)]
        self.remarks += [f"A comment in {name} accepts that its downgrade does not restore all rows." for name in found]
        return bool(found)

    # The verdict ------------------------------------------------------------------------------------------------

    def _judged(self, run: Run, back: Back, stage: Stage, pending: Sequence[Pending]) -> Rehearsal:
        found, why_not = findings_of(self.copy.config, [one.revision for one in pending])
        run = with_reviewed(run, found, database_for(self.copy.engine.dialect, None))
        projected, held = self._in_production(run)
        traffic, asked = stage.result, self.asked
        evidence = Evidence(
            run, traffic, stage.compared, back, held, projected, asked.max_wait, asked.max_seconds, found
        )
        return Rehearsal(
            revisions=run.applied,
            verdict=judged(evidence),
            server=run.server,
            kind=self.copy.kind,
            rows={self._named(name): rows for name, rows in self.copy.rows.items()},
            run=run,
            downs=tuple(self.downs),
            traffic=traffic,
            compared=stage.compared,
            back=back,
            projected=projected,
            max_wait=asked.max_wait,
            max_seconds=asked.max_seconds,
            phases=tuple(stage.phases),
            measured=(*self.remarks, *run.how, *run.unseen, *stage.notes, *why_not),
            began=self.began,
        )

    def _in_production(self, run: Run) -> tuple[Mapping[str, Projected], Mapping[tuple[int, str], Projected]]:
        if self.small is None or not self.production:
            return {}, {}
        sizes = self.small, run, self.production
        return seconds_in_production(*sizes), held_in_production(*sizes)
