"""Watches a migration on SQLite: the steps of its virtual machine, and whether other connections can read and write.

A statement takes long if its steps grow with the rows of the tables, so each revision runs with few and with many.
From time to time within a statement, another connection tries to read and to write the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import sqlalchemy as sa
from tests.review.watched import MANY, Truth

from safeops.databases.statements import words_of

EVERY = 1_000
"""Steps of the virtual machine between two looks."""
GROWS = 20
"""How often the steps of few rows those of many must be; there are a hundred times as many rows."""
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'"


class Watch:
    """Follows the statements that Alembic's connection sends, and gathers the truth about them.

    Args:
        url: The database.
        smaller: The watch of the same revision with fewer rows.
    """

    def __init__(self, url: sa.URL, smaller: Watch | None = None) -> None:
        self.file, self.truth, self.smaller = str(url.database), Truth(), smaller
        self.steps: list[int] = []
        self._waits: set[str] = set()
        self._looks = self._changed = 0
        with closing(sqlite3.connect(self.file)) as connection:
            self.tables = {name for (name,) in connection.execute(_TABLES)} - {"empty_table"}

    @contextmanager
    def watching(self) -> Iterator[Truth]:
        sa.event.listen(sa.Engine, "do_execute", self._execute)
        try:
            yield self.truth
        except Exception as error:
            self.truth.error = f"{type(error).__name__}: {error}".splitlines()[0]
        finally:
            sa.event.remove(sa.Engine, "do_execute", self._execute)

    def _execute(self, cursor: Any, sql: str, parameters: Any, _context: Any) -> bool:
        if "alembic_version" in sql:
            return False
        self.steps.append(0)
        self._waits, self._looks = set(), 0
        connection = cursor.connection
        connection.set_progress_handler(self._step, EVERY)
        try:
            cursor.execute(sql, parameters)
        finally:
            connection.set_progress_handler(None, EVERY)
        self._judge(sql, cursor.rowcount)
        return True

    def _step(self) -> int:
        self.steps[-1] += EVERY
        self._looks += 1
        if self._looks <= 5 or self._looks % 50 == 0:
            self._look()
        return 0

    def _look(self) -> None:
        with closing(sqlite3.connect(self.file, timeout=0, isolation_level=None)) as other:
            for what, statement in (("reads", "SELECT 1 FROM users LIMIT 1"), ("writes", "BEGIN IMMEDIATE")):
                try:
                    other.execute(statement).fetchall()
                except sqlite3.OperationalError as error:
                    if "locked" in str(error):
                        self._waits.add(what)

    def _judge(self, sql: str, rows: int) -> None:
        named = {table for table in self.tables if table in sql} or {"users"}
        if self._waits and self._has_grown():
            self.truth.long_lock_on |= named
            self.truth.locks |= dict.fromkeys(named, " and ".join(sorted(self._waits)) + " wait")
        if words_of(sql)[0] in ("UPDATE", "DELETE"):
            self._changed += max(rows, 0)
            if self._changed >= MANY:
                self.truth.rows_locked |= named

    def _has_grown(self) -> bool:
        """Compare with the same statement on fewer rows; a loop over rows has none, and is counted by its rows."""
        before = self.smaller.steps if self.smaller is not None else []
        place = len(self.steps) - 1
        return place < len(before) and self.steps[place] >= GROWS * max(before[place], EVERY)
