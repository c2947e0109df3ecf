"""A check that also reviews new revisions, for continuous integration."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alembic.config import Config

from safeops.errors import SafeOpsError
from safeops.judging.judge import SMALL_TABLE
from safeops.planned import summary
from safeops.review.offline import environment_of
from safeops.review.reviewed import Reviewed
from safeops.review.reviewing import Asked, reviewed
from safeops.review.selection import selected
from safeops.review.stats import stats_file
from safeops.runner.checks import Checked, check
from safeops.runner.revision_run import DONE, Result, ending_on_signals

FAILS = "fails"
"""The rule of statements that a server rejects."""


@dataclass(frozen=True)
class CheckedAndReviewed(Result):
    """What a check and a review found.

    Args:
        checked: What the check found.
        reviewed: What the review found; None if there was none.
        not_reviewed: Why there was none.
    """

    checked: Checked
    reviewed: Reviewed | None = None
    not_reviewed: str = ""

    @property
    def exit_status(self) -> int:
        status = self.checked.exit_status
        return status if status != DONE or self.reviewed is None else self.reviewed.exit_status

    def as_json(self) -> dict[str, Any]:
        reviewed = self.reviewed.as_json() if self.reviewed is not None else None
        return {**self.checked.as_json(), "review": reviewed, "not_reviewed": self.not_reviewed}


def check_and_review(
    config: Config,
    *,
    scratch_url: str | None = None,
    since: str | None = None,
    ignore: Sequence[str] = (),
    baseline: str | Path | None = None,
    write_baseline: bool = False,
    small_table: int = SMALL_TABLE,
) -> CheckedAndReviewed:
    """Check a project, and review its new revisions: pending ones, or those that the main branch does not have.

    If the new revisions are not known, all revisions are reviewed, each separately: then pass the newest old one as
    ``since``. Without the extra ``review`` a project is only checked.

    Args:
        config: The configuration of the project.
        scratch_url: An empty database to run on, which is not emptied afterwards.
        since: A revision: what follows it is checked in full, and reviewed.
        ignore: Findings of the check to accept.
        baseline: A file of findings to accept, of both.
        write_baseline: Write that file: it then accepts all current findings.
        small_table: Long locks on tables with fewer rows are safe.

    Raises:
        NotReady: No temporary database can be created, or the one at ``scratch_url`` is not empty.
        InvalidArgument: There is no such revision, or the file is not a baseline.
        SafeOpsError: A database cannot be reached.

    Example:
        found = check_and_review(Config("alembic.ini"), since="ae1027")
        raise SystemExit(found.exit_status)
    """
    file = None if baseline is None else Path(baseline)
    asked = Asked(small_table, stats=stats_file(config), baseline=file, write_baseline=write_baseline)
    with ending_on_signals():
        # First, while the scratch database is empty: a check leaves it full.
        found, why = _reviewed(config, since, asked, scratch_url)
    checked = check(
        config, scratch_url=scratch_url, since=since, ignore=ignore, baseline=baseline, write_baseline=write_baseline
    )
    loads = all(finding.kind != "load" for finding in checked.findings)
    return CheckedAndReviewed(checked, found and _told_once(found, checked), why if loads else "")


def _told_once(reviewed: Reviewed, checked: Checked) -> Reviewed:
    """Return a review without the failures that the check has already reported."""
    failed = {finding.revision for finding in checked.findings if finding.kind == "up"}
    return replace(
        reviewed,
        revisions=tuple(
            replace(one, findings=tuple(finding for finding in one.findings if finding.rule != FAILS))
            if one.revision in failed
            else one
            for one in reviewed.revisions
        ),
    )


def check_only(config: Config, **options: Any) -> CheckedAndReviewed:
    """Check a project, and review nothing."""
    return CheckedAndReviewed(check(config, **options))


def _reviewed(config: Config, since: str | None, asked: Asked, scratch_url: str | None) -> tuple[Reviewed | None, str]:
    """Return a review on an empty copy, or else without a database; or why there is none."""
    try:
        selection = selected(config, since=since)
        environment = environment_of(config)
        with suppress(SafeOpsError):
            return reviewed(environment, selection, replace(asked, scratch=True, scratch_url=scratch_url)), ""
        return reviewed(environment, selection, asked), ""
    except SafeOpsError as error:
        return None, summary(error)
