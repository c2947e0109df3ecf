"""How PostgreSQL builds and drops indexes without blocking reads or writes.

https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex

from safeops.databases import ddl
from safeops.databases.definitions import Constraint, Index, Table
from safeops.databases.postgresql.catalogue import index_of
from safeops.databases.postgresql.server import SHARE, SHARE_UPDATE_EXCLUSIVE
from safeops.databases.postgresql.types import block
from safeops.databases.steps import Plan, Step, WhileEmpty
from safeops.errors import DefinitionMismatch
from safeops.naming import Name, call
from safeops.planned import NO_LOCK

if TYPE_CHECKING:
    from safeops.databases.postgresql import PostgreSQL

# A foreign key has a row for each partition on either side; an attached index that is of no constraint has none.
RENAMED_PARTS = """
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

# The index that a partition's index is attached to, other than the one that should have it.
OTHER_PARENT = """
SELECT w.relname FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid JOIN pg_inherits h ON h.inhrelid = r.oid
JOIN pg_class w ON w.oid = h.inhparent WHERE i.indrelid = :id AND r.relname = :name AND w.relname <> :whole
"""


class IndexDDL(ddl.DDL):
    """The plans for indexes."""

    database: PostgreSQL

    def leftovers(
        self, existing: Table, name: str, *, foreign_key: str = ""
    ) -> Iterator[tuple[Table, Constraint | Index]]:
        """Go through what an interrupted build of an index or a key left on partitions, unattached.

        Args:
            existing: The partitioned table.
            name: The name that the index or the constraint of the whole has.
            foreign_key: The name of a foreign key of the whole, which those of its partitions have too.
        """
        for partition in existing.partitions:
            part, part_name = self.database.table(partition), self.part_name(partition, name)
            if part is None:
                continue
            key: Constraint | Index | None = part.constraints.get(part_name) or part.indexes.get(part_name)
            reference = part.constraints.get(foreign_key)
            found = (key, reference if reference and reference.kind == "foreign key" else None)
            yield from ((part, left) for left in found if left is not None and not left.inherited)
            yield from self.leftovers(part, part_name, foreign_key=foreign_key)

    def check_leftovers(self, existing: Table, name: str, columns: tuple[str, ...], code: str) -> None:
        """Raise DefinitionMismatch if a partition has another key or index under the name of its part."""
        for part, left in self.leftovers(existing, name):
            if left.names != columns:
                raise DefinitionMismatch(
                    f"{left.name} of partition {part.name} is on ({', '.join(left.names)}), not ({', '.join(columns)}).",
                    why="It may be left of an earlier build that could not be completed. It was left untouched.",
                    remedy="Drop what is left on the partitions first:",
                    code=code,
                )

    def renamed_parts(self, existing: Table, name: str, original: str) -> list[str]:
        """Return the statements that rename the parts of an index or constraint to the names of another's parts."""
        found = self.read(RENAMED_PARTS, id=existing.id, name=name, original=original)
        return [
            f"ALTER {'INDEX' if is_index else 'TABLE'} {self.quoted_table(Name(one if is_index else table, schema))} RENAME"
            f" {'TO' if is_index else f'CONSTRAINT {self.quoted(one)} TO'} {self.quoted(other)}"
            for schema, table, one, other, is_index in found
        ]

    def with_free_name(self, part: Table, name: str, whole: str) -> Generator[Step, None, Table]:
        """Plan that a name is free for the part of an index: a part of another index that has it is renamed.

        When an index or a key of a partitioned table is renamed, its parts keep their names.
        """
        other = self.scalar(OTHER_PARENT, id=part.id, name=name, whole=whole) if name in part.indexes else None
        if other is None:
            return part
        names = (self.fitting(part.name.name, word) for word in chain([other], (f"{other}_{n}" for n in count(2))))
        free = next(name for name in names if not self._is_taken(Name(name, part.name.schema)))
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
        return f"LOCK TABLE {', '.join(map(self.database.quoted_table, names))} IN ACCESS EXCLUSIVE MODE"

    def locked(self, existing: Table) -> tuple[Name, ...]:
        """Return what a step locks: of a partitioned table also the first partition, on behalf of all."""
        return (existing.name, *existing.partitions[:1])

    def part_name(self, partition: Name, name: str) -> str:
        """Return the name that a partition's part of an index or key has."""
        return self.fitting(partition.name, name)

    def create_index(self, name: Name, index: sa.Index, existing: Table | None) -> Plan:
        return self.build_index(name, self._text_of(index), existing)

    def build_index(self, name: Name, index: IndexText, existing: Table | None) -> Plan:
        named = index.name
        if existing is not None and existing.is_partitioned:
            yield from self._build_partitioned_index(name, index, existing)
            return
        if existing is None:
            yield self._drop_invalid_offline(name, named)
        elif existing.is_empty and named not in existing.indexes:
            sql = self._index_sql(name, index, "IF NOT EXISTS")
            step = while_empty(Step(sql, f"built index {named} on {name}", (name,), lock=SHARE))
            yield step
            if is_carried_out(step):
                return
        old = existing.indexes.get(named) if existing else None
        drop = self.drop_invalid(name, named, existing)
        if old is not None and not old.valid:
            yield drop
            # Another runner may have been building it, and may have finished by now.
            now = self.database.table(name)
            old = now.indexes.get(named) if now else None
        if old is None or not old.valid:
            sql = self._index_sql(name, index, "CONCURRENTLY IF NOT EXISTS")
            yield concurrently(sql, f"built index {named} on {name}", name, scans=True, cleanup=(drop,))

    def drop_invalid(self, name: Name, index: str, existing: Table | None) -> Step:
        return concurrently(
            f"DROP INDEX CONCURRENTLY IF EXISTS {self.index_name(name, index, existing)}",
            f"dropped index {index}, which an interrupted build left invalid",
            name,
            leaves=f"the invalid index {index}, which no query uses",
            needed_if=self._is_invalid(name, index),
        )

    def _build_partitioned_index(self, name: Name, index: IndexText, existing: Table) -> Plan:
        """Build on each partition concurrently, and attach: the parent turns valid with the last one.

        https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE
        """
        named = index.name
        columns = index_of(f"CREATE INDEX i ON t {index.rest}", name=named, table=name.name).names
        drop = call("drop_index_if_exists", named, name.name, schema=name.schema)
        self.check_leftovers(existing, named, columns, drop)
        if named not in existing.indexes:
            sql = self._index_sql(name, index, "IF NOT EXISTS", only=True)
            yield Step(
                sql, f"created index {named} on {name} for its partitions", (name,), lock=SHARE, skips_partitions=True
            )
        for partition in existing.partitions:
            part, part_name = self.database.table(partition), self.part_name(partition, named)
            if part is None or part.kind == "foreign table":
                continue
            part = yield from self.with_free_name(part, part_name, named)
            yield from self.build_index(partition, replace(index, name=part_name), part)
            whole, child = self.index_name(name, named, existing), self.index_name(partition, part_name, part)
            attach = f"ALTER INDEX {whole} ATTACH PARTITION {child}"
            yield Step(attach, f"attached index {part_name}", (name, partition), lock=NO_LOCK)

    def drop_index(self, name: Name, index: str, existing: Table | None) -> Plan:
        full = self.index_name(name, index, existing)
        if existing is not None and existing.is_partitioned:
            if index in existing.indexes:
                yield Step(f"DROP INDEX IF EXISTS {full}", f"dropped index {index}", (name,))
            for part, left in self.leftovers(existing, index):
                if isinstance(left, Index):
                    yield from self.drop_index(part.name, left.name, part)
            return
        yield concurrently(f"DROP INDEX CONCURRENTLY IF EXISTS {full}", f"dropped index {index}", name)

    def index_sql(self, name: Name, index: sa.Index) -> str:
        """Render CREATE INDEX on a table that may be another than the one that the index was made for."""
        return self._index_sql(name, self._text_of(index))

    def _text_of(self, index: sa.Index) -> IndexText:
        rendered = self.database.rendered(CreateIndex(with_included(index)))
        own = self.quoted_table(Name(index.table.name, index.table.schema))  # type: ignore[union-attr]
        create, named = f"CREATE {'UNIQUE ' if index.unique else ''}INDEX", self.quoted(str(index.name))
        return IndexText(str(index.name), bool(index.unique), rendered.removeprefix(f"{create} {named} ON {own} "))

    def _index_sql(self, name: Name, index: IndexText, how: str = "", only: bool = False) -> str:
        create = " ".join(
            filter(None, (f"CREATE {'UNIQUE ' if index.unique else ''}INDEX", how, self.quoted(index.name)))
        )
        return f"{create} ON {'ONLY ' if only else ''}{self.quoted_table(name)} {index.rest}"

    def _is_invalid(self, name: Name, index: str) -> str:
        return f"""EXISTS (SELECT 1 FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
             WHERE i.indrelid = {self.regclass(name)} AND r.relname = {self.literal(index)} AND NOT i.indisvalid)"""

    def _drop_invalid_offline(self, name: Name, index: str) -> Step:
        invalid = self._is_invalid(name, index)
        sql = block(invalid, f"DROP INDEX {self.index_name(name, index, None)}")
        return Step(sql, f"dropped index {index} if an earlier build left it invalid", (name,))

    def index_name(self, name: Name, index: str, existing: Table | None) -> str:
        return self.quoted_table(Name(index, existing.name.schema if existing else name.schema))

    def regclass(self, name: Name) -> str:
        return f"to_regclass({self.literal(self.quoted_table(name))})"


def concurrently(sql: str, does: str, name: Name, **options: Any) -> Step:
    """Return a step that builds or drops an index without blocking reads or writes."""
    lock = SHARE_UPDATE_EXCLUSIVE
    return Step(sql, does, (name,), lock=lock, outside_transaction=True, waits_inside=True, **options)


def while_empty(step: Step) -> Step:
    """Return a step that relies on its first table having no rows."""
    return replace(step, while_empty=WhileEmpty(step.locks[0]))


def is_carried_out(step: Step) -> bool:
    """Return whether the table of such a step still had no rows."""
    return step.while_empty is not None and not step.while_empty.has_rows


@dataclass(frozen=True)
class IndexText:
    """An index as text; ``rest`` is what follows the name of the table."""

    name: str
    unique: bool
    rest: str


def with_included(index: sa.Index) -> sa.Index:
    """Give the index's table, which was made from arguments, the columns of INCLUDE: SQLAlchemy looks for them there."""
    table = index.table
    for column in index.dialect_kwargs.get("postgresql_include") or ():
        if table is not None and isinstance(column, str) and column not in table.columns:
            table.append_column(sa.Column(column, sa.types.NullType()))
    return index
