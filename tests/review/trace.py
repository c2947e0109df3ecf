"""Watches a migration on PostgreSQL: the locks after each statement, and what was read, written or rewritten.

Inside a transaction the session itself is queried between its statements. In autocommit the locks are released by
then: a second session reads them continuously.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from tests.review.keys import plain

MANY = 1000
"""Rows that are too many to be read or changed while others wait."""

PAGES = 16384
"""Bytes of a relation that has more than a few rows."""

STRENGTH = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
BLOCKS_WRITES = frozenset(STRENGTH[4:])

_LOCKS = """
SELECT l.relation::bigint, l.mode FROM pg_locks l
WHERE l.pid = {pid} AND l.granted AND l.locktype = 'relation' AND l.relation >= 16384"""

_DONE = """
SELECT relid::bigint, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0), n_tup_ins, n_tup_upd + n_tup_del
FROM {view} WHERE relid >= 16384"""

_FILES = """
SELECT oid::bigint, relfilenode::bigint, pg_relation_size(oid) FROM pg_class
WHERE oid >= 16384 AND relkind IN ('r', 'i', 'm')"""

_RELATIONS = """
SELECT c.oid::bigint, c.relkind, coalesce(i.indrelid, c.oid)::bigint,
       CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.oid >= 16384 AND n.nspname !~ '^pg_' AND c.relname !~ '^alembic_version'"""

_LOCKS_ROWS = re.compile(r"\bFOR\s+(NO\s+KEY\s+)?(UPDATE|SHARE)\b", re.IGNORECASE)


@dataclass
class Truth:
    """What happened to the relations that existed before, by name."""

    locks: dict[str, str] = field(default_factory=dict)
    rewritten: set[str] = field(default_factory=set)
    long_lock_on: set[str] = field(default_factory=set)
    rows_locked: set[str] = field(default_factory=set)
    error: str | None = None

    @property
    def kinds(self) -> list[str]:
        told = {"long-lock": self.long_lock_on, "mass-dml": self.rows_locked, "fails": self.error}
        return [kind for kind, found in told.items() if found]

    def as_json(self) -> dict[str, Any]:
        return {
            "locks": dict(sorted(self.locks.items())),
            "rewritten": sorted(self.rewritten),
            "long_lock_on": sorted(self.long_lock_on),
            "rows_locked": sorted(self.rows_locked),
            "error": self.error,
            "kinds": self.kinds,
        }


class Watch:
    """Follows the statements that Alembic's connection sends, and gathers the truth about them."""

    def __init__(self, url: sa.URL, *, empty: frozenset[str] = frozenset({"empty_table"})) -> None:
        self.truth = Truth()
        self.empty = empty
        self._observer = psycopg.connect(plain(url), autocommit=True)
        rows = self._observer.execute(_RELATIONS).fetchall()
        self.names = {oid: name for oid, _, _, name in rows}
        self.kinds = {oid: kind for oid, kind, _, _ in rows}
        self.table_of = {oid: table for oid, _, table, _ in rows}
        self._sampler: _Sampler | None = None
        self._begin({})

    # --- events of SQLAlchemy

    @contextmanager
    def watching(self) -> Iterator[Truth]:
        hooks = (("before_cursor_execute", self._before), ("after_cursor_execute", self._after))
        for name, hook in hooks:
            sa.event.listen(sa.Engine, name, hook)
        try:
            yield self.truth
        except Exception as error:
            self.truth.error = re.sub(r"\n.*", "", f"{type(error).__name__}: {error}", flags=re.DOTALL)
        finally:
            for name, hook in hooks:
                sa.event.remove(sa.Engine, name, hook)
            # A statement that failed in autocommit was still watched.
            if self._sampler is not None:
                self._sampler.stop()
            self._observer.close()

    def _before(self, connection: sa.Connection, *_: Any) -> None:
        raw = _raw(connection)
        if raw.autocommit:
            self._before_autocommit(raw)
        elif raw.info.transaction_status == TransactionStatus.IDLE:
            # Counted by the session itself from the start of a transaction.
            self._begin({})

    def _after(self, connection: sa.Connection, _cursor: Any, statement: str, *_: Any) -> None:
        raw = _raw(connection)
        if raw.autocommit:
            self._after_autocommit(raw)
        elif raw.info.transaction_status == TransactionStatus.INTRANS and "alembic_version" not in statement:
            self._after_in_transaction(raw, statement)

    # --- what it means

    def _begin(self, done: dict[int, tuple[int, int, int]]) -> None:
        self._done, self._under_lock, self._changed = done, 0, {}
        self._files = self._filenodes(self._observer)

    def _after_in_transaction(self, raw: Any, statement: str) -> None:
        locks = {(oid, mode) for oid, mode in raw.execute(_LOCKS.format(pid="pg_backend_pid()"))}
        self._judge(locks, raw, self._look(raw, "pg_stat_xact_all_tables"))
        if _LOCKS_ROWS.search(statement):
            self._count_locked_rows(raw, locks)
        self._done = self._look(raw, "pg_stat_xact_all_tables")

    def _before_autocommit(self, raw: Any) -> None:
        self._begin(self._flushed(raw))
        self._sampler = _Sampler(self._observer, raw.info.backend_pid)

    def _after_autocommit(self, raw: Any) -> None:
        assert self._sampler is not None
        locks, self._sampler = self._sampler.stop(), None
        # Indexes are locked for the swap at the very end, when they are unused: the locks of the tables count.
        of_tables = {(oid, mode) for oid, mode in locks if self.table_of.get(oid) == oid}
        self._judge(of_tables, self._observer, self._flushed(raw))

    def _flushed(self, raw: Any) -> dict[int, tuple[int, int, int]]:
        """What all transactions have done: a session reports to the server only while it is idle."""
        raw.execute("SELECT pg_stat_force_next_flush()")
        time.sleep(0.01)
        return self._look(self._observer, "pg_stat_all_tables")

    def _judge(self, locks: set[tuple[int, str]], session: Any, done: dict[int, tuple[int, int, int]]) -> None:
        strong = self._note_locks(locks)
        rewritten = self._rewritten(session)
        read, inserted, changed = self._since(done)
        self.truth.rewritten |= {self.names[oid] for oid in rewritten if self.kinds[oid] != "i"}
        for oid, rows in changed.items():
            self._changed[oid] = self._changed.get(oid, 0) + rows
        self._note_many({oid for oid, rows in self._changed.items() if rows >= MANY})
        if strong:
            work = max([0, *read.values(), *inserted.values(), *changed.values()])
            self._under_lock += MANY if rewritten else work
        if self._under_lock >= MANY:
            self.truth.long_lock_on |= strong
        self._done = done

    def _note_locks(self, locks: set[tuple[int, str]]) -> set[str]:
        """Keeps the strongest lock of each table, and returns the filled ones that block a session."""
        strong = set()
        for oid, mode in sorted(locks, key=lambda lock: STRENGTH.index(lock[1])):
            table = self.table_of.get(oid)
            if table is None or (table != oid and mode != "AccessExclusiveLock"):
                continue
            name = self.names[table]
            if STRENGTH.index(mode) >= STRENGTH.index(self.truth.locks.get(name, STRENGTH[0])):
                self.truth.locks[name] = mode
            # A materialized view has readers only.
            blocking = {"AccessExclusiveLock"} if self.kinds[table] in "mv" else BLOCKS_WRITES
            if mode in blocking and name not in self.empty and self.kinds[table] in "rpmv":
                strong.add(name)
        return strong

    def _note_many(self, tables: set[int]) -> None:
        self.truth.rows_locked |= {self.names[oid] for oid in tables if oid in self.names}

    def _rewritten(self, session: Any) -> set[int]:
        now = self._filenodes(session)
        before, self._files = self._files, now
        # A new file with nothing in it is what TRUNCATE makes, at no cost.
        return {
            oid
            for oid in before.keys() & now.keys() & self.names.keys()
            if before[oid][0] != now[oid][0] and now[oid][1]
        }

    def _filenodes(self, session: Any) -> dict[int, tuple[int, bool]]:
        return {oid: (file, size > PAGES) for oid, file, size in session.execute(_FILES).fetchall()}

    def _since(self, done: dict[int, tuple[int, int, int]]) -> list[dict[int, int]]:
        return [
            {oid: counts[place] - self._done.get(oid, (0, 0, 0))[place] for oid, counts in done.items()}
            for place in range(3)
        ]

    def _count_locked_rows(self, raw: Any, locks: set[tuple[int, str]]) -> None:
        count = "SELECT count(*) FROM {} WHERE xmax = pg_current_xact_id_if_assigned()::text::xid"
        locked = {oid for oid, mode in locks if mode == "RowShareLock" and self.table_of.get(oid) == oid}
        self._note_many({oid for oid in locked if raw.execute(count.format(self.names[oid])).fetchone()[0] >= MANY})

    @staticmethod
    def _look(session: Any, view: str) -> dict[int, tuple[int, int, int]]:
        return {oid: tuple(counts) for oid, *counts in session.execute(_DONE.format(view=view)).fetchall()}


class _Sampler:
    """Looks at the locks of another session again and again."""

    def __init__(self, observer: Any, pid: int) -> None:
        self._observer, self._query = observer, _LOCKS.format(pid=pid)
        self._seen: set[tuple[int, str]] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> set[tuple[int, str]]:
        self._stopped.set()
        self._thread.join()
        return self._seen

    def _look(self) -> None:
        while not self._stopped.wait(0.001):
            self._seen.update((oid, mode) for oid, mode in self._observer.execute(self._query))


def _raw(connection: sa.Connection) -> Any:
    return connection.connection.driver_connection
