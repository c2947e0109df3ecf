"""PostgreSQL 14 to 18: what stands in it and how its things are spelled. Its plans are in ``plans``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from alembic.ddl.base import AddColumn
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.schema import CreateIndex

from safeops import _sqlalchemy
from safeops.databases.definitions import Column, Constraint, Index, Table
from safeops.databases.postgresql import catalogue
from safeops.databases.postgresql import identity as identity_of
from safeops.databases.postgresql.archiving import Archiving
from safeops.databases.postgresql.batches import Batches
from safeops.databases.postgresql.depending import Depending
from safeops.databases.postgresql.dumping import Dumping
from safeops.databases.postgresql.filling import Filling
from safeops.databases.postgresql.indexing import with_included
from safeops.databases.postgresql.judging import Judging
from safeops.databases.postgresql.load import Load
from safeops.databases.postgresql.publishing import Publishing
from safeops.databases.postgresql.renaming import Renames
from safeops.databases.postgresql.scratch import PROBE
from safeops.databases.postgresql.scratching import Scratching
from safeops.databases.postgresql.spelling import split_collation, type_name
from safeops.databases.postgresql.surveying import Surveying
from safeops.databases.postgresql.twins import Twins
from safeops.naming import Name

LOOKS = 10
"""How often a table is looked at that another session changes at that moment."""


class PostgreSQL(
    Filling, Batches, Dumping, Surveying, Scratching, Load, Renames, Twins, Archiving, Judging, Publishing, Depending
):
    """PostgreSQL, looked at through its catalogue."""

    product = "PostgreSQL"
    validates_constraints_later = True
    has_named_types = True
    has_exclusion_constraints = True
    names_indexes_of_keys = True
    has_deferrable_keys = True
    has_deferrable_foreign_keys = True
    ties_foreign_keys = True
    has_partial_indexes = True
    merges_equal_keys = True

    def __init__(self, dialect: Dialect, connection: Callable[[], Connection] | None) -> None:
        super().__init__(dialect, connection)
        if connection is None:
            # Nobody can ask the server; since 9.1 it takes a backslash in a string for what it is.
            _sqlalchemy.keep_backslashes(self.dialect)

    # Looking ----------------------------------------------------------------------------------------------------

    def table(self, name: Name, *, to_create: bool = False) -> Table | None:
        where, parameters = catalogue.RESOLVED, {"quoted": self.quoted_table(name)}
        if name.schema:
            where, parameters = catalogue.IN_SCHEMA, {"name": name.name, "schema": name.schema}
        elif to_create:
            where, parameters = catalogue.VISIBLE, {"name": name.name}
        for _ in range(LOOKS):
            raw = self.scalar(catalogue.TABLE + where, bound=f"{int(self.patience * 1000)}ms", **parameters)
            if raw is None or not catalogue.is_torn(raw):
                break
        return catalogue.table_of(raw) if raw else None

    def table_names(self, schema: str | None) -> list[str]:
        sql = """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'f') AND CASE WHEN :schema = '' THEN pg_table_is_visible(c.oid)
            ELSE n.nspname = :schema END AND n.nspname NOT IN ('pg_catalog', 'information_schema')"""
        return [row[0] for row in self.read(sql, schema=schema or "")]

    def index_elsewhere(self, index: str, table: Table) -> Name | None:
        sql = """SELECT n.nspname, coalesce(t.relname, r.relname) FROM pg_class r
            JOIN pg_namespace n ON n.oid = r.relnamespace LEFT JOIN pg_index i ON i.indexrelid = r.oid
            LEFT JOIN pg_class t ON t.oid = i.indrelid
            WHERE r.relname = :index AND n.nspname = :schema AND coalesce(i.indrelid, 0) <> :id"""
        rows = self.read(sql, index=index, schema=table.name.schema, id=table.id)
        return Name(rows[0][1], rows[0][0]) if rows else None

    def enum(self, name: Name) -> tuple[str, ...] | None:
        sql = """SELECT e.enumlabel FROM pg_type t LEFT JOIN pg_enum e ON e.enumtypid = t.oid
            WHERE t.typtype = 'e' AND t.oid = to_regtype(:quoted) ORDER BY e.enumsortorder"""
        rows = self.read(sql, quoted=self.quoted_table(name))
        return tuple(row[0] for row in rows if row[0] is not None) if rows else None

    def enum_names(self, schema: str | None) -> list[str]:
        sql = """SELECT t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
            WHERE t.typtype = 'e' AND CASE WHEN :schema = '' THEN pg_type_is_visible(t.oid) ELSE n.nspname = :schema END"""
        return [row[0] for row in self.read(sql, schema=schema or "")]

    def has_schema(self, schema: str) -> bool:
        return bool(self.scalar("SELECT 1 FROM pg_namespace WHERE nspname = :schema", schema=schema))

    def dependents(self, table: Table, column: str | None = None) -> list[str]:
        if column is not None:
            return self.dependents_of_column(table, column)
        return [row[0] for row in self.read(catalogue.DEPENDENTS, id=table.id)]

    def dependents_of_schema(self, schema: str) -> list[str]:
        sql = """SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
            JOIN pg_namespace n ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid
            WHERE n.nspname = :schema AND d.deptype = 'n' LIMIT 20"""
        return [row[0] for row in self.read(sql, schema=schema)]

    def dependents_of_enum(self, name: Name) -> list[str]:
        sql = """SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
            JOIN pg_type t ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray)
            WHERE t.oid = to_regtype(:quoted) AND d.deptype = 'n' LIMIT 20"""
        return [row[0] for row in self.read(sql, quoted=self.quoted_table(name))]

    def dependents_of_key(self, stands: Table, constraint: Constraint) -> list[str]:
        if constraint.kind not in ("unique", "primary key"):
            return []
        sql = """SELECT pg_describe_object('pg_constraint'::regclass, k.oid, 0) || ': ' || pg_get_constraintdef(k.oid)
            FROM pg_constraint k JOIN pg_constraint u ON u.conindid = k.conindid AND u.oid <> k.oid
            WHERE k.contype = 'f' AND u.conrelid = :id AND u.conname = :name"""
        return [row[0] for row in self.read(sql, id=stands.id, name=constraint.name)]

    # Wanting ----------------------------------------------------------------------------------------------------

    def wanted_column(self, column: sa.Column[Any]) -> Column:
        spelled, collation = split_collation(self.type_text(column.type))
        computed = column.computed.sqltext if column.computed is not None else None
        identity = column.identity
        return Column(
            name=str(column.name),
            type=type_name(spelled),
            nullable=bool(column.nullable) and identity is None and not column.primary_key,
            default=None if computed is not None or identity is not None else self.default_text(column),
            computed=None if computed is None else self.rendered(computed),
            persisted=column.computed.persisted if column.computed is not None else None,
            identity=None if identity is None else ("always" if identity.always else "by default"),
            collation=collation,
            comment=column.comment,
        )

    def wanted_index(self, index: sa.Index) -> Index:
        table = index.table
        if table is None:
            raise RuntimeError("an index without a table")
        return catalogue.index_of(
            self.rendered(CreateIndex(with_included(index))), name=str(index.name), table=table.name
        )

    def wanted_constraint(self, constraint: sa.Constraint) -> Constraint:
        options = constraint.dialect_kwargs
        named = str(constraint.name)
        late = constraint.initially.upper() if constraint.initially else None
        shared: dict[str, Any] = {
            "name": named,
            "deferrable": bool(constraint.deferrable) or late == "DEFERRED",
            "initially": late if late == "DEFERRED" else None,
        }
        if isinstance(constraint, sa.ForeignKeyConstraint):
            referent = constraint.elements[0].column.table
            return Constraint(
                kind="foreign key",
                columns=tuple(constraint.column_keys),
                referent=Name(referent.name, referent.schema),
                remote=tuple(element.column.name for element in constraint.elements),
                onupdate=_action(constraint.onupdate),
                ondelete=_action(constraint.ondelete),
                match="FULL" if (constraint.match or "").upper() == "FULL" else None,
                **shared,
            )
        if isinstance(constraint, sa.CheckConstraint):
            return Constraint(kind="check", expression=self.part_text(constraint.sqltext), **shared)
        if isinstance(constraint, (sa.UniqueConstraint, sa.PrimaryKeyConstraint)):
            return Constraint(
                kind="unique" if isinstance(constraint, sa.UniqueConstraint) else "primary key",
                columns=tuple(column.name for column in constraint.columns),
                include=tuple(options.get("postgresql_include") or ()),
                nulls_not_distinct=bool(options.get("postgresql_nulls_not_distinct")),
                **shared,
            )
        spec = self.constraint_spec(constraint)
        columns = tuple(column.name for column in getattr(constraint, "columns", ()))
        return Constraint(kind="exclude", columns=columns, expression=spec[spec.index("EXCLUDE") + 8 :], **shared)

    def index_options(self, index: Index) -> dict[str, Any]:
        given = {
            "where": index.where,
            "using": index.method if index.method != "btree" else None,
            "include": list(index.include),
            "with": dict(one.split("=", 1) for one in index.options),
            "nulls_not_distinct": index.nulls_not_distinct,
        }
        return {f"postgresql_{key}": value for key, value in given.items() if value not in (None, [], {}, False)}

    def key_options(self, key: Constraint) -> dict[str, Any]:
        given = {"include": list(key.include), "nulls_not_distinct": key.nulls_not_distinct}
        return {f"postgresql_{name}": value for name, value in given.items() if value}

    def exclusion_parts(self, exclusion: Constraint) -> tuple[str, list[tuple[str, str]], str | None]:
        return catalogue.exclusion_parts(exclusion.expression or "")

    def ask(self, table: Table, wanted: sa.Column[Any] | sa.Index | sa.Constraint) -> Any:
        """Have the server spell it: make it on an empty temporary copy, look, and roll back."""
        probe = Name(PROBE)
        try:
            with self.scratch():
                self.copy_empty(table, probe)
                if isinstance(wanted, sa.Column):
                    self.run(f"ALTER TABLE {PROBE} DROP COLUMN IF EXISTS {self.quoted(str(wanted.name))}")
                    self.run(self.rendered(AddColumn(PROBE, wanted)))
                elif isinstance(wanted, sa.Index):
                    self.run(self.index_sql(probe, wanted))
                else:
                    self.run(f"ALTER TABLE {PROBE} ADD {self.constraint_spec(wanted)}")
                copy = self.table(probe)
        except sa.exc.DBAPIError as error:
            # Locked out it could not ask; that is no answer, and trying again may help.
            if self.is_lock_failure(error) or self.is_cut_short(error):
                raise
            return None
        return _of(copy, wanted) if copy else None

    # Judging ----------------------------------------------------------------------------------------------------

    def serial_as_identity(
        self, name: Name, column: str, identity: sa.Identity, stands: Table
    ) -> tuple[str, str] | None:
        return identity_of.serial_as_identity(self, name, column, identity, stands)


def _action(action: str | None) -> str | None:
    return None if action is None or action.upper() == "NO ACTION" else action.upper()


def _of(table: Table, wanted: sa.Column[Any] | sa.Index | sa.Constraint) -> Any:
    things: Sequence[Any]
    if isinstance(wanted, sa.Column):
        return table.columns.get(str(wanted.name))
    things = list((table.indexes if isinstance(wanted, sa.Index) else table.constraints).values())
    return next((one for one in things if one.name == str(wanted.name)), None)
