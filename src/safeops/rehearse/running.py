"""Runs the revisions on a copy, up and down, as ``safeops upgrade`` and ``safeops rollback`` do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.config import Config

from safeops.execution.migration_lock import without_migration_lock
from safeops.runner.environment import ReachedDatabase, reach
from safeops.runner.readiness import steps_to
from safeops.runner.revision_run import Applied, Progress, RevisionRun, command_line
from safeops.runner.upgrades import downgrade_steps

StepsFrom = Callable[[tuple[str, ...]], list[Any]]


def run_up(config: Config, revision: str, progress: Progress | None = None) -> list[Applied]:
    """Upgrade a copy to a revision, or raise RevisionFailed."""
    reached = reach(config)
    return _run(config, reached, lambda heads: steps_to(reached.script, revision, heads), revision, progress)


def run_down(config: Config, revision: str, progress: Progress | None = None) -> list[Applied]:
    """Downgrade a copy to a revision, or raise RevisionFailed."""
    reached = reach(config)
    return _run(config, reached, lambda heads: downgrade_steps(reached, revision, heads), revision, progress)


def _run(
    config: Config, reached: ReachedDatabase, steps: StepsFrom, revision: str, progress: Progress | None
) -> list[Applied]:
    # Neither the lock of env.py nor that of the command: no other runner migrates a copy, and Ctrl-C ends it at once.
    run = RevisionRun(lambda heads, _: steps(heads), progress, destination=revision)
    with without_migration_lock():
        run.run_on(reached, config, command_line(config, "rehearse", revision))
    return run.applied
