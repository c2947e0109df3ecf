"""Processes ranges: claim a range, wait for the throttles, write batch after batch.

``safeops.backfilling.batch`` lists the steps of a batch.
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
"""Seconds between two attempts to claim a range of another runner."""
ASK_FIRST, ASK_LAST = 0.1, 1.0
"""Seconds between two calls of the throttles, at first and at most."""
FIRST_PAUSE, LONGEST_PAUSE = SHORTEST_LOCK_TIMEOUT, 2.0
"""Seconds to pause after a blocked batch, at first and at most."""


class RangeWalker:
    """Processes ranges on one connection.

    Args:
        terms: The connection, and its settings.
        spec: What the backfill does.
        limits: How fast it may run.
        token: It claims ranges under this token.
        stop: Becomes true when it should stop.
        meter: Counts what it does. A worker with one also stops when the state of the backfill is "stopping".
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
        """Process a range to its end, from its checkpoint; wait while another runner works on it."""
        part = self.claim(number)
        while part is not None and not self._walk_to_end(part):
            part = self.claim(number)

    def walk_free_ranges(self) -> None:
        """Process unclaimed ranges, one after the other, until there is none."""
        while (part := self._claim_free_range()) is not None:
            self._walk_to_end(part)

    def _claim_free_range(self) -> Part | None:
        for part in self.with_lock_retry(lambda: self.state.parts(self.spec.name)):
            free = part.part != WHOLE and not part.is_finished
            if free and self.try_to_claim(part):
                return self.part(part.part)
        return None

    def _walk_to_end(self, part: Part) -> bool:
        """Process a claimed range to its end; return False if another runner took it over."""
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
                log.info("backfill %s: waiting for another runner that works on it (%s)", name, part.session)
                reported = True
            self.check_stop()
            self.stop.sleep(CLAIM_EVERY)

    def try_to_claim(self, part: Part) -> bool:
        return self.with_lock_retry(partial(self.state.claim, part, self.token))

    def part(self, number: int) -> Part | None:
        return self.with_lock_retry(partial(self.state.part, self.spec.name, number))

    def check_stop(self) -> None:
        """Raise BackfillStopped if the run should stop; a worker also reads the state, at most once a second."""
        now = time.monotonic()
        if self.meter.is_worker and not self.stop and now - self._looked_for_stop >= ASK_LAST:
            self._looked_for_stop = now
            whole = self.part(WHOLE)
            if whole is None or whole.status in ("stopping", "stopped"):
                self.stop.ask("its runner")
        if self.stop:
            raise stopped(self.spec.name, f"was stopped by {self.stop.reason}", self.meter)

    def with_lock_retry(self, action: Callable[[], T]) -> T:
        """Read or write the progress, and wait if it is locked."""
        return with_lock_retry(self.terms, f"saved the progress of backfill {self.spec.name}", action)

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
                log.info("backfill %s: waiting: %s", self.spec.name, reason)
            reported = kind
            self.meter.wait(reason)
            self.stop.sleep(pause)
            pause = min(pause * 1.5, ASK_LAST)
        if reported:
            log.info("backfill %s: continuing", self.spec.name)
            self.meter.wait(None)

    def _rest(self) -> None:
        """Pause between two batches, unless the run should stop."""
        end = time.monotonic() + self.limits.pause
        while (left := end - time.monotonic()) > 0:
            self.check_stop()
            self.stop.sleep(min(left, ASK_LAST))

    def _reason_to_wait(self) -> str | None:
        progress = self.meter.now()
        return next((reason for throttle in self.limits.throttles if (reason := throttle(progress))), None)

    # A batch and its errors -------------------------------------------------------------------------------------

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
        # Outside: the errors of a callback that uses a database are not those of the batch.
        self.meter.add(written.rows, written.walked, written.key, self.batch.size.rows)
        return written.part

    def _narrow(self, error: DBAPIError) -> bool:
        """Halve the next batch if the server refused a row of this one, until the refused row is alone."""
        if self.batch.size.rows == 1 or self.database.errors.kind_of(error) not in OF_ROWS:
            return False
        self.batch.size.halve()
        log.info("backfill %s: the server refused a row, retrying with %d rows", self.spec.name, self.batch.size.rows)
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
        log.info("backfill %s: blocked by other sessions, retrying with %d rows", self.spec.name, self.batch.size.rows)
        self.stop.sleep(pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _gave_up(self, spent: float) -> LockNotAcquired:
        listed = (
            "".join(f"\n  - {blocker}" for blocker in self.database.blockers((self.spec.table,))) or " other sessions."
        )
        return LockNotAcquired(
            f"Backfill {self.spec.name} made no progress for {spent:.1f} s. Rows or the table are locked by:{listed}",
            why="A batch waits only briefly for a locked row, because it keeps its own rows locked while it waits.",
            remedy="End those transactions and run again, or allow more time:",
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
        spec, key = self.spec, self.batch.key_of_next(part)
        named = ", ".join(f"{column.name} = {value}" for column, value in zip(spec.key, key, strict=False))
        return ViolatingRows(
            f"Backfill {spec.name} cannot write the row of {spec.table} with {named}: {message_of(error)}.",
            why="The value violates a constraint, does not fit the column or cannot be computed; or a trigger rejects it.",
            remedy="Fix that row or the expression, and run again. For a new expression, discard the progress first:",
            code=call("forget_backfill", spec.name),
            state=self.meter.kept,
        )


def forgotten(name: str) -> BackfillConflict:
    """Return the error of a backfill whose progress was deleted while it ran; the cause marks it as no argument error."""
    error = BackfillConflict(
        f"The progress of backfill {name} was deleted while it ran.", remedy="Run again: it starts from the beginning."
    )
    error.__cause__ = LookupError(name)
    return error


def note_lost_claim(name: str, stop: Stop, meter: Meter) -> None:
    """Log that another runner has the claim now, or raise BackfillStopped if this run could never keep one."""
    if stop.unrenewed:
        how = f"lost its claim to another runner: its lease could not be renewed ({stop.unrenewed})"
        raise stopped(name, how, meter)
    log.warning("backfill %s: another runner took over, because the lease of this one had expired", name)


def stopped(name: str, how: str, meter: Meter) -> BackfillStopped:
    key = f" after the key {', '.join(meter.progress.key)}" if meter.progress.key else ""
    return BackfillStopped(f"Backfill {name} {how}{key}.", remedy="Run the same command again.", state=meter.kept)
