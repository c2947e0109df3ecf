"""PostgreSQL: a session's own locks, the files and scans of the tables that it has locked, and what the server counts."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from safeops.databases.waiting import send
from safeops.judging.truths import BUILD, REWRITE
from safeops.rehearse import following
from safeops.rehearse.effects import Effects
from safeops.review.postgresql.state import effects_of, scanned_by, state_of, state_since
from safeops.review.tracing import is_own

POSITION = "SELECT CAST(pg_current_wal_insert_lsn() - '0/0' AS bigint)"
TEMPORARY = "SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()"


class Observer(following.Observer):
    """By queries of the session about itself, in its own transaction."""

    how: ClassVar[str] = (
        "The log (WAL) of a statement is all that the server wrote to it while it ran, also for the traffic. Temporary files"
        " are those that its sessions have reported. Scanned rows are those that the session of a statement read itself:"
        " what parallel workers read for it is not counted."
    )

    def log_position(self) -> int | None:
        return int(send(self.database.connection, POSITION)[0][0])

    def temporary_bytes(self) -> int | None:
        return int(send(self.database.connection, TEMPORARY)[0][0])

    def begin(self) -> None:
        self._now = state_of(self.database.connection)
        self._old = frozenset(self._now.relations)

    def look(self, *, everything: bool) -> None:
        connection = self.database.connection
        self._now = state_of(connection) if everything else state_since(connection, self._now)

    def after(self, sql: str) -> Effects | None:
        before = self._now
        self.look(everything=False)
        if before.transaction != self._now.transaction:
            before = replace(before, held={})
        effects = [
            (str(name), lock, work)
            for name, lock, work in effects_of(before, self._now, self._old)
            if not is_own(name.name)
        ]
        scanned = {str(name): rows for name, rows in scanned_by(before, self._now, self._old) if rows}
        return Effects(
            {table: lock for table, lock, _ in effects},
            tuple(table for table, _, work in effects if work == REWRITE),
            tuple(table for table, _, work in effects if work == BUILD),
            scanned,
        )
