"""Observes a revision that really runs: its statements, and what the server did for each."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import get_ident
from time import perf_counter
from types import FrameType
from typing import Any

from sqlalchemy.engine import Connection

from safeops.databases import database_on
from safeops.databases.driver_text import sent_text
from safeops.databases.ports import Port
from safeops.databases.statements import Kind, kind_of, words_of
from safeops.judging.sent import Event, Sent
from safeops.judging.truths import Measured
from safeops.naming import Name
from safeops.observation import observed
from safeops.planned import NOTHING, summary
from safeops.review.listener import StatementListener, session_of
from safeops.review.recorder import Recorder
from safeops.runner.readiness import VERSION_TABLE

UNMEASURED = frozenset({Kind.TRANSACTION, Kind.SESSION, Kind.SAVEPOINT})
"""What locks no table; a question before ``SET TRANSACTION`` would make the server refuse it."""
IGNORED = ("safeops.review.", "safeops._alembic")
"""Modules whose frames do not make a statement one of a helper."""


def is_silent(sql: str) -> bool:
    """Return whether a statement locks no table; ``SET STATEMENT ... FOR`` of MariaDB may run any."""
    return kind_of(sql) in UNMEASURED and words_of(sql)[:2] != ("SET", "STATEMENT")


def is_own(table: str) -> bool:
    """Return whether a table is one that Alembic or safeops keeps for itself."""
    return table == VERSION_TABLE or table.startswith("safeops_")


class Tracer(Port):
    """Observes on a server what a statement did."""

    place = "safeops.review.{family}:Tracer"
    asked = "A review on a scratch copy"

    rolls_back = False
    """Whether the server rolls back DDL in a transaction that has not been committed."""
    locks_file = False
    """Whether the locks are on the file of the database, not on its tables."""
    samples = False
    """Whether a second session observes what cannot be observed exactly."""
    unseen = ""
    """What this server does not show, as a sentence; empty if it shows all."""
    home = ""
    """The database of the copy, if it is part of the names of tables."""
    old: Any = None
    """What was there before the revision; None until its first statement."""

    @abstractmethod
    def begin(self, sql: str, parameters: Any) -> Any:
        """Return what is there before a statement."""

    def is_done(self, before: Any) -> bool:
        """Return whether ``begin`` has already run the statement to observe it."""
        return False

    def seconds(self, before: Any) -> float:
        """Return how long a statement took that ``begin`` has run."""
        return 0.0

    @abstractmethod
    def end(self, before: Any) -> Measured:
        """Return what a statement did that has just run."""

    def failed(self, before: Any, error: BaseException) -> Measured:
        """Return that the server refused a statement, and why."""
        return Measured(error=summary(error), of_the_copy=self.is_of_the_copy(before, error))

    def is_of_the_copy(self, before: Any, error: BaseException) -> bool:
        """Return whether an error may come from the copy, which has no rows, and from its server.

        If no revision has made a table yet, those that one is missing are made by something else.
        """
        return False

    def concerns(self, sql: str) -> bool:
        """Return whether a statement that changes something names a table that was there before the revision."""
        return False

    def blocked(self, table: Name, lock: str) -> str:
        """Return what a lock on a table blocks while a statement works under it."""
        return NOTHING

    def blocks_briefly(self, table: Name, lock: str) -> bool:
        """Return whether a lock on a table blocks others even if there is no work."""
        return self.blocked(table, lock) != NOTHING

    def holds(self, before: Any) -> bool:
        """Return whether the locks of a statement that has run are held until its transaction ends."""
        return self.transaction(before) is not None

    def transaction(self, before: Any) -> object:
        """Return what names the transaction that a statement belongs to; None in autocommit."""
        return None


@dataclass
class Running:
    """A statement that runs."""

    sql: str
    parameters: Any
    times: int
    transaction: int | None
    session: int
    is_of_helper: bool = False
    tracer: Tracer | None = None
    before: Any = None
    began: float = 0.0
    seconds: float = 0.0


class _Recorder(Recorder):
    """Records helpers, and runs them."""

    def helper(self, name: str, given: Mapping[str, Any]) -> bool:
        # A helper may call others.
        if not _runs_in_helper(sys._getframe(3)):
            super().helper(name, given)
        return False


class Stopped(Exception):
    """A revision has been run as far as is needed: Alembic rolls it back.

    It is an Exception: SQLAlchemy closes the connection for others.
    """


class Trace(StatementListener[Running]):
    """What a revision did, as it comes.

    Args:
        file: The file of the revision.
    """

    follows_helpers = False
    """Whether the statements of helpers are observed too."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.committed = self.stopped = False
        self.observing_seconds = 0.0
        self._thread = get_ident()
        self._recorder = _Recorder(file)
        self._names: list[object] = []
        self._ended: Counter[int] = Counter()
        self._is_ignoring = False
        self._tracers: dict[int, tuple[Connection, Tracer]] = {}

    @property
    def tracers(self) -> list[Tracer]:
        """What observed the sessions."""
        return [tracer for _, tracer in self._tracers.values()]

    @property
    def events(self) -> list[Event]:
        return self._recorder.events

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Follow each connection of the process, for the block."""
        with self._recorder.recording(), super().listening():
            yield

    def _listeners(self) -> dict[str, Callable[..., Any]]:
        return {
            **super()._listeners(),
            **dict.fromkeys(("do_execute", "do_execute_no_params"), self._instead),
        }

    @property
    def is_undone(self) -> bool:
        """Whether a rollback reverts everything."""
        sent = [event for event in self.events if isinstance(event, Sent)]
        # A query outside of any transaction may call a function that writes.
        ended = any(one.transaction is None or kind_of(one.sql) is Kind.TRANSACTION for one in sent)
        writes = any(kind_of(one.sql) is not Kind.READS for one in sent)
        rolls_back = all(tracer.rolls_back for _, tracer in self._tracers.values())
        return not self.committed and not ended and len(self._names) <= 1 and (rolls_back or not writes)

    @contextmanager
    def ignoring(self) -> Iterator[None]:
        """Do not count statements of the block as statements of the revision."""
        self._is_ignoring = True
        try:
            yield
        finally:
            self._is_ignoring = False

    def stop(self) -> None:
        """End the revision here."""
        self.stopped = True
        raise Stopped

    def comes(self, connection: Connection) -> None:
        """Handle the beginning of a statement of the revision."""

    def came(self, connection: Connection) -> None:
        """Handle the end of a statement of the revision."""

    def observed(self, running: Running, sent: Sent) -> None:
        """Handle what was observed of a statement."""

    def ended(self, session: int) -> None:
        """Handle the end of a transaction of a session."""

    def now(self) -> float:
        """Return a time in seconds, without the time that observing took."""
        return perf_counter() - self.observing_seconds

    @contextmanager
    def _own_time(self) -> Iterator[None]:
        began = perf_counter()
        try:
            yield
        finally:
            self.observing_seconds += perf_counter() - began

    # Events -----------------------------------------------------------------------------------------------------

    def on_statement(self, connection: Connection, sql: str, parameters: Any, many: bool) -> Running | None:
        if self._is_ignoring:
            return None
        if self.stopped:
            # The revision has caught it, and continues.
            raise Stopped
        is_of_helper = _runs_in_helper(sys._getframe(1))
        if is_of_helper:
            self.committed = True
            # Helpers query other sessions in separate threads.
            if not self.follows_helpers or get_ident() != self._thread:
                return None
        else:
            self.comes(connection)
        times = len(parameters) if many else 1
        values = (parameters[0] if parameters else None) if many else parameters
        text = sent_text(connection, sql, parameters)
        running = Running(text, values, times, self._last, session_of(connection), is_of_helper)
        if not is_silent(sql):
            with self._own_time():
                self._begin(running, self._tracer(connection))
        running.began = self.now()
        return running

    def _begin(self, running: Running, tracer: Tracer) -> None:
        running.before = tracer.begin(running.sql, running.parameters)
        running.tracer = tracer
        running.transaction = self._number(tracer.transaction(running.before), running.session)

    def _instead(self, cursor: Any, *_: Any) -> bool | None:
        running = self._running.get(id(cursor))
        done = running is not None and running.tracer is not None and running.tracer.is_done(running.before)
        return True if done else None

    def on_result(self, connection: Connection, running: Running, rows: int) -> None:
        self._note_seconds(running)
        with self._own_time():
            measured = running.tracer.end(running.before) if running.tracer is not None else Measured()
        self._add(running, measured)
        if not running.is_of_helper:
            self.came(connection)

    def on_error(self, running: Running, error: BaseException) -> None:
        self._note_seconds(running)
        if running.tracer is not None:
            self._add(running, running.tracer.failed(running.before, error))
        else:
            self._add(running, Measured(error=summary(error)))

    def _note_seconds(self, running: Running) -> None:
        running.seconds = self.now() - running.began
        if running.tracer is not None and running.tracer.is_done(running.before):
            running.seconds = running.tracer.seconds(running.before)

    def on_end(self, connection: Connection, *, commits: bool) -> None:
        self.committed = self.committed or commits
        session = session_of(connection)
        self._ended[session] += 1
        self.ended(session)

    def _add(self, running: Running, measured: Measured) -> None:
        self._recorder.statement(running.sql, running.parameters, running.transaction, running.times)
        sent = self.events[-1]
        assert isinstance(sent, Sent)
        self.events[-1] = sent = replace(sent, measured=measured)
        self.observed(running, sent)

    def _tracer(self, connection: Connection) -> Tracer:
        # Inside an autocommit block the connection is another object.
        if id(connection) not in self._tracers:
            self._tracers[id(connection)] = connection, self._new_tracer(connection)
        return self._tracers[id(connection)][1]

    def _new_tracer(self, connection: Connection) -> Tracer:
        tracer = Tracer.of(database_on(connection))
        tracer.samples = self.follows_helpers
        for _, other in self._tracers.values() if self.follows_helpers else ():
            tracer.old, tracer.unseen, tracer.home = other.old, other.unseen, other.home
        return tracer

    # Transactions -----------------------------------------------------------------------------------------------

    @property
    def _last(self) -> int:
        return max(len(self._names) - 1, 0)

    def _number(self, name: object, session: int) -> int | None:
        if name is None:
            return None
        key = name, session, self._ended[session]
        if key not in self._names:
            self._names.append(key)
        return self._names.index(key)


def _runs_in_helper(frame: FrameType | None) -> bool:
    """Return whether a helper of safeops is between the code that runs and the revision."""
    while frame is not None and frame.f_code is not traced.__code__:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("safeops.") and not module.startswith(IGNORED):
            return True
        frame = frame.f_back
    return False


def traced(body: Callable[..., Any], trace: Trace, arguments: dict[str, Any]) -> None:
    """Run the body of a revision, and follow what it does."""
    with observed(), trace.listening():
        body(**arguments)
