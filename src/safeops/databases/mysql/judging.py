"""What the servers of the MySQL family would copy a table for."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from safeops.databases.definitions import Table
from safeops.databases.mysql import spelling
from safeops.databases.mysql.session import Session
from safeops.errors import DependentObjects
from safeops.naming import Name, call

_KEYS = """SELECT DISTINCT CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE
    WHERE @@foreign_key_checks AND REFERENCED_TABLE_NAME IS NOT NULL
    AND ((TABLE_SCHEMA = :schema AND TABLE_NAME = :name AND COLUMN_NAME = :column)
    OR (REFERENCED_TABLE_SCHEMA = :schema AND REFERENCED_TABLE_NAME = :name AND REFERENCED_COLUMN_NAME = :column))"""


class Judging(Session):
    """Says why a change of type would stop the writes of others."""

    grows_from: ClassVar[int] = 0
    """From how many bytes on a VARCHAR cannot become one of more than 255, where its length takes a second byte."""

    grow_in_keys: ClassVar[tuple[str, ...]] = ("enum(", "set(", "varchar(", "varbinary(")
    """The types that take more values while a foreign key uses the column."""

    def check_type_change(self, column: sa.Column[Any], stands: Table) -> None:
        there = stands.columns[str(column.name)]
        new = spelling.type_name(spelling.split_type(self.type_text(column.type))[0])
        name, place = Name(column.table.name, column.table.schema), (stands.name.schema, stands.name.name)
        found = self.read(_KEYS, schema=place[0], name=place[1], column=there.name)
        keys = [(key, *other) for key, *other in found if tuple(other) != place or key in stands.constraints]
        if not keys or (new.startswith(self.grow_in_keys) and spelling.widened(there.type, new)):
            return
        # Another database's is not found by its name alone.
        keys = [(key, None if schema == place[0] else schema, table) for key, schema, table in keys]
        listed = "".join(f"\n  - foreign key {key} of {Name(table, schema)}" for key, schema, table in keys)
        raise DependentObjects(
            f"Cannot change the type of {name}.{there.name}, because foreign keys use it:{listed}",
            why=f"{self.product} wants one type on both sides of a key at any time.",
            remedy="Drop them first, change both sides, and create them again:",
            code="\n".join(
                call("drop_constraint_if_exists", key, table, type_="foreignkey", schema=schema)
                for key, schema, table in keys
            ),
        )

    def type_refusal(self, column: sa.Column[Any], stands: Table) -> str | None:
        bare, charset, collation = spelling.split_type(self.type_text(column.type))
        there = stands.columns[str(column.name)]
        if (charset or collation) and (collation or charset) != there.collation:
            return f"{self.product} copies the table to write another character set, and writes wait meanwhile"
        return self._copied(stands, there.name, there.type, spelling.type_name(bare))

    def type_refusal_back(self, column: sa.Column[Any], former: sa.Column[Any], stands: Table) -> str | None:
        now, then = (spelling.type_name(spelling.split_type(self.type_text(one.type))[0]) for one in (column, former))
        return self._copied(stands, str(column.name), now, then)

    def _copied(self, stands: Table, column: str, old: str, new: str) -> str | None:
        if not spelling.widened(old, new):
            return f"{self.product} copies the table, and writes wait meanwhile"
        lengths = spelling.lengths(old, new)
        if lengths and lengths[0] <= 255 < lengths[1] * 4:
            before, after = (one * self._bytes_a_letter(stands, column) for one in lengths)
            if self.grows_from <= before <= 255 < after:
                return f"{self.product} copies the table, because a value may take more than 255 bytes, and writes wait"
        return None

    def _bytes_a_letter(self, stands: Table, column: str) -> int:
        sql = """SELECT CHARACTER_OCTET_LENGTH DIV CHARACTER_MAXIMUM_LENGTH FROM information_schema.COLUMNS
            WHERE TABLE_SCHEMA = IFNULL(:schema, DATABASE()) AND TABLE_NAME = :table AND COLUMN_NAME = :column"""
        return int(self.scalar(sql, schema=stands.name.schema, table=stands.name.name, column=column) or 1)
