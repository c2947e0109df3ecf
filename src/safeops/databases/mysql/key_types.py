"""The types of keys: MariaDB and MySQL change them in place alone, by copying the table, and those of both sides at once.

https://dev.mysql.com/doc/refman/9.7/en/create-table-foreign-keys.html
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from safeops.databases.definitions import Table
from safeops.databases.mysql.catalogue import is_counted
from safeops.databases.mysql.partitioning import Partitioning
from safeops.naming import Name, call, written_type

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


class KeyTypes(Partitioning):
    """The columns that foreign keys tie to one type."""

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


def _rule(rule: str) -> str | None:
    return None if rule in ("NO ACTION", "RESTRICT") else rule
