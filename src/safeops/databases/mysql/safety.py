"""What the servers of the MySQL family would copy a table for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from safeops.databases import safety
from safeops.databases.definitions import Table
from safeops.databases.mysql import showcreate, spelling
from safeops.databases.mysql.catalogue import definition_of, is_counted
from safeops.databases.mysql.spelling import names
from safeops.databases.safety import equal_columns, is_key, lacking
from safeops.errors import DependentObjects
from safeops.naming import Name, call, written_type

_UNIQUE_KEYS = """SELECT DISTINCT PARTITION_METHOD, PARTITION_EXPRESSION, SUBPARTITION_METHOD, SUBPARTITION_EXPRESSION
    FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = :schema AND TABLE_NAME = :name"""


class Safety(safety.Safety):
    """Says why a change of type would stop the writes of others."""

    def check_partition_keys(self, name: Name, stands: Table, wanted: sa.Index | sa.Constraint) -> None:
        if not showcreate.read(stands.sql).is_partitioned:
            return
        if isinstance(wanted, sa.ForeignKeyConstraint):
            raise self.database.unsupported(
                f"Foreign key {wanted.name}, while {name} is partitioned,",
                f"PostgreSQL: {self.product} has no foreign keys of or to partitioned tables",
                "Leave the key out, or use tables that are not partitioned.",
            )
        if is_key(wanted):
            columns = equal_columns(wanted)
            has = {one.casefold() for one in columns}
            missing = [one for one in self.partition_columns(stands) if one.casefold() not in has]
            if missing:
                raise lacking(self.product, name, wanted, columns, missing)

    def partition_columns(self, stands: Table) -> list[str]:
        """Return the columns that decide in which partition a row is kept."""
        if not showcreate.read(stands.sql).is_partitioned:
            return []
        rows = self.read(_UNIQUE_KEYS, schema=stands.name.schema, name=stands.name.name)
        keys = {(method, key or "") for row in rows for method, key in (row[:2], row[2:]) if method}
        # KEY () names no column: it takes the primary key.
        by_primary = any(method.endswith("KEY") and not key for method, key in keys)
        used = [one for one in stands.columns if any(names(key, one) for _, key in keys)]
        return [*used, *(one for one in stands.primary_key if by_primary and one not in used)]

    def type_in_place(self, column: sa.Column[Any], stands: Table) -> str | None:
        own = str(column.name)
        keys = self.keys_tying(stands, own)
        tied = self._tied(stands, own, keys)
        tables = {stands.name: stands, **{name: self.database.table(name) for name, _ in tied if name != stands.name}}
        stuck = any((table := tables[name]) and self._is_fixed(table, tied[name, one]) for name, one in tied)
        return self.changed_in_place(column, stands, keys) if stuck else None

    def _is_fixed(self, table: Table, column: str) -> bool:
        """Tell whether no second column of another type can take the place of one."""
        own = column.casefold()
        if own in map(str.casefold, table.primary_key) or is_counted(table, column):
            return True
        return own in map(str.casefold, self.partition_columns(table))

    def _tied(self, stands: Table, column: str, keys: list[ForeignKey]) -> dict[tuple[Name, str], str]:
        """Return a column and all that keys tie to it, as they are written, by table and name in lower case."""
        found = {(stands.name, column.casefold()): column}
        for key in keys:
            for one, other in zip(key.columns, key.remote, strict=True):
                sides = {(key.table, one.casefold()): one, (key.other, other.casefold()): other}
                found.update(sides if found.keys() & sides.keys() else {})
        return found

    def keys_tying(self, stands: Table, column: str) -> list[ForeignKey]:
        """Return the foreign keys that tie a column to others, directly or through those."""
        found: dict[ForeignKey, None] = {}
        left, done = [(stands.name, column)], set()
        while left:
            place = left.pop()
            done.add((place[0], place[1].casefold()))
            keys = [one for one in self._keys_of(place[0]) if one.ties(*place)]
            # Two looks at one table: a key that was dropped since the first one is not there any more.
            own = [one for one in keys if one.table != stands.name or one.name in stands.constraints]
            found.update(dict.fromkeys(own))
            sides = [pair for one in own for pair in one.tied if (place[0], place[1].casefold()) in pair]
            left += [one for pair in sides for one in pair if one not in done and one not in left]
        return list(found)

    def _keys_of(self, name: Name) -> list[ForeignKey]:
        rows = self.read(_KEYS, schema=name.schema, name=name.name)
        keys = []
        for (key, schema, table), group in groupby(rows, lambda row: row[:3]):
            parts = list(group)
            other = Name(parts[0][5], parts[0][4])
            columns, remote = tuple(one[3] for one in parts), tuple(one[6] for one in parts)
            keys.append(ForeignKey(key, Name(table, schema), other, columns, remote, *map(_rule, parts[0][7:])))
        return keys

    def changed_in_place(self, column: sa.Column[Any], stands: Table, keys: list[ForeignKey]) -> str:
        """Write the calls that change the type of a column and of all that foreign keys tie to it."""
        own, schema = Name(column.table.name, column.table.schema), stands.name.schema

        def shown(name: Name) -> dict[str, Any]:
            return {"schema": own.schema if name.schema == schema else name.schema}

        columns = self._tied(stands, str(column.name), keys)
        drops = [
            call("drop_constraint_if_exists", one.name, one.table.name, type_="foreignkey", **shown(one.table))
            for one in keys
        ]
        changes = [
            call("alter_column_type", table.name, name, written_type(column.type), **shown(table))
            for (table, _), name in columns.items()
        ]
        creates = [
            call(
                "create_foreign_key_if_missing",
                *(one.name, one.table.name, one.other.name, one.columns, one.remote),
                onupdate=one.onupdate,
                ondelete=one.ondelete,
                source_schema=shown(one.table)["schema"],
                referent_schema=shown(one.other)["schema"],
            )
            for one in keys
        ]
        block = 'with assured("writes may wait meanwhile"):'
        return "\n".join([*drops, block, *(f"    {one}" for one in changes), *creates])

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
        if (expression := self.database.ddl.expression_default(column)) and spelling.is_constant(expression):
            return f"{self.product} copies the table for a default that is an expression, DEFAULT {expression}"
        return f"its values differ from row to row; {self.product} copies the table, or gives every row the same one"


_KEYS = """SELECT k.CONSTRAINT_NAME, k.TABLE_SCHEMA, k.TABLE_NAME, k.COLUMN_NAME,
    k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.UPDATE_RULE, r.DELETE_RULE
    FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r
    ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME
    WHERE @@foreign_key_checks AND k.REFERENCED_TABLE_NAME IS NOT NULL
    AND ((k.TABLE_SCHEMA = :schema AND k.TABLE_NAME = :name)
    OR (k.REFERENCED_TABLE_SCHEMA = :schema AND k.REFERENCED_TABLE_NAME = :name))
    ORDER BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION"""


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of any table: its columns and those that they refer to."""

    name: str
    table: Name
    other: Name
    columns: tuple[str, ...]
    remote: tuple[str, ...]
    onupdate: str | None
    ondelete: str | None

    def ties(self, table: Name, column: str) -> bool:
        return any(one == (table, column.casefold()) for pair in self.tied for one in pair)

    @property
    def tied(self) -> list[tuple[tuple[Name, str], tuple[Name, str]]]:
        """Return the pairs of columns that have one type."""
        pairs = zip(self.columns, self.remote, strict=True)
        return [((self.table, one.casefold()), (self.other, other.casefold())) for one, other in pairs]


def _rule(rule: str) -> str | None:
    return None if rule in ("NO ACTION", "RESTRICT") else rule


class MariaDBSafety(Safety):
    """What differs on MariaDB."""

    def copies_for_comment(self, stands: Table, column: str) -> bool:
        return "STORED" in (definition_of(stands, column).get("GENERATED") or "")
