"""A session of PostgreSQL: its timeouts, who blocks it, and whether it has it to itself, without a pooler."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from queue import Empty, SimpleQueue
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError

from safeops._sqlalchemy import is_autocommit
from safeops.databases import sqltext
from safeops.databases.connections import CONNECTING, watching
from safeops.databases.postgresql.bounds import (
    Bounded,
    bounds_of,
    pooled,
    restoring,
    send,
    text_of,
)
from safeops.databases.postgresql.sealing import sealed
from safeops.databases.postgresql.timeouts import SEES_ALL, bounds_of_step
from safeops.databases.postgresql.types import sqlstate
from safeops.databases.server import Holder, SessionSettings, Watch, in_brief
from safeops.databases.steps import Step
from safeops.errors import SafeOpsError, UnsafeOperation
from safeops.naming import Name
from safeops.planned import infinitive

log = logging.getLogger("safeops")

FORBIDDEN = "42501"
SESSION_COLUMNS = """
  a.pid, a.usename, a.application_name, coalesce(a.state, a.backend_type),
  extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.backend_start)), a.query
"""
# A prepared transaction has no session: its locks have no pid, and it blocks as pid 0.
_PREPARED = """
  NULL::integer, x.owner, x.gid, 'prepared', extract(epoch FROM clock_timestamp() - x.prepared),
  'ROLLBACK PREPARED ' || quote_literal(x.gid)
"""
# The virtual transaction is "-1/xid" only after a restart: until then it is that of the session which prepared it.
_PREPARED_LOCKS = """pg_prepared_xacts x
  JOIN pg_locks t ON t.locktype = 'transactionid' AND t.granted AND t.pid IS NULL AND t.transactionid = x.transaction
  JOIN pg_locks l ON l.pid IS NULL AND l.virtualtransaction = t.virtualtransaction"""
# A database that was cloned from another has the same tables under the same OIDs.
HERE = "l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
_ON_TABLE = f"l.granted AND l.locktype = 'relation' AND l.relation = to_regclass(:quoted) AND {HERE}"
_IN_THE_WAY = "(:readers OR l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'ShareLock'))"
BLOCKERS_OF = f"""
SELECT {SESSION_COLUMNS} FROM pg_stat_activity a WHERE a.pid = ANY (pg_blocking_pids(:pid))
UNION SELECT {_PREPARED} FROM {_PREPARED_LOCKS} JOIN pg_locks w ON w.pid = :pid AND NOT w.granted
  AND w.locktype = l.locktype AND (w.database = l.database AND w.relation = l.relation OR w.transactionid = l.transactionid)
WHERE l.granted AND (SELECT 0 = ANY (pg_blocking_pids(:pid)))
"""
HOLDERS = f"""
SELECT {SESSION_COLUMNS} FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE {_ON_TABLE} AND l.pid <> pg_backend_pid()
UNION SELECT {_PREPARED} FROM {_PREPARED_LOCKS} WHERE {_ON_TABLE}
"""
WRITERS = f"""
SELECT {SESSION_COLUMNS}, a.xact_start::text FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE {_ON_TABLE} AND l.pid <> pg_backend_pid() AND {_IN_THE_WAY} AND a.xact_start IS NOT NULL
UNION SELECT {_PREPARED}, x.gid FROM {_PREPARED_LOCKS} WHERE {_ON_TABLE} AND {_IN_THE_WAY}
"""
WITH_SNAPSHOTS = f"""
SELECT {SESSION_COLUMNS} FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_xmin IS NOT NULL
ORDER BY a.xact_start LIMIT 10
"""
SMALL = 2**20
"""Bytes of a table up to which an index build is so short that nothing is lost if a lock timeout ends it."""
SIZE = """SELECT CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(c.oid) END
FROM (SELECT set_config('lock_timeout', :bound, true)) AS bounded, pg_class c WHERE c.oid = to_regclass(:quoted)"""
SESSION = "SELECT pg_backend_pid()"
SESSION_QUERIES = 6
"""How often the second connection queries its session. A pool in transaction mode gives it the first one's, or several."""

