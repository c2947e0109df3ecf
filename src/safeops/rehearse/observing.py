"""Follows a revision that really runs, and the helpers that it calls, and keeps what each statement did and held."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from safeops.databases.statements import Kind, kind_of, names_in, words_of
from safeops.judging.sent import HelperSent, Sent
from safeops.judging.truths import BUILD, LONG, REWRITE, ROWS, Measured
from safeops.naming import Name
from safeops.planned import NOTHING, WRITES
from safeops.rehearse.impact import ALL_WAIT, BRIEF, FREE, UNKNOWN, WRITES_WAIT
from safeops.rehearse.statement import MEASURED, NOT_SEEN, ROWS_WAIT, SAMPLED, WORDS, TracedStatement
from safeops.review.tracing import Running, Trace, Tracer, is_own, is_silent

CHANGES_ROWS = frozenset({"UPDATE", "DELETE", "MERGE", "REPLACE"})
FIRST_OF_SAFEOPS = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE( IF NOT EXISTS)?) ['\"`]?safeops_")
"""A statement on a table that safeops keeps."""
ENDS = frozenset({"COMMIT", "ROLLBACK", "END", "ABORT"})
LOCK_TABLES, UNLOCK_TABLES = ("LOCK", "TABLES"), ("UNLOCK", "TABLES")
"""MariaDB and MySQL: these locks are held until they are released, or others are taken."""


@dataclass
class Observation:
    """A statement that has run.

    Args:
        sent: The statement.
        tracer: Observed it; None for one that locks no table.
        helper: The helper that sent it.
        began: When it began.
        seconds: How long it took.
        holds: Whether its locks are held until the transaction ends.
        released: When its locks were released.
        later: What ran while they were held.
    """

    sent: Sent
    tracer: Tracer
    helper: str | None
    began: float
    seconds: float
    holds: bool
    released: float
    later: list[Observation] = field(default_factory=list)

    @property
    def measured(self) -> Measured:
        return self.sent.measured or Measured(exact=False)

    @property
    def works_for_long(self) -> bool:
        """Whether it takes longer the more rows there are."""
        limited = "LIMIT" in words_of(self.sent.sql)
        return any(work in LONG for _, _, work in self.measured.effects) or bool(self.measured.scanned and not limited)

    @property
    def blocks(self) -> bool:
        """Whether its locks block reads or writes."""
        return any(self.tracer.blocked(table, lock) != NOTHING for table, lock, _ in self.measured.effects)

    @property
    def application(self) -> str:
        """What the application notices."""
        found = [FREE, *(self._of_lock(table, lock, work) for table, lock, work in self.measured.effects)]
        words, is_exact = words_of(self.sent.sql), self.measured.exact
        if (self.measured.effects or not is_exact) and (not CHANGES_ROWS.isdisjoint(words[:1]) or _locks_rows(words)):
            found.append(ROWS_WAIT)
        elif not (self.measured.effects or is_exact or self.measured.sampled or kind_of(self.sent.sql) is Kind.READS):
            found.append(UNKNOWN)
        return max(found, key=WORDS.index)

    def _of_lock(self, table: Name, lock: str, work: str) -> str:
        blocked = self.tracer.blocked(table, lock)
        if blocked != NOTHING and (work in LONG or any(one.works_for_long for one in self.later)):
            return WRITES_WAIT if blocked == WRITES else ALL_WAIT
        return ROWS_WAIT if work == ROWS else BRIEF if self.tracer.blocks_briefly(table, lock) else FREE


def _locks_rows(words: Sequence[str]) -> bool:
    return any(word == "FOR" and words[at + 1 : at + 2] in (("UPDATE",), ("SHARE",)) for at, word in enumerate(words))


class StatementTrace(Trace):
    """Keeps what each statement of a revision did, helpers included.

    Args:
        file: The file of the revision.
    """

    follows_helpers = True

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.observations: list[Observation] = []
        self._holding: dict[int, list[Observation]] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        with super().listening():
            yield
        # What is left ends with the revision: Alembic only notes the version, and commits.
        for session in list(self._holding):
            self.ended(session, tables=True)

    def observed(self, running: Running, sent: Sent) -> None:
        words, now = words_of(sent.sql), self.now()
        if words[:2] in (LOCK_TABLES, UNLOCK_TABLES):
            self.ended(running.session, tables=True)
        if kind_of(sent.sql) is Kind.TRANSACTION and not ENDS.isdisjoint(words[:1]):
            self.ended(running.session)
        if running.tracer is None or self._is_internal(running, sent):
            return
        holds = running.tracer.holds(running.before)
        helper = self._helper() if running.is_of_helper else None
        found = Observation(sent, running.tracer, helper, running.began, running.seconds, holds, now)
        held = self._holding.setdefault(running.session, [])
        for one in held:
            one.later.append(found)
        if holds:
            held.append(found)
        self.observations.append(found)

    def ended(self, session: int, *, tables: bool = False) -> None:
        kept = []
        for one in self._holding.pop(session, ()):
            if not tables and words_of(one.sent.sql)[:2] == LOCK_TABLES:
                kept.append(one)
            one.released = self.now()
        if kept:
            self._holding[session] = kept

    @property
    def unseen(self) -> list[str]:
        """What the server does not show, as sentences."""
        return [text for text in {tracer.unseen: None for tracer in self.tracers} if text]

    def _helper(self) -> str | None:
        return next((event.name for event in reversed(self.events) if isinstance(event, HelperSent)), None)

    def _is_internal(self, running: Running, sent: Sent) -> bool:
        """Return whether a statement only reads catalogues, or works on tables that safeops keeps."""
        kind, measured = kind_of(sent.sql), sent.measured or Measured()
        if is_silent(sent.sql) or words_of(sent.sql)[:2] == UNLOCK_TABLES:
            return True
        if not running.is_of_helper:
            return False
        if measured.effects or measured.scanned or running.tracer is None or running.tracer.concerns(sent.sql):
            return bool(FIRST_OF_SAFEOPS.match(sent.sql))
        return kind is Kind.READS or any(name.startswith("safeops_") for name in names_in(sent.sql))


def _tables_with(wanted: str, one: Observation) -> Iterator[str]:
    """Yield the tables on which a statement did some work; if it locked a file, those that it read for that."""
    for table, _, work in one.measured.effects:
        if work == wanted and not is_own(table.name):
            yield from map(str, one.measured.scanned if one.tracer.locks_file else [table])


def _without(home: str, sql: str) -> str:
    """Return a statement without the name of the copy in it."""
    return sql.replace(f"`{home}`.", "").replace(f"{home}.", "") if home else sql


def statements_of(revision: str, trace: StatementTrace) -> Iterator[TracedStatement]:
    """Yield what each statement of a revision did."""
    for one in trace.observations:
        measured = one.measured
        effects = [(str(table), lock, work) for table, lock, work in measured.effects if not is_own(table.name)]
        place = one.sent.place
        yield TracedStatement(
            revision,
            _without(one.tracer.home, one.sent.sql),
            one.seconds,
            {table: lock for table, lock, _ in effects},
            tuple(_tables_with(REWRITE, one)),
            {str(table): None for table in measured.scanned},
            tuple(_tables_with(BUILD, one)),
            one.holds,
            max(one.released - one.began, one.seconds) if one.holds else one.seconds,
            one.application,
            MEASURED if measured.exact else SAMPLED if measured.sampled else NOT_SEEN,
            place.line if place is not None else None,
            one.helper,
            tuple(
                _without(later.tracer.home, later.sent.sql)
                for later in one.later
                if one.blocks and later.works_for_long
            ),
            measured.error,
        )
