"""Proves idempotence, reversal and restart of any pair of migration bodies.

up_up_down_down_up(...)     the second time changes nothing; down and up again end in the same state
crash_everywhere(...)       stopped after any statement and run again, it ends as if undisturbed
"""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import sqlalchemy as sa
from tests.catalogue import all_rows, assert_same, definitions
from tests.projects import is_read, is_watched, migrate, run_sql, statements_of
from tests.servers import Database
from tests.whole import several, unless_repeated

from safeops.backfilling.state import LEASE
from safeops.testing.stopping import Point, Stop, different

PROGRESS = "safeops_backfill"
Body = Callable[[], Any]
Migration = Callable[[], object]
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
    leaves the same, which is what was committed before. Without --whole, and if another server has proved it, it stops once
    after each kind of statement.

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

    def counts(statement: str) -> bool:
        return (every_read or not _reads(statement)) and (every_checkpoint or PROGRESS not in statement)

    def stop_at(point: int, run: Callable[[Stop, Migration], None]) -> None:
        database = fresh()
        stop = _stop(database, counts, point)
        run(stop, lambda: migrate(database, body, down=down))
        database.end_sessions()
        if after_crash is not None:
            after_crash(database)
        when = f"stopped at point {point} of {points} ({run.__name__.strip('_')}) and run again"
        sent = [one.sql for one in stop.points]
        try:
            migrate(database, body, down=down)
        except Exception as error:
            raise AssertionError(f"{when}: {error!r}\nbefore the stop: {sent}") from error
        assert_same(expected, compare(database), f"{when}\nbefore the stop: {sent}")
        _dropped(database)

    undisturbed = fresh()
    count = _stop(undisturbed, counts)
    count.run(lambda: migrate(undisturbed, body, down=down))
    points, expected = len(count.points), compare(undisturbed)
    _dropped(undisturbed)
    if not points:
        raise AssertionError("the body sent no statement that changes anything")
    with lease:
        for point, run in _stops(count.points, kills):
            stop_at(point, run)
    undisturbed.drop()
    return points


def _stop(database: Database, counts: Callable[[str], bool], at: int | None = None) -> Stop:
    def watched(connection: sa.Connection) -> bool:
        return is_watched(connection, database)

    return Stop(watched, database.end_sessions, at, counts, closes=database.kind == "sqlite")


def _stops(points: Sequence[Point], kills: int) -> list[tuple[int, Callable[[Stop, Migration], None]]]:
    """The points to stop at, and how."""
    numbers = different(points)
    killed = [numbers[place - 1] for place in _spread(len(numbers), several(min(kills, 1), kills))]
    chosen = unless_repeated(_samples(numbers, points), numbers)
    return [*((point, _by_exception) for point in chosen), *((point, _by_sigkill) for point in killed)]


def _dropped(copy: Database) -> None:
    """The next copy takes its place with all engines; a server that cannot copy makes each in another place."""
    if copy.server.kind == "mysql":
        copy.drop()
    else:
        copy.server.drop(copy.url)


def _samples(numbers: Sequence[int], points: Sequence[Point]) -> list[int]:
    """The first of the points, the last one, and the one in the middle of those after the same kind of statement."""
    kinds: dict[str, list[int]] = {}
    for number in numbers:
        kinds.setdefault(" ".join(points[number - 1].sql.upper().split()[:2]), []).append(number)
    for nothing_yet in ("BEGIN", "BEGIN IMMEDIATE", "START TRANSACTION", "ROLLBACK"):
        kinds.pop(nothing_yet, None)
    return sorted({*numbers[:1], *numbers[-1:], *(alike[len(alike) // 2] for alike in kinds.values())})


def _maker(model: Database, new_database: Callable[[], Database], prepare: Prepare) -> Callable[[], Database]:
    """Makes a database like the model: by what prepared it, or out of its dump, which is faster than earlier phases."""
    script = model.server.script_of(model.name) if unless_repeated(callable(prepare), False) else ""

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


def _reads(statement: str) -> bool:
    """Of what begins with WITH only the questions to the catalogue are sent here."""
    return is_read(statement) or bool(re.match(r"\s*WITH\b(?!.*\b(?:INSERT|UPDATE|DELETE)\b)", statement, re.I | re.S))


def _by_exception(stop: Stop, migration: Migration) -> None:
    stop.run(migration)


def _by_sigkill(stop: Stop, migration: Migration) -> None:
    stop.kills = True
    sys.stdout.flush()
    sys.stderr.flush()
    # A fork: the body may be a closure.
    child = os.fork()
    if child == 0:
        _run_and_exit(stop, migration)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise AssertionError("the migration failed in the child process; its traceback is on stderr")


def _run_and_exit(stop: Stop, migration: Migration) -> None:
    try:
        stop.run(migration)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _spread(points: int, count: int) -> list[int]:
    """At most `count` of the points, evenly spread, the last one included."""
    chosen = min(points, count)
    return [points * (number + 1) // chosen for number in range(chosen)]