_keeping_sessions: WeakSet[Dialect] = WeakSet()
"""The dialects, one of each engine, whose connections keep their session though they go through a pooler."""

WATCH_EVERY = 0.2
REPORT_EVERY = 10.0
"""Seconds between two lines of the log during one wait."""
LOOK = "safeops_look"
BOUNDS_OF_A_LOOK = ("lock_timeout", "statement_timeout")

# Without timeouts and transaction settings, which steps set themselves. Only superusers may repeat a superuser's settings.
SETTINGS = """SELECT name, setting FROM pg_settings
WHERE source = 'session' AND name NOT LIKE '%timeout' AND name NOT LIKE '%transaction%'
  AND name NOT IN ('application_name', 'client_encoding')
  AND (context = 'user' OR (SELECT rolsuper FROM pg_roles WHERE rolname = session_user))
ORDER BY name"""

# No view shows them. The role comes last: it might lack the right to set the others.
ROLES = "SELECT current_setting('session_authorization'), current_setting('role')"

_TABLES_HIDING_ROWS = """
SELECT n.nspname, c.relname, pg_catalog.pg_has_role(c.relowner, 'USAGE'), current_user
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relrowsecurity AND pg_catalog.row_security_active(c.oid) ORDER BY 1, 2
"""

# A pid comes again; together with the time of the connection it does not.
_SESSION_NAME = """SELECT 'pid ' || pid || ' since ' ||
  to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM pg_stat_activity"""


