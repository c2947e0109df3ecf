"""MariaDB and MySQL: each change of a table commits, after which the server no longer knows what it locked."""

from __future__ import annotations

from typing import ClassVar

from safeops.databases.waiting import send
from safeops.rehearse import following
from safeops.rehearse.effects import Effects

# MySQL has Innodb_redo_log_current_lsn, but a thread updates it now and then: after a statement it can be unchanged.
POSITION = "SHOW GLOBAL STATUS LIKE 'Innodb_lsn_current'"


class Observer(following.Observer):
    """The locks come from the review of the statements, and their waits from the traffic."""

    unseen: ClassVar[str] = (
        "MariaDB and MySQL do not show which locks a statement held: these are those that safeops review knows of it."
    )
    how: ClassVar[str] = "MySQL shows neither what a statement has logged nor the bytes of temporary files."

    def begin(self) -> None:
        """There is nothing to note."""

    def after(self, sql: str) -> Effects | None:
        return None


class MariaDBObserver(Observer):
    """It counts what InnoDB logs, to the byte."""

    how: ClassVar[str] = (
        "The log of a statement is all that InnoDB wrote to its redo log while it ran, also for the traffic; the binary log"
        " is not in it. MariaDB does not count the bytes of temporary files."
    )

    def log_position(self) -> int | None:
        [(_, position)] = send(self.database.connection, POSITION)
        return int(position)
