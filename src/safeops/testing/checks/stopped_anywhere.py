"""Stopped anywhere: an upgrade that is stopped, and run again, ends in the same state as an undisturbed one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from alembic.ddl.impl import DefaultImpl

from safeops.databases import database_for
from safeops.planned import summary
from safeops.rehearse.following import OWN
from safeops.runner.environment import shorten
from safeops.testing.checks.words import undisturbed_upgrade
from safeops.testing.failing import Failed
from safeops.testing.kit import Kit, Trial, Undisturbed
from safeops.testing.project import Revision
from safeops.testing.remedies import remedy_for
from safeops.testing.snapshots import differences
from safeops.testing.stopping import COMMIT, Point, refused_statement
from safeops.testing.stops import Way, after_statement, has_server, inside_statement, killed, points_of, ways_to_stop

PLACES: dict[Way, str] = {
    after_statement: "after statement",
    killed: "by kill -9 after the commit of statement",
    inside_statement: "in the middle of statement",
}
WIDTH = 120
"""Characters of a statement that a message shows."""
MOST = 60
"""Points at which an upgrade is stopped."""
ENOUGH = 3
"""Points that show a flaw, after which no others are tried."""
BEGIN = """\
from sqlalchemy import event

@event.listens_for(engine, "connect")
def connected(dbapi_connection, _):
    dbapi_connection.isolation_level = None

@event.listens_for(engine, "begin")
def begun(connection):
    connection.exec_driver_sql("BEGIN IMMEDIATE")

context.configure(connection=connection, target_metadata=target_metadata, transactional_ddl=True)"""
"""What an env.py for SQLite needs, whose driver begins no transaction before a change of the schema."""
LEFT = 5
"""Differences that a stop has left and that a message shows."""


@dataclass(frozen=True)
class Stopped:
    """An upgrade that was stopped, and run again.

    Args:
        number: The number of the point.
        way: How it was stopped there.
        place: After which statement it was stopped, by number.
        sql: That statement.
        error: How the second run failed; empty if it did not.
        failed_at: The statement that failed.
        differs: How the database differs in the end from one after an undisturbed upgrade.
    """

    number: int
    way: Way
    place: str
    sql: str
    error: str = ""
    failed_at: str = ""
    differs: tuple[str, ...] = ()


def check(kit: Kit, revision: Revision) -> None:
    """Stop the upgrade after each statement that changes something, and after each commit; run it again, and compare.

    Of several statements in one transaction it stops after the last: a stop after any other leaves the same, which is what
    was committed before. Of very many points it stops at some, evenly spread. It ends after a few that show a flaw.

    Raises:
        Failed: Run again it fails, or ends in another state.
    """
    undisturbed = undisturbed_upgrade(kit, revision)
    with kit.before(revision) as trial:
        points = points_of(trial)
        ways = _spread(ways_to_stop(trial, points))
        stopped = (_stopped(trial, points, number, way, undisturbed) for number, way in ways)
        flawed = list(islice((one for one in stopped if one.error or one.differs), ENOUGH))
        if flawed:
            raise _failed(trial, points, flawed, _left_by(trial, flawed[0], undisturbed))


def _spread(ways: Sequence[tuple[int, Way]]) -> list[tuple[int, Way]]:
    """Return at most ``MOST`` of the points, evenly spread, the last one included."""
    chosen = min(len(ways), MOST)
    return [ways[len(ways) * (place + 1) // chosen - 1] for place in range(chosen)]


def _stopped(trial: Trial, points: Sequence[Point], number: int, way: Way, undisturbed: Undisturbed) -> Stopped:
    with trial.another() as copy:
        way(copy, number)
        stopped = Stopped(number, way, *_place(points, number, way))
        try:
            copy.upgrade()
        except Exception as error:
            return replace(stopped, error=summary(error), failed_at=refused_statement(error))
        differs = differences(undisturbed.after, copy.state(), ignoring=undisturbed.varying)
        return replace(stopped, differs=tuple(differs))


def _left_by(trial: Trial, stopped: Stopped, undisturbed: Undisturbed) -> str:
    """Return how a stop leaves the database, compared with before the upgrade."""
    with trial.another() as copy:
        stopped.way(copy, stopped.number)
        current = copy.current()
        version = f"the version is {', '.join(current)}" if current else "there is no version"
        return "; ".join([version, *differences(undisturbed.before, copy.state())[:LEFT]])


# What is reported -----------------------------------------------------------------------------------------------


def _failed(trial: Trial, points: Sequence[Point], flawed: Sequence[Stopped], left: str) -> Failed:
    first, revision = flawed[0], trial.revision
    problem = f"{revision} ends in another state if it is stopped {first.place}, and run again."
    if first.error:
        problem = f"{revision} fails if it is stopped {first.place}, and run again: {first.error}"
    with trial.another() as copy:
        remedy = remedy_for(copy, _repeated(points, first))
    said, code = "Make these statements repeatable:", remedy.code
    if remedy.calls:
        said = "Use helpers, which skip what is done already:"
    elif not has_server(trial):
        said, code = "Begin the transaction in env.py. A stop then reverts all that the revision has done:", BEGIN
    return Failed(problem, why=_why(trial), details=list(_details(flawed, left)), remedy=said, code=code)


def _place(points: Sequence[Point], number: int, way: Way) -> tuple[str, str]:
    statements = [one.sql for one in points if one.sql != COMMIT]
    done = [one.sql for one in points[:number] if one.sql != COMMIT]
    return f"{PLACES[way]} {len(done)} of {len(statements)}", done[-1]


def _details(flawed: Sequence[Stopped], left: str) -> Iterator[str]:
    first, *others = flawed
    yield f"Stopped {first.place}: {shorten(first.sql, WIDTH)}"
    yield f"After the stop: {left}"
    if first.failed_at:
        yield f"The second run fails at: {shorten(first.failed_at, WIDTH)}"
    yield from (f"Other than after an undisturbed upgrade: {text}" for text in first.differs)
    for one in others:
        same = (one.error, one.differs) == (first.error, first.differs)
        yield f"Stopped {one.place}: {'the same' if same else one.error or one.differs[0]}"


def _why(trial: Trial) -> str:
    dialect = trial.engine.dialect
    again = "and Alembic writes the version only at the end. After a stop in between, the next run sends them again."
    if trial.transactional:
        return (
            f"A commit in the middle of the revision, as by autocommit_block(), keeps the statements before it, {again}"
        )
    if DefaultImpl.get_by_dialect(dialect).transactional_ddl:
        return f"env.py runs the revisions in autocommit, so each statement is kept, {again}"
    product = database_for(dialect, None).product
    limit = f"Plain Alembic has this limit on {product} in every revision that changes the schema"
    if has_server(trial):
        return f"{product} commits changes of the schema at once, {again} {limit}."
    return (
        f"The driver begins no transaction before a change of the schema, so each is kept, {again} {limit}, unless env.py"
        " begins the transaction."
    )


def _repeated(points: Sequence[Point], first: Stopped) -> list[str]:
    """Return the statements that a second run sends again although they were kept, the one that failed first."""
    kept = max((number for number, one in enumerate(points, 1) if not one.reverted), default=0)
    sent = [first.failed_at, *(one.sql for one in points[:kept] if one.sql != COMMIT)]
    return list(dict.fromkeys(sql for sql in sent if sql and not OWN.match(sql)))
