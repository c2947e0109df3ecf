"""PostgreSQL 14 to 18: its catalogue, and how it spells definitions. Its changes are planned in ``ddl``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.ddl.base import AddColumn
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.schema import CreateIndex

from safeops import _sqlalchemy
from safeops.databases.definitions import Column, Constraint, Index, Table
from safeops.databases.ports import PortAttribute
from safeops.databases.postgresql import catalogue
from safeops.databases.postgresql.bounds import restoring
from safeops.databases.postgresql.catalogue import Surroundings
from safeops.databases.postgresql.ddl import DDL
from safeops.databases.postgresql.indexes import with_included
from safeops.databases.postgresql.inspection import read_table, shown_tables
from safeops.databases.postgresql.sealing import sealed
from safeops.databases.postgresql.server import VIOLATIONS
from safeops.databases.postgresql.session import FORBIDDEN, Session
from safeops.databases.postgresql.types import PROBE, split_collation, sqlstate, type_name
from safeops.errors import UnsafeOperation
from safeops.naming import Name

if TYPE_CHECKING:
    from safeops.databases.postgresql.safety import Safety
    from safeops.databases.postgresql.triggers import Triggers
    from safeops.databases.postgresql.types import Types


class PostgreSQL(Session):
    """PostgreSQL, inspected through its catalogue."""

    family = "postgresql"
    product = "PostgreSQL"

    surroundings = Surroundings()
    """What the last look at a table has shown in addition to the table."""

    ddl: PortAttribute[DDL]
    safety: PortAttribute[Safety]
    triggers: PortAttribute[Triggers]
    types: PortAttribute[Types]

    def __init__(self, dialect: Dialect, connection: Callable[[], Connection] | None) -> None:
        super().__init__(dialect, connection)
        if connection is None:
            # There is no server to query; since 9.1 a backslash in a string is a plain character.
            _sqlalchemy.keep_backslashes(self.dialect)

    # Spelling ---------------------------------------------------------------------------------------------------

    def choosing_schema(self, schema: str) -> str:
        sql = f"SET search_path TO {self.quoted(schema)}"
        return (
            f"connection.exec_driver_sql({sql!r})\nconnection.commit()\n"
            f"connection.dialect.default_schema_name = {schema!r}"
        )

    # Looking ----------------------------------------------------------------------------------------------------

    def table(self, name: Name, *, to_create: bool = False, things: Collection[str] | None = None) -> Table | None:
        where, parameters = catalogue.RESOLVED, {"quoted": self.quoted_table(name)}
        if name.schema:
            where, parameters = catalogue.IN_SCHEMA, {"name": name.name, "schema": name.schema}
        elif to_create:
            where, parameters = catalogue.VISIBLE, {"name": name.name}
        query = catalogue.table_query(where, self.version)
        shown = shown_tables(self, query, things=catalogue.things_text(things), **parameters)
        read_all = partial(self.table, name, to_create=to_create)
        return read_table(self, shown[0], things, read_all) if shown else None

    def table_names(self, schema: str | None) -> list[str]:
        sql = """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'f') AND CASE WHEN :schema = '' THEN pg_table_is_visible(c.oid)
            ELSE n.nspname = :schema END AND n.nspname NOT IN ('pg_catalog', 'information_schema')"""
        return [row[0] for row in self.read(sql, schema=schema or "")]

    def index_elsewhere(self, index: str, table: Table) -> Name | None:
        if index in table.taken:
            owner = table.taken[index]
            return None if owner is None else Name(owner, table.name.schema)
        sql = """SELECT n.nspname, coalesce(t.relname, r.relname) FROM pg_class r
            JOIN pg_namespace n ON n.oid = r.relnamespace LEFT JOIN pg_index i ON i.indexrelid = r.oid
            LEFT JOIN pg_class t ON t.oid = i.indrelid
            WHERE r.relname = :index AND n.nspname = :schema AND coalesce(i.indrelid, 0) <> :id"""
        rows = self.look(sql, index=index, schema=table.name.schema, id=table.id)
        return Name(rows[0][1], rows[0][0]) if rows else None

    def has_schema(self, schema: str) -> bool:
        return bool(self.scalar("SELECT 1 FROM pg_namespace WHERE nspname = :schema", schema=schema))

    # Requested definitions ---------------------------------------------------------------------------------------

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
        assert table is not None
        return catalogue.index_of(
            self.rendered(CreateIndex(with_included(index))), name=str(index.name), table=table.name
        )

    def wanted_constraint(self, constraint: sa.Constraint) -> Constraint:
        options = constraint.dialect_kwargs
        late = (constraint.initially or "").upper() == "DEFERRED"
        shared: dict[str, Any] = {
            "name": str(constraint.name),
            "deferrable": bool(constraint.deferrable) or late,
            "initially": "DEFERRED" if late else None,
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
        spec = self.ddl.constraint_spec(constraint)
        columns = tuple(column.name for column in getattr(constraint, "columns", ()))
        return Constraint(kind="exclude", columns=columns, expression=spec[spec.index("EXCLUDE") + 8 :], **shared)

    def index_options(self, index: Index) -> dict[str, Any]:
        given = {
            "where": index.where,
            "using": index.method if index.method != "btree" else None,
            "include": list(index.include),
            "with": dict(item.split("=", 1) for item in index.options),
            "nulls_not_distinct": index.nulls_not_distinct,
        }
        return {f"postgresql_{key}": value for key, value in given.items() if value not in (None, [], {}, False)}

    def key_options(self, key: Constraint) -> dict[str, Any]:
        given = {"include": list(key.include), "nulls_not_distinct": key.nulls_not_distinct}
        return {f"postgresql_{name}": value for name, value in given.items() if value}

    def exclusion_parts(self, exclusion: Constraint) -> tuple[str, list[tuple[str, str]], str | None]:
        return catalogue.exclusion_parts(exclusion.expression or "")

    def probe(self, table: Table, wanted: sa.Column[Any] | sa.Index | sa.Constraint) -> Any:
        """Have the server spell it: create it on an empty temporary copy, inspect that, and roll back."""
        probe = Name(PROBE)
        try:
            with self.scratch():
                self.copy_empty(table, probe)
                if isinstance(wanted, sa.Column):
                    self.run(f"ALTER TABLE {PROBE} DROP COLUMN IF EXISTS {self.quoted(str(wanted.name))}")
                    self.run(self.rendered(AddColumn(PROBE, wanted)))
                elif isinstance(wanted, sa.Index):
                    self.run(self.ddl.index_sql(probe, wanted))
                else:
                    self.run(f"ALTER TABLE {PROBE} ADD {self.ddl.constraint_spec(wanted)}")
                copy = self.table(probe)
        except sa.exc.DBAPIError as error:
            # A lock timeout is not an answer, and a retry may help.
            if self.errors.is_lock_failure(error) or self.errors.is_cut_short(error):
                raise
            return None
        if copy is None:
            return None
        kind = copy.indexes if isinstance(wanted, sa.Index) else copy.constraints
        return (copy.columns if isinstance(wanted, sa.Column) else kind).get(str(wanted.name))

    def rewrites(self, table: Table, *statements: str) -> bool:
        """Try out whether statements on the table would rewrite it or rebuild one of its indexes."""
        files = sealed(f"""SELECT string_agg(pg_relation_filenode(oid)::text, ',' ORDER BY pg_relation_filenode(oid))
            FROM pg_class WHERE oid = to_regclass('{PROBE}') OR oid IN (
            SELECT indexrelid FROM pg_index WHERE indrelid = to_regclass('{PROBE}'))""")
        with self.scratch():
            self.copy_empty(table, Name(PROBE), "INCLUDING INDEXES")
            before = self.scalar(files)
            for statement in statements:
                self.run(statement)
            return bool(self.scalar(files) != before)

    def adds_by_rewriting(self, table: Table, *add: str) -> bool:
        """Try out whether adding a column would rewrite the table."""
        try:
            return self.rewrites(table, *add)
        except sa.exc.DBAPIError as error:
            # Only a rewrite has the NULL of a new column meet the NOT NULL of its domain.
            if sqlstate(error) in VIOLATIONS:
                return True
            raise

    def copy_empty(self, table: Table, probe: Name, *options: str) -> None:
        like = " ".join((self.quoted_table(table.name), *options))
        self.run(f"CREATE TEMPORARY TABLE {self.quoted_table(probe)} (LIKE {like}) ON COMMIT DROP")

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Run the block in its own transaction, and roll it back."""
        with restoring(self), self._rolled_back():
            yield

    @contextmanager
    def _rolled_back(self) -> Iterator[None]:
        try:
            # Also on a read-only session: only an empty temporary copy is written, and rolled back.
            self.run("BEGIN READ WRITE")
        except sa.exc.DBAPIError as error:
            if error.connection_invalidated:
                raise
            raise self.unsupported(
                "Trying a definition out", "a server that can write; this one only replays"
            ) from error
        try:
            yield
        except BaseException as error:
            # On a lost connection there is nothing to roll back, and the first error is the one to see.
            with suppress(sa.exc.SQLAlchemyError):
                self.run("ROLLBACK")
            if sqlstate(error) == FORBIDDEN:
                self._check_may_copy()
            raise
        self.run("ROLLBACK")

    def _check_may_copy(self) -> None:
        sql = "SELECT has_database_privilege(current_database(), 'TEMPORARY'), current_user, current_database()"
        may, role, database = self.read(sql)[0]
        if not may:
            raise UnsafeOperation(
                f"Role {role} cannot create temporary tables in database {database}, which safeops needs here.",
                why="On an empty temporary copy, PostgreSQL shows how it spells a definition and whether a change rewrites"
                " the table.",
                remedy="Let the owner of the database run:",
                code=f"GRANT TEMPORARY ON DATABASE {self.quoted(database)} TO {self.quoted(role)}",
            )

    # Safety ----------------------------------------------------------------------------------------------------


def _action(action: str | None) -> str | None:
    return None if action is None or action.upper() == "NO ACTION" else action.upper()
