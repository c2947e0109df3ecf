"""Takes revisions back: shows what that loses, asks, and runs their downgrades."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.util import CommandError

from safeops.backfilling.stopping import stopping_on_signals
from safeops.errors import InvalidArgument, NotReady
from safeops.runner import checklist
from safeops.runner.commands import spelled
from safeops.runner.environment import Reached
from safeops.runner.holding import holding_lock
from safeops.runner.pending import steps_between
from safeops.runner.planning import Plan, plan
from safeops.runner.running import Course, Progress, current_of, reached_as_it_is, run_course
from safeops.runner.upgrading import WAIT, Upgraded, back_up_first

Confirm = Callable[[Plan], bool]


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
        revision: Where to, as for ``alembic downgrade``: ``-1``, a revision, ``base``.
        confirm: Gets the plan of the way back, with its ``losses``; false leaves all as it is. None goes back unasked.
        backup: Make a backup first: True beside the configuration, or a folder.
        wait: Seconds to wait for another runner.
        progress: Called with each revision that is taken back.

    Returns:
        What was taken back; no revision where that was not confirmed.

    Raises:
        NotReady: There is no one way back that is meant; nothing was begun.
        LockNotAcquired: Another runner had the lock for ``wait`` seconds.
        RevisionFailed: A downgrade raised; the message says what stands.
        SafeOpsError: The database cannot be reached.
        BackupFailed: No backup was made; nothing was begun.

    Example:
        rollback(Config("alembic.ini"), confirm=lambda plan: not plan.losses)
    """
    reached = reached_as_it_is(config)
    steps = steps_back(reached, revision, reached.current)
    if not steps:
        return Upgraded(reached.current, reached.current)
    if confirm is not None and not confirm(plan(config, revision, down=True)):
        return Upgraded(reached.current, reached.current, declined=True)
    again = spelled(config, "rollback", revision)
    with stopping_on_signals() as stop, holding_lock(reached, wait, again, stop):
        before = current_of(reached)
        if set(before) != set(reached.current):
            raise NotReady(
                f"The database was at {_named(reached.current)} when the way back was shown,"
                f" and is at {_named(before)} now.",
                why="Another runner has migrated it meanwhile.",
                remedy="Look at it again:",
                code="safeops status",
            )
        saved = None if stop else back_up_first(config, backup)
        course = Course(lambda heads, _: steps_back(reached, revision, heads), progress, stop, revision)
        run_course(course, config, reached, spelled(config, "rollback", _target(steps)))
        stopped = "" if course.ended else stop.reason
        return Upgraded(before, current_of(reached), tuple(course.applied), (), saved, stopped)


def steps_back(reached: Reached, revision: str, current: tuple[str, ...]) -> list[Any]:
    """Return the steps of a downgrade, or raise which ones can be named instead."""
    checklist.check_known(reached.script, current)
    if not current:
        return []
    if revision.startswith("-") and len(current) > 1:
        # Alembic would take one of them.
        raise _several(reached, revision, current)
    try:
        return steps_between(reached.script, revision, current, down=True)
    except AttributeError as error:
        raise NotReady(
            f"A revision on the way back from {_named(current)} to {revision} cannot be taken back: {error}.",
            remedy="Write its downgrade(); this names all that have none:",
            code="safeops check",
        ) from error
    except CommandError as error:
        if revision.startswith("-") and len(_before(reached, current)) > 1:
            raise _several(reached, revision, current) from error
        raise InvalidArgument(
            f"There is no way back from {_named(current)} to {revision}: {error}.",
            remedy="See which revisions there are:",
            code="alembic history",
        ) from error


def _several(reached: Reached, revision: str, current: tuple[str, ...]) -> NotReady:
    return NotReady(
        f"From {_named(current)} the revision {revision} may be one of several.",
        why="Branches come together there.",
        remedy="Name the one to go back to:",
        code="\n".join(f"safeops rollback {one}" for one in _before(reached, current)) or "safeops rollback base",
    )


def _before(reached: Reached, current: tuple[str, ...]) -> list[str]:
    found = [reached.script.get_revision(one) for one in current]
    return sorted({before for one in found for before in one._normalized_down_revisions})


def _target(steps: list[Any]) -> str:
    """Return where a downgrade ends, as a name that means the same once a part of it is done."""
    before = steps[-1].revision._normalized_down_revisions
    return str(before[0]) if before else "base"


def _named(revisions: tuple[str, ...]) -> str:
    return ", ".join(sorted(revisions)) or "no revision"
