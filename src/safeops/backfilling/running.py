"""A run of a backfill: claim it, walk its ranges, sweep what came meanwhile, say what is left."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.exc import DBAPIError, PendingRollbackError

from safeops.backfilling.interruption import Stop, beating, stopping_on_signals
from safeops.backfilling.offline import tell_fill
from safeops.backfilling.parallel import (
    RANGES_A_WORKER,
    UNKNOWN,
    Connect,
    Connecting,
    RangeTask,
    cuts,
    walked_in_parallel,
    workers_of,
)
from safeops.backfilling.port import Batches, Bound
from safeops.backfilling.progress import BackfillProgress, Meter
from safeops.backfilling.range_walker import Pace, Walk, forgotten, note_lost_claim, stopped
from safeops.backfilling.state import WHOLE, ClaimLost, Part, State
from safeops.backfilling.status import Left, count_left, incomplete
from safeops.backfilling.work import Work
from safeops.databases import database_on
from safeops.databases.connections import beside
from safeops.errors import BackfillConflict
from safeops.execution.lock_retry import with_lock_retry
from safeops.execution.migration import Terms
from safeops.naming import Code, call
from safeops.plan_mode import current_dry_run

log = logging.getLogger("safeops")

SWEEPS = 3
"""How often rows that came meanwhile are swept up, before it is said that they go on coming."""
Tell = Callable[[BackfillProgress], object]


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


class Run:
    """A run of a backfill by one runner.

    Args:
        terms: The connection of the migration, and what is allowed.
        work: What is done.
        pace: How fast.
        tell: Gets the progress.
        executor: Does ranges in parallel; None does them here, one after the other.
        connect: How its workers connect.
    """

    def __init__(
        self, terms: Terms, work: Work, pace: Pace, tell: Tell, executor: Executor | None, connect: Connect | None
    ) -> None:
        self.terms, self.work, self.pace = terms, work, pace
        self.database, self.schema = terms.database, terms.settings.schema_for_state
        self.executor, self.connect = executor, connect
        self.state, self.token = State(self.database, self.schema), uuid.uuid4().hex
        self.meter = Meter(BackfillProgress(work.name, str(work.table), database=self.database), tell)
        self._walked_here = False

    def execute(self) -> BackfillReport:
        """Do what is left of the work, and say what was done."""
        if (dry_run := current_dry_run()) is not None:
            tell_fill(dry_run, self.terms, self.work)
            return BackfillReport(0, 0, 0.0, False, 0)
        began = time.monotonic()
        try:
            with stopping_on_signals() as self.stop, Batches.of(self.database).batching():
                self._make_known()
                self.walk = self._walk_of(self.stop)
                self.session_settings = self.database.session_settings()
                with beating(self.database, self.schema, self.token, self.stop, self.session_settings):
                    before, remaining = self._done()
                done = self._totals()
        except (DBAPIError, PendingRollbackError) as error:
            if isinstance(error, DBAPIError) and not error.connection_invalidated:
                raise
            raise stopped(
                self.work.name, f"lost its connection ({getattr(error, 'orig', error)})", self.meter
            ) from error
        rows, batches = done.processed - before.processed, done.batches - before.batches
        return BackfillReport(
            rows, batches, time.monotonic() - began, before.batches > 0 or before.is_finished, remaining
        )

    def _walk_of(self, stop: Stop) -> Walk:
        return Walk(self.terms, self.work, self.pace, self.schema, self.token, stop, self.meter, helps=False)

    # Known and claimed ------------------------------------------------------------------------------------------

    def _make_known(self) -> None:
        """Make the work known under its name, or raise where other work is."""
        name, work = self.work.name, self.work
        kept, *former = work.fingerprints
        with_lock_retry(self.terms, "made the table of the progress of backfills", self.state.create)
        with_lock_retry(self.terms, f"noted backfill {name}", lambda: self.state.add(name, kept, work.described))
        stands = self.state.part(name)
        # A script of --sql cannot tell what it would have been online.
        if stands is not None and stands.fingerprint not in ("", kept, *former):
            raise _conflict(work)

    def _done(self) -> tuple[Part, int]:
        """Do the work; return its totals from before this run did anything, and how many rows are left."""
        while True:
            stands = self._totals()
            if stands.is_finished:
                left = self._left()
                if not (self.work.keeps and left.rows):
                    log.info("backfill %s: nothing to do, it was finished before", self.work.name)
                    return stands, left.rows
                log.info("backfill %s: finished before, but %d rows have no value", self.work.name, left.rows)
                self.state.set_status(self.work.name, "running")
            if self.walk.claimed(WHOLE) is not None:
                with self._released(), suppress(ClaimLost):
                    return self._totals(), self._walked_and_swept()
                note_lost_claim(self.work.name, self.stop, self.meter)

    @contextmanager
    def _released(self) -> Iterator[None]:
        """Let go of what is claimed when the block ends, so that the next runner need not wait."""
        try:
            yield
        finally:
            self.state.release_if_connected(self.token)

    def _totals(self) -> Part:
        """Return the backfill with what its ranges have come to."""
        parts = self.walk.safely(lambda: self.state.parts(self.work.name))
        if not parts:
            raise forgotten(self.work.name)
        whole, *ranges = parts
        sums = {
            name: sum(getattr(one, name) for one in ranges)
            for name in ("processed", "unfilled", "walked", "batches", "seconds")
        }
        return replace(whole, **sums)

    # The ranges -------------------------------------------------------------------------------------------------

    def _walked_and_swept(self) -> int:
        """Walk over all ranges, then sweep up what came meanwhile; return how many rows are left."""
        work, stands = self.work, self._totals()
        self.meter.begin(
            self.database.sizes.estimated_rows(work.table), stands.processed, stands.walked, stands.batches
        )
        if not self._ranges():
            self._lay_ranges(0)
        self._walk_ranges()
        left = self._left()
        for sweep in range(stands.sweep + 1, stands.sweep + 1 + SWEEPS):
            if not (work.keeps and left.fillable):
                break
            log.info("backfill %s: sweeping up %d rows that came meanwhile", work.name, left.fillable)
            self._lay_ranges(sweep)
            self._walk_ranges()
            left = self._left()
        if work.keeps and left.rows:
            self._end("incomplete")
            raise incomplete(self.database, work, left, SWEEPS)
        self._end("finished")
        # A signal in the last batch ends the migration all the same.
        self.walk.check_stop()
        return left.rows

    def _end(self, status: str) -> None:
        def end() -> None:
            with self.database.transaction():
                self.state.hold(self.work.name, self.token)
                self.state.set_status(self.work.name, status)

        self.walk.safely(end)

    def _left(self) -> Left:
        # Only calling a function tells: what it gave nothing for in the last pass is not tried again in the same run.
        ranges = self._ranges() if self.work.function is not None and self._walked_here else []
        last = max((one.sweep for one in ranges), default=0)
        given_nothing = sum(one.unfilled for one in ranges if one.sweep == last)
        return self.walk.safely(lambda: count_left(self.database, self.work, given_nothing))

    def _ranges(self) -> list[Part]:
        return [one for one in self.walk.safely(lambda: self.state.parts(self.work.name)) if one.part != WHOLE]

    def _lay_ranges(self, sweep: int) -> None:
        """Write down what is to be walked: from the first key to the last that stand now."""
        database, work = self.database, self.work
        first = Batches.of(database).edge(work.table, work.key, work.index)
        last = Batches.of(database).edge(work.table, work.key, work.index, last=True)
        if first is None or last is None:
            return
        found = self._cut(first, None, last)
        number = len(self._ranges()) + 1

        def lay() -> None:
            with database.transaction():
                self.state.hold(work.name, self.token)
                self.state.set_status(work.name, "running", sweep=sweep)
                self.state.add_ranges(work.name, number, found, first, sweep)

        self.walk.safely(lay)

    def _cut(self, first: Bound | None, after: Bound | None, upto: Bound) -> list[Bound]:
        if self.executor is None:
            return [upto]
        pieces = RANGES_A_WORKER * (workers_of(self.executor) or UNKNOWN)
        return cuts(self.terms, self.work, first, after, upto, pieces)

    def _walk_ranges(self) -> None:
        open_ = self._open_ranges()
        self._walked_here = self._walked_here or bool(open_)
        if self.executor is not None and open_:
            self._walk_in_parallel(self.executor, open_)
            open_ = self._open_ranges()
        for one in open_:
            self.walk.over(one.part)

    def _open_ranges(self) -> list[Part]:
        return [one for one in self._ranges() if not one.is_finished]

    def _walk_in_parallel(self, executor: Executor, open_: list[Part]) -> None:
        """Have the ranges walked by workers."""
        self._check_reachable()
        if len(open_) == 1 and self.walk.safely(partial(self.state.claim, open_[0], self.token)):
            # An earlier run without workers left one range: what is left of it is cut now. Where a worker of a runner
            # that has died still walks over it, it stays as it is.
            self._cut_what_is_left(open_[0].part)
            open_ = self._open_ranges()
        connecting = Connecting.of(
            self.database.connection.engine,
            self.connect,
            self.session_settings if self.connect is None else self.database.session_settings(role=False),
        )
        settings = self.terms.settings
        tasks = [RangeTask(self.work, self.pace, settings, one.part, connecting) for one in open_]
        try:
            walked_in_parallel(executor, tasks, self._tick, self._ask_to_stop)
        finally:
            connecting.forget()

    def _cut_what_is_left(self, number: int) -> None:
        part = self.walk.part(number)
        if part is None or part.upto is None:
            raise ClaimLost
        found, next_number = self._cut(part.first, part.after, part.upto), len(self._ranges()) + 1
        self.walk.safely(partial(self.state.narrow, part, self.token, found, next_number))

    def _tick(self) -> None:
        totals = self._totals()
        self.meter.reach(totals.processed, totals.walked, totals.batches)
        self.walk.check_stop()

    def _ask_to_stop(self) -> None:
        """Ask the workers to stop, by another connection where this one is lost."""
        if not self.database.connection.invalidated:
            self.state.set_status(self.work.name, "stopping")
            return
        with suppress(DBAPIError), beside(self.database.connection, self.session_settings) as own:
            State(database_on(own), self.schema).set_status(self.work.name, "stopping")

    def _check_reachable(self) -> None:
        if self.database.abilities.is_private:
            code = call("backfill", self.work.table.name, Code("{...}"))
            raise self.database.unsupported("executor=", "a database that others can open", "Leave it out:", code)


def _conflict(work: Work) -> BackfillConflict:
    return BackfillConflict(
        f"Progress is kept under the name {work.name}, but it is that of other work: the table, the key, the columns, the"
        " condition or the values were others.",
        why="Going on with other work from there would leave its rows half done the one way and half the other.",
        remedy="Give the new work a name of its own, or where the old progress is not needed any more, forget it first:",
        code=f"{call('backfill', work.table.name, Code('{...}'), name=f'{work.name}, anew')}\n"
        + call("forget_backfill", work.name),
    )
