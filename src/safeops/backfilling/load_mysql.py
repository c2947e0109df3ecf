"""How busy MariaDB and MySQL is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from sqlalchemy.exc import DBAPIError

from safeops.backfilling import load
from safeops.backfilling.load import Replica
from safeops.databases.mysql.session import number_of

# The appliers of a replica work as "system user".
ACTIVE = """SELECT COUNT(*) FROM information_schema.PROCESSLIST
  WHERE DB = DATABASE() AND ID <> CONNECTION_ID() AND COMMAND NOT IN ('Sleep', 'Daemon') AND USER <> 'system user'"""
# The first is MariaDB's, with every source that it has; the next MySQL's from 8.0.22 on; the last that of older ones.
# https://mariadb.com/kb/en/show-replica-status/ https://dev.mysql.com/doc/refman/8.4/en/show-replica-status.html
STATUS = ("SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS")
SYNTAX_ERROR = 1064


class Load(load.Load):
    """See ``safeops.backfilling.load``. The primary knows who reads its log, but not what of it was applied."""

    def active_sessions(self) -> tuple[int, float]:
        active = int(self.scalar(ACTIVE))
        return active, active if self.database.sees_all_sessions() else float("inf")

    def replicas(self) -> NoReturn:
        raise self.database.unsupported(
            "replica_lag without urls",
            "a primary that knows how far its replicas are",
            "Name the replicas, each by a user that may see its state (REPLICATION CLIENT, on MariaDB SLAVE MONITOR):",
            'replica_lag(10, urls=["mysql+pymysql://user:password@replica/database"])',
        )

    def as_replica(self, name: str) -> Replica:
        sources = self._sources()
        if not sources:
            return Replica(name, unknown="it is not a replica, or nothing shows that it is")
        lags = list(map(_seconds_behind, sources))
        known = [lag for lag in lags if lag is not None]
        if len(known) < len(lags):
            return Replica(name, unknown=f"its replication does not run{_error_of(sources)}")
        return Replica(name, lag=max(known))

    def _sources(self) -> Sequence[Mapping[str, Any]]:
        *newer, oldest = STATUS
        for statement in newer:
            try:
                return self._mappings(statement)
            except DBAPIError as error:
                if number_of(error) != SYNTAX_ERROR:
                    raise
        return self._mappings(oldest)

    def _mappings(self, statement: str) -> Sequence[Mapping[str, Any]]:
        result = self.database.connection.exec_driver_sql(statement)
        return [dict(row) for row in result.mappings()]


def _seconds_behind(source: Mapping[str, Any]) -> float | None:
    """Return the lag behind one source; None where the server does not say, or what it says is about old log only."""
    runs = [str(value) == "Yes" for key, value in source.items() if key.endswith(("_IO_Running", "_SQL_Running"))]
    lag = next((value for key, value in source.items() if key.startswith("Seconds_Behind")), None)
    return float(lag) if lag is not None and all(runs) else None


def _error_of(sources: Sequence[Mapping[str, Any]]) -> str:
    errors = [str(one[key]) for one in sources for key in ("Last_IO_Error", "Last_SQL_Error") if one.get(key)]
    return f": {errors[0]}" if errors else ""
