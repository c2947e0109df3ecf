"""A connection of one's own beside the migration's: to watch it, to hold the runner lock, or to share its work.

One that names tables must resolve names, and have the rights, as the migration's session does: env.py may have set a
search_path or a role there. It is given what ``Database.handed_over`` returns.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, Engine

from safeops.databases import database_for
from safeops.databases.sessions import Handed
from safeops.errors import InvalidArgument

log = logging.getLogger("safeops")

T = TypeVar("T")
Body = Callable[[Connection, threading.Event], None]
Failed = Callable[[Exception], None]

CONNECTING = 10.0
"""Seconds to wait for the second connection; a pooler may let one wait for ever."""
AGAIN = 1.0


@contextmanager
def beside(connection: Connection, handed: Handed = ()) -> Iterator[Connection]:
    """Give a connection of one's own, in autocommit, made as the engine makes them but outside its pool.

    The pool may have no second one to give. A copy of it keeps the arguments, the creator and the listeners.

    Args:
        connection: The connection of the migration.
        handed: What was set on a session that it takes over.
    """
    # One that is lost has none that could be the same.
    taken = None if connection.invalidated else connection.connection.driver_connection
    with _outside(connection.engine, taken, handed) as own:
        yield own


@contextmanager
def _outside(engine: Engine, taken: Any, handed: Handed) -> Iterator[Connection]:
    pool = engine.pool.recreate()
    copy = Engine(pool, engine.dialect, engine.url, hide_parameters=engine.hide_parameters)
    with copy.connect() as fresh:
        if fresh.connection.driver_connection is taken:
            # A creator that always returns the same one. Disposing of the pool would close it.
            raise InvalidArgument("The engine has one connection only, and another one is needed beside it.")
        try:
            own = fresh.execution_options(isolation_level="AUTOCOMMIT")
            if handed:
                database_for(own.dialect, lambda: own).take_over(handed)
            yield own
        finally:
            fresh.close()
            pool.dispose()


def on_a_connection(engine: Engine, body: Callable[[Connection], T], taken: Any = None, handed: Handed = ()) -> T:
    """Run ``body`` on a connection of its own, whatever thread this is; also where the engine is an asynchronous one.

    Args:
        engine: Makes the connection, outside its pool.
        body: Gets it, in autocommit.
        taken: The driver's connection that it must not be.
        handed: What was set on a session that it takes over.
    """

    def run() -> T:
        with _outside(engine, taken, handed) as own:
            return body(own)

    if not engine.dialect.is_async:
        return run()
    from sqlalchemy.util import greenlet_spawn

    return asyncio.run(greenlet_spawn(run))


@contextmanager
def watching(
    connection: Connection, body: Body, after: float = 0.0, handed: Handed = (), failed: Failed | None = None
) -> Iterator[Callable[[], bool]]:
    """Run ``body`` in a thread, on a connection of its own, until the block ends.

    ``body`` gets that connection and an event that is set when the block has ended. The block gets a function that waits
    until the connection stands and tells whether it does: where there is none the block must bound its waiting itself.
    A block that ends within ``after`` seconds needs no such connection, and none is opened. Where ``failed`` is given it
    gets each error, and a connection that could not be made is tried again.
    """
    watcher = _Watcher(connection, body, after, handed, failed)
    thread = threading.Thread(target=watcher.run, name="safeops-watch", daemon=True)
    thread.start()
    try:
        yield watcher.is_attached
    finally:
        watcher.over.set()
        thread.join(timeout=5)


class _Watcher:
    """What runs in the thread."""

    def __init__(self, connection: Connection, body: Body, after: float, handed: Handed, failed: Failed | None) -> None:
        self.engine, self.body, self.after, self.handed = connection.engine, body, after, handed
        self.insists, self.failed = failed is not None, failed or _noted
        self._taken = connection.connection.driver_connection
        self.over, self._settled, self._attached = threading.Event(), threading.Event(), False

    def is_attached(self) -> bool:
        return self._settled.wait(CONNECTING) and self._attached

    def run(self) -> None:
        self.over.wait(self.after)
        while not self.over.is_set():
            try:
                self._look_on()
                return
            except Exception as error:
                self.failed(error)
            if not (self._attached or self.insists):
                self._settled.set()
                return
            # Somebody relies on it: a lost connection is made again.
            self.over.wait(AGAIN)

    def _look_on(self) -> None:
        on_a_connection(self.engine, self._look_on_by, self._taken, self.handed)

    def _look_on_by(self, own: Connection) -> None:
        self._attached = True
        self._settled.set()
        self.body(own, self.over)


def _noted(error: Exception) -> None:
    log.info("watching ended: %s", str(error).splitlines()[0] if str(error) else repr(error))
