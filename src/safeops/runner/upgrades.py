"""Upgrades a project's database and rolls it back: pre-flight checks, lock, backup, revisions, health check."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.util import CommandError

from safeops import _alembic
from safeops.backfilling.interruption import stopping_on_signals
from safeops.errors import InvalidArgument, NotReady, TransactionNotOurs
from safeops.execution.migration import ENV_CHECKED
from safeops.runner import readiness
from safeops.runner.backups import backup as back_up
from safeops.runner.environment import ReachedDatabase, explaining_errors, reach, reach_existing
from safeops.runner.health_check import PATIENCE, check_askable, require_healthy
from safeops.runner.planning import Plan, plan, refuse_what_would_fail
from safeops.runner.revision_run import (
    DONE,
    GAVE_UP,
    WAIT,
    Applied,
    Progress,
    Result,
    RevisionRun,
    command_line,
    holding_lock,
)
from safeops.runner.revisions import listed, no_such_revision, steps_between

log = logging.getLogger("safeops")

Confirm = Callable[[Plan], bool]


@dataclass(frozen=True)
class Upgraded(Result):
    """What an upgrade, or a rollback, did.

    Args:
        before: The revisions that the database was at.
        current: The revisions that it is at now.
        revisions: What was run, in order.
        warnings: What the pre-flight checks found that may block it.
        backup: The backup that was made before; None if none was requested, or nothing was pending.
        stopped: The signal that stopped it between two revisions; empty if it ran to its end.
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

    Steps: checks that there is one head and that the database can be reached and written; returns if nothing is pending;
    takes the migration lock and checks again, as another runner may have migrated in the meantime; names old transactions,
    replicas that lag behind and a disk that is nearly full; plans the revisions, and ends there if one is certain to be
    refused; makes the backup; runs the revisions; runs the health check.

    Args:
        config: The configuration of the project.
        revision: The target, as for ``alembic upgrade``.
        backup: Make a backup first: True for the folder next to the configuration, or a folder.
        wait: Seconds to wait for another runner; 0 gives up at once.
        health_check: A URL that must answer with 2xx, or a command that must exit with 0, once the revisions are run.
        health_patience: Seconds that the health check may take to succeed.
        rollback_on_failure: If the health check fails, run the downgrades of the revisions that this upgrade ran.
        progress: Called with each finished revision.
        warn: Called with each warning of the pre-flight checks.

    Returns:
        What was run. SIGINT and SIGTERM stop it before the next revision, and a backfill after its batch.

    Raises:
        NotReady: A pre-flight check failed; nothing was begun.
        LockNotAcquired: Another runner held the lock for ``wait`` seconds.
        BackupFailed: No backup was made; nothing was begun.
        RevisionFailed: A revision raised; the message lists what is kept, and running again resumes there.
        Unhealthy: The health check failed; the message shows whether the upgrade was rolled back.

    Example:
        upgrade(Config("alembic.ini"), backup=True, health_check="http://localhost:8000/health")
    """
    if rollback_on_failure and health_check is None:
        raise InvalidArgument(
            "--rollback-on-failure needs a health check: it rolls back if that fails.",
            why="A revision that fails is not rolled back: what it completed is kept, and running again continues there.",
            remedy="Add the health check:",
            code="safeops upgrade --health-check http://localhost:8000/health --rollback-on-failure",
        )
    if health_check is not None:
        check_askable(health_check)
    with explaining_errors():
        reached = reach(config)
    steps_from = partial(readiness.steps_to, reached.script, revision)
    if not steps_from(reached.current):
        return Upgraded(reached.current, reached.current)
    rerun = command_line(config, "upgrade", "" if revision == "head" else revision)
    with stopping_on_signals() as stop, holding_lock(reached, wait, rerun, stop):
        # Another runner may have migrated before it released the lock.
        before = reached.current_now()
        if not steps_from(before):
            return Upgraded(before, before)
        warnings = [*readiness.warnings_for(reached), *reached.missing_in_env()]
        warnings += refuse_what_would_fail(config, revision)
        config.attributes[ENV_CHECKED] = True
        for warning in warnings:
            warn(warning)
        saved = None if stop else back_up_first(config, backup)
        run = RevisionRun(lambda heads, _: steps_from(heads), progress, stop, revision)
        run.run_on(reached, config, rerun)
        current = reached.current_now()
        _check_committed(run, before, current)
        done = Upgraded(before, current, tuple(run.applied), tuple(warnings), saved, "" if run.ended else stop.reason)
        if health_check is not None and not done.stopped:
            require_healthy(config, reached, run, health_check, health_patience, rollback_on_failure, stop)
        return done


def back_up_first(config: Config, backup: bool | str | Path) -> Path | None:
    if backup is False:
        return None
    return back_up(config, None if backup is True else backup).path


def _check_committed(run: RevisionRun, before: tuple[str, ...], current: tuple[str, ...]) -> None:
    if run.applied and set(current) == set(before):
        count = "A revision" if len(run.applied) == 1 else f"{len(run.applied)} revisions"
        raise TransactionNotOurs(
            f"{count} ran, but the database is still at its earlier revision.",
            why="A revision committed or rolled back the connection itself (connection.commit(), Session.commit()), which"
            " ends the transaction that Alembic began. Or env.py ran a statement on the connection before"
            " context.configure(), or began the transaction itself: Alembic then does not own the transaction, and never"
            " commits it.",
            state="What a revision committed itself is kept, and would be done again: inspect the database before you run it"
            " again. The rest was rolled back.",
            remedy="In revisions, let Alembic end the transaction. In env.py, commit after each of your statements, and use"
            " connect() instead of begin():",
            code="with engine.connect() as connection:\n    context.configure(connection=connection)",
        )


# Rolling back ---------------------------------------------------------------------------------------------------


def rollback(
    config: Config,
    revision: str = "-1",
    *,
    confirm: Confirm | None = None,
    backup: bool | str | Path = False,
    wait: float = WAIT,
    progress: Progress | None = None,
) -> Upgraded:
    """Run the downgrades to a revision, one runner at a time.

    Args:
        config: The configuration of the project.
        revision: The target, as for ``alembic downgrade``: ``-1``, a revision, ``base``.
        confirm: Gets the plan of the downgrades, with its ``losses``; false runs nothing. None skips this.
        backup: Make a backup first: True for the folder next to the configuration, or a folder.
        wait: Seconds to wait for another runner.
        progress: Called with each revision that is rolled back.

    Returns:
        What was rolled back; no revision if that was not confirmed.

    Raises:
        NotReady: The revision is ambiguous, or cannot be downgraded to; nothing was begun.
        LockNotAcquired: Another runner held the lock for ``wait`` seconds.
        RevisionFailed: A downgrade raised; the message lists what is kept.
        SafeOpsError: The database cannot be reached.
        BackupFailed: No backup was made; nothing was begun.

    Example:
        rollback(Config("alembic.ini"), confirm=lambda plan: not plan.losses)
    """
    reached = reach_existing(config)
    steps = downgrade_steps(reached, revision, reached.current)
    if not steps:
        return Upgraded(reached.current, reached.current)
    if confirm is not None and not confirm(plan(config, revision, down=True)):
        return Upgraded(reached.current, reached.current, declined=True)
    rerun = command_line(config, "rollback", revision)
    with stopping_on_signals() as stop, holding_lock(reached, wait, rerun, stop):
        before = reached.current_now()
        if set(before) != set(reached.current):
            raise NotReady(
                f"The database was at {listed(sorted(reached.current))} when the rollback was planned,"
                f" and is at {listed(sorted(before))} now.",
                why="Another runner has migrated it since then.",
                remedy="Check the current state:",
                code="safeops status",
            )
        saved = None if stop else back_up_first(config, backup)
        run = RevisionRun(lambda heads, _: downgrade_steps(reached, revision, heads), progress, stop, revision)
        run.run_on(reached, config, command_line(config, "rollback", _target(steps)))
        stopped = "" if run.ended else stop.reason
        return Upgraded(before, reached.current_now(), tuple(run.applied), (), saved, stopped)


def downgrade_steps(reached: ReachedDatabase, revision: str, current: tuple[str, ...]) -> list[Any]:
    """Return the steps of a downgrade, or raise an error that names those to choose from."""
    readiness.check_known(reached.script, current)
    if not current:
        return []
    if revision.startswith("-") and len(current) > 1:
        # Alembic would take one of them.
        raise _ambiguous(reached, revision, current)
    try:
        return steps_between(reached.script, revision, current, down=True)
    except AttributeError as error:
        raise NotReady(
            f"A revision between {listed(sorted(current))} and {revision} has no downgrade(): {error}.",
            remedy="Write its downgrade(). To list all revisions without one:",
            code="safeops check",
        ) from error
    except CommandError as error:
        if revision.startswith("-") and len(_parents(reached, current)) > 1:
            raise _ambiguous(reached, revision, current) from error
        raise no_such_revision(f"There is no downgrade from {listed(sorted(current))} to {revision}", error) from error


def _ambiguous(reached: ReachedDatabase, revision: str, current: tuple[str, ...]) -> NotReady:
    return NotReady(
        f"The target {revision} is ambiguous: below {listed(sorted(current))} there are several revisions.",
        why="Branches were merged there.",
        remedy="Name the target:",
        code="\n".join(f"safeops rollback {name}" for name in _parents(reached, current)) or "safeops rollback base",
    )


def _parents(reached: ReachedDatabase, current: tuple[str, ...]) -> list[str]:
    scripts = [reached.script.get_revision(revision) for revision in current]
    return sorted({parent for script in scripts for parent in _alembic.parents(script)})


def _target(steps: list[Any]) -> str:
    """Return the target of a downgrade, by a name that remains valid after a part of it is done."""
    parents = _alembic.parents(steps[-1].revision)
    return str(parents[0]) if parents else "base"
