"""Archives on SQLite: definitions are kept as SQLite stores them, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from safeops.archive import port
from safeops.archive.port import Definition
from safeops.databases.definitions import Column, Index, Table
from safeops.databases.sqlite import rebuild
from safeops.databases.sqlite.catalogue import parse
from safeops.databases.sqlite.rebuild import Rebuild
from safeops.databases.sqlite.spelling import folded, literal
from safeops.databases.steps import Plan, Step
from safeops.naming import Name
from safeops.planned import Effect

if TYPE_CHECKING:
    from safeops.databases.sqlite import SQLite

EVENTS = ("insert", "update", "delete")


class Archives(port.Archives):
    """See ``safeops.archive.port``."""

    database: SQLite

    def archive_refusal(self, table: Table, column: str | None) -> str | None:
        if table.kind != "table":
            return f"it is a {table.kind}"
        return "it is in another file than the main one" if table.name.schema else None

    # Columns ----------------------------------------------------------------------------------------------------

    def describe_column(self, table: Table, column: str) -> Definition:
        text = parse(table.sql)
        found = text.column(column)
        names = [column.name for column in text.columns]
        default, collation, generated = (found.clause(kind) for kind in ("default", "collate", "generated"))
        own = [constraint for constraint in text.constraints if rebuild.is_of_column_alone(text, constraint, column)]
        return {
            "name": found.name,
            "type": table.columns[column].type,
            "text": table.sql[found.start : found.end],
            "bare": f"{self.quoted(found.name)} {table.sql[found.type_start : found.type_end].strip()}"
            + (f" {table.sql[collation.start : collation.end]}" if collation else ""),
            "after": names[names.index(found.name) - 1] if names.index(found.name) else None,
            "constraints": [table.sql[owned.start : owned.end] for owned in own],
            "indexes": [
                [thing.name, thing.definition] for thing in table.things_using(column) if isinstance(thing, Index)
            ],
            "required": found.clause("not null") is not None,
            "computed": generated is not None,
            "persisted": bool(generated and generated.stored),
            "fill": default.expression if default else None,
        }

    def column_of_archive(self, definition: Definition) -> Column:
        return Column(definition["name"], definition["type"])

    def create_archive(self, table: Table, column: str, key: Sequence[Column], archive: Name) -> Plan:
        text = parse(table.sql)
        specs = []
        for one in key:
            found = text.column(one.name)
            collation = found.clause("collate")
            spec = f"{self.quoted(one.name)} {table.sql[found.type_start : found.type_end].strip()} NOT NULL"
            specs.append(spec + (f" {table.sql[collation.start : collation.end]}" if collation else ""))
        # Without a type the column keeps each value as it is.
        specs += [self.quoted(column), f"UNIQUE ({self.quoted(*(one.name for one in key))})"]
        create = f"CREATE TABLE {self.quoted_table(archive)} ({', '.join(specs)})"
        following = self._following(table.name, column, [one.name for one in key], archive)
        yield Step(
            create, f"created {archive} with triggers that copy writes to {table.name}.{column}", (), tuple(following)
        )

    def _following(self, table: Name, column: str, key: Sequence[str], archive: Name) -> list[str]:
        own, kept = self.quoted_table(table), self.quoted_table(archive)
        names = [self.quoted(one) for one in key]
        old, new = (
            f"DELETE FROM {kept} WHERE " + " AND ".join(f"{name} = {row}.{name}" for name in names)
            for row in ("OLD", "NEW")
        )
        values = ", ".join(f"NEW.{one}" for one in (*names, self.quoted(column)))
        # Not an upsert: a REPLACE of the application would change its conflict handling.
        insert = f"{new}; INSERT INTO {kept} ({', '.join(names)}, {self.quoted(column)}) VALUES ({values})"
        heads = [f"CREATE TRIGGER {one} AFTER {event.upper()} ON {own}" for event, one in self._triggers_of(archive)]
        bodies = (insert, f"{old}; {insert}", old)
        return [f"{head} BEGIN {body}; END" for head, body in zip(heads, bodies, strict=True)]

    def _triggers_of(self, archive: Name) -> list[tuple[str, str]]:
        return [(event, self.quoted(f"{archive.name}_{event}")) for event in EVENTS]

    def is_followed(self, table: Name, archive: Name) -> bool:
        names = ", ".join(literal(f"{archive.name}_{event}") for event in EVENTS)
        sql = f"""SELECT count(*) FROM {self.database.master("main")} WHERE type = 'trigger' AND name IN ({names})
            AND tbl_name = {literal(table.name)} COLLATE NOCASE"""
        return int(self.scalar(sql)) == len(EVENTS)

    def stop_following(self, table: Name, archive: Name) -> Plan:
        drop, *then = [f"DROP TRIGGER IF EXISTS {one}" for _, one in self._triggers_of(archive)]
        yield Step(drop, f"dropped the triggers of {archive} on {table}", (table,), tuple(then))

    def drop_archived_column(
        self, table: Table, column: str, key: Sequence[Column], archive: Name, definition: Definition
    ) -> Plan:
        drops = [f"DROP TRIGGER IF EXISTS {one}" for _, one in self._triggers_of(archive)]
        triggers = {folded(f"{archive.name}_{event}") for event in EVENTS}
        for step in self.database.ddl.drop_column(table.name, column, table):
            if isinstance(step, Rebuild):
                natively = (*drops, *step.natively) if step.natively else ()
                does = f"{step.does}; its values are in {archive}"
                yield replace(step, natively=natively, without=step.without | triggers, does=does)
            else:
                yield step

    def default_is_late(self, definition: Definition) -> bool:
        return True

    def restore_column(self, table: Table, column: str, definition: Definition) -> Plan:
        does, effect = f"added column {table.name}.{column} again", Effect(table.name, column)
        if definition["persisted"]:
            yield replace(self.database.ddl.rebuilt(table, does, self._placing(definition, filled=True)), effect=effect)
            return
        spec = definition["text"] if definition["computed"] else definition["bare"]
        yield Step(f"ALTER TABLE {self.quoted_table(table.name)} ADD COLUMN {spec}", does, (table.name,), effect=effect)

    def restore_constraints(self, table: Table, column: str, definition: Definition, *, filled: bool) -> Iterator[Plan]:
        edit = self._placing(definition, filled)
        if edit(table.sql) != table.sql:
            yield iter([self.database.ddl.rebuilt(table, f"completed column {table.name}.{column}", edit)])
        for name, sql in definition["indexes"]:
            if name not in table.indexes:
                yield iter([Step(sql, f"built index {name} on {table.name} again", (table.name,), scans=True)])

    def _placing(self, definition: Definition, filled: bool) -> rebuild.Edit:
        """Restore the text of a column at its position, with its constraints."""

        def edit(sql: str) -> str:
            if any(folded(column.name) == folded(definition["name"]) for column in parse(sql).columns):
                sql = rebuild.dropping_column(definition["name"])(sql)
            sql = _placed(sql, definition)
            for one in definition["constraints"]:
                sql = rebuild.adding_constraint(one)(sql)
            return sql if filled else rebuild.dropping_not_null(definition["name"])(sql)

        return edit

    # Tables -----------------------------------------------------------------------------------------------------

    def describe_table(self, table: Table, archive: Name) -> Definition:
        sql = f"""SELECT type, name, sql FROM {self.database.master("main")} WHERE sql IS NOT NULL
            AND type IN ('index', 'trigger') AND tbl_name = {literal(table.name.name)} COLLATE NOCASE"""
        keys = [constraint.name for constraint in table.constraints.values() if constraint.kind == "foreign key"]
        return {"sql": table.sql, "parts": [list(row) for row in self.read(sql)], "keys": keys}

    def move_to_archive(self, table: Table, archive: Name, definition: Definition) -> Plan:
        if any(constraint.kind == "foreign key" for constraint in table.constraints.values()):
            does = f"untied {table.name} from the tables that it refers to"
            yield self.database.ddl.rebuilt(table, does, _without_foreign_keys)
        own = self.quoted_table(table.name)
        drops = [f"DROP {kind.upper()} {self.quoted(name)}" for kind, name, _ in definition["parts"]]
        first, *then = [*drops, f"ALTER TABLE {own} RENAME TO {self.quoted(archive.name)}"]
        yield Step(first, f"put table {table.name} away as {archive}", (table.name,), tuple(then))

    def move_back(self, name: Name, archive: Name, definition: Definition) -> Plan:
        rename = f"ALTER TABLE {self.quoted_table(archive)} RENAME TO {self.quoted(name.name)}"
        parts = tuple(sql for _, _, sql in definition["parts"])
        yield Step(rename, f"brought table {name} back", (archive,), parts)

    def restore_keys(self, table: Table, definition: Definition) -> Iterator[Plan]:
        if table.sql != definition["sql"]:
            does = f"gave table {table.name} its definition again"
            yield iter([self.database.ddl.rebuilt(table, does, lambda _: str(definition["sql"]))])


def _placed(sql: str, definition: Definition) -> str:
    text = parse(sql)
    before = [
        column for column in text.columns if definition["after"] and folded(column.name) == folded(definition["after"])
    ]
    if definition["after"] is None:
        start = text.columns[0].start
        return f"{sql[:start]}{definition['text']}, {sql[start:]}"
    end = (before or text.columns)[-1].end
    return f"{sql[:end]}, {definition['text']}{sql[end:]}"


def _without_foreign_keys(sql: str) -> str:
    while True:
        keys = [place for place, one in enumerate(parse(sql).clauses) if one.kind == "foreign key"]
        if not keys:
            return sql
        sql = rebuild.dropping_clause(lambda text, place=keys[0]: list(text.clauses)[place])(sql)  # type: ignore[misc]
