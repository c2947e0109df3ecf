"""Watches a migration on MariaDB or MySQL: by which algorithm tables change, which sessions wait, which rows are locked.

A change of a table is requested with the least blocking algorithms first; the server rejects an impossible one at
once. While other statements run, and while LOCK TABLES lasts, other sessions try to read and to write. What a statement
works on is counted by the server's handlers, and the rows that it locks by the transactions of InnoDB.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pymysql
import sqlalchemy as sa
from tests.review.watched import MANY, Truth

from safeops.databases.statements import words_of
from safeops.review.mysql.ways import changed_table, tried_way

_HANDLERS = "SHOW SESSION STATUS WHERE Variable_name IN ('Handler_read_rnd_next', 'Handler_read_next', 'Handler_write')"
_LOCKED = "SELECT trx_rows_locked FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = %s"
_TABLES = """SELECT TABLE_NAME FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME <> 'alembic_version'"""
_ROWS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "CALL"})


class Watch:
    """Runs the statements of Alembic's connection in its place, and gathers the truth about them."""

    def __init__(self, url: sa.URL, *, empty: frozenset[str] = frozenset({"empty_table"})) -> None:
        self.url, self.truth = url, Truth()
        self._observer = _connect(url)
        self.tables = {name for (name,) in _read(self._observer, _TABLES)} - empty
        self._locked_tables: set[str] = set()

    @contextmanager
    def watching(self) -> Iterator[Truth]:
        sa.event.listen(sa.Engine, "do_execute", self._execute)
        try:
            yield self.truth
        except Exception as error:
            self.truth.error = f"{type(error).__name__}: {error}".splitlines()[0]
        finally:
            sa.event.remove(sa.Engine, "do_execute", self._execute)
            self._observer.close()

    def _execute(self, cursor: Any, sql: str, parameters: Any, _context: Any) -> bool:
        named = {table for table in self.tables if table in sql}
        if "alembic_version" in sql or not (named or self._locked_tables or "CALL" in sql):
            return False
        before = self._handlers(cursor)
        watched = self._locked_tables if words_of(sql)[0] in _ROWS else named | self._locked_tables
        with Others(self.url, watched) as others:
            self._run(cursor, sql, parameters)
        if self._handlers(cursor) - before >= MANY and others.hindered:
            self.truth.long_lock_on |= others.hindered
        self._note_rows(cursor, sql, named)
        self._note_locked_tables(sql, named)
        return True

    def _run(self, cursor: Any, sql: str, parameters: Any) -> None:
        table = changed_table(sql)
        way = tried_way(lambda text: cursor.execute(text, parameters), sql) if table is not None else None
        if way is None:
            cursor.execute(sql, parameters)
            self._note_asked(sql, table.name if table is not None else "")
        elif table is not None and table.name in self.tables:
            self._note_way(table.name, way.algorithm, way.lock)

    def _note_asked(self, sql: str, table: str) -> None:
        """The algorithm and the lock that a statement itself requests, and gets."""
        words = list(words_of(sql))
        asked = {word: words[place + 2] for place, word in enumerate(words[:-2]) if word in ("ALGORITHM", "LOCK")}
        if asked and table in self.tables:
            copies = asked.get("ALGORITHM") == "COPY"
            self._note_way(table, asked.get("ALGORITHM", "INPLACE"), asked.get("LOCK", "SHARED" if copies else "NONE"))

    def _note_way(self, table: str, algorithm: str, lock: str) -> None:
        plain = "INPLACE" if algorithm == "NOCOPY" else algorithm
        self.truth.locks[table] = f"ALGORITHM={plain}" + (f", LOCK={lock}" if lock else "")
        if lock in ("SHARED", "EXCLUSIVE"):
            self.truth.long_lock_on.add(table)

    def _note_rows(self, cursor: Any, sql: str, named: set[str]) -> None:
        locked = _read(self._observer, _LOCKED, cursor.connection.thread_id())
        if locked and int(locked[0][0]) >= MANY:
            self.truth.rows_locked |= named or {"users"}

    def _note_locked_tables(self, sql: str, named: set[str]) -> None:
        words = list(words_of(sql))
        if words[:2] == ["LOCK", "TABLES"]:
            self._locked_tables = named
        elif words[:2] == ["UNLOCK", "TABLES"]:
            self._locked_tables = set()

    def _handlers(self, cursor: Any) -> int:
        with cursor.connection.cursor() as own:
            own.execute(_HANDLERS)
            return sum(int(value) for _, value in own.fetchall())


class Others:
    """Two sessions a table for the length of a block: one reads, one writes, again and again.

    `hindered` are the tables on which one of them waited for most of the block, and not only briefly.
    """

    def __init__(self, url: sa.URL, tables: set[str]) -> None:
        self.hindered: set[str] = set()
        self._waits = dict.fromkeys(tables, 0.0)
        self._since: dict[int, tuple[str, float]] = {}
        self._over = threading.Event()
        statements = [(table, sql) for table in sorted(tables) for sql in (f"SELECT 1 FROM `{table}` LIMIT 1",)]
        statements += [(table, f"DELETE FROM `{table}` WHERE id = -1") for table in sorted(tables)]
        self._threads = [
            threading.Thread(target=self._try, args=(_connect(url), *each), daemon=True) for each in statements
        ]

    def __enter__(self) -> Others:
        for thread in self._threads:
            thread.start()
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        length = time.monotonic() - self._began
        self._over.set()
        for table, since in list(self._since.values()):
            # A session that waits for LOCK TABLES keeps waiting.
            self._waits[table] = max(self._waits[table], time.monotonic() - since)
        self.hindered = {table for table, wait in self._waits.items() if wait > max(0.5 * length, 0.02)}

    def _try(self, connection: Any, table: str, sql: str) -> None:
        with suppress(pymysql.err.MySQLError), connection, connection.cursor() as cursor:
            while not self._over.is_set():
                began = time.monotonic()
                self._since[threading.get_ident()] = table, began
                cursor.execute(sql)
                cursor.fetchall()
                self._since.pop(threading.get_ident())
                self._waits[table] = max(self._waits[table], time.monotonic() - began)
                time.sleep(0.001)


def _connect(url: sa.URL) -> Any:
    options = {"read_timeout": 30, "autocommit": True, "ssl_disabled": True}
    password = url.password or ""
    return pymysql.connect(
        host=url.host, port=url.port or 3306, user=url.username, password=password, database=url.database, **options
    )


def _read(connection: Any, sql: str, *values: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
