"""SQLite: whether the server accepts a statement. Each one locks the whole file, so tables are not observed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from safeops.judging.truths import Measured
from safeops.review import tracing


class Tracer(tracing.Tracer):
    """Records errors; truths have the work."""

    def begin(self, sql: str, parameters: Any) -> object:
        driver: Any = self.database.connection.connection.driver_connection
        return None if getattr(driver, "isolation_level", "") is None else "open"

    def end(self, before: object) -> Measured:
        return Measured(exact=False)

    def transaction(self, before: object) -> object:
        return before

    def is_of_the_copy(self, before: object, error: BaseException) -> bool:
        missing = "no such table" in str(error) and not self._has_tables()
        return missing or isinstance(error, sqlite3.IntegrityError)

    def _has_tables(self) -> bool:
        with closing(self.database.connection.connection.cursor()) as cursor:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return not all(tracing.is_own(name) for (name,) in cursor.fetchall())
