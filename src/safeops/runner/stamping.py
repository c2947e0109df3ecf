"""Says at which revision a database is, after looking whether that is so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from safeops.errors import InvalidArgument, NotReady
from safeops.foretold import summary
from safeops.runner.commands import spelled
from safeops.runner.comparing import differences_from, schema_of
from safeops.runner.environment import look_on
from safeops.runner.holding import holding_lock
from safeops.runner.loading import scripts_of
from safeops.runner.pending import steps_between
from safeops.runner.running import current_of, reached_as_it_is
from safeops.runner.scratch import Scratch, scratch_for
from safeops.runner.upgrading import WAIT


@dataclass(frozen=True)
class Stamped:
    """What came of it.

    Args:
        before: The revisions that the database was said to be at.
        current: Those that it is said to be at now.
        differences: What would bring the database to the revision, as lines of a revision; with any it was not stamped.
    """

    before: tuple[str, ...]
    current: tuple[str, ...]
    differences: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        return 1 if self.differences else 0

    def as_json(self) -> dict[str, Any]:
        return {"before": self.before, "current": self.current, "differences": self.differences}


def stamp(
    config: Config,
    revision: str,
    *,
    verify: bool = True,
    scratch_url: str | None = None,
    wait: float = WAIT,
) -> Stamped:
    """Note in a project's database that it is at a revision, if it is.

    Steps: makes a scratch database of the same kind; runs the revisions there; compares by Alembic's comparison, which sees
    tables, columns, indexes, unique constraints and foreign keys; stamps only where there is no difference.

    Args:
        config: The configuration of the project.
        revision: The revision; ``heads`` for all branches.
        verify: Look first; without it the database is believed to be there, as ``alembic stamp`` does.
        scratch_url: An empty database to run the revisions on, where this user may not make one.
        wait: Seconds to wait for another runner.

    Raises:
        NotReady: No scratch database can be made, or the revisions do not run there.
        LockNotAcquired: Another runner had the lock for ``wait`` seconds.

    Example:
        stamp(Config("alembic.ini"), "head")
    """
    _check_revision(scripts_of(config), revision)
    reached = reached_as_it_is(config)
    with holding_lock(reached, wait, f"{spelled(config, 'stamp', revision)}{' --verify' if verify else ''}"):
        before = current_of(reached)
        found = _differences(config, revision, scratch_url) if verify else []
        if found:
            return Stamped(before, before, tuple(found))
        # What it was said to be at before does not count any more, as a revision that no file has.
        command.stamp(config, revision, purge=verify)
        return Stamped(before, current_of(reached))


def _check_revision(script: ScriptDirectory, revision: str) -> None:
    try:
        script.get_revisions(revision)
    except CommandError as error:
        raise InvalidArgument(
            f"There is no revision {revision} to stamp: {error}.",
            remedy="See which revisions there are:",
            code="alembic history",
        ) from error


def _differences(config: Config, revision: str, scratch_url: str | None) -> list[str]:
    with scratch_for(config, scratch_url) as scratch:
        _build(scratch, revision)
        wanted = scratch.look(schema_of)
    return look_on(config, lambda context: differences_from(context, wanted))


def _build(scratch: Scratch, revision: str) -> None:
    course = scratch.course(lambda heads: steps_between(scratch.script, revision, heads))
    try:
        course.run(scratch.config, scratch.script)
    except Exception as error:
        if course.running is None:
            raise
        raise NotReady(
            f"Revision {course.running.revision} fails on an empty database: {summary(error)}.",
            why="What the revisions would have made is made on a scratch database, to compare with it.",
            remedy="Where they need what others made before the first of them, have that made by them; or where a scratch"
            " database must be prepared for them, name one:",
            code=f"safeops stamp {revision} --verify --scratch-url URL",
        ) from error
