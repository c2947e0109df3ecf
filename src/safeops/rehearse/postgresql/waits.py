"""PostgreSQL: sessions that wait for locks, and the strong ones of the migration, by ``pg_locks``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from safeops.databases.waiting import send
from safeops.rehearse import waits
from safeops.review.postgresql.state import MODES, STRENGTH

WEAK = ", ".join(f"'{mode}'" for mode, lock in MODES.items() if STRENGTH[lock] <= STRENGTH["ROW EXCLUSIVE"])
# Few locks are waited for or strong: only for these the catalogue is read, which can be large.
SEEN = f"""WITH l AS MATERIALIZED (
    SELECT granted, pid, waitstart, relation, mode FROM pg_locks WHERE pid <> pg_backend_pid() AND (waitstart IS NOT NULL
      OR granted AND locktype = 'relation' AND mode NOT IN ({WEAK})))
  SELECT l.granted, l.pid, l.waitstart::text, extract(epoch FROM clock_timestamp() - l.waitstart)::float8,
    n.nspname, coalesce(t.relname, c.relname), l.mode, a.query, a.application_name LIKE '{waits.TRAFFIC}%',
    CASE WHEN l.granted THEN '{{}}' ELSE
      ARRAY(SELECT b.query FROM pg_stat_activity b WHERE b.pid = ANY (pg_blocking_pids(l.pid))
        AND b.application_name NOT LIKE '{waits.TRAFFIC}%' AND b.backend_type = 'client backend') END
  FROM l JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_class c ON c.oid = l.relation
  LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.oid = i.indrelid
  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE a.datname = current_database() AND (NOT l.granted OR left(n.nspname, 3) <> 'pg_' AND i.indexrelid IS NULL
    AND a.application_name NOT LIKE '{waits.TRAFFIC}%' AND a.backend_type = 'client backend')"""


class LockWaits(waits.LockWaits):
    """With the moment at which each wait began."""

    def now(self) -> Iterable[waits.Waiting | waits.Held]:
        # As plain text: what SQLAlchemy does for each statement would take longer than the server.
        rows: Iterable[Any] = send(self.database.connection, SEEN)
        for granted, pid, start, age, schema, table, mode, sql, is_traffic, behind in rows:
            place = f"{schema}.{table}" if table else ""
            if granted:
                yield waits.Held(place, MODES.get(mode, mode))
            else:
                yield waits.Waiting((pid, start), age, place, MODES.get(mode, mode), sql, is_traffic, tuple(behind))
