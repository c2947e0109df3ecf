"""Counts the points at which a run of revisions can stop, and stops it at one of them.

Stop(..., at=None)      counts them: with ``armed()`` around a run, ``points`` has them afterwards
Stop(..., at=3)         ends the run after its third point, as if its process had ended
different(points)       those points that leave different databases
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import StatementError
from sqlalchemy.pool import Pool

from safeops import _sqlalchemy
from safeops.backfilling.state import TABLE as PROGRESS
from safeops.databases import database_on
from safeops.databases.connections import listening
from safeops.databases.driver_text import sent_text
from safeops.databases.statements import Kind, kind_of, words_of
from safeops.databases.waiting import Waiting

COMMIT = "COMMIT"


class Crash(BaseException):
    """The process has ended: nothing may catch it, and nothing more reaches the server."""


@dataclass(frozen=True)
class Point:
    """A place at which a run can stop: after a statement that changes something, or after a commit.

    Args:
        sql: The statement in one line.
        reverted: A stop here leaves what was committed before; False if the statement itself is committed.
    """

    sql: str
    reverted: bool


def changes(sql: str) -> bool:
    """Return whether a statement may change the database, by its text.

    What backfills note of their progress does not count: tests of safeops itself stop there. Nor does the beginning of a
    transaction.
    """
    begins = words_of(sql)[:1] in (("BEGIN",), ("START",))
    return kind_of(sql) in (Kind.WRITES, Kind.TRANSACTION) and PROGRESS not in sql and not begins


def is_of_the_run(connection: Connection) -> bool:
    """Return whether a connection is one of the revisions, and not of what observes them."""
    return "safeops_observer" not in connection.get_execution_options()


def refused_statement(error: BaseException | None) -> str:
    """Return the statement that the server refused, in one line; empty if the error comes from none."""
    while error is not None:
        if isinstance(error, StatementError) and error.statement:
            # Drivers get percent signs doubled.
            return " ".join(error.statement.replace("%%", "%").split())
        error = error.__cause__ or error.__context__
    return ""


def different(points: Sequence[Point]) -> list[int]:
    """Return the numbers of the points that leave different databases, from 1: of several in a row that all leave what was
    committed before them, the last one.
    """
    followed = zip(points, [*points[1:], None], strict=True)
    return [
        number
        for number, (own, after) in enumerate(followed, 1)
        if not (own.reverted and after is not None and after.reverted)
    ]


@dataclass
class Stop:
    """Counts the points of a run, and stops it at one of them.

    Args:
        is_watched: Returns whether a connection is one of the run.
        end_sessions: Ends the sessions of the run at the server, which then reverts what they have not committed.
        at: The number of the point to stop at; None only counts.
        counts: Returns whether there is a point after a statement.
        kills: Kill this process there, instead of raising ``Crash``.
        closes: Close the connections there: no server ends the sessions.
        interrupt: Has the server end the statement at the point while it runs, if it takes long enough.
    """

    is_watched: Callable[[Connection], bool]
    end_sessions: Callable[[], object]
    at: int | None = None
    counts: Callable[[str], bool] = changes
    kills: bool = False
    closes: bool = False
    interrupt: Callable[[], object] | None = None
    reached: Callable[[], object] | None = None
    points: list[Point] = field(default_factory=list)
    stopped: bool = False
    _open: set[int] = field(default_factory=set)
    _written: bool = False
    _committed: bool = False
    _cursor: Any = None
    _connections: list[Any] = field(default_factory=list)
    _ending: bool = False

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Count, and stop, what runs in the block."""
        on_engine: dict[str, Callable[..., None]] = {
            "before_cursor_execute": self._before,
            "after_cursor_execute": self._after,
            "commit": self._commit,
            "do_connect": self._connect,
        }
        with ExitStack() as stack:
            for name, listener in on_engine.items():
                stack.enter_context(listening(Engine, name, listener))
            stack.enter_context(listening(Pool, "connect", self._connected))
            yield

    def run(self, body: Callable[[], object]) -> None:
        """Run a function to the point to stop at; what it raises from there on is only its cleaning up."""
        with self.armed():
            try:
                body()
            except KeyboardInterrupt:
                raise
            except BaseException:
                # Cleaning up over a dead connection raises errors of all sorts, as in life.
                if not self.stopped:
                    raise

    # Events -----------------------------------------------------------------------------------------------------

    def _before(self, connection: Connection, _cursor: object, sql: str, *_: object) -> None:
        if self._watches(connection):
            self._refuse_if_stopped()
            if self._committed:
                self._committed = False
                self._point(COMMIT, reverted=False)
            if self.interrupt is not None and self.counts(sql) and len(self.points) + 1 == self.at:
                self.stopped = True
                self.interrupt()

    def _after(self, connection: Connection, cursor: Any, sql: str, parameters: object, *_: object) -> None:
        if self._watches(connection):
            reverted = self._is_reverted(connection, sql)
            if self.counts(sql):
                self._written |= not _sqlalchemy.is_autocommit(connection)
                self._cursor = cursor
                self._point(sent_text(connection, sql, parameters), reverted=reverted)

    def _commit(self, connection: Connection) -> None:
        if self._watches(connection):
            self._refuse_if_stopped()
            # The event comes before the commit itself: the point is before the next statement.
            self._committed, self._written = self._committed or self._written, False

    def _connect(self, *_: object) -> None:
        self._refuse_if_stopped()

    def _connected(self, dbapi_connection: Any, _record: object) -> None:
        self._connections.append(dbapi_connection)

    def _watches(self, connection: Connection) -> bool:
        return not self._ending and self.is_watched(connection)

    def _refuse_if_stopped(self) -> None:
        if self.stopped and not self._ending:
            raise Crash

    # Points -----------------------------------------------------------------------------------------------------

    def _is_reverted(self, connection: Connection, sql: str) -> bool:
        """Return whether a stop right after a statement leaves what was committed before it."""
        words, owner = words_of(sql), id(connection.connection.dbapi_connection)
        waiting = Waiting.of(database_on(connection))
        if words[:1] in (("BEGIN",), ("START",)):
            self._open.add(owner)
            return True
        if kind_of(sql) is Kind.TRANSACTION or waiting.commits(words):
            self._open.discard(owner)
            return words[:1] == ("ROLLBACK",)
        # In autocommit only the statements that begin and end a transaction show whether there is one.
        return owner in self._open if _sqlalchemy.is_autocommit(connection) else waiting.is_in_transaction()

    def _point(self, sql: str, *, reverted: bool) -> None:
        self.points.append(Point(" ".join(sql.split()), reverted))
        if self.reached is not None and not reverted:
            self.reached()
        if len(self.points) == self.at:
            self._stop()

    def _stop(self) -> None:
        if self.kills:
            kill_this_process()
        self.stopped = self._ending = True
        if self.closes:
            # A connection that is closed lives on until its last cursor is closed, as after RETURNING.
            for one in (self._cursor, *self._connections):
                one.close()
        # The server discards what was not committed, and every session-level lock.
        self.end_sessions()
        self._ending = False
        raise Crash


def kill_this_process() -> None:
    """End this process at once, as ``kill -9`` does."""
    # Windows has no such signal: it ends a process by any other.
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
