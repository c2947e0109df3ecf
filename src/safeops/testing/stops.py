"""The ways to stop an upgrade of a test's database: after a statement, in the middle of one, by kill -9 after a commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import sqlalchemy as sa

from safeops.backfilling.state import TABLE as PROGRESS
from safeops.databases import database_class
from safeops.databases.server import Abilities
from safeops.errors import InvalidArgument
from safeops.rehearse.waits import shortened
from safeops.testing.children import started
from safeops.testing.halfway import interrupting, leaves_half
from safeops.testing.kit import Trial
from safeops.testing.stopping import COMMIT, Point, Stop, different, is_of_the_run

Way: TypeAlias = Callable[[Trial, int], None]
"""Upgrades a database, and stops at a point, by its number from 1."""


def points_of(trial: Trial) -> list[Point]:
    """Return the points at which the upgrade can stop; the database is upgraded afterwards."""
    count = _stop(trial)
    count.run(trial.upgrade)
    return count.points


def ways_to_stop(trial: Trial, points: list[Point]) -> list[tuple[int, Way]]:
    """Return the points to stop at, and how: each leaves another database than the others.

    Args:
        trial: The database that was upgraded.
        points: Its points.
    """
    inside: list[tuple[int, Way]] = [
        (number, inside_statement) for number, one in enumerate(points, 1) if leaves_half(trial.engine, one.sql)
    ]
    after = [(number, killed if points[number - 1].sql == COMMIT else after_statement) for number in different(points)]
    return sorted([*after, *inside], key=lambda one: one[0])


def has_server(trial: Trial) -> bool:
    """Return whether a server has the database, and not this process a file."""
    return Abilities.class_of(database_class(trial.engine.dialect)).has_server


def after_statement(trial: Trial, number: int) -> None:
    """End the sessions after a statement, and send nothing more."""
    _stop(trial, number).run(trial.upgrade)
    _leave(trial)


def inside_statement(trial: Trial, number: int) -> None:
    """Have the server end the session while it works on a statement."""
    with interrupting(trial.engine) as interrupt:
        _stop(trial, number, interrupt).run(trial.upgrade)
    _leave(trial)


def killed(trial: Trial, number: int) -> None:
    """Upgrade in another process, which kills itself."""
    with started(trial, stop_at=number) as child:
        child.wait()
    _leave(trial)


def upgrade_stopped_after(trial: Trial, statements: int) -> None:
    """Upgrade, and stop after so many statements that change something.

    Raises:
        InvalidArgument: The upgrade sends fewer.
    """
    with trial.another() as other:
        points = points_of(other)
    numbers = [number for number, one in enumerate(points, 1) if one.sql != COMMIT]
    if not 1 <= statements <= len(numbers):
        sent = "".join(f"\n  {place}. {shortened(points[number - 1].sql)}" for place, number in enumerate(numbers, 1))
        raise InvalidArgument(
            f"The upgrade to {trial.revision} has no statement {statements}. These change something:{sent}"
        )
    after_statement(trial, numbers[statements - 1])


def _stop(trial: Trial, at: int | None = None, interrupt: Callable[[], object] | None = None) -> Stop:
    return Stop(is_of_the_run, trial.end_sessions, at, closes=not has_server(trial), interrupt=interrupt)


def _leave(trial: Trial) -> None:
    """Have all of the stopped upgrade end: its sessions, and the claims of its backfills, which would last for seconds."""
    trial.end_sessions()
    with trial.engine.begin() as connection:
        if sa.inspect(connection).has_table(PROGRESS):
            connection.execute(sa.update(sa.table(PROGRESS, sa.column("lease_until"))).values(lease_until=0))
