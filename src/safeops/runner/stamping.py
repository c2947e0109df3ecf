"""Stamps a database with a revision, after verifying that its schema is that of the revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from safeops.errors import InvalidArgument, NotReady
from safeops.planned import summary
from safeops.runner.environment import look_on, reach_existing
from safeops.runner.revision_run import WAIT, command_line, holding_lock
from safeops.runner.revisions import scripts_of, steps_between
from safeops.runner.schema_diff import differences_from, schema_of
from safeops.runner.temporary_database import TemporaryDatabase, temporary_database


@dataclass(frozen=True)
class Stamped:
    """What a stamp did.

    Args:
        before: The revisions in the version table before.
        current: The revisions in it now.
        differences: What would bring the database to the revision, as lines of a revision; it was stamped if there are none.
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
    """Stamp a project's database with a revision, if its schema is that of the revision.

    Steps: creates a temporary database of the same kind; runs the revisions there; compares with Alembic's comparison, which
    sees tables, columns, indexes, unique constraints and foreign keys; stamps only if there is no difference.

    Args:
        config: The configuration of the project.
        revision: The revision; ``heads`` for all branches.
        verify: Compare first; without it nothing is verified, as by ``alembic stamp``.
        scratch_url: An empty database to run the revisions on, if this user may not create one.
        wait: Seconds to wait for another runner.

    Raises:
        NotReady: No temporary database can be created, or the revisions do not run there.
        LockNotAcquired: Another runner held the lock for ``wait`` seconds.

    Example:
        stamp(Config("alembic.ini"), "head")
    """
    _check_revision(scripts_of(config), revision)
    reached = reach_existing(config)
    with holding_lock(reached, wait, f"{command_line(config, 'stamp', revision)}{' --verify' if verify else ''}"):
        before = reached.current_now()
        found = _differences(config, revision, scratch_url) if verify else []
        if found:
            return Stamped(before, before, tuple(found))
        # A purge also removes a revision that no file has.
        command.stamp(config, revision, purge=verify)
        return Stamped(before, reached.current_now())


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
    with temporary_database(config, scratch_url) as temporary:
        _run_to(temporary, revision)
        wanted = temporary.look(schema_of)
    return look_on(config, lambda context: differences_from(context, wanted))


def _run_to(temporary: TemporaryDatabase, revision: str) -> None:
    failure = temporary.run(lambda heads: steps_between(temporary.script, revision, heads))
    if failure is not None:
        failed, error = failure
        raise NotReady(
            f"Revision {failed} fails on an empty database: {summary(error)}.",
            why="What the revisions would have made is made on a scratch database, to compare with it.",
            remedy="Where they need what others made before the first of them, have that made by them; or where a scratch"
            " database must be prepared for them, name one:",
            code=f"safeops stamp {revision} --verify --scratch-url URL",
        ) from error
