"""Has the server refuse to write on the connections that code makes for itself while it is only to tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.pool import Pool

from safeops import _sqlalchemy
from safeops.databases import database_class
from safeops.errors import UnsupportedOnDatabase


@contextmanager
def refusing_writes_beside(own: Connection) -> Iterator[None]:
    """Have each connection that is opened in the block refuse to write, and write again once it is given back.

    Args:
        own: The connection of the migration, which is left as it is.
    """
    others = _Others(own.connection.dbapi_connection)
    event.listen(Pool, "checkout", others.close)
    event.listen(Pool, "checkin", others.open)
    try:
        yield
    finally:
        event.remove(Pool, "checkout", others.close)
        event.remove(Pool, "checkin", others.open)
        others.open_all()


class _Others:
    def __init__(self, own: Any) -> None:
        self._own = own
        # With what each is opened again; the record too, as it can give up a connection that does not answer.
        self._closed: dict[int, tuple[Any, Any, str]] = {}

    def close(self, driver: Any, record: Any, proxy: Any) -> None:
        if driver is self._own or id(driver) in self._closed:
            return
        try:
            kind = database_class(_sqlalchemy.dialect_of(proxy))
        except UnsupportedOnDatabase:
            return
        _send(driver, kind.refusing_writes)
        self._closed[id(driver)] = driver, record, kind.accepting_writes

    def open(self, driver: Any, _record: Any) -> None:
        found = self._closed.pop(id(driver), None)
        if found is None:
            return
        _, record, accepting = found
        try:
            _send(driver, accepting)
        except Exception:
            # Nobody gets it from the pool as one that cannot write.
            record.invalidate()

    def open_all(self) -> None:
        for driver, record, _ in list(self._closed.values()):
            self.open(driver, record)


def _send(driver: Any, statement: str) -> None:
    cursor = driver.cursor()
    try:
        cursor.execute(statement)
    finally:
        cursor.close()
    # A setting goes with the transaction that it was made in.
    driver.commit()
