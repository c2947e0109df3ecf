"""What PostgreSQL refuses or rewrites a table for, and what depends on a thing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOMAIN, ExcludeConstraint

from safeops.databases import safety
from safeops.databases.definitions import Constraint, Difference, Index, Published, Table, names_in
from safeops.databases.postgresql import catalogue
from safeops.databases.postgresql.published import (
    LOST_REPLICA_IDENTITIES,
    PUBLICATIONS,
    PUBLICATIONS_OF_ALL,
    PUBLICATIONS_OF_SCHEMA,
    REPLICA_IDENTITIES_USING,
    REPLICATION_SLOTS,
)
from safeops.databases.postgresql.types import PROBE, is_built_in, is_literal, widens
from safeops.databases.safety import equal_columns, is_key, kind_of_key, lacking
from safeops.errors import DependentObjects, UnsafeOperation
from safeops.naming import Code, Name, call, fitting

if TYPE_CHECKING:
    from safeops.databases.postgresql import PostgreSQL

REWRITTEN = "PostgreSQL rewrites the whole table or an index under an ACCESS EXCLUSIVE lock"

# The tables below a table, with what only they have on a column of it.
TABLES_BELOW = """
WITH RECURSIVE below AS (
  SELECT inhrelid AS id FROM pg_inherits WHERE inhparent = :id
  UNION SELECT i.inhrelid FROM pg_inherits i JOIN below ON i.inhparent = below.id)
SELECT n.nspname, c.relname, a.attnum,
  (SELECT min(k.conname) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c' AND a.attnum = ANY (k.conkey)),
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND NOT EXISTS (
    SELECT FROM pg_inherits p WHERE p.inhrelid = i.indexrelid))
FROM below JOIN pg_class c ON c.oid = below.id JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = :column
ORDER BY 1, 2
"""

# The partition keys of a table and of its partitions; the columns of an expression are found by its dependencies.
PARTITION_KEYS = """
SELECT n.nspname, c.relname, pg_get_partkeydef(c.oid), 0 = ANY (p.partattrs::int2[]),
  (SELECT json_agg(a.attname ORDER BY x.place)::text FROM unnest(p.partattrs::int2[]) WITH ORDINALITY x (number, place)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.number),
  (SELECT json_agg(DISTINCT a.attname)::text FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid
    AND a.attnum = d.objsubid WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.objid = c.oid AND d.refobjid = c.oid AND d.refobjsubid = 0 AND d.deptype = 'i')
