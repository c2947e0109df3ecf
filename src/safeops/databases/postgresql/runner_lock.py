"""The lock of PostgreSQL that lets one runner at a time migrate."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from types import MappingProxyType

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from safeops.databases import runner_lock
from safeops.databases.postgresql.sealing import sealed
from safeops.databases.postgresql.session import RUNNER, described_runner, pooled, runner_number


class RunnerLock(runner_lock.RunnerLock):
    """One runner at a time."""

    _lock_session: int | None = None
    """The session that holds the runner lock, and what was set on it before."""

    _before_lock: Mapping[str, str] = MappingProxyType({})

    def try_runner_lock(self, connection: Connection, key: str) -> bool:
        # Polled, because a session that waits in pg_advisory_lock deadlocks with a concurrent index build.
        sql = """SELECT CASE WHEN pg_backend_pid() = :session THEN pg_try_advisory_lock(:key) END,
            pg_backend_pid(), current_setting('idle_session_timeout'), current_setting('application_name')"""
        if self._lock_session is None:
            self._lock_session = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        parameters = {"key": runner_number(key), "session": self._lock_session}
        taken, session, *before = connection.execute(sa.text(sql), parameters).one()
        if session != self._lock_session:
            raise pooled(self.database, connection)
        if taken:
            self._before_lock = dict(zip(("idle_session_timeout", "application_name"), before, strict=True))
            # The session idles for as long as the migration takes, and the lock ends with it.
            # The server keeps 63 bytes of the name.
            runner = f"safeops, pid {os.getpid()} on {socket.gethostname()}"[:63]
            self.database.set_on(session, {"idle_session_timeout": "0", "application_name": runner})
        return bool(taken)

    def release_runner_lock(self, connection: Connection, key: str) -> bool:
        # A pool may give the session to others afterwards.
        assert self._lock_session is not None
        released = connection.scalar(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": runner_number(key)})
        self.database.set_on(self._lock_session, self._before_lock)
        return bool(released)

    def runner_lock_holder(self, connection: Connection, key: str) -> str:
        row = connection.execute(sa.text(sealed(RUNNER)), {"key": runner_number(key)}).first()
        return described_runner(row) if row else super().runner_lock_holder(connection, key)
