"""Follows the statements of revisions that run on a copy with rows, under traffic: nothing delays them or the traffic."""

from __future__ import annotations

import re
import threading
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from sqlalchemy.engine import Connection, Engine, ExceptionContext

from safeops.databases import database_on
from safeops.databases.connections import listening
from safeops.databases.ports import Port
from safeops.databases.statements import Kind, kind_of, words_of
from safeops.databases.waiting import Waiting
from safeops.planned import summary

MEASURED, SAMPLED, REVIEWED, NOT_SEEN = "measured", "sampled", "reviewed", "not seen"
"""How the locks of a statement are known: from the session that sent it, from samples of a second one, from the review of
its text, or not at all."""
SEPARATE = 50
"""Statements of a revision that differ in numbers alone and are kept separately: a backfill sends many."""
NOTICED = 0.1
"""Seconds from which a query is worth keeping."""
OBSERVER = {"safeops_observer": True}
"""The execution option of connections whose statements are not those of the revisions."""
UP, DOWN = "up", "down"
FILE = "main"
"""What a server that locks its whole file calls it."""
OWN = re.compile(
    r"\s*(BEGIN|((INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE( IF NOT EXISTS)?)\s+\S*?(safeops_|alembic_version)))",
    re.IGNORECASE,
)
"""What begins a transaction, or works on the tables that Alembic and safeops keep for themselves."""
CATALOGUE = re.compile(r"\b(pg_|sqlite_|safeops_|alembic_version|information_schema|PRAGMA)", re.IGNORECASE)
"""What a question to the catalogue has in it: it is not one of the revision."""
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Effects:
    """What a statement did to the tables that existed before the revision.

    Args:
        locks: The strongest lock on each table.
        rewrote: The tables that were copied.
        built: The tables for which an index was built.
        scanned: The tables that were read in sequence, and how many rows were read.
    """

    locks: Mapping[str, str] = field(default_factory=dict)
    rewrote: tuple[str, ...] = ()
    built: tuple[str, ...] = ()
    scanned: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Statement:
    """A statement of a revision, or of a helper that it calls.

    Args:
        revision: The revision.
        direction: "up" or "down".
        sql: Its text.
        began: When it began, by ``time.monotonic()``.
        seconds: How long it took; of repeated ones, all together.
        held_seconds: How long its locks were held: until its transaction ended.
        effects: What it did to tables.
        rows: The rows that it changed; None if that is not known.
        wal_bytes: What the server wrote to its log while it ran, also for others; None if that is not known.
        seen: How its locks were observed.
        times: How often it was sent.
        error: How the server refused it; None if it ran.
    """

    revision: str
    direction: str
    sql: str
    began: float
    seconds: float = 0.0
    held_seconds: float = 0.0
    effects: Effects = Effects()
    rows: int | None = None
    wal_bytes: int | None = None
    seen: str = NOT_SEEN
    times: int = 1
    error: str | None = None

    @property
    def locks(self) -> Mapping[str, str]:
        return self.effects.locks

    @property
    def scanned(self) -> Mapping[str, int]:
        return self.effects.scanned

    def as_json(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "direction": self.direction,
            "sql": self.sql,
            "seconds": round(self.seconds, 5),
            "held_seconds": round(self.held_seconds, 5),
            "locks": dict(self.locks),
            "rewrote": list(self.effects.rewrote),
            "built": list(self.effects.built),
            "scanned": dict(self.scanned),
            "rows": self.rows,
            "wal_bytes": self.wal_bytes,
            "seen": self.seen,
            "exact": self.seen == MEASURED,
            "times": self.times,
            "error": self.error,
        }


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

    @abstractmethod
    def after(self, sql: str) -> Effects | None:
        """Return what a statement did that has just run, in a transaction that holds its locks; None if unknown."""


