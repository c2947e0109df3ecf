"""How busy PostgreSQL is."""

from __future__ import annotations

from safeops.backfilling import load
from safeops.backfilling.load import Replica

# A transaction sees the sessions as they were when it first looked, unless told to look again.
# https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-STATS-VIEWS
LOOK_AGAIN = "SELECT pg_stat_clear_snapshot()"
# Of a session that this user may not see, the state and the kind are NULL; without track_activities it is "disabled".
ACTIVE = """
SELECT count(*) FILTER (WHERE state IN ('active', 'fastpath function call') AND backend_type = 'client backend'),
  count(*) FILTER (WHERE backend_type IS NULL OR (backend_type = 'client backend' AND state = 'disabled'))
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# Subscribers of logical replication have a database, replicas have none. A base backup is neither, nor is who writes the log
# to files and replays nothing, such as pg_receivewal.
# https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW
REPLICAS = """
SELECT CASE WHEN r.application_name IN ('', 'walreceiver') THEN coalesce(host(r.client_addr), 'walreceiver')
    ELSE r.application_name END,
  r.state, CAST(r.replay_lsn - '0/0' AS bigint), CAST(extract(epoch FROM r.replay_lag) AS float)
FROM pg_stat_replication r JOIN pg_stat_activity a ON a.pid = r.pid
WHERE a.datid IS NULL AND r.state IS DISTINCT FROM 'backup' AND (r.replay_lsn IS NOT NULL OR r.write_lsn IS NULL)
"""
# What was flushed is what replicas can have.
POSITION = "SELECT CAST(pg_current_wal_flush_lsn() - '0/0' AS bigint)"
CLUSTER = "SELECT system_identifier FROM pg_control_system()"
AS_REPLICA = f"SELECT pg_is_in_recovery(), CAST(pg_last_wal_replay_lsn() - '0/0' AS bigint), ({CLUSTER})"


class Load(load.Load):
    """See ``safeops.backfilling.load``. Positions are bytes of the write-ahead log."""

    def active_sessions(self) -> tuple[int, float]:
        self.read(LOOK_AGAIN)
        active, hidden = map(int, self.read(ACTIVE)[0])
        return active, active + hidden

    def log_position(self) -> int:
        return int(self.scalar(POSITION))

    def cluster(self) -> str:
        return str(self.scalar(CLUSTER))

    def replicas(self) -> list[Replica]:
        self.read(LOOK_AGAIN)
        return [_connected(*row) for row in self.read(REPLICAS)]

    def as_replica(self, name: str) -> Replica:
        in_recovery, position, cluster = self.read(AS_REPLICA)[0]
        if not in_recovery:
            return Replica(name, unknown="it is not in recovery, so it is no replica")
        if position is None:
            return Replica(name, unknown="it has replayed nothing yet")
        return Replica(name, position, cluster=str(cluster))


def _connected(name: str, state: str | None, position: int | None, lag: float | None) -> Replica:
    if state is None:
        return Replica(name, unknown="this user may not see how far it is, which needs the role pg_monitor")
    if position is None:
        return Replica(name, unknown=f"it has not told how far it is, and is in state {state}")
    return Replica(name, position, lag)
