"""Upgrades a project's database: the checklist, the lock, a backup, the revisions, the health check."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.migration import MigrationStep

from safeops.backfilling.stopping import Stop, stopping_on_signals
from safeops.errors import InvalidArgument, RevisionFailed, TransactionNotOurs, Unhealthy
from safeops.runner import checklist
from safeops.runner.backups import backup as back_up
from safeops.runner.commands import spelled
from safeops.runner.environment import Reached, lacks_of
from safeops.runner.health import PATIENCE, check_askable, illness
from safeops.runner.holding import holding_lock
from safeops.runner.planning import refuse_what_would_fail
from safeops.runner.running import (
    DONE,
    GAVE_UP,
    Applied,
    Course,
    Progress,
    current_of,
    reached_or_explained,
    run_course,
)

log = logging.getLogger("safeops")

WAIT = 600.0


@dataclass(frozen=True)
class Upgraded:
    """What an upgrade, or a rollback, did.

    Args:
        before: The revisions that the database was at.
        current: Those that it is at now.
        revisions: What was run, in order.
        warnings: What the checklist found that may get in the way.
        backup: The backup that was made before; None where none was asked for, or nothing was to do.
        stopped: The signal that stopped it between two revisions; empty where it came to its end.
        declined: Whether a rollback was not confirmed.
    """

    before: tuple[str, ...]
    current: tuple[str, ...]
    revisions: tuple[Applied, ...] = ()
    warnings: tuple[str, ...] = ()
    backup: Path | None = None
    stopped: str = ""
    declined: bool = False

    @property
    def exit_status(self) -> int:
        return GAVE_UP if self.stopped or self.declined else DONE

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "backup": None if self.backup is None else str(self.backup)}


def upgrade(
    config: Config,
    revision: str = "head",
    *,
    backup: bool | str | Path = False,
    wait: float = WAIT,
    health_check: str | None = None,
    health_patience: float = PATIENCE,
    rollback_on_failure: bool = False,
    progress: Progress | None = None,
    warn: Callable[[str], object] = log.warning,
) -> Upgraded:
    """Bring a project's database to a revision, one runner at a time.

    Steps: looks that there is one head and that the database can be reached and written; where nothing is pending, returns;
    takes the migration lock and looks again, so that who has waited for another runner finds nothing to do; names old
    transactions, replicas that are behind and a disk that is nearly full; plans the revisions, and ends there if one is
    certain to be refused; makes the backup; runs the revisions; asks whether the application is healthy.

    Args:
        config: The configuration of the project.
        revision: Where to, as for ``alembic upgrade``.
        backup: Make a backup first: True beside the configuration, or a folder.
        wait: Seconds to wait for another runner; 0 gives up at once.
        health_check: A URL that must answer with 2xx, or a command that must exit with 0, once the revisions are run.
        health_patience: Seconds that the health check may take to succeed.
        rollback_on_failure: After a failed health check run the downgrades of the revisions that this upgrade ran.
        progress: Called with each revision that is done.
        warn: Called with each thing that may get in the way.

    Returns:
        What was run. SIGINT and SIGTERM stop it before the next revision, and a backfill after its batch.

    Raises:
        NotReady: The checklist found something in the way; nothing was begun.
        LockNotAcquired: Another runner had the lock for ``wait`` seconds.
        BackupFailed: No backup was made; nothing was begun.
        RevisionFailed: A revision raised; the message says what stands, and running again goes on.
        Unhealthy: The health check failed; the message says whether the upgrade was taken back.

    Example:
        upgrade(Config("alembic.ini"), backup=True, health_check="http://localhost:8000/health")
    """
    if rollback_on_failure and health_check is None:
        raise InvalidArgument(
            "There is no health check whose failure could be followed by a rollback.",
            why="A revision that fails is not rolled back: what was finished stands, and running again goes on.",
            remedy="Say what to check:",
            code="safeops upgrade --health-check http://localhost:8000/health --rollback-on-failure",
        )
    if health_check is not None:
        check_askable(health_check)
    reached = reached_or_explained(config)
    if not checklist.steps_to(reached.script, revision, reached.current):
        return Upgraded(reached.current, reached.current)
    again = spelled(config, "upgrade", "" if revision == "head" else revision)
    with stopping_on_signals() as stop, holding_lock(reached, wait, again, stop):
        # Whoever had the lock until now may have done it all.
        before = current_of(reached)
        if not checklist.steps_to(reached.script, revision, before):
            return Upgraded(before, before)
        warnings = [*checklist.look(reached), *lacks_of(reached), *refuse_what_would_fail(config, revision, again)]
        for one in warnings:
            warn(one)
        saved = None if stop else back_up_first(config, backup)
        course = Course(lambda heads, _: checklist.steps_to(reached.script, revision, heads), progress, stop, revision)
        run_course(course, config, reached, again)
        current = current_of(reached)
        _check_kept(course, before, current)
        done = Upgraded(
            before, current, tuple(course.applied), tuple(warnings), saved, "" if course.ended else stop.reason
        )
        if health_check is not None and not done.stopped:
            _check_health(config, reached, course, health_check, health_patience, rollback_on_failure, stop)
        return done


def back_up_first(config: Config, backup: bool | str | Path) -> Path | None:
    if backup is False:
        return None
    return back_up(config, None if backup is True else backup).path


def _check_kept(course: Course, before: tuple[str, ...], current: tuple[str, ...]) -> None:
    if course.applied and set(current) == set(before):
        count = "A revision" if len(course.applied) == 1 else f"{len(course.applied)} revisions"
        raise TransactionNotOurs(
            f"{count} ran, and the database is at the revision where it was before.",
            why="A revision committed or rolled back the connection itself (connection.commit(), Session.commit()), which"
            " ends the transaction that Alembic began. Or env.py ran a statement on the connection before"
            " context.configure(), or began the transaction itself: Alembic takes that one for somebody else's, and never"
            " commits it.",
            state="What a revision committed itself stands, and would be done again: look before you run it again. The"
            " rest was rolled back.",
            remedy="In revisions, leave the end of the transaction to Alembic; in env.py, commit after any statement of"
            " your own, and use connect() instead of begin():",
            code="with engine.connect() as connection:\n    context.configure(connection=connection)",
        )


# Health ---------------------------------------------------------------------------------------------------------


def _check_health(
    config: Config, reached: Reached, course: Course, check: str, patience: float, rollback: bool, stop: Stop
) -> None:
    found = illness(check, patience, stop)
    if found is None:
        return
    problem = f"The upgrade is done, and the application is {found}."
    if stop:
        # Whoever ends the wait has not said that the application is ill.
        rollback = False
        problem = f"The upgrade is done, and its health check was stopped by {stop.reason}: {found}."
    if not rollback:
        back = "-1" if len(course.applied) == 1 else f"-{len(course.applied)}"
        raise Unhealthy(
            problem,
            state=f"The upgrade stands: the database is at {', '.join(current_of(reached))}.",
            remedy="Look at the application; this shows what going back would lose, and asks:",
            code=spelled(config, "rollback", back),
        )
    _take_back(config, reached, course, problem)
    raise Unhealthy(
        problem,
        state=f"It was taken back: the database is at {', '.join(current_of(reached)) or 'no revision'} again.",
        remedy="Deploy the application that fits that revision, and look why the new one was not healthy.",
    )


def _take_back(config: Config, reached: Reached, course: Course, problem: str) -> None:
    """Run the downgrades of what was run, the last first: also where there are branches."""
    scripts = list(reversed(course.scripts))
    steps = [MigrationStep.downgrade_from_script(reached.script.revision_map, one) for one in scripts]
    log.warning("%s It is taken back.", problem)
    back = Course(lambda _heads, _context: steps, None, Stop())
    try:
        run_course(back, config, reached, spelled(config, "rollback", f"-{len(scripts)}"))
    except RevisionFailed as error:
        raise RevisionFailed(
            f"{problem}\nTaking it back failed too. {error.problem}",
            state=error.state,
            remedy=error.remedy,
            code=error.code,
        ) from error
