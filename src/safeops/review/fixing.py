"""Has a review rewrite what it found, in revisions that the database has not had."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from safeops.judging.finding import Finding
from safeops.review.fix import write_fixes
from safeops.review.live import applied_at
from safeops.review.reviewed import Reviewed, ReviewedRevision, shown_path
from safeops.review.runs import Environment
from safeops.review.selection import selected


def fixed_files(found: Reviewed, environment: Environment, url: str | None) -> tuple[bool, list[str]]:
    """Rewrite calls in the files of a review; return whether a file changed, and remarks about the files.

    Args:
        found: What was found.
        environment: The environment of env.py.
        url: The live database; None uses the project's database, or the main branch if that cannot be reached.
    """
    new = _new(environment, url)
    written = write_fixes(finding for one in found.revisions if one.revision in new for finding in _of_its_file(one))
    kept = [one for one in found.revisions if one.revision not in new and any(_of_its_file(one))]
    return bool(written), [
        *(f"Rewrote {shown_path(str(file))}" for file in written),
        *(f"Left {shown_path(one.file)} unchanged: a database has already applied it" for one in kept),
    ]


def _new(environment: Environment, url: str | None) -> set[str]:
    """Return the revisions that no database has had, as far as known."""
    if url is not None:
        return {script.revision for script in environment.script.walk_revisions()} - applied_at(url, environment)
    return {script.revision for script in selected(environment.config).scripts}


def _of_its_file(one: ReviewedRevision) -> Iterator[Finding]:
    """Yield the findings in the revision's own file: what it calls elsewhere, others may have called before."""
    for finding in one.findings:
        if finding.place is not None and Path(finding.place.file).resolve() == Path(one.file).resolve():
            yield finding
