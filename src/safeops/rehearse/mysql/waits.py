"""MariaDB and MySQL: sessions that wait for locks, by the list of processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from safeops.rehearse import waits

WAITING = """SELECT ID, INFO, STATE FROM information_schema.PROCESSLIST
  WHERE DB = DATABASE() AND STATE LIKE 'Waiting for%lock%' AND INFO IS NOT NULL"""


class LockWaits(waits.LockWaits):
    """For locks on tables alone: InnoDB shows those on rows to accounts with the privilege PROCESS."""

    unseen: ClassVar[str] = "Waits for single rows are not shown, only those for tables; the traffic measures both."

    def now(self) -> Iterable[waits.Waiting | waits.Held]:
        for session, sql, state in self.read(WAITING):
            # The traffic changes no table: such a lock is one of the migration.
            behind = ("the migration",) if waits.TRAFFIC in sql else ()
            lock = state.removeprefix("Waiting for ")
            yield waits.Waiting((session, sql), None, "", lock, sql, bool(behind), behind)
