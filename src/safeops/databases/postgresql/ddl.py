"""The plans of PostgreSQL: which statements, in which order, with which locks.

Lock modes and what each blocks: https://www.postgresql.org/docs/current/explicit-locking.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from alembic.ddl.base import AddColumn
from sqlalchemy.schema import CreateIndex, CreateTable

from safeops.databases.ddl import NOT_A_TABLE
from safeops.databases.definitions import Table, differences
from safeops.databases.postgresql.constraints import ConstraintDDL
from safeops.databases.postgresql.sealing import sealed
from safeops.databases.postgresql.server import SHARE_ROW_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from safeops.databases.postgresql.types import block
from safeops.databases.steps import Plan, Step
from safeops.naming import Name
from safeops.planned import NO_LOCK, Effect

IS_TABLE = "c.relkind IN ('r', 'p', 'f', 'v', 'm')"
_STORAGE = {"p": "PLAIN", "e": "EXTERNAL", "x": "EXTENDED", "m": "MAIN"}
_COMPRESSION = {"p": "pglz", "l": "lz4"}


class DDL(ConstraintDDL):
    """The plans of PostgreSQL. Statements with strong locks are brief; those that scan hold weak ones."""

    confirms_tables = True

    def replace_index(self, name: Name, index: sa.Index, existing: Table | None) -> Plan:
        named, temporary = str(index.name), self.under_temporary_name(index)
        yield from self._rebuilt(name, temporary, existing)
        old, new = (self.index_name(name, index_name, existing) for index_name in (named, str(temporary.name)))
        swap = [f"DROP INDEX IF EXISTS {old}", f"ALTER INDEX {new} RENAME TO {self.quoted(named)}"]
        swap += self._part_renames(named, str(temporary.name), existing)
        sql = block(f"to_regclass({self.literal(new)}) IS NOT NULL", ";\n    ".join(swap))
        yield Step(sql, f"replaced index {named} on {name}", (name, *(existing.partitions if existing else ())))

    def _part_renames(self, named: str, temporary: str, existing: Table | None) -> list[str]:
        """Give the indexes of the partitions the names that building the index under its own name gives them."""
        renames: list[str] = []
        for partition in existing.partitions if existing else ():
            old, new = self.part_name(partition, temporary), self.part_name(partition, named)
            full = self.quoted_table(Name(old, partition.schema))
            renames.append(f"ALTER INDEX IF EXISTS {full} RENAME TO {self.quoted(new)}")
            renames += self._part_renames(new, old, self.database.table(partition))
        return renames

    def _rebuilt(self, name: Name, index: sa.Index, existing: Table | None) -> Plan:
        """Build an index, replacing one that another revision left under the temporary name."""
        left = existing.indexes.get(str(index.name)) if existing else None
        if existing is not None and left is not None and differences(left, self.database.wanted_index(index)):
            yield from self.drop_index(name, left.name, existing)
            existing = self.database.table(existing.name)
        if left is None or not left.valid or (existing is not None and left.name not in existing.indexes):
            yield from self.create_index(name, index, existing)

    def replace_constraint(self, name: Name, constraint: sa.Constraint, existing: Table | None, validate: bool) -> Plan:
        if existing is not None and existing.is_partitioned:
            raise self.database.unsupported(
                f'if_different="replace" for {constraint.name}', "a table that is not partitioned"
            )
        if isinstance(constraint, sa.UniqueConstraint):
            return self._replace_key(name, constraint, existing)
        if isinstance(constraint, (sa.ForeignKeyConstraint, sa.CheckConstraint)):
            return self._replace_rule(name, constraint, existing, validate)
        return self._replace_at_once(name, constraint)

    def _replace_rule(self, name: Name, constraint: sa.Constraint, existing: Table | None, validate: bool) -> Plan:
        """Add and validate a foreign key or a check under a temporary name, then rename it to that of the old one."""
        named, temporary = str(constraint.name), self.under_temporary_name(constraint)
        left = existing.constraints.get(str(temporary.name)) if existing else None
        if existing is not None and left is not None:
            wanted = self.database.wanted_constraint(temporary)
            if differences(left, replace(wanted, referent=wanted.referent and left.referent)):
                yield from self.drop_constraint(name, left.name, None, existing)
                existing = self.database.table(existing.name)
        yield from self.add_constraint(name, temporary, existing, validate)
        table, new = self.quoted_table(name), self.quoted(str(temporary.name))
        drop = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {self.quoted(named)}"
        rename = f"ALTER TABLE {table} RENAME CONSTRAINT {new} TO {self.quoted(named)}"
        sql = block(self._has_constraint(name, str(temporary.name)), f"{drop};\n    {rename}")
        yield Step(sql, f"replaced {named} on {name}", self._locked(name, constraint, existing))

    def _locked(self, name: Name, constraint: sa.Constraint, existing: Table | None) -> tuple[Name, ...]:
        old = existing.constraints.get(str(constraint.name)) if existing else None
        return (name, old.referent) if old and old.referent else (name,)

    def _replace_key(self, name: Name, key: sa.UniqueConstraint, existing: Table | None) -> Plan:
        named, temporary = str(key.name), self.under_temporary_name(key)
        yield from self._rebuilt(name, self.database.index_of_key(temporary), existing)
        new = self.index_name(name, str(temporary.name), existing)
        quoted = self.quoted(named)
        swap = (
            f"ALTER TABLE {self.quoted_table(name)} DROP CONSTRAINT IF EXISTS {quoted}, ADD CONSTRAINT {quoted} UNIQUE"
        )
        swap += f" USING INDEX {self.quoted(str(temporary.name))}{self.timing(key)}"
        sql = block(f"to_regclass({self.literal(new)}) IS NOT NULL", swap)
        yield Step(sql, f"replaced unique {named} on {name}", (name,))

    def _replace_at_once(self, name: Name, constraint: sa.Constraint) -> Plan:
        drop = f"DROP CONSTRAINT {self.quoted(str(constraint.name))}"
        sql = f"ALTER TABLE {self.quoted_table(name)} {drop}, ADD {self.constraint_spec(constraint)}"
        yield Step(sql, f"replaced {constraint.name} on {name}", (name,))

    def create_table(self, table: sa.Table) -> Plan:
        name = Name(table.name, table.schema)
        statements = [self.database.rendered(CreateTable(table, if_not_exists=True))]
        statements += [] if self.database.offline else [self._confirming(name)]
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        statements += [self.database.rendered(CreateIndex(index, if_not_exists=True)) for index in indexes]
        statements += [self.comment_on("TABLE", self.quoted_table(name), table.comment)] if table.comment else []
        statements += [self._column_comment(name, column) for column in table.columns if column.comment]
        referents = {Name(key.column.table.name, key.column.table.schema) for key in table.foreign_keys}
        lock, effect = SHARE_ROW_EXCLUSIVE if referents else NO_LOCK, Effect(name)
        locks, then = (name, *referents - {name}), tuple(statements[1:])
        yield Step(statements[0], f"created table {name}", locks, then, lock=lock, effect=effect)

    def _confirming(self, name: Name) -> str:
        """Return the query that fails if IF NOT EXISTS has found an object of another kind, and created nothing."""
        schema = self.literal(name.schema) if name.schema else "current_schema()"
        table = f"""SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relname = {self.literal(name.name)} AND n.nspname = {schema} AND {IS_TABLE}"""
        return sealed(f"SELECT CASE WHEN NOT EXISTS ({table}) THEN current_setting('{NOT_A_TABLE}') END")

    def drop_table(self, name: Name, existing: Table | None) -> Plan:
        referents = existing.referents() if existing else []
        fillers = self.database.triggers.fillers(existing) if existing else []
        functions = [f"DROP FUNCTION IF EXISTS {self.quoted_table(Name(row[1], row[2]))}()" for row in fillers]
        sql = f"DROP TABLE IF EXISTS {self.quoted_table(name)}"
        yield Step(sql, f"dropped table {name}", (name, *referents), tuple(functions), loses=True)

    # Columns ----------------------------------------------------------------------------------------------------

    def add_column(self, name: Name, column: sa.Column[Any], existing: Table | None) -> Plan:
        # Alembic takes a plain name apart at its dots.
        schema = None if name.schema is None else sa.quoted_name(name.schema, None)
        sql = self.database.rendered(AddColumn(name.name, column, schema=schema, if_not_exists=True))
        then = (self._column_comment(name, column),) if column.comment else ()
        does, effect = f"added column {name}.{column.name}", Effect(name, str(column.name))
        yield Step(sql, does, (name,), then, effect=effect, may_rewrite=True)

    def drop_column(self, name: Name, column: str, existing: Table | None) -> Plan:
        drop = f"ALTER TABLE IF EXISTS {self.quoted_table(name)} DROP COLUMN IF EXISTS {self.quoted(column)}"
        # In one transaction: without the column its trigger fails each write, without the trigger the old application's do.
        unfilling = self.database.triggers.unfilling(name, column, existing) if existing is not None else ()
        statements: tuple[str, ...] = (*unfilling, drop)
        locks = (name, *(existing.referents(column) if existing else ()))
        yield Step(statements[0], f"dropped column {name}.{column}", locks, statements[1:], loses=True)

    def set_default(self, name: Name, column: str, default: str | None, existing: Table | None) -> Plan:
        action = "DROP DEFAULT" if default is None else f"SET DEFAULT {default}"
        done = "removed the default of" if default is None else f"set the default {default} of"
        yield Step(self.alter_column(name, column, action), f"{done} {name}.{column}", (name,))

    def set_comment(self, name: Name, column: str | None, comment: str | None, existing: Table | None) -> Plan:
        table, what = self.quoted_table(name), f"{name}.{column}" if column else str(name)
        kind, target = ("COLUMN", f"{table}.{self.quoted(column)}") if column else ("TABLE", table)
        # The server takes an empty comment for none.
        sql = self.comment_on(kind, target, comment or "")
        does = f"set the comment of {what}" if comment else f"removed the comment of {what}"
        yield Step(sql, does, (name,), lock=SHARE_UPDATE_EXCLUSIVE, skips_partitions=True)

    def alter_type(self, name: Name, column: sa.Column[Any], existing: Table | None) -> Plan:
        does = f"changed {name}.{column.name} to {self.database.type_text(column.type)}"
        yield Step(self.type_sql(name, column), does, (name,), may_rewrite=True)

    def type_sql(self, name: Name, column: sa.Column[Any]) -> str:
        return self.alter_column(name, str(column.name), f"TYPE {self.database.type_text(column.type)}")

    # Named types and schemas ------------------------------------------------------------------------------------

    def create_enum(self, name: Name, values: Sequence[str]) -> Plan:
        sql = f"CREATE TYPE {self.quoted_table(name)} AS ENUM ({', '.join(map(self.database.literal, values))})"
        guarded = block(f"to_regtype({self.literal(self.quoted_table(name))}) IS NULL", sql)
        yield Step(sql, f"created type {name}", offline=guarded, effect=Effect(name))

    def add_enum_value(self, name: Name, value: str, before: str | None, after: str | None) -> Plan:
        place = f" BEFORE {self.literal(before)}" if before else ""
        place = f" AFTER {self.literal(after)}" if after else place
        sql = f"ALTER TYPE {self.quoted_table(name)} ADD VALUE IF NOT EXISTS {self.literal(value)}{place}"
        # Inside a transaction the new value could not be used before the commit.
        yield Step(sql, f"added value {value!r} to type {name}", outside_transaction=True)

    def drop_enum(self, name: Name) -> Plan:
        yield Step(f"DROP TYPE IF EXISTS {self.quoted_table(name)}", f"dropped type {name}")

    def create_schema(self, schema: str) -> Plan:
        yield Step(f"CREATE SCHEMA IF NOT EXISTS {self.quoted(schema)}", f"created schema {schema}")

    def drop_schema(self, schema: str) -> Plan:
        yield Step(f"DROP SCHEMA IF EXISTS {self.quoted(schema)}", f"dropped schema {schema}")

    def path_of_now(self) -> str:
        """Return the clause by which a function resolves the names in the author's expressions as they are resolved now.

        The server's own come first and temporary ones last, under any search_path of the application: nothing that is
        created later in a schema of the path can take the place of either.
        """
        if self.database.offline:
            return "SET search_path FROM CURRENT"
        schemas = self.scalar("SELECT pg_catalog.current_schemas(false)::pg_catalog.text[]")
        named = [schema for schema in schemas if schema != "pg_catalog"]
        return f"SET search_path = {self.quoted('pg_catalog', *named, 'pg_temp')}"

    # Details ----------------------------------------------------------------------------------------------------

    def comment_on(self, kind: str, what: str, comment: str) -> str:
        return f"COMMENT ON {kind} {what} IS {self.literal(comment)}"

    def _column_comment(self, name: Name, column: sa.Column[Any]) -> str:
        quoted = f"{self.quoted_table(name)}.{self.quoted(str(column.name))}"
        return self.comment_on("COLUMN", quoted, column.comment or "")

    def column_attributes(self, name: Name, column: str, parts: Mapping[str, Any]) -> Iterator[str]:
        """Render what a column has in addition to its type and default: storage, statistics, options, comment and grants.

        Args:
            name: The table.
            column: The column.
            parts: The parts by their names, storage and compression as the catalogue spells them.
        """
        table, quoted = self.quoted_table(name), self.quoted(column)
        if parts["storage"]:
            yield self.alter_column(name, column, f"SET STORAGE {_STORAGE[parts['storage']]}")
        if parts["compression"]:
            yield self.alter_column(name, column, f"SET COMPRESSION {_COMPRESSION[parts['compression']]}")
        if parts["statistics"] is not None:
            yield self.alter_column(name, column, f"SET STATISTICS {parts['statistics']}")
        if parts.get("options"):
            yield self.alter_column(name, column, f"SET ({', '.join(parts['options'])})")
        if parts["comment"]:
            yield self.comment_on("COLUMN", f"{table}.{quoted}", parts["comment"])
        for privilege, role, grantable in parts["grants"] or ():
            yield f"GRANT {privilege} ({quoted}) ON {table} TO {role}{' WITH GRANT OPTION' if grantable else ''}"
