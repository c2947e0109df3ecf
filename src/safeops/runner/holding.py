"""Holds the migration lock for a whole command, on a connection that env.py knows nothing of."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Connection

from safeops.backfilling.stopping import Stop
from safeops.databases.beside import on_a_connection
from safeops.errors import LockNotAcquired
from safeops.locking import without_migration_lock
from safeops.locking.runner import held_lock
from safeops.runner.environment import Reached

GLANCE = 0.2


@contextmanager
def holding_lock(reached: Reached, wait: float, again: str, stop: Stop | None = None) -> Iterator[None]:
    """Hold the lock for the block, in which the ``migration_lock`` of env.py then does nothing.

    Args:
        reached: The database.
        wait: Seconds to wait for another runner.
        again: The command to run again.
        stop: Ends the wait.

    Raises:
        LockNotAcquired: Another runner had it for so long, or until the wait was ended.
    """
    holder = _Holder(reached, wait)
    # An asynchronous driver needs an event loop of its own for it, and env.py runs another one in this thread.
    thread = threading.Thread(target=holder.run, name="safeops-lock", daemon=True)
    thread.start()
    try:
        holder.settle(again, stop)
        with without_migration_lock():
            yield
    finally:
        holder.over.set()
        # The interpreter must not end under a driver that works in this thread.
        thread.join(timeout=5)


class _Holder:
    def __init__(self, reached: Reached, wait: float) -> None:
        self.reached, self.wait = reached, wait
        self.settled, self.over = threading.Event(), threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            # As migration_lock of env.py takes it: on MariaDB and MySQL it is named by the database of the session.
            on_a_connection(self.reached.engine, self._hold)
        except BaseException as error:
            self.error = error
        finally:
            self.settled.set()

    def _hold(self, own: Connection) -> None:
        with held_lock(own, self.wait, self.over):
            self.settled.set()
            self.over.wait()

    def settle(self, again: str, stop: Stop | None) -> None:
        """Wait until the lock is held, or raise why it is not."""
        # In short waits, so that a signal ends them on every system.
        while not self.settled.wait(GLANCE):
            if stop:
                raise LockNotAcquired(
                    f"Stopped by {stop.reason} while another runner was migrating this database.",
                    why="One runner at a time migrates: this one had not begun.",
                    remedy="Run it again:",
                    code=again,
                )
        match self.error:
            case None:
                return
            case LockNotAcquired() as error:
                remedy = "Wait for it to end and run again, or wait longer:"
                code = f"{again} --wait 3600"
                raise LockNotAcquired(error.problem, why=error.why, remedy=remedy, code=code) from error
            case error:
                raise error
