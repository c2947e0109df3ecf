"""Runs the revisions of a project in another process, as a second runner does.

A child ends at the latest with the block that started it, and with this process.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection as pipes
from types import ModuleType
from typing import Any

from sqlalchemy.engine import URL, Connection, Engine

from safeops.databases.connections import listening
from safeops.execution.migration_lock import WAITING
from safeops.planned import summary
from safeops.runner.logs import SAFEOPS
from safeops.runner.revisions import scripts_of, steps_between
from safeops.testing.kit import Trial
from safeops.testing.loading import SentProject, be_silent, context_for, load
from safeops.testing.running import HANDED, Runner
from safeops.testing.stopping import Stop, is_of_the_run, kill_this_process, refused_statement

FIRST = 60.0
"""Seconds that a child may take to load the project before its first statement."""
PATIENCE = 30.0
"""Seconds without a new statement after which a child is taken for one that hangs."""
QUIET = 1.0
"""Seconds without a new statement after which a child is seen to wait, for a lock that safeops does not know."""


@dataclass(frozen=True)
class Task:
    """What a child does.

    Args:
        project: The project.
        url: The database.
        project_url: The same with the driver of the project.
        revision: The revision to upgrade to.
        stop_at: The point at which it kills itself; None runs to the end.
        gated: It waits for ``Child.go`` once it has read the version, before it runs a revision.
        environment: The variables of this process.
    """

    project: SentProject
    url: URL
    project_url: URL
    revision: str
    stop_at: int | None
    gated: bool
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))


@dataclass
class Child:
    """A run of revisions in another process, as it is seen from here.

    Args:
        process: The process.
        pipe: What it reports on.
    """

    process: Any
    pipe: pipes.Connection
    ran: tuple[str, ...] = ()
    """The revisions that it has run."""
    error: str = ""
    """How it failed; empty if it did not."""
    sql: str = ""
    """The last statement that it sent."""
    arrived: bool = False
    """It has read the version, and is about to run revisions."""
    ended: bool = False
    connects: bool = False
    """It has reached the database."""
    _waits: bool = False
    _released: bool = False
    _moved: float = field(default_factory=time.monotonic)
    _said: tuple[Any, ...] = ()

    def go(self) -> None:
        """Let it run its revisions."""
        self._released, self._moved = True, time.monotonic()
        with suppress(OSError):
            self.pipe.send("go")

    def seems_to_wait(self) -> bool:
        """Return whether it waits for ``migration_lock``, or has done nothing new since it reached the database."""
        is_quiet = self.connects and time.monotonic() - self._moved > QUIET
        return not self.ended and (self._waits or is_quiet)

    def seems_to_hang(self) -> bool:
        """Return whether it has done nothing new for much longer than a statement takes on sample rows."""
        return not self.ended and time.monotonic() - self._moved > (PATIENCE if self.connects else FIRST)

    def wait(self) -> None:
        """Wait until it has ended; one that hangs is killed."""
        while not self.ended:
            listen([self])
            if self.seems_to_hang():
                self.give_up()

    def give_up(self) -> None:
        """Kill it; if it should have ended by now, that is its error."""
        if not self.ended:
            self.kill()
            if self._released or not self.arrived:
                self.error = f"it did not end: for {PATIENCE:g} s it did nothing new"

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.join()
        self.ended = True

    def hear(self) -> None:
        """Take what it reports."""
        try:
            said = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            self.ended = True
            if self.process.exitcode and not self.error:
                self.error = f"its process died with exit status {self.process.exitcode}"
            return
        # One that polls for a lock sends the same again and again.
        if said != self._said:
            self._moved, self._said = time.monotonic(), said
        kind, value = said
        self.connects = True
        if kind == "sends":
            self.sql = value or self.sql
        elif kind == "waits":
            self._waits = True
        elif kind == "arrived":
            self.arrived, self._waits = True, False
        elif kind == "ran":
            self.ran = value
        else:
            self.error, refused = value
            self.sql = refused or self.sql


def listen(children: Sequence[Child], seconds: float = 0.05) -> None:
    """Take what children report within so many seconds."""
    pipes_of = {child.pipe: child for child in children if not child.ended}
    for pipe in pipes.wait(list(pipes_of), seconds):
        pipes_of[pipe].hear()  # type: ignore[index]


@contextmanager
def started(trial: Trial, *, stop_at: int | None = None, gated: bool = False) -> Iterator[Child]:
    """Upgrade to the tested revision in another process, which is killed if the block ends before it.

    Args:
        trial: The database.
        stop_at: The point of the run at which it kills itself, as ``Stop`` counts them.
        gated: It waits for ``Child.go`` once it has read the version, before it runs a revision.
    """
    revision, project = trial.revision.revision, trial.kit.project
    with _without_main():
        context = context_for(project)
        own, other = context.Pipe()
        task = Task(SentProject.of(project.config), trial.url, trial.project_url, revision, stop_at, gated)
        # No daemon: a revision may start other processes. It ends with the pipe.
        process = context.Process(target=work, args=(task, other), name=f"safeops upgrade {revision}")
        process.start()
    other.close()
    child = Child(process, own)
    try:
        yield child
    finally:
        child.kill()
        own.close()


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep a child from running the main program, as ``multiprocessing`` has it: there is nothing that it needs."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


# In the child ---------------------------------------------------------------------------------------------------


def work(task: Task, pipe: pipes.Connection) -> None:
    """Run the upgrade, and report what it does."""
    go, lock = threading.Event(), threading.Lock()
    threading.Thread(target=_obey, args=(pipe, go), daemon=True).start()
    be_silent()
    os.environ.clear()
    os.environ.update(task.environment)

    def report(kind: str, value: Any = None) -> None:
        with lock, suppress(OSError):
            pipe.send((kind, value))

    def arrived() -> None:
        report("arrived")
        if task.gated:
            go.wait()

    try:
        with _reporting(report), _stopping(task.stop_at):
            report("ran", _upgrade(task, arrived))
    except BaseException as error:
        report("failed", (summary(error), refused_statement(error)))


def _upgrade(task: Task, arrived: Callable[[], object]) -> tuple[str, ...]:
    """Run the upgrade, and return the revisions that were run."""
    config = task.project.received()
    script = scripts_of(config)
    if HANDED in config.attributes:
        # It gets its connection before it imports what takes long, which looks like waiting for a lock.
        load(config, script, task.project_url)

    def steps(heads: tuple[str, ...], _context: Any) -> list[Any]:
        found = steps_between(script, task.revision, heads)
        if found:
            arrived()
        return found

    run = Runner(config, script, task.url, task.project_url).run(steps, task.revision)
    return tuple(one.revision for one in run.applied)


def _obey(pipe: pipes.Connection, go: threading.Event) -> None:
    try:
        pipe.recv()
        go.set()
        pipe.recv()
    except (EOFError, OSError):
        # The other side has ended, or has closed it to end this process.
        kill_this_process()


@contextmanager
def _reporting(report: Callable[[str, Any], None]) -> Iterator[None]:
    def connects(*_: object) -> None:
        report("sends", "")

    def sends(_connection: Connection, _cursor: object, sql: str, *_: object) -> None:
        report("sends", " ".join(sql.split()))

    def logs(record: logging.LogRecord) -> bool:
        if record.msg == WAITING:
            report("waits", None)
        return True

    logger = logging.getLogger(SAFEOPS)
    logger.setLevel(logging.INFO)
    # The first of the filters: the others hide what is not for the output of a test.
    logger.addFilter(logs)
    with listening(Engine, "do_connect", connects), listening(Engine, "before_cursor_execute", sends):
        yield


@contextmanager
def _stopping(at: int | None) -> Iterator[None]:
    with ExitStack() as stack:
        if at is not None:
            stack.enter_context(Stop(is_of_the_run, lambda: None, at, kills=True).armed())
        yield