FROM pg_partition_tree(:id) t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_partitioned_table p ON p.partrelid = c.oid ORDER BY t.level, 1, 2
"""


class Safety(safety.Safety):
    """Whether a change would block a table that has rows, as PostgreSQL itself shows on an empty copy."""

    database: PostgreSQL

    def default_is_constant(self, column: sa.Column[Any]) -> bool:
        # What a domain checks, and its own default, only the server knows.
        return not isinstance(column.type, DOMAIN) and super().default_is_constant(column)

    def column_refusal(self, column: sa.Column[Any], existing: Table) -> str | None:
        text = self.database.default_text(column)
        # A literal is kept once for all rows; what an expression does only the server knows.
        own = column.identity is not None or column.computed is not None or not (text is None or is_literal(text))
        domain = self.database.types.domain(column.type)
        if not (own or domain) or not self.database.adds_by_rewriting(existing, *self.database.types.adding(column)):
            return None
        if domain and domain.has_rules:
            return (
                f"{self.database.type_text(column.type)} is a domain with constraints, so PostgreSQL rewrites the whole"
                " table under an ACCESS EXCLUSIVE lock to check every row"
            )
        return (
            "its values differ from row to row, so PostgreSQL rewrites the whole table under an ACCESS EXCLUSIVE lock"
        )

    def is_certain(self, found: Difference) -> bool:
        if found.part == "default":
            return found.existing is None and is_literal(found.wanted)
        return found.part == "type" and is_built_in(found.existing) and is_built_in(found.wanted)

    def check_virtual(self, existing: Table | None, thing: sa.Index | sa.Constraint) -> None:
        if isinstance(thing, sa.CheckConstraint) or self.database.version < (18,) or thing.table is None:
            return
        virtual = (
            {column.name: column.computed for column in existing.columns.values() if column.persisted is False}
            if existing
            else {}
        )
        for new in thing.table.columns:
            if new.computed is not None and not self.database.column_spec(new).endswith(" STORED"):
                virtual[new.name] = self.database.rendered(new.computed.sqltext)
        if not virtual:
            return
        named = names_in(
            self.database.wanted_index(thing) if isinstance(thing, sa.Index) else self.database.wanted_constraint(thing)
        )
        column = next((name for name in virtual if name in named), None)
        if column is None:
            return
        remedy, code = "Make the column a stored one.", ""
        if isinstance(thing, (sa.Index, sa.UniqueConstraint)):
            remedy = "Make the column a stored one, or index the expression that it is computed from:"
            expression = Code(f"[sa.text({f'({virtual[column]})'!r})]")
            unique = True if is_key(thing) else None
            code = call("create_index_if_missing", str(thing.name), thing.table.name, expression, unique=unique)
        raise self.database.unsupported(
            f"{thing.name} over the virtual generated column {column}",
            "a stored column: this one is computed when it is read, and no table or index has its values",
            remedy,
            code,
        )

    def type_refusal(self, column: sa.Column[Any], existing: Table) -> str | None:
        name = str(column.name)
        # A foreign key is not checked again if its operator is kept, and it is kept if nothing is rewritten.
        scanned = [check for check in existing.of_kind("check") if name in names_in(check)]
        if scanned:
            return f"check {scanned[0].name} on the column is checked again on every row under an ACCESS EXCLUSIVE lock"
        indexed = any(isinstance(thing, Index) for thing in existing.things_using(name))
        if not indexed and widens(existing.columns[name].type, self.database.type_text(column.type)):
            return self._refusal_below(column, existing)
        try:
            rewrites = self.database.rewrites(existing, self.database.ddl.type_sql(Name(PROBE), column))
        except sa.exc.DBAPIError as error:
            if self.database.errors.is_lock_failure(error) or self.database.errors.is_cut_short(error):
                raise
            return f"PostgreSQL refuses it: {str(error.orig).splitlines()[0]}"
        return REWRITTEN if rewrites else self._refusal_below(column, existing)

    def _refusal_below(self, column: sa.Column[Any], existing: Table) -> str | None:
        """Return why a partition, or another inheriting table, must be scanned or rewritten."""
        if not existing.is_inherited:
            return None
        for schema, table, _, check, has_indexes in self.read(TABLES_BELOW, id=existing.id, column=str(column.name)):
            below = Name(table, schema)
            if check is not None:
                return f"check {check} of {below} is checked again on every row under an ACCESS EXCLUSIVE lock"
            if has_indexes and self.database.rewrites(
                Table(below, {}), self.database.ddl.type_sql(Name(PROBE), column)
            ):
                return f"PostgreSQL rebuilds an index of {below} under an ACCESS EXCLUSIVE lock"
        return None

    def type_refusal_back(self, column: sa.Column[Any], former: sa.Column[Any], existing: Table) -> str | None:
        statements = (self.database.ddl.type_sql(Name(PROBE), change) for change in (column, former))
        return REWRITTEN if self.database.rewrites(existing, *statements) else None

    def check_partition_keys(self, name: Name, existing: Table, wanted: sa.Index | sa.Constraint) -> None:
        if not existing.is_partitioned or not is_key(wanted):
            return
        if isinstance(wanted, ExcludeConstraint) and self.database.version < (17,):
            raise self.database.unsupported(
                f"Exclusion constraint {wanted.name} on the partitioned table {existing.name}", "PostgreSQL 17"
            )
        columns = equal_columns(wanted)
        missing: list[str] = []
        for level, text, has_expression, key, _ in self._partition_keys(existing):
            if has_expression:
                raise _impossible(existing, wanted, level, text)
            missing += [item for item in key if item not in (*columns, *missing)]
        if missing:
            raise lacking(self.product, name, wanted, columns, missing)

    def partition_key_using(self, existing: Table, column: str) -> tuple[Name, str] | None:
        """Return the table, at any level, whose partition key uses a column, and that key."""
        found = (key for key in self._partition_keys(existing) if column in key[-1])
        return next(((name, text) for name, text, *_ in found), None)

    def _partition_keys(self, existing: Table) -> list[tuple[Name, str, bool, list[str], list[str]]]:
        if not existing.is_partitioned:
            return []
        rows = self.read(PARTITION_KEYS, id=existing.id)
        return [
            (Name(table, schema), text, expression, _list(columns), [*_list(columns), *_list(used)])
            for schema, table, text, expression, columns, used in rows
        ]


def _impossible(existing: Table, wanted: sa.Index | sa.Constraint, name: Name, key: str) -> UnsafeOperation:
    columns = equal_columns(wanted)
    first = existing.partitions[0] if existing.partitions else Name(f"{existing.name.name}_1", existing.name.schema)
    index = fitting(first.name, str(wanted.name), max_bytes=63)
    return UnsafeOperation(
        f"{kind_of_key(wanted)} {wanted.name} cannot be created: {name} is partitioned by {key}, which has an expression.",
        why="PostgreSQL keeps a key unique within each partition only, so a key must contain the partition key, and an"
        " expression cannot be in one.",
        remedy="Keep the values unique within each partition:",
        code=call("create_index_if_missing", index, first.name, columns, unique=True, schema=first.schema),
    )


def _list(text: str | None) -> list[str]:
    found: list[str] = json.loads(text) if text else []
    return found


class Dependents(safety.Dependents):
    """What depends on a table or a column, by the catalogue."""

    database: PostgreSQL

    def check_identity(self, existing: Table, indexes: Sequence[str]) -> None:
        asked = indexes and not existing.unpublished
        lost = self.read(LOST_REPLICA_IDENTITIES, id=existing.id, indexes=list(indexes)) if asked else []
        if not lost:
            return
        listed = "".join(
            f"\n  - index {index} is the replica identity of {Name(table, schema)}, which is published by: {publications}"
            for schema, table, index, publications, _ in lost
        )
        raise DependentObjects(
            f"Logical replication depends on what would be dropped:{listed}",
            why="Without a replica identity the server refuses every UPDATE and DELETE of the table.",
            remedy="Give it another replica identity first:",
            code="\n".join(
                call(
                    "op.execute",
                    f"ALTER TABLE {self.quoted_table(Name(table, schema))} REPLICA IDENTITY {self._by(other)}",
                )
                for schema, table, _, _, other in lost
            ),
            about=[name for row in lost for name in row[1:4]],
        )

    def check_takes_null(self, existing: Table, column: str) -> None:
        for schema, table, index in self.read(REPLICA_IDENTITIES_USING, id=existing.id, column=column):
            name = Name(table, schema)
            raise DependentObjects(
                f"{existing.name}.{column} cannot take NULL: it is in index {index}, the replica identity of {name}.",
                why="Subscribers find a row by these columns, so the server refuses NULL in them.",
                remedy="Give the table another replica identity first:",
                code=call("op.execute", f"ALTER TABLE {self.quoted_table(name)} REPLICA IDENTITY FULL"),
            )

    def published(self, existing: Table) -> Published:
        return Published() if existing.unpublished else self._published(self.read(PUBLICATIONS, id=existing.id))

    def published_when_new(self, name: Name) -> Published:
        if not self.database.surroundings.publications:
            return Published()
        if self.database.version < (15,):
            return self._published(self.read(f"{PUBLICATIONS_OF_ALL} ORDER BY 1"))
        return self._published(
            self.read(f"{PUBLICATIONS_OF_ALL}{PUBLICATIONS_OF_SCHEMA} ORDER BY 1", schema=name.schema)
        )

    def _published(self, rows: Sequence[Sequence[Any]]) -> Published:
        whole, listed = (tuple(row[0] for row in rows if row[1] is lists) for lists in (False, True))
        return Published(whole, tuple(row[0] for row in self.read(REPLICATION_SLOTS)) if whole else (), listed)

    def _by(self, index: str | None) -> str:
        return "FULL" if index is None else f"USING INDEX {self.quoted(index)}"

    def dependents_of_column(self, table: Table, column: str) -> list[str]:
        found = [
            *self.read(INHERITED_FROM, id=table.id, column=column),
            *self.read(DEPENDENTS_OF_COLUMN, id=table.id, column=column),
        ]
        return list(dict.fromkeys(row[0] for row in found))

    def dependents_on_type(self, table: Table, column: str) -> list[str]:
        rows = self.read(COLUMNS_OF_ROW_TYPE, id=table.id)
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

    def dependents_of_key(self, existing: Table, constraint: Constraint) -> list[str]:
        if constraint.kind not in ("unique", "primary key"):
            return []
        sql = """SELECT pg_describe_object('pg_constraint'::regclass, k.oid, 0) || ': ' || pg_get_constraintdef(k.oid)
            FROM pg_constraint k JOIN pg_constraint u ON u.conindid = k.conindid AND u.oid <> k.oid
            WHERE k.contype = 'f' AND u.conrelid = :id AND u.conname = :name"""
        return [row[0] for row in self.read(sql, id=existing.id, name=constraint.name)]

    def keys_to_partitions(self, existing: Table) -> set[str]:
        sql = """SELECT k.conname FROM pg_constraint k JOIN pg_constraint o ON o.oid = k.conparentid
            AND o.conrelid = k.conrelid
            WHERE k.contype = 'f' AND k.conrelid = :id"""
        return {row[0] for row in self.read(sql, id=existing.id)}

    def left_on_partitions(self, existing: Table, name: str) -> bool:
        return next(self.database.ddl.leftovers(existing, name, foreign_key=name), None) is not None


# The server refuses to drop what another thing depends on normally, but drops what depends on it automatically. That
# is named too if it is more than the column's own. https://www.postgresql.org/docs/current/catalog-pg-depend.html
DEPENDENTS_OF_COLUMN = """
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
INHERITED_FROM = """
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
COLUMNS_OF_ROW_TYPE = """
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
