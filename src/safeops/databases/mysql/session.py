"""The session on MariaDB and MySQL: its timeouts, who blocks it, and the runner lock."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases.base import Database
from safeops.databases.mysql.errors import NAME_TAKEN, NO_TRIGGERS, name_taken, number_of, triggers_not_allowed
from safeops.databases.ports import PortAttribute
from safeops.databases.server import Holder, SessionSettings
from safeops.databases.steps import Step
from safeops.naming import Name, fitting
from safeops.plan_mode import current_dry_run
from safeops.planned import could_not

if TYPE_CHECKING:
    from safeops.databases.mysql import Abilities

# Session variables on which the meaning of a statement depends.
TEXTS = ("@@SESSION.sql_mode", "@@SESSION.time_zone")
HANDED = (*TEXTS, "@@SESSION.foreign_key_checks", "@@SESSION.unique_checks")

_WHO = "p.ID, p.USER, p.HOST, CONCAT(p.COMMAND, IF(COALESCE(p.STATE, '') = '', '', CONCAT(', ', p.STATE)))"
_SESSION = f"""{_WHO},
  COALESCE(TIMESTAMPDIFF(SECOND, x.trx_started, NOW()), p.TIME), p.INFO, x.trx_started IS NOT NULL"""
_TRANSACTIONS = "LEFT JOIN information_schema.INNODB_TRX x ON x.trx_mysql_thread_id = p.ID"
# What an account without PROCESS can see: its own sessions.
_SESSION_ALONE = f"{_WHO}, p.TIME, p.INFO, FALSE"
# They need a plugin of MariaDB, an instrument that is enabled (on MySQL it always is), and SELECT on performance_schema.
BY_PLUGIN = f"""SELECT DISTINCT {_SESSION} FROM information_schema.METADATA_LOCK_INFO m
  JOIN information_schema.PROCESSLIST p ON p.ID = m.THREAD_ID {_TRANSACTIONS}
  WHERE m.TABLE_SCHEMA = :schema AND m.TABLE_NAME = :name AND p.ID <> CONNECTION_ID()"""
BY_INSTRUMENT = f"""SELECT DISTINCT {_SESSION} FROM performance_schema.metadata_locks m
  JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID
  JOIN information_schema.PROCESSLIST p ON p.ID = t.PROCESSLIST_ID {_TRANSACTIONS}
  WHERE m.OBJECT_SCHEMA = :schema AND m.OBJECT_NAME = :name AND m.LOCK_STATUS = 'GRANTED' AND p.ID <> CONNECTION_ID()"""
# Without PROCESS.
BY_THREADS = """SELECT DISTINCT t.PROCESSLIST_ID, t.PROCESSLIST_USER, t.PROCESSLIST_HOST,
  CONCAT(t.PROCESSLIST_COMMAND, IF(COALESCE(t.PROCESSLIST_STATE, '') = '', '', CONCAT(', ', t.PROCESSLIST_STATE))),
  t.PROCESSLIST_TIME, t.PROCESSLIST_INFO, FALSE
  FROM performance_schema.metadata_locks m JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID
  WHERE m.OBJECT_SCHEMA = :schema AND m.OBJECT_NAME = :name AND m.LOCK_STATUS = 'GRANTED'
  AND t.PROCESSLIST_ID <> CONNECTION_ID()"""
CANDIDATES = f"""SELECT {_SESSION} FROM information_schema.PROCESSLIST p
  JOIN information_schema.INNODB_TRX x ON x.trx_mysql_thread_id = p.ID
  WHERE p.ID <> CONNECTION_ID() ORDER BY x.trx_started"""
CONNECTED = f"""SELECT {_SESSION} FROM information_schema.PROCESSLIST p {_TRANSACTIONS}
  WHERE p.DB = DATABASE() AND p.ID <> CONNECTION_ID() ORDER BY p.TIME DESC LIMIT 5"""
RUNNER = f"""SELECT {_SESSION} FROM information_schema.PROCESSLIST p {_TRANSACTIONS}
  WHERE p.ID = IS_USED_LOCK(:key)"""
# No row, or an error, for an account that cannot see the sessions of others.
# https://mariadb.com/kb/en/information-schema-innodb_cmp-table/
SEES_ALL = "SELECT COUNT(*) FROM information_schema.INNODB_CMP"
PROGRAMS = """SELECT ATTR_VALUE FROM performance_schema.session_connect_attrs
  WHERE PROCESSLIST_ID = :id AND ATTR_NAME = 'program_name'"""


class RowsFound(Exception):
    """Rows violate a new foreign key: the same error, with its number, as the server raises."""


class Session(Database):
    """What MariaDB and MySQL add to a database for waiting, watching and locking."""

    abilities: PortAttribute[Abilities]

    @property
    def current_schema(self) -> str | None:
        schema: str | None = self.scalar("SELECT DATABASE()")
        return schema

    @property
    def home(self) -> str | None:
        return None if self.offline else self.current_schema

    def quoted_here(self, name: Name) -> str:
        """Quote a name for the body of a trigger or view, which the server keeps as it is sent."""
        return self.quoted_table(name.at(self.home))

    def session_settings(self, *, role: bool = True) -> SessionSettings:
        schema, taken, *values = self.read(f"SELECT DATABASE(), CURRENT_ROLE(), {', '.join(HANDED)}")[0]
        found = dict(zip(HANDED, map(str, values), strict=True))
        if schema is not None:
            found["USE"] = self.quoted(schema)
        # MariaDB shows the name of a role as it is, MySQL the list as SET ROLE takes it; NULL and NONE are none.
        if role:
            found["SET ROLE"] = self.role_text(taken) if taken and taken != "NONE" else "NONE"
        return tuple(found.items())

    def apply_settings(self, session_settings: SessionSettings) -> None:
        for name, value in session_settings:
            given = self.literal(value) if name in TEXTS else value
            self.run(f"SET {name} = {given}" if name in HANDED else f"{name} {value}")

    def role_text(self, role: str) -> str:
        """Return a role as SET ROLE takes it, from what CURRENT_ROLE() shows."""
        return role

    @property
    def is_clustered(self) -> bool:
        """Return whether the server is a node of a Galera cluster, whose locks and sessions are its own."""
        found = self.read("SHOW GLOBAL VARIABLES WHERE Variable_name = 'wsrep_on'")
        return bool(found) and str(found[0][1]).upper() == "ON"

    def execute(self, step: Step) -> bool:
        if step.finds_violations:
            self._check_rows(step)
            return True
        try:
            return super().execute(step)
        except DBAPIError as error:
            if number_of(error) == NO_TRIGGERS:
                kept = "What was finished before is kept; running again continues from there."
                raise triggers_not_allowed(could_not(step.does), state=kept) from error
            if number_of(error) in NAME_TAKEN or (number_of(error) == 1005 and "errno: 121" in str(error)):
                raise name_taken(step) from error
            raise

    def _check_rows(self, step: Step) -> None:
        if self.read(step.sql):
            for sql in step.then:
                self.run(sql)
            raise sa.exc.IntegrityError(step.sql, None, RowsFound(1452, "rows break it"))

    def _bounds(self, lock: float, statement: float | None, step: Step) -> dict[str, str]:
        """Return the session variables of a step. The server counts lock timeouts in whole seconds."""
        seconds = str(max(math.ceil(lock), 1))
        bounds = {"lock_wait_timeout": seconds, "innodb_lock_wait_timeout": seconds}
        if self.abilities.statement_bound and (step.scans or statement is not None):
            bounds[self.abilities.statement_bound] = "0" if step.scans else f"{statement:.6f}"
        return {**bounds, **dict(step.variables)}

    @contextmanager
    def timeouts(self, lock: float, statement: float | None, step: Step) -> Iterator[None]:
        with self.setting(self._bounds(lock, statement, step)):
            yield

    @contextmanager
    def setting(self, values: dict[str, str]) -> Iterator[None]:
        """Set session variables for the block, and restore on every path what was set before."""
        before = self.read("SELECT " + ", ".join(f"@@SESSION.{name}" for name in values))[0]
        self._set(values)
        try:
            yield
        finally:
            if not self.connection.invalidated and not self.connection.closed:
                self._set({name: self._value(value) for name, value in zip(values, before, strict=True)})

    def _set(self, values: dict[str, str]) -> None:
        self.run("SET SESSION " + ", ".join(f"{name} = {value}" for name, value in values.items()))

    def _value(self, value: Any) -> str:
        return self.literal(value) if isinstance(value, str) else str(value)

    def session_bound(self, seconds: float) -> tuple[str, str] | None:
        own, server = self.read("SELECT @@SESSION.lock_wait_timeout, @@GLOBAL.lock_wait_timeout")[0]
        bound = max(math.ceil(seconds), 1)
        if own != server or own <= bound:
            return None
        return f"SET SESSION lock_wait_timeout = {bound}", f"SET SESSION lock_wait_timeout = {own}"

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Bound how long a query waits for locks: the server's own default is a day."""
        with self.setting({"lock_wait_timeout": str(max(math.ceil(self.lock_wait), 1))}):
            yield

    def bounded_read(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        with self.bounded():
            return self.read(sql, **parameters)

    def rendered_timeouts(self, lock: float, statement: float | None, step: Step) -> tuple[list[str], list[str]]:
        bounds = self._bounds(lock, statement, step)
        saved = ", ".join(f"@safeops_{name} = @@SESSION.{name}" for name in bounds)
        given = ", ".join(f"{name} = {value}" for name, value in bounds.items())
        restored = ", ".join(f"{name} = @safeops_{name}" for name in bounds)
        return [f"SET {saved}", f"SET SESSION {given}"], [f"SET SESSION {restored}"]

    # Who blocks -------------------------------------------------------------------------------------------------

    def blockers(self, tables: Sequence[Name]) -> list[Holder]:
        holders = [session for name in tables for session in self._holders(name)]
        if holders:
            return list(dict.fromkeys(holders))
        candidates = [one.perhaps("it has a transaction open") for one in self.described_sessions(CANDIDATES)]
        if not candidates:
            candidates = [one.perhaps("it uses this database") for one in self.described_sessions(CONNECTED)]
        return [*candidates, *self._unseen()]

    def _unseen(self) -> list[Holder]:
        """Return which privilege lets this account see the sessions of others, if it does not see them."""
        if self.sees_all_sessions():
            return []
        user, _, host = str(self.scalar("SELECT CURRENT_USER()")).rpartition("@")
        account = f"{self.literal(user)}@{self.literal(host)}"
        others = "perhaps sessions of other accounts, which this account cannot see"
        return [Holder(f"{others}: GRANT PROCESS ON *.* TO {account}", others)]

    def sees_all_sessions(self) -> bool:
        try:
            return bool(self.scalar(SEES_ALL))
        except DBAPIError:
            if self.connection.invalidated:
                raise
            return False

    def _holders(self, name: Name) -> list[Holder]:
        schema = name.schema or self.current_schema
        queries = (BY_PLUGIN, BY_INSTRUMENT, BY_THREADS)
        answers = (self.described_sessions(query, schema=schema, name=name.name) for query in queries)
        return next((sessions for sessions in answers if sessions), [])

    def described_sessions(self, query: str, **parameters: Any) -> list[Holder]:
        for allowed in dict.fromkeys((query, alone(query))):
            try:
                return [described(row, self._program(row[0])) for row in self.read(allowed, **parameters)]
            except DBAPIError:
                # The plugin is not installed, or the account lacks the privilege.
                continue
        return []

    def _program(self, session: int) -> str:
        try:
            return self.scalar(PROGRAMS, id=session) or ""
        except DBAPIError:
            return ""

    now = "UNIX_TIMESTAMP(SYSDATE(6))"

    def session_id(self) -> str:
        return f"connection {self.scalar('SELECT CONNECTION_ID()')}"

    def is_gone(self, session: str) -> bool:
        # Each node of a cluster has its own list, so only the lease is reliable.
        if self.is_clustered:
            return False
        return not self.read("SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = :id", id=int(session.split()[1]))

    @contextmanager
    def read_only_session(self) -> Iterator[None]:
        variable = self._read_only_variable()
        before = self.scalar(f"SELECT @@SESSION.{variable}")
        self.run(self.abilities.refusing_writes)
        try:
            yield
        finally:
            if not self.connection.invalidated and not self.connection.closed:
                self.run(self.abilities.refusing_writes if before else self.abilities.accepting_writes)

    @contextmanager
    def allowing_probes(self) -> Iterator[None]:
        if current_dry_run() is None:
            yield
            return
        self.run(self.abilities.accepting_writes)
        try:
            yield
        finally:
            self.run(self.abilities.refusing_writes)

    def _read_only_variable(self) -> str:
        found = self.read("SHOW VARIABLES WHERE Variable_name IN ('tx_read_only', 'transaction_read_only')")
        return str(found[0][0])


def alone(query: str) -> str:
    """Return a query of sessions without their transactions, which only an account with PROCESS can see."""
    return query.replace(_SESSION, _SESSION_ALONE).replace(_TRANSACTIONS, "")


def runner_row(connection: Connection, key: str) -> Any:
    """Return the session that holds the runner lock; None if there is none, or this account cannot see it."""
    parameters = {"key": lock_name(connection, key)}
    try:
        return connection.execute(sa.text(RUNNER), parameters).first()
    except DBAPIError:
        return connection.execute(sa.text(alone(RUNNER)), parameters).first()


def lock_name(connection: Connection, key: str) -> str:
    # All databases of a server share the names of these locks.
    return fitting(key, str(connection.scalar(sa.text("SELECT DATABASE()"))), max_bytes=64)


def described(row: Any, program: str = "") -> Holder:
    """Describe a session: its id, user, host and program, state, the age of its transaction, and its query."""
    session, user, host, state, age, query, in_transaction = row
    shown = " ".join((query or "").split())
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    application = f", application {program!r}" if program else ""
    doing = f"{state}, in its transaction for" if in_transaction else f"{state} for"
    return Holder(
        f"session {session}, user {user}, host {host}{application}, {doing} {age} s, query: {shown}",
        f"session {session}, {program or user}, {doing} {age} s",
    )
