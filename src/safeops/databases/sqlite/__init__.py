"""SQLite 3.35 and later: what is in it and how definitions are spelled. ``ddl`` plans its changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.schema import CreateIndex

from safeops.databases.definitions import Column, Constraint, Index, NameMapping, Table
from safeops.databases.ports import PortAttribute
from safeops.databases.sqlite import catalogue, spelling
from safeops.databases.sqlite.catalogue import by_name
from safeops.databases.sqlite.ddl import DDL
from safeops.databases.sqlite.session import Session
from safeops.databases.sqlite.spelling import folded, literal
from safeops.naming import Name

if TYPE_CHECKING:
    from safeops.databases.sqlite.safety import Dependents


class SQLite(Session):
    """SQLite, looked at through its PRAGMAs and the text of its definitions."""

    family = "sqlite"
    product = "SQLite"

    ddl: PortAttribute[DDL]
    dependents: PortAttribute[Dependents]

    def __init__(self, dialect: Dialect, connection: Callable[[], Connection] | None) -> None:
        super().__init__(dialect, connection)
        # Reserved since 3.35, which SQLAlchemy's list does not know.
        self.prepare.reserved_words = {*self.prepare.reserved_words, "returning", "nothing"}

    # Spelling ---------------------------------------------------------------------------------------------------

    def choosing_schema(self, schema: str) -> str:
        return (
            f'create_index_if_missing("ix_t_a", "t", ["a"], schema={schema!r})   # in the revisions: SQLite has no USE'
        )

    # Looking ----------------------------------------------------------------------------------------------------

    def table(self, name: Name, *, to_create: bool = False, things: Collection[str] | None = None) -> Table | None:
        found = self._entry(name, to_create)
        if found is None:
            return None
        schema, kind, stored, sql, infos = found
        own = Name(stored, None if schema == "main" else schema)
        infos = [row for row in infos if row[6] != 1]
        if kind == "view" or sql.upper().startswith("CREATE VIRTUAL"):
            columns = by_name((row[1], Column(row[1], spelling.type_name(row[2]))) for row in infos)
            return Table(own, columns, kind="view" if kind == "view" else "virtual table", sql=sql)
        parsed = catalogue.parse(sql)
        columns = catalogue.columns_of(parsed, infos)
        return Table(
            name=own,
            columns=columns,
            indexes=by_name(self._indexes(schema, stored, columns.spelled)),
            constraints=catalogue.constraints_of(parsed, own, self._referents(schema, parsed.clauses)),
            sql=sql,
        )

    def _entry(self, name: Name, to_create: bool) -> tuple[str, str, str, str, Sequence[Any]] | None:
        """Return schema, kind, name, definition and columns of a table or view, in SQLite's own order of looking."""
        schemas = self._schemas()
        if name.schema:
            schemas = [schema for schema in schemas if folded(schema) == folded(name.schema)]
        elif to_create:
            schemas = ["main"]
        for schema in schemas:
            found = self._described(
                schema, f"m.type IN ('table', 'view') AND m.name = {literal(name.name)} COLLATE NOCASE"
            )
            for kind, stored, _, definition, infos in found:
                return schema, kind, stored, definition, infos
        return None

    def _described(self, schema: str, where: str) -> list[tuple[str, str, str, str, list[Any]]]:
        """Return type, name, table, definition and columns of what a file has.

        By one statement: between two of them, another session could replace a table.
        """
        sql = f"""SELECT m.type, m.name, m.tbl_name, m.sql, x.* FROM {self.master(schema)} m
            LEFT JOIN pragma_table_xinfo(m.name, {literal(schema)}) x ON m.type IN ('table', 'view')
            WHERE {where} ORDER BY m.name, x.cid"""
        found: dict[tuple[str, str], tuple[str, str, str, str, list[Any]]] = {}
        for kind, name, table, definition, *info in self.read(sql):
            one = found.setdefault((kind, name), (kind, name, table, definition or "", []))
            if info[0] is not None:
                one[4].append(info)
        return list(found.values())

    def _schemas(self) -> list[str]:
        names = [row[1] for row in self.read("PRAGMA database_list")]
        return ["temp", "main", *(name for name in names if name not in ("temp", "main"))]

    def _referents(self, schema: str, clauses: Iterable[catalogue.Clause]) -> dict[str, Sequence[Any]]:
        """Return the tables that are referred to, as they are spelled, with their columns."""
        wanted = {folded(clause.referent) for clause in clauses if clause.referent is not None}
        names = [name for name in self._names(schema, "table") if folded(name) in wanted] if wanted else []
        return {name: self.infos(Name(name, schema)) for name in names}

    def table_names(self, schema: str | None) -> list[str]:
        if schema and not self.has_schema(schema):
            return []
        return [name for name in self._names(schema or "main", "table") if not name.startswith("sqlite_")]

    def index_elsewhere(self, index: str, table: Table) -> Name | None:
        schema = table.name.schema or "main"
        sql = f"""SELECT tbl_name FROM {self.master(schema)} WHERE name = {literal(index)} COLLATE NOCASE
            AND NOT (type = 'index' AND tbl_name = {literal(table.name.name)})"""
        rows = self.read(sql)
        return Name(rows[0][0], table.name.schema) if rows else None

    def has_schema(self, schema: str) -> bool:
        return folded(schema) in map(folded, self._schemas())

    def constraint_named(self, table: Table, name: str, kind: str | None) -> Constraint | None:
        existing: Constraint | None = table.constraints.get(name)
        if existing is None and kind == "primary":
            return next(
                (key for key in table.constraints.values() if key.kind == "primary key" and _is_unnamed(key)), None
            )
        return existing

    # Requested definitions ---------------------------------------------------------------------------------------

    def default_text(self, column: sa.Column[Any]) -> str | None:
        found = super().default_text(column)
        return None if found is None else spelling.default_clause(found)

    def wanted_column(self, column: sa.Column[Any]) -> Column:
        spelled, collation = spelling.split_collation(self.type_text(column.type))
        computed = column.computed
        expression = None if computed is None else self.part_text(computed.sqltext)
        return Column(
            name=str(column.name),
            type=spelling.type_name(spelled),
            nullable=bool(column.nullable),
            default=None if computed is not None else spelling.default_value(self.default_text(column)),
            computed=None
            if expression is None
            else spelling.computed(expression, bool(computed and computed.persisted)),
            collation=collation,
        )

    def wanted_index(self, index: sa.Index, spelled: Callable[[str], str] = str) -> Index:
        table = index.table
        assert table is not None
        return catalogue.index_of(self.rendered(CreateIndex(index)), str(index.name), table.name, spelled)

    def wanted_constraint(self, constraint: sa.Constraint) -> Constraint:
        spec = self.ddl.constraint_spec(constraint)
        clause = catalogue.constraint(spec)
        is_key = isinstance(constraint, sa.ForeignKeyConstraint)
        schema = constraint.elements[0].column.table.schema if is_key else None  # type: ignore[attr-defined]
        table = Name("", None if schema == "main" else schema)
        referents = {} if self.offline else self._referents(schema or "main", [clause])
        return catalogue.constraint_of(clause, spec, table, str(constraint.name), referents)

    def index_options(self, index: Index) -> dict[str, Any]:
        return {"sqlite_where": index.where} if index.where else {}

    def probe(self, table: Table, wanted: sa.Column[Any] | sa.Index | sa.Constraint) -> Any:
        """Spell names as the table spells them: their case does not count."""
        if isinstance(wanted, sa.Column):
            return None
        spelled = table.columns.spelled if isinstance(table.columns, NameMapping) else str
        if isinstance(wanted, sa.Index):
            return self.wanted_index(wanted, spelled)
        meant = self.wanted_constraint(wanted)
        return replace(meant, columns=tuple(map(spelled, meant.columns)))

    def _names(self, schema: str, kind: str) -> list[str]:
        return [row[0] for row in self.read(f"SELECT name FROM {self.master(schema)} WHERE type = {literal(kind)}")]

    def _indexes(self, schema: str, table: str, spelled: Callable[[str], str]) -> Iterator[tuple[str, Index]]:
        sql = f"""SELECT name, sql FROM {self.master(schema)} WHERE type = 'index' AND sql IS NOT NULL
            AND tbl_name = {literal(table)} COLLATE NOCASE ORDER BY name"""
        for name, definition in self.read(sql):
            yield name, catalogue.index_of(definition, name, table, spelled)


def _is_unnamed(key: Constraint) -> bool:
    return catalogue.constraint(key.definition).name is None
