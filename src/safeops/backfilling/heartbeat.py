"""Renewing the lease of what a runner has claimed, on a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.backfilling.state import State
from safeops.databases import database_for
from safeops.databases.base import Database
from safeops.databases.beside import watching

EVERY = 2.0
"""Seconds; each checkpoint renews the lease too, so that this matters in long batches and waits."""


@contextmanager
def beating(database: Database, schema: str | None, token: str) -> Iterator[None]:
    """Keep the claims of a token alive during the block, for as long as this process is."""
    if database.is_private:
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
            except DBAPIError as error:
                if not beside.is_transient(error):
                    raise

    with watching(database.connection, beat, after=EVERY):
        yield
