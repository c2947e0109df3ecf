"""The PostgreSQL session: its timeouts, who blocks it, and the runner lock."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases.base import Database
from safeops.databases.beside import watching
from safeops.databases.kinds import Kind
from safeops.databases.postgresql.handing import Handing
from safeops.databases.postgresql.pooling import shares_sessions
from safeops.databases.postgresql.row_security import SEES_ALL, RowSecurity
from safeops.databases.postgresql.sealing import sealed
from safeops.databases.postgresql.spelling import sqlstate
from safeops.databases.sessions import Watch
from safeops.databases.steps import Step
from safeops.errors import UnsupportedOnDatabase
from safeops.naming import Name

_SESSION = """
  a.pid, a.usename, a.application_name, coalesce(a.state, a.backend_type),
  extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.backend_start)), a.query
"""
# A prepared transaction has no session: its locks stand without a pid, and it blocks as pid 0.
_PREPARED = """
  NULL::integer, x.owner, x.gid, 'prepared', extract(epoch FROM clock_timestamp() - x.prepared),
  'ROLLBACK PREPARED ' || quote_literal(x.gid)
"""
# The virtual transaction is "-1/xid" only after a restart: until then it is that of the session which prepared it.
_PREPARED_LOCKS = """pg_prepared_xacts x
  JOIN pg_locks t ON t.locktype = 'transactionid' AND t.granted AND t.pid IS NULL AND t.transactionid = x.transaction
  JOIN pg_locks l ON l.pid IS NULL AND l.virtualtransaction = t.virtualtransaction"""
_ON_TABLE = "l.granted AND l.locktype = 'relation' AND l.relation = to_regclass(:quoted)"
_IN_THE_WAY = "(:readers OR l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'ShareLock'))"
BLOCKERS_OF = f"""
SELECT {_SESSION} FROM pg_stat_activity a WHERE a.pid = ANY (pg_blocking_pids(:pid))
UNION SELECT {_PREPARED} FROM {_PREPARED_LOCKS} JOIN pg_locks w ON w.pid = :pid AND NOT w.granted
  AND w.locktype = l.locktype AND (w.relation = l.relation OR w.transactionid = l.transactionid)
