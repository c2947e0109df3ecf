"""The walk over a range of keys: batch by batch, each with its checkpoint in one transaction."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from safeops.backfilling.expressions import RANGE
from safeops.backfilling.interruption import Stop
from safeops.backfilling.load import LARGEST, LARGEST_IN_PYTHON, Servo
from safeops.backfilling.port import Batches
from safeops.backfilling.progress import BackfillProgress, Meter
from safeops.backfilling.state import WHOLE, ClaimLost, Part, State
from safeops.backfilling.status import cancelled
from safeops.backfilling.transforming import transform
from safeops.backfilling.work import Work
from safeops.databases.base import Database
from safeops.databases.server import OF_ROWS
from safeops.databases.server_errors import explained, message_of
from safeops.errors import BackfillConflict, BackfillStopped, LockNotAcquired, ViolatingRows
from safeops.execution.lock_retry import with_lock_retry
from safeops.execution.migration import Terms
from safeops.naming import call

log = logging.getLogger("safeops")

T = TypeVar("T")
Throttle = Callable[[BackfillProgress], "str | None"]

CLAIM_EVERY = 0.25
"""Seconds between two looks at what another runner has claimed."""
ASK_FIRST, ASK_LAST = 0.1, 1.0
"""Seconds between two questions to the throttles, at first and at most."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0


@dataclass(frozen=True)
class Pace:
    """How fast a backfill may go.

    Args:
        target_seconds: Seconds that a batch should take.
        batch_size: Rows of a batch; None adapts it.
        pause: Seconds between two batches.
        throttles: Asked before each batch.
    """

    target_seconds: float
    batch_size: int | None = None
    pause: float = 0.0
    throttles: tuple[Throttle, ...] = ()


