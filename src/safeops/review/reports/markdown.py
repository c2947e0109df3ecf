"""A review as a pull request comment: a table, and below it the code to write instead."""

from __future__ import annotations

from collections.abc import Iterator

from safeops.judging.finding import NOTE, UNSAFE, Finding
from safeops.review.reports.words import instead_of, lock_of, page_of, sentence, work_of
from safeops.review.reviewed import Reviewed, ReviewedRevision, path_in_repository, place_of

HEAD = ("| | line | rule | problem | lock | work |", "|---|---|---|---|---|---|")
SIGNS = {UNSAFE: "**unsafe**"}


def render(reviewed: Reviewed) -> str:
    return "\n".join(_lines(reviewed))


def _lines(reviewed: Reviewed) -> Iterator[str]:
    yield f"### safeops review: {reviewed.summary()}"
    rows = [row for revision in reviewed.revisions for row in _rows(revision)]
    if rows:
        yield from ("", *HEAD, *rows)
    for revision in reviewed.revisions:
        for finding in revision.findings:
            yield from _instead(revision, finding)
    for remark in reviewed.remarks:
        yield from ("", sentence(remark))


def _rows(revision: ReviewedRevision) -> Iterator[str]:
    for finding in revision.all:
        line = f"`{_place(revision, finding)}`"
        texts = (sentence(finding.why), lock_of(finding), work_of(finding) if finding.verdict != NOTE else "")
        cells = (
            SIGNS.get(finding.verdict, finding.verdict),
            line,
            f"[`{finding.rule}`]({page_of(finding.rule)})",
            *map(cell, texts),
        )
        yield f"| {' | '.join(cells)} |"


def _place(revision: ReviewedRevision, finding: Finding) -> str:
    place = place_of(revision, finding)
    return f"{path_in_repository(place.file)}:{place.line}"


def cell(text: str) -> str:
    """Return a text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _instead(revision: ReviewedRevision, finding: Finding) -> Iterator[str]:
    code = instead_of(finding)
    if not code and not finding.advice:
        return
    summary = f"<code>{_place(revision, finding)}</code>: what to write instead of <code>{finding.rule}</code>"
    yield from ("", f"<details><summary>{summary}</summary>", "")
    for place, text in code:
        yield from (place, "```python", text, "```")
    if finding.advice:
        yield from ("", sentence(finding.advice))
    yield from ("", "</details>")
