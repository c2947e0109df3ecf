"""Executes plans, one statement at a time: each attempt waits briefly for its lock, within a retry budget."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safeops.databases.base import Database
from safeops.databases.server import Holder, Watch, in_brief
from safeops.databases.server_errors import message_of
from safeops.databases.steps import Step
from safeops.errors import DefinitionMismatch, LockNotAcquired, SafeOpsError, UnsafeOperation
from safeops.execution.holders import listed, who_holds
from safeops.execution.migration import Migration, Terms
from safeops.naming import Name
from safeops.plan_mode import DryRun, current_dry_run, recorded
from safeops.planned import PlannedStatement, could_not, infinitive
from safeops.policy import assurance

MOST = 20
"""The number of steps of a plan that a dry run records."""


def record_plan(dry_run: DryRun, database: Database, plan: Iterable[Step]) -> bool:
    """Record the steps of a plan in a dry run; return whether it had any.

    A plan may inspect again between two steps, and does not find what the earlier step would have done: the steps up to
    there are recorded.
    """
    seen: set[tuple[object, ...]] = set()
    try:
        for step in plan:
            what = (step.sql, step.locks, step.then)
            if what in seen or len(seen) == MOST:
                break
            seen.add(what)
            if step.needed_if is None or database.scalar(f"SELECT {step.needed_if}"):
                dry_run.add(_planned_statement(database, step))
    except Exception:
        if not seen:
            raise
    return bool(seen)


def outline(migration: Terms, table: Name, does: str, *, loses: bool = False) -> None:
    """Record the outcome of a phase in a dry run, also if the previous phase is still pending."""
    dry_run = current_dry_run()
    if dry_run is None:
        return
    rows, size = measured(migration.database, table) if loses else (None, None)
    dry_run.outline(PlannedStatement(does, migration.database.sizes.strongest_lock, (table,), rows, size, loses=loses))


def _planned_statement(database: Database, step: Step) -> PlannedStatement:
    assured = assurance() is not None
    lock, does = database.sizes.lock_of(step), step.does if assured else f"{step.does}{step.caveat}"
    rewrites = assured and step.may_rewrite
    rows, size = measured(database, step.locks[0]) if step.locks and (step.loses or step.reads_rows) else (None, None)
    return PlannedStatement(
        does,
        lock.for_long() if rewrites else lock,
        (*step.locks, *database.sizes.partitions_locked(step)),
        rows,
        size,
        loses=step.loses,
        rewrites=rewrites,
        effect=step.effect,
    )


def measured(database: Database, table: Name) -> tuple[int | None, int | None]:
    """Return about how many rows and bytes a table has; nothing of one that is not there yet."""
    try:
        return database.sizes.rows_of(table), database.sizes.bytes_of(table)
    except SQLAlchemyError:
        return None, None


log = logging.getLogger("safeops")

T = TypeVar("T")
E = TypeVar("E", bound=SafeOpsError)
Explain = Callable[[DBAPIError], "SafeOpsError | None"]

FIRST_PAUSE = 0.03
LONGEST_PAUSE = 5.0
REPORT_EVERY = 1.0
"""Seconds between two lines of the log about attempts at one lock."""
REMIND = 10.0
"""Seconds between two lines of the log about transactions that must end first."""
SHARE = 0.25
"""Of the time that an attempt held up the application, how much it gets at least to catch up."""


@dataclass
class Work:
    """What a helper has come to: the steps that it finished, and what a failed one left behind."""

    steps: list[Step] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def reported(self, error: E) -> E:
        """Return the error with what was completed before it."""
        error.set_work([step.does for step in self.steps], self.left)
        return error


def execute(migration: Migration, plan: Iterable[Step], explain: Explain | None = None) -> bool:
    """Execute a plan, or render it for ``--sql``; return whether it had any step.

    Args:
        migration: The running migration.
        plan: The steps; each is planned after the previous one was executed.
        explain: Turns an error of the server into one that teaches, or returns None.

    Raises:
        LockNotAcquired: The retry budget ran out; the message names the sessions that hold the lock.
        UnsafeOperation: The server refuses to do it online.
    """
    if (dry_run := current_dry_run()) is not None and not migration.offline:
        return record_plan(dry_run, migration.database, plan)
    work, planned = Work(), False
    for step in plan:
        planned = True
        if migration.offline:
            _render(migration, step)
            continue
        started = time.monotonic()
        if _persist(migration, step, work, explain) and not step.tidies:
            log.info("%s (%.2f s)", step.does, time.monotonic() - started)
            migration.done.append(step.does)
            work.steps.append(step)
    return planned


def tidying(plan: Iterable[Step]) -> Iterator[Step]:
    """Return the steps of a plan that removes the leftovers of an interrupted run, if there are any."""
    return (replace(step, tidies=True) for step in plan)


def _render(migration: Migration, step: Step) -> None:
    settings = migration.settings
    before, after = migration.database.rendered_timeouts(settings.lock_timeout, settings.statement_timeout, step)
    for sql in (*before, step.offline or step.sql, *step.then, *after):
        migration.render(sql)


def _persist(migration: Migration, step: Step, work: Work, explain: Explain | None) -> bool:
    await_obstacles(migration, step, work)
    try:
        return with_lock_retry(migration, step.does, lambda: _attempt(migration, step, work), step, work)
    except DBAPIError as error:
        taught = explain(error) if explain else None
        if taught is None and migration.database.errors.is_race(error, step):
            taught = _overtaken(step, error)
        if taught is None:
            error.add_detail(step.does)
            raise
        if step.undoes is not None and step.undoes in work.steps:
            work.steps.remove(step.undoes)
            migration.done.remove(step.undoes.does)
        raise work.reported(taught) from error


def _overtaken(step: Step, error: DBAPIError) -> DefinitionMismatch:
    said = str(error.orig).splitlines()[0]
    return DefinitionMismatch(
        f"{could_not(step.does)}: an object was created or dropped after the inspection: {said}.",
        why="Another runner changed it at the same time, or an object of another kind has the name.",
        remedy="Run again, which inspects again. Allow one migration at a time in env.py:",
        code="with engine.connect() as connection, migration_lock(connection):\n    ...",
    )


def await_obstacles(migration: Terms, step: Step, work: Work) -> None:
    """Wait until the transactions have ended that the step would wait for in the middle of its work."""
    budget, database = migration.settings.retry_budget, migration.database
    started, pause, reported = time.monotonic(), FIRST_PAUSE, -REMIND
    obstacles = database.obstacles(step)
    while obstacles:
        spent = time.monotonic() - started
        if spent >= budget:
            raise _gave_up(migration, step.does, step, work, list(obstacles.values()), 1, spent)
        if spent - reported >= REMIND:
            reported = spent
            log.info(
                "waiting for older transactions to %s (%s): %.0f s of %g s left",
                infinitive(step.does),
                in_brief(list(obstacles.values())),
                budget - spent,
                budget,
            )
        time.sleep(min(pause, budget - spent))
        pause = min(pause * 2, 1.0)
        now = database.obstacles(step)
        obstacles = {key: now[key] for key in obstacles if key in now}


def _attempt(migration: Migration, step: Step, work: Work) -> bool:
    try:
        return _execute_online(migration, step)
    except BaseException:
        work.left[:] = [cleaning.leaves for cleaning in step.cleanup if not _cleaned_up(migration, cleaning)]
        raise


def _execute_online(migration: Migration, step: Step) -> bool:
    """Try the step and its other online spellings; if the server refuses them all, the author must assure it."""
    for spelling in (step, *(replace(step, sql=sql) for sql in step.alternatives)):
        try:
            return migration.database.execute(spelling)
        except DBAPIError as error:
            if not migration.database.errors.is_refusal(error):
                raise
            refusal = error
    _execute_anyway(migration, step, refusal)
    return True


def _execute_anyway(migration: Migration, step: Step, error: DBAPIError) -> None:
    reason = assurance()
    if step.when_assured is None or reason is None:
        helps = step.when_assured is not None
        raise UnsafeOperation(
            f"{could_not(step.does)}: {migration.database.describe()} cannot do this online: {message_of(error)}.",
            why=f"Any other way blocks reads or writes for as long as it takes. The statement was: {step.sql}",
            remedy="If that is fine here, give the reason:" if helps else "",
            code='with assured("the table is small and has no writers"):\n    ...' if helps else "",
        ) from error
    log.warning("not online, because %s: %s", reason, step.when_assured)
    migration.database.run(step.when_assured)


def _cleaned_up(migration: Migration, cleaning: Step) -> bool:
    """Clean up after a failed step, no longer than an attempt at a lock takes; the next run finds what is left."""
    bound = migration.settings.lock_timeout
    try:
        with bounded(migration, cleaning, bound):
            migration.database.execute(cleaning)
    except Exception as error:
        log.warning("could not clean up (%s): %s", cleaning.leaves, error)
        return False
    return True


@contextmanager
def bounded(migration: Terms, step: Step, budget: float, watched: bool = True) -> Iterator[Watch]:
    """Bound the waiting of a step: by its lock timeout, or by a second connection if it waits in the middle of its work."""
    settings, database = migration.settings, migration.database
    lock = settings.lock_timeout
    with database.watched(step, budget) if watched else nullcontext(Watch()) as watch:
        if step.waits_inside and not watch.attached:
            if not watch.needless:
                log.info(
                    "no second connection to watch from, so each wait for a lock ends after %g s: %s", budget, step.does
                )
            step, lock = replace(step, waits_inside=False, scans=True), budget
        with database.timeouts(lock, settings.statement_timeout, step):
            yield watch


def with_lock_retry(
    migration: Terms,
    does: str,
    action: Callable[[], T],
    step: Step | None = None,
    work: Work | None = None,
    tables: Callable[[], Sequence[Name]] = tuple,
) -> T:
    """Run an action that waits for locks until it succeeds or the retry budget is spent.

    Args:
        migration: The running migration, or a worker of it; its settings bound each attempt and the whole.
        does: The text of the step, for messages.
        action: What to do; after a lock failure it has changed nothing.
        step: The step that the action executes; without one the action bounds its own waiting.
        work: What the same helper has completed, for the message.
        tables: Gives the tables that an action without a step reads.

    Raises:
        LockNotAcquired: The budget is spent.
    """
    retry = _Retry(migration, does, step, work or Work(), tables if step is None else lambda: step.locks)
    while True:
        watch, began = Watch(), time.monotonic()
        retry.attempts += 1
        try:
            if step is None:
                with recorded(does):
                    return action()
            looks_on = retry.attempts > 1 or step.waits_inside
            with bounded(migration, step, migration.settings.retry_budget, looks_on) as watch:
                return action()
        except DBAPIError as error:
            retry.check(error, watch)
        retry.wait(time.monotonic() - began, watch)


@dataclass
class _Retry:
    """The attempts at one lock."""

    terms: Terms
    does: str
    step: Step | None
    work: Work
    tables: Callable[[], Sequence[Name]]
    attempts: int = 0
    undisturbed: int = 0
    pause: float = FIRST_PAUSE
    reported: float = -REPORT_EVERY
    started: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        return time.monotonic() - self.started

    def check(self, error: DBAPIError, watch: Watch) -> None:
        """Raise unless another attempt may succeed."""
        database = self.terms.database
        if (hidden := database.hidden_rows(error)) is not None:
            raise self.work.reported(hidden) from error
        cut_short = self.step is None and database.errors.is_cut_short(error)
        self.undisturbed = self.undisturbed + 1 if cut_short and not who_holds(database, self.tables()) else 0
        # A read bounds its own waiting for locks, but a statement timeout of the session may be shorter than that. The
        # holder of the lock may have ended since: only after two attempts without a holder is the read itself too slow.
        if not (watch.cancelled or database.errors.is_lock_failure(error) or (cut_short and self.undisturbed < 2)):
            raise error
        if watch.cancelled or self.spent >= self.terms.settings.retry_budget:
            raise _gave_up(
                self.terms, self.does, self.step, self.work, self._holders(watch), self.attempts, self.spent
            ) from error

    def wait(self, held_up: float, watch: Watch) -> None:
        """Pause before the next attempt; log who holds the lock, and what is left of the budget."""
        budget = self.terms.settings.retry_budget
        pause = min(max(self.pause, SHARE * held_up) * random.uniform(0.75, 1.5), budget - self.spent)
        if self.spent - self.reported >= REPORT_EVERY:
            self.reported = self.spent
            holders = self._holders(watch)
            log.info(
                "waiting for lock to %s%s: attempt %d, retrying in %.2f s, %.0f s of %g s left",
                infinitive(self.does),
                f" (held by {in_brief(holders)})" if holders else "",
                self.attempts,
                max(pause, 0.0),
                max(budget - self.spent, 0.0),
                budget,
            )
        time.sleep(max(pause, 0.0))
        self.pause = min(self.pause * 2, LONGEST_PAUSE)

    def _holders(self, watch: Watch) -> list[Holder]:
        if watch.blocked_by:
            return watch.blocked_by
        return who_holds(self.terms.database, self.tables(), inside=self.step is not None and self.step.waits_inside)


def _gave_up(
    migration: Terms, does: str, step: Step | None, work: Work, blockers: list[Holder], attempts: int, spent: float
) -> LockNotAcquired:
    if step is not None and step.waits_inside:
        problem = f"older transactions did not end within {spent:.1f} s.\nStill open:{listed(blockers)}"
        why = "An online change does not block reads or writes, but it must wait for every transaction that began before it."
    else:
        times = f"{attempts} attempt{'s' if attempts > 1 else ''} of at most {migration.settings.lock_timeout:g} s each"
        problem = f"the lock was not granted within {spent:.1f} s ({times}).\nHeld by:{listed(blockers)}"
        why = "Every later statement on the table queues behind this wait, so each attempt is short and lets them pass."
    remedy, code = "End those sessions, or allow more time:", "with settings(retry_budget=600):"
    return work.reported(LockNotAcquired(f"{could_not(does)}: {problem}", why=why, remedy=remedy, code=code))
