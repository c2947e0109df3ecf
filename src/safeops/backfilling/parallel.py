"""Ranges in parallel, through any ``concurrent.futures.Executor``: on threads, on processes, or on other machines."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from safeops.backfilling.interruption import beating, stopping_on_signals
from safeops.backfilling.port import Batches, Bound
from safeops.backfilling.progress import BackfillProgress, Meter
from safeops.backfilling.range_walker import Pace, Walk
from safeops.backfilling.state import State
from safeops.backfilling.work import Work
from safeops.databases import database_on
from safeops.databases.connections import on_a_connection
from safeops.databases.server import SessionSettings
from safeops.errors import SafeOpsError
from safeops.execution.migration import Terms
from safeops.policy import Settings

log = logging.getLogger("safeops")

Connect = Callable[[], Engine] | str | sa.URL

LOOK_EVERY = 0.5
RANGES_A_WORKER = 4
"""Ranges that the keys are cut into, so that no worker is left with a large one at the end."""
UNKNOWN = 8
"""Workers that an executor is taken to have where it does not tell."""
SMALLEST = 1000
"""Rows that a range has at least."""


@dataclass(frozen=True)
class RangeTask:
    """The walk over ranges that nobody is at work on, as a value that travels to a worker.

    A worker goes on with the next free range on the same connection, at the pace that it has found; the tasks that come
    after all ranges are taken have nothing to do.
    """

    work: Work
    pace: Pace
    settings: Settings
    number: int
    connect: Connecting

    def __call__(self) -> None:
        """Walk over free ranges on a connection of its own, until there is none."""
        on_a_connection(self.connect.engine(), self._walk, session_settings=self.connect.session_settings)

    def _walk(self, connection: Connection) -> None:
        database = database_on(connection)
        database.lock_wait = self.settings.lock_timeout
        schema, token = self.settings.schema_for_state, uuid.uuid4().hex
        progress = BackfillProgress(self.work.name, str(self.work.table), database=database)
        meter = Meter(progress, lambda _: None, of_a_worker=True)
        database.enter_autocommit()
        try:
            with (
                stopping_on_signals(in_worker=True) as stop,
                Batches.of(database).batching(),
                beating(database, schema, token, stop, self.connect.session_settings),
            ):
                walk = Walk(
                    Terms(database, self.settings), self.work, self.pace, schema, token, stop, meter, helps=True
                )
                try:
                    walk.over_free_ones()
                finally:
                    State(database, schema).release_if_connected(token)
        finally:
            database.leave_autocommit()


_engines: dict[str, Engine] = {}
"""The engines of the runs of this process, for workers that are its threads."""


@dataclass(frozen=True)
class Connecting:
    """How a worker gets its connection: as the author says, on a thread by the engine of the migration, else by its URL."""

    how: Connect | None
    url: str
    key: str
    session_settings: SessionSettings = ()

    @classmethod
    def of(cls, engine: Engine, how: Connect | None, session_settings: SessionSettings) -> Connecting:
        key = f"{os.getpid()} {uuid.uuid4().hex}"
        _engines[key] = engine
        return cls(how, engine.url.render_as_string(hide_password=False), key, session_settings)

    def forget(self) -> None:
        _engines.pop(self.key, None)

    def engine(self) -> Engine:
        if self.how is None and self.key.startswith(f"{os.getpid()} ") and self.key in _engines:
            return _engines[self.key]
        made = self.how() if callable(self.how) else sa.create_engine(self.how or self.url, poolclass=NullPool)
        # An AsyncEngine wraps the one that is needed.
        return getattr(made, "sync_engine", made)

    def __repr__(self) -> str:
        # The URL has the password.
        return f"Connecting({sa.make_url(self.url)!r})"


def cuts(terms: Terms, work: Work, first: Bound | None, after: Bound | None, upto: Bound, pieces: int) -> list[Bound]:
    """Cut a range of keys into pieces of about the same number of rows; return the last key of each."""
    database = terms.database
    step = max((database.sizes.estimated_rows(work.table) or 0) // max(pieces, 1), SMALLEST)
    found: list[Bound] = []
    with database.unbounded():
        while len(found) < pieces - 1:
            ahead = Batches.of(database).within(work.key, found[-1] if found else after, None, from_=first)
            cut = Batches.of(database).nth(work.table, work.key, work.index, ahead, step, upto)
            if cut is None or cut == upto:
                break
            found.append(cut)
    return [*found, upto]


def workers_of(executor: Executor) -> int | None:
    """Return how many workers an executor has; None where it does not tell. Those of the standard library do."""
    return getattr(executor, "_max_workers", None)


def walked_in_parallel(
    executor: Executor, tasks: Sequence[RangeTask], tick: Callable[[], None], ask_to_stop: Callable[[], object]
) -> None:
    """Have the tasks done; what a worker that dies leaves undone is left to the caller.

    Args:
        executor: Does them.
        tasks: As many as there are ranges.
        tick: Called now and then; what it raises ends the run after the batches in hand.
        ask_to_stop: Asks the workers to stop.
    """
    futures: list[Future[None]] = []
    said: set[str] = set()
    try:
        # More tasks than workers would each connect only to find that all is taken.
        futures += [executor.submit(task) for task in tasks[: workers_of(executor) or len(tasks)]]
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=LOOK_EVERY, return_when=FIRST_COMPLETED)
            for one in done:
                _raise_or_say(one, said)
            tick()
    except BrokenExecutor as error:
        _say(error, said)
    except BaseException:
        ask_to_stop()
        # One that is cancelled would never end in a pool that breaks.
        wait([one for one in futures if not one.cancel()])
        raise


def _raise_or_say(future: Future[None], said: set[str]) -> None:
    error = future.exception()
    if isinstance(error, SafeOpsError):
        raise error
    if error is not None:
        _say(error, said)


def _say(error: BaseException, said: set[str]) -> None:
    """Say why a worker could not go on, each kind of reason once."""
    kind = type(error).__name__
    if kind not in said:
        said.add(kind)
        log.warning("a worker could not go on; what it leaves is done by the others, or here: %r", error)
