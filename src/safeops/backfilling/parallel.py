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

from safeops.backfilling.batch import Limits
from safeops.backfilling.interruption import heartbeat, stopping_on_signals
from safeops.backfilling.port import Batches, Bound
from safeops.backfilling.progress import Meter
from safeops.backfilling.range_walker import RangeWalker
from safeops.backfilling.spec import BackfillSpec
from safeops.backfilling.state import State
from safeops.databases import database_on
from safeops.databases.base import Database
from safeops.databases.connections import run_on_connection
from safeops.databases.server import SessionSettings
from safeops.errors import SafeOpsError
from safeops.execution.migration import Terms
from safeops.policy import Settings

log = logging.getLogger("safeops")

Connect = Callable[[], Engine] | str | sa.URL

LOOK_EVERY = 0.5
RANGES_A_WORKER = 4
"""Ranges for each worker: several, because one large range would keep one worker busy at the end."""
DEFAULT_WORKERS = 8
"""Workers that an executor is assumed to have if it does not report them."""
SMALLEST = 1000
"""Rows that a range has at least."""


@dataclass(frozen=True)
class RangeTask:
    """The scan of unclaimed ranges, as a value that is sent to a worker.

    A worker continues with the next free range on the same connection and with its adapted batch size. Tasks that start
    after all ranges are claimed have nothing to do. The number distinguishes equal tasks for executors that run those once.
    """

    spec: BackfillSpec
    limits: Limits
    settings: Settings
    number: int
    engines: EngineSource

    def __call__(self) -> None:
        """Process free ranges on a separate connection until there is none."""
        run_on_connection(self.engines.engine(), self._walk, session_settings=self.engines.session_settings)

    def _walk(self, connection: Connection) -> None:
        database = database_on(connection)
        database.lock_wait = self.settings.lock_timeout
        terms, token = Terms(database, self.settings), uuid.uuid4().hex
        meter = Meter(self.spec.name, self.spec.table, database, is_worker=True)
        database.enter_autocommit()
        try:
            with (
                stopping_on_signals(in_worker=True) as stop,
                Batches.of(database).session(),
                heartbeat(terms, token, stop, self.engines.session_settings),
            ):
                try:
                    RangeWalker(terms, self.spec, self.limits, token, stop, meter).walk_free_ranges()
                finally:
                    State.of(terms).release_if_connected(token)
        finally:
            database.leave_autocommit()


_engines: dict[str, Engine] = {}
"""The engines of the runs of this process, for workers that are threads of it."""


@dataclass(frozen=True)
class EngineSource:
    """The engine of a worker: from the author's ``connect``, on a thread that of the migration, else made from its URL."""

    connect: Connect | None
    url: str
    key: str
    session_settings: SessionSettings = ()

    @classmethod
    def of(cls, engine: Engine, connect: Connect | None, session_settings: SessionSettings) -> EngineSource:
        key = f"{os.getpid()} {uuid.uuid4().hex}"
        _engines[key] = engine
        return cls(connect, engine.url.render_as_string(hide_password=False), key, session_settings)

    def close(self) -> None:
        _engines.pop(self.key, None)

    def engine(self) -> Engine:
        if self.connect is None and self.key.startswith(f"{os.getpid()} ") and self.key in _engines:
            return _engines[self.key]
        connect = self.connect
        engine = connect() if callable(connect) else sa.create_engine(connect or self.url, poolclass=NullPool)
        # An AsyncEngine wraps the one that is needed.
        return getattr(engine, "sync_engine", engine)

    def __repr__(self) -> str:
        # The URL contains the password.
        return f"EngineSource({sa.make_url(self.url)!r})"


def cut(
    database: Database,
    spec: BackfillSpec,
    executor: Executor | None,
    first: Bound | None,
    after: Bound | None,
    upto: Bound,
) -> list[Bound]:
    """Cut a range of keys into pieces of about the same number of rows for the workers; return the last key of each."""
    if executor is None:
        return [upto]
    pieces = pieces_for(executor)
    rows = max((database.sizes.estimated_rows(spec.table) or 0) // pieces, SMALLEST)
    cuts: list[Bound] = []
    with database.unbounded():
        while len(cuts) < pieces - 1:
            last = cuts[-1] if cuts else after
            key = Batches.of(database).nth(spec.table, spec.key, spec.index, rows, after=last, first=first, upto=upto)
            if key is None or key == upto:
                break
            cuts.append(key)
    return [*cuts, upto]


def pieces_for(executor: Executor | None) -> int:
    """Return into how many pieces a range is cut at most."""
    return 1 if executor is None else RANGES_A_WORKER * (workers_of(executor) or DEFAULT_WORKERS)


def workers_of(executor: Executor) -> int | None:
    """Return how many workers an executor has; None if it does not report them. Those of the standard library do."""
    return getattr(executor, "_max_workers", None)


def run_tasks(
    executor: Executor, tasks: Sequence[RangeTask], tick: Callable[[], None], ask_to_stop: Callable[[], object]
) -> None:
    """Run the tasks. The caller completes what a dead worker leaves.

    Args:
        executor: Runs them.
        tasks: As many as there are ranges.
        tick: Called every ``LOOK_EVERY`` seconds; its error ends the run after the current batches.
        ask_to_stop: Requests that the workers stop.
    """
    futures: list[Future[None]] = []
    logged: set[str] = set()
    try:
        # Surplus tasks would connect only to find that all ranges are claimed.
        futures += [executor.submit(task) for task in tasks[: workers_of(executor) or len(tasks)]]
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=LOOK_EVERY, return_when=FIRST_COMPLETED)
            for future in done:
                _raise_or_log(future.exception(), logged)
            tick()
    except BrokenExecutor as error:
        _raise_or_log(error, logged)
    except BaseException:
        ask_to_stop()
        # A cancelled future never ends in a broken pool.
        wait([future for future in futures if not future.cancel()])
        raise


def _raise_or_log(error: BaseException | None, logged: set[str]) -> None:
    """Raise an error of safeops, or log why a worker stopped, each kind of error once."""
    if isinstance(error, SafeOpsError):
        raise error
    kind = type(error).__name__
    if error is not None and kind not in logged:
        logged.add(kind)
        log.warning("a worker stopped, its ranges are processed by the other workers or by this process: %r", error)
