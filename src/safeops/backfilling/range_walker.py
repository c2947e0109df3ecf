"""The walk over ranges of keys: claim a range, wait for the throttles, write batch after batch.

What a batch does, in which order, is in ``safeops.backfilling.batch``.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from safeops.backfilling.batch import SHORTEST_LOCK_TIMEOUT, Batch, Limits
from safeops.backfilling.interruption import Stop
from safeops.backfilling.progress import Meter
from safeops.backfilling.spec import BackfillSpec
from safeops.backfilling.state import WHOLE, ClaimLost, Part, State
from safeops.databases.server import OF_ROWS
from safeops.databases.server_errors import explained, message_of
from safeops.errors import BackfillConflict, BackfillStopped, LockNotAcquired, ViolatingRows
from safeops.execution.lock_retry import with_lock_retry
from safeops.execution.migration import Terms
from safeops.naming import call

log = logging.getLogger("safeops")

T = TypeVar("T")

CLAIM_EVERY = 0.25
"""Seconds between two attempts to claim what another runner has claimed."""
ASK_FIRST, ASK_LAST = 0.1, 1.0
"""Seconds between two questions to the throttles, at first and at most."""
FIRST_PAUSE, LONGEST_PAUSE = SHORTEST_LOCK_TIMEOUT, 2.0
"""Seconds after a batch that other sessions blocked, at first and at most."""


class RangeWalker:
    """Walks over ranges on one connection.

    Args:
        terms: The connection, and its settings.
        spec: What the backfill does.
        limits: How fast it may run.
        token: Under which it claims ranges.
        stop: Asks it to stop.
        meter: Counts what it does; that of a worker also makes it stop when its runner asks by the state.
    """

    def __init__(self, terms: Terms, spec: BackfillSpec, limits: Limits, token: str, stop: Stop, meter: Meter) -> None:
        self.terms, self.spec, self.limits = terms, spec, limits
        self.database, self.state = terms.database, State.of(terms)
        self.token, self.stop, self.meter = token, stop, meter
        self.batch = Batch(terms, spec, limits, self.state, token, meter)
        self._blocked_since: float | None = None
        self._looked_for_stop = 0.0
        self._pause = FIRST_PAUSE

    def walk(self, number: int) -> None:
        """Walk to the end of a range, whichever runner began it; wait while another runner works on it."""
        part = self.claim(number)
        while part is not None and not self._walk_to_end(part):
            part = self.claim(number)

    def walk_free_ranges(self) -> None:
        """Walk over ranges that no other runner works on, one after the other, until there is none."""
        while (part := self._claim_free_range()) is not None:
            self._walk_to_end(part)

    def _claim_free_range(self) -> Part | None:
        for part in self.with_lock_retry(lambda: self.state.parts(self.spec.name)):
            free = part.part != WHOLE and not part.is_finished
            if free and self.try_to_claim(part):
                return self.part(part.part)
        return None

    def _walk_to_end(self, part: Part) -> bool:
        """Walk to the end of a claimed range; return False if another runner took it over."""
        while not part.is_finished:
            self._wait_for_throttles()
            try:
                part = self._write_batch(part)
            except ClaimLost:
                note_lost_claim(part.name, self.stop, self.meter)
                return False
        return True

    def claim(self, number: int) -> Part | None:
        """Claim a part, or wait until another runner has finished it and return None."""
        name, reported = self.spec.name, False
        while True:
            part = self.part(number)
            if part is None:
                raise forgotten(name)
            if part.is_finished:
                return None
            if self.try_to_claim(part):
                return self.part(number)
            if not reported and part.runner:
                log.info("backfill %s: another runner is at work on it (%s); waiting for it", name, part.session)
                reported = True
            self.check_stop()
            self.stop.sleep(CLAIM_EVERY)

    def try_to_claim(self, part: Part) -> bool:
        return self.with_lock_retry(partial(self.state.claim, part, self.token))

    def part(self, number: int) -> Part | None:
        return self.with_lock_retry(partial(self.state.part, self.spec.name, number))

    def check_stop(self) -> None:
        """Raise BackfillStopped if the run is asked to stop; a worker asks the state now and then."""
        now = time.monotonic()
        if self.meter.is_worker and not self.stop and now - self._looked_for_stop >= ASK_LAST:
            self._looked_for_stop = now
            whole = self.part(WHOLE)
            if whole is None or whole.status in ("stopping", "stopped"):
                self.stop.ask("the runner that it helps")
        if self.stop:
            raise stopped(self.spec.name, f"was stopped by {self.stop.reason}", self.meter)

    def with_lock_retry(self, action: Callable[[], T]) -> T:
        """Read or write the progress, and wait if it is locked."""
        return with_lock_retry(self.terms, f"kept the progress of backfill {self.spec.name}", action)

    # Between batches --------------------------------------------------------------------------------------------

    def _wait_for_throttles(self) -> None:
        """Wait while a throttle gives a reason; each new kind of reason is logged once."""
        if self.meter.progress.batches:
            self._rest()
        reported, pause = None, ASK_FIRST
        while True:
            self.check_stop()
            reason = self._reason_to_wait()
            if reason is None:
                break
            kind = re.sub(r"\d+(\.\d+)?", "#", reason)
            if kind != reported:
                log.info("backfill %s waits: %s", self.spec.name, reason)
            reported = kind
            self.meter.wait(reason)
            self.stop.sleep(pause)
            pause = min(pause * 1.5, ASK_LAST)
        if reported:
            log.info("backfill %s goes on", self.spec.name)
            self.meter.wait(None)

    def _rest(self) -> None:
        """Pause between two batches, and look now and then whether to stop."""
        end = time.monotonic() + self.limits.pause
        while (left := end - time.monotonic()) > 0:
            self.check_stop()
            self.stop.sleep(min(left, ASK_LAST))

    def _reason_to_wait(self) -> str | None:
        progress = self.meter.now()
        return next((reason for throttle in self.limits.throttles if (reason := throttle(progress))), None)

    # A batch, and what may go wrong -----------------------------------------------------------------------------

    def _write_batch(self, part: Part) -> Part:
        """Write the next batch of a range; return the range after it, or as it was if the batch was rolled back."""
        try:
            began = time.monotonic()
            written = self.batch.write(part)
        except DBAPIError as error:
            transient = self.batch.port.is_transient(error)
            if transient:
                self._back_off(error, began)
            elif not self._narrow(error):
                raise self._explained(error, part) from error
            return part
        self._blocked_since, self._pause = None, FIRST_PAUSE
        # Outside: a callback may use a database too, and its errors are not those of the batch.
        self.meter.add(written.rows, written.walked, written.part.after or (), self.batch.size.rows)
        return written.part

    def _narrow(self, error: DBAPIError) -> bool:
        """Make the next batch smaller if a row of this one is refused, until it is that row alone."""
        if self.batch.size.rows == 1 or self.database.errors.kind_of(error) not in OF_ROWS:
            return False
        self.batch.size.halve()
        log.info("backfill %s: a row is refused; the next batch has %d rows", self.spec.name, self.batch.size.rows)
        return True

    def _back_off(self, error: DBAPIError, began: float) -> None:
        """Make the batches smaller and pause after other sessions blocked one, or give up."""
        self._blocked_since = self._blocked_since or began
        spent = time.monotonic() - self._blocked_since
        if spent >= self.terms.settings.retry_budget:
            raise self._gave_up(spent) from error
        self.batch.size.halve()
        held_up = time.monotonic() - began
        pause = max(self._pause, held_up / 4) * random.uniform(0.75, 1.5)
        log.info("backfill %s ran into others; the next batch has %d rows", self.spec.name, self.batch.size.rows)
        self.stop.sleep(pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _gave_up(self, spent: float) -> LockNotAcquired:
        listed = "".join(f"\n  - {blocker}" for blocker in self.database.blockers((self.spec.table,))) or " others."
        return LockNotAcquired(
            f"Backfill {self.spec.name} has made no progress for {spent:.1f} s. Rows or the table are held by:{listed}",
            why="A batch waits for a row that another transaction has changed only briefly, because it holds the rows that"
            " it has changed itself meanwhile.",
            remedy="End those transactions and run again, or give it more time:",
            code="with settings(retry_budget=600):\n    ...",
            state=self.meter.kept,
        )

    def _explained(self, error: DBAPIError, part: Part) -> Exception:
        safeops_error = self.database.hidden_rows(error)
        if safeops_error is None and self.database.errors.kind_of(error) in OF_ROWS:
            return self._refused_row(error, part)
        if safeops_error is None and not error.connection_invalidated:
            safeops_error = explained(self.database, error, "backfill")
        if safeops_error is None:
            return error
        safeops_error.state = self.meter.kept
        return safeops_error

    def _refused_row(self, error: DBAPIError, part: Part) -> ViolatingRows:
        spec, key = self.spec, self.batch.last_key(part, 1)
        named = ", ".join(f"{column.name} = {value}" for column, value in zip(spec.key, key, strict=False))
        return ViolatingRows(
            f"Backfill {spec.name} cannot write the row of {spec.table} with {named}: {message_of(error)}.",
            why="The new value breaks a constraint, does not fit the column or cannot be computed, or a trigger refuses it.",
            remedy="Fix that row, or the expression, and run again. If the expression changes, discard the progress first:",
            code=call("forget_backfill", spec.name),
            state=self.meter.kept,
        )


def forgotten(name: str) -> BackfillConflict:
    """Return the error of a backfill that was forgotten while it ran; its cause marks it as nobody's mistake."""
    error = BackfillConflict(f"Backfill {name} was forgotten while it ran.", remedy="Run again: it starts anew.")
    error.__cause__ = LookupError(name)
    return error


def note_lost_claim(name: str, stop: Stop, meter: Meter) -> None:
    """Log that another runner has the claim now, or raise BackfillStopped if this run could never keep one."""
    if stop.unrenewed:
        how = f"lost its claim to another runner, because its lease could not be renewed ({stop.unrenewed})"
        raise stopped(name, how, meter)
    log.warning("backfill %s: another runner took this one for dead and goes on from there", name)


def stopped(name: str, how: str, meter: Meter) -> BackfillStopped:
    key = f" after the key {', '.join(meter.progress.key)}" if meter.progress.key else ""
    return BackfillStopped(f"Backfill {name} {how}{key}.", remedy="Run the same command again.", state=meter.kept)
