"""What PostgreSQL knows of the values in its tables: pg_class and pg_stats."""

from __future__ import annotations

from safeops.databases.definitions import Table
from safeops.naming import Name
from safeops.rehearse import shapes
from safeops.rehearse.shapes import ColumnShape

# Not the partitions, whose rows are those of their table, nor the tables of extensions.
NAMES = """
SELECT c.relname, CASE WHEN n.nspname <> current_schema() THEN n.nspname END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
    SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname
"""
ROWS = """
SELECT min(c.reltuples), sum(c.reltuples)::bigint FROM pg_class c WHERE c.oid = {id} OR c.oid IN (
  SELECT t.relid FROM pg_partition_tree({id}) t WHERE t.isleaf)
"""
COLUMNS = """
SELECT s.attname, s.null_frac, s.n_distinct, s.avg_width FROM pg_stats s
JOIN pg_class c ON c.relname = s.tablename JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = s.schemaname
WHERE c.oid = {id} AND s.inherited = (c.relkind = 'p')
"""


class Statistics(shapes.Statistics):
    """Rows and distributions as ANALYZE and autovacuum have counted them."""

    def names(self) -> list[Name]:
        return [Name(name, schema) for name, schema in self.read(NAMES)]

    def rows_of(self, table: Table) -> int:
        if table.is_partitioned:
            leaves = ROWS.replace("c.oid = {id} OR ", "").format(id=table.id)
            least, rows = self.read(leaves)[0]
        else:
            least, rows = self.read(ROWS.format(id=table.id))[0]
        if rows is not None and least is not None and least >= 0:
            return int(rows)
        return self.database.sizes.rows_of(table.name) or 0

    def columns_of(self, table: Table, rows: int) -> dict[str, ColumnShape]:
        # A negative number of distinct values is a share of the rows.
        return {
            name: ColumnShape(float(nulls), float(distinct if distinct > 0 else -distinct * rows) or None, width)
            for name, nulls, distinct, width in self.read(COLUMNS.format(id=table.id))
        }

    def as_text(self, column: str) -> str:
        return f"CAST({column} AS text)"

    def _distinct(self, name: str) -> str:
        # Some types have no equality.
        return f"count(DISTINCT CAST({name} AS text))"
