"""The verdicts on one revision, from each rung of the ladder that has seen it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError

from safeops.databases import Database
from safeops.errors import SafeOpsError
from safeops.judging.application import Uses
from safeops.judging.finding import NOTE, Finding, merged
from safeops.judging.judge import SMALL_TABLE, Judge
from safeops.judging.schema import Schema
from safeops.judging.sent import Event, Recording, Sent, Unseen
from safeops.judging.server import Session
from safeops.planned import summary
from safeops.review.baseline import normalised
from safeops.review.reviewed import UNSEEN

log = logging.getLogger("safeops")

OF_ROWS = frozenset({"mass-update", "locks-rows"})
"""The rules about how many rows a transaction changes."""


@dataclass(frozen=True)
class Verdicts:
    """Judges what revisions send.

    Args:
        database: The database that they are sent to, or its dialect alone.
        small_table: Long locks on tables with fewer rows are safe.
        settings: The settings of the sessions that migrate.
    """

    database: Database
    small_table: int = SMALL_TABLE
    settings: dict[str, str] = field(default_factory=dict)

    def of(self, recording: Recording, schema: Schema, uses: Uses | None = None) -> list[Finding]:
        """Return the findings of a recording; the schema is afterwards as the revision leaves it.

        Args:
            recording: What the revision sends.
            schema: What exists before it.
            uses: Returns whether deployed code uses a table or a column.
        """
        judge = Judge(
            self.database,
            schema,
            Session(self.database.dialect.driver, dict(self.settings)),
            uses=uses,
            small_table=self.small_table,
            seen=recording.seen,
        )
        found = [finding for event in _events(recording) for finding in _judged(judge, event)]
        return merged([*found, *judge.end_revision()])


def rung_of(recording: Recording) -> str:
    """Return on which rung a recording was made; "unseen" if it has nothing to judge."""
    nothing = bool(recording.events) and all(isinstance(event, Unseen) for event in recording.events)
    return UNSEEN if nothing else recording.seen


def is_complete(recording: Recording) -> bool:
    """Return whether a recording has all that the revision does."""
    return recording.error is None and not any(isinstance(event, Unseen) for event in recording.events)


def with_rows(measured: Recording, exact: Sequence[Finding], wide: Sequence[Finding]) -> list[Finding]:
    """Return the findings of an empty copy, and those that need rows.

    Args:
        measured: What the copy was sent.
        exact: The findings of that.
        wide: The findings of another rung, which makes rows up, or reads them.
    """
    sent = {normalised(event.sql) for event in measured.events if isinstance(event, Sent)}
    judged = {normalised(finding.statement) for finding in exact}
    # A loop that ends when no rows are left sends its statement once to an empty table.
    rows = [finding for finding in wide if finding.rule in OF_ROWS and normalised(finding.statement) not in judged]
    unsent = [finding for finding in wide if finding.sent is not None and normalised(finding.sent.sql) not in sent]
    return [*exact, *(one for one in wide if one.verdict != NOTE and (one in rows or one in unsent))]


def _judged(judge: Judge, event: Event) -> list[Finding]:
    try:
        return judge.judge(event, getattr(event, "measured", None))
    except (SafeOpsError, DBAPIError):
        raise
    except Exception as error:
        # An unknown form of a statement must not end the whole review, and must not count as safe.
        log.debug("a statement could not be judged", exc_info=True)
        why = f"It could not be judged, because of a bug in safeops: please report it. {summary(error)}"
        return judge.judge(Unseen(why, event.place, getattr(event, "sql", "")))


def _events(recording: Recording) -> Iterator[Event]:
    yield from recording.events
    if recording.error is not None and is_silent(recording):
        yield Unseen(f"The revision raised an error: {type(recording.error).__name__}: {recording.error}".rstrip(": "))


def is_silent(recording: Recording) -> bool:
    """Return whether no event of a recording shows that the revision failed."""
    refused = any(isinstance(event, Sent) and event.measured and event.measured.error for event in recording.events)
    return not refused and not any(isinstance(event, Unseen) for event in recording.events)
