"""What PostgreSQL leaves of a concurrent build that is stopped: an index that is not valid."""

from __future__ import annotations

from safeops.databases.statements import words_of
from safeops.testing import halfway

END = """SELECT pg_catalog.pg_terminate_backend(waits.pid) FROM pg_catalog.pg_locks waits
  JOIN pg_catalog.pg_locks own ON own.virtualxid = waits.virtualxid
  WHERE own.pid = pg_catalog.pg_backend_pid() AND own.granted AND NOT waits.granted"""


class Halfway(halfway.Halfway):
    """By a snapshot: a concurrent build waits for all sessions that have an older one."""

    isolation_level = "REPEATABLE READ"

    @classmethod
    def leaves_half(cls, sql: str) -> bool:
        words = words_of(sql)
        return words[:1] == ("CREATE",) and "CONCURRENTLY" in words[2:4]

    def hold(self) -> None:
        self.scalar("SELECT 1")

    def end_waiting(self) -> bool:
        return bool(self.read(END))
