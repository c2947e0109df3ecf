"""Reviews revisions: sees what they send on each rung of the ladder, judges it, and takes away what is accepted.

The rungs: a connection that only records, the live database that is only read, and an empty copy on which they really run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import Script

from safeops.databases import database_for
from safeops.judging.application import Uses
from safeops.judging.finding import NOTE, Finding
from safeops.judging.judge import SMALL_TABLE
from safeops.judging.sent import Place, Recording
from safeops.naming import Name
from safeops.review import baseline as baselines
from safeops.review.acceptance import RULES, Acceptance
from safeops.review.before import Before, Live, NotedSchema
from safeops.review.models import Released
from safeops.review.offline import Environment, environment_of
from safeops.review.replay import Replay
from safeops.review.reviewed import UNSEEN, Reviewed, ReviewedRevision
from safeops.review.scratch import record_scratch
from safeops.review.selection import Selection, selected
from safeops.review.stats import Stats, read_stats, stats_file
from safeops.review.verdicts import Verdicts, is_complete, rung_of, with_rows
from safeops.runner.revisions import MERGE, missing_downgrade, unmerged_heads


def review(
    config: Config,
    what: Sequence[str] = (),
    *,
    since: str | None = None,
    all_revisions: bool = False,
    url: str | None = None,
    scratch_url: str | None = None,
    scratch: bool = False,
    server_version: str | None = None,
    small_table: int = SMALL_TABLE,
    stats: str | Path | None = None,
    write_stats: bool = False,
    fix: bool = False,
    baseline: str | Path | None = None,
    write_baseline: bool = False,
) -> Reviewed:
    """Judge revisions before they are deployed: what they lock, for how long, what they break, and what to write instead.

    Steps: selects the revisions; runs ``upgrade()`` of each on a connection that records, and of those before it, to know
    what exists; with ``url`` reads the live database; with ``scratch_url`` runs them on an empty copy, and asks the
    server what each statement locked and did; judges each statement with the locks that its transaction holds; takes away
    what a comment, ``assured(...)`` or the baseline accepts. No table of the project's is changed.

    Args:
        config: The configuration of the project.
        what: Revisions, ranges of them as ``"ae1027:head"``, or files. By default what is pending on the project's database;
            if that cannot be reached, what the merge base with the main branch lacks.
        since: A git ref or a revision: what has been added since.
        all_revisions: All revisions, each on its own.
        url: The live database, which is only read: sizes, and what exists.
        scratch_url: An empty database of the project's kind, to run the revisions on.
        scratch: Run them on an empty database that is made on the project's own server, and dropped.
        server_version: The version of the server as ``"15"``, for what no server is asked; by default the newest.
        small_table: Tables with fewer rows may be locked for as long as it takes.
        stats: A file with the numbers of rows; by default ``stats.json`` beside the configuration, if there is one.
        write_stats: Write that file, from the database at ``url``.
        fix: Write the safe call into the files, where one takes the place of another.
        baseline: A file of findings to accept.
        write_baseline: Write that file, so that it accepts everything that is unsafe now.

    Returns:
        What was found: ``exit_status`` is 1 if something is unsafe, 2 if something could not be seen.

    Raises:
        InvalidArgument: There is no such revision or file, or a file cannot be read.
        NotReady: The database at ``scratch_url`` is not empty, or no copy can be made.
        SafeOpsError: The revisions cannot be loaded, or a database cannot be reached.

    Example:
        found = review(Config("alembic.ini"), since="origin/main")
        raise SystemExit(found.exit_status)
    """
    environment = environment_of(config)
    if server_version is not None:
        environment.dialect.server_version_info = tuple(int(part) for part in server_version.split("."))
    selection = selected(config, what, since=since, all_=all_revisions)
    known = stats_file(config, stats)
    ladder = _Ladder(
        environment,
        selection,
        Verdicts(database_for(environment.dialect, None), small_table),
        Released(config, environment.options.get("target_metadata")),
        read_stats(known) if known is not None else Stats(),
        _measured(config, selection.scripts, scratch_url) if scratch or scratch_url else {},
    )
    file = None if baseline is None else Path(baseline)
    revisions = _accepted(ladder.climb(), file, write_baseline=write_baseline)
    return Reviewed(revisions, ladder.verdicts.database.product, tuple(ladder.released.remarks))


def _measured(config: Config, scripts: Sequence[Script], scratch_url: str | None) -> dict[str, Recording]:
    return {recording.revision: recording for recording in record_scratch(config, scripts, scratch_url)}


# The ladder -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """What was found in a revision, whoever may have accepted it."""

    revision: ReviewedRevision
    findings: list[Finding]
    complete: bool


@dataclass
class _Ladder:
    """Takes each revision up the ladder.

    Args:
        environment: What env.py says.
        selection: The revisions.
        verdicts: Judges what they send.
        stats: How many rows the tables have.
        released: Tells what the released application uses.
        measured: What they did on an empty copy, by revision.
        live: The live database, if it may be read.
    """

    environment: Environment
    selection: Selection
    verdicts: Verdicts
    released: Released
    stats: Stats = field(default_factory=Stats)
    measured: dict[str, Recording] = field(default_factory=dict)
    live: Live | None = None

    def climb(self) -> list[_Found]:
        """Return what was found in each revision, the oldest first."""
        together = {script.revision for script in self.selection.scripts} if self.selection.one_run else set()
        before = Before(self.environment.script, together, self.stats, self.live)
        found = []
        for script, replayed, recording in Replay(self.environment, self.selection.scripts):
            schema = before.schema(script, replayed)
            found.append(self._revision(script, schema, recording))
            before.keep(script, schema)
        return found

    def _revision(self, script: Script, schema: NotedSchema, wide: Recording) -> _Found:
        measured, uses = self.measured.get(script.revision), self._uses(script.path)
        if measured is None or measured.seen == UNSEEN:
            findings, seen = self.verdicts.of(wide, schema, uses), wide
        else:
            exact = self.verdicts.of(measured, schema.apart(), uses)
            findings, seen = with_rows(measured, exact, self.verdicts.of(wide, schema, uses)), measured
        notes = [*_downgrade(script), *self._heads(script)]
        revision = ReviewedRevision(script.revision, script.path, script.doc or "", rung_of(seen))
        return _Found(revision, [*findings, *notes], is_complete(seen))

    def _uses(self, file: str) -> Uses:
        """Return what tells whether released code uses something; nobody looks before it is asked."""
        found = cache(self.released.uses)

        def uses(table: Name, column: str | None) -> bool | None:
            known = found(file)
            return known(table, column) if known is not None else None

        return uses

    def _heads(self, script: Script) -> Iterator[Finding]:
        heads = unmerged_heads(self.environment.script)
        if heads and script.revision == heads[-1]:
            why = f"There are {len(heads)} heads: {', '.join(heads)}. {MERGE}"
            yield Finding("several-heads", NOTE, why, Place(script.path, 1))


def _downgrade(script: Script) -> Iterator[Finding]:
    missing = missing_downgrade(script)
    if missing is not None:
        line, what = missing
        yield Finding("missing-downgrade", NOTE, f"The revision {what}.", Place(script.path, line))


# What is accepted -----------------------------------------------------------------------------------------------


def _accepted(found: list[_Found], baseline: Path | None, *, write_baseline: bool) -> tuple[ReviewedRevision, ...]:
    """Return the revisions without what is accepted; with ``write_baseline`` all of it is from now on."""
    if baseline is not None and write_baseline:
        baselines.write(baseline, _without(found, Acceptance(RULES)))
    keys = baselines.accepted_in(baseline, "review") if baseline is not None else ()
    return _without(found, Acceptance(RULES, keys))


def _without(found: list[_Found], acceptance: Acceptance) -> tuple[ReviewedRevision, ...]:
    return tuple(acceptance.applied(one.revision, one.findings, complete=one.complete) for one in found)