class Session(Bounded):
    """What PostgreSQL adds to a database for waiting, watching and locking."""

    @contextmanager
    def _setting(self, session: int, values: Mapping[str, str], own: Mapping[str, str]) -> Iterator[None]:
        """Set parameters of a session for the block, and restore its own."""
        self.set_on(session, values)
        try:
            yield
        finally:
            if not self.connection.invalidated and not self.connection.closed:
                self.set_on(session, {name: own[name] for name in values})

    def enter_autocommit(self) -> None:
        # SQLAlchemy reads the isolation level before it changes it, and pg8000 keeps the transaction that this began.
        self.raw_connection.connection.dbapi_connection.rollback()  # type: ignore[union-attr]

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
        send(self, session, text_of(self, session, values))

    def rendered_timeouts(self, lock: float, statement: float | None, step: Step) -> tuple[list[str], list[str]]:
        bounds = {**bounds_of_step(self.version, lock, statement, step), **(SEES_ALL if step.scans else {})}
        if step.outside_transaction:
            return [f"SET {name} = {value}" for name, value in bounds.items()], [f"RESET {name}" for name in bounds]
        return ["BEGIN", *(f"SET LOCAL {name} = {value}" for name, value in bounds.items())], ["COMMIT"]

    def blockers(self, tables: Sequence[Name]) -> list[Holder]:
        found = [row for name in tables for row in self.read(HOLDERS, quoted=self.quoted_table(name))]
        return described_all(found)

    @contextmanager
    def looking(self, seconds: float) -> Iterator[None]:
        if is_autocommit(self.connection):
            with restoring(self), self.timeouts(seconds, seconds, Step("")):
                yield
            return
        self.run(f"SAVEPOINT {LOOK}")
        try:
            bounds = [f"set_config('{name}', '{max(int(seconds * 1000), 1)}', true)" for name in BOUNDS_OF_A_LOOK]
            self.read(f"SELECT {', '.join(bounds)}")
            yield
        finally:
            self.run(f"ROLLBACK TO SAVEPOINT {LOOK}")
            self.run(f"RELEASE SAVEPOINT {LOOK}")

    def obstacles(self, step: Step) -> dict[Any, Holder]:
        if not step.waits_inside:
            return {}
        # A drop, which scans nothing, waits for readers too, and has marked the index invalid by then.
        readers = not step.scans
        tables = map(self.quoted_table, step.locks)
        held = [row for table in tables for row in self.look(WRITERS, quoted=table, readers=readers)]
        return {(row[0], row[-1]): described(row[:-1]) for row in held}

    def open_transactions(self) -> list[Holder]:
        return [holder.perhaps() for holder in described_all(self.read(WITH_SNAPSHOTS))]

    @contextmanager
    def watched(self, step: Step, budget: float) -> Iterator[Watch]:
        """See ``Database.watched``; a step that waits only at its start is never cancelled, just looked at."""
        pid, is_small = self._watched_session(step)
        seen = Watch(needless=is_small)

        def watch(own: Connection, over: threading.Event) -> None:
            waited, worked, reported = 0.0, 0.0, 0.0
            while not over.wait(WATCH_EVERY):
                rows = own.execute(sa.text(sealed(BLOCKERS_OF)), {"pid": pid}).all()
                waited, worked = (waited + WATCH_EVERY, worked) if rows else (0.0, worked + WATCH_EVERY)
                if rows:
                    seen.blocked_by = described_all(rows)
                if step.waits_inside and rows and waited >= reported:
                    reported = waited + REPORT_EVERY
                    log.info(
                        "waiting for older transactions to %s (%s): %.0f s left",
                        infinitive(step.does),
                        in_brief(seen.blocked_by),
                        max(budget, worked) - waited,
                    )
                # Never throw away more work than was waited for.
                if step.waits_inside and waited >= max(budget, worked):
                    seen.cancelled = True
                    own.execute(sa.text("SELECT pg_cancel_backend(:pid)"), {"pid": pid})
                    return

        with watching(self.raw_connection, watch, WATCH_EVERY if is_small else 0.0) as is_attached:
            seen.attached = step.waits_inside and not is_small and is_attached()
            yield seen

    def _watched_session(self, step: Step) -> tuple[int, bool]:
        """Return the session, and whether a step that waits inside loses little work if its lock timeout ends it."""
        session: int = bounds_of(self.raw_connection).session or self.look(SESSION)[0][0]
        if not (step.waits_inside and step.scans):
            return session, step.waits_inside
        bound = f"{int(self.lock_wait * 1000)}ms"
        sizes = [self.look(SIZE, bound=bound, quoted=self.quoted_table(table)) for table in step.locks]
        return session, all(size and size[0][0] is not None and size[0][0] <= SMALL for size in sizes)

    now = "extract(epoch FROM clock_timestamp())::float8"

    def unbounded(self) -> AbstractContextManager[None]:
        return self.timeouts(self.lock_wait, None, Step("", scans=True))

    def session_id(self) -> str:
        return str(self.read(f"{_SESSION_NAME} WHERE pid = pg_backend_pid()")[0][0])

    def is_gone(self, session: str) -> bool:
        existing = self.read(f"{_SESSION_NAME} WHERE pid = {int(session.split()[1])}")
        # Some roles see only that the sessions of others exist.
        return not existing or existing[0][0] not in (None, session)

    @contextmanager
    def read_only_session(self) -> Iterator[None]:
        setting = "default_transaction_read_only"
        before, session = self.read(f"SELECT current_setting('{setting}'), pg_backend_pid()")[0]
        self.check_session(session)
        with self._setting(session, {setting: "on"}, {setting: before}):
            yield

    def refuse_hidden_rows(self, tables: Sequence[Name]) -> None:
        meant = "WHERE c.oid IN (SELECT to_regclass(name) FROM unnest(CAST(:names AS text[])) AS named (name)) AND"
        rows = self.look(
            _TABLES_HIDING_ROWS.replace("WHERE", meant), names=[self.quoted_table(name) for name in tables]
        )
        if rows:
            raise self._hidden(rows)

    def hidden_rows(self, error: DBAPIError) -> SafeOpsError | None:
        if sqlstate(error) != FORBIDDEN:
            return None
        # Of the tables that the statement names, be it in an expression of the author's.
        named = {sqltext.unquoted(text) for _, text in sqltext.tokens(error.statement or "")}
        rows = [row for row in self.read(_TABLES_HIDING_ROWS) if row[1] in named]
        return self._hidden(rows) if rows else None

    def _hidden(self, rows: Sequence[Sequence[object]]) -> UnsafeOperation:
        schema, table, is_owner, role = rows[0]
        name = Name(str(table), str(schema))
        quoted, owner = self.quoted_table(name), self.quoted(str(role))
        grant = f"ALTER ROLE {owner} BYPASSRLS;  -- in psql, by a superuser"
        unforced = f"op.execute('ALTER TABLE {quoted} NO FORCE ROW LEVEL SECURITY')  # before; FORCE again after it"
        return UnsafeOperation(
            f"Row security of {name} applies to role {role}, so this migration might not see all of its rows.",
            why="Hidden rows would not be filled, compared or checked, and their values would be lost. PostgreSQL applies"
            " the policies to each role that has no BYPASSRLS, and with FORCE ROW LEVEL SECURITY to the owner too.",
            remedy="Run the migration with a role that sees all rows. "
            + (
                "If the application does not connect as the owner, the owner can see all rows in the meantime:"
                if is_owner
                else "Use the owner of the table, or:"
            ),
            code=f"{grant}\n{unforced}" if is_owner else grant,
        )

    def session_settings(self, *, role: bool = True) -> SessionSettings:
        settings = tuple((str(name), str(value)) for name, value in self.read(SETTINGS))
        who = zip(("session_authorization", "role"), map(str, self.read(ROLES)[0]), strict=True)
        return (*settings, *(who if role else ()))

    def apply_settings(self, session_settings: SessionSettings) -> None:
        for name, value in session_settings:
            self.read(f"SELECT set_config({self.literal(name)}, {self.literal(value)}, false)")