class Walk:
    """Walks over ranges on one connection.

    Args:
        terms: The connection, and what is allowed on it.
        work: What is done.
        pace: How fast.
        schema: The schema of the state.
        token: Under which it claims what it works on.
        stop: Asks it to stop.
        meter: Counts what it does.
        helps: It is a worker of another runner, which asks it to stop by the state.
    """

    def __init__(
        self,
        terms: Terms,
        work: Work,
        pace: Pace,
        schema: str | None,
        token: str,
        stop: Stop,
        meter: Meter,
        helps: bool,
    ) -> None:
        self.terms, self.work, self.pace = terms, work, pace
        self.database: Database = terms.database
        self.state = State(terms.database, schema)
        self.token, self.stop, self.meter, self.helps = token, stop, meter, helps
        largest = LARGEST_IN_PYTHON if work.function else LARGEST
        self.servo = Servo(pace.target_seconds, pace.batch_size, largest)
        self._clashed: float | None = None
        self._asked = 0.0
        self._cancels: bool | None = None
        self._pause = FIRST_PAUSE

    def over(self, number: int) -> None:
        """Go through a range to its end, whoever has begun it; where another runner is at work on it, wait."""
        part = self.claimed(number)
        while part is not None and not self._along(part):
            part = self.claimed(number)

    def over_free_ones(self) -> None:
        """Go through ranges that nobody else is at work on, one after the other, until there is none."""
        while (part := self._claimed_free_one()) is not None:
            self._along(part)

    def _claimed_free_one(self) -> Part | None:
        for one in self.safely(lambda: self.state.parts(self.work.name)):
            free = one.part != WHOLE and not one.is_finished
            if free and self.safely(partial(self.state.claim, one, self.token)):
                return self.part(one.part)
        return None

    def _along(self, part: Part) -> bool:
        """Go through a claimed range to its end; False where another runner took it over."""
        while not part.is_finished:
            self._throttled()
            try:
                part = self._batch(part)
            except ClaimLost:
                note_lost_claim(part.name, self.stop, self.meter)
                return False
        return True

    def claimed(self, number: int) -> Part | None:
        """Return a part once it is claimed; None where another runner has finished it."""
        name, said = self.work.name, False
        while True:
            stands = self.part(number)
            if stands is None:
                raise forgotten(name)
            if stands.is_finished:
                return None
            if self.safely(partial(self.state.claim, stands, self.token)):
                return self.part(number)
            if not said and stands.runner:
                log.info("backfill %s: another runner is at work on it (%s); waiting for it", name, stands.session)
                said = True
            self.check_stop()
            self.stop.sleep(CLAIM_EVERY)

    def part(self, number: int) -> Part | None:
        return self.safely(lambda: self.state.part(self.work.name, number))

    def check_stop(self) -> None:
        """Raise BackfillStopped where the run is to stop; a worker asks the state now and then."""
        now = time.monotonic()
        if self.helps and not self.stop and now - self._asked >= ASK_LAST:
            self._asked = now
            whole = self.part(WHOLE)
            if whole is None or whole.status in ("stopping", "stopped"):
                self.stop.ask("the runner that it helps")
        if self.stop:
            raise stopped(self.work.name, f"was stopped by {self.stop.reason}", self.meter)

    def safely(self, action: Callable[[], T]) -> T:
        return with_lock_retry(self.terms, f"kept the progress of backfill {self.work.name}", action)

    # Between batches --------------------------------------------------------------------------------------------

    def _throttled(self) -> None:
        """Wait for as long as a throttle gives a reason; each new kind of reason is logged once."""
        if self.meter.progress.batches:
            self._rest()
        said, pause = None, ASK_FIRST
        while True:
            self.check_stop()
            reason = self._reason()
            if reason is None:
                break
            kind = re.sub(r"\d+(\.\d+)?", "#", reason)
            if kind != said:
                log.info("backfill %s waits: %s", self.work.name, reason)
            said = kind
            self.meter.wait(reason)
            self.stop.sleep(pause)
            pause = min(pause * 1.5, ASK_LAST)
        if said:
            log.info("backfill %s goes on", self.work.name)
            self.meter.wait(None)

    def _rest(self) -> None:
        """Pause between two batches, and look now and then whether to stop."""
        end = time.monotonic() + self.pace.pause
        while (left := end - time.monotonic()) > 0:
            self.check_stop()
            self.stop.sleep(min(left, ASK_LAST))

    def _reason(self) -> str | None:
        progress = self.meter.now()
        return next((reason for throttle in self.pace.throttles if (reason := throttle(progress))), None)

    # A batch ----------------------------------------------------------------------------------------------------

    def _batch(self, part: Part) -> Part:
        """Do the next batch of a range and return the range as it stands then; on a clash, as it stood."""
        try:
            began = time.monotonic()
            done, rows, walked = self._committed(part)
        except DBAPIError as error:
            if self._narrows(error):
                return part
            if not Batches.of(self.database).is_transient(error):
                raise self._explained(error, part) from error
            self._ran_into(error, began)
            return part
        self._clashed, self._pause = None, FIRST_PAUSE
        # Out here: whoever is told may use a database too, and an error of that is none of the batch's.
        self.meter.add(rows, walked, done.after or (), self.servo.size)
        return done

    def _committed(self, part: Part) -> tuple[Part, int, int]:
        """Do the next batch; return the range as it stands then, and the rows that were processed and gone through."""
        database, work = self.database, self.work
        size = self.servo.size
        ahead = Batches.of(database).within(work.key, part.after, None, from_=part.first)
        reached = Batches.of(database).nth(work.table, work.key, work.index, ahead, size, part.upto) or part.upto or ()
        finished = reached == part.upto
        in_range = Batches.of(database).within(work.key, part.after, reached, from_=part.first)
        began = time.monotonic()
        with Batches.of(database).batch(self._patience(size), flush=finished or self.terms.settings.flush_each_batch):
            rows, unfilled = self._applied(in_range)
            walked = max(rows, 0 if finished else size)
            added = {"processed": rows, "unfilled": unfilled, "walked": walked, "seconds": time.monotonic() - began}
            if not self.state.checkpoint(part, self.token, reached, finished=finished, **added):
                raise ClaimLost
        self.servo.after(walked or size, time.monotonic() - began)
        return part.after_batch(reached, finished), rows, walked

    def _patience(self, size: int) -> float:
        """Return how long a batch waits for a row that others hold: the rows that it has changed are held meanwhile."""
        most = self.terms.settings.lock_timeout
        return most if size == 1 else min(most, max(2 * self.pace.target_seconds, FIRST_PAUSE))

    def _applied(self, in_range: str) -> tuple[int, int]:
        """Write the new values; return how many rows were processed, and how many of them are left without a value."""
        work = self.work
        if work.function is not None:
            return transform(self.database, work, work.function, in_range, kept_state(self.meter))
        met = self._met(in_range)
        written = self.database.run((work.update or "").replace(RANGE, in_range))
        if written < met:
            raise cancelled(self.database, work, met - written, kept_state(self.meter))
        return written, 0

    def _met(self, in_range: str) -> int:
        """Return how many rows the UPDATE must write, if a trigger may cancel some and no look at the end finds them."""
        work = self.work
        if not work.writes_each or not self._may_cancel():
            return 0
        return Batches.of(self.database).locked_rows(work.table, f"({in_range}) AND ({work.needs or '1 = 1'})")

    def _may_cancel(self) -> bool:
        if self._cancels is None:
            self._cancels = bool(self.database.triggers.update_triggers(self.work.table))
        return self._cancels

    # What may go wrong ------------------------------------------------------------------------------------------

    def _narrows(self, error: DBAPIError) -> bool:
        """Make the next batch smaller if a row of this one is refused, until it is that row alone."""
        if self.servo.size == 1 or self.database.errors.kind_of(error) not in OF_ROWS:
            return False
        if Batches.of(self.database).is_transient(error):
            return False
        self.servo.after_failure()
        log.info("backfill %s: a row is refused; the next batch has %d rows", self.work.name, self.servo.size)
        return True

    def _ran_into(self, error: DBAPIError, began: float) -> None:
        """Make the batches smaller and pause, or give up."""
        self._clashed = self._clashed or began
        spent = time.monotonic() - self._clashed
        if spent >= self.terms.settings.retry_budget:
            raise self._gave_up(spent) from error
        self.servo.after_failure()
        held_up = time.monotonic() - began
        wait = max(self._pause, held_up / 4) * random.uniform(0.75, 1.5)
        log.info("backfill %s ran into others; the next batch has %d rows", self.work.name, self.servo.size)
        self.stop.sleep(wait)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _gave_up(self, spent: float) -> LockNotAcquired:
        listed = "".join(f"\n  - {one}" for one in self.database.blockers((self.work.table,))) or " others."
        return LockNotAcquired(
            f"Backfill {self.work.name} has made no progress for {spent:.1f} s. Rows or the table are held by:{listed}",
            why="A batch waits for a row that another transaction has changed only briefly, because it holds the rows that"
            " it has changed itself meanwhile.",
            remedy="End those transactions and run again, or give it more time:",
            code="with settings(retry_budget=600):\n    ...",
            state=kept_state(self.meter),
        )

    def _explained(self, error: DBAPIError, part: Part) -> Exception:
        if (hidden := self.database.hidden_rows(error)) is not None:
            hidden.state = kept_state(self.meter)
            return hidden
        if self.database.errors.kind_of(error) in OF_ROWS:
            return self._refused_row(error, part)
        told = None if error.connection_invalidated else explained(self.database, error, "backfill")
        if told is None:
            return error
        told.state = kept_state(self.meter)
        return told

    def _refused_row(self, error: DBAPIError, part: Part) -> ViolatingRows:
        work = self.work
        ahead = Batches.of(self.database).within(work.key, part.after, None, from_=part.first)
        key = Batches.of(self.database).nth(work.table, work.key, work.index, ahead, 1, part.upto) or part.upto or ()
        named = ", ".join(f"{column.name} = {value}" for column, value in zip(work.key, key, strict=False))
        return ViolatingRows(
            f"Backfill {work.name} cannot write the row of {work.table} with {named}: {message_of(error)}.",
            why="The new value breaks a constraint, does not fit the column or cannot be computed, or a trigger refuses it.",
            remedy="Fix that row, or the expression, and run again. If the expression changes, discard the progress first:",
            code=call("forget_backfill", work.name),
            state=kept_state(self.meter),
        )


def kept_state(meter: Meter) -> str:
    """Say what stands, for a message."""
    if meter.of_a_worker:
        return "All batches before are kept; running again goes on from there."
    return f"{meter.progress.rows:,} rows are done and kept; running again goes on from there."


def forgotten(name: str) -> BackfillConflict:
    """Return the error of a backfill that somebody has forgotten meanwhile; its cause says that it is nobody's mistake."""
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
    return BackfillStopped(
        f"Backfill {name} {how}{key}.",
        remedy="Run the same command again.",
        state=kept_state(meter),
    )
