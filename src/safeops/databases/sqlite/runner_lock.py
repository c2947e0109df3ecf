"""The lock of SQLite that lets one runner at a time migrate."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from safeops.databases import runner_lock
from safeops.databases.sqlite.runner import RunnerLock as FileLock
from safeops.databases.sqlite.session import path_of


class RunnerLock(runner_lock.RunnerLock):
    """One runner at a time."""

    _file: FileLock | None = None

    def try_runner_lock(self, connection: Connection, key: str) -> bool:
        if self._file is None:
            self._file = FileLock(path_of(connection))
        return self._file.acquire()

    def release_runner_lock(self, connection: Connection, key: str) -> None:
        if self._file is not None:
            self._file.release()

    def runner_lock_holder(self, connection: Connection, key: str) -> str:
        holder = self._file.holder() if self._file else None
        return holder or super().runner_lock_holder(connection, key)
