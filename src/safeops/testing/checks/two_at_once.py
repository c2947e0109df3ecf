"""Two at once: of two runners that start together, one upgrades, and the other finds nothing to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from sqlalchemy.engine import Connection

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.databases.statements import words_of
from safeops.rehearse.waits import LockWaits, Waiting
from safeops.runner.environment import reach, shorten
from safeops.testing.checks.words import undisturbed_upgrade
from safeops.testing.children import Child, listen, started
from safeops.testing.failing import Failed
from safeops.testing.kit import Kit, Trial
from safeops.testing.project import Revision
from safeops.testing.snapshots import differences

LOCK = """\
from safeops import migration_lock

with migration_lock(connection), context.begin_transaction():
    context.run_migrations()"""
WHY = (
    "Alembic has no lock: two deploys, or two containers that start together, both read the version before either of them"
    " writes it, and both run the revision."
)
WHY_WAITING = (
    "It had not read the version yet: it waited for the other one, and gave up. A deploy with two containers would fail so"
    " whenever a revision takes longer."
)
WHY_TRANSACTION = (
    "env.py has a lock, and the other runner waits for it in a transaction, or in one statement. CREATE INDEX CONCURRENTLY"
    " waits until each transaction has ended that is older: so the two wait for each other."
)
WHY_CREATING = (
    "There is no version yet: both found that, and created Alembic's table of versions, which only one of them can. Two"
    " containers that start together on a new database fail so."
)
WIDTH = 120


def check(kit: Kit, revision: Revision) -> None:
    """Start two upgrades, each in a process, such that neither has changed anything when both have read the version.

    The first continues when the second has read the version too, or is seen to wait; the second when the first has ended,
    or waits for it.

    Raises:
        Failed: One of them fails or hangs, both run the revision, or they end in another state than a single one.
    """
    undisturbed = undisturbed_upgrade(kit, revision)
    with kit.before(revision) as trial:
        with started(trial, gated=True) as one, started(trial, gated=True) as other:
            both_read = overlap(one, other, lambda: _waits_on(trial))
            ended = one, other
        trial.end_sessions()
        problem = _problem(revision, ended)
        differs = differences(undisturbed.after, trial.state(), ignoring=undisturbed.varying)
        if problem or differs:
            raise _failed(trial, ended, problem, differs, both_read)


def overlap(one: Child, other: Child, waits: Callable[[], bool]) -> bool:
    """Bring two runners together, let the one that arrived first continue first, and return whether both had arrived.

    Args:
        one: A runner.
        other: The other one.
        waits: Returns whether the server shows that a session waits for a lock.
    """
    both = [one, other]
    _until(both, lambda: _are_together(both, waits))
    both_read = all(child.arrived for child in both)
    first, second = sorted(both, key=lambda child: not child.arrived)
    first.go()
    _until(both, lambda: first.ended or first.seems_to_wait())
    second.go()
    _until(both, lambda: all(child.ended for child in both))
    return both_read


def _are_together(both: Sequence[Child], waits: Callable[[], bool]) -> bool:
    """Return whether each has read the version or waits, and not both wait."""
    settled = [child.arrived or child.ended for child in both]
    late = [child for done, child in zip(settled, both, strict=True) if not done]
    return any(settled) and all(child.seems_to_wait() or (child.connects and waits()) for child in late)


def _waits_on(trial: Trial) -> bool:
    """Return whether a session waits for a lock; False if the server does not show it."""

    def look(connection: Connection) -> bool:
        return any(isinstance(one, Waiting) for one in LockWaits.of(database_on(connection)).now())

    with suppress(Exception):
        return run_on_connection(trial.engine, look)
    return False


def _until(both: Sequence[Child], reached: Callable[[], bool]) -> None:
    while not reached():
        listen(both)
        if all(child.ended or child.seems_to_hang() for child in both):
            for child in both:
                child.give_up()


# What is reported -----------------------------------------------------------------------------------------------


def _problem(revision: Revision, ended: Sequence[Child]) -> str:
    failed = [child for child in ended if child.error]
    if failed:
        other = "the other one too" if len(failed) == 2 else "the other one succeeds"
        return f"{revision}: two upgrades at once, and one fails ({other}): {failed[-1].error}"
    winners = sum(bool(child.ran) for child in ended)
    return "" if winners == 1 else f"{revision}: of two upgrades at once, {winners} ran it."


def _failed(trial: Trial, ended: Sequence[Child], problem: str, differs: Sequence[str], both_read: bool) -> Failed:
    problem = problem or f"{trial.revision}: two upgrades at once end in another state than a single one."
    details = [*_details(ended, both_read), *(f"Other than after a single upgrade: {text}" for text in differs)]
    if _takes_lock(trial):
        remedy = "env.py calls migration_lock(): let its block contain all that reads and writes the database."
        return Failed(problem, details=details, remedy=remedy)
    early = [child for child in ended if child.error and not child.arrived]
    if early:
        remedy = "Let a runner wait until the other one has ended, as migration_lock() does:"
        creating = any(words_of(child.sql)[:2] == ("CREATE", "TABLE") for child in early)
        why = WHY_CREATING if creating else WHY_WAITING
        return Failed(problem, why=why, details=details, remedy=remedy, code=LOCK)
    if not both_read and any(child.error and "CONCURRENTLY" in words_of(child.sql) for child in ended):
        remedy = (
            "Let the other one try to get the lock again and again, outside of a transaction, as migration_lock() does:"
        )
        return Failed(problem, why=WHY_TRANSACTION, details=details, remedy=remedy, code=LOCK)
    return Failed(problem, why=WHY, details=details, remedy="Let one runner at a time migrate. In env.py:", code=LOCK)


def _details(ended: Sequence[Child], both_read: bool) -> Iterator[str]:
    for name, child in zip(("The first runner", "The second runner"), ended, strict=True):
        did = f"ran {', '.join(child.ran)}" if child.ran else "found nothing to do"
        yield f"{name} {f'failed: {child.error}' if child.error else did}"
        if child.error and child.sql:
            yield f"  Its last statement: {shorten(child.sql, WIDTH)}"
    if both_read:
        yield "Both had read the version before one of them wrote it."


def _takes_lock(trial: Trial) -> bool:
    # An env.py that cannot be run now has already failed in the children.
    with suppress(Exception), trial.redirected():
        return reach(trial.config, trial.kit.project.script).takes_lock
    return False