class Followed:
    """The statements of the revisions, as they come.

    Args:
        server: Reads the counters of the server, in a separate session; None if they are not needed.
    """

    def __init__(self, server: Observer | None = None) -> None:
        self._server = server
        self.statements: list[Statement] = []
        self.unseen: list[str] = []
        self.revision, self.direction = "", UP
        self._running: dict[int, Statement] = {}
        self._holding: dict[Any, list[Statement]] = {}
        self._observers: dict[Any, Observer] = {}
        self._repeated: Counter[tuple[str, str, str]] = Counter()
        self._last: dict[tuple[str, str, str], Statement] = {}
        self._lock = threading.Lock()

    def begins(self, revision: str, direction: str) -> None:
        """Note that the statements of a revision follow."""
        self.revision, self.direction = revision, direction
        # What exists at its beginning is another thing.
        self._observers.clear()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Follow each connection of the process that is not an observer's, for the block."""
        listeners: dict[str, Callable[..., Any]] = {
            "before_cursor_execute": self._before,
            "after_cursor_execute": self._after,
            "handle_error": self._failed,
            "commit": self._ended,
            "rollback": self._ended,
        }
        with ExitStack() as stack:
            for name, listener in listeners.items():
                stack.enter_context(listening(Engine, name, listener))
            yield

    # Events -----------------------------------------------------------------------------------------------------

    def _before(self, connection: Connection, cursor: Any, sql: str, *_: Any) -> None:
        if self.revision and "safeops_observer" not in connection.get_execution_options():
            if kind_of(sql) is Kind.WRITES:
                with suppress(Exception):
                    self._observer(connection)
            position = self._log_position() if kind_of(sql) is Kind.WRITES else None
            self._running[id(cursor)] = Statement(
                self.revision, self.direction, sql, time.monotonic(), wal_bytes=position
            )

    def _after(self, connection: Connection, cursor: Any, *_: Any) -> None:
        statement = self._running.pop(id(cursor), None)
        if statement is None:
            return
        statement.seconds = statement.held_seconds = time.monotonic() - statement.began
        statement.rows = cursor.rowcount if cursor.rowcount >= 0 else None
        if statement.wal_bytes is not None:
            statement.wal_bytes = (self._log_position() or statement.wal_bytes) - statement.wal_bytes
        kind = kind_of(statement.sql)
        if kind is Kind.TRANSACTION and words_of(statement.sql)[:1] != ("BEGIN",):
            self._ended(connection)
        elif kind is Kind.WRITES or (statement.seconds >= NOTICED and not CATALOGUE.search(statement.sql)):
            self._note(connection, statement)

    def _failed(self, context: ExceptionContext) -> None:
        statement = self._running.pop(id(getattr(context.execution_context, "cursor", None)), None)
        if statement is not None:
            statement.seconds = statement.held_seconds = time.monotonic() - statement.began
            statement.error, statement.wal_bytes = summary(context.original_exception), None
            self._keep(statement)

    def _ended(self, connection: Connection) -> None:
        now = time.monotonic()
        for statement in self._holding.pop(_session(connection), ()):
            statement.held_seconds = now - statement.began

    def _log_position(self) -> int | None:
        with self._lock:
            return self._server.log_position() if self._server is not None else None

    # What is kept -----------------------------------------------------------------------------------------------

    def _note(self, connection: Connection, statement: Statement) -> None:
        """Query the session about a statement, unless many like it were sent."""
        if self._repeated[_key(statement)] < SEPARATE:
            with suppress(Exception):
                self._ask(connection, statement)
        if not OWN.match(statement.sql):
            self._keep(statement)

    def _ask(self, connection: Connection, statement: Statement) -> None:
        observer = self._observer(connection)
        holds = Waiting.of(observer.database).is_in_transaction()
        effects = observer.after(statement.sql) if holds or observer.holds_after else None
        if effects is None:
            return
        held = self._holding.setdefault(_session(connection), [])
        # The session shows all locks of its transaction: those of earlier statements are theirs.
        taken = {
            table: lock for table, lock in effects.locks.items() if all(one.locks.get(table) != lock for one in held)
        }
        statement.effects, statement.seen = replace(effects, locks=taken), MEASURED
        if holds:
            held.append(statement)

    def _keep(self, statement: Statement) -> None:
        with self._lock:
            key = _key(statement)
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

    def _observer(self, connection: Connection) -> Observer:
        key = _session(connection)
        if key not in self._observers:
            observer = Observer.of(database_on(connection))
            self._observers[key] = observer
            self.unseen = list(dict.fromkeys([*self.unseen, *filter(None, [observer.unseen])]))
            observer.begin()
        return self._observers[key]


@contextmanager
def following(server: Observer | None = None) -> Iterator[Followed]:
    """Follow the statements of all revisions that run in the block.

    Args:
        server: Reads the counters of the server, in a separate session; None if they are not needed.
    """
    followed = Followed(server)
    with followed.listening():
        yield followed


def _session(connection: Connection) -> Any:
    # Inside an autocommit block the connection is another object.
    return id(connection.connection.driver_connection)


def _key(statement: Statement) -> tuple[str, str, str]:
    return statement.revision, statement.direction, _NUMBER.sub("0", statement.sql)
