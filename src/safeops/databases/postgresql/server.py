"""What PostgreSQL can do, what its errors mean, how large its tables are, and the lock of its runner."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases import server
from safeops.databases.postgresql.bounds import pooled
from safeops.databases.postgresql.sealing import sealed
from safeops.databases.postgresql.session import FORBIDDEN, HERE
from safeops.databases.postgresql.types import sqlstate
from safeops.databases.server import Holder, Kind
from safeops.databases.steps import Step
from safeops.naming import Name
from safeops.planned import ALL, BRIEFLY, NO_LOCK, NOTHING, WRITES, Lock

if TYPE_CHECKING:
    from safeops.databases.postgresql import PostgreSQL

# SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
LOCK_FAILURES = {"55P03", "40P01"}
VIOLATIONS = {"23502", "23503", "23505", "23514", "23P01"}
DEPENDENT = "2BP01"
CANCELLED = "57014"
DOES_NOT_EXIST = {"42P01", "42703", "42704"}
_CODES: Mapping[Kind, tuple[str, ...]] = {
    # The last six: an administrator, a crash or a session timeout ended the session.
    "lost": ("08", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04"),
    "held": ("55P03", "40P01"),
    "rights": ("28", FORBIDDEN),
    "read only": ("25006",),
    "resources": ("53", "58"),
    "cancelled": (CANCELLED,),
    "values": ("22",),
    "rule": ("09", "27", "38", "39", "P0"),
    "violation": ("23", "44"),
    "dependents": (DEPENDENT,),
    "unsupported": ("0A", "54", "55", "42809", "42P16"),
    "statement": ("42", "3F"),
}
KINDS = {code: kind for kind, codes in _CODES.items() for code in codes}
"""The kind of an error by its code, or else by the class of its code, the first two characters."""

# A duplicate and an undefined table, column and other object.
ALREADY_EXISTS = {"42P07", "42701", "42710"}

# An index that a constraint has already, or that is not valid yet.
INDEX_NOT_READY = "55000"

UNCONVERTIBLE = "42804"


class ServerErrors(server.ServerErrors):
    """By the SQLSTATE of an error."""

    def kind_of(self, error: DBAPIError) -> Kind:
        if error.connection_invalidated:
            return "lost"
        code = sqlstate(error) or ""
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
        return code in ALREADY_EXISTS or (needs_it and code in DOES_NOT_EXIST) or (attaches and code == INDEX_NOT_READY)

    def is_violation(self, error: BaseException) -> bool:
        return sqlstate(error) in VIOLATIONS

    def is_dependency(self, error: BaseException) -> bool:
        return sqlstate(error) == DEPENDENT

    def is_unconvertible(self, error: BaseException) -> bool:
        return sqlstate(error) == UNCONVERTIBLE


class Abilities(server.Abilities):
    """What PostgreSQL can do."""

    validates_constraints_later = True

    has_named_types = True

    has_exclusion_constraints = True

    names_indexes_of_keys = True

    has_deferrable_keys = True

    has_deferrable_foreign_keys = True

    ties_foreign_keys = True

    has_partial_indexes = True

    merges_equal_keys = True

    sees_sessions_with = "the role pg_monitor (or pg_read_all_stats), and track_activities on"

    has_row_security = True

    role_code = 'connection.execute(sa.text("SET ROLE owner_of_the_tables"))\nconnection.commit()'

    refusing_writes = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"

    accepting_writes = "RESET default_transaction_read_only"


ACCESS_EXCLUSIVE = Lock("ACCESS EXCLUSIVE", ALL, BRIEFLY)
SHARE_ROW_EXCLUSIVE = Lock("SHARE ROW EXCLUSIVE", WRITES, BRIEFLY)
SHARE = Lock("SHARE", WRITES, BRIEFLY)
SHARE_UPDATE_EXCLUSIVE = Lock("SHARE UPDATE EXCLUSIVE", NOTHING)


PARTITIONS = """SELECT n.nspname, c.relname FROM pg_partition_tree(to_regclass(:table)) p
    JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.level > 0 ORDER BY 1, 2"""


class Sizes(server.Sizes):
    """By the planner and the catalogue."""

    database: PostgreSQL

    strongest_lock = ACCESS_EXCLUSIVE

    def bytes_of(self, archive: Name) -> int | None:
        size: Any = self.scalar(f"SELECT pg_total_relation_size({self.database.ddl.regclass(archive)})")
        return None if size is None else int(size)

    def estimated_rows(self, table: Name) -> int | None:
        # The planner uses the current number of pages; the catalogue may have none yet.
        plan = self.scalar(f"EXPLAIN SELECT 1 FROM {self.quoted_table(table)}")
        rows = re.search(r"rows=(\d+)", str(plan))
        return int(rows[1]) if rows else None

    def partitions_locked(self, step: Step) -> tuple[Name, ...]:
        tables = () if step.skips_partitions or step.lock is NO_LOCK else step.locks
        rows = [row for table in tables for row in self.read(PARTITIONS, table=self.quoted_table(table))]
        return tuple(Name(name, schema) for schema, name in rows)

    def planned_rows(self, table: Name, condition: str, columns: Sequence[str], whole: int) -> int | None:
        sql = """SELECT count(DISTINCT attname) FROM pg_stats WHERE tablename = :table
            AND CASE WHEN :schema = '' THEN schemaname = ANY (current_schemas(false)) ELSE schemaname = :schema END
            AND attname = ANY (:columns)"""
        known = self.scalar(sql, table=table.name, schema=table.schema or "", columns=list(columns))
        if known < len(columns):
            # Of a column that it knows nothing of, as one that is new, the planner takes one row in 200 to be NULL.
            return whole
        plan = self.scalar(f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {self.quoted_table(table)} WHERE {condition}")
        return int((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]["Plan Rows"])

    def bytes_of_database(self) -> int | None:
        return int(self.scalar("SELECT pg_database_size(current_database())"))


# The lock was its last statement: since then it idles, while the runner works on another session.
RUNNER = f"""
SELECT a.pid, a.usename, a.application_name, extract(epoch FROM clock_timestamp() - a.state_change)
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.granted AND l.locktype = 'advisory' AND {HERE}
  AND ((l.classid::bigint << 32) | l.objid::bigint) = :key AND l.objsubid = 1
