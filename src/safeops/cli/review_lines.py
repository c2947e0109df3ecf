"""What ``review`` prints for people."""

from __future__ import annotations

from collections.abc import Iterator

from safeops.cli.console import ATTENTION, CODE, FAILURE, fitting, row
from safeops.judging.finding import UNSAFE, Finding
from safeops.review.reports.words import instead_of, lock_of, page_of, sentence, work_of
from safeops.review.reviewed import UNSEEN, Reviewed, ReviewedRevision, place_of, shown_path

COLUMN, INDENT = 8, " " * 4
ACCEPTED_BY = {"comment": "a comment", "assured": "assured()", "baseline": "the baseline"}


def review_lines(result: Reviewed) -> Iterator[str]:
    """Write a review for people."""
    for revision in result.revisions:
        if revision.all or revision.accepted:
            yield from _revision_lines(revision)
            yield ""
    for remark in result.remarks:
        yield from fitting(sentence(remark), "  ")
    yield from fitting(result.summary(), "  ")


def _revision_lines(revision: ReviewedRevision) -> Iterator[str]:
    yield from fitting(f"{revision.revision}  {revision.message}".rstrip() + f"  ({_rung(revision)})", "  ")
    for finding in revision.findings:
        yield ""
        yield from _finding_lines(revision, finding)
    if revision.notes or revision.accepted:
        yield ""
    for note in revision.notes:
        yield from fitting(f"  {_place(revision, note)}: note: {note.rule}: {sentence(note.why)}", "    ")
    for accepted in revision.accepted:
        reason = f": {accepted.reason}" if accepted.reason else ""
        what = f"accepted: {accepted.finding.rule}, by {ACCEPTED_BY[accepted.by]}{reason}"
        yield from fitting(f"  {_place(revision, accepted.finding)}: {what}", "    ")


def _rung(revision: ReviewedRevision) -> str:
    rungs = {
        "offline": "reviewed offline",
        "live": "reviewed on the live database",
        "scratch": "reviewed on a scratch copy",
        "unseen": "not reviewed",
    }
    return rungs.get(revision.seen, revision.seen)


def _place(revision: ReviewedRevision, finding: Finding) -> str:
    place = place_of(revision, finding)
    return f"{shown_path(place.file)}:{place.line}"


def _finding_lines(revision: ReviewedRevision, finding: Finding) -> Iterator[str]:
    colour = ATTENTION if finding.rule == UNSEEN else FAILURE if finding.verdict == UNSAFE else ""
    yield from fitting(f"  {_place(revision, finding)}: {finding.verdict}: {finding.rule}", "    ", colour)
    if finding.statement:
        yield from fitting(f"    {finding.statement}", "      ")
    yield from row("Why", finding.why and sentence(finding.why), COLUMN, INDENT)
    yield from row("Lock", lock_of(finding), COLUMN, INDENT)
    yield from row("Work", work_of(finding), COLUMN, INDENT)
    if finding.verdict == UNSAFE:
        for place, code in instead_of(finding):
            yield f"    {place}"
            yield from (f"{CODE * 2}{line}" for line in code.splitlines())
        yield from row("Advice", finding.advice and sentence(finding.advice), COLUMN, INDENT)
        yield from row("See", page_of(finding.rule), COLUMN, INDENT)