WHERE l.granted AND (SELECT 0 = ANY (pg_blocking_pids(:pid)))
"""
HOLDERS = f"""
SELECT {_SESSION} FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE {_ON_TABLE} AND l.pid <> pg_backend_pid()
UNION SELECT {_PREPARED} FROM {_PREPARED_LOCKS} WHERE {_ON_TABLE}
"""
WRITERS = f"""
SELECT {_SESSION}, a.xact_start::text FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE {_ON_TABLE} AND l.pid <> pg_backend_pid() AND {_IN_THE_WAY} AND a.xact_start IS NOT NULL
UNION SELECT {_PREPARED}, x.gid FROM {_PREPARED_LOCKS} WHERE {_ON_TABLE} AND {_IN_THE_WAY}
"""
WITH_SNAPSHOTS = f"""
SELECT {_SESSION} FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_xmin IS NOT NULL
ORDER BY a.xact_start LIMIT 10
"""
# The lock was its last statement: since then it idles, while the runner works on another session.
RUNNER = """
SELECT a.pid, a.usename, a.application_name, extract(epoch FROM clock_timestamp() - a.state_change)
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.granted AND l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND ((l.classid::bigint << 32) | l.objid::bigint) = :key AND l.objsubid = 1
"""

# SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
LOCK_FAILURES = {"55P03", "40P01"}
VIOLATIONS = {"23502", "23503", "23505", "23514", "23P01"}
DEPENDENT = "2BP01"
CANCELLED = "57014"
UNCONVERTIBLE = "42804"
# A duplicate and an undefined table, column and other object.
CAME = {"42P07", "42701", "42710"}
GONE = {"42P01", "42703", "42704"}
# An index that a constraint has already, or that is not valid yet.
NOT_READY = "55000"
# The session was ended: by an administrator, a crash, or a timeout of its own.
ENDED = {"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"}
# By the code, else by its class.
KINDS: Mapping[str, Kind] = {
    "08": "lost",
    "55P03": "held",
    "40P01": "held",
    "28": "rights",
    "42501": "rights",
    "25006": "read only",
    "53": "resources",
    "58": "resources",
    CANCELLED: "cancelled",
    "22": "values",
    "09": "rule",
    "27": "rule",
    "38": "rule",
    "39": "rule",
    "P0": "rule",
    "23": "violation",
    "44": "violation",
    DEPENDENT: "dependents",
    "0A": "unsupported",
    "54": "unsupported",
    "55": "unsupported",
    "42809": "unsupported",
    "42P16": "unsupported",
    "42": "statement",
    "3F": "statement",
}
WATCH_EVERY = 0.2


class Session(RowSecurity, Handing):
    """What PostgreSQL adds to a database for waiting, watching and locking."""

    role_code = 'connection.execute(sa.text("SET ROLE owner_of_the_tables"))\nconnection.commit()'
    _lock_session: int | None = None
    """The session that holds the runner lock, and what was set on it before."""
    _before_lock: Mapping[str, str] = MappingProxyType({})

    def kind_of(self, error: DBAPIError) -> Kind:
        code = sqlstate(error) or ""
        if error.connection_invalidated or code in ENDED:
            return "lost"
        return KINDS.get(code) or KINDS.get(code[:2], "other")

    def is_lock_failure(self, error: BaseException) -> bool:
        return sqlstate(error) in LOCK_FAILURES

    def is_cut_short(self, error: BaseException) -> bool:
        return sqlstate(error) == CANCELLED

    def is_race(self, error: BaseException, step: Step) -> bool:
        # Other statements may name things of the author's own that never were.
        needs_it = "DROP " in step.sql or "VALIDATE " in step.sql
        attaches = any(" USING INDEX " in sql for sql in (step.sql, *step.then))
        code = sqlstate(error)
        return code in CAME or (needs_it and code in GONE) or (attaches and code == NOT_READY)

    def is_violation(self, error: BaseException) -> bool:
        return sqlstate(error) in VIOLATIONS

    def is_dependency(self, error: BaseException) -> bool:
        return sqlstate(error) == DEPENDENT

    def is_unconvertible(self, error: BaseException) -> bool:
        return sqlstate(error) == UNCONVERTIBLE

    def _bounds(self, lock: float, statement: float | None, step: Step) -> dict[str, str]:
        """Return the settings of a step, in milliseconds; 0 means without bound."""
        unbounded = step.scans or step.waits_inside
        bounds = {"lock_timeout": "0" if step.waits_inside else str(max(int(lock * 1000), 1))}
        if unbounded:
            bounds["statement_timeout"] = "0"
        elif statement is not None:
            bounds["statement_timeout"] = str(max(int(_outlasting(statement, lock) * 1000), 1))
        if unbounded and self.version >= (17,):
            bounds["transaction_timeout"] = "0"
        return bounds

    @contextmanager
    def timeouts(self, lock: float, statement: float | None, step: Step) -> Iterator[None]:
        names = ["lock_timeout", "statement_timeout", *(["transaction_timeout"] if self.version >= (17,) else [])]
        names += SEES_ALL
        shown = ", ".join(f"current_setting('{name}')" for name in names)
        *before, deadlock, session = self.read(
            f"SELECT {shown}, current_setting('deadlock_timeout'), pg_backend_pid()"
        )[0]
        self.check_session(session)
        lock = _before_deadlock(lock, _seconds(deadlock), step)
        own = dict(zip(names, map(str, before), strict=True))
        bounds = {**_raised(own, lock), **self._bounds(lock, statement, step), **SEES_ALL}
        self.set_on(session, bounds)
        try:
            yield
        finally:
            if not self.connection.invalidated and not self.connection.closed:
                self.set_on(session, {name: own[name] for name in bounds})

    def session_bound(self, seconds: float) -> tuple[str, str] | None:
        own, session = self.read("SELECT current_setting('lock_timeout'), pg_backend_pid()")[0]
        self.check_session(session)
        if own != "0":
            return None
        return f"SET lock_timeout = {max(int(seconds * 1000), 1)}", "SET lock_timeout = 0"

    def check_session(self, session: int | None = None) -> None:
        if session is None:
            session = self.scalar("SELECT pg_backend_pid()")
        if shares_sessions(self.connection, session):
            raise pooled(self, self.connection)

    def set_on(self, session: int, values: Mapping[str, str]) -> None:
        """Set parameters of a session, or raise and set nothing if the statement reaches another session."""
        calls = [f"set_config('{name}', {self.literal(value)}, false)" for name, value in values.items()]
        ours = ", ".join(f"CASE WHEN pg_backend_pid() = {session} THEN {call} END" for call in calls)
        if self.read(f"SELECT {ours}, pg_backend_pid()")[0][-1] != session:
            raise pooled(self, self.connection)

    def rendered_timeouts(self, lock: float, statement: float | None, step: Step) -> tuple[list[str], list[str]]:
        bounds = {**self._bounds(lock, statement, step), **(SEES_ALL if step.scans else {})}
        if step.alone:
            return [f"SET {name} = {value}" for name, value in bounds.items()], [f"RESET {name}" for name in bounds]
        return ["BEGIN", *(f"SET LOCAL {name} = {value}" for name, value in bounds.items())], ["COMMIT"]

    def blockers(self, tables: Sequence[Name]) -> list[str]:
        found = [row for name in tables for row in self.read(HOLDERS, quoted=self.quoted_table(name))]
        return list(dict.fromkeys(map(described, found)))

    def obstacles(self, step: Step) -> dict[Any, str]:
        if not step.waits_inside:
            return {}
        # A concurrent drop waits for readers too, and has marked the index invalid by then.
        readers = step.sql.startswith("DROP INDEX")
        tables = map(self.quoted_table, step.locks)
        held = [row for table in tables for row in self.read(WRITERS, quoted=table, readers=readers)]
        return {(row[0], row[-1]): described(row[:-1]) for row in held}

    def bystanders(self) -> list[str]:
        return [f"perhaps {described(row)}" for row in self.read(WITH_SNAPSHOTS)]

    @contextmanager
    def watched(self, step: Step, budget: float) -> Iterator[Watch]:
        """See ``Database.watched``; a step that waits only at its start is never cancelled, just looked at."""
        seen = Watch()
        pid = self.scalar("SELECT pg_backend_pid()")

        def watch(own: Connection, over: threading.Event) -> None:
            waited, worked = 0.0, 0.0
            while not over.wait(WATCH_EVERY):
                rows = own.execute(sa.text(sealed(BLOCKERS_OF)), {"pid": pid}).all()
                waited, worked = (waited + WATCH_EVERY, worked) if rows else (0.0, worked + WATCH_EVERY)
                if rows:
                    seen.blocked_by = list(map(described, rows))
                # Never throw away more work than was waited for.
                if step.waits_inside and waited >= max(budget, worked):
                    seen.cancelled = True
                    own.execute(sa.text("SELECT pg_cancel_backend(:pid)"), {"pid": pid})
                    return

        with watching(self.connection, watch) as is_attached:
            seen.attached = step.waits_inside and is_attached()
            yield seen

    def try_runner_lock(self, connection: Connection, key: str) -> bool:
        # Polled, because a session that waits in pg_advisory_lock deadlocks with a concurrent index build.
        sql = """SELECT CASE WHEN pg_backend_pid() = :session THEN pg_try_advisory_lock(:key) END,
            pg_backend_pid(), current_setting('idle_session_timeout'), current_setting('application_name')"""
        if self._lock_session is None:
            self._lock_session = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        parameters = {"key": runner_number(key), "session": self._lock_session}
        taken, session, *before = connection.execute(sa.text(sql), parameters).one()
        if session != self._lock_session:
            raise pooled(self, connection)
        if taken:
            self._before_lock = dict(zip(("idle_session_timeout", "application_name"), before, strict=True))
            # The session idles for as long as the migration takes, and the lock ends with it.
            # The server keeps 63 bytes of the name.
            runner = f"safeops, pid {os.getpid()} on {socket.gethostname()}"[:63]
            self.set_on(session, {"idle_session_timeout": "0", "application_name": runner})
        return bool(taken)

    def release_runner_lock(self, connection: Connection, key: str) -> bool:
        # A pool may give the session to others afterwards.
        assert self._lock_session is not None
        released = connection.scalar(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": runner_number(key)})
        self.set_on(self._lock_session, self._before_lock)
        return bool(released)

    def runner_lock_holder(self, connection: Connection, key: str) -> str:
        row = connection.execute(sa.text(sealed(RUNNER)), {"key": runner_number(key)}).first()
        return described_runner(row) if row else super().runner_lock_holder(connection, key)


def pooled(database: Database, connection: Connection) -> UnsupportedOnDatabase:
    """Return the error of a connection whose statements reach sessions of others."""
    url = connection.engine.url.set(host="SERVER", port=5432, password=None, query={})
    return UnsupportedOnDatabase(
        "A migration was asked for over a pooler in transaction mode (PgBouncer, Supavisor or the like), the server behind"
        f" it is {database.describe()}, and it would need a direct connection.",
        why="Such a pooler gives each transaction another session of the server, which serves the application too. The"
        " settings and the migration lock of a run would end up in sessions of the application, and stay there.",
        remedy="Give Alembic the address and port of the server itself, or of a pool in session mode, and leave the"
        " application's URL as it is:",
        code=f"sqlalchemy.url = {url.render_as_string(hide_password=False)}",
    )


_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(setting: str) -> float:
    """Return the seconds of a timeout as the server shows it: 0, 300ms, 2s, 1min."""
    digits = setting.rstrip("abcdefghijklmnopqrstuvwxyz")
    return float(digits) * _UNITS.get(setting[len(digits) :], 0.001)


def _before_deadlock(lock: float, deadlock: float, step: Step) -> float:
    """Return a shorter bound for a step that waits for several tables one after the other.

    It holds the first meanwhile: an application that has locked them the other way round, and waits behind it, would be
    the one to find the deadlock, and lose. So the step ends before anybody looks for one.
    """
    many = len(set(step.locks))
    return lock if many < 2 else min(lock, 0.9 * deadlock / many)


def _outlasting(bound: float, lock: float) -> float:
    """Return a bound on a statement that counts from when it has its lock: the server counts its waiting too."""
    return bound if bound > lock else lock + bound


def _raised(own: dict[str, str], lock: float) -> dict[str, str]:
    """Return what to raise of a session's own timeouts, which would end a step before its lock timeout does."""
    bounds = {name: _seconds(setting) for name, setting in own.items() if name not in ("lock_timeout", *SEES_ALL)}
    return {name: str(int((lock + bound) * 1000)) for name, bound in bounds.items() if 0 < bound <= lock}


def runner_number(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def described_runner(row: Any) -> str:
    """Describe who holds the lock of runners: its pid, user, application, and for how long."""
    pid, user, application, age = row
    # Since when, others' sessions tell only those who may see them.
    since = "" if age is None else f", for {float(age):.1f} s"
    return f"pid {pid}, user {user}, application {application!r}{since}"


def described(row: Any) -> str:
    """Describe a session: its pid, user, application, state, the age of its transaction, and its query."""
    pid, user, application, state, age, query = row
    shown = " ".join((query or "").split())
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    if pid is None:
        return f"prepared transaction {application!r}, owner {user}, {float(age or 0):.1f} s old: {shown} ends it"
    who = f"pid {pid}, user {user}, application {application!r}, {state}"
    return f"{who}, in its transaction for {float(age or 0):.1f} s, query: {shown}"
