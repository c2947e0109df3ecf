"""How MariaDB and MySQL keep new rows filled: a trigger before INSERT and one before UPDATE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from safeops.databases import triggers
from safeops.databases.definitions import Table
from safeops.databases.mysql import spelling
from safeops.databases.mysql.errors import NO_TRIGGERS, number_of, triggers_not_allowed
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import FILLS, Filler
from safeops.errors import UnsafeOperation
from safeops.naming import Name, fitting
from safeops.plan_mode import current_dry_run

if TYPE_CHECKING:
    from safeops.databases.mysql import MySQL

DENIED = 1142
PROBE = "safeops_unknown"
"""A name of nothing: of no table, and of no column."""


class Triggers(triggers.Triggers):
    """The plans for triggers that fill. The server runs the triggers of an event in the order in which they were made."""

    database: MySQL

    def check_triggers(self, feature: str, table: Name, *, locks_table: bool) -> None:
        if locks_table and self.database.is_clustered:
            raise self.database.unsupported(
                feature,
                "LOCK TABLES that holds on every node: in a Galera cluster it holds on one, and can stop all others",
                "Change the table in place by op.alter_column() while no application is connected.",
            )
        if current_dry_run() is not None:
            # A plan sends nothing that would make anything, and may run under another account.
            return
        with self.logging_rows():
            error = self._trigger_refused(table)
        if error is not None and number_of(error) == NO_TRIGGERS:
            raise triggers_not_allowed(f"{feature} needs triggers") from error
        if error is not None:
            raise _not_granted(feature, table) from error

    @contextmanager
    def logging_rows(self) -> Iterator[None]:
        """Have the binary log take rows, if it takes statements: with those the server writes nothing at READ COMMITTED."""
        logs, kind = self.read("SELECT @@GLOBAL.log_bin, @@SESSION.binlog_format")[0]
        if not logs or kind != "STATEMENT":
            yield
            return
        with ExitStack() as stack:
            try:
                stack.enter_context(self.database.setting({"binlog_format": "'ROW'"}))
            except DBAPIError as error:
                raise _logs_statements(error) from error
            yield

    def _trigger_refused(self, table: Name) -> DBAPIError | None:
        """Try to create an impossible trigger: the server checks the account first."""
        # A table that does not exist is locked by nothing; the right on all tables of the schema suffices for it.
        error = self._tried(Name(PROBE, table.schema))
        return self._tried(table) if error and number_of(error) == DENIED else error

    def _tried(self, table: Name) -> DBAPIError | None:
        trigger = self.quoted_table(Name(PROBE, table.schema))
        head = f"CREATE TRIGGER {trigger} BEFORE INSERT ON {self.quoted_table(table)} FOR EACH ROW"
        try:
            with self.database.bounded():
                self.run(f"{head} SET NEW.{self.quoted(PROBE)} = 1")
        except DBAPIError as error:
            if error.connection_invalidated or self.database.errors.is_lock_failure(error):
                raise
            return error if number_of(error) in (NO_TRIGGERS, DENIED) else None
        return None

    def fill_new_rows(self, filler: Filler, table: Table | None) -> Plan:
        name, body = filler.table, self._body(filler)
        existing = self.fillers(name, filler.column)
        for event in EVENTS:
            trigger = _named(name, filler.column, event)
            if existing.get(trigger) == body:
                continue
            if trigger in existing:
                yield self.dropped(name, trigger, filler.column)
            quoted = self.database.quoted_here(Name(trigger, name.schema))
            # Two runners at once may both have found none.
            create = "CREATE OR REPLACE" if self.database.abilities.guards_natively else "CREATE"
            sql = f"{create} TRIGGER {quoted} BEFORE {event} ON {self.database.quoted_here(name)} FOR EACH ROW {body}"
            yield Step(sql, f"created the fill trigger of {name}.{filler.column} ({event})", (name,))

    def _body(self, filler: Filler) -> str:
        column = f"NEW.{self.quoted(filler.column)}"
        value = spelling.without_comments(self.filled_query(filler))
        # The write is the application's: without the column it would have succeeded.
        return (
            "BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;"
            f" IF {column} IS NULL THEN SET {column} = ({value}); END IF; END"
        )

    def stop_filling(self, name: Name, column: str, table: Table | None) -> Plan:
        for trigger in self.fillers(name, column):
            yield self.dropped(name, trigger, column)

    def dropped(self, table: Name, trigger: str, column: str) -> Step:
        sql = f"DROP TRIGGER IF EXISTS {self.quoted_table(Name(trigger, table.schema))}"
        return Step(sql, f"dropped trigger {trigger}, which filled {table}.{column}", (table,))

    def fillers(self, table: Name, column: str) -> dict[str, str]:
        """Return the triggers that fill a column, with their bodies."""
        names = {_named(table, column, event) for event in EVENTS}
        return {name: body for name, body in self.definitions(table).items() if name in names}

    def definitions(self, table: Name) -> dict[str, str]:
        """Return the bodies of all triggers of a table by their names."""
        sql = """SELECT TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS
            WHERE EVENT_OBJECT_SCHEMA = COALESCE(:schema, DATABASE()) AND EVENT_OBJECT_TABLE = :name"""
        return {row[0]: row[1] for row in self.database.bounded_read(sql, schema=table.schema, name=table.name)}

    def update_triggers(self, table: Name) -> list[str]:
        sql = """SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_MANIPULATION = 'UPDATE'
            AND EVENT_OBJECT_SCHEMA = COALESCE(:schema, DATABASE()) AND EVENT_OBJECT_TABLE = :name
            AND TRIGGER_NAME NOT LIKE 'safeops%' ORDER BY ACTION_TIMING DESC, TRIGGER_NAME"""
        rows = self.read(sql, schema=table.schema, name=table.name)
        return [f"trigger {self.quoted(row[0])}" for row in rows]


def _not_granted(feature: str, table: Name) -> UnsafeOperation:
    return UnsafeOperation(
        f"{feature} needs triggers, and this account has no TRIGGER privilege on {table}.",
        why="While two columns are kept in sync, or values are archived, triggers copy what applications write.",
        remedy="Have an administrator run this with the account of the migrations, and run again:",
        code="GRANT TRIGGER ON database_name.* TO account;",
    )


def _logs_statements(error: DBAPIError) -> UnsafeOperation:
    return UnsafeOperation(
        f"Rows are filled at READ COMMITTED, which the server refuses while its binary log takes statements"
        f" (binlog_format=STATEMENT, error 1665), and this account cannot change that for its session: {error.orig}",
        why="At that level other sessions can insert between the rows of a batch; a replica that runs the statement alone"
        " could come to other rows.",
        remedy="Have an administrator run one of these, and run again:",
        code="SET GLOBAL binlog_format = ROW;  -- for new sessions, also in the server's configuration\n"
        "GRANT BINLOG ADMIN ON *.* TO account;  -- MySQL: SESSION_VARIABLES_ADMIN",
    )


EVENTS = ("INSERT", "UPDATE")


def _named(table: Name, column: str, event: str) -> str:
    return f"{fitting(FILLS, table.name, column, max_bytes=55)}_{event.lower()}"
