"""Renewing the lease of what a runner has claimed, on a connection of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.backfilling.port import Batches
from safeops.backfilling.state import State
from safeops.backfilling.stopping import Stop
from safeops.databases import database_for
from safeops.databases.base import Database
from safeops.databases.beside import watching
from safeops.databases.sessions import Handed

log = logging.getLogger("safeops")

EVERY = 2.0
"""Seconds; each checkpoint renews the lease too, so that this matters in long batches and waits."""


@contextmanager
def beating(database: Database, schema: str | None, token: str, stop: Stop, handed: Handed) -> Iterator[None]:
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
        beside = database_for(own.dialect, lambda: own)
        beside.begin_by_hand()
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

    with watching(database.connection, beat, after=EVERY, handed=handed, failed=failed):
        yield
