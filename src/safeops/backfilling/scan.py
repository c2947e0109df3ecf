"""The scan of a table: all of its rows, then those that remain, in ranges that this process or workers walk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from safeops.backfilling.parallel import Connect, EngineSource, RangeTask, run_tasks
from safeops.backfilling.port import Bound
from safeops.backfilling.range_walker import RangeWalker, forgotten
from safeops.backfilling.ranges import cut_rest, ranges_of_keys, ranges_of_pages
from safeops.backfilling.state import WHOLE, ClaimLost, Part, Ranges, State
from safeops.backfilling.status import LISTED, Remaining, count_remaining, remaining_keys
from safeops.databases import database_on
from safeops.databases.connections import side_connection
from safeops.databases.server import SessionSettings
from safeops.execution.migration import Terms
from safeops.naming import Code, call

LISTED_FROM = 10_000
"""Rows of a table from which on a sweep lists the keys."""

T = TypeVar("T")


class Scan:
    """The scan of a table by one runner, which has claimed the backfill.

    Args:
        walker: Walks a range on this connection.
        executor: Runs ranges in parallel; None: they are walked here, one after the other.
        connect: How its workers connect.
        session_settings: What env.py has set on this connection, for those of the workers.
    """

    def __init__(
        self,
        walker: RangeWalker,
        executor: Executor | None,
        connect: Connect | None,
        session_settings: SessionSettings,
    ) -> None:
        self.walker, self.executor, self.connect = walker, executor, connect
        self.terms, self.spec, self.limits, self.meter = walker.terms, walker.spec, walker.limits, walker.meter
        self.database, self.state, self.token = walker.database, walker.state, walker.token
        self.session_settings = session_settings
        self._walked_here = False

    # What is done, and what is left -----------------------------------------------------------------------------

    def totals(self) -> Part:
        """Return the backfill with the counters of all its ranges."""
        parts = self._parts()
        if not parts:
            raise forgotten(self.spec.name)
        whole, *ranges = parts
        return whole.with_totals(ranges)

    def remaining(self) -> Remaining:
        """Return the rows that still meet the condition, and how many of them another sweep could fill."""
        # Only a call of the function shows it: rows for which it returned no value are not retried in the same run.
        ranges = self._ranges() if self.spec.function is not None and self._walked_here else []
        last = max((part.sweep for part in ranges), default=0)
        ranges = [part for part in ranges if part.sweep == last]
        unfilled = sum(part.unfilled for part in ranges)
        left = self._retried(lambda: count_remaining(self.database, self.spec, unfilled))
        if unfilled > left.rows and any(part.is_by_pages for part in ranges):
            # A row that was written without a value came again, on a later page, and counts twice.
            return replace(left, fillable=left.rows)
        return left

    def remaining_keys(self) -> list[Bound]:
        """Return the keys of those rows; of very many, of a part of them."""
        return self._retried(partial(remaining_keys, self.database, self.spec))

    def _ranges(self) -> list[Part]:
        return [part for part in self._parts() if part.part != WHOLE]

    def _unfinished_ranges(self) -> list[Part]:
        return [part for part in self._ranges() if not part.is_finished]

    def _parts(self) -> list[Part]:
        return self._retried(partial(self.state.parts, self.spec.name))

    def _retried(self, action: Callable[[], T]) -> T:
        return self.walker.with_lock_retry(action)

    # Rows -------------------------------------------------------------------------------------------------------

    def walk_all_rows(self) -> None:
        """Process all rows of the table, or what an earlier run has left of them."""
        if not self._ranges():
            self._add_ranges(0, self._all_ranges(along_pages=True))
        self._walk_ranges()

    def sweep(self, number: int, remaining: Remaining, *, is_first: bool) -> None:
        """Process the rows that remain. If they are few, they alone are read, by their keys."""
        keys = self.remaining_keys() if self._are_few(remaining.rows) else []
        if not keys:
            # Rows that other sessions update move from page to page: they cannot evade a walk along the key.
            self._add_ranges(number, self._all_ranges(along_pages=is_first))
            self._walk_ranges()
            return
        part = self._add_ranges(number, Ranges(keys[0], [keys[-1]]))
        self.walker.batch.list_rows(part, keys)
        self._walked_here = True
        self.walker.walk(part)

    def _are_few(self, rows: int) -> bool:
        """Return whether reading these rows alone is worth it: not in a small table."""
        return rows <= LISTED and (self.database.sizes.estimated_rows(self.spec.table) or 0) >= LISTED_FROM

    def _all_ranges(self, *, along_pages: bool) -> Ranges | None:
        """Return ranges with all rows of the table; None if it has none."""
        database, spec, executor = self.database, self.spec, self.executor
        of_pages = partial(ranges_of_pages, database, spec, self.limits, executor)
        by_pages = self._retried(of_pages) if along_pages else None
        return by_pages or self._retried(partial(ranges_of_keys, database, spec, executor))

    def _add_ranges(self, sweep: int, ranges: Ranges | None) -> int:
        """Add ranges, and return the number of the first."""
        number = len(self._ranges()) + 1
        if ranges is not None:
            self._retried(partial(self.state.begin_sweep, self.spec.name, self.token, sweep, ranges, number))
        return number

    # Ranges -----------------------------------------------------------------------------------------------------

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
        cuts = self._retried(partial(cut_rest, self.database, self.spec, self.executor, part, part.upto))
        self._retried(partial(self.state.split, part, self.token, cuts, len(self._ranges()) + 1))

    def _tick(self) -> None:
        totals = self.totals()
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
