"""Archives on MariaDB and MySQL, which commit each statement separately."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from alembic.operations import ops
from sqlalchemy.exc import DBAPIError

from safeops.archive import port
from safeops.archive.port import Definition
from safeops.backfilling.mysql import TEXT
from safeops.backfilling.port import Batches
from safeops.databases.definitions import Column, Constraint, Index, Table
from safeops.databases.mysql import showcreate
from safeops.databases.mysql.alter_table import INSTANT
from safeops.databases.mysql.catalogue import column_of, definition_of
from safeops.databases.mysql.showcreate import Definition as Clauses
from safeops.databases.steps import Plan, Step
from safeops.naming import Name
from safeops.planned import Effect

if TYPE_CHECKING:
    from safeops.databases.mysql import MySQL

EVENTS = ("insert", "update", "delete")
BITS = re.compile(r"bit", re.I)


@dataclass(frozen=True)
class LockedDrop(Step):
    """A step that drops a column and the triggers on it, while no other session can write to the table.

    Args:
        locking: The statement that blocks other sessions.
        dropping: The statements that drop the triggers.
        making: The statements that create them again if the server refuses ``sql``.
    """

    locking: str = ""
    dropping: tuple[str, ...] = ()
    making: tuple[str, ...] = ()

    def execute(self, database: Any) -> bool:
        # https://mariadb.com/kb/en/lock-tables/: statements on a table that this session has locked keep the lock.
        database.run(self.locking)
        try:
            for sql in self.dropping:
                database.run(sql)
            try:
                database.run(self.sql)
            except DBAPIError:
                for sql in self.making:
                    database.run(sql)
                raise
            return True
        finally:
            with suppress(DBAPIError):
                database.run("UNLOCK TABLES")


class Archives(port.Archives):
    """See ``safeops.archive.port``."""

    database: MySQL

    # https://mariadb.com/kb/en/foreign-keys/: "actions that are executed due to foreign keys do not fire triggers".

    def schema_of_new(self, schema: str | None) -> str | None:
        return schema or self.database.current_schema

    def archive_refusal(self, table: Table, column: str | None) -> str | None:
        if showcreate.read(table.sql).is_partitioned:
            return "it is partitioned"
        if column is not None and table.columns[column].identity:
            return "the column is the counter of the table (AUTO_INCREMENT)"
        return None

    # Columns ----------------------------------------------------------------------------------------------------

    def describe_column(self, table: Table, column: str) -> Definition:
        shown = showcreate.read(table.sql)
        own = table.things_using(column)
        names = list(shown.columns)
        keys = [owned for owned in own if isinstance(owned, Constraint) and owned.kind == "foreign key"]
        checks = [one for one in own if isinstance(one, Constraint) and one.kind == "check"]
        clauses = definition_of(table, column)
        default = clauses.get("DEFAULT")
        return {
            "name": column,
            "clauses": dict(clauses.clauses),
            "required": not clauses.nullable,
            "computed": clauses.get("GENERATED") is not None,
            "fill": None if default is None or default.upper() == "NULL" else f"({default})",
            "charset": {name: shown.options[name] for name in ("CHARSET", "COLLATE") if name in shown.options},
            "after": names[names.index(column) - 1] if column in names and names.index(column) else None,
            "indexes": [
                [one.name, one.definition]
                for one in own
                if isinstance(one, Index)
                and not one.of_constraint
                and not self.database.ddl.is_made_for_key(table, one)
            ],
            "checks": [
                [check.name, check.definition]
                for check in checks
                if check.definition != f"CHECK {clauses.get('CHECK')}"
            ],
            "keys": [_key_as_json(key, table.name.schema) for key in keys],
        }

    def column_of_archive(self, definition: Definition) -> Column:
        shown = showcreate.Shown({}, (), definition["charset"])
        return column_of(definition["name"], Clauses(definition["clauses"]), shown)

    def create_archive(self, table: Table, column: str, key: Sequence[Column], archive: Name) -> Plan:
        options = showcreate.read(table.sql).options
        charset = " ".join(f"{name}={options[name]}" for name in ("CHARSET", "COLLATE") if name in options)
        specs = [f"{self.quoted(one.name)} {self._bare(table, one.name)} NOT NULL" for one in key]
        specs.append(f"{self.quoted(column)} {self._bare(table, column)} NULL")
        specs.append(f"PRIMARY KEY ({self.quoted(*(one.name for one in key))})")
        create = f"CREATE TABLE IF NOT EXISTS {self.quoted_table(archive)} ({', '.join(specs)}) ENGINE=InnoDB {charset}"
        yield Step(create, f"created {archive}", ())
        for event, sql in zip(EVENTS, self._following(table.name, column, key, archive), strict=True):
            yield Step(
                sql, f"created the trigger of {archive} for each {event} of {table.name}.{column}", (table.name,)
            )

    def _bare(self, table: Table, column: str) -> str:
        clauses = definition_of(table, column).clauses
        return str(Clauses({name: clauses[name] for name in ("type", "CHARACTER SET", "COLLATE") if name in clauses}))

    def _following(self, table: Name, column: str, key: Sequence[Column], archive: Name) -> list[str]:
        names = [self.quoted(one.name) for one in key]
        own, kept, value = self.database.quoted_here(table), self.database.quoted_here(archive), self.quoted(column)
        values = ", ".join(f"NEW.{one}" for one in (*names, value))
        insert = f"INSERT INTO {kept} ({', '.join((*names, value))}) VALUES ({values})"
        insert += f" ON DUPLICATE KEY UPDATE {value} = NEW.{value}"
        delete = f"DELETE FROM {kept} WHERE " + " AND ".join(f"{name} = OLD.{name}" for name in names)
        same = " AND ".join(f"OLD.{name} <=> NEW.{name}" for name in names)
        update = f"BEGIN IF NOT ({same}) THEN {delete}; END IF; {insert}; END"
        heads = [
            f"CREATE TRIGGER {one} AFTER {event.upper()} ON {own} FOR EACH ROW"
            for event, one in self._triggers_of(archive)
        ]
        return [f"{head} {body}" for head, body in zip(heads, (insert, update, delete), strict=True)]

    def _triggers_of(self, archive: Name) -> list[tuple[str, str]]:
        return [(event, self.database.quoted_here(Name(f"{archive.name}_{event}", archive.schema))) for event in EVENTS]

    def is_followed(self, table: Name, archive: Name) -> bool:
        sql = """SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = :schema
            AND EVENT_OBJECT_TABLE = :name AND TRIGGER_NAME IN (:one, :two, :three)"""
        names = [f"{archive.name}_{event}" for event in EVENTS]
        named = dict(zip(("one", "two", "three"), names, strict=True))
        found = self.scalar(sql, schema=table.schema, name=table.name, **named)
        return int(found) == len(EVENTS)

    def stop_following(self, table: Name, archive: Name) -> Plan:
        for event, trigger in self._triggers_of(archive):
            yield Step(
                f"DROP TRIGGER IF EXISTS {trigger}", f"dropped the trigger of {archive} for each {event}", (table,)
            )

    def before_copy(self, table: Table, column: str) -> Plan:
        for owned in table.things_using(column):
            if isinstance(owned, Constraint) and owned.kind == "foreign key":
                yield from self.database.ddl.drop_constraint(table.name, owned.name, owned.kind, table)

    def drop_archived_column(
        self, table: Table, column: str, key: Sequence[Column], archive: Name, definition: Definition
    ) -> Plan:
        *before, drop = self.database.ddl.drop_column(table.name, column, table)
        yield from before
        own, kept = self.quoted_table(table.name), self.quoted_table(archive)
        yield LockedDrop(
            f"ALTER TABLE {own} DROP COLUMN {self.quoted(column)}{INSTANT}",
            f"{drop.does}; its values are in {archive}",
            (table.name,),
            locking=f"LOCK TABLES {own} WRITE, {kept} WRITE",
            dropping=tuple(f"DROP TRIGGER IF EXISTS {one}" for _, one in self._triggers_of(archive)),
            making=tuple(self._following(table.name, column, key, archive)),
        )

    def copy(self, table: Name, index: str, key: Sequence[Column], column: str, archive: Name, condition: str) -> str:
        names, first = self.quoted(*(one.name for one in key), column), self.quoted(key[0].name)
        kept = self.quoted_table(archive)
        select = (
            f"SELECT {names} FROM {self.quoted_table(table)}{Batches.of(self.database).hint(index)} WHERE {condition}"
        )
        return f"INSERT INTO {kept} ({names}) {select} ON DUPLICATE KEY UPDATE {first} = {kept}.{first}"

    def restore_values(
        self, table: Table, key: Sequence[str], column: str, archive: Name, default: str | None, condition: str
    ) -> str:
        """Return the UPDATE with a default of the column's kind, as the server finds one type for both.

        On MariaDB, bits next to a literal would become their digits, and a text next to UUID() would be read as a UUID.
        """
        type_ = table.columns[column].type
        if default is not None and BITS.match(type_):
            default = f"({default} + 0)"
        if default is not None and TEXT.match(type_):
            default = f"CONVERT({default} USING utf8mb4) COLLATE utf8mb4_bin"
        return super().restore_values(table, key, column, archive, default, condition)

    def touched(self, table: Table, column: str) -> list[str]:
        found = showcreate.read(table.sql).columns
        return [name for name, clauses in found.items() if name != column and clauses.get("ON UPDATE")]

    def restore_column(self, table: Table, column: str, definition: Definition) -> Plan:
        clauses = Clauses(definition["clauses"])
        place = f" AFTER {self.quoted(definition['after'])}" if definition["after"] in table.columns else ""
        place = " FIRST" if definition["after"] is None else place
        if clauses.get("GENERATED"):
            step = self._added_at(table.name, column, str(clauses), place, f"added {column} again")
            yield replace(step, effect=Effect(table.name, column))
            return
        # Without default and ON UPDATE at first: existing rows must not get values from them.
        bare = clauses.with_(NULL="NULL", DEFAULT=None, ON_UPDATE=None)
        does = f"added column {table.name}.{column} again"
        step = self._added_at(table.name, column, str(bare), place, does)
        yield replace(step, effect=Effect(table.name, column))

    def _added_at(self, name: Name, column: str, definition: str, place: str, does: str) -> Step:
        """Add a column at its former position; at the end if the server cannot, for example before a virtual column."""
        action = f"ADD COLUMN {self.quoted(column)} {definition}"
        here, last = (self.database.ddl.alter(name, action + where, does, instant=True) for where in (place, ""))
        return replace(here, alternatives=(*here.alternatives, last.sql, *last.alternatives)) if place else here

    def restore_constraints(self, table: Table, column: str, definition: Definition, *, filled: bool) -> Iterator[Plan]:
        for name, text in definition["indexes"]:
            if name not in table.indexes:
                yield iter(
                    [self.database.ddl.alter(table.name, f"ADD {text}", f"built index {name} on {table.name} again")]
                )
        for name, text in definition["checks"]:
            if name not in table.constraints:
                action = f"ADD CONSTRAINT {self.quoted(name)} {text}"
                yield iter(
                    [
                        self.database.ddl.alter(
                            table.name, action, f"added {name} to {table.name} again", copied_if_empty=table
                        )
                    ]
                )
        # The indexes exist by now; otherwise the keys would create their own.
        yield from self._restored_keys(self.database.table(table.name) or table, definition)

    def _restored_keys(self, table: Table, definition: Definition) -> Iterator[Plan]:
        # A stored definition does not name the database; in earlier releases it did.
        former = definition.get("archive", [None, None])[1]
        for one in definition["keys"]:
            if one["referent"][0] == former:
                one = {**one, "referent": [None, one["referent"][1]]}
            existing = table.constraints.get(one["name"])
            if existing is None or not existing.valid:
                yield self.database.ddl.add_constraint(table.name, _key_of(table.name, one), table, True)

    def default_is_late(self, definition: Definition) -> bool:
        # NULL becomes NOT NULL online only if no default could replace it.
        default = definition["clauses"].get("DEFAULT") or "NULL"
        literal = re.fullmatch(r"'(?:[^'\\]|''|\\.)*'|-?[\d.]+|NULL", default, re.I | re.S)
        return bool(definition["required"] and (literal is None or "ON UPDATE" in definition["clauses"]))

    def finish_restore(self, table: Table, column: str, definition: Definition) -> Plan:
        return self.restore_default(table, column, definition)

    def restore_default(self, table: Table, column: str, definition: Definition) -> Plan:
        """Plan the default and ON UPDATE, for new rows."""
        clauses = Clauses(definition["clauses"])
        found = definition_of(table, column)
        default, on_update = clauses.get("DEFAULT"), clauses.get("ON UPDATE")
        if clauses.get("GENERATED") or (found.get("DEFAULT"), found.get("ON UPDATE")) == (default, on_update):
            return
        if on_update:
            changed = found.with_(DEFAULT=default or ("NULL" if found.nullable else None), ON_UPDATE=on_update)
            yield self.database.ddl.modify(
                table.name, column, changed, f"set the default of {table.name}.{column}", instant=True
            )
        elif default and default.upper() != "NULL":
            yield from self.database.ddl.set_default(table.name, column, default, table)

    # Tables -----------------------------------------------------------------------------------------------------

    def describe_table(self, table: Table, archive: Name) -> Definition:
        keys = [constraint for constraint in table.constraints.values() if constraint.kind == "foreign key"]
        made = [index.name for index in table.indexes.values() if self.database.ddl.is_made_for_key(table, index)]
        return {"keys": [_key_as_json(key, table.name.schema) for key in keys], "made": made}

    def move_to_archive(self, table: Table, archive: Name, definition: Definition) -> Plan:
        keys = [one["name"] for one in definition["keys"]]
        drops = ", ".join(
            action
            for key in keys
            for action in (self.database.ddl.key_dropped(key), *self.database.ddl.key_mark_removed(table, key))
        )
        has_keys = any(constraint.kind == "foreign key" for constraint in table.constraints.values())
        if drops and has_keys:
            yield self.database.ddl.alter(table.name, drops, f"untied {table.name} from the tables that it refers to")
        yield Step(
            self._renaming_archive(table.name, archive), f"put table {table.name} away as {archive}", (table.name,)
        )

    def move_back(self, name: Name, archive: Name, definition: Definition) -> Plan:
        yield Step(self._renaming_archive(archive, name), f"brought table {name} back", (archive,), effect=Effect(name))

    def _renaming_archive(self, old: Name, new: Name) -> str:
        return f"RENAME TABLE {self.quoted_table(old)} TO {self.quoted_table(new)}"

    def restore_keys(self, table: Table, definition: Definition) -> Iterator[Plan]:
        return self._restored_keys(table, definition)


def _key_as_json(one: Constraint, home: str | None) -> dict[str, Any]:
    referent = (one.referent or Name("")).at(home)
    actions = {"onupdate": one.onupdate, "ondelete": one.ondelete}
    columns = {"columns": list(one.columns), "remote": list(one.remote)}
    return {"name": one.name, "referent": [referent.schema, referent.name], **columns, **actions}


def _key_of(table: Name, one: dict[str, Any]) -> Any:
    schema, referent = one["referent"]
    made = ops.CreateForeignKeyOp(
        one["name"], table.name, referent, one["columns"], one["remote"],
        source_schema=table.schema, referent_schema=schema or table.schema,
        onupdate=one["onupdate"], ondelete=one["ondelete"],
    )  # fmt: skip
    return made.to_constraint()
