"""Bounded: while a session holds a table, no other one waits behind the upgrade for longer than the lock timeout."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection, Engine, ExceptionContext

from safeops.databases import database_on
from safeops.databases.connections import listening, run_on_connection
from safeops.databases.statements import Kind, kind_of, words_of
from safeops.execution.migration import SETTINGS, config_of_command
from safeops.planned import summary
from safeops.policy import settings
from safeops.rehearse.following import OBSERVER, OWN
from safeops.rehearse.waits import LockWaits, Waiting
from safeops.testing.bounds import Bounds
from safeops.testing.checks.words import is_lock_failure
from safeops.testing.failing import Untestable
from safeops.testing.holding import Holder, holding
from safeops.testing.touched import Touched, touched_by
from safeops.testing.waiting_too_long import Flaw, waits_for_file, waits_too_long

if TYPE_CHECKING:
    from safeops.testing.kit import Kit, Trial
    from safeops.testing.project import Revision

SHORT = 0.2
"""The lock timeout of helpers during the test, in seconds: a shorter one changes nothing but the time it takes."""
BUDGET = 20.0
TOLERANCE = 0.5
"""Seconds that a wait may take longer on a machine that is busy."""
CERTAIN = 1.0
"""Seconds of waiting that are enough if the session of the upgrade has no bound at all."""
SHORTEST = 0.6
"""Seconds after which it counts that others were not held up, or not all the time."""
PASSED = 0.35
"""Seconds of these in which they were not."""
LOOK = 0.005
RUNS = 4
"""Upgrades at most: one that gives up ends before its later statements are tested."""
DRIVERS_OWN = 5.0
"""The busy timeout that Python's driver of SQLite sets."""


def check(kit: Kit, revision: Revision) -> None:
    """Hold the tables of each statement before it is sent, and measure how long others wait for them."""
    touched = touched_by(kit, revision)
    if not touched.tables:
        return
    tested = _Tested()
    for _ in range(RUNS):
        with kit.before(revision) as trial:
            run = _Run(trial, touched, tested)
            gave_up = run.upgrade()
            if run.flaw is not None:
                raise waits_too_long(kit, revision, run.flaw)
            if run.file_bound is not None:
                _check_file(revision, run.file_bound, kit.lock_timeout)
        if not gave_up:
            return


def _check_file(revision: Revision, bound: float, limit: float) -> None:
    if bound > max(limit, DRIVERS_OWN):
        raise waits_for_file(revision, bound, limit)
    raise Untestable(
        "On SQLite locks are on the whole file: other sessions wait for its holder, with or without an upgrade."
        f" Statements of this revision wait for it {bound:g} s at most, the busy timeout of their connection."
    )


@dataclass
class _Tested:
    """What the earlier upgrades of the test have shown.

    Args:
        statements: The statements whose tables were held.
        gave_up: One of them gave up when the bound of its session was over: what others declare is not measured again.
    """

    statements: set[str] = field(default_factory=set)
    gave_up: bool = False


@dataclass
class _Statement:
    """A statement of the upgrade that was sent while its tables were held.

    Args:
        sql: Its text.
        cursor: The driver's cursor that sends it.
        declared: The bound of its session, in seconds; None if there is none.
        enough: Seconds of waiting that show that it has none, or too long a one.
        limit: Seconds that others may wait.
    """

    sql: str
    cursor: Any
    declared: float | None
    enough: float
    limit: float


