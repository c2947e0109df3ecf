"""Carries out plans, a statement at a time: each waits for its lock briefly, lets go, and tries again within a budget."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from safeops.databases.base import Watch
from safeops.databases.steps import Step
from safeops.errors import NOTHING_CHANGED, LockNotAcquired, SafeOpsError, UnsafeOperation
from safeops.migration import Migration
from safeops.naming import Name
from safeops.policy import assurance

log = logging.getLogger("safeops")

T = TypeVar("T")
Explain = Callable[[DBAPIError], "SafeOpsError | None"]

FIRST_PAUSE = 0.03
LONGEST_PAUSE = 5.0


def carry_out(migration: Migration, plan: Iterable[Step], explain: Explain | None = None) -> bool:
    """Carry out a plan, or render it for ``--sql``; return whether it had any step.

    Args:
        migration: The running migration.
        plan: The steps; each is planned after the one before it has been carried out.
        explain: Turns an error of the server into one that teaches, or returns None.

    Raises:
        LockNotAcquired: The retry budget ran out; the message names the sessions that hold the lock.
        UnsafeOperation: The server refuses to do it online.
    """
    done: list[str] = []
    for step in plan:
        if migration.offline:
            _render(migration, step)
        else:
            started = time.monotonic()
            _persist(migration, step, done, explain)
            log.info("%s (%.2f s)", step.does, time.monotonic() - started)
        done.append(step.does)
    return bool(done)


def _render(migration: Migration, step: Step) -> None:
    settings = migration.settings
    before, after = migration.database.rendered_timeouts(settings.lock_timeout, settings.statement_timeout, step)
    for sql in (*before, step.offline or step.sql, *step.then, *after):
        migration.render(sql)


def _persist(migration: Migration, step: Step, done: Sequence[str], explain: Explain | None) -> None:
    try:
        patiently(migration, step.does, lambda: _attempt(migration, step), step, done)
    except DBAPIError as error:
        taught = explain(error) if explain else None
        if taught is None:
            raise
        raise taught from error


def _attempt(migration: Migration, step: Step) -> None:
    database = migration.database
    try:
        try:
            database.carry_out(step)
        except DBAPIError as error:
            if not database.is_refusal(error):
                raise
            _carry_out_anyway(migration, step, error)
    except BaseException:
        _clean_up(migration, step)
        raise


def _carry_out_anyway(migration: Migration, step: Step, error: DBAPIError) -> None:
    reason = assurance()
    if step.anyway is None or reason is None:
        raise UnsafeOperation(
            f"{migration.database.describe()} cannot do this online: {step.sql}",
            why=f"It says: {error.orig!s}. Done another way it would block reads or writes for as long as it takes.",
            remedy="Where that is fine, say why:",
            code='with assured("the table is small and nobody writes to it"):\n    ...',
        ) from error
    log.warning("not online, because %s: %s", reason, step.anyway)
    migration.database.run(step.anyway)


def _clean_up(migration: Migration, step: Step) -> None:
    for cleaning in step.cleanup:
        try:
            with migration.database.timeouts(migration.settings.lock_timeout, None, cleaning):
                migration.database.carry_out(cleaning)
        except Exception as error:
            # What is left over is found and completed by the next run; the first error is the one to see.
            log.warning("could not clean up (%s): %s", cleaning.does, error)


def patiently(
    migration: Migration,
    deed: str,
    action: Callable[[], T],
    step: Step | None = None,
    done: Sequence[str] = (),
) -> T:
    """Run an action that waits for locks, again and again until it gets them or the retry budget is spent.

    Args:
        migration: The running migration; its settings bound each attempt and the whole.
        deed: What is tried, for messages.
        action: What to do; a lock failure means that it did nothing.
        step: The step that it carries out; without one the action bounds its own waiting.
        done: What the same helper has finished before, for the message.

    Raises:
        LockNotAcquired: The budget is spent.
    """
    settings, database = migration.settings, migration.database
    started, pause, attempts, watch = time.monotonic(), FIRST_PAUSE, 0, Watch()
    while True:
        attempts += 1
        try:
            if step is None:
                return action()
            with database.timeouts(settings.lock_timeout, settings.statement_timeout, step):
                if attempts == 1 and not step.waits_inside:
                    return action()
                with database.watched(step, settings.retry_budget) as watch:
                    return action()
        except DBAPIError as error:
            spent = time.monotonic() - started
            if not (database.is_lock_failure(error) or watch.cancelled):
                raise
            if watch.cancelled or spent >= settings.retry_budget:
                raise _gave_up(migration, deed, step, done, watch, attempts, spent) from error
        wait = min(pause * random.uniform(0.5, 1.5), settings.retry_budget - spent)
        log.info("waiting for a lock: %s; attempt %d failed, next in %.2f s", deed, attempts, wait)
        time.sleep(max(wait, 0.0))
        pause = min(pause * 2, LONGEST_PAUSE)


def _gave_up(
    migration: Migration,
    deed: str,
    step: Step | None,
    done: Sequence[str],
    watch: Watch,
    attempts: int,
    spent: float,
) -> LockNotAcquired:
    tables: tuple[Name, ...] = step.locks if step else ()
    blockers = watch.blocked_by or migration.database.blockers(tables)
    listed = "".join(f"\n  - {one}" for one in blockers) or " sessions that have ended since."
    held = f"Held by:{listed}"
    return LockNotAcquired(
        f"Gave up after {spent:.1f} s and {attempts} attempt{'s' if attempts > 1 else ''}, each bounded by"
        f" lock_timeout={migration.settings.lock_timeout:g} s: not {deed}.\n{held}",
        why="A strong lock waits for every transaction that uses the table, and all later statements wait behind it, so"
        " each attempt is short and lets them pass.",
        remedy="End those sessions, or give it more time:",
        code="with settings(retry_budget=600):\n    ...",
        state=_state(done),
    )


def _state(done: Sequence[str]) -> str:
    if not done:
        return NOTHING_CHANGED
    return f"Finished before and kept: {'; '.join(done)}. Running again goes on from there."
