"""What SQLite refuses, for which values a type is unsafe, and what depends on a thing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from safeops.databases import safety
from safeops.databases.definitions import Constraint, Table
from safeops.databases.sqlite import spelling
from safeops.databases.sqlite.catalogue import parse, row_id_of
from safeops.databases.sqlite.spelling import Token, folded, literal, tokens
from safeops.databases.triggers import FILLS
from safeops.naming import Name, type_code

if TYPE_CHECKING:
    from safeops.databases.sqlite import SQLite

PROBE = "safeops_probe"


class Safety(safety.Safety):
    """Refusals and dependents. SQLite tracks no dependencies, so the text of views and triggers is searched."""

    database: SQLite

    def check_support(self, constraint: sa.Constraint, validate: bool) -> None:
        super().check_support(constraint, validate)
        self._check_options(constraint)
        if isinstance(constraint, sa.ForeignKeyConstraint):
            self.database.ddl.constraint_spec(constraint)
            if (constraint.match or "SIMPLE").upper() != "SIMPLE":
                needed = "a server that enforces it; SQLite parses it and enforces SIMPLE"
                raise self.database.unsupported(f"MATCH {constraint.match}", needed)
        elif constraint.deferrable or constraint.initially:
            raise self.database.unsupported(
                f"A deferrable constraint {constraint.name}", "PostgreSQL; here only foreign keys can be"
            )

    def check_index_support(self, index: sa.Index) -> None:
        self._check_options(index)

    def _check_options(self, thing: sa.Constraint | sa.Index) -> None:
        if thing.dialect_kwargs.get("postgresql_nulls_not_distinct"):
            raise self.database.unsupported("NULLS NOT DISTINCT", "PostgreSQL 15")

    def check_column_support(self, column: sa.Column[Any]) -> None:
        if column.identity is not None and not column.primary_key:
            raise self.database.unsupported(f"Identity column {column.name}", "a server with identity columns")

    def type_refusal(self, column: sa.Column[Any], table: Table) -> str | None:
        name = table.columns[str(column.name)].name
        old, new = table.columns[name].type, self.database.type_text(column.type)
        if self._is_row_id(table, name) and spelling.type_name(new) != "integer":
            return (
                "the column is the row id as long as it is INTEGER PRIMARY KEY, and no longer numbers itself otherwise"
            )
        new = spelling.split_collation(new)[0]
        if spelling.affinity(old) == spelling.affinity(new):
            return None
        return self._lost(table, name, old, new)

    def _is_row_id(self, table: Table, name: str) -> bool:
        return name == row_id_of(parse(table.sql), self.database.infos(table.name))

    def computed_as(self, table: Table, column: str) -> tuple[str, bool] | None:
        # SQLAlchemy looks for the end of the name in the whole text of the table.
        generated = parse(table.sql).column(column).clause("generated")
        return (generated.expression or "", bool(generated.stored)) if generated else None

    def type_to_keep(self, column: sa.Column[Any], table: Table) -> str | None:
        name = table.columns[str(column.name)].name
        if not self._is_row_id(table, name) or spelling.affinity(self.database.type_text(column.type)) != "INTEGER":
            return None
        return (
            f"{table.name.name}.{name} stays INTEGER: as the row id it holds numbers of 64 bits as it is, and numbers"
            " itself under that very name only. Have the models keep it there:\n"
            f'    {type_code(column.type)}.with_variant(sa.Integer(), "sqlite")'
        )

    def _lost(self, table: Table, column: str, old: str, new: str) -> str | None:
        """Describe whether a round trip through the new type would change values."""
        with self.database.allowing_probes():
            return self._lost_on_copy(table, column, old, new)

    def _lost_on_copy(self, table: Table, column: str, old: str, new: str) -> str | None:
        probe = f"temp.{PROBE}"
        strict = " STRICT" if "STRICT" in parse(table.sql).options.upper() else ""
        try:
            self.run(f"CREATE TABLE {probe} (old {old}, new {new}, back {old}){strict}")
            taken = f"SELECT DISTINCT {self.quoted(column)}, {self.quoted(column)} FROM {self.quoted_table(table.name)}"
            self.run(f"INSERT INTO {probe} (old, new) {taken}")
            self.run(f"UPDATE {probe} SET back = new")
            lost = f"SELECT old FROM {probe} WHERE typeof(old) <> typeof(back) OR quote(old) <> quote(back) LIMIT 1"
            rows = self.read(lost)
        except sa.exc.DBAPIError as error:
            if self.database.errors.is_lock_failure(error):
                raise
            return f"SQLite refuses it: {error.orig}"
        finally:
            self.run(f"DROP TABLE IF EXISTS {probe}")
        return f"the value {rows[0][0]!r} would not come back from it as it is" if rows else None


class Dependents(safety.Dependents):
    """Finds what depends on a table, a column, a schema or a key."""

    database: SQLite

    def dependents(self, table: Table, column: str | None = None) -> list[str]:
        found = [f"foreign key of {name}: {sql}" for name, sql in self.keys_to(table, column)]
        return [*found, *self._texts_on(table, column)]

    def dependents_of_key(self, table: Table, constraint: Constraint) -> list[str]:
        if constraint.kind not in ("unique", "primary key"):
            return []
        key = set(map(folded, constraint.columns))
        indexes = [index for index in table.indexes.values() if index.name != constraint.name]
        others = [index.columns for index in indexes if index.unique and index.where is None]
        keys = [key for key in table.constraints.values() if key.kind in ("unique", "primary key")]
        others += [key.columns for key in keys if key.name != constraint.name]
        if any(set(map(folded, columns)) == key for columns in others):
            return []
        found = self._referring(table)
        return [
            f"foreign key of {name}: {reference.definition}"
            for name, reference in found
            if set(map(folded, reference.remote)) == key
        ]

    def referring_tables(self, table: Table) -> list[str]:
        return sorted({name for name, _ in self._referring(table) if folded(name) != folded(table.name.name)})

    def keys_to(self, table: Table, column: str | None) -> Iterator[tuple[str, str]]:
        for name, key in self._referring(table):
            if folded(name) != folded(table.name.name) and (
                column is None or folded(column) in map(folded, key.remote)
            ):
                yield name, key.definition

    def _referring(self, table: Table) -> Iterator[tuple[str, Constraint]]:
        """Go through the foreign keys that refer to a table, its own included."""
        schema = table.name.schema or "main"
        sql = f"""SELECT DISTINCT m.name FROM {self.database.master(schema)} m,
            pragma_foreign_key_list(m.name, {literal(schema)}) k
            WHERE m.type = 'table' AND k."table" = {literal(table.name.name)} COLLATE NOCASE"""
        for (name,) in self.read(sql):
            other = self.database.table(Name(name, schema))
            for key in other.constraints.values() if other else ():
                if key.referent is not None and folded(key.referent.name) == folded(table.name.name):
                    yield name, key

    def _texts_on(self, table: Table, column: str | None) -> Iterator[str]:
        """Go through the views and triggers whose text names the table, and the column or all columns."""
        schema, name = table.name.schema or "main", folded(table.name.name)
        sql = f"""SELECT type, name, tbl_name, sql FROM {self.database.master(schema)}
            WHERE type IN ('view', 'trigger') ORDER BY type, name"""
        for kind, own, of, text in self.read(sql):
            found = tokens(text)
            names = {folded(token.name) for token in found if token.kind in ("word", "quoted")}
            ours = kind == "trigger" and folded(of) == name and (column is None or own.startswith(FILLS))
            if name not in names or ours:
                continue
            if column is None or folded(column) in names or (kind == "view" and _takes_all(found)):
                yield f"{kind} {own}: {text}"


def _takes_all(found: Iterable[Token]) -> bool:
    """Return whether a view selects ``*`` or ``t.*``; in a product or in ``count(*)`` it follows something else."""
    before = ""
    for token in found:
        if token.text == "*" and before in ("SELECT", "DISTINCT", "ALL", ",", "."):
            return True
        before = token.word
    return False
