"""MariaDB and MySQL: by which algorithm and under which lock the server changes a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from safeops.databases.driver_text import driver_text
from safeops.databases.statements import Kind, kind_of, names_in, words_of
from safeops.judging.mysql.truths import BLOCKS
from safeops.judging.truths import CATALOGUE, ROWS, Measured
from safeops.naming import Name
from safeops.planned import ALL, NOTHING, WRITES
from safeops.review import tracing
from safeops.review.mysql.files import Files
from safeops.review.mysql.metadata_locks import (
    BLOCKING,
    BRIEF_METADATA,
    ENABLE,
    HELD,
    INSTRUMENT,
    LIMIT,
    MODES,
    READER,
    STRONG,
    WAYS_ONLY,
    WRITER,
    lock_of,
    locked_tables,
)
from safeops.review.mysql.ways import Way, changed_table, requested_way, tried_way
from safeops.review.sampling import Questions, Sampler

CHANGING = frozenset({("UPDATE",), ("DELETE",), ("REPLACE",)})
KEEPING = CHANGING | {("INSERT",), ("SELECT",), ("WITH",)}
"""First words of statements that do not commit: their locks are held until the transaction ends."""
PREFIX = re.compile(r"^\s*SET\s+STATEMENT\b.*?\sFOR\s+", re.IGNORECASE | re.DOTALL)
"""Variables of one statement, on MariaDB."""
LOCK_TABLES = ("LOCK", "TABLES")
LOCKS = {"LOCK=SHARED": WRITES, "LOCK=EXCLUSIVE": ALL}
TABLES = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"


@dataclass
class Change:
    """A statement before it runs, or after a successful request."""

    transaction: object
    sql: str = ""
    table: Name | None = None
    way: Way | None = None
    is_done: bool = False
    seconds: float = 0.0
    files: Files | None = None
    sampler: Sampler | None = None


def _work(change: Change, table: str, after: Files | None) -> str | None:
    """Return what has been done to a table; None if the account cannot see it."""
    if change.files is None or after is None:
        return None
    return CATALOGUE if "TRUNCATE" in words_of(change.sql) else change.files.work(table, after)


class Tracer(tracing.Tracer):
    """Finds the algorithm of a change by requesting the least blocking one first."""

    def begin(self, sql: str, parameters: Any) -> Change:
        home, inner = self.database.connection.dialect.default_schema_name, PREFIX.sub("", sql)
        table, way = changed_table(inner), requested_way(inner)
        change = Change(None if self._is_autocommit() else "open", inner, table and table.at(home), way)
        change.files = Files.read(self._rows) if table is not None or self.samples else None
        if self.samples:
            with suppress(Exception):
                self._watch(change)
        if change.table is not None and change.way is None:
            change.way = tried_way(lambda text: self._timed(change, text, parameters), sql)
            change.is_done = change.way is not None
        return change

    def is_done(self, before: Change) -> bool:
        return before.is_done

    def seconds(self, before: Change) -> float:
        return before.seconds

    def end(self, before: Change) -> Measured:
        seen = before.sampler.stop() if before.sampler is not None else set()
        sampled = before.sampler is not None and before.sampler.works
        after = Files.read(self._rows) if before.files is not None else None
        if before.way is None or before.table is None or not (self.samples or before.is_done):
            effects = tuple(self._effects(before, seen, after))
            return Measured(effects, exact=False, sampled=sampled)
        work = _work(before, before.table.name, after) or before.way.work
        others = [each for each in self._effects(before, seen, after) if each[0].name != before.table.name]
        return Measured(((before.table, str(before.way), work), *others), sampled=bool(others))

    def _effects(
        self, change: Change, seen: set[tuple[str, str]], after: Files | None
    ) -> Iterator[tuple[Name, str, str]]:
        """Yield each table that was there before the revision, with its lock and the work on it."""
        words, old = words_of(change.sql), self.old or frozenset()
        if words[:2] == LOCK_TABLES:
            yield from ((Name(table), lock, CATALOGUE) for table, lock in locked_tables(change.sql) if table in old)
            return
        for table in sorted(table for table in {table for table, _ in seen} & old if not tracing.is_own(table)):
            modes = {mode for name, mode in seen if name == table}
            work = ROWS if words[:1] in CHANGING else _work(change, table, after) or CATALOGUE
            lock = lock_of(modes, MODES if words[:1] in KEEPING else BLOCKING, work)
            if lock:
                yield Name(table), lock, work

    def failed(self, before: Change, error: BaseException) -> Measured:
        if before.sampler is not None:
            before.sampler.stop()
        return super().failed(before, error)

    def _not_shown(self) -> str:
        try:
            [(enabled,)] = self._rows(INSTRUMENT)
            shown = [row[0] for row in self._rows("SELECT @@performance_schema")] == [1] and enabled == "YES"
        except Exception:
            return f"This account cannot read performance_schema, so metadata locks are not shown. {WAYS_ONLY}"
        if shown:
            return ""
        return f"The server does not record metadata locks, so they are not shown. {WAYS_ONLY} To record them: {ENABLE}"

    def holds(self, before: Change) -> bool:
        words = words_of(before.sql)
        return words[:2] == LOCK_TABLES or (before.transaction is not None and words[:1] in KEEPING)

    def concerns(self, sql: str) -> bool:
        return kind_of(PREFIX.sub("", sql)) is Kind.WRITES and not names_in(sql).isdisjoint(self.old or ())

    def blocked(self, table: Name, lock: str) -> str:
        named = next((blocked for ending, blocked in LOCKS.items() if lock.endswith(ending)), NOTHING)
        return BLOCKS.get(lock, named)

    def blocks_briefly(self, table: Name, lock: str) -> bool:
        # An online change too has the metadata lock at its beginning and its end.
        return self.blocked(table, lock) != NOTHING or "LOCK=" in lock or lock == BRIEF_METADATA

    def _watch(self, change: Change) -> None:
        if self.old is None:
            self.home = str(self.database.connection.dialect.default_schema_name)
            self.old = frozenset(name for (name,) in self._rows(TABLES))
            self.unseen = self._not_shown()
        if kind_of(change.sql) is Kind.WRITES and not self.unseen:
            change.sampler = Sampler(self.database.connection, self._questions(change.sql))

    def _questions(self, sql: str) -> Questions:
        """Return the queries for the time of a statement, and which tables to hold up."""
        [(session,)] = self._rows("SELECT CONNECTION_ID()")
        locks, words = HELD.format(session=int(session)), words_of(sql)
        [(patience,)] = self._rows("SELECT @@SESSION.lock_wait_timeout")
        waits = words[:1] not in KEEPING and "NOWAIT" not in words and int(patience) > 0
        tables = {name: self.quoted(name) for name in sorted(names_in(sql) & self.old) if waits}
        writers, readers = ({one: sql.format(table=table) for one, table in tables.items()} for sql in (WRITER, READER))
        return Questions(locks, LIMIT, writers, readers, STRONG, frozenset(BLOCKING))

    def transaction(self, before: Change) -> object:
        return before.transaction

    def is_of_the_copy(self, before: Change, error: BaseException) -> bool:
        number = next(iter(getattr(error, "args", ())), None)
        return number in OF_THE_COPY or (number in MISSING and not self._has_tables())

    def _has_tables(self) -> bool:
        with closing(self.database.connection.connection.cursor()) as cursor:
            cursor.execute("SHOW TABLES")
            return not all(tracing.is_own(str(name)) for (name,) in cursor.fetchall())

    def _is_autocommit(self) -> bool:
        driver: Any = self.database.connection.connection.dbapi_connection
        for name in ("get_autocommit", "autocommit"):
            found = getattr(driver, name, None)
            if found is not None:
                return bool(found() if callable(found) else found)
        return False

    def _timed(self, change: Change, sql: str, parameters: Any) -> None:
        began = perf_counter()
        connection = self.database.connection
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute(driver_text(sql, parameters, connection.dialect), parameters)
        change.seconds = perf_counter() - began

    def _rows(self, sql: str) -> list[Any]:
        with closing(self.database.connection.connection.cursor()) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


# Rights, values of rows, foreign keys without their row, plug-ins, what a trigger raises, a lock, a full disk.
OF_THE_COPY = frozenset(
    (1044, 1045, 1142, 1143, 1227, 1048, 1062, 1216, 1217, 1264, 1366, 1406, 1451, 1452, 1524, 1644, 1205, 1213, 1114)
)
"""The numbers of errors that rows, privileges or the machine can cause."""
MISSING = frozenset({1051, 1054, 1072, 1091, 1146, 1176})
"""The numbers of errors about a missing table, column or index."""
