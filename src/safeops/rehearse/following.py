"""Follows the statements of revisions that run on a copy with rows, under traffic: nothing delays them or the traffic."""

from __future__ import annotations

import re
import threading
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sqlalchemy.engine import Connection

from safeops.databases import database_on
from safeops.databases.driver_text import sent_text
from safeops.databases.ports import Port
from safeops.databases.statements import Kind, kind_of, words_of
from safeops.databases.waiting import Waiting
from safeops.planned import summary
from safeops.rehearse.effects import Effects, Statement
from safeops.rehearse.statement import MEASURED
from safeops.review.listener import StatementListener, session_of

SEPARATE = 50
"""Statements of a revision that differ in literals alone and are kept separately: a backfill sends many."""
BATCHED = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "WITH"})
"""First words of statements that change rows: they are sent again and again, and only the first one is observed."""
UNCHANGED, READ, CHANGED = 0, 1, 2
"""What a session has done since its observer has last looked."""
RESTS = 20
"""How much longer than a look at the log took, no other follows while statements are repeated."""
NOTICED = 0.1
"""Seconds from which a query is worth keeping."""
OBSERVER = {"safeops_observer": True}
"""The execution option of connections whose statements are not those of the revisions."""
UP, DOWN = "up", "down"
OWN = re.compile(
    r"\s*(BEGIN|((INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE( IF NOT EXISTS)?)\s+\S*?(safeops_|alembic_version)))",
    re.IGNORECASE,
)
"""What begins a transaction, or works on the tables that Alembic and safeops keep for themselves."""
CATALOGUE = re.compile(r"\b(pg_|sqlite_|safeops_|alembic_version|information_schema|PRAGMA)", re.IGNORECASE)
"""What a question to the catalogue has in it: it is not one of the revision."""
LITERAL = re.compile(r"'(?:[^']|'')*'|\d+")
HIDES_APOSTROPHES = re.compile(r"--|/\*|\\|\$|\"|`")


class Observer(Port):
    """What a session knows about its own statements, and what the server counts, for next to nothing."""

    place = "safeops.rehearse.{family}.following:Observer"
    asked = "A rehearsal"

    holds_after: ClassVar[bool] = False
    """It knows about a statement in autocommit too."""
    unseen: ClassVar[str] = ""
    """What this server does not show, as a sentence."""
    how: ClassVar[str] = ""
    """What its counters include, as a sentence."""

    def log_position(self) -> int | None:
        """Return how many bytes the server has written to its log so far; None if it does not count them."""
        return None

    def temporary_bytes(self) -> int | None:
        """Return how many bytes of temporary files it has written for the database; None if it does not count them."""
        return None

    @abstractmethod
    def begin(self) -> None:
        """Note what exists at the beginning of a revision."""

    def look(self, *, everything: bool) -> None:
        """Note what the session has locked and read so far, before a statement.

        Args:
            everything: Also what statements have changed that it has not seen.
        """

    @abstractmethod
    def after(self, sql: str) -> Effects | None:
        """Return what a statement did that has just run, in a transaction that holds its locks; None if unknown."""


class _Log:
    """The bytes that the server logs, read seldom while statements are sent again and again."""

    def __init__(self, server: Observer | None) -> None:
        self._server, self._lock = server, threading.Lock()
        self._position: int | None = None
        self._read_at = self._took = 0.0

    def before(self, *, again: bool) -> int | None:
        return self._position if again else self._read()

    def after(self, *, again: bool) -> int | None:
        # What one that is not read has logged is counted for the next one that is.
        is_resting = again and time.monotonic() - self._read_at < RESTS * self._took
        return self._position if is_resting else self._read()

    def _read(self) -> int | None:
        with self._lock:
            began = time.monotonic()
            self._position = self._server.log_position() if self._server is not None else None
            self._read_at = time.monotonic()
            self._took = self._read_at - began
            return self._position


@dataclass
class _Session:
    """A session that sends statements.

    Args:
        observer: Looks what they did.
        revision: The revision that sends them.
        since: What it has done since the observer has last looked.
        holding: The statements of its transaction, which hold their locks.
    """

    observer: Observer
    revision: str
    since: int = UNCHANGED
    holding: list[Statement] = field(default_factory=list)

    def has(self, done: int) -> None:
        self.since = max(self.since, done)


@dataclass
class _Running:
    """A statement that runs.

    Args:
        statement: What is kept of it.
        kind: What it does.
        first: Its first word.
        key: Is the same for statements that differ in literals alone.
        again: It was sent so often that each further one is only counted.
    """

    statement: Statement
    kind: Kind
    first: tuple[str, ...]
    key: tuple[str, str, str]
    again: bool

    @property
    def changes_rows(self) -> bool:
        return not BATCHED.isdisjoint(self.first)


