"""The ladder: what revisions send is seen on each rung, and judged.

The rungs: a connection that only records, the live database that is only read, and an empty copy on which they really run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic.script import Script, ScriptDirectory

from safeops.judging.application import Uses
from safeops.judging.finding import NOTE, Finding
from safeops.judging.schema import Schema
from safeops.judging.sent import Place, Recording
from safeops.naming import Name
from safeops.review.before import Before, Live, NotedSchema
from safeops.review.models import Released
from safeops.review.reviewed import UNSEEN, ReviewedRevision
from safeops.review.stats import Stats
from safeops.review.verdicts import Verdicts, is_complete, rung_of, with_rows
from safeops.runner.revisions import MERGE, line_of, missing_downgrade, unmerged_heads

LOSING = frozenset({"drop-column", "drop-table", "truncate"})
"""The rules about lost values."""


@dataclass(frozen=True)
class Found:
    """The findings in a revision, accepted or not."""

    revision: ReviewedRevision
    findings: list[Finding]
    complete: bool


@dataclass
class Ladder:
    """Takes each revision up the ladder.

    Args:
        script: The revisions of the project.
        recorded: Those to review, each with the schema before it and with what it sends, the oldest first.
        measured: What they did on an empty copy, by revision.
        released: The models of the deployed application.
        one_run: Whether one deploy runs them.
    """

    script: ScriptDirectory
    recorded: Iterable[tuple[Script, Schema, Recording]]
    measured: dict[str, Recording]
    released: Released
    one_run: bool

    def climb(self, verdicts: Verdicts, stats: Stats, live: Live | None = None) -> list[Found]:
        """Return what was found in each revision, the oldest first.

        Args:
            verdicts: Judges what they send.
            stats: How many rows the tables have.
            live: The live database, if it may be read.
        """
        before = Before(self.script, self.one_run, stats, live)
        found = []
        for script, replayed, recording in self.recorded:
            schema = before.schema(script, replayed)
            is_ahead = live is not None and script.revision not in live.applied
            wide = live.record(script, schema) if live is not None and is_ahead else recording
            found.append(self._revision(script, schema, wide, verdicts))
            before.keep(script, schema)
        return found

    def _revision(self, script: Script, schema: NotedSchema, wide: Recording, verdicts: Verdicts) -> Found:
        measured, uses = self.measured.get(script.revision), self._uses(script.path)
        if measured is None or measured.seen == UNSEEN:
            findings, seen = verdicts.of(wide, schema, uses), wide
        else:
            exact = verdicts.of(measured, schema.apart(), uses)
            findings, seen = with_rows(measured, exact, verdicts.of(wide, schema, uses)), measured
        notes = [*_downgrade(script, findings), *self._heads(script)]
        revision = ReviewedRevision(script.revision, script.path, script.doc or "", rung_of(seen))
        return Found(revision, [*findings, *notes], is_complete(seen))

    def _uses(self, file: str) -> Uses:
        """Return a function that reports whether deployed code uses a table or column; it loads the models lazily."""
        found = cache(self.released.uses)

        def uses(table: Name, column: str | None) -> bool | None:
            known = found(file)
            return known(table, column) if known is not None else None

        return uses

    def _heads(self, script: Script) -> Iterator[Finding]:
        heads = unmerged_heads(self.script)
        if heads and script.revision == heads[-1]:
            why = f"There are {len(heads)} heads: {', '.join(heads)}. {MERGE}"
            yield Finding("several-heads", NOTE, why, Place(script.path, 1))


def _downgrade(script: Script, findings: Iterable[Finding]) -> Iterator[Finding]:
    missing = missing_downgrade(script)
    if missing is not None:
        line, what = missing
        yield Finding(
            "missing-downgrade", NOTE, f"A rollback cannot undo the revision: it {what}.", Place(script.path, line)
        )
    elif any(finding.rule in LOSING for finding in findings):
        why = "A rollback cannot restore the values that upgrade() drops: they are not archived."
        yield Finding("lossy-downgrade", NOTE, why, Place(script.path, line_of(Path(script.path), "def downgrade")))
