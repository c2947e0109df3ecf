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
from safeops.backfilling.parallel import Connect
from safeops.backfilling.port import Batches, Bound
from safeops.backfilling.progress import BackfillProgress, Meter
from safeops.backfilling.range_walker import RangeWalker, note_lost_claim, stopped
from safeops.backfilling.scan import Scan
from safeops.backfilling.spec import BackfillSpec
from safeops.backfilling.state import WHOLE, ClaimLost, Part, State
from safeops.backfilling.status import incomplete, plan_backfill
from safeops.errors import BackfillConflict
from safeops.execution.lock_retry import with_lock_retry
from safeops.execution.migration import Terms
from safeops.naming import Code, call
from safeops.plan_mode import current_dry_run
from safeops.planned import counted

log = logging.getLogger("safeops")

SWEEPS = 3
"""How often new rows are swept up before the error that the application keeps writing them."""
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
                session_settings = self.database.session_settings()
                self.scan = Scan(self.walker, self.executor, self.connect, session_settings)
                with heartbeat(self.terms, self.token, self.stop, session_settings):
                    before, remaining = self._finish()
                after = self.scan.totals()
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
            totals = self.scan.totals()
            if totals.is_finished:
                remaining = self.scan.remaining()
                if not (self.spec.keeps_values and remaining.rows):
                    log.info("skipped backfill %s: finished by an earlier run", self.spec.name)
                    return totals, remaining.rows
                log.info(
                    "backfill %s: finished by an earlier run, but %d rows have no value", self.spec.name, remaining.rows
                )
                self.state.set_status(self.spec.name, "running")
            if self.walker.claim(WHOLE) is not None:
                with self._released(), suppress(ClaimLost):
                    return self.scan.totals(), self._walk_and_sweep()
                note_lost_claim(self.spec.name, self.stop, self.meter)

    @contextmanager
    def _released(self) -> Iterator[None]:
        """Release all claims when the block ends: the next runner need not wait for the lease."""
        try:
            yield
        finally:
            self.state.release_if_connected(self.token)

    # Its rows ---------------------------------------------------------------------------------------------------

    def _walk_and_sweep(self) -> int:
        """Process all rows, then sweep up new ones; return how many remain."""
        spec, scan, totals = self.spec, self.scan, self.scan.totals()
        rows = self.database.sizes.estimated_rows(spec.table)
        self.meter.begin(rows, totals.processed, totals.walked, totals.batches)
        scan.walk_all_rows()
        remaining, swept = scan.remaining(), set[Bound]()
        last = totals.sweep + SWEEPS
        for sweep in range(totals.sweep + 1, last + 1):
            if not (spec.keeps_values and remaining.fillable):
                break
            if sweep == last:
                swept = set(scan.remaining_keys())
            log.info("backfill %s: sweeping up %s without a value", spec.name, counted(remaining.fillable))
            scan.sweep(sweep, remaining, is_first=sweep == totals.sweep + 1)
            remaining = scan.remaining()
        if spec.keeps_values and remaining.rows:
            self._end("incomplete")
            raise incomplete(self.database, spec, remaining, SWEEPS, swept)
        self._end("finished")
        # A signal in the last batch also ends the migration.
        self.walker.check_stop()
        return remaining.rows

    def _end(self, status: str) -> None:
        self.walker.with_lock_retry(partial(self.state.set_claimed_status, self.spec.name, self.token, status))


def _conflict(spec: BackfillSpec) -> BackfillConflict:
    return BackfillConflict(
        f"The name {spec.name} belongs to another backfill: its table, key, columns, condition or values differ.",
        why="Resuming its progress with other values would fill one part of the rows the old way and the rest the new way.",
        remedy="Use another name, or discard the old progress first:",
        code=f"{call('backfill', spec.table.name, Code('{...}'), name=f'{spec.name}, second')}\n"
        + call("forget_backfill", spec.name),
    )
