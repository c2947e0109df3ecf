"""The plans of PostgreSQL: which statements, in which order, with which locks.

Lock modes and what each blocks: https://www.postgresql.org/docs/current/explicit-locking.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic.ddl.base import AddColumn
from sqlalchemy.schema import CreateIndex, CreateTable

from safeops.databases.base import Plan
from safeops.databases.definitions import Table
from safeops.databases.postgresql.session import Session
from safeops.databases.steps import Step
from safeops.naming import Name, fitting


class Plans(Session):
    """What PostgreSQL does for each deed. Statements with strong locks are brief, those that scan hold weak ones."""

    # Tables -----------------------------------------------------------------------------------------------------

    def create_table(self, table: sa.Table) -> Plan:
        name = Name(table.name, table.schema)
        made = [self.rendered(CreateTable(table, if_not_exists=True))]
        made += [self.rendered(CreateIndex(index, if_not_exists=True)) for index in _sorted(table.indexes)]
        made += [self._comment("TABLE", self.quoted_table(name), table.comment)] if table.comment else []
        made += [self._column_comment(name, column) for column in table.columns if column.comment]
        referents = {Name(key.column.table.name, key.column.table.schema) for key in table.foreign_keys}
        yield Step(made[0], f"created table {name}", (name, *referents - {name}), then=tuple(made[1:]))

    def drop_table(self, name: Name, stands: Table | None) -> Plan:
        referents = {one.referent for one in stands.constraints.values() if one.referent} if stands else set()
        sql = f"DROP TABLE IF EXISTS {self.quoted_table(name)}"
        yield Step(sql, f"dropped table {name}", (name, *referents))

    # Columns ----------------------------------------------------------------------------------------------------

    def add_column(self, name: Name, column: sa.Column[Any], stands: Table | None) -> Plan:
        sql = self.rendered(AddColumn(name.name, column, schema=name.schema, if_not_exists=True))
        then = (self._column_comment(name, column),) if column.comment else ()
        yield Step(sql, f"added column {name}.{column.name}", (name,), then)

    def drop_column(self, name: Name, column: str, stands: Table | None) -> Plan:
        sql = f"ALTER TABLE IF EXISTS {self.quoted_table(name)} DROP COLUMN IF EXISTS {self.quoted(column)}"
        yield Step(sql, f"dropped column {name}.{column}", (name, *self._referents(stands, column)))

    def set_default(self, name: Name, column: str, default: str | None, stands: Table | None) -> Plan:
        action = "DROP DEFAULT" if default is None else f"SET DEFAULT {default}"
        done = "removed the default of" if default is None else f"set the default {default} of"
        yield Step(self._alter_column(name, column, action), f"{done} {name}.{column}", (name,))

    def alter_type(self, name: Name, column: sa.Column[Any], stands: Table | None) -> Plan:
        type_ = self.type_text(column.type)
        yield Step(self.type_sql(name, column), f"changed {name}.{column.name} to {type_}", (name,))

    def type_sql(self, name: Name, column: sa.Column[Any]) -> str:
        return self._alter_column(name, str(column.name), f"TYPE {self.type_text(column.type)}")

    def set_not_null(self, name: Name, column: str, stands: Table | None) -> Plan:
        """Prove it under a weak lock first, so that SET NOT NULL finds the proof and does not scan.

        https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL
        """
        table, quoted = self.quoted_table(name), self.quoted(column)
        if stands is not None and not stands.columns[column].nullable:
            left, kept = self._proof(name, column, stands)
            if left in stands.constraints and not kept:
                yield self._drop_constraint(name, left)
            return
        if stands is not None and self.version >= (18,):
            yield from self._set_not_null_natively(name, column, stands)
            return
        proof, kept = self._proof(name, column, stands)
        if not kept:
            spec = f"CONSTRAINT {self.quoted(proof)} CHECK ({quoted} IS NOT NULL) NOT VALID"
            not_yet = f"""NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = {self._regclass(name)}
                AND attname = {self.literal(column)} AND attnotnull)"""
            add = f"ALTER TABLE {table} ADD {spec}"
            if stands is None or proof not in stands.constraints:
                guarded = self._unless_constraint(name, proof, add, also=not_yet)
                yield Step(add, f"added check {proof}", (name,), offline=guarded)
            if stands is None or not _is_valid(stands, proof):
                yield self._validate(name, proof)
        yield Step(self._alter_column(name, column, "SET NOT NULL"), f"made {name}.{column} NOT NULL", (name,))
        if not kept:
            yield self._drop_constraint(name, proof)

    def _set_not_null_natively(self, name: Name, column: str, stands: Table) -> Plan:
        constraint = next((one for one in stands.constraints.values() if one.kind == "not null" and one.columns == (column,)), None)
        # The name that the server itself would give, so that the schema is the one that SET NOT NULL makes.
        proof = constraint.name if constraint else fitting(name.name, column, "not_null", max_bytes=self.max_identifier)
        if constraint is None:
            add = f"CONSTRAINT {self.quoted(proof)} NOT NULL {self.quoted(column)} NOT VALID"
            yield Step(f"ALTER TABLE {self.quoted_table(name)} ADD {add}", f"added not null {proof}", (name,))
        yield self._validate(name, proof)
        left, kept = self._proof(name, column, stands)
        if not kept and left in stands.constraints:
            yield self._drop_constraint(name, left)

    def _proof(self, name: Name, column: str, stands: Table | None) -> tuple[str, bool]:
        """Return the check that proves the column NOT NULL, and whether it is the author's own and stays."""
        ours = fitting("safeops_not_null", name.name, column, max_bytes=self.max_identifier)
        for one in stands.constraints.values() if stands else ():
            proves = (one.expression or "").strip("()").replace('"', "") == f"{column} IS NOT NULL".replace('"', "")
            if one.kind == "check" and one.valid and proves and one.name != ours:
                return one.name, True
        return ours, False

    def has_unfinished_not_null(self, stands: Table, column: str) -> bool:
        ours = self._proof(stands.name, column, stands)[0] in stands.constraints
        return ours or any(one.kind == "not null" and one.columns == (column,) for one in stands.constraints.values())

    def drop_not_null(self, name: Name, column: str, stands: Table | None) -> Plan:
        left, kept = self._proof(name, column, stands)
        if stands is not None and left in stands.constraints and not kept:
            yield self._drop_constraint(name, left)
        yield Step(self._alter_column(name, column, "DROP NOT NULL"), f"{name}.{column} takes NULL again", (name,))

    # Indexes ----------------------------------------------------------------------------------------------------

    def create_index(self, name: Name, index: sa.Index, stands: Table | None) -> Plan:
        named = str(index.name)
        if stands is not None and stands.is_partitioned:
            yield from self._create_partitioned_index(name, index, stands)
            return
        there = stands.indexes.get(named) if stands else None
        full = self._index_name(name, named, stands)
        drop = Step(f"DROP INDEX CONCURRENTLY IF EXISTS {full}", f"dropped invalid index {named}", (name,), alone=True, waits_inside=True)
        if there is not None and not there.valid:
            yield drop
        if stands is None:
            yield self._drop_invalid_offline(name, named)
        if there is None or not there.valid:
            sql = self.index_sql(name, index, "CONCURRENTLY IF NOT EXISTS")
            yield Step(sql, f"built index {named} on {name}", (name,), scans=True, waits_inside=True, alone=True, cleanup=(drop,))

    def _create_partitioned_index(self, name: Name, index: sa.Index, stands: Table) -> Plan:
        """Build on each partition concurrently, and attach: the parent turns valid with the last one.

        https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE
        """
        named = str(index.name)
        if named not in stands.indexes:
            sql = self.index_sql(name, index, "IF NOT EXISTS", only=True)
            yield Step(sql, f"created index {named} on {name} for its partitions", (name,))
        for partition in stands.partitions:
            part = self.table(partition)
            if part is None or part.kind == "foreign table":
                continue
            part_name = fitting(partition.name, named, max_bytes=self.max_identifier)
            yield from self.create_index(partition, _renamed(index, part_name), part)
            attach = f"ALTER INDEX {self._index_name(name, named, stands)} ATTACH PARTITION {self._index_name(partition, part_name, part)}"
            yield Step(attach, f"attached index {part_name}", (name, partition))

    def drop_index(self, name: Name, index: str, stands: Table | None) -> Plan:
        full = self._index_name(name, index, stands)
        if stands is not None and stands.is_partitioned:
            yield Step(f"DROP INDEX IF EXISTS {full}", f"dropped index {index}", (name,))
            return
        sql = f"DROP INDEX CONCURRENTLY IF EXISTS {full}"
        yield Step(sql, f"dropped index {index}", (name,), alone=True, waits_inside=True)

    def index_sql(self, name: Name, index: sa.Index, how: str = "", only: bool = False) -> str:
        """Render CREATE INDEX on a table that may be another than the one that the index was made for."""
        rendered = self.rendered(CreateIndex(with_included(index)))
        head, _, rest = rendered.partition(" ON ")
        own = self.quoted_table(Name(index.table.name, index.table.schema))  # type: ignore[union-attr]
        unique = "UNIQUE " if index.unique else ""
        head = f"CREATE {unique}INDEX {how + ' ' if how else ''}{self.quoted(str(index.name))}"
        return f"{head} ON {'ONLY ' if only else ''}{self.quoted_table(name)}{rest.removeprefix(own)}"

    def _drop_invalid_offline(self, name: Name, index: str) -> Step:
        sql = f"""DO $safeops$ BEGIN
  IF EXISTS (SELECT 1 FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
             WHERE i.indrelid = {self._regclass(name)} AND r.relname = {self.literal(index)} AND NOT i.indisvalid) THEN
    DROP INDEX {self._index_name(name, index, None)};
  END IF;
END $safeops$"""
        return Step(sql, f"dropped index {index} if an earlier build left it invalid", (name,))

    def _index_name(self, name: Name, index: str, stands: Table | None) -> str:
        return self.quoted_table(Name(index, stands.name.schema if stands else name.schema))

    # Constraints ------------------------------------------------------------------------------------------------

    def constraint_spec(self, constraint: sa.Constraint) -> str:
        compiler: Any = self.dialect.ddl_compiler(self.dialect, None)  # type: ignore[arg-type]
        return " ".join(str(compiler.process(constraint)).split("\n"))

    def add_constraint(self, name: Name, constraint: sa.Constraint, stands: Table | None, validate: bool) -> Plan:
        if isinstance(constraint, (sa.UniqueConstraint, sa.PrimaryKeyConstraint)):
            return self._add_key(name, constraint, stands)
        if isinstance(constraint, (sa.ForeignKeyConstraint, sa.CheckConstraint)):
            return self._add_then_validate(name, constraint, stands, validate)
        return self._add_at_once(name, constraint)

    def _add_then_validate(self, name: Name, constraint: sa.Constraint, stands: Table | None, validate: bool) -> Plan:
        """New rows are checked from the first, brief step on; the old ones are scanned under a lock that lets all pass."""
        named = str(constraint.name)
        locks = (name,)
        if isinstance(constraint, sa.ForeignKeyConstraint):
            referent = constraint.elements[0].column.table
            locks += (Name(referent.name, referent.schema),)
            if stands is not None and stands.is_partitioned and self.version < (18,):
                yield from self._add_through_partitions(name, constraint, stands, locks)
                return
        add = f"ALTER TABLE {self.quoted_table(name)} ADD {self.constraint_spec(constraint)} NOT VALID"
        if stands is None or named not in stands.constraints:
            yield Step(add, f"added {named} for new rows of {name}", locks, offline=self._unless_constraint(name, named, add))
        if validate and (stands is None or not _is_valid(stands, named)):
            yield self._validate(name, named, locks)

    def _add_through_partitions(self, name: Name, key: sa.ForeignKeyConstraint, stands: Table, locks: tuple[Name, ...]) -> Plan:
        """Before 18 a partitioned table takes no NOT VALID foreign key, but it adopts those of its partitions unscanned."""
        for partition in stands.partitions:
            yield from self._add_then_validate(partition, key, self.table(partition), validate=True)
        add = f"ALTER TABLE {self.quoted_table(name)} ADD {self.constraint_spec(key)}"
        yield Step(add, f"added {key.name} to {name} from its partitions", (*locks, *stands.partitions))

    def _add_key(self, name: Name, key: sa.UniqueConstraint | sa.PrimaryKeyConstraint, stands: Table | None) -> Plan:
        """Build the index online, then make the constraint of it in a brief step."""
        named, primary = str(key.name), isinstance(key, sa.PrimaryKeyConstraint)
        if primary:
            for column in key.columns:
                if stands is None or stands.columns[column.name].nullable:
                    yield from self.set_not_null(name, column.name, stands)
        if stands is not None and stands.is_partitioned:
            for partition in stands.partitions:
                part_name = fitting(partition.name, named, max_bytes=self.max_identifier)
                part = self.table(partition)
                if part is not None and part_name not in part.constraints:
                    yield from self._add_key(partition, _renamed_key(key, part_name), part)
            add = f"ALTER TABLE {self.quoted_table(name)} ADD {self.constraint_spec(key)}"
            yield Step(add, f"added {named} to {name} from its partitions", (name, *stands.partitions))
            return
        yield from self.create_index(name, self.index_of_key(key), stands)
        timing = " DEFERRABLE" if key.deferrable else ""
        timing += f" INITIALLY {key.initially.upper()}" if key.initially else ""
        kind = "PRIMARY KEY" if primary else "UNIQUE"
        quoted = self.quoted(named)
        add = f"ALTER TABLE {self.quoted_table(name)} ADD CONSTRAINT {quoted} {kind} USING INDEX {quoted}{timing}"
        yield Step(add, f"added {kind.lower()} {named} to {name}", (name,), offline=self._unless_constraint(name, named, add))

    def _add_at_once(self, name: Name, constraint: sa.Constraint) -> Plan:
        add = f"ALTER TABLE {self.quoted_table(name)} ADD {self.constraint_spec(constraint)}"
        yield Step(add, f"added {constraint.name} to {name}", (name,))

    def validate_constraint(self, name: Name, constraint: str, stands: Table | None) -> Plan:
        yield self._validate(name, constraint)

    def drop_constraint(self, name: Name, constraint: str, kind: str | None, stands: Table | None) -> Plan:
        there = stands.constraints.get(constraint) if stands else None
        yield self._drop_constraint(name, constraint, (there.referent,) if there and there.referent else ())

    def _drop_constraint(self, name: Name, constraint: str, also: tuple[Name, ...] = ()) -> Step:
        sql = f"ALTER TABLE IF EXISTS {self.quoted_table(name)} DROP CONSTRAINT IF EXISTS {self.quoted(constraint)}"
        return Step(sql, f"dropped constraint {constraint} of {name}", (name, *also))

    def _validate(self, name: Name, constraint: str, locks: tuple[Name, ...] = ()) -> Step:
        sql = f"ALTER TABLE {self.quoted_table(name)} VALIDATE CONSTRAINT {self.quoted(constraint)}"
        guarded = f"""DO $safeops$ BEGIN
  IF EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = {self._regclass(name)}
             AND conname = {self.literal(constraint)} AND NOT convalidated) THEN
    {sql};
  END IF;
END $safeops$"""
        return Step(sql, f"validated {constraint} on {name}", locks or (name,), scans=True, offline=guarded)

    def _unless_constraint(self, name: Name, constraint: str, sql: str, also: str = "true") -> str:
        return f"""DO $safeops$ BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = {self._regclass(name)}
                 AND conname = {self.literal(constraint)}) AND {also} THEN
    {sql};
  END IF;
END $safeops$"""

    # Named types and schemas ------------------------------------------------------------------------------------

    def create_enum(self, name: Name, values: Sequence[str]) -> Plan:
        sql = f"CREATE TYPE {self.quoted_table(name)} AS ENUM ({', '.join(map(self.literal, values))})"
        guarded = f"""DO $safeops$ BEGIN
  IF to_regtype({self.literal(self.quoted_table(name))}) IS NULL THEN
    {sql};
  END IF;
END $safeops$"""
        yield Step(sql, f"created type {name}", offline=guarded)

    def add_enum_value(self, name: Name, value: str, before: str | None, after: str | None) -> Plan:
        place = f" BEFORE {self.literal(before)}" if before else ""
        place = f" AFTER {self.literal(after)}" if after else place
        sql = f"ALTER TYPE {self.quoted_table(name)} ADD VALUE IF NOT EXISTS {self.literal(value)}{place}"
        # Inside a transaction the new value could not be used before the commit.
        yield Step(sql, f"added value {value!r} to type {name}", alone=True)

    def drop_enum(self, name: Name) -> Plan:
        yield Step(f"DROP TYPE IF EXISTS {self.quoted_table(name)}", f"dropped type {name}")

    def create_schema(self, schema: str) -> Plan:
        yield Step(f"CREATE SCHEMA IF NOT EXISTS {self.quoted(schema)}", f"created schema {schema}")

    def drop_schema(self, schema: str) -> Plan:
        yield Step(f"DROP SCHEMA IF EXISTS {self.quoted(schema)}", f"dropped schema {schema}")

    # Details ----------------------------------------------------------------------------------------------------

    def _alter_column(self, name: Name, column: str, action: str) -> str:
        return f"ALTER TABLE {self.quoted_table(name)} ALTER COLUMN {self.quoted(column)} {action}"

    def _comment(self, kind: str, what: str, comment: str) -> str:
        return f"COMMENT ON {kind} {what} IS {self.literal(comment)}"

    def _column_comment(self, name: Name, column: sa.Column[Any]) -> str:
        return self._comment("COLUMN", f"{self.quoted_table(name)}.{self.quoted(str(column.name))}", column.comment or "")

    def _regclass(self, name: Name) -> str:
        return f"to_regclass({self.literal(self.quoted_table(name))})"

    def _referents(self, stands: Table | None, column: str) -> tuple[Name, ...]:
        keys = stands.constraints.values() if stands else ()
        return tuple(one.referent for one in keys if one.referent and column in one.columns)


def with_included(index: sa.Index) -> sa.Index:
    """Give the index's table, which was made from arguments, the columns of INCLUDE: SQLAlchemy looks for them there."""
    table = index.table
    for column in index.dialect_kwargs.get("postgresql_include") or ():
        if table is not None and isinstance(column, str) and column not in table.columns:
            table.append_column(sa.Column(column, sa.types.NullType()))
    return index


def _renamed(index: sa.Index, name: str) -> sa.Index:
    options = dict(index.dialect_kwargs)
    twin = sa.Index(name, *index.expressions, unique=index.unique, _table=index.table, **options)
    return twin


def _renamed_key(key: sa.UniqueConstraint | sa.PrimaryKeyConstraint, name: str) -> Any:
    return type(key)(*key.columns, name=name, deferrable=key.deferrable, initially=key.initially, **key.dialect_kwargs)


def _is_valid(stands: Table, constraint: str) -> bool:
    there = stands.constraints.get(constraint)
    return there is not None and there.valid


def _sorted(indexes: Any) -> list[sa.Index]:
    return sorted(indexes, key=lambda index: str(index.name))
