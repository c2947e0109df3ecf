"""What MariaDB and MySQL can do, what its errors mean, how large its tables are, and the lock of its runner."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safeops.databases import server
from safeops.databases.mysql.errors import (
    CAME,
    GONE,
    KINDS,
    LOCK_FAILURES,
    NEEDED_BY_KEY,
    REFUSALS,
    REMEDIES,
    VERSIONED,
    VIOLATIONS,
    message_of,
    number_of,
)
from safeops.databases.mysql.session import described, lock_name, runner_row
from safeops.databases.server import Holder, Kind
from safeops.databases.steps import Step
from safeops.errors import InvalidArgument, SafeOpsError, UnsafeOperation
from safeops.naming import Name
from safeops.planned import ALL, BRIEFLY, LONG, ROWS, WRITES, Lock

if TYPE_CHECKING:
    from safeops.databases.mysql import MySQL


class ServerErrors(server.ServerErrors):
    """Turns the server's errors about a definition into errors that show what to do."""

    def explained(self, error: DBAPIError) -> SafeOpsError | None:
        number = number_of(error)
        if number == VERSIONED:
            return UnsafeOperation(
                f"{self.database.describe()} does not change a system-versioned table: {message_of(error)}",
                why="Its history keeps the rows as they were, in the columns of that time.",
                remedy="If the history can be changed along with the table, allow that for the session:",
                code="op.execute(\"SET SESSION system_versioning_alter_history = 'KEEP'\")",
            )
        if number not in REMEDIES:
            return None
        remedy, code = REMEDIES[number]
        asked = f"The statement is: {error.statement}" if error.statement else ""
        return InvalidArgument(
            f"{self.database.describe()} refuses this: {message_of(error)}", why=asked, remedy=remedy, code=code
        )

    def kind_of(self, error: DBAPIError) -> Kind:
        number = number_of(error)
        if error.connection_invalidated:
            return "lost"
        return next((kind for kind, numbers in KINDS.items() if number in numbers), "other")

    def is_lock_failure(self, error: BaseException) -> bool:
        return number_of(error) in LOCK_FAILURES

    def is_race(self, error: BaseException, step: Step) -> bool:
        return number_of(error) in CAME | GONE

    def is_violation(self, error: BaseException) -> bool:
        return number_of(error) in VIOLATIONS

    def is_refusal(self, error: BaseException) -> bool:
        return number_of(error) in REFUSALS

    def is_dependency(self, error: BaseException) -> bool:
        return number_of(error) == NEEDED_BY_KEY


class Abilities(server.Abilities):
    """The abilities."""

    adds_checks_online = False

    schema_is_database = True

    enforces_checks_later = True

    reflects_expressions = False

    indexes_foreign_keys = True

    foreign_keys_across_types = False

    max_identifier = 64

    counts_letters = True

    renders_column_changes_offline = False

    refuses_full_schemas = False

    statement_bound = ""
    """The session variable that bounds a statement; max_execution_time bounds SELECT alone, which no step is."""

    @property
    def has_expression_indexes(self) -> bool:  # type: ignore[override]
        return self.database.version >= (8, 0, 13) or not self.database.version

    catalogue: ClassVar[str] = "INNODB_"
    """How the views of information_schema on what InnoDB keeps begin."""

    cascades_fire_triggers = False

    compares_rows = False

    assigns_at_once = False

    isolation: ClassVar[str] = "transaction_isolation"
    """The session variable of the isolation level."""

    recordsets_since: ClassVar[tuple[int, ...]] = (8, 0, 4)
    """The version that has JSON_TABLE."""

    batch_modes: ClassVar[tuple[str, ...]] = ()
    """What SQL_MODE needs for each assignment of an UPDATE to see the row as it was.
    https://mariadb.com/kb/en/sql_mode/#simultaneous_assignment"""

    guards_natively: ClassVar[bool] = False

    grows_from: ClassVar[int] = 0
    """A VARCHAR of so many bytes cannot become one of more than 255, whose length takes a second byte."""

    grow_in_keys: ClassVar[tuple[str, ...]] = ("enum(", "set(", "varchar(", "varbinary(")
    """The types that take more values while a foreign key uses the column."""

    sees_sessions_with = "the privilege PROCESS"

    locks_referents: ClassVar[bool] = True
    """CREATE TABLE with a foreign key waits for the lock of the table that it refers to."""

    copies_for_expressions: ClassVar[bool] = True
    """ADD COLUMN copies the table if the default is an expression."""

    role_code = "GRANT ALL ON the_database.* TO the_user;  -- as an administrator"

    refusing_writes = "SET SESSION TRANSACTION READ ONLY"

    accepting_writes = "SET SESSION TRANSACTION READ WRITE"

    explaining: ClassVar[str] = "EXPLAIN FORMAT=TRADITIONAL"
    """What makes the server show its plan as a table with the share of rows that a condition leaves."""

    renames_what_is_used: ClassVar[bool] = False
    """Checks, generated columns, defaults, indexes on expressions and the partitioning follow a column to its new name."""

    copies_beside_stored: ClassVar[bool] = False
    """A table with a stored generated column is copied to make a column NOT NULL."""

    runs_blocks: ClassVar[bool] = False
    """Statements can be sent as one block, which the server completes even if the client is killed."""

    requires_values_before_triggers: ClassVar[bool] = False
    """An INSERT ... SELECT that leaves out a NOT NULL column without a default is refused before a trigger could fill it."""

    spells_defaults_by_type: ClassVar[bool] = True
    """The default of a TEXT has parentheses, that of a DATETIME(6) the digits of its time."""

    counts_errors_in_handlers: ClassVar[bool] = False
    """@@error_count shows a handler whether a warning is a refusal."""

    without_copy: ClassVar[str] = ", ALGORITHM=INPLACE"
    """Has the server refuse what would take long."""


