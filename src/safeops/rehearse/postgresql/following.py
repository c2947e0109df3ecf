"""PostgreSQL: a session's own locks, and the files and scans of the tables that it has locked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from safeops.databases.waiting import send
from safeops.rehearse import following
from safeops.rehearse.following import Effects
from safeops.review.postgresql.tracer import MODES, STRENGTH
from safeops.review.tracing import is_own

LOCKED = """SELECT n.nspname, coalesce(t.relname, c.relname), coalesce(t.oid, c.oid), l.relation, l.mode,
    pg_relation_filenode(c.oid), coalesce(pg_stat_get_xact_numscans(c.oid), 0),
    coalesce(pg_stat_get_xact_tuples_returned(c.oid), 0)
  FROM pg_locks l LEFT JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.oid = i.indrelid
  WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND (c.oid IS NULL OR
    left(n.nspname, 3) <> 'pg_' AND c.relkind IN ('r', 'p', 'm', 'i', 'I') AND n.nspname <> 'information_schema')"""
POSITION = "SELECT CAST(pg_current_wal_insert_lsn() - '0/0' AS bigint)"
TEMPORARY = "SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()"
FILES = "SELECT oid, pg_relation_filenode(oid) FROM pg_class WHERE relkind IN ('r', 'p', 'm', 'i', 'I')"
TABLES = """SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'm')"""


class Observer(following.Observer):
    """By one query of ``pg_locks`` after a statement, in its own transaction."""

    how: ClassVar[str] = (
        "The log (WAL) of a statement is all that the server wrote to it while it ran, also for the traffic. Temporary files"
        " are those that its sessions have reported."
    )

    def log_position(self) -> int | None:
        return int(send(self.database.connection, POSITION)[0][0])

    def temporary_bytes(self) -> int | None:
        return int(send(self.database.connection, TEMPORARY)[0][0])

    def begin(self) -> None:
        self._files = {int(oid): file for oid, file in send(self.database.connection, FILES)}
        self._tables = {int(oid): (schema, name) for oid, schema, name in send(self.database.connection, TABLES)}
        self._old, self._scans = frozenset(self._files), dict[int, int]()

    def after(self, sql: str) -> Effects | None:
        locks: dict[str, str] = {}
        rewrote, built = dict[str, bool](), dict[str, bool]()
        scanned: dict[str, int] = {}
        for schema, name, table, oid, mode, file, scans, rows in self._locked():
            place = f"{schema}.{name}"
            if is_own(name) or int(table) not in self._old:
                continue
            lock = MODES[mode]
            # No other session sees a new index; every query of a table locks its old ones.
            if int(oid) in self._old and STRENGTH[lock] >= STRENGTH.get(locks.get(place, ""), -1):
                locks[place] = lock
            known = self._files.get(int(oid))
            if file is not None and file != known:
                (built if oid != table else rewrote)[place] = True
                self._files[int(oid)] = file
            # The counters of a session begin again when it has reported them.
            before = self._scans.get(int(oid), 0)
            self._scans[int(oid)] = int(rows)
            if oid == table and scans and rows != before:
                scanned[place] = int(rows - before if rows > before else rows)
        return Effects(locks, tuple(rewrote), tuple(table for table in built if table not in rewrote), scanned)

    def _locked(self) -> Iterator[tuple[Any, ...]]:
        for schema, name, table, oid, *facts in send(self.database.connection, LOCKED):
            if table is not None:
                yield (schema, name, table, oid, *facts)
            elif int(oid) in self._tables:
                # Just dropped: the catalogue no longer has it, and its lock is held until the transaction ends.
                yield (*self._tables[int(oid)], oid, oid, *facts)