class _Run:
    """One upgrade."""

    def __init__(self, trial: Trial, touched: Touched, tested: _Tested) -> None:
        self.trial, self.touched, self.tested = trial, touched, tested
        self.flaw: Flaw | None = None
        self.file_bound: float | None = None
        """The longest busy timeout of its connections, on a server that locks the whole file."""
        self._holder: Holder
        self._current: _Statement | None = None
        self._over = threading.Event()

    def upgrade(self) -> bool:
        """Upgrade while others use the tables; return whether it ended early because it did not get a lock."""
        with holding(self.trial.engine, self.touched.tables) as self._holder, self._watching():
            try:
                # With a shorter timeout a helper shows sooner that it gives up.
                with settings(lock_timeout=SHORT, retry_budget=BUDGET):
                    self.trial.upgrade()
            except Exception as error:
                if not is_lock_failure(self.trial, error):
                    raise Untestable(f"The upgrade fails while others use the tables: {summary(error)}") from error
                return True
            finally:
                self._ended()
        return False

    # The statements ---------------------------------------------------------------------------------------------

    @contextmanager
    def _watching(self) -> Iterator[None]:
        watch = threading.Thread(target=self._watch, name="safeops-bounded", daemon=True)
        watch.start()
        listeners: dict[str, Callable[..., None]] = {
            "before_cursor_execute": self._before,
            "after_cursor_execute": self._after,
            "handle_error": self._failed,
        }
        try:
            with ExitStack() as stack:
                for name, listener in listeners.items():
                    stack.enter_context(listening(Engine, name, listener))
                yield
        finally:
            self._over.set()
            watch.join()

    def _before(self, connection: Connection, cursor: Any, sql: str, *_: Any) -> None:
        if kind_of(sql) is not Kind.WRITES or OWN.match(sql) or OBSERVER.keys() & connection.get_execution_options():
            return
        self._ended()
        tables = self.touched.locked.get(sql, ())
        if self.flaw is not None or sql in self.tested.statements or not tables:
            return
        bounds = Bounds.of(database_on(connection))
        declared = bounds.seconds(words_of(sql))
        if not bounds.locks_tables:
            self.file_bound = max(self.file_bound or 0.0, declared or 0.0)
            return
        limit = self.trial.kit.lock_timeout
        limit = math.ceil(limit) if bounds.whole_seconds else limit
        if self.tested.gave_up and declared is not None and declared <= limit:
            return
        if self._holder.hold(tables):
            self.tested.statements.add(sql)
            enough = CERTAIN if declared is None and not _is_configured() else limit + TOLERANCE
            self._current = _Statement(sql, cursor, declared, enough, limit)

    def _after(self, _connection: Connection, cursor: Any, *_: Any) -> None:
        if self._current is not None and self._current.cursor is cursor:
            self._ended()

    def _failed(self, context: ExceptionContext) -> None:
        if self._current is not None and self._current.cursor is getattr(context.execution_context, "cursor", None):
            self._ended()

    def _ended(self) -> None:
        """Note what the present statement made others wait."""
        current, self._current = self._current, None
        if current is None:
            return
        took = time.monotonic() - self._holder.since
        if current.declared is not None and took >= current.declared:
            self.tested.gave_up = True
        if self._holder.held and self._holder.longest > current.limit + TOLERANCE:
            self._note(current)
        self._holder.release()

    # While it waits ---------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._over.wait(LOOK):
            current = self._current
            if current is None or not self._holder.held:
                continue
            took, longest = time.monotonic() - self._holder.since, self._holder.longest
            if longest >= current.enough:
                self._note(current)
                self._holder.release()
            elif took >= SHORTEST and longest < took - PASSED:
                self._holder.release()

    def _note(self, current: _Statement) -> None:
        reads, writes = self._holder.waited(writes=False), self._holder.waited(writes=True)
        waiting = self._lock()
        # A row has no name: the server shows which transaction holds it.
        table = self._named(waiting.table) if waiting is not None else ""
        lock = waiting.lock if waiting is not None and (table or "table" in waiting.lock) else ""
        tables = ", ".join(map(str, self._holder.held))
        self.flaw = Flaw(current.sql, table or tables, lock, reads, writes, current.declared, current.limit)

    def _named(self, table: str) -> str:
        """Return a table that the server names as "schema.table" as messages do: without the default schema."""
        names = sorted(map(str, self._holder.held), key=len)
        return next((name for name in reversed(names) if f".{table}".endswith(f".{name}")), table.rpartition(".")[2])

    def _lock(self) -> Waiting | None:
        """Return what the upgrade waits for now."""

        def read(connection: Connection) -> Waiting | None:
            found = [one for one in LockWaits.of(database_on(connection)).now() if isinstance(one, Waiting)]
            return next((one for one in found if not one.is_traffic), None)

        with suppress(Exception):
            return run_on_connection(self.trial.engine, read)
        return None


def _is_configured() -> bool:
    config = config_of_command()
    return config is not None and SETTINGS in config.attributes
