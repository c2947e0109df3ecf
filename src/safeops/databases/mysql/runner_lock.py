"""The lock of MariaDB and MySQL that lets one runner at a time migrate."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safeops.databases import runner_lock
from safeops.databases.mysql.session import described, lock_name, number_of, runner_row

TABLE = "safeops_runner"
LEASE = 30.0
"""Seconds after which the lock of a runner that died is free."""
NOW = "UNIX_TIMESTAMP(SYSDATE(6))"
CREATE = f"""CREATE TABLE IF NOT EXISTS {TABLE} (name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,
  token CHAR(32), runner TEXT, lease_until DOUBLE NOT NULL) ENGINE=InnoDB"""
TAKE = f"""UPDATE {TABLE} SET token = :token, runner = :runner, lease_until = {NOW} + {LEASE}
  WHERE name = :key AND (token = :token OR lease_until < {NOW})"""
MAKE = f"INSERT INTO {TABLE} VALUES (:key, :token, :runner, {NOW} + {LEASE})"
RENEW = f"UPDATE {TABLE} SET lease_until = {NOW} + {LEASE} WHERE name = :key AND token = :token"
FREE = f"DELETE FROM {TABLE} WHERE name = :key AND token = :token"
HOLDER = f"SELECT runner FROM {TABLE} WHERE name = :key AND lease_until >= {NOW}"
EXISTS = f"""SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{TABLE}'"""


class ClusterLock:
    """One runner's lock on the database of a cluster.

    Args:
        connection: A connection of the lock's own, in autocommit; a thread renews the lease on it.
        key: The name of the lock.
    """

    def __init__(self, connection: Connection, key: str) -> None:
        self.connection, self._over = connection, threading.Event()
        self._named = {"key": key, "token": uuid.uuid4().hex}
        self._thread: threading.Thread | None = None

    def acquire(self) -> bool:
        """Take the lock; False, or an error of a duplicate row or a deadlock, if another runner has it."""
        who = f"process {os.getpid()} on {socket.gethostname()}"
        if not self.connection.scalar(sa.text(EXISTS)):
            self.connection.execute(sa.text(CREATE))
        if not (self._send(TAKE, runner=who) or self._send(MAKE, runner=who)):
            return False
        self._thread = threading.Thread(target=self._renew, name="safeops-lease", daemon=True)
        self._thread.start()
        return True

    def _renew(self) -> None:
        while not self._over.wait(LEASE / 6):
            # A failed attempt is repeated before the lease ends.
            with suppress(SQLAlchemyError):
                self._send(RENEW)

    def release(self) -> bool:
        """Release it; False if the lease had ended and another runner has taken it."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        return self._send(FREE) == 1

    def _send(self, sql: str, **values: str) -> int:
        return self.connection.execute(sa.text(sql), {**self._named, **values}).rowcount


def holder(connection: Connection, key: str) -> str | None:
    """Describe the runner that holds the lock."""
    if not connection.scalar(sa.text(EXISTS)):
        return None
    found: str | None = connection.scalar(sa.text(HOLDER), {"key": key})
    return found


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
