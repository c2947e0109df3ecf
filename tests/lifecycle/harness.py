"""Proves idempotence, reversal and restart of any pair of migration bodies.

up_up_down_down_up(...)     the second time changes nothing; down and up again end in the same state
crash_everywhere(...)       stopped after any statement and run again, it ends as if undisturbed
"""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import sqlalchemy as sa
from tests.catalogue import all_rows, assert_same, definitions
from tests.projects import is_autocommit, is_read, is_watched, listening, migrate, run_sql, statements_of
from tests.servers import Database
from tests.whole import several

from safeops.backfilling.state import LEASE

PROGRESS = "safeops_backfill"
Body = Callable[[], Any]
Prepare = Sequence[str] | Callable[[Database], object]


def prepared(database: Database, prepare: Prepare) -> Database:
    """The database after `prepare`: SQL statements, or a function that is given the database."""
    if callable(prepare):
        prepare(database)
    elif prepare:
        database.execute(*prepare)
    return database


def state(database: Database, *, exact: bool = False) -> dict[str, Any]:
    """Schema and rows, as one comparable value."""
    schema = definitions(database, exact=exact).splitlines()
    return {"schema": [*schema], **{f"rows of {name}": found for name, found in all_rows(database).items()}}


# --- up, up, down, down, up ------------------------------------------------------------------------------


def up_up_down_down_up(
    database: Database,
    upgrade: Body,
    downgrade: Body,
    prepare: Prepare = (),
    *,
    lossless: bool = True,
    exact: bool = False,
) -> list[Any]:
    """Asserts idempotence and reversal, and returns what the five calls returned.

    Bodies that return bool must return True, False, True, False, True.

    Args:
        lossless: whether the downgrade leaves every row as it was (False: only the schema is compared).
        exact: compare SQLite's schema by its text.
    """

    def look() -> dict[str, Any]:
        return state(database, exact=exact) if lossless else {"schema": definitions(database, exact=exact)}

    def run(body: Body, *, down: bool, expected: dict[str, Any] | None, when: str) -> dict[str, Any]:
        results.append(migrate(database, body, down=down))
        found = look()
        if expected is not None:
            assert_same(expected, found, when)
        return found

    def run_again(body: Body, *, down: bool, expected: dict[str, Any], when: str) -> None:
        with statements_of(database) as sent:
            run(body, down=down, expected=expected, when=when)
        if sent.ddl:
            raise AssertionError(f"{when} sent DDL: {sent.ddl}")

    results: list[Any] = []
    prepared(database, prepare)
    before = look()
    after = run(upgrade, down=False, expected=None, when="the upgrade")
    if after == before:
        raise AssertionError("the upgrade changed nothing")
    run_again(upgrade, down=False, expected=after, when="the second upgrade")
    run(downgrade, down=True, expected=before, when="the downgrade")
    run_again(downgrade, down=True, expected=before, when="the second downgrade")
    run(upgrade, down=False, expected=after, when="the upgrade after the downgrade")
    if all(isinstance(result, bool) for result in results):
        assert results == [True, False, True, False, True], results
    return results


# --- crashes ---------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process has ended: nothing may catch it, and nothing more reaches the server."""


