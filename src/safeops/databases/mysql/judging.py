"""What the servers of the MySQL family would copy a table for."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from safeops.databases.definitions import Table
from safeops.databases.mysql import spelling
from safeops.databases.mysql.key_types import KeyTypes
from safeops.errors import DependentObjects


class Judging(KeyTypes):
    """Says why a change of type would stop the writes of others."""

    grows_from: ClassVar[int] = 0
    """From how many bytes on a VARCHAR cannot become one of more than 255, where its length takes a second byte."""

    grow_in_keys: ClassVar[tuple[str, ...]] = ("enum(", "set(", "varchar(", "varbinary(")
    """The types that take more values while a foreign key uses the column."""

    def check_type_change(self, column: sa.Column[Any], stands: Table) -> None:
        there = stands.columns[str(column.name)]
        new = spelling.type_name(spelling.split_type(self.type_text(column.type))[0])
        keys = self.keys_tying(stands, there.name)
        if not keys or (new.startswith(self.grow_in_keys) and spelling.widened(there.type, new)):
            return
        listed = "".join(f"\n  - foreign key {one.name} of {one.table.at(stands.name.schema)}" for one in keys)
        raise DependentObjects(
            f"Cannot change the type of {column.table.fullname}.{there.name}, because foreign keys use it:{listed}",
            why=f"{self.product} requires one type on both sides of a key at any time, and copies tables to change it.",
            remedy="Drop the keys, change both sides, and create the keys again:",
            code=self.changed_in_place(column, stands, keys),
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
