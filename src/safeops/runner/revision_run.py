"""Runs revisions under the migration lock: reports each, stops between two, and explains a failure."""

from __future__ import annotations

import logging
import shlex
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from safeops import _alembic
from safeops.backfilling.interruption import SIGNALS, Stop
from safeops.databases import database_for
from safeops.databases.connections import run_on_connection
from safeops.errors import BackfillStopped, LockNotAcquired, RevisionFailed, SafeOpsError, TransactionNotOurs
from safeops.execution.migration_lock import held_lock, without_migration_lock
from safeops.planned import summary
from safeops.runner.environment import ReachedDatabase, explaining_errors
from safeops.runner.revisions import Pending, pending_of

log = logging.getLogger("safeops")

DONE, PENDING, ATTENTION, GAVE_UP, RAISED = range(5)
"""The exit statuses of the commands."""
WAIT = 600.0
"""Seconds that a command waits for another runner."""
POLL = 0.2
"""Seconds between two looks for a signal during a wait."""
Steps = Callable[[tuple[str, ...], MigrationContext], Iterable[Any]]


@dataclass(frozen=True)
class Result:
    """What a command did or found; its failures are raised."""

    @property
    def exit_status(self) -> int:
        """What the command exits with."""
        return DONE

    def as_json(self) -> dict[str, Any]:
        """Return it as the object of ``--json``."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value


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


class RevisionRun:
    """A run of revisions.

    Args:
        steps: Returns Alembic's steps, from the revisions that the database is at.
        progress: Gets each finished revision.
        stop: Becomes true to stop before the next revision.
        destination: The target revision, for an env.py that reads it.
    """

    def __init__(
        self, steps: Steps, progress: Progress | None = None, stop: object = False, destination: str | None = None
    ) -> None:
        self.destination = destination
        self._steps, self._progress, self._stop = steps, progress, stop
        self.applied: list[Applied] = []
        self.scripts: list[Any] = []
        self.running: Pending | None = None
        self.started = 0.0
        self.transactional = self.is_upgrade = True
        self.ended = False

    def run(self, config: Config, script: ScriptDirectory) -> None:
        """Run env.py with these revisions; ``running`` names the one that raised."""
        options: dict[str, Any] = {"starting_rev": None, "destination_rev": self.destination, "tag": None}
        with EnvironmentContext(config, script, fn=self._run_steps, as_sql=False, **options):
            script.run_env()

    def _run_steps(self, heads: tuple[str, ...], context: MigrationContext) -> Iterator[Any]:
        self.transactional = context.impl.transactional_ddl
        for step in self._steps(heads, context):
            if self._stop:
                return
            self.running, self.started, self.is_upgrade = pending_of(step), time.monotonic(), step.is_upgrade
            yield step
            # Alembic requests the next step once this one is committed.
            done = Applied(self.running.revision, self.running.message, time.monotonic() - self.started)
            self.applied.append(done)
            self.scripts.append(step.revision)
            self.running = None
            if self._progress is not None:
                self._progress(done)
        self.ended = True

    def run_on(self, reached: ReachedDatabase, config: Config, rerun: str) -> None:
        """Run these revisions on a database, or raise RevisionFailed.

        Args:
            reached: The database.
            config: The configuration of the project.
            rerun: The command to run again.
        """
        try:
            self.run(config, reached.script)
        except Exception as error:
            log.debug("the run failed", exc_info=True)
            if self.running is not None:
                raise _failed(self, self.running, error, reached, rerun) from error
            with explaining_errors():
                raise


def is_giving_up(error: BaseException) -> bool:
    """Return whether a run ended because of a lock or a request to stop: nothing is broken."""
    return _is_caused_by(error, LockNotAcquired, BackfillStopped)


def _is_caused_by(error: BaseException, *kinds: type[BaseException]) -> bool:
    return isinstance(error, kinds) or isinstance(error.__cause__, kinds)


# What went wrong ------------------------------------------------------------------------------------------------


def _failed(
    run: RevisionRun, running: Pending, error: Exception, reached: ReachedDatabase, rerun: str
) -> RevisionFailed:
    """Return the error of a revision: the message and the code of its cause, and what is true of the database now."""
    stopped = _is_caused_by(error, BackfillStopped)
    heading = _heading(run, running, error, reached, "was stopped" if stopped else "failed")
    again = "Run again to continue:" if stopped else "Fix the cause and run again, which continues from there:"
    state = f"{_state(run, reached)} {_kept(run, running, reached, error)}".rstrip()
    if not isinstance(error, SafeOpsError):
        return RevisionFailed(f"{heading}\n{summary(error)}", remedy=again, code=rerun, state=state)
    state = f"{error.changes} {state}"
    failed = RevisionFailed(f"{heading}\n{error.problem}", why=error.why, remedy=again, code=rerun, state=state)
    if error.remedy and not stopped:
        failed.remedy, failed.code = error.remedy, error.code
        failed.state = f"{state}\nThen run again to continue: {rerun}"
    failed.number = error.number
    return failed


def _heading(run: RevisionRun, running: Pending, error: Exception, reached: ReachedDatabase, ended: str) -> str:
    name = f"{running.revision} ({running.message})" if running.message else running.revision
    place = _place_of(error, reached.script)
    seconds = time.monotonic() - run.started
    return f"Revision {name} {ended} after {seconds:.1f} s{f', at {place}' if place else ''}:"


def _place_of(error: BaseException, script: ScriptDirectory) -> str:
    """Return the file and the line of the revision that raised; empty if no revision did."""
    folders = {Path(folder).resolve() for folder in _alembic.version_folders(script)}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).resolve().parent in folders:
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return ""


def _state(run: RevisionRun, reached: ReachedDatabase) -> str:
    try:
        current = reached.current_now()
    except Exception as error:
        return f"The current revision cannot be read now ({summary(error)}). Run safeops status later."
    at = f"The database is at {', '.join(current) or 'no revision'}."
    contained = {script.revision for script in reached.script.iterate_revisions(current or "base", "base")}
    # env.py may run all revisions in one transaction, which is rolled back as a whole.
    done = [applied.revision for applied in run.applied if (applied.revision in contained) is run.is_upgrade]
    undone = [applied.revision for applied in run.applied if applied.revision not in done]
    finished = f" Completed in this run: {', '.join(done)}." if done else ""
    rolled_back = f" Also rolled back, because env.py uses one transaction: {', '.join(undone)}." if undone else ""
    return f"{at}{finished}{rolled_back}"


def _kept(run: RevisionRun, running: Pending, reached: ReachedDatabase, error: Exception) -> str:
    """Describe what is kept of the revision that failed."""
    # A helper's error lists the completed steps itself.
    kept = f"Completed helper steps of {running.revision} are kept, and skipped by the next run. "
    helpers = "" if isinstance(error, SafeOpsError) else kept
    if (
        run.transactional
        and isinstance(error, SafeOpsError)
        and (error.of_helper or isinstance(error, TransactionNotOurs))
    ):
        return ""
    if run.transactional:
        return f"{helpers}The op.* calls of {running.revision} after its last helper were rolled back."
    name = database_for(reached.engine.dialect, None).product
    return (
        f"{helpers}The op.* calls of {running.revision} may be kept too, because {name} commits each change at once: check"
        " the schema first."
    )


# The migration lock ---------------------------------------------------------------------------------------------


@contextmanager
def holding_lock(reached: ReachedDatabase, wait: float, rerun: str, stop: Stop | None = None) -> Iterator[None]:
    """Hold the migration lock for the block, in which ``migration_lock`` of env.py does nothing.

    Args:
        reached: The database.
        wait: Seconds to wait for another runner.
        rerun: The command to run again.
        stop: Ends the wait.

    Raises:
        LockNotAcquired: Another runner held it for that long, or until the wait was ended.
    """
    held: Future[None] = Future()
    over = threading.Event()

    def hold(connection: Connection) -> None:
        with held_lock(connection, wait, over):
            held.set_result(None)
            over.wait()

    def run() -> None:
        try:
            # As migration_lock of env.py takes it: on MariaDB and MySQL it is named by the database of the session.
            run_on_connection(reached.engine, hold)
        except BaseException as error:
            if not held.done():
                held.set_exception(error)

    # An asynchronous driver needs its own event loop for the lock, and env.py runs another one in this thread.
    thread = threading.Thread(target=run, name="safeops-lock", daemon=True)
    thread.start()
    try:
        _await_lock(held, rerun, stop)
        with without_migration_lock():
            yield
    finally:
        over.set()
        # The interpreter must not end while a driver works in this thread.
        thread.join(timeout=5)


def _await_lock(held: Future[None], rerun: str, stop: Stop | None) -> None:
    """Wait until the lock is held, or raise why it is not."""
    # In short waits, which a signal ends on every system.
    while not futures.wait([held], POLL).done:
        if stop:
            raise LockNotAcquired(
                f"Stopped by {stop.reason} while another runner was migrating this database.",
                why="One runner at a time migrates, and this one had not begun.",
                remedy="Run it again:",
                code=rerun,
            )
    try:
        held.result()
    except LockNotAcquired as error:
        remedy = "Wait for it to end and run again, or wait longer:"
        raise LockNotAcquired(error.problem, why=error.why, remedy=remedy, code=f"{rerun} --wait 3600") from error


# Signals --------------------------------------------------------------------------------------------------------


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Have SIGTERM raise KeyboardInterrupt as Ctrl-C does: cleanup then runs. Only possible in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    # Signals that a shell ignores for a background job stay ignored.
    before = {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            # None is a handler that Python did not set and cannot set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


# The command to run again ---------------------------------------------------------------------------------------


def command_line(config: Config, command: str, revision: str = "") -> str:
    """Return a call of ``safeops`` with the ``-c``, ``-n`` and ``-x`` that found this configuration.

    Args:
        config: The configuration of the project.
        command: The command.
        revision: The revision; empty for the command's default.
    """
    options = vars(config.cmd_opts) if config.cmd_opts is not None else {}
    words = ["safeops"]
    for path in options.get("config") or ():
        words += ["-c", str(path)]
    if options.get("name") not in (None, "alembic"):
        words += ["-n", options["name"]]
    for argument in options.get("x") or ():
        # A URL may contain a password.
        words += ["-x", f"{argument.partition('=')[0]}=..." if "://" in argument else argument]
    return shlex.join([*words, command, *([revision] if revision else [])])
