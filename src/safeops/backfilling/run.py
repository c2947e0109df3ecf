"""A run of a backfill: claim it, process its ranges, sweep up new rows, report what remains."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from sqlalchemy.exc import DBAPIError, PendingRollbackError

from safeops.backfilling.batch import Limits
from safeops.backfilling.interruption import heartbeat, stopping_on_signals
from safeops.backfilling.parallel import Connect, EngineSource, RangeTask, run_tasks
from safeops.backfilling.port import Batches
from safeops.backfilling.progress import BackfillProgress, Meter
from safeops.backfilling.range_walker import RangeWalker, forgotten, note_lost_claim, stopped
from safeops.backfilling.ranges import cut_rest, ranges_of_keys, ranges_of_pages
from safeops.backfilling.spec import BackfillSpec
from safeops.backfilling.state import WHOLE, ClaimLost, Part, Ranges, State
from safeops.backfilling.status import LISTED, Remaining, count_remaining, incomplete, plan_backfill, remaining_keys
from safeops.databases import database_on
from safeops.databases.connections import side_connection
from safeops.errors import BackfillConflict
from safeops.execution.lock_retry import with_lock_retry
from safeops.execution.migration import Terms
from safeops.naming import Code, call
from safeops.plan_mode import current_dry_run
from safeops.planned import counted

log = logging.getLogger("safeops")

SWEEPS = 3
"""How often new rows are swept up before the error that the application keeps writing them."""
LISTED_FROM = 10_000
"""Rows of a table from which on a sweep lists the keys."""
OnProgress = Callable[[BackfillProgress], object]


@dataclass(frozen=True)
class BackfillReport:
    """What a call of ``backfill`` did.

    Args:
        rows: The rows that it processed.
        batches: The batches that it committed.
        seconds: How long it took.
        resumed: Whether an earlier or another run had done a part of the work, or all of it.
        remaining: The rows that still meet the condition: 0 under the default ``where``.
    """

    rows: int
    batches: int
    seconds: float
    resumed: bool
    remaining: int

    def __str__(self) -> str:
        """Return the end of the log line."""
        return (
            f"{counted(self.rows)} in {self.batches:,} batch{'' if self.batches == 1 else 'es'} ({self.seconds:.1f} s)"
        )


class BackfillRun:
    """A run of a backfill by one runner.

    Args:
        terms: The connection of the migration, and its settings.
        spec: What the backfill does.
        limits: How fast it may run.
        on_progress: Called with the progress.
        executor: Runs ranges in parallel; None runs them here, one after the other.
        connect: How its workers connect.
    """

    def __init__(
        self,
        terms: Terms,
        spec: BackfillSpec,
        limits: Limits,
        on_progress: OnProgress,
        executor: Executor | None = None,
        connect: Connect | None = None,
    ) -> None:
        self.terms, self.spec, self.limits = terms, spec, limits
        self.database, self.state, self.token = terms.database, State.of(terms), uuid.uuid4().hex
        self.executor, self.connect = executor, connect
        self.meter = Meter(spec.name, spec.table, self.database, on_progress)
        self._walked_here = False

    def execute(self) -> BackfillReport:
        """Do what is left of the backfill, and report what was done."""
        if (dry_run := current_dry_run()) is not None:
            plan_backfill(dry_run, self.terms, self.spec)
            return BackfillReport(0, 0, 0.0, False, 0)
        began = time.monotonic()
        try:
            with stopping_on_signals() as self.stop, Batches.of(self.database).session():
                self._register()
                self.walker = RangeWalker(self.terms, self.spec, self.limits, self.token, self.stop, self.meter)
                self.session_settings = self.database.session_settings()
                with heartbeat(self.terms, self.token, self.stop, self.session_settings):
                    before, remaining = self._finish()
                after = self._totals()
        except (DBAPIError, PendingRollbackError) as error:
            if isinstance(error, DBAPIError) and not error.connection_invalidated:
                raise
            how = f"lost its connection ({getattr(error, 'orig', error)})"
            raise stopped(self.spec.name, how, self.meter) from error
        return BackfillReport(
            rows=after.processed - before.processed,
            batches=after.batches - before.batches,
            seconds=time.monotonic() - began,
            resumed=before.batches > 0 or before.is_finished,
            remaining=remaining,
        )

    # Registered and claimed -------------------------------------------------------------------------------------

    def _register(self) -> None:
        """Register the backfill under its name, or raise BackfillConflict if the name belongs to another one."""
        name, spec = self.spec.name, self.spec
        fingerprint, *earlier = spec.fingerprints
        with_lock_retry(self.terms, "created the table safeops_backfill", self.state.create)
        with_lock_retry(
            self.terms, f"recorded backfill {name}", lambda: self.state.add(name, fingerprint, spec.as_json)
        )
        part = self.state.part(name)
        # A script of --sql leaves it empty: it cannot compute the fingerprint.
        if part is not None and part.fingerprint not in ("", fingerprint, *earlier):
            raise _conflict(spec)

    def _finish(self) -> tuple[Part, int]:
        """Do the work; return the totals of earlier runs, and how many rows remain."""
        while True:
            totals = self._totals()
            if totals.is_finished:
                remaining = self._remaining()
                if not (self.spec.keeps_values and remaining.rows):
                    log.info("skipped backfill %s: finished by an earlier run", self.spec.name)
                    return totals, remaining.rows
                log.info(
                    "backfill %s: finished by an earlier run, but %d rows have no value", self.spec.name, remaining.rows
                )
                self.state.set_status(self.spec.name, "running")
            if self.walker.claim(WHOLE) is not None:
                with self._released(), suppress(ClaimLost):
                    return self._totals(), self._walk_and_sweep()
                note_lost_claim(self.spec.name, self.stop, self.meter)

    @contextmanager
    def _released(self) -> Iterator[None]:
        """Release all claims when the block ends: the next runner need not wait for the lease."""
        try:
            yield
        finally:
            self.state.release_if_connected(self.token)

    def _totals(self) -> Part:
        """Return the backfill with the counters of all its ranges."""
        parts = self._parts()
        if not parts:
            raise forgotten(self.spec.name)
        whole, *ranges = parts
        return whole.with_totals(ranges)

    def _parts(self) -> list[Part]:
        return self.walker.with_lock_retry(partial(self.state.parts, self.spec.name))

    # The ranges -------------------------------------------------------------------------------------------------

    def _walk_and_sweep(self) -> int:
        """Process all ranges, then sweep up new rows; return how many rows remain."""
        spec, totals = self.spec, self._totals()
        rows = self.database.sizes.estimated_rows(spec.table)
        self.meter.begin(rows, totals.processed, totals.walked, totals.batches)
        if not self._ranges():
            self._add_ranges(0, self._all_ranges(along_pages=True))
        self._walk_ranges()
        remaining = self._remaining()
        for sweep in range(totals.sweep + 1, totals.sweep + 1 + SWEEPS):
            if not (spec.keeps_values and remaining.fillable):
                break
            log.info("backfill %s: sweeping up %d new rows", spec.name, remaining.fillable)
            self._sweep(sweep, remaining, is_first=sweep == totals.sweep + 1)
            remaining = self._remaining()
        if spec.keeps_values and remaining.rows:
            self._end("incomplete")
            raise incomplete(self.database, spec, remaining, SWEEPS)
        self._end("finished")
        # A signal in the last batch also ends the migration.
        self.walker.check_stop()
        return remaining.rows

    def _end(self, status: str) -> None:
        self.walker.with_lock_retry(partial(self.state.set_claimed_status, self.spec.name, self.token, status))

    def _remaining(self) -> Remaining:
        # Only a call of the function shows it: rows for which it returned no value are not retried in the same run.
        ranges = self._ranges() if self.spec.function is not None and self._walked_here else []
        last = max((part.sweep for part in ranges), default=0)
        unfilled = sum(part.unfilled for part in ranges if part.sweep == last)
        return self.walker.with_lock_retry(lambda: count_remaining(self.database, self.spec, unfilled))

    def _ranges(self) -> list[Part]:
        return [part for part in self._parts() if part.part != WHOLE]

    def _sweep(self, sweep: int, remaining: Remaining, *, is_first: bool) -> None:
        """Process the rows that remain. If they are few, they alone are read, by their keys."""
        listed = partial(remaining_keys, self.database, self.spec)
        keys = self.walker.with_lock_retry(listed) if self._are_few(remaining.rows) else []
        if not keys:
            # Rows that other sessions update move from page to page: they cannot evade a walk along the key.
            self._add_ranges(sweep, self._all_ranges(along_pages=is_first))
            self._walk_ranges()
            return
        number = self._add_ranges(sweep, Ranges(keys[0], [keys[-1]]))
        self.walker.batch.list_rows(number, keys)
        self._walked_here = True
        self.walker.walk(number)

    def _are_few(self, rows: int) -> bool:
        """Return whether reading these rows alone is worth it: not in a small table."""
        return rows <= LISTED and (self.database.sizes.estimated_rows(self.spec.table) or 0) >= LISTED_FROM

    def _all_ranges(self, *, along_pages: bool) -> Ranges | None:
        """Return ranges with all rows of the table; None if it has none."""
        database, spec, executor, retried = self.database, self.spec, self.executor, self.walker.with_lock_retry
        by_pages = retried(partial(ranges_of_pages, database, spec, self.limits, executor)) if along_pages else None
        return by_pages or retried(partial(ranges_of_keys, database, spec, executor))

    def _add_ranges(self, sweep: int, ranges: Ranges | None) -> int:
        """Add ranges, and return the number of the first."""
        number = len(self._ranges()) + 1
        if ranges is not None:
            begin = partial(self.state.begin_sweep, self.spec.name, self.token, sweep, ranges, number)
            self.walker.with_lock_retry(begin)
        return number

    def _walk_ranges(self) -> None:
        unfinished = self._unfinished_ranges()
        self._walked_here = self._walked_here or bool(unfinished)
        if self.executor is not None and unfinished:
            self._walk_in_parallel(self.executor, unfinished)
            unfinished = self._unfinished_ranges()
        for part in unfinished:
            self.walker.walk(part.part)
        if self.executor is not None:
            # Workers may have committed batches after the last tick, as when their pool broke.
            self._tick()

    def _unfinished_ranges(self) -> list[Part]:
        return [part for part in self._ranges() if not part.is_finished]

    # In parallel ------------------------------------------------------------------------------------------------

    def _walk_in_parallel(self, executor: Executor, unfinished: list[Part]) -> None:
        """Let workers process the ranges."""
        self._check_reachable()
        if len(unfinished) == 1 and self.walker.try_to_claim(unfinished[0]):
            # An earlier run without workers left one range: the rest of it is split now, unless a worker of a dead
            # runner still processes it.
            self._split(unfinished[0].part)
            unfinished = self._unfinished_ranges()
        engines = EngineSource.of(
            self.database.connection.engine,
            self.connect,
            self.session_settings if self.connect is None else self.database.session_settings(role=False),
        )
        settings = self.terms.settings
        tasks = [RangeTask(self.spec, self.limits, settings, part.part, engines) for part in unfinished]
        try:
            run_tasks(executor, tasks, self._tick, self._ask_to_stop)
        finally:
            engines.close()

    def _split(self, number: int) -> None:
        part = self.walker.part(number)
        if part is None or part.upto is None:
            raise ClaimLost
        cuts = self.walker.with_lock_retry(partial(cut_rest, self.database, self.spec, self.executor, part, part.upto))
        self.walker.with_lock_retry(partial(self.state.split, part, self.token, cuts, len(self._ranges()) + 1))

    def _tick(self) -> None:
        totals = self._totals()
        self.meter.reach(totals.processed, totals.walked, totals.batches)
        self.walker.check_stop()

    def _ask_to_stop(self) -> None:
        """Request that the workers stop, over another connection if this one is lost."""
        if not self.database.connection.invalidated:
            self.state.set_status(self.spec.name, "stopping")
            return
        with suppress(DBAPIError), side_connection(self.database.connection, self.session_settings) as connection:
            other = Terms(database_on(connection), self.terms.settings)
            State.of(other).set_status(self.spec.name, "stopping")

    def _check_reachable(self) -> None:
        if self.database.abilities.is_private:
            code = call("backfill", self.spec.table.name, Code("{...}"))
            raise self.database.unsupported(
                "executor=", "a database that other processes can open", "Leave it out:", code
            )


def _conflict(spec: BackfillSpec) -> BackfillConflict:
    return BackfillConflict(
        f"The name {spec.name} belongs to another backfill: its table, key, columns, condition or values differ.",
        why="Resuming its progress with other values would fill one part of the rows the old way and the rest the new way.",
        remedy="Use another name, or discard the old progress first:",
        code=f"{call('backfill', spec.table.name, Code('{...}'), name=f'{spec.name}, second')}\n"
        + call("forget_backfill", spec.name),
    )
