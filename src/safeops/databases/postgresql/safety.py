"""What PostgreSQL would rewrite or scan a table for. It is asked on an empty copy, because no rule of ours is as exact."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOMAIN, ExcludeConstraint

from safeops.databases import safety
from safeops.databases.definitions import Constraint, Table, names_in
from safeops.databases.postgresql import identity as identity_of
from safeops.databases.postgresql.spelling import PROBE
from safeops.databases.safety import equal_columns, is_key, kind_of_key, lacking
from safeops.errors import UnsafeOperation
from safeops.naming import Code, Name, call, fitting

REWRITTEN = "PostgreSQL rewrites the whole table or an index under an ACCESS EXCLUSIVE lock"

# The tables below a table, with what only they have on a column of it.
BELOW = """
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


class Safety(safety.Safety):
    """Says why a change would block a table that has rows."""

    def default_is_constant(self, column: sa.Column[Any]) -> bool:
        # What a domain checks, and its own default, only the server knows.
        return not isinstance(column.type, DOMAIN) and super().default_is_constant(column)

    def column_refusal(self, column: sa.Column[Any], stands: Table) -> str | None:
        own = column.identity is not None or column.computed is not None or column.server_default is not None
        domain = self.database.types.domain(column.type)
        if not (own or domain) or not self.database.adds_by_rewriting(stands, *self.database.types.adding(column)):
            return None
        if domain and domain.has_rules:
            return (
                f"{self.database.type_text(column.type)} is a domain with rules of its own, so PostgreSQL rewrites the whole"
                " table under an ACCESS EXCLUSIVE lock to check every row"
            )
        return (
            "its values differ from row to row, so PostgreSQL rewrites the whole table under an ACCESS EXCLUSIVE lock"
        )

    def check_virtual(self, stands: Table | None, thing: sa.Index | sa.Constraint) -> None:
        if isinstance(thing, sa.CheckConstraint) or self.database.version < (18,) or thing.table is None:
            return
        virtual = (
            {one.name: one.computed for one in stands.columns.values() if one.persisted is False} if stands else {}
        )
        for new in thing.table.columns:
            if new.computed is not None and not self.database.column_spec(new).endswith(" STORED"):
                virtual[new.name] = self.database.rendered(new.computed.sqltext)
        named = names_in(
            self.database.wanted_index(thing) if isinstance(thing, sa.Index) else self.database.wanted_constraint(thing)
        )
        for column in (one for one in virtual if one in named):
            indexed = isinstance(thing, (sa.Index, sa.UniqueConstraint))
            expression = Code(f"[sa.text({f'({virtual[column]})'!r})]")
            unique = True if isinstance(thing, sa.UniqueConstraint) or getattr(thing, "unique", False) else None
            raise self.database.unsupported(
                f"{thing.name} over the virtual generated column {column}",
                "a stored column: this one is computed when it is read, and no table or index has its values",
                f"Make the column a stored one{', or index the expression that it is computed from:' if indexed else '.'}",
                call("create_index_if_missing", str(thing.name), thing.table.name, expression, unique=unique)
                if indexed
                else "",
            )

    def type_refusal(self, column: sa.Column[Any], stands: Table) -> str | None:
        name = str(column.name)
        # A foreign key is not checked again while its operator stays, and it stays where nothing is rewritten.
        scanned = [one for one in stands.having(name) if isinstance(one, Constraint) and one.kind == "check"]
        if scanned:
            return f"check {scanned[0].name} on the column is checked again on every row under an ACCESS EXCLUSIVE lock"
        try:
            rewrites = self.database.rewrites(stands, self.database.ddl.type_sql(Name(PROBE), column))
        except sa.exc.DBAPIError as error:
            if self.database.errors.is_lock_failure(error) or self.database.errors.is_cut_short(error):
                raise
            return f"PostgreSQL refuses it: {str(error.orig).splitlines()[0]}"
        return REWRITTEN if rewrites else self._refusal_below(column, stands)

    def _refusal_below(self, column: sa.Column[Any], stands: Table) -> str | None:
        """Say what a partition, or another table that inherits, has to be scanned or rewritten for."""
        for schema, table, _, check, has_indexes in self.read(BELOW, id=stands.id, column=str(column.name)):
            below = Name(table, schema)
            if check is not None:
                return f"check {check} of {below} is checked again on every row under an ACCESS EXCLUSIVE lock"
            if has_indexes and self.database.rewrites(
                Table(below, {}), self.database.ddl.type_sql(Name(PROBE), column)
            ):
                return f"PostgreSQL rebuilds an index of {below} under an ACCESS EXCLUSIVE lock"
        return None

    def type_refusal_back(self, column: sa.Column[Any], former: sa.Column[Any], stands: Table) -> str | None:
        statements = (self.database.ddl.type_sql(Name(PROBE), one) for one in (column, former))
        return REWRITTEN if self.database.rewrites(stands, *statements) else None

    def serial_as_identity(
        self, name: Name, column: str, identity: sa.Identity, stands: Table
    ) -> tuple[str, str] | None:
        return identity_of.serial_as_identity(self.database, name, column, identity, stands)

    def check_partition_keys(self, name: Name, stands: Table, wanted: sa.Index | sa.Constraint) -> None:
        if not stands.is_partitioned or not is_key(wanted):
            return
        if isinstance(wanted, ExcludeConstraint) and self.database.version < (17,):
            raise self.database.unsupported(
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


def _list(text: str | None) -> list[str]:
    found: list[str] = json.loads(text) if text else []
    return found
