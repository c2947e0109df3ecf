"""The DDL of SQLite: ALTER TABLE if that takes milliseconds, and rebuilds for the rest."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from safeops.databases import ddl
from safeops.databases.definitions import Index, Table
from safeops.databases.sqlite import rebuild, spelling
from safeops.databases.sqlite.catalogue import Clause, TableText, clauses_of, parse
from safeops.databases.sqlite.rebuild import Rebuild
from safeops.databases.sqlite.spelling import folded, tokens
from safeops.databases.steps import Plan, Step, ddl_compiler
from safeops.errors import UnsafeOperation, online_only
from safeops.naming import Name
from safeops.planned import Effect

if TYPE_CHECKING:
    from safeops.databases.sqlite import SQLite

log = logging.getLogger("safeops")

# Before, DROP COLUMN could corrupt the file: https://www.sqlite.org/releaselog/3_35_5.html
DROPS_COLUMNS = (3, 35, 5)


class DDL(ddl.DDL):
    """The plans of SQLite."""

    database: SQLite

    # Tables -----------------------------------------------------------------------------------------------------

    def create_table(self, table: sa.Table) -> Plan:
        name = Name(table.name, table.schema)
        for key in table.foreign_key_constraints:
            self.constraint_spec(key)
        self._leave_comments(table, *table.columns)
        made = [self.database.rendered(CreateIndex(index, if_not_exists=True)) for index in _sorted(table.indexes)]
        yield Step(
            self.database.rendered(CreateTable(table, if_not_exists=True)),
            f"created table {name}",
            (name,),
            then=tuple(made),
            effect=Effect(name),
        )

    def drop_table(self, name: Name, table: Table | None) -> Plan:
        yield Step(f"DROP TABLE IF EXISTS {self.quoted_table(name)}", f"dropped table {name}", (name,), loses=True)

    # Columns ----------------------------------------------------------------------------------------------------

    def add_column(self, name: Name, column: sa.Column[Any], table: Table | None) -> Plan:
        table = self.live(table, f"Column {name}.{column.name}")
        self._leave_comments(column)
        does, effect = f"added column {name}.{column.name}", Effect(name, str(column.name))
        if self._adds_natively(column):
            sql = f"ALTER TABLE {self.quoted_table(name)} ADD COLUMN {self.database.column_spec(column)}"
            yield Step(sql, does, (name,), effect=effect)
        else:
            edit = rebuild.adding_column(self.database.column_spec(column))
            yield replace(self.rebuilt(table, does, edit), effect=effect)

    def _adds_natively(self, column: sa.Column[Any]) -> bool:
        """https://www.sqlite.org/lang_altertable.html#alter_table_add_column"""
        if column.computed is not None:
            return not column.computed.persisted
        default = self.database.default_text(column)
        if default is None:
            return bool(column.nullable)
        is_null = default.upper() == "NULL"
        constant = not default.startswith("(") and not default.upper().startswith("CURRENT_")
        return constant and (bool(column.nullable) or not is_null)

    def drop_column(self, name: Name, column: str, table: Table | None) -> Plan:
        """Drop the triggers first: without the column every write would fail."""
        table = self.live(table, f"Dropping column {name}.{column}")
        stored = table.columns[column].name
        yield from self.database.triggers.stop_filling(table.name, stored, table)
        own = table.things_using(stored)
        indexes = [thing.name for thing in own if isinstance(thing, Index)]
        does = f"dropped column {name}.{column}"
        step = self.rebuilt(table, does, rebuild.dropping_column(column), without=frozenset(indexes))
        step = replace(step, loses=True)
        if len(own) == len(indexes) and self.database.version >= DROPS_COLUMNS:
            drops = [self.index_drop(table.name, index) for index in indexes]
            drop = f"ALTER TABLE {self.quoted_table(name)} DROP COLUMN {self.quoted(column)}"
            step = replace(step, sql=drop, does=does, natively=(*drops, drop))
        yield step

    def set_default(self, name: Name, column: str, default: str | None, table: Table | None) -> Plan:
        table = self.live(table, f"The default of {name}.{column}")
        text = None if default is None else spelling.default_clause(default)
        done = "removed the default of" if default is None else f"set the default {default} of"
        yield self.rebuilt(table, f"{done} {name}.{column}", rebuild.setting_default(column, text))

    def alter_type(self, name: Name, column: sa.Column[Any], table: Table | None) -> Plan:
        table = self.live(table, f"The type of {name}.{column.name}")
        type_, collation = spelling.split_collation(self.database.type_text(column.type))
        edit = rebuild.changing_type(str(column.name), type_, collation)
        referring = tuple(self.database.dependents.referring_tables(table))
        yield self.rebuilt(table, f"changed {name}.{column.name} to {type_}", edit, referring=referring)

    def set_not_null(self, name: Name, column: str, table: Table | None) -> Plan:
        table = self.live(table, f"NOT NULL of {name}.{column}")
        if table.columns[column].nullable:
            yield self.rebuilt(table, f"made {name}.{column} NOT NULL", rebuild.setting_not_null(column))

    def drop_not_null(self, name: Name, column: str, table: Table | None) -> Plan:
        table = self.live(table, f"NOT NULL of {name}.{column}")
        yield self.rebuilt(table, f"{name}.{column} takes NULL again", rebuild.dropping_not_null(column))

    # Indexes ----------------------------------------------------------------------------------------------------

    def create_index(self, name: Name, index: sa.Index, table: Table | None) -> Plan:
        sql = self.database.rendered(CreateIndex(index, if_not_exists=True))
        yield Step(sql, f"built index {index.name} on {name}", (name,), scans=True)

    def drop_index(self, name: Name, index: str, table: Table | None) -> Plan:
        yield Step(self.index_drop(name, index), f"dropped index {index} of {name}", (name,))

    def index_drop(self, name: Name, index: str) -> str:
        return f"DROP INDEX IF EXISTS {self.quoted_table(Name(index, name.schema))}"

    # Constraints ------------------------------------------------------------------------------------------------

    def add_constraint(self, name: Name, constraint: sa.Constraint, table: Table | None, validate: bool) -> Plan:
        table = self.live(table, f"Constraint {constraint.name}")
        keys = [column.name for column in constraint.columns] if isinstance(constraint, sa.PrimaryKeyConstraint) else []
        # Only here a primary key takes NULL: https://www.sqlite.org/quirks.html#primary_keys_can_sometimes_contain_nulls
        nullable = [key for key in keys if table.columns[key].nullable]
        edit = rebuild.adding_constraint(self.constraint_spec(constraint), nullable)
        yield self.rebuilt(table, f"added {constraint.name} to {name}", edit)
        if isinstance(constraint, sa.ForeignKeyConstraint) and not self.scalar("PRAGMA foreign_keys"):
            log.info(
                "%s is enforced on connections with PRAGMA foreign_keys=ON; this connection has it off", constraint.name
            )

    def replace_index(self, name: Name, index: sa.Index, table: Table | None) -> Plan:
        sql = self.database.rendered(CreateIndex(index, if_not_exists=True))
        drop = self.index_drop(name, str(index.name))
        yield Step(drop, f"replaced index {index.name} on {name}", (name,), then=(sql,), scans=True)

    def replace_constraint(self, name: Name, constraint: sa.Constraint, table: Table | None, validate: bool) -> Plan:
        table = self.live(table, f"Constraint {constraint.name}")
        drop, add = (
            self._dropping(table, str(constraint.name)),
            rebuild.adding_constraint(self.constraint_spec(constraint)),
        )
        yield self.rebuilt(table, f"replaced {constraint.name} on {name}", lambda sql: add(drop(sql)))

    def validate_constraint(self, name: Name, constraint: str, table: Table | None) -> Plan:
        # Every constraint is valid from the first.
        return iter(())

    def drop_constraint(self, name: Name, constraint: str, kind: str | None, table: Table | None) -> Plan:
        table = self.live(table, f"Dropping constraint {constraint} of {name}")
        is_key = table.constraints[constraint].kind == "primary key"
        if is_key:
            _refuse_needed_key(table)
        drop = self._dropping(table, constraint)

        def edit(sql: str) -> str:
            return rebuild.giving_null_back(drop(sql)) if is_key else drop(sql)

        yield self.rebuilt(table, f"dropped constraint {constraint} of {name}", edit)

    def _dropping(self, table: Table, constraint: str) -> rebuild.Edit:
        def found(text: TableText) -> Clause:
            clauses = clauses_of(text, table.name.name)
            return next(clause for name, clause in clauses if folded(name) == folded(constraint))

        return rebuild.dropping_clause(found)

    def constraint_spec(self, constraint: sa.Constraint) -> str:
        """Render a constraint as in CREATE TABLE."""
        spec = ddl_compiler(self.database.dialect).process(constraint)
        if spec is not None:
            return str(spec).strip()
        if isinstance(constraint, sa.ForeignKeyConstraint):
            raise self.database.unsupported(
                f"Foreign key {constraint.name or ''} to a table of another schema", "both tables in one database file"
            )
        # SQLAlchemy writes the key of AUTOINCREMENT into its column.
        return f"PRIMARY KEY ({self.quoted(*(column.name for column in constraint.columns))})"  # type: ignore[attr-defined]

    # Details ----------------------------------------------------------------------------------------------------

    def rebuilt(
        self,
        table: Table,
        does: str,
        edit: rebuild.Edit,
        *,
        without: frozenset[str] = frozenset(),
        referring: Sequence[str] = (),
    ) -> Rebuild:
        if table.kind != "table":
            raise self.database.unsupported(
                f"Changing the definition of the {table.kind} {table.name}", "an ordinary table"
            )
        name = table.name
        return Rebuild(
            f"rebuild {name}",
            f"{does} (rebuilt the table)",
            (name,),
            scans=True,
            table=name,
            seen=table.sql,
            edit=edit,
            without=without,
            referring=tuple(referring),
        )

    def live(self, table: Table | None, change: str) -> Table:
        """Return the table, or raise OnlineOnly."""
        if table is not None:
            return table
        why = "SQLite has no IF EXISTS for columns and constraints, and a rebuild starts from the live table's definition."
        raise online_only(change, why)

    def _leave_comments(self, *things: Any) -> None:
        for thing in things:
            if thing.comment:
                log.info("SQLite keeps no comments: that of %s is left out", thing)


def _refuse_needed_key(table: Table) -> None:
    text = parse(table.sql)
    if "WITHOUT" in (token.word for token in tokens(text.options)):
        raise UnsafeOperation(
            f"Table {table.name} is WITHOUT ROWID: its rows are kept by the primary key, and cannot be without one.",
            remedy="Make a new table, copy the rows, and drop the old one.",
        )


def _sorted(indexes: Any) -> list[sa.Index]:
    return sorted(indexes, key=lambda index: str(index.name))
