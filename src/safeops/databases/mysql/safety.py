"""What the servers of the MySQL family would copy a table for."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from safeops.databases.definitions import Table
from safeops.databases.mysql import defaults, spelling
from safeops.databases.mysql.catalogue import definition_of
from safeops.databases.mysql.key_types import KeyTypes
from safeops.errors import DependentObjects


class Safety(KeyTypes):
    """Says why a change of type would stop the writes of others."""

    def check_type_change(self, column: sa.Column[Any], stands: Table) -> None:
        there = stands.columns[str(column.name)]
        new = spelling.type_name(spelling.split_type(self.database.type_text(column.type))[0])
        keys = self.keys_tying(stands, there.name)
        if not keys or (new.startswith(self.database.abilities.grow_in_keys) and spelling.widened(there.type, new)):
            return
        listed = "".join(f"\n  - foreign key {one.name} of {one.table.at(stands.name.schema)}" for one in keys)
        raise DependentObjects(
            f"Cannot change the type of {column.table.fullname}.{there.name}, because foreign keys use it:{listed}",
            why=f"{self.product} requires one type on both sides of a key at any time, and copies tables to change it.",
            remedy="Drop the keys, change both sides, and create the keys again:",
            code=self.changed_in_place(column, stands, keys),
        )

    def type_refusal(self, column: sa.Column[Any], stands: Table) -> str | None:
        bare, charset, collation = spelling.split_type(self.database.type_text(column.type))
        there = stands.columns[str(column.name)]
        if (charset or collation) and (collation or charset) != there.collation:
            return f"{self.product} copies the table to write another character set, and writes wait meanwhile"
        return self._copied(stands, there.name, there.type, spelling.type_name(bare))

    def type_refusal_back(self, column: sa.Column[Any], former: sa.Column[Any], stands: Table) -> str | None:
        now, then = (
            spelling.type_name(spelling.split_type(self.database.type_text(one.type))[0]) for one in (column, former)
        )
        return self._copied(stands, str(column.name), now, then)

    def _copied(self, stands: Table, column: str, old: str, new: str) -> str | None:
        if not spelling.widened(old, new):
            return f"{self.product} copies the table, and writes wait meanwhile"
        lengths = spelling.lengths(old, new)
        if lengths and lengths[0] <= 255 < lengths[1] * 4:
            before, after = (one * self._bytes_a_letter(stands, column) for one in lengths)
            if self.database.abilities.grows_from <= before <= 255 < after:
                return f"{self.product} copies the table, because a value may take more than 255 bytes, and writes wait"
        return None

    def _bytes_a_letter(self, stands: Table, column: str) -> int:
        sql = """SELECT CHARACTER_OCTET_LENGTH DIV CHARACTER_MAXIMUM_LENGTH FROM information_schema.COLUMNS
            WHERE TABLE_SCHEMA = IFNULL(:schema, DATABASE()) AND TABLE_NAME = :table AND COLUMN_NAME = :column"""
        return int(self.scalar(sql, schema=stands.name.schema, table=stands.name.name, column=column) or 1)

    def check_support(self, constraint: sa.Constraint, validate: bool) -> None:
        super().check_support(constraint, validate)
        later = constraint.deferrable or (constraint.initially or "").upper() == "DEFERRED"
        if later:
            raise self.database.unsupported(
                "A deferrable constraint", "PostgreSQL: here each statement is checked at once"
            )
        if isinstance(constraint, sa.ForeignKeyConstraint):
            if (constraint.match or "").upper() not in ("", "SIMPLE"):
                raise self.database.unsupported(f"MATCH {constraint.match}", "PostgreSQL: InnoDB ignores it")
            if "SET DEFAULT" in {(one or "").upper() for one in (constraint.ondelete, constraint.onupdate)}:
                raise self.database.unsupported(
                    "SET DEFAULT of a foreign key", "PostgreSQL: InnoDB does not carry it out"
                )

    def name_flaw(self, name: str) -> str | None:
        # https://mariadb.com/kb/en/identifier-names/
        if max(map(ord, name)) > 0xFFFF:
            return "letters beyond U+FFFF, such as emoji, cannot stand in a name"
        return "a name cannot end with a space" if name.endswith(" ") else None

    def check_column_support(self, column: sa.Column[Any]) -> None:
        if column.identity is not None and not column.primary_key:
            raise self.database.unsupported(
                "An identity column outside the primary key", "a server with identity columns"
            )

    def check_index_support(self, index: sa.Index) -> None:
        expressions = self.database.ddl.expressions_of(index)
        if expressions and not self.database.abilities.has_expression_indexes:
            raise self.database.unsupported(
                f"An index on the expression {expressions[0]}",
                "PostgreSQL, MySQL 8.0.13 or SQLite",
                "Index a generated column instead:",
                f'sa.Column("...", sa.String(100), sa.Computed("{expressions[0]}"))',
            )

    def default_is_constant(self, column: sa.Column[Any]) -> bool:
        if column.computed is not None:
            return not column.computed.persisted
        words = spelling.default(self.database.default_text(column)) or ""
        if self.database.ddl.expression_default(column):
            return False
        return not re.search(r"\w\s*\(", re.sub(r"'(?:[^'\\]|''|\\.)*'|current_timestamp(\(\d\))?", "", words))

    def column_refusal(self, column: sa.Column[Any], stands: Table) -> str | None:
        if column.computed is not None and column.computed.persisted:
            return f"{self.product} computes it for every row, and copies the table for that"
        if self.default_is_constant(column):
            return None
        if (expression := self.database.ddl.expression_default(column)) and defaults.is_constant(expression):
            return f"{self.product} copies the table for a default that is an expression, DEFAULT {expression}"
        return f"its values differ from row to row; {self.product} copies the table, or gives every row the same one"


class MariaDBSafety(Safety):
    """What differs on MariaDB."""

    def copies_for_comment(self, stands: Table, column: str) -> bool:
        return "STORED" in (definition_of(stands, column).get("GENERATED") or "")