def crash_everywhere(
    new_database: Callable[[], Database],
    body: Body,
    prepare: Prepare = (),
    *,
    down: bool = False,
    driver: str | None = None,
    kills: int = 2,
    every_read: bool = False,
    every_checkpoint: bool = False,
    after_crash: Callable[[Database], object] | None = None,
    compare: Callable[[Database], Any] = state,
) -> int:
    """Stops the body after each of its statements, runs it again, and compares with an undisturbed run.

    Of several statements in one transaction it stops after the last one, and after the commit: a stop after any other
    leaves the same, which is what was committed before. Without --whole it stops once after each kind of statement.

    Two ways to stop: an exception that nothing catches, with every session of the migration ended; and
    SIGKILL to a forked child, at a few of the points.

    Args:
        down: run the body as a downgrade; let `prepare` do the upgrade.
        kills: how many of the points are tried with SIGKILL as well.
        every_read: stop after reads too, which leave the database as the statement before them did.
        every_checkpoint: stop after each note of a backfill's progress too, as the tests of backfills do.
        after_crash: is called with the database as the crash left it.
        compare: what must be equal in the end.

    Returns:
        The number of points.
    """

    model = prepared(new_database(), prepare)
    fresh = _copies_of(model, _maker(model, new_database, prepare), driver)
    # Without a server, the claim of the crashed runner (this process) looks like that of a living one.
    lease = mock.patch("safeops.backfilling.state.LEASE", 0.1 if model.server.kind == "sqlite" else LEASE)

    def stop_at(point: int, run: Callable[[_Stop, Body, bool], None]) -> None:
        database = fresh()
        stop = _Stop(database, at=point, every_read=every_read, every_checkpoint=every_checkpoint)
        run(stop, body, down)
        database.end_sessions()
        if after_crash is not None:
            after_crash(database)
        when = f"stopped at point {point} of {points} ({run.__name__.strip('_')}) and run again"
        try:
            migrate(database, body, down=down)
        except Exception as error:
            raise AssertionError(f"{when}: {error!r}\nbefore the stop: {stop.sent}") from error
        assert_same(expected, compare(database), f"{when}\nbefore the stop: {stop.sent}")
        _dropped(database)

    undisturbed = fresh()
    count = _Stop(undisturbed, at=None, every_read=every_read, every_checkpoint=every_checkpoint)
    with count.armed():
        migrate(undisturbed, body, down=down)
    points, expected = count.points, compare(undisturbed)
    _dropped(undisturbed)
    if not points:
        raise AssertionError("the body sent no statement that changes anything")
    with lease:
        for point, run in _stops(count, kills):
            stop_at(point, run)
    undisturbed.drop()
    return points


def _stops(count: _Stop, kills: int) -> list[tuple[int, Callable[[_Stop, Body, bool], None]]]:
    """The points to stop at, and how."""
    different = _different(count.undone)
    killed = [different[place - 1] for place in _spread(len(different), several(min(kills, 1), kills))]
    points = several(_samples(different, count.sent), different)
    return [*((point, _by_exception) for point in points), *((point, _by_sigkill) for point in killed)]


def _dropped(copy: Database) -> None:
    """The next copy takes its place with all engines; a server that cannot copy makes each in another place."""
    if copy.server.kind == "mysql":
        copy.drop()
    else:
        copy.server.drop(copy.url)


def _different(undone: Sequence[bool]) -> list[int]:
    """The points that differ in what they leave: of several in a row that all leave what was committed before, the last."""
    followed = zip(undone, [*undone[1:], False], strict=True)
    return [point for point, (own, next_) in enumerate(followed, 1) if not (own and next_)]


