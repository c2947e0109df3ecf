"""PostgreSQL: sessions that wait for locks, by ``pg_locks``."""

from __future__ import annotations

from collections.abc import Iterable

from safeops.rehearse import waits
from safeops.review.postgresql.tracer import MODES

WAITING = f"""SELECT l.pid, l.waitstart::text, extract(epoch FROM clock_timestamp() - l.waitstart)::float8,
    n.nspname, coalesce(t.relname, c.relname), l.mode, a.query, a.application_name LIKE '{waits.TRAFFIC}%',
    ARRAY(SELECT b.query FROM pg_stat_activity b WHERE b.pid = ANY (pg_blocking_pids(l.pid))
      AND b.application_name NOT LIKE '{waits.TRAFFIC}%' AND b.backend_type = 'client backend')
  FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_class c ON c.oid = l.relation
  LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.oid = i.indrelid
  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT l.granted AND l.waitstart IS NOT NULL AND a.datname = current_database()"""


class LockWaits(waits.LockWaits):
    """With the moment at which each wait began."""

    def now(self) -> Iterable[waits.Waiting]:
        for pid, start, age, schema, table, mode, sql, is_traffic, behind in self.read(WAITING):
            yield waits.Waiting(
                (pid, start),
                age,
                f"{schema}.{table}" if table else "",
                MODES.get(mode, mode),
                sql,
                is_traffic,
                tuple(behind),
            )
