"""Carries out plans, a statement at a time: each waits for its lock briefly, lets go, and tries again within a budget."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safeops.databases.base import Database
from safeops.databases.server import Watch
from safeops.databases.steps import Step
from safeops.errors import DefinitionMismatch, LockNotAcquired, SafeOpsError, UnsafeOperation
from safeops.execution.migration import Migration, Terms
from safeops.naming import Name
from safeops.plan_mode import DryRun, current_dry_run, recorded
from safeops.planned import PlannedStatement, could_not
from safeops.policy import assurance

MOST = 20
"""Steps of a plan that are told."""


def record_plan(dry_run: DryRun, database: Database, plan: Iterable[Step]) -> bool:
    """Tell the steps of a plan; return whether it had any.

    A plan may look again between two steps, and does not find what the one before would have done: it is told as far as it
    comes.
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
    """Tell what a phase of a change comes to, also if the phase before it is still pending."""
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
SHARE = 0.25
"""Of the time that an attempt held up the application, how much it gets at least to catch up."""


@dataclass
class Work:
    """What a helper has come to: the steps that it finished, and what a failed one left behind."""

    steps: list[Step] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def reported(self, error: E) -> E:
        """Return an error that tells what was finished before it."""
        error.set_work([step.does for step in self.steps], self.left)
        return error


def execute(migration: Migration, plan: Iterable[Step], explain: Explain | None = None) -> bool:
    """Carry out a plan, or render it for ``--sql``; return whether it had any step.

    Args:
        migration: The running migration.
        plan: The steps; each is planned after the one before it has been carried out.
        explain: Turns an error of the server into one that teaches, or returns None.

    Raises:
        LockNotAcquired: The retry budget ran out; the message names the sessions that hold the lock.
        UnsafeOperation: The server refuses to do it online.
    """
    if (dry_run := current_dry_run()) is not None and not migration.offline:
        return record_plan(dry_run, migration.database, plan)
    work = Work()
    for step in plan:
        if migration.offline:
            _render(migration, step)
        else:
            started = time.monotonic()
            _persist(migration, step, work, explain)
            log.info("%s (%.2f s)", step.does, time.monotonic() - started)
            migration.done.append(step.does)
        work.steps.append(step)
    return bool(work.steps)


def _render(migration: Migration, step: Step) -> None:
    settings = migration.settings
    before, after = migration.database.rendered_timeouts(settings.lock_timeout, settings.statement_timeout, step)
    for sql in (*before, step.offline or step.sql, *step.then, *after):
        migration.render(sql)


def _persist(migration: Migration, step: Step, work: Work, explain: Explain | None) -> None:
    await_obstacles(migration, step, work)
    try:
        with_lock_retry(migration, step.does, lambda: _attempt(migration, step, work), step, work)
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
        f"{could_not(step.does)}: it was created or dropped after the inspection: {said}.",
        why="Another runner changed it at the same time, or an object of another kind has the name.",
        remedy="Run again, which inspects again. Allow one migration at a time in env.py:",
        code="with engine.connect() as connection, migration_lock(connection):\n    ...",
    )


def await_obstacles(migration: Terms, step: Step, work: Work) -> None:
    """Wait until the transactions have ended that the step would wait for in the middle of its work."""
    started, pause = time.monotonic(), FIRST_PAUSE
    obstacles = migration.database.obstacles(step)
    while obstacles:
        spent = time.monotonic() - started
        if spent >= migration.settings.retry_budget:
            raise _gave_up(migration, step.does, step, work, list(obstacles.values()), 1, spent)
        time.sleep(min(pause, max(migration.settings.retry_budget - spent, 0.0)))
        pause = min(pause * 2, 1.0)
        now = migration.database.obstacles(step)
        obstacles = {key: now[key] for key in obstacles if key in now}


def _attempt(migration: Migration, step: Step, work: Work) -> None:
    try:
        _execute_online(migration, step)
    except BaseException:
        work.left[:] = [cleaning.leaves for cleaning in step.cleanup if not _cleaned_up(migration, cleaning)]
        raise


def _execute_online(migration: Migration, step: Step) -> None:
    """Try the step and its other online spellings; where the server refuses them all, it is a matter of assurance."""
    for spelling in (step, *(replace(step, sql=sql) for sql in step.alternatives)):
        try:
            migration.database.execute(spelling)
        except DBAPIError as error:
            if not migration.database.errors.is_refusal(error):
                raise
            refusal = error
        else:
            return
    _execute_anyway(migration, step, refusal)


