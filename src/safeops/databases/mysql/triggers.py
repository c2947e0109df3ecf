"""How MariaDB and MySQL keep new rows filled: a trigger before INSERT and one before UPDATE."""

from __future__ import annotations

from safeops.databases.definitions import Table
from safeops.databases.mysql import spelling
from safeops.databases.mysql.preflight import Preflight
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import FILLS, Filler
from safeops.naming import Name, fitting

EVENTS = ("INSERT", "UPDATE")


class Triggers(Preflight):
    """The plans for triggers that fill. The server runs the triggers of an event in the order in which they were made."""

    def fill_new_rows(self, filler: Filler, stands: Table | None) -> Plan:
        table, body = filler.table, self._body(filler)
        there = self.fillers(table, filler.column)
        for event in EVENTS:
            name = _named(table, filler.column, event)
            if there.get(name) == body:
                continue
            if name in there:
                yield self.dropped(table, name, filler.column)
            trigger = self.database.quoted_here(Name(name, table.schema))
            # Two runners at once may both have found none.
            create = "CREATE OR REPLACE" if self.database.abilities.guards_natively else "CREATE"
            sql = f"{create} TRIGGER {trigger} BEFORE {event} ON {self.database.quoted_here(table)} FOR EACH ROW {body}"
            does = f"rows of {table} are given their {filler.column} by {event}"
            yield Step(sql, does, (table,))

    def _body(self, filler: Filler) -> str:
        column = f"NEW.{self.quoted(filler.column)}"
        value = spelling.without_comments(self.filled_query(filler))
        # The write is the application's: without the column it would have gone well.
        return (
            "BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;"
            f" IF {column} IS NULL THEN SET {column} = ({value}); END IF; END"
        )

    def stop_filling(self, name: Name, column: str, stands: Table | None) -> Plan:
        for one in self.fillers(name, column):
            yield self.dropped(name, one, column)

    def dropped(self, table: Name, trigger: str, column: str) -> Step:
        sql = f"DROP TRIGGER IF EXISTS {self.quoted_table(Name(trigger, table.schema))}"
        return Step(sql, f"dropped trigger {trigger}, which filled {table}.{column}", (table,))

    def fillers(self, table: Name, column: str) -> dict[str, str]:
        names = {_named(table, column, event) for event in EVENTS}
        sql = f"SELECT TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE {self._of(table)}"
        with self.database.bounded():
            return {row[0]: row[1] for row in self.read(sql) if row[0] in names}

    def _of(self, table: Name) -> str:
        schema = self.literal(table.schema) if table.schema else "DATABASE()"
        return f"EVENT_OBJECT_SCHEMA = {schema} AND EVENT_OBJECT_TABLE = {self.literal(table.name)}"

    def update_triggers(self, table: Name) -> list[str]:
        sql = """SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_MANIPULATION = 'UPDATE'
            AND EVENT_OBJECT_SCHEMA = COALESCE(:schema, DATABASE()) AND EVENT_OBJECT_TABLE = :name
            AND TRIGGER_NAME NOT LIKE 'safeops%' ORDER BY ACTION_TIMING DESC, TRIGGER_NAME"""
        rows = self.read(sql, schema=table.schema, name=table.name)
        return [f"trigger {self.quoted(row[0])}" for row in rows]


def _named(table: Name, column: str, event: str) -> str:
    return f"{fitting(FILLS, table.name, column, max_bytes=55)}_{event.lower()}"