def _samples(points: Sequence[int], sent: Sequence[str]) -> list[int]:
    """The first of the points, the last one, and the one in the middle of those after the same kind of statement."""
    kinds: dict[str, list[int]] = {}
    for point in points:
        kinds.setdefault(" ".join(sent[point - 1].upper().split()[:2]), []).append(point)
    for nothing_yet in ("BEGIN", "BEGIN IMMEDIATE", "START TRANSACTION", "ROLLBACK"):
        kinds.pop(nothing_yet, None)
    return sorted({*points[:1], *points[-1:], *(alike[len(alike) // 2] for alike in kinds.values())})


def _maker(model: Database, new_database: Callable[[], Database], prepare: Prepare) -> Callable[[], Database]:
    """Makes a database like the model: by what prepared it, or out of its dump, which is faster than earlier phases."""
    script = model.server.script_of(model.name) if several(callable(prepare), False) else ""

    def restored() -> Database:
        database = new_database()
        run_sql(database, script)
        return database

    return restored if script else lambda: prepared(new_database(), prepare)


def _copies_of(model: Database, anew: Callable[[], Database], driver: str | None) -> Callable[[], Database]:
    """Makes databases like the one that is prepared: by a copy, which is fast, or from scratch if it cannot be copied.

    Each copy takes the place of the one before it, which was dropped: engines, and what they have compiled, serve all.
    """
    model.end_sessions()
    place: list[sa.URL] = []

    def fresh() -> Database:
        url = model.server.copy(model.name, *place)
        place[:] = [] if url is None else [url]
        database = dataclasses.replace(model, url=url) if url is not None else anew()
        return database if driver is None else database.with_driver(driver)

    return fresh


@dataclasses.dataclass
class _Stop:
    """Counts the points at which a migration can stop, and stops it at one of them.

    A point is after a statement that changes something, and after a commit of such statements.
    """

    database_: Database | None
    at: int | None
    every_read: bool = False
    every_checkpoint: bool = False
    kill: bool = False
    points: int = 0
    dead: bool = False
    sent: list[str] = dataclasses.field(default_factory=list)
    undone: list[bool] = dataclasses.field(default_factory=list)
    """For each point: a stop there reverts what was sent since the point before."""
    _open: set[int] = dataclasses.field(default_factory=set)
    _written: bool = False
    _committed: bool = False
    _cursor: Any = None
    _connections: list[Any] = dataclasses.field(default_factory=list)

    @property
    def database(self) -> Database:
        assert self.database_ is not None
        return self.database_

    @contextmanager
    def armed(self) -> Iterator[None]:
        on_engine: dict[str, Callable[..., Any]] = {
            "before_cursor_execute": self._before,
            "after_cursor_execute": self._after,
            "commit": self._commit,
            "do_connect": self._connect,
        }
        with listening(on_engine), listening({"connect": self._connected}, sa.pool.Pool):
            yield

    def _before(self, connection: sa.Connection, *_: object) -> None:
        if is_watched(connection, self.database):
            self._refuse_if_dead()
            if self._committed:
                self._committed = False
                self._point("COMMIT", undone=False)

    def _after(self, connection: sa.Connection, cursor: Any, statement: str, *_: object) -> None:
        if is_watched(connection, self.database) and self._counts(statement):
            self._written |= not is_autocommit(connection)
            self._cursor = cursor
            self._point(statement, undone=self._is_undone(connection, statement))

    def _is_undone(self, connection: sa.Connection, statement: str) -> bool:
        """Whether a stop right after a statement reverts it; not used for MariaDB, on which some statements commit."""
        word, owner = statement.split()[0].upper(), id(connection.connection.dbapi_connection)
        if word in ("BEGIN", "COMMIT", "ROLLBACK"):
            (self._open.add if word == "BEGIN" else self._open.discard)(owner)
            return word != "COMMIT" and self.database.kind != "mysql"
        transactional = self.database.kind == "postgresql" and not is_autocommit(connection)
        return transactional or (owner in self._open and self.database.kind != "mysql")

    def _counts(self, statement: str) -> bool:
        return (self.every_read or not _reads(statement)) and (self.every_checkpoint or PROGRESS not in statement)

    def _commit(self, connection: sa.Connection) -> None:
        if is_watched(connection, self.database):
            self._refuse_if_dead()
            # The event comes before the commit itself: the point is before the next statement.
            self._committed, self._written = self._committed or self._written, False

    def _connect(self, *_: object) -> None:
        self._refuse_if_dead()

    def _connected(self, dbapi_connection: Any, _record: object) -> None:
        self._connections.append(dbapi_connection)

    def _refuse_if_dead(self) -> None:
        if self.dead:
            raise Crash

    def _point(self, statement: str, *, undone: bool) -> None:
        self.points += 1
        self.undone.append(undone)
        self.sent.append(" ".join(statement.split()))
        if self.points == self.at:
            self._die()

    def _die(self) -> None:
        if self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        self.dead = True
        if self.database.kind == "sqlite":
            # A connection that is closed lives on until its last cursor is closed, as after RETURNING.
            for open_ in (self._cursor, *self._connections):
                open_.close()
        # The server discards what was not committed, and every session-level lock.
        self.database.end_sessions()
        raise Crash


def _reads(statement: str) -> bool:
    """Of what begins with WITH only the questions to the catalogue are sent here."""
    return is_read(statement) or bool(re.match(r"\s*WITH\b(?!.*\b(?:INSERT|UPDATE|DELETE)\b)", statement, re.I | re.S))


def _by_exception(stop: _Stop, body: Body, down: bool) -> None:
    with stop.armed():
        try:
            migrate(stop.database, body, down=down)
        except KeyboardInterrupt:
            raise
        except BaseException:
            # Cleaning up over a dead connection raises errors of all sorts, as in life.
            if not stop.dead:
                raise


def _by_sigkill(stop: _Stop, body: Body, down: bool) -> None:
    stop.kill = True
    sys.stdout.flush()
    sys.stderr.flush()
    # A fork: the body may be a closure.
    child = os.fork()
    if child == 0:
        _run_and_exit(stop, body, down)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise AssertionError("the migration failed in the child process; its traceback is on stderr")


def _run_and_exit(stop: _Stop, body: Body, down: bool) -> None:
    try:
        with stop.armed():
            migrate(stop.database, body, down=down)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _spread(points: int, count: int) -> list[int]:
    """At most `count` of the points, evenly spread, the last one included."""
    chosen = min(points, count)
    return [points * (number + 1) // chosen for number in range(chosen)]
