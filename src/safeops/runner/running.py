"""Runs revisions one after the other: tells each one's seconds, stops between two, and says what stands after a failure."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.exc import DBAPIError

from safeops.databases import database_for
from safeops.errors import BackfillStopped, LockNotAcquired, RevisionFailed, SafeOpsError
from safeops.foretold import summary
from safeops.runner.environment import Reached, reach
from safeops.runner.pending import Pending, described
from safeops.runner.reading import explained, refuse_missing

log = logging.getLogger("safeops")

DONE, GAVE_UP, RAISED = 0, 3, 4
VERSION_OPTIONS = ("version_table", "version_table_schema")
Steps = Callable[[tuple[str, ...], MigrationContext], Iterable[Any]]


@dataclass(frozen=True)
class Applied:
    """A revision that was run.

    Args:
        revision: Which one.
        message: The first line of its docstring.
        seconds: How long it took.
    """

    revision: str
    message: str
    seconds: float


Progress = Callable[[Applied], object]


class Course:
    """A run of revisions.

    Args:
        steps: Returns Alembic's steps, from the revisions that the database is at.
        progress: Gets each revision that is done.
        stop: Is true once it is to stop before the next revision.
        destination: What env.py gets that asks for the revision that was named.
    """

    def __init__(
        self, steps: Steps, progress: Progress | None = None, stop: object = False, destination: str | None = None
    ) -> None:
        self.destination = destination
        self._steps, self._progress, self._stop = steps, progress, stop
        self.applied: list[Applied] = []
        self.scripts: list[Any] = []
        self.running: Pending | None = None
        self.began = 0.0
        self.transactional = self.is_upgrade = True
        self.ended = False

    def run(self, config: Config, script: ScriptDirectory) -> None:
        """Run env.py with these revisions."""
        options: dict[str, Any] = {"starting_rev": None, "destination_rev": self.destination, "tag": None}
        with EnvironmentContext(config, script, fn=self._walk, as_sql=False, **options):
            script.run_env()

    def _walk(self, heads: tuple[str, ...], context: MigrationContext) -> Iterator[Any]:
        self.transactional = context.impl.transactional_ddl
        for step in self._steps(heads, context):
            if self._stop:
                return
            self.running, self.began, self.is_upgrade = described(step), time.monotonic(), step.is_upgrade
            yield step
            # Alembic asks for the next one when this one is committed.
            done = Applied(self.running.revision, self.running.message, time.monotonic() - self.began)
            self.applied.append(done)
            self.scripts.append(step.revision)
            self.running = None
            if self._progress is not None:
                self._progress(done)
        self.ended = True


def reached_or_explained(config: Config) -> Reached:
    """Return the database that env.py connects to, or raise why it cannot be reached in a few words."""
    try:
        return reach(config)
    except DBAPIError as error:
        raise explained(error) from error


def reached_as_it_is(config: Config) -> Reached:
    """Likewise, but raise where connecting would create it."""
    sa.event.listen(Engine, "do_connect", _refuse_missing)
    try:
        return reached_or_explained(config)
    finally:
        sa.event.remove(Engine, "do_connect", _refuse_missing)


def _refuse_missing(dialect: Dialect, _record: Any, arguments: Any, options: Any) -> None:
    refuse_missing(dialect, arguments, options)


def current_of(reached: Reached) -> tuple[str, ...]:
    """Return the revisions that the database is at now."""
    options = {key: reached.options[key] for key in VERSION_OPTIONS if reached.options.get(key)}

    def look(connection: Connection) -> tuple[str, ...]:
        return MigrationContext.configure(connection, opts=options).get_current_heads()

    return reached.connected(look)


def run_course(course: Course, config: Config, reached: Reached, again: str) -> None:
    """Run revisions on a database, or raise RevisionFailed.

    Args:
        course: What is run.
        config: The configuration of the project.
        reached: The database.
        again: The command to run again.
    """
    try:
        course.run(config, reached.script)
    except Exception as error:
        log.debug("the run failed", exc_info=True)
        if course.running is None:
            raise (explained(error) if isinstance(error, DBAPIError) else error) from error
        raise failed(course, course.running, error, reached, again) from error


def is_giving_up(error: BaseException) -> bool:
    """Tell whether a run ended because somebody was in its way, or it was asked to: nothing is broken."""
    return _cause(error, LockNotAcquired, BackfillStopped) is not None


def _cause(error: BaseException, *kinds: type[BaseException]) -> BaseException | None:
    return next((one for one in (error, error.__cause__) if isinstance(one, kinds)), None)


# What went wrong ------------------------------------------------------------------------------------------------


def failed(course: Course, running: Pending, error: Exception, reached: Reached, again: str) -> RevisionFailed:
    name = f"{running.revision} ({running.message})" if running.message else running.revision
    seconds = time.monotonic() - course.began
    place = place_of(error, reached.script)
    stopped = _cause(error, BackfillStopped) is not None
    ended = "was stopped" if stopped else "failed"
    return RevisionFailed(
        f"Revision {name} {ended} after {seconds:.1f} s{f', at {place}' if place else ''}:\n{_indented(told(error))}",
        state=f"{_standing(course, reached)}\n{_half_done(course, running, reached, error)}",
        remedy="Running it again goes on there:"
        if stopped
        else "Once the cause is put right, running it again goes on there:",
        code=again,
    )


def told(error: BaseException) -> str:
    return str(error) if isinstance(error, SafeOpsError) else summary(error)


def place_of(error: BaseException, script: ScriptDirectory) -> str:
    """Return the file and the line of the revision that raised; empty where no revision did."""
    folders = {Path(one).resolve() for one in script._version_locations}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).resolve().parent in folders:
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _standing(course: Course, reached: Reached) -> str:
    try:
        current = current_of(reached)
    except Exception as error:
        return f"What stands cannot be seen now ({summary(error)}); safeops status tells later."
    at = f"The database is at {', '.join(current) or 'no revision'}."
    has = {one.revision for one in reached.script.iterate_revisions(current or "base", "base")}
    # All may run in one transaction, and be rolled back together.
    done = [one.revision for one in course.applied if (one.revision in has) is course.is_upgrade]
    gone = [one.revision for one in course.applied if one.revision not in done]
    finished = f"Finished in this run: {', '.join(done)}." if done else "No revision was finished in this run."
    rolled_back = f" Rolled back with it, as env.py runs all in one transaction: {', '.join(gone)}." if gone else ""
    return f"{at} {finished}{rolled_back}"


def _half_done(course: Course, running: Pending, reached: Reached, error: Exception) -> str:
    # A helper's error says itself what helpers did before it.
    said = "" if isinstance(error, SafeOpsError) else f"What helpers of {running.revision} have done is kept"
    helpers = f"{said}; they find it and continue." if said else ""
    if course.transactional:
        return f"{helpers} What it did by op. since the last of them was rolled back.".strip()
    name = database_for(reached.engine.dialect, None).product
    also = (
        f"What it did by op. may be kept too, because {name} commits each change at once: look before you run it again."
    )
    return f"{helpers} {also}".strip()