class MariaDBAbilities(Abilities):
    """Those of MariaDB."""

    catalogue = "INNODB_SYS_"

    grows_from = 128

    grow_in_keys = ("enum(", "set(")

    guards_natively = True

    locks_referents = False

    copies_for_expressions = False

    explaining = "EXPLAIN EXTENDED"

    runs_blocks = True

    requires_values_before_triggers = True

    renames_what_is_used = True

    copies_beside_stored = True

    enforces_checks_later = False

    spells_defaults_by_type = False

    counts_errors_in_handlers = True

    without_copy = ", ALGORITHM=NOCOPY"

    isolation = "tx_isolation"

    recordsets_since = (10, 6)

    batch_modes = ("SIMULTANEOUS_ASSIGNMENT",)

    assigns_at_once = True

    has_expression_indexes = False

    statement_bound = "max_statement_time"


METADATA = Lock("the metadata of the table", ALL, BRIEFLY)
INSTANT = Lock("ALGORITHM=INSTANT", ALL, BRIEFLY)
ONLINE = Lock("ALGORITHM=INPLACE, LOCK=NONE", ALL, "briefly at its start and end")
COPY = Lock("the table, which is copied", WRITES, LONG)
BATCH = Lock("the rows of a batch", ROWS)


class Sizes(server.Sizes):
    """Sizes from MariaDB and MySQL."""

    database: MySQL

    strongest_lock = METADATA

    def estimated_rows(self, table: Name) -> int | None:
        return self.planned_rows(table, "TRUE", (), 0)

    def bytes_of(self, table: Name) -> int | None:
        sql = """SELECT DATA_LENGTH + INDEX_LENGTH FROM information_schema.TABLES
            WHERE TABLE_SCHEMA = :schema AND TABLE_NAME = :name"""
        found: Any = self.scalar(sql, schema=table.schema or self.database.current_schema, name=table.name)
        return None if found is None else int(found)

    def explain(self, sql: str) -> None:
        # In a read-only session the server does not plan an UPDATE either.
        with self.database.allowing_probes():
            super().explain(sql)

    def planned_rows(self, table: Name, condition: str, columns: Sequence[str], whole: int) -> int | None:
        plan = self.read(
            f"{self.database.abilities.explaining} SELECT 1 FROM {self.quoted_table(table)} WHERE {condition}"
        )
        found = plan[0]._mapping if plan else {}  # type: ignore[attr-defined]
        if found.get("rows") is None:
            return None
        return int(float(found["rows"]) * float(found.get("filtered") or 100) / 100)

    def bytes_of_database(self) -> int | None:
        sql = "SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
        return int(self.scalar(sql) or 0)


