"""The lock of MariaDB and MySQL that lets one runner at a time migrate."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases import runner_lock
from safeops.databases.mysql.cluster import ClusterLock, holder
from safeops.databases.mysql.session import described, lock_name, number_of, runner_row

# A row that another runner has written, on another node at the same time.
TAKEN = {1062, 1213}


class RunnerLock(runner_lock.RunnerLock):
    """One runner at a time."""

    _cluster_lock: ClusterLock | None = None

    def try_runner_lock(self, connection: Connection, key: str) -> bool:
        if self.database.is_clustered:
            self._cluster_lock = self._cluster_lock or ClusterLock(connection, key)
            try:
                return self._cluster_lock.acquire()
            except DBAPIError as error:
                if number_of(error) not in TAKEN:
                    raise
                return False
        # A year, the most that the server takes: the session is idle for as long as the migration runs.
        connection.execute(sa.text("SET SESSION wait_timeout = 31536000"))
        return bool(connection.scalar(sa.text("SELECT GET_LOCK(:key, 0)"), {"key": lock_name(connection, key)}))

    def release_runner_lock(self, connection: Connection, key: str) -> bool | None:
        if self._cluster_lock is not None:
            return self._cluster_lock.release()
        released = connection.scalar(sa.text("SELECT RELEASE_LOCK(:key)"), {"key": lock_name(connection, key)})
        return bool(released)

    def runner_lock_holder(self, connection: Connection, key: str) -> str:
        if self._cluster_lock is not None:
            return holder(connection, key) or super().runner_lock_holder(connection, key)
        row = runner_row(connection, key)
        return described(row) if row else super().runner_lock_holder(connection, key)
