"""Stopping between two batches, on a signal; and the heartbeat that keeps the claims of a run."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.backfilling.port import Batches
from safeops.backfilling.state import State
from safeops.databases import database_on
from safeops.databases.connections import watching
from safeops.databases.server import SessionSettings
from safeops.execution.migration import Terms

log = logging.getLogger("safeops")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """A request to stop the run after the current batch."""

    def __init__(self) -> None:
        self._asked = False
        # A signal handler must not set an Event: the wait that it has interrupted may hold the lock of the Event.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self.reason = ""
        self.unrenewed = ""
        """Why the lease of the run is not renewed; empty while it is."""

    def __bool__(self) -> bool:
        return self._asked

    def ask(self, reason: str) -> None:
        self.reason = reason
        self._asked = True
        self._wake.put(None)

    def sleep(self, seconds: float) -> None:
        """Sleep, but end early if the run should stop."""
        if seconds > 0 and not self._asked:
            with suppress(Empty):
                self._wake.get(timeout=seconds)


@contextmanager
def stopping_on_signals(*, in_worker: bool = False) -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a stop after the current batch; a second one does what it did before.

    Only the main thread can: elsewhere signals are handled as before.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before: dict[int, Any] = {}

    def restore() -> None:
        while before:
            number, handler = before.popitem()
            # None is a handler that was not set by Python, which cannot restore it.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    own = os.getpid()

    def ask(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != own:
            # A worker that was forked since must not use the handler of its parent.
            restore()
            signal.raise_signal(number)
            return
        stop.ask(signal.Signals(number).name)
        restore()

    for number in SIGNALS:
        before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()
        if in_worker and stop.reason == signal.SIGTERM.name:
            # The pool waits for the process to end: the signal was not for the task.
            signal.raise_signal(signal.SIGTERM)


RENEW_EVERY = 2.0
"""Seconds. Each checkpoint renews the lease too: this matters in long batches and waits only."""


@contextmanager
def heartbeat(terms: Terms, token: str, stop: Stop, session_settings: SessionSettings) -> Iterator[None]:
    """Renew the claims of a token during the block, from a connection in another thread of this process.

    Args:
        terms: The session of the run, and its settings.
        token: The run claims ranges under it.
        stop: Gets the reason while the lease is not renewed.
        session_settings: The settings of the session of the run.
    """
    if terms.database.abilities.is_private:
        # No other connection can reach it.
        yield
        return

    def renew(connection: Connection, over: threading.Event) -> None:
        database = database_on(connection)
        database.enter_autocommit()
        state = State.of(Terms(database, terms.settings))
        while not over.wait(RENEW_EVERY):
            try:
                state.renew(token)
                stop.unrenewed = ""
            except DBAPIError as error:
                if not Batches.of(database).is_transient(error):
                    raise

    def failed(error: Exception) -> None:
        if not stop.unrenewed:
            log.warning("could not renew the lease of the backfill, retrying: %s", error)
        stop.unrenewed = str(getattr(error, "orig", error)).strip()

    with watching(
        terms.database.connection, renew, after=RENEW_EVERY, session_settings=session_settings, failed=failed
    ):
        yield