TABLE = "safeops_runner"
LEASE = 30.0
"""Seconds after which the lock of a runner that died is free."""
NOW = "UNIX_TIMESTAMP(SYSDATE(6))"
CREATE = f"""CREATE TABLE IF NOT EXISTS {TABLE} (name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,
  token CHAR(32), runner TEXT, lease_until DOUBLE NOT NULL) ENGINE=InnoDB"""
TAKE = f"""UPDATE {TABLE} SET token = :token, runner = :runner, lease_until = {NOW} + {LEASE}
  WHERE name = :key AND (token = :token OR lease_until < {NOW})"""
MAKE = f"INSERT INTO {TABLE} VALUES (:key, :token, :runner, {NOW} + {LEASE})"
RENEW = f"UPDATE {TABLE} SET lease_until = {NOW} + {LEASE} WHERE name = :key AND token = :token"
FREE = f"DELETE FROM {TABLE} WHERE name = :key AND token = :token"
HOLDER = f"SELECT runner FROM {TABLE} WHERE name = :key AND lease_until >= {NOW}"
EXISTS = f"""SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{TABLE}'"""


class ClusterLock:
    """One runner's lock on the database of a cluster.

    Args:
        connection: A connection of the lock's own, in autocommit; a thread renews the lease on it.
        key: The name of the lock.
    """

    def __init__(self, connection: Connection, key: str) -> None:
        self.connection, self._over = connection, threading.Event()
        self._named = {"key": key, "token": uuid.uuid4().hex}
        self._thread: threading.Thread | None = None

    def acquire(self) -> bool:
        """Take the lock; False, or an error of a duplicate row or a deadlock, if another runner has it."""
        who = f"process {os.getpid()} on {socket.gethostname()}"
        if not self.connection.scalar(sa.text(EXISTS)):
            self.connection.execute(sa.text(CREATE))
        if not (self._send(TAKE, runner=who) or self._send(MAKE, runner=who)):
            return False
        self._thread = threading.Thread(target=self._renew, name="safeops-lease", daemon=True)
        self._thread.start()
        return True

    def _renew(self) -> None:
        while not self._over.wait(LEASE / 6):
            # A failed attempt is repeated before the lease ends.
            with suppress(SQLAlchemyError):
                self._send(RENEW)

    def release(self) -> bool:
        """Release it; False if the lease had ended and another runner has taken it."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        return self._send(FREE) == 1

    def _send(self, sql: str, **values: str) -> int:
        return self.connection.execute(sa.text(sql), {**self._named, **values}).rowcount


def holder(connection: Connection, key: str) -> str | None:
    """Describe the runner that holds the lock."""
    if not connection.scalar(sa.text(EXISTS)):
        return None
    found: str | None = connection.scalar(sa.text(HOLDER), {"key": key})
    return found


# A row that another runner has written, on another node at the same time.
TAKEN = {1062, 1213}


class RunnerLock(server.RunnerLock):
    """One runner at a time."""

    database: MySQL

    _cluster_lock: ClusterLock | None = None

    def try_runner_lock(self, connection: Connection, key: str) -> bool:
        if self.database.is_clustered:
            self._cluster_lock = self._cluster_lock or ClusterLock(connection, key)
            try:
                return self._cluster_lock.acquire()
            except DBAPIError as error:
                if number_of(error) not in TAKEN:
                    raise
                return False
        # A year, the most that the server takes: the session is idle for as long as the migration runs.
        connection.execute(sa.text("SET SESSION wait_timeout = 31536000"))
        return bool(connection.scalar(sa.text("SELECT GET_LOCK(:key, 0)"), {"key": lock_name(connection, key)}))

    def release_runner_lock(self, connection: Connection, key: str) -> bool | None:
        if self._cluster_lock is not None:
            return self._cluster_lock.release()
        released = connection.scalar(sa.text("SELECT RELEASE_LOCK(:key)"), {"key": lock_name(connection, key)})
        return bool(released)

    def runner_lock_holder(self, connection: Connection, key: str) -> Holder:
        if self._cluster_lock is not None:
            known = holder(connection, key)
            return Holder.named(known) if known else super().runner_lock_holder(connection, key)
        row = runner_row(connection, key)
        return described(row) if row else super().runner_lock_holder(connection, key)
