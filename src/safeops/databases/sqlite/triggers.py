"""How SQLite keeps new rows filled: triggers after the write, since none can change the row before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safeops.databases import sqltext, triggers
from safeops.databases.definitions import Table
from safeops.databases.sqlite.catalogue import parse, row_id_of
from safeops.databases.sqlite.rebuild import ROW_IDS
from safeops.databases.sqlite.spelling import folded, literal
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import FILLS, Filler
from safeops.naming import Name

if TYPE_CHECKING:
    from safeops.databases.sqlite import SQLite


class Triggers(triggers.Triggers):
    """The plans for triggers that fill."""

    database: SQLite

    def fill_new_rows(self, filler: Filler, table: Table | None) -> Plan:
        table = self.database.ddl.live(table, f"Triggers new rows of {filler.table}")
        if table.name.schema:
            # A rebuild could not restore a trigger whose text names its file.
            return
        existing = self._fillers(table.name, filler.column)
        for name, sql in self._triggers(filler, table):
            if existing.get(name) != sql:
                does = f"created the fill trigger of {table.name}.{filler.column}: {name}"
                yield Step(f"DROP TRIGGER IF EXISTS {self.quoted(name)}", does, (table.name,), (sql,))

    def _triggers(self, filler: Filler, table: Table) -> list[tuple[str, str]]:
        quoted, column = self.quoted(table.name.name), self.quoted(filler.column)
        # Not of the column itself: what the trigger writes would fire it again if triggers are recursive.
        others = self.quoted(*(name for name in table.columns if folded(name) != folded(filler.column)))
        # A value that breaks a constraint is left out: the write is the application's.
        update = (
            f"UPDATE OR IGNORE {quoted} SET {column} = ({self.filled_query(filler, 'new')})"
            f" WHERE {self._same_row(table)} AND {column} IS NULL"
        )
        when = f"ON {quoted} FOR EACH ROW WHEN new.{column} IS NULL BEGIN {update}; END"
        return [
            (name, f"CREATE TRIGGER {self.quoted(name)} AFTER {event} {when}")
            for name, event in zip(_named(table.name, filler.column), ("INSERT", f"UPDATE OF {others}"), strict=True)
        ]

    def _same_row(self, table: Table) -> str:
        text = parse(table.sql)
        taken = set(map(folded, table.columns))
        row_ids = [row_id for row_id in ROW_IDS if row_id not in taken]
        own = row_id_of(text, self.database.infos(table.name))
        key: Any = table.primary_key
        if own is not None:
            key = (own,)
        elif row_ids and "WITHOUT" not in text.options.upper():
            return f"{row_ids[0]} = new.{row_ids[0]}"
        return " AND ".join(f"{self.quoted(column)} = new.{self.quoted(column)}" for column in key)

    def stop_filling(self, name: Name, column: str, table: Table | None) -> Plan:
        table = self.database.ddl.live(table, f"Triggers new rows of {name}")
        drops = [f"DROP TRIGGER IF EXISTS {self.quoted(trigger)}" for trigger in self._fillers(table.name, column)]
        if drops:
            does = f"dropped the fill trigger of {name}.{column}"
            yield Step(drops[0], does, (table.name,), tuple(drops[1:]))

    def _fillers(self, table: Name, column: str) -> dict[str, str]:
        names = ", ".join(map(literal, _named(table, column)))
        master = self.database.master(table.schema or "main")
        sql = f"SELECT name, sql FROM {master} WHERE type = 'trigger' AND name IN ({names})"
        return {row[0]: row[1] for row in self.read(sql)}

    def update_triggers(self, table: Name) -> list[str]:
        sql = f"""SELECT name, sql FROM {self.database.master(table.schema or "main")} WHERE type = 'trigger'
            AND tbl_name = {self.literal(table.name)} COLLATE NOCASE AND name NOT LIKE 'safeops%' ORDER BY name"""
        found = self.read(sql)
        return [f"trigger {self.quoted(name)}" for name, text in found if _event(text) == "update"]


def _named(table: Name, column: str) -> tuple[str, str]:
    name = f"{FILLS}_{table.name}_{column}"
    return f"{name}_insert", f"{name}_update"


def _event(trigger: str) -> str:
    """Return the event that a trigger runs on."""
    words = (text.lower() for kind, text in sqltext.tokens(trigger) if kind == "word")
    return next((word for word in words if word in ("insert", "update", "delete")), "")
