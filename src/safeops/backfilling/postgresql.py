"""Batches on PostgreSQL, and the load of its server."""

from __future__ import annotations

import datetime
import enum
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from safeops.backfilling import port
from safeops.backfilling.port import NewValues, Replica, Target
from safeops.databases.definitions import Column
from safeops.databases.postgresql.types import sqlstate
from safeops.databases.steps import Step
from safeops.naming import Name

# https://www.postgresql.org/docs/current/errcodes-appendix.html
SERIALIZATION_FAILURE = "40001"


class Batches(port.Batches):
    """See ``safeops.backfilling.port``."""

    def key_text(self, column: Column) -> str:
        name = self.quoted(column.name)
        # As text a date or a time depends on the session's DateStyle; in JSON it does not.
        return f"to_json({name}) #>> '{{}}'" if re.match(r"date|time", column.type) else f"{name}::text"

    def key_literal(self, column: Column, text: str) -> str:
        return f"{self.literal(text)}::{column.type}"

    def session(self) -> AbstractContextManager[None]:
        return self.database.timeouts(self.database.lock_wait, None, Step(""))

    def rendered_session(self) -> tuple[list[str], list[str]]:
        return ["SET row_security = off"], ["RESET row_security"]

    @contextmanager
    def transaction(self, lock_timeout: float, flush: bool) -> Iterator[None]:
        settings = {
            "lock_timeout": f"{max(int(lock_timeout * 1000), 1)}ms",
            # Without statistics the planner may take a range of several columns for a large part of the table.
            "enable_seqscan": "off",
            "idle_in_transaction_session_timeout": "0",
            **({} if flush else {"synchronous_commit": "off"}),
        }
        chosen = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
        with self.database.transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"):
            self.read(f"SELECT {chosen}")
            yield

    def as_records(self, target: Target, rows: NewValues) -> tuple[str, Sequence[str], Sequence[str]]:
        names, width, columns = target.names, len(target.key), [*target.key, *target.columns]
        types = ", ".join(f"{name} {column.type}" for name, column in zip(names, columns, strict=True))
        records = self.json_records(target, rows, _encoded)
        return f"json_to_recordset({records}) AS safeops_values ({types})", names[:width], names[width:]

    def is_transient(self, error: BaseException) -> bool:
        return super().is_transient(error) or sqlstate(error) == SERIALIZATION_FAILURE

    def lock_and_count(self, table: Name, condition: str) -> int:
        rows = f"SELECT 1 FROM {self.quoted_table(table)} WHERE {condition} FOR NO KEY UPDATE"
        return int(self.scalar(f"SELECT count(*) FROM ({rows}) safeops_rows"))


def _encoded(value: Any, _column: Column | None = None) -> Any:
    """Return a value for JSON; types that JSON lacks become text that the server reads."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"\\x{bytes(value).hex()}"
    if isinstance(value, dict):
        return {str(name): _encoded(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return list(map(_encoded, value))
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    # Infinity and NaN have no JSON; repr() keeps every digit of a float.
    return value if isinstance(value, float) and math.isfinite(value) else str(value)


# A transaction sees the sessions as of its first query of them, until this call.
# https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-STATS-VIEWS
LOOK_AGAIN = "SELECT pg_stat_clear_snapshot()"
# The state and the kind of a hidden session are NULL; without track_activities the state is "disabled".
ACTIVE = """
SELECT count(*) FILTER (WHERE state IN ('active', 'fastpath function call') AND backend_type = 'client backend'),
  count(*) FILTER (WHERE backend_type IS NULL OR (backend_type = 'client backend' AND state = 'disabled'))
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# Subscribers of logical replication have a database, replicas have none. A base backup is neither, and pg_receivewal writes
# the log to files and replays nothing.
# https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW
REPLICAS = """
SELECT CASE WHEN r.application_name IN ('', 'walreceiver') THEN coalesce(host(r.client_addr), 'walreceiver')
    ELSE r.application_name END,
  r.state, CAST(r.replay_lsn - '0/0' AS bigint), CAST(extract(epoch FROM r.replay_lag) AS float)
FROM pg_stat_replication r JOIN pg_stat_activity a ON a.pid = r.pid
WHERE a.datid IS NULL AND r.state IS DISTINCT FROM 'backup' AND (r.replay_lsn IS NOT NULL OR r.write_lsn IS NULL)
"""
# Replicas receive only what was flushed.
POSITION = "SELECT CAST(pg_current_wal_flush_lsn() - '0/0' AS bigint)"
CLUSTER = "SELECT system_identifier FROM pg_control_system()"
AS_REPLICA = f"SELECT pg_is_in_recovery(), CAST(pg_last_wal_replay_lsn() - '0/0' AS bigint), ({CLUSTER})"


class ServerLoad(port.ServerLoad):
    """See ``safeops.backfilling.port``. Positions are bytes of the write-ahead log."""

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
            return Replica(name, unknown="it is not in recovery, so it is not a replica")
        if position is None:
            return Replica(name, unknown="it has replayed nothing yet")
        return Replica(name, position, cluster=str(cluster))


def _connected(name: str, state: str | None, position: int | None, lag: float | None) -> Replica:
    if state is None:
        return Replica(name, unknown="this user cannot see its lag: grant it the role pg_monitor")
    if position is None:
        return Replica(name, unknown=f"it has not reported its position, and is in state {state}")
    return Replica(name, position, lag)