def _execute_anyway(migration: Migration, step: Step, error: DBAPIError) -> None:
    reason = assurance()
    if step.when_assured is None or reason is None:
        helps = step.when_assured is not None
        raise UnsafeOperation(
            f"{migration.database.describe()} cannot do this online: {step.sql}",
            why=f"It says: {error.orig!s}. Done another way it would block reads or writes for as long as it takes.",
            remedy="Where that is fine, say why:" if helps else "",
            code='with assured("the table is small and nobody writes to it"):\n    ...' if helps else "",
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
    """Bound the waiting of a step: its lock timeout does, or somebody beside it where it waits in the middle of its work."""
    settings, database = migration.settings, migration.database
    lock = settings.lock_timeout
    with ExitStack() as stack:
        watch = stack.enter_context(database.watched(step, budget)) if watched else Watch()
        if step.waits_inside and not watch.attached:
            log.info(
                "no second connection to watch from, so each wait for a lock ends after %g s: %s", budget, step.does
            )
            step, lock = replace(step, waits_inside=False, scans=True), budget
        stack.enter_context(database.timeouts(lock, settings.statement_timeout, step))
        yield watch


def with_lock_retry(
    migration: Terms,
    deed: str,
    action: Callable[[], T],
    step: Step | None = None,
    work: Work | None = None,
    tables: tuple[Name, ...] = (),
) -> T:
    """Run an action that waits for locks, again and again until it gets them or the retry budget is spent.

    Args:
        migration: The running migration, or a worker of it; its settings bound each attempt and the whole.
        deed: What is tried, for messages.
        action: What to do; a lock failure means that it did nothing.
        step: The step that it carries out; without one the action bounds its own waiting.
        work: What the same helper has come to, for the message.
        tables: The tables that an action without a step looks at.

    Raises:
        LockNotAcquired: The budget is spent.
    """
    settings, database = migration.settings, migration.database
    started, pause, attempts, undisturbed, watch = time.monotonic(), FIRST_PAUSE, 0, 0, Watch()
    while True:
        attempts += 1
        began = time.monotonic()
        try:
            if step is None:
                with recorded(deed):
                    return action()
            looks_on = attempts > 1 or step.waits_inside
            with bounded(migration, step, settings.retry_budget, looks_on) as watch:
                return action()
        except DBAPIError as error:
            spent = time.monotonic() - started
            if (hidden := database.hidden_rows(error)) is not None:
                raise (work or Work()).reported(hidden) from error
            cut_short = step is None and database.errors.is_cut_short(error)
            undisturbed = undisturbed + 1 if cut_short and not database.blockers(tables) else 0
            # A look bounds its own waiting for locks, but a statement timeout of the session may be shorter than that.
            # Whoever held the table may have gone since: only twice without anybody is the look itself too slow.
            if not (watch.cancelled or database.errors.is_lock_failure(error) or (cut_short and undisturbed < 2)):
                raise
            if watch.cancelled or spent >= settings.retry_budget:
                blockers = watch.blocked_by or _blockers(database, step, tables)
                raise _gave_up(migration, deed, step, work or Work(), blockers, attempts, spent) from error
        held_up = time.monotonic() - began
        wait = min(max(pause, SHARE * held_up) * random.uniform(0.75, 1.5), settings.retry_budget - spent)
        log.info("not yet %s: locked by others in attempt %d, next in %.2f s", deed, attempts, wait)
        time.sleep(max(wait, 0.0))
        pause = min(pause * 2, LONGEST_PAUSE)


def _blockers(database: Database, step: Step | None, tables: tuple[Name, ...]) -> list[str]:
    found = database.blockers(step.locks if step else tables)
    return found or (database.open_transactions() if step is not None and step.waits_inside else [])


def _gave_up(
    migration: Terms, does: str, step: Step | None, work: Work, blockers: list[str], attempts: int, spent: float
) -> LockNotAcquired:
    listed = "".join(f"\n  - {blocker}" for blocker in blockers) or " sessions that have ended since."
    if step is not None and step.waits_inside:
        problem = f"older transactions did not end within {spent:.1f} s.\nStill open:{listed}"
        why = "An online change does not block reads or writes, but it must wait for every transaction that began before it."
    else:
        times = f"{attempts} attempt{'s' if attempts > 1 else ''} of at most {migration.settings.lock_timeout:g} s each"
        problem = f"the lock was not granted within {spent:.1f} s ({times}).\nHeld by:{listed}"
        why = (
            "The change must wait for every transaction that uses the table, and all later statements queue behind it."
            " Each attempt is therefore short, and the queue can pass between attempts."
        )
    remedy, code = "End those sessions, or allow more time:", "with settings(retry_budget=600):\n    ..."
    return work.reported(LockNotAcquired(f"{could_not(does)}: {problem}", why=why, remedy=remedy, code=code))
