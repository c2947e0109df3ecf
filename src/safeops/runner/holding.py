"""Holds the migration lock for a whole command, on a connection that env.py knows nothing of."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Connection

from safeops.errors import LockNotAcquired
from safeops.locking import without_migration_lock
from safeops.locking.runner import migration_lock
from safeops.runner.environment import Reached

GLANCE = 0.2


@contextmanager
def holding_lock(reached: Reached, wait: float, again: str) -> Iterator[None]:
    """Hold the lock for the block, in which the ``migration_lock`` of env.py then does nothing.

    Args:
        reached: The database.
        wait: Seconds to wait for another runner.
        again: The command to run again.

    Raises:
        LockNotAcquired: Another runner had it for so long.
    """
    holder = _Holder(reached, wait)
    # An asynchronous driver needs an event loop of its own for it, and env.py runs another one in this thread.
    thread = threading.Thread(target=holder.run, name="safeops-lock", daemon=True)
    thread.start()
    try:
        holder.settle(again)
        with without_migration_lock():
            yield
    finally:
        holder.over.set()
        if holder.settled.is_set():
            thread.join(timeout=5)


class _Holder:
    def __init__(self, reached: Reached, wait: float) -> None:
        self.reached, self.wait = reached, wait
        self.settled, self.over = threading.Event(), threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.reached.connected(self._hold)
        except BaseException as error:
            self.error = error
        finally:
            self.settled.set()

    def _hold(self, own: Connection) -> None:
        with migration_lock(own, timeout=self.wait):
            self.settled.set()
            self.over.wait()

    def settle(self, again: str) -> None:
        """Wait until the lock is held, or raise why it is not."""
        # In short waits, so that Ctrl-C ends them on every system.
        while not self.settled.wait(GLANCE):
            pass
        match self.error:
            case None:
                return
            case LockNotAcquired() as error:
                remedy = "Wait for it to end and run again, or wait longer:"
                code = f"{again} --wait 3600"
                raise LockNotAcquired(error.problem, why=error.why, remedy=remedy, code=code) from error
            case error:
                raise error
