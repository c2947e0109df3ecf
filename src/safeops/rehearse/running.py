"""Runs the revisions on a copy, up and down, as ``safeops upgrade`` and ``safeops rollback`` do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from alembic.config import Config

from safeops.execution.migration_lock import without_migration_lock
from safeops.rehearse.following import DOWN, UP, Followed
from safeops.runner.environment import ReachedDatabase, reach
from safeops.runner.readiness import steps_to
from safeops.runner.revision_run import Applied, RevisionRun, command_line
from safeops.runner.revisions import Pending, pending_of
from safeops.runner.upgrades import downgrade_steps

StepsFrom = Callable[[tuple[str, ...]], list[Any]]


def run_up(config: Config, revision: str, followed: Followed | None = None) -> list[Applied]:
    """Upgrade a copy to a revision, or raise RevisionFailed."""
    reached = reach(config)
    return _run(config, reached, lambda heads: steps_to(reached.script, revision, heads), revision, followed, UP)


def run_down(config: Config, revision: str, followed: Followed | None = None) -> list[Applied]:
    """Downgrade a copy to a revision, or raise RevisionFailed."""
    reached = reach(config)
    return _run(config, reached, lambda heads: downgrade_steps(reached, revision, heads), revision, followed, DOWN)


def pending_on(config: Config, revision: str) -> list[Pending]:
    """Return the revisions that an upgrade of a copy would run."""
    reached = reach(config)
    return [pending_of(step) for step in steps_to(reached.script, revision, reached.current)]


def _run(
    config: Config, reached: ReachedDatabase, steps: StepsFrom, revision: str, followed: Followed | None, way: str
) -> list[Applied]:
    def followed_steps(heads: tuple[str, ...], _context: Any) -> Iterator[Any]:
        for step in steps(heads):
            if followed is not None:
                followed.begins(step.revision.revision, way)
            yield step
        if followed is not None:
            followed.begins("", way)

    # Neither the lock of env.py nor that of the command: no other runner migrates a copy, and Ctrl-C ends it at once.
    run = RevisionRun(followed_steps, destination=revision)
    with without_migration_lock():
        run.run_on(reached, config, command_line(config, "rehearse", revision))
    return run.applied
