"""How a session bounds the waiting of statements that no helper sends, by the driver alone.

Everything here runs from inside an event of SQLAlchemy, while its connection is about to send a statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from sqlalchemy.engine import Connection

from safeops.databases.ports import Port

Rows = Sequence[Sequence[Any]]


class Waiting(Port):
    """How a session bounds how long any of its statements waits for a lock."""

    place = "safeops.databases.{family}.waiting:Waiting"

    ends_with_transaction: ClassVar[bool] = False
    """What bounds a transaction ends with it."""

    aborts_transactions: ClassVar[bool] = False
    """After an error a transaction takes no further statement."""

    def bound(self, seconds: float, *, autocommit: bool) -> str | None:
        """Bound the waits of the next statements; return the SQL that lifts the bound, empty if it ends automatically.

        None if env.py, the role, the server or the revision has set a bound.
        """
        return None

    def touches_bound(self, sql: str, words: Sequence[str]) -> bool:
        """Return whether a statement may set or lift the bound."""
        return False

    def commits(self, words: Sequence[str]) -> bool:
        """Return whether the server commits before and after such a statement automatically."""
        return False

    def waits_inside(self, words: Sequence[str]) -> bool:
        """Return whether a statement waits for other transactions in the middle of its work, when a bound would kill it."""
        return False

    def is_in_transaction(self) -> bool:
        """Return whether the session is in a transaction now, also one that SQLAlchemy does not know of."""
        return self.database.connection.in_transaction()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Have the block, a single statement, change nothing in the open transaction if it does not get its lock."""
        yield

    def session(self) -> int | None:
        """Return the ``Holder.session`` of this session; None if it is not known, or ``Database.blockers`` leaves it out."""
        return None

    def send(self, sql: str) -> Rows:
        """Send a statement by the driver, which no listener sees."""
        return send(self.database.connection, sql)

    @property
    def driver(self) -> Any:
        return self.database.connection.connection.driver_connection


def send(connection: Connection, sql: str) -> Rows:
    return send_by(connection.connection, sql)


def send_by(driver: Any, sql: str) -> Rows:
    """Send a statement on a connection of the driver."""
    cursor = driver.cursor()
    try:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        cursor.close()
