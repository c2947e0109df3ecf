"""Stopping between two batches: on a signal, at the end of a wait."""

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
from safeops.databases.base import Database
from safeops.databases.connections import watching
from safeops.databases.server import SessionSettings

log = logging.getLogger("safeops")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Asks a run to stop after the batch in hand."""

    def __init__(self) -> None:
        self._asked = False
        # An Event must not be set by a signal: its lock may be held by the wait that the handler has interrupted.
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
        """Sleep, but no longer than until the run is asked to stop."""
        if seconds > 0 and not self._asked:
            with suppress(Empty):
                self._wake.get(timeout=seconds)


@contextmanager
def stopping_on_signals(*, in_worker: bool = False) -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a stop after the batch in hand; a second one does what it did before.

    Only the main thread can: elsewhere signals stay what they are.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before: dict[int, Any] = {}

    def restore() -> None:
        while before:
            number, handler = before.popitem()
            # None is a handler that Python did not set and cannot set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    own = os.getpid()

    def ask(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != own:
            # A worker that was forked meanwhile: what its parent makes of the signal is not for it.
            restore()
            signal.raise_signal(number)
            return
        stop.ask(signal.Signals(number).name)
        restore()

    for one in SIGNALS:
        before[one] = signal.signal(one, ask)
    try:
        yield stop
    finally:
        restore()
        if in_worker and stop.reason == signal.SIGTERM.name:
            # The pool wants the process to end, and waits for that: it did not mean the task.
            signal.raise_signal(signal.SIGTERM)


EVERY = 2.0
"""Seconds; each checkpoint renews the lease too, so that this matters in long batches and waits."""


@contextmanager
def beating(
    database: Database, schema: str | None, token: str, stop: Stop, session_settings: SessionSettings
) -> Iterator[None]:
    """Keep the claims of a token alive during the block, for as long as this process is.

    Args:
        database: The session of the run.
        schema: The schema of the state.
        token: Under which the run claims what it works on.
        stop: Is told why the lease is not renewed, while it is not.
        handed: What was set on the session of the run.
    """
    if database.abilities.is_private:
        # Nobody else can reach it.
        yield
        return

    def beat(own: Connection, over: threading.Event) -> None:
        beside = database_on(own)
        beside.enter_autocommit()
        state = State(beside, schema)
        while not over.wait(EVERY):
            try:
                state.renew(token)
                stop.unrenewed = ""
            except DBAPIError as error:
                if not Batches.of(beside).is_transient(error):
                    raise

    def failed(error: Exception) -> None:
        if not stop.unrenewed:
            log.warning("the lease of the backfill is not renewed, trying again: %s", error)
        stop.unrenewed = str(getattr(error, "orig", error)).strip()

    with watching(database.connection, beat, after=EVERY, session_settings=session_settings, failed=failed):
        yield
