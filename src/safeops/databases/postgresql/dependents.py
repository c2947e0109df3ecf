"""What depends on a column, by the rules that PostgreSQL itself follows when it drops one or changes its type."""

from __future__ import annotations

from itertools import chain

from safeops.databases.definitions import Constraint, Table
from safeops.databases.postgresql import catalogue
from safeops.databases.postgresql.publishing import Publishing
from safeops.naming import Name

# The server refuses to drop what another thing depends on normally, unless that goes along (automatically). What would go
# along is named too where it is more than the column's own. https://www.postgresql.org/docs/current/catalog-pg-depend.html
OF_COLUMN = """
WITH RECURSIVE columns AS (
  SELECT a.attrelid AS id, a.attnum AS number, a.attname FROM pg_attribute a
  WHERE a.attrelid = :id AND a.attname = :column AND NOT a.attisdropped
  UNION SELECT a.attrelid, a.attnum, a.attname FROM columns c JOIN pg_inherits h ON h.inhparent = c.id
  JOIN pg_attribute a ON a.attrelid = h.inhrelid AND a.attname = c.attname AND NOT a.attislocal),
found AS (
  SELECT d.* FROM pg_depend d JOIN columns c ON d.refobjid = c.id AND d.refobjsubid = c.number
  WHERE d.refclassid = 'pg_class'::regclass)
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) || CASE
  WHEN v.oid IS NOT NULL THEN ': ' || pg_get_viewdef(v.oid) WHEN r.oid IS NOT NULL THEN ': ' || pg_get_ruledef(r.oid)
  ELSE '' END
FROM found d
LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
LEFT JOIN pg_class v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
LEFT JOIN pg_trigger g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid
LEFT JOIN pg_attrdef e ON d.classid = 'pg_attrdef'::regclass AND e.oid = d.objid
WHERE NOT starts_with(coalesce(g.tgname, ''), 'safeops_fill')
  AND NOT EXISTS (SELECT FROM columns c WHERE d.classid = 'pg_class'::regclass AND (d.objid, d.objsubid) = (c.id, c.number))
  AND NOT EXISTS (SELECT FROM columns c WHERE (e.adrelid, e.adnum) = (c.id, c.number))
  AND (d.classid IN ('pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_statistic_ext'::regclass, 'pg_attrdef'::regclass)
    OR d.deptype IN ('n', 'a') AND d.classid = 'pg_class'::regclass AND d.objid = d.refobjid AND d.objsubid <> 0
    OR d.deptype = 'n' AND NOT EXISTS (
      SELECT FROM found o WHERE (o.classid, o.objid) = (d.classid, d.objid) AND o.deptype IN ('a', 'i')))
ORDER BY 1
"""

# What the column is in by the way that the table was made; of a partition the parent.
BOUND = """
SELECT 'table ' || h.inhparent::regclass || ', from which ' || h.inhrelid::regclass || ' inherits it'
FROM pg_inherits h JOIN pg_attribute a ON a.attrelid = h.inhparent AND a.attname = :column WHERE h.inhrelid = :id
UNION ALL SELECT 'type ' || format_type(c.reloftype, NULL) || ', of which ' || c.oid::regclass || ' is a table'
FROM pg_class c WHERE c.oid = :id AND c.reloftype <> 0
UNION ALL SELECT 'the partition key of ' || p.partrelid::regclass || ': ' || pg_get_partkeydef(p.partrelid)
FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attname = :column
WHERE (p.partrelid = :id OR p.partrelid IN (SELECT relid FROM pg_partition_tree(:id)))
  AND (a.attnum = ANY (p.partattrs) OR EXISTS (
  SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND (d.objid, d.objsubid) = (p.partrelid, a.attnum)
  AND d.refclassid = 'pg_class'::regclass AND (d.refobjid, d.refobjsubid) = (p.partrelid, 0) AND d.deptype = 'i'))
"""

# Values of the row type of the table, which the server does not convert: also in arrays, domains, ranges and other types.
IN_ROWS = """
WITH RECURSIVE types AS (
  SELECT reltype AS id FROM pg_class WHERE oid = :id
  UNION SELECT y.id FROM types, LATERAL (
    SELECT t.oid AS id FROM pg_type t WHERE t.typelem = types.id OR t.typbasetype = types.id
    UNION ALL SELECT r.rngtypid FROM pg_range r WHERE r.rngsubtype = types.id
    UNION ALL SELECT c.reltype FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'c'
    WHERE a.atttypid = types.id AND NOT a.attisdropped) y)
SELECT 'column ' || a.attrelid::regclass || '.' || quote_ident(a.attname) || ', which holds rows of it'
FROM types JOIN pg_attribute a ON a.atttypid = types.id AND NOT a.attisdropped
JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'm', 'p') ORDER BY 1 LIMIT 20
"""


class Dependents(Publishing):
    """Says what depends on a column."""

    def dependents_of_column(self, table: Table, column: str) -> list[str]:
        found = [*self.read(BOUND, id=table.id, column=column), *self.read(OF_COLUMN, id=table.id, column=column)]
        return list(dict.fromkeys(row[0] for row in found))

    def dependents_on_type(self, table: Table, column: str) -> list[str]:
        rows = self.read(IN_ROWS, id=table.id)
        return [*self.dependents_of_column(table, column), *(row[0] for row in rows)]

    def check_droppable(self, table: Table, column: str) -> None:
        with self.database.scratch():
            self.run(f"ALTER TABLE {self.quoted_table(table.name)} DROP COLUMN {self.quoted(column)}")

    def dependents(self, table: Table, column: str | None = None) -> list[str]:
        if column is not None:
            return self.dependents_of_column(table, column)
        return [row[0] for row in self.read(catalogue.DEPENDENTS, id=table.id)]

    def dependents_of_schema(self, schema: str) -> list[str]:
        sql = """SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
            JOIN pg_namespace n ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid
            WHERE n.nspname = :schema AND d.deptype = 'n' LIMIT 20"""
        return [row[0] for row in self.read(sql, schema=schema)]

    def dependents_of_enum(self, name: Name) -> list[str]:
        sql = """SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
            JOIN pg_type t ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray)
            WHERE t.oid = to_regtype(:quoted) AND d.deptype = 'n' LIMIT 20"""
        return [row[0] for row in self.read(sql, quoted=self.quoted_table(name))]

    def dependents_of_key(self, stands: Table, constraint: Constraint) -> list[str]:
        if constraint.kind not in ("unique", "primary key"):
            return []
        sql = """SELECT pg_describe_object('pg_constraint'::regclass, k.oid, 0) || ': ' || pg_get_constraintdef(k.oid)
            FROM pg_constraint k JOIN pg_constraint u ON u.conindid = k.conindid AND u.oid <> k.oid
            WHERE k.contype = 'f' AND u.conrelid = :id AND u.conname = :name"""
        return [row[0] for row in self.read(sql, id=stands.id, name=constraint.name)]

    def keys_to_partitions(self, stands: Table) -> set[str]:
        sql = """SELECT k.conname FROM pg_constraint k JOIN pg_constraint o ON o.oid = k.conparentid
            AND o.conrelid = k.conrelid
            WHERE k.contype = 'f' AND k.conrelid = :id"""
        return {row[0] for row in self.read(sql, id=stands.id)}

    def left_on_partitions(self, stands: Table, name: str) -> bool:
        left = chain(self.database.ddl.leftovers(stands, name), self.database.ddl.left_foreign_keys(stands, name))
        return next(left, None) is not None
