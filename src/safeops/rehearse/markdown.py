"""A trace as a comment of a pull request: a table of the statements, revision by revision."""

from __future__ import annotations

from collections.abc import Iterator

from safeops.rehearse.statement import SAMPLED, TracedStatement
from safeops.rehearse.tracing import Traced, TracedRevision
from safeops.rehearse.words import locks_of, time_of, work_of
from safeops.review.reports.markdown import cell

HEAD = ("| line | statement | locks | work | application | time |", "|---|---|---|---|---|---|")


def render(traced: Traced) -> str:
    """Return a trace as Markdown."""
    return "\n".join(_lines(traced))


def _lines(traced: Traced) -> Iterator[str]:
    yield f"### safeops trace on {traced.database}: {traced.summary()}"
    for revision in traced.revisions:
        yield from ("", *_revision(revision))
    for remark in traced.remarks:
        yield from ("", remark)


def _revision(revision: TracedRevision) -> Iterator[str]:
    yield f"**{revision.revision}** {cell(revision.message)}".rstrip()
    if revision.statements:
        yield from ("", *HEAD, *map(_row, revision.statements))
    if revision.error is not None:
        yield from ("", f"It did not end: {cell(revision.error)}")


def _row(statement: TracedStatement) -> str:
    by = f" ({statement.helper})" if statement.helper else ""
    locks = locks_of(statement) + (" (sampled)" if statement.seen == SAMPLED else "")
    cells = (
        f"{statement.line or ''}{by}",
        f"`{cell(statement.shown).replace('`', '')}`",
        cell(locks),
        cell(work_of(statement)),
        statement.application,
        time_of(statement),
    )
    return f"| {' | '.join(cells)} |"
