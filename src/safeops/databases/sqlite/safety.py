"""What SQLite refuses, and what it rewrites a table for."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from safeops.databases import safety
from safeops.databases.definitions import Table
from safeops.databases.sqlite import spelling
from safeops.databases.sqlite.catalogue import row_id_of
from safeops.databases.sqlite.text import parse
from safeops.naming import written_type

PROBE = "safeops_probe"


class Safety(safety.Safety):
    """Refusals and dependents. SQLite tracks no dependencies, so that the text of views and triggers has to tell."""

    def check_support(self, constraint: sa.Constraint, validate: bool) -> None:
        super().check_support(constraint, validate)
        self._check_options(constraint)
        if isinstance(constraint, sa.ForeignKeyConstraint):
            self.database.ddl.constraint_spec(constraint)
            if (constraint.match or "SIMPLE").upper() != "SIMPLE":
                needed = "a server that heeds it; SQLite reads it and goes by SIMPLE"
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

    def type_refusal(self, column: sa.Column[Any], stands: Table) -> str | None:
        name = stands.columns[str(column.name)].name
        old, new = stands.columns[name].type, self.database.type_text(column.type)
        if self._is_row_id(stands, name) and spelling.type_name(new) != "integer":
            return (
                "the column is the row id as long as it is INTEGER PRIMARY KEY, and no longer numbers itself otherwise"
            )
        new = spelling.split_collation(new)[0]
        if spelling.affinity(old) == spelling.affinity(new):
            return None
        return self._lost(stands, name, old, new)

    def _is_row_id(self, stands: Table, name: str) -> bool:
        return name == row_id_of(parse(stands.sql), self.database.infos(stands.name))

    def computed_as(self, stands: Table, column: str) -> tuple[str, bool] | None:
        # SQLAlchemy looks for the end of the name in the whole text of the table.
        generated = parse(stands.sql).column(column).clause("generated")
        return (generated.expression or "", bool(generated.stored)) if generated else None

    def type_to_keep(self, column: sa.Column[Any], stands: Table) -> str | None:
        name = stands.columns[str(column.name)].name
        if not self._is_row_id(stands, name) or spelling.affinity(self.database.type_text(column.type)) != "INTEGER":
            return None
        return (
            f"{stands.name.name}.{name} stays INTEGER: as the row id it holds numbers of 64 bits as it is, and numbers"
            " itself under that very name only. Have the models keep it there:\n"
            f'    {written_type(column.type)}.with_variant(sa.Integer(), "sqlite")'
        )

    def _lost(self, stands: Table, column: str, old: str, new: str) -> str | None:
        """Say whether values would not come back from the new type as they are."""
        with self.database.trying_out():
            return self._lost_on_copy(stands, column, old, new)

    def _lost_on_copy(self, stands: Table, column: str, old: str, new: str) -> str | None:
        probe = f"temp.{PROBE}"
        strict = " STRICT" if "STRICT" in parse(stands.sql).options.upper() else ""
        try:
            self.run(f"CREATE TABLE {probe} (old {old}, new {new}, back {old}){strict}")
            taken = (
                f"SELECT DISTINCT {self.quoted(column)}, {self.quoted(column)} FROM {self.quoted_table(stands.name)}"
            )
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

    # Dependents -------------------------------------------------------------------------------------------------
