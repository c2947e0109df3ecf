"""Stops a statement in the middle of its work, on a server that leaves half of it then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Engine

from safeops.databases import database_class, database_on
from safeops.databases.ports import Port
from safeops.rehearse.following import OBSERVER

SECONDS = 10.0
POLL = 0.005


class Halfway(Port):
    """A session that makes another one wait in the middle of a statement, and ends it there."""

    place = "safeops.testing.{family}.halfway:Halfway"
    asked = "A stop in the middle of a statement"

    isolation_level = "AUTOCOMMIT"

    @classmethod
    def leaves_half(cls, sql: str) -> bool:
        """Return whether a statement leaves half of its work if it is stopped."""
        return False

    def hold(self) -> None:
        """Have such a statement wait from now on."""

    def end_waiting(self) -> bool:
        """End the session that waits; return whether there was one."""
        return True


def leaves_half(engine: Engine, sql: str) -> bool:
    """Return whether a statement leaves half of its work if it is stopped."""
    return Halfway.class_of(database_class(engine.dialect)).leaves_half(sql)


@contextmanager
def interrupting(engine: Engine) -> Iterator[Callable[[], None]]:
    """Provide what interrupts the statement that comes next, for the block."""
    kind = Halfway.class_of(database_class(engine.dialect))
    over = threading.Event()
    with engine.connect().execution_options(isolation_level=kind.isolation_level, **OBSERVER) as connection:
        holder = Halfway.of(database_on(connection))

        def interrupt() -> None:
            holder.hold()
            thread.start()

        def end_waiting() -> None:
            deadline = time.monotonic() + SECONDS
            while not over.wait(POLL) and time.monotonic() < deadline and not holder.end_waiting():
                pass

        thread = threading.Thread(target=end_waiting, name="safeops-interrupt", daemon=True)
        try:
            yield interrupt
        finally:
            over.set()
            if thread.ident is not None:
                thread.join()
