"""Traces revisions: runs them on an empty copy of the schema, and shows what each statement locks and does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.config import Config
from alembic.script import Script

from safeops.databases import database_for
from safeops.judging.sent import Recording
from safeops.rehearse.observing import StatementTrace, statements_of
from safeops.rehearse.statement import MEANINGS, SAMPLED, TracedStatement, worst
from safeops.review.copies import learn_version
from safeops.review.offline import environment_of
from safeops.review.reviewed import shown_path
from safeops.review.reviewing import refuse_without_parser
from safeops.review.scratch import traced_on_scratch, why_not
from safeops.review.selection import selected
from safeops.runner.revision_run import ATTENTION, DONE, Result, ending_on_signals

ON_A_COPY = "The copy is empty: the times show the order of the statements, not how long they take with rows."
SHORT = (
    "Locks marked as sampled were read by a second session, again and again: one that is held for less than a"
    " millisecond can be missing."
)


@dataclass(frozen=True)
class TracedRevision:
    """What a revision did on an empty copy.

    Args:
        revision: The revision.
        file: Its file.
        message: The first line of its docstring.
        statements: What it and its helpers sent, in order, without questions to the catalogue.
        error: What it raised, or why it was not reached; None if it ended.
    """

    revision: str
    file: str
    message: str = ""
    statements: tuple[TracedStatement, ...] = ()
    error: str | None = None

    @property
    def verdict(self) -> str:
        """The most that the application notices of it."""
        return worst(self.statements)

    def as_json(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "file": shown_path(self.file),
            "message": self.message,
            "verdict": self.verdict,
            "error": self.error,
        }


@dataclass(frozen=True)
class Traced(Result):
    """What revisions did on an empty copy.

    Args:
        revisions: The revisions, the oldest first.
        database: The server that they ran on, as "PostgreSQL 18".
        remarks: Which revisions these are, and what could not be observed.
    """

    revisions: tuple[TracedRevision, ...]
    database: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def statements(self) -> tuple[TracedStatement, ...]:
        """The statements of all revisions."""
        return tuple(statement for revision in self.revisions for statement in revision.statements)

    @property
    def verdict(self) -> str:
        """The most that the application notices of them."""
        return worst(self.statements)

    @property
    def exit_status(self) -> int:
        return ATTENTION if any(revision.error for revision in self.revisions) else DONE

    def as_json(self) -> dict[str, Any]:
        return {
            "database": self.database,
            "revisions": [revision.as_json() for revision in self.revisions],
            "statements": [statement.as_json() for statement in self.statements],
            "verdict": self.verdict,
            "remarks": list(self.remarks),
        }

    def summary(self) -> str:
        """Return the verdict in one line."""
        number = len(self.statements)
        counted = f"{number} statement{'' if number == 1 else 's'}"
        return f"{counted}: {self.verdict}. {MEANINGS[self.verdict]}" if number else "No statements."


def trace(config: Config, what: Sequence[str] = (), *, scratch_url: str | None = None) -> Traced:
    """Show what each statement of revisions locks and does, by running them on an empty copy of the schema.

    Steps: selects the revisions as ``review`` does; creates an empty database, and runs the revisions before them there;
    runs each of them, and queries after each statement, those of helpers included, which locks it took, and what it
    rewrote, scanned and built. The copy is dropped. The project's database is not changed.

    Args:
        config: The configuration of the project.
        what: Revisions, ranges of them as ``"ae1027:head"``, or files. By default the pending ones of the project's
            database; if that cannot be reached, those that the main branch does not have.
        scratch_url: An empty database of the project's kind, which is empty again afterwards; by default one is created
            on the project's own server, and dropped.

    Returns:
        The statements with their locks. Its ``exit_status`` is 2 if a revision could not be traced to its end.

    Raises:
        InvalidArgument: There is no such revision or file.
        NotReady: The database at ``scratch_url`` is not empty, or no copy can be made.
        SafeOpsError: The revisions cannot be loaded, or a package is not installed.

    Example:
        for statement in trace(Config("alembic.ini")).statements:
            print(statement.shown, statement.locks, statement.application)
    """
    with ending_on_signals():
        environment = environment_of(config)
        selection = selected(config, what)
        learn_version(environment.dialect, config, scratch_url)
        database = database_for(environment.dialect, None)
        refuse_without_parser(database)
        found = list(_traced(config, selection.scripts, scratch_url))
    revisions = tuple(revision for revision, _ in found)
    which = [] if selection.why == "named" else [f"Traced: {selection.why}."]
    unseen = dict.fromkeys(remark for _, remarks in found for remark in remarks)
    return Traced(revisions, database.product, (*which, *unseen, *_remarks(revisions)))


def _traced(
    config: Config, scripts: Sequence[Script], scratch_url: str | None
) -> Iterator[tuple[TracedRevision, list[str]]]:
    traced = traced_on_scratch(config, scripts, scratch_url, StatementTrace)
    for script, (observed, recording) in zip(scripts, traced, strict=True):
        statements = tuple(statements_of(script.revision, observed))
        error = _error_of(recording)
        yield TracedRevision(script.revision, script.path, script.doc or "", statements, error), observed.unseen


def _error_of(recording: Recording) -> str | None:
    return why_not(recording.error) if recording.error is not None else None


def _remarks(revisions: Sequence[TracedRevision]) -> Iterator[str]:
    seen = {statement.seen for revision in revisions for statement in revision.statements}
    if SAMPLED in seen:
        yield SHORT
    if seen:
        yield ON_A_COPY
