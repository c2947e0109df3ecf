"""How PostgreSQL builds and drops indexes while all go on.

https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex

from safeops.databases.definitions import Index, Table
from safeops.databases.postgresql.catalogue import index_of
from safeops.databases.postgresql.locks import SHARE, SHARE_UPDATE_EXCLUSIVE
from safeops.databases.postgresql.partitioning import Partitioning
from safeops.databases.postgresql.spelling import block
from safeops.databases.steps import Plan, Step
from safeops.naming import Name, call
from safeops.planned import FREE


@dataclass(frozen=True)
class Written:
    """An index as text; ``rest`` is what follows the name of the table."""

    name: str
    unique: bool
    rest: str


class Indexing(Partitioning):
    """The plans for indexes."""

    def create_index(self, name: Name, index: sa.Index, stands: Table | None) -> Plan:
        return self.build_index(name, self._written(index), stands)

    def build_index(self, name: Name, index: Written, stands: Table | None) -> Plan:
        named = index.name
        if stands is not None and stands.is_partitioned:
            yield from self._build_partitioned_index(name, index, stands)
            return
        if stands is None:
            yield self._drop_invalid_offline(name, named)
        there = stands.indexes.get(named) if stands else None
        drop = self.drop_invalid(name, named, stands)
        if there is not None and not there.valid:
            yield drop
            # Another runner may have been building it, and may have finished meanwhile.
            now = self.database.table(name)
            there = now.indexes.get(named) if now else None
        if there is None or not there.valid:
            sql = self._index_sql(name, index, "CONCURRENTLY IF NOT EXISTS")
            built = f"built index {named} on {name}"
            yield Step(
                sql,
                built,
                (name,),
                scans=True,
                waits_inside=True,
                alone=True,
                cleanup=(drop,),
                lock=SHARE_UPDATE_EXCLUSIVE,
            )

    def drop_invalid(self, name: Name, index: str, stands: Table | None) -> Step:
        return Step(
            f"DROP INDEX CONCURRENTLY IF EXISTS {self.index_name(name, index, stands)}",
            f"dropped index {index} if an interrupted build left it invalid",
            (name,),
            lock=SHARE_UPDATE_EXCLUSIVE,
            alone=True,
            waits_inside=True,
            leaves=f"the invalid index {index}, which no query uses",
            still=self._is_invalid(name, index),
        )

    def _build_partitioned_index(self, name: Name, index: Written, stands: Table) -> Plan:
        """Build on each partition concurrently, and attach: the parent turns valid with the last one.

        https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE
        """
        named = index.name
        columns = index_of(f"CREATE INDEX i ON t {index.rest}", name=named, table=name.name).names
        drop = call("drop_index_if_exists", named, name.name, schema=name.schema)
        self.check_leftovers(stands, named, columns, drop)
        if named not in stands.indexes:
            sql = self._index_sql(name, index, "IF NOT EXISTS", only=True)
            yield Step(sql, f"created index {named} on {name} for its partitions", (name,), lock=SHARE, only=True)
        for partition in stands.partitions:
            part, part_name = self.database.table(partition), self.part_name(partition, named)
            if part is None or part.kind == "foreign table":
                continue
            part = yield from self.with_free_name(part, part_name, named)
            yield from self.build_index(partition, replace(index, name=part_name), part)
            whole, child = self.index_name(name, named, stands), self.index_name(partition, part_name, part)
            attach = f"ALTER INDEX {whole} ATTACH PARTITION {child}"
            yield Step(attach, f"attached index {part_name}", (name, partition), lock=FREE)

    def drop_index(self, name: Name, index: str, stands: Table | None) -> Plan:
        full = self.index_name(name, index, stands)
        if stands is not None and stands.is_partitioned:
            if index in stands.indexes:
                yield Step(f"DROP INDEX IF EXISTS {full}", f"dropped index {index}", (name,))
            for part, left in self.leftovers(stands, index):
                if isinstance(left, Index):
                    yield from self.drop_index(part.name, left.name, part)
            return
        sql = f"DROP INDEX CONCURRENTLY IF EXISTS {full}"
        yield Step(sql, f"dropped index {index}", (name,), lock=SHARE_UPDATE_EXCLUSIVE, alone=True, waits_inside=True)

    def index_sql(self, name: Name, index: sa.Index) -> str:
        """Render CREATE INDEX on a table that may be another than the one that the index was made for."""
        return self._index_sql(name, self._written(index))

    def _written(self, index: sa.Index) -> Written:
        rendered = self.database.rendered(CreateIndex(with_included(index)))
        own = self.quoted_table(Name(index.table.name, index.table.schema))  # type: ignore[union-attr]
        create, named = f"CREATE {'UNIQUE ' if index.unique else ''}INDEX", self.quoted(str(index.name))
        return Written(str(index.name), bool(index.unique), rendered.removeprefix(f"{create} {named} ON {own} "))

    def _index_sql(self, name: Name, index: Written, how: str = "", only: bool = False) -> str:
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

    def index_name(self, name: Name, index: str, stands: Table | None) -> str:
        return self.quoted_table(Name(index, stands.name.schema if stands else name.schema))

    def regclass(self, name: Name) -> str:
        return f"to_regclass({self.literal(self.quoted_table(name))})"


def with_included(index: sa.Index) -> sa.Index:
    """Give the index's table, which was made from arguments, the columns of INCLUDE: SQLAlchemy looks for them there."""
    table = index.table
    for column in index.dialect_kwargs.get("postgresql_include") or ():
        if table is not None and isinstance(column, str) and column not in table.columns:
            table.append_column(sa.Column(column, sa.types.NullType()))
    return index
