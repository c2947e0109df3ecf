"""What PostgreSQL asks of the keys of partitioned tables, and what an interrupted build leaves on their partitions.

https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-LIMITATIONS
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import chain, count

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from safeops.databases.definitions import Constraint, Index, Table
from safeops.databases.partition_keys import equal_columns, is_key, kind_of_key, lacking
from safeops.databases.postgresql.scratch import Scratch
from safeops.databases.steps import Step
from safeops.errors import DefinitionMismatch, UnsafeOperation
from safeops.naming import Name, call, fitting

# The partition keys of a table and of its partitions; which columns an expression uses, its dependencies tell.
KEYS = """
SELECT n.nspname, c.relname, pg_get_partkeydef(c.oid), 0 = ANY (p.partattrs::int2[]),
  (SELECT json_agg(a.attname ORDER BY x.place)::text FROM unnest(p.partattrs::int2[]) WITH ORDINALITY x (number, place)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.number),
  (SELECT json_agg(DISTINCT a.attname)::text FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid
    AND a.attnum = d.objsubid WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.objid = c.oid AND d.refobjid = c.oid AND d.refobjsubid = 0 AND d.deptype = 'i')
FROM pg_partition_tree(:id) t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_partitioned_table p ON p.partrelid = c.oid ORDER BY t.level, 1, 2
"""

# A foreign key has a row for each partition on either side; an attached index that is of no constraint has none.
PARTS = """
WITH RECURSIVE key AS (
  SELECT oid, conrelid, confrelid, conname, conname AS whole, true AS top FROM pg_constraint
  WHERE conrelid = :id AND conname IN (:name, :original)
  UNION ALL SELECT k.oid, k.conrelid, k.confrelid, k.conname, p.whole, false
  FROM pg_constraint k JOIN key p ON k.conparentid = p.oid
), index AS (
  SELECT r.oid, i.indrelid, r.relname, r.relname AS whole, true AS top
  FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid WHERE i.indrelid = :id AND r.relname IN (:name, :original)
  UNION ALL SELECT r.oid, i.indrelid, r.relname, p.whole, false FROM index p JOIN pg_inherits h ON h.inhparent = p.oid
  JOIN pg_index i ON i.indexrelid = h.inhrelid JOIN pg_class r ON r.oid = h.inhrelid
), part AS (
  SELECT one.conrelid AS table, one.conname AS name, other.conname AS original, false AS is_index
  FROM key one JOIN key other USING (conrelid, confrelid)
  WHERE one.whole = :name AND other.whole = :original AND NOT one.top AND NOT other.top
  UNION ALL SELECT one.indrelid, one.relname, other.relname, true FROM index one JOIN index other USING (indrelid)
  WHERE one.whole = :name AND other.whole = :original AND NOT one.top AND NOT other.top
)
SELECT n.nspname, c.relname, p.name, p.original, p.is_index FROM part p JOIN pg_class c ON c.oid = p.table
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.name <> p.original ORDER BY 1, 2, 3
"""

# What an index of a partition is attached to, other than the index that is to have it.
OTHER_WHOLE = """
SELECT w.relname FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid JOIN pg_inherits h ON h.inhrelid = r.oid
JOIN pg_class w ON w.oid = h.inhparent WHERE i.indrelid = :id AND r.relname = :name AND w.relname <> :whole
"""


class Partitioning(Scratch):
    """Keys and partitions."""

    def check_partition_keys(self, name: Name, stands: Table, wanted: sa.Index | sa.Constraint) -> None:
        if not stands.is_partitioned or not is_key(wanted):
            return
        if isinstance(wanted, ExcludeConstraint) and self.version < (17,):
            raise self.unsupported(
                f"Exclusion constraint {wanted.name} on the partitioned table {stands.name}", "PostgreSQL 17"
            )
        columns = equal_columns(wanted)
        missing: list[str] = []
        for level, text, has_expression, key, _ in self._partition_keys(stands):
            if has_expression:
                raise _impossible(stands, wanted, level, text)
            missing += [one for one in key if one not in (*columns, *missing)]
        if missing:
            raise lacking(self.product, name, wanted, columns, missing)

    def partition_key_using(self, stands: Table, column: str) -> tuple[Name, str] | None:
        """Return the table, at whatever level, whose partition key uses a column, and that key."""
        found = (one for one in self._partition_keys(stands) if column in one[-1])
        return next(((name, text) for name, text, *_ in found), None)

    def _partition_keys(self, stands: Table) -> list[tuple[Name, str, bool, list[str], list[str]]]:
        if not stands.is_partitioned:
            return []
        rows = self.read(KEYS, id=stands.id)
        return [
            (Name(table, schema), text, expression, _list(columns), [*_list(columns), *_list(used)])
            for schema, table, text, expression, columns, used in rows
        ]

    def keys_to_partitions(self, stands: Table) -> set[str]:
        sql = """SELECT k.conname FROM pg_constraint k JOIN pg_constraint o ON o.oid = k.conparentid
            AND o.conrelid = k.conrelid
            WHERE k.contype = 'f' AND k.conrelid = :id"""
        return {row[0] for row in self.read(sql, id=stands.id)}

    def left_on_partitions(self, stands: Table, name: str) -> bool:
        left = chain(self.leftovers(stands, name), self.left_foreign_keys(stands, name))
        return next(left, None) is not None

    def leftovers(self, stands: Table, name: str) -> Iterator[tuple[Table, Constraint | Index]]:
        """Go through what an interrupted build of an index or a constraint made on partitions, and the whole never took."""
        for partition in stands.partitions:
            part, part_name = self.table(partition), self.part_name(partition, name)
            if part is not None:
                key: Constraint | Index | None = part.constraints.get(part_name) or part.indexes.get(part_name)
                if key is not None and not key.inherited:
                    yield part, key
                yield from self.leftovers(part, part_name)

    def left_foreign_keys(self, stands: Table, name: str) -> Iterator[tuple[Table, Constraint | Index]]:
        """Go through the foreign keys of partitions, likewise: those have the name of the whole."""
        for partition in stands.partitions:
            part = self.table(partition)
            if part is not None:
                key = part.constraints.get(name)
                if key is not None and key.kind == "foreign key" and not key.inherited:
                    yield part, key
                yield from self.left_foreign_keys(part, name)

    def check_leftovers(self, stands: Table, name: str, columns: tuple[str, ...], code: str) -> None:
        """Raise DefinitionMismatch where a partition has another key or index under the name that its part is to have."""
        for part, there in self.leftovers(stands, name):
            if there.names != columns:
                raise DefinitionMismatch(
                    f"{there.name} of partition {part.name} is on ({', '.join(there.names)}), not ({', '.join(columns)}).",
                    why="It may be left of an earlier build that could not be completed. It was left untouched.",
                    remedy="Drop what is left on the partitions first:",
                    code=code,
                )

    def renamed_parts(self, stands: Table, name: str, original: str) -> list[str]:
        """Return the statements that give the parts of an index or constraint the names that another's parts have."""
        found = self.read(PARTS, id=stands.id, name=name, original=original)
        return [
            f"ALTER {'INDEX' if is_index else 'TABLE'} {self.quoted_table(Name(one if is_index else table, schema))} RENAME"
            f" {'TO' if is_index else f'CONSTRAINT {self.quoted(one)} TO'} {self.quoted(other)}"
            for schema, table, one, other, is_index in found
        ]

    def with_free_name(self, part: Table, name: str, whole: str) -> Generator[Step, None, Table]:
        """Plan that a name is free for the part of an index: one of another index that has it is called after that one.

        An index or a key of a partitioned table keeps the names of its parts where it is renamed.
        """
        other = self.scalar(OTHER_WHOLE, id=part.id, name=name, whole=whole) if name in part.indexes else None
        if other is None:
            return part
        numbered = ((other, *number) for number in chain([()], ((str(one),) for one in count(2))))
        names = (fitting(part.name.name, *words, max_bytes=self.max_identifier) for words in numbered)
        free = next(one for one in names if not self._is_taken(Name(one, part.name.schema)))
        rename = f"ALTER INDEX {self.quoted_table(Name(name, part.name.schema))} RENAME TO {self.quoted(free)}"
        yield Step(rename, f"renamed index {name} of {part.name}, a part of {other}, to {free}", (part.name,))
        indexes = {key: one for key, one in part.indexes.items() if key != name}
        return replace(part, indexes=indexes, constraints={k: v for k, v in part.constraints.items() if k != name})

    def _is_taken(self, name: Name) -> bool:
        return bool(self.scalar("SELECT to_regclass(:name) IS NOT NULL", name=self.quoted_table(name)))

    def lock_whole(self, *names: Name) -> str:
        """Return the statement that locks tables before their partitions, as writers do.

        DROP TRIGGER locks the partitions first and waits for the table then: writers find a deadlock, and lose.
        """
        return f"LOCK TABLE {', '.join(map(self.quoted_table, names))} IN ACCESS EXCLUSIVE MODE"

    def locked(self, stands: Table) -> tuple[Name, ...]:
        """Return what a step locks: of a partitioned table partitions too, one for all of them."""
        return (stands.name, *stands.partitions[:1])

    def part_name(self, partition: Name, name: str) -> str:
        """Return the name that a partition's part of an index or key has."""
        return fitting(partition.name, name, max_bytes=self.max_identifier)


def _list(text: str | None) -> list[str]:
    found: list[str] = json.loads(text) if text else []
    return found


def _impossible(stands: Table, wanted: sa.Index | sa.Constraint, name: Name, key: str) -> UnsafeOperation:
    columns = equal_columns(wanted)
    first = stands.partitions[0] if stands.partitions else Name(f"{stands.name.name}_1", stands.name.schema)
    index = fitting(first.name, str(wanted.name), max_bytes=63)
    return UnsafeOperation(
        f"{kind_of_key(wanted)} {wanted.name} cannot be created: {name} is partitioned by {key}, which has an expression.",
        why="PostgreSQL keeps a key unique within each partition only, so a key must contain the partition key, and an"
        " expression cannot be in one.",
        remedy="Keep the values unique within each partition:",
        code=call("create_index_if_missing", index, first.name, columns, unique=True, schema=first.schema),
    )
