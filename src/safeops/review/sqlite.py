"""SQLite: whether the server accepts a statement, and how long the file was held. Each writer locks the whole file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from safeops.databases.statements import Kind, kind_of, words_of
from safeops.judging.sqlite.truths import BLOCKS, RESERVED
from safeops.judging.truths import BUILD, CATALOGUE, NO_WORK, REWRITE, ROWS, SCAN, Measured
from safeops.naming import Name
from safeops.review import tracing

FILE = Name("main")
TABLES = "SELECT name, rootpage FROM sqlite_master WHERE type = 'table'"
WORK = {"CREATE": BUILD, "REINDEX": BUILD, "UPDATE": ROWS, "DELETE": ROWS, "INSERT": ROWS, "VACUUM": REWRITE}
"""What a statement does that reads a table in sequence, by its first word."""


@dataclass(frozen=True)
class Before:
    """A statement that is about to run: its transaction, and the tables that it will read in sequence."""

    transaction: object
    sql: str
    reads: tuple[str, ...] = ()
    is_held: bool = False


class Tracer(tracing.Tracer):
    """Records errors, and tries whether another session can write; truths have the work."""

    locks_file = True
    _holds = False

    def begin(self, sql: str, parameters: Any) -> Before:
        driver: Any = self.database.connection.connection.driver_connection
        transaction = None if getattr(driver, "isolation_level", "") is None else "open"
        if not self.samples:
            return Before(transaction, sql)
        if self.old is None:
            self.old = {page: name for name, page in self._asked(TABLES)}
        return Before(transaction, sql, tuple(dict.fromkeys(self._loops(sql, parameters))), self._is_held())

    def end(self, before: Before) -> Measured:
        if not self.samples:
            return Measured(exact=False)
        scanned = tuple(Name(name) for name in before.reads if not tracing.is_own(name))
        writes, self._holds = kind_of(before.sql) is Kind.WRITES, self._is_held()
        if not writes and (before.is_held or not self._holds):
            return Measured(scanned=scanned)
        return Measured(((FILE, RESERVED, _work(before, writes=writes)),), scanned=scanned)

    def holds(self, before: Before) -> bool:
        return self._holds

    def blocked(self, table: Name, lock: str) -> str:
        return BLOCKS[lock]

    def transaction(self, before: Before) -> object:
        return before.transaction

    def is_of_the_copy(self, before: Before, error: BaseException) -> bool:
        missing = "no such table" in str(error) and not self._has_tables()
        return missing or isinstance(error, sqlite3.IntegrityError)

    def _has_tables(self) -> bool:
        return not all(tracing.is_own(name) for name, _ in self._asked(TABLES))

    def _loops(self, sql: str, parameters: Any) -> Iterator[str]:
        """Yield each table over whose rows a statement loops, by the steps that the virtual machine would do."""
        with suppress(Exception):
            # When a table is renamed for a rebuild, its page stays, and its name is that of the new one.
            known = frozenset(self.old.values())
            tables = {page: name if name in known else self.old.get(page) for name, page in self._asked(TABLES)}
            opened: dict[int, int] = {}
            for _, step, first, second, *_ in self._asked(f"EXPLAIN {sql}", parameters):
                if step in ("OpenRead", "OpenWrite"):
                    opened[first] = second
                elif step == "Rewind" and (table := tables.get(opened.get(first, 0))):
                    yield table

    def _is_held(self) -> bool:
        """Return whether another session must wait to write."""
        file = next((row[2] for row in self._asked("PRAGMA database_list") if row[1] == "main"), "")
        if not file:
            return False
        with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            other.execute("ROLLBACK")
        return False

    def _asked(self, sql: str, parameters: Any = ()) -> list[Any]:
        with closing(self.database.connection.connection.cursor()) as cursor:
            cursor.execute(sql, parameters or ())
            return list(cursor.fetchall())


def _work(before: Before, *, writes: bool) -> str:
    if not writes:
        return SCAN if before.reads else NO_WORK
    if not before.reads:
        return CATALOGUE
    return WORK.get(next(iter(words_of(before.sql)), ""), REWRITE)
