"""``trace`` shows what each statement of revisions locks and does, by running them on an empty copy."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from safeops.cli.command import Argument, Command, config_of
from safeops.cli.console import ATTENTION, FAILURE, PENDING, fitting, row

if TYPE_CHECKING:
    from safeops.rehearse import Traced, TracedRevision, TracedStatement

COLUMN, INDENT = 12, " " * 4


def _trace(options: Namespace) -> Traced:
    # The other commands need none of it.
    from safeops.rehearse import trace

    return trace(config_of(options), options.what, scratch_url=options.scratch_url)


def trace_lines(result: Traced) -> Iterator[str]:
    """Write a trace for people."""
    for revision in result.revisions:
        yield from _revision_lines(revision)
        yield ""
    for remark in result.remarks:
        yield from fitting(remark, "  ")
    yield from fitting(result.summary(), "  ")


def _revision_lines(revision: TracedRevision) -> Iterator[str]:
    yield from fitting(f"{revision.revision}  {revision.message}".rstrip(), "  ", PENDING)
    if not revision.statements and revision.error is None:
        yield "  No statements."
    for statement in revision.statements:
        yield from _statement_lines(statement)
    if revision.error is not None:
        yield from fitting(f"  It did not end: {revision.error}", "    ", FAILURE)


def _statement_lines(statement: TracedStatement) -> Iterator[str]:
    from safeops.rehearse.statement import SAMPLED
    from safeops.rehearse.words import locks_of, time_of, work_of

    line = f"{statement.line}: " if statement.line else ""
    helper = f"{statement.helper}: " if statement.helper else ""
    waits = statement.application.endswith("wait")
    yield from fitting(f"  {line}{helper}{statement.shown}", INDENT)
    sampled = " (sampled)" if statement.seen == SAMPLED else ""
    yield from row("Locks", f"{locks_of(statement)}{sampled}", COLUMN, INDENT)
    yield from row("Work", work_of(statement), COLUMN, INDENT)
    yield from row("Application", statement.application, COLUMN, INDENT, ATTENTION if waits else "")
    for later in statement.prolonged_by:
        yield from row("Held for", later, COLUMN, INDENT, ATTENTION)
    yield from row("Time", time_of(statement), COLUMN, INDENT)
    yield from row("Error", statement.error or "", COLUMN, INDENT, FAILURE)


def _markdown(result: Traced) -> str:
    from safeops.rehearse.markdown import render

    return render(result)


FORMATS: Mapping[str, Callable[[Traced], str]] = {"markdown": _markdown}

TRACE = Command(
    "trace",
    _trace,
    help="run revisions on an empty copy, and show what each statement locks",
    description="Runs the revisions on an empty copy of the schema, and queries after each statement, those of "
    "helpers included, which locks it took, and what it rewrote, scanned and built. What the application would "
    "notice: free, brief, rows wait, writes wait, all wait. The project's database is not changed."
    "\n\nIt shows, and does not judge: see safeops review.",
    exit_statuses="0 traced, 2 a revision could not be traced to its end, 3 no copy can be made, 4 failed",
    example="safeops trace ae1027:head --format markdown",
    arguments=(
        Argument(
            "what",
            metavar="REV | FILE",
            nargs="*",
            help="a revision, a range such as a:b, or files (default: the pending revisions; without a database, those that "
            "the main branch does not have)",
        ),
        Argument(
            "--scratch-url",
            metavar="URL",
            help="an empty database to run the revisions on, which is empty again afterwards (default: a temporary one on "
            "the server of the project)",
        ),
    ),
    lines_of=trace_lines,
    formats=FORMATS,
)