"""


class RunnerLock(server.RunnerLock):
    """An advisory lock of a separate session."""

    database: PostgreSQL

    _lock_session: int | None = None
    """The session that holds the runner lock, and what was set on it before."""

    _before_lock: Mapping[str, str] = MappingProxyType({})

    def try_runner_lock(self, connection: Connection, key: str) -> bool:
        # Polled, because a session that waits in pg_advisory_lock deadlocks with a concurrent index build.
        sql = """SELECT CASE WHEN pg_backend_pid() = :session THEN pg_try_advisory_lock(:key) END,
            pg_backend_pid(), current_setting('idle_session_timeout'), current_setting('application_name')"""
        if self._lock_session is None:
            self._lock_session = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        parameters = {"key": runner_number(key), "session": self._lock_session}
        taken, session, *before = connection.execute(sa.text(sql), parameters).one()
        if session != self._lock_session:
            raise pooled(self.database, connection)
        if taken:
            self._before_lock = dict(zip(("idle_session_timeout", "application_name"), before, strict=True))
            # The session idles for as long as the migration takes, and the lock ends with it.
            # The server keeps 63 bytes of the name.
            runner = f"safeops, pid {os.getpid()} on {socket.gethostname()}"[:63]
            self.database.set_on(session, {"idle_session_timeout": "0", "application_name": runner})
        return bool(taken)

    def release_runner_lock(self, connection: Connection, key: str) -> bool:
        # A pool may give the session to others afterwards.
        assert self._lock_session is not None
        released = connection.scalar(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": runner_number(key)})
        self.database.set_on(self._lock_session, self._before_lock)
        return bool(released)

    def runner_lock_holder(self, connection: Connection, key: str) -> Holder:
        row = connection.execute(sa.text(sealed(RUNNER)), {"key": runner_number(key)}).first()
        return described_runner(row) if row else super().runner_lock_holder(connection, key)


def runner_number(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def described_runner(row: Any) -> Holder:
    """Describe who holds the lock of runners: its pid, user, application, and for how long."""
    pid, user, application, age = row
    # Roles that cannot see other sessions do not see the time.
    since = "" if age is None else f", for {float(age):.1f} s"
    return Holder.named(f"pid {pid}, user {user}, application {application!r}{since}")
