"""Who holds a lock that a statement waits for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Event

from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from safeops.databases import database_on
from safeops.databases.base import Database
from safeops.databases.connections import CONNECTING, watching
from safeops.databases.server import Holder
from safeops.naming import Name
from safeops.planned import summary

log = logging.getLogger("safeops")

LOOK = 1.0
"""Seconds that each query may take that lists the holders of a lock."""


def who_holds(database: Database, tables: Sequence[Name], *, inside: bool = False) -> list[Holder]:
    """Describe the sessions that hold a lock. The queries are bounded, and their failure never fails a migration.

    Args:
        database: The database.
        tables: The tables that are locked.
        inside: The wait may be for any older transaction.
    """
    try:
        with ending(database.connection), database.looking(LOOK):
            return database.blockers(tables) or (database.open_transactions() if inside else [])
    except SQLAlchemyError as error:
        log.debug("could not list the holders of a lock", exc_info=True)
        return [Holder(f"sessions that cannot be listed: {summary(error)}", "sessions that cannot be listed")]


def who_holds_seen_beside(connection: Connection, tables: Sequence[Name]) -> list[Holder]:
    """Query on another connection, because this one takes no statement before its transaction is rolled back."""
    found: SimpleQueue[list[Holder]] = SimpleQueue()

    def ask(own: Connection, _over: Event) -> None:
        found.put(who_holds(database_on(own), tables))

    with watching(connection, ask) as is_attached:
        try:
            return found.get(timeout=CONNECTING) if is_attached() else []
        except Empty:
            return []


def listed(holders: Sequence[Holder]) -> str:
    """List the holders of a lock for a message, one a line."""
    return "".join(f"\n  - {holder}" for holder in holders) or " sessions that have ended since."


@contextmanager
def ending(connection: Connection) -> Iterator[None]:
    """End the transaction that the block begins; one that was open before stays open."""
    open_before = connection.in_transaction()
    yield
    if not open_before and connection.in_transaction():
        connection.commit()