def described_all(rows: Sequence[Any]) -> list[Holder]:
    """Describe sessions, each once; the oldest transaction comes first."""
    return list(dict.fromkeys(map(described, sorted(rows, key=lambda row: -float(row[4] or 0)))))


def described(row: Any) -> Holder:
    """Describe a session: its pid, user, application, state, the age of its transaction, and its query."""
    pid, user, application, state, age, query = row
    shown = " ".join((query or "").split())
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    seconds = float(age or 0)
    if pid is None:
        who = f"prepared transaction {application!r}"
        return Holder(f"{who}, owner {user}, {seconds:.1f} s old: {shown} ends it", f"{who}, {seconds:.0f} s old")
    # The state of a session that only waits for its client names its transaction already.
    doing = f"{state} for" if "in transaction" in (state or "") else f"{state}, in its transaction for"
    return Holder(
        f"pid {pid}, user {user}, application {application!r}, {doing} {seconds:.1f} s, query: {shown}",
        f"pid {pid}, {application or user}, {doing} {seconds:.0f} s",
        pid,
    )


def shares_sessions(connection: Connection, session: int) -> bool:
    """Return whether statements of a connection may reach sessions that also serve other clients.

    Without a pooler, the server sends the id of the session when the client connects. A pooler sends each client a
    made-up id. Then a second connection shows which pooler it is: in transaction mode both get the same session, or
    one of them gets several. Nothing is set on any session for that.

    Args:
        connection: The connection, in autocommit.
        session: The session that its last statement has reached.
    """
    if connection.dialect in _keeping_sessions or announced_session(connection.connection.driver_connection) == session:
        return False
    others = _sessions_beside(connection)
    again = connection.execute(sa.text(SESSION)).scalar_one()
    if again != session or session in others or len(others) > 1:
        return True
    if others:
        _keeping_sessions.add(connection.dialect)
    return False


def announced_session(driver: Any) -> int | None:
    """Return the id of the session that the server sent on connecting; None if the driver does not show it."""
    if hasattr(driver, "info"):
        driver = driver.info
    for name in ("backend_pid", "get_backend_pid", "get_server_pid"):
        found = getattr(driver, name, None)
        if found is not None:
            return int(found() if callable(found) else found)
    return None


def _sessions_beside(connection: Connection) -> set[int]:
    """Return the sessions that another connection reaches in turn; none if the pool has no other to give."""
    found: SimpleQueue[set[int]] = SimpleQueue()

    def ask(own: Connection, _over: threading.Event) -> None:
        found.put({own.execute(sa.text(SESSION)).scalar_one() for _ in range(SESSION_QUERIES)})

    with watching(connection, ask) as is_attached:
        try:
            return found.get(timeout=CONNECTING) if is_attached() else set()
        except Empty:
            log.info("the pooler has no second session to give: whether it is in session mode cannot be determined")
            return set()