class Followed(StatementListener[_Running]):
    """The statements of the revisions, as they come.

    Args:
        server: Reads the counters of the server, in a separate session; None if they are not needed.
    """

    def __init__(self, server: Observer | None = None) -> None:
        super().__init__()
        self.statements: list[Statement] = []
        self.unseen: list[str] = []
        self.revision, self.direction = "", UP
        self._log = _Log(server)
        self._sessions: dict[int, _Session] = {}
        self._repeated: Counter[tuple[str, str, str]] = Counter()
        self._last: dict[tuple[str, str, str], Statement] = {}
        self._known: dict[tuple[str, str, str], Effects] = {}
        self._lock = threading.Lock()

    def begins(self, revision: str, direction: str) -> None:
        """Note that the statements of a revision follow."""
        self.revision, self.direction = revision, direction

    # Events -----------------------------------------------------------------------------------------------------

    def on_statement(self, connection: Connection, sql: str, parameters: Any, many: bool) -> _Running | None:
        if not self.revision or "safeops_observer" in connection.get_execution_options() or OWN.match(sql):
            return None
        text = sent_text(connection, sql, parameters)
        statement = Statement(self.revision, self.direction, text, 0.0)
        key = self.revision, self.direction, LITERAL.sub("0", text)
        # What a statement does is known of one that differs in literals alone; an apostrophe can be one of a comment too.
        known = text if HIDES_APOSTROPHES.search(text) else key[-1]
        kind, first = kind_of(known), words_of(known)[:1]
        running = _Running(statement, kind, first, key, self._repeated[key] >= SEPARATE)
        if kind is Kind.WRITES:
            self._look(connection, running)
            statement.wal_bytes = self._log.before(again=running.again)
        statement.began = time.monotonic()
        return running

    def on_result(self, connection: Connection, running: _Running, rows: int) -> None:
        statement, kind = running.statement, running.kind
        statement.seconds = statement.held_seconds = time.monotonic() - statement.began
        statement.rows = rows if rows >= 0 else None
        if statement.wal_bytes is not None:
            statement.wal_bytes = (self._log.after(again=running.again) or 0) - statement.wal_bytes
        if kind is Kind.TRANSACTION:
            self.on_end(connection, commits=running.first != ("ROLLBACK",))
        elif kind is Kind.WRITES or (statement.seconds >= NOTICED and not CATALOGUE.search(statement.sql)):
            self._observe(connection, running)
            self._keep(running)
        elif (session := self._sessions.get(session_of(connection))) is not None:
            session.has(CHANGED if running.first == ("ROLLBACK",) else READ)

    def on_error(self, running: _Running, error: BaseException) -> None:
        statement = running.statement
        statement.seconds = statement.held_seconds = time.monotonic() - statement.began
        statement.error, statement.wal_bytes = summary(error), None
        self._keep(running)

    def on_end(self, connection: Connection, *, commits: bool) -> None:
        session = self._sessions.get(session_of(connection))
        if session is not None:
            now = time.monotonic()
            for statement in session.holding:
                statement.held_seconds = now - statement.began
            session.holding = []
            session.has(READ if commits else CHANGED)

    # What is kept -----------------------------------------------------------------------------------------------

    def _look(self, connection: Connection, running: _Running) -> None:
        """Have the session note what it has locked and read, unless it knows that, or what the statement does."""
        # In a transaction that has failed, the statement will too.
        with suppress(Exception):
            session = self._session(connection)
            if session.since and not (running.again or running.key in self._known):
                session.observer.look(everything=session.since == CHANGED)
                session.since = UNCHANGED

    def _observe(self, connection: Connection, running: _Running) -> None:
        """Query the session about a statement, unless many like it were sent."""
        with suppress(Exception):
            session, statement = self._session(connection), running.statement
            is_known = session.since != CHANGED or running.key in self._known
            session.has(READ if running.changes_rows or running.kind is Kind.READS else CHANGED)
            holds = Waiting.of(session.observer.database).is_in_transaction()
            if running.again or not is_known or not (holds or session.observer.holds_after):
                return
            effects = self._known.get(running.key) or session.observer.after(statement.sql)
            if effects is None:
                return
            if running.key not in self._known:
                session.since = UNCHANGED
            # The batches of a backfill differ in their keys alone: what the first one locked, each of them locks.
            if running.changes_rows and effects.locks:
                self._known[running.key] = effects
            statement.effects, statement.seen = effects, MEASURED
            if holds:
                session.holding.append(statement)

    def _keep(self, running: _Running) -> None:
        statement, key = running.statement, running.key
        with self._lock:
            self._repeated[key] += 1
            last = self._last.get(key)
            if last is None or self._repeated[key] <= SEPARATE:
                self._last[key] = statement
                self.statements.append(statement)
            else:
                last.times += 1
                last.seconds += statement.seconds
                if last.wal_bytes is not None:
                    last.wal_bytes += statement.wal_bytes or 0

    def _session(self, connection: Connection) -> _Session:
        key = session_of(connection)
        session = self._sessions.get(key)
        # What exists at the beginning of another revision is another thing.
        if session is None or session.revision != self.revision or session.observer.database.connection.closed:
            observer = Observer.of(database_on(connection))
            observer.begin()
            self.unseen = list(dict.fromkeys([*self.unseen, *filter(None, [observer.unseen])]))
            holding = session.holding if session is not None else []
            session = self._sessions[key] = _Session(observer, self.revision, holding=holding)
        return session


@contextmanager
def following(server: Observer | None = None) -> Iterator[Followed]:
    """Follow the statements of all revisions that run in the block.

    Args:
        server: Reads the counters of the server, in a separate session; None if they are not needed.
    """
    followed = Followed(server)
    with followed.listening():
        yield followed
