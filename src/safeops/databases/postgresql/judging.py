"""What PostgreSQL would rewrite or scan a table for. It is asked on an empty copy, because no rule of ours is as exact."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import DOMAIN

from safeops.databases.definitions import Constraint, Table, names_in
from safeops.databases.postgresql.domains import Domains
from safeops.databases.postgresql.scratch import PROBE
from safeops.naming import Code, Name, call

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


class Judging(Domains):
    """Says why a change would block a table that has rows."""

    def default_is_constant(self, column: sa.Column[Any]) -> bool:
        # What a domain checks, and its own default, only the server knows.
        return not isinstance(column.type, DOMAIN) and super().default_is_constant(column)

    def column_refusal(self, column: sa.Column[Any], stands: Table) -> str | None:
        own = column.identity is not None or column.computed is not None or column.server_default is not None
        domain = self.domain(column.type)
        if not (own or domain) or not self.adds_by_rewriting(stands, *self.adding(column)):
            return None
        if domain and domain.has_rules:
            return (
                f"{self.type_text(column.type)} is a domain with rules of its own, so PostgreSQL rewrites the whole table"
                " under an ACCESS EXCLUSIVE lock to check every row"
            )
        return (
            "its values differ from row to row, so PostgreSQL rewrites the whole table under an ACCESS EXCLUSIVE lock"
        )

    def check_virtual(self, stands: Table | None, thing: sa.Index | sa.Constraint) -> None:
        if isinstance(thing, sa.CheckConstraint) or self.version < (18,) or thing.table is None:
            return
        virtual = (
            {one.name: one.computed for one in stands.columns.values() if one.persisted is False} if stands else {}
        )
        for new in thing.table.columns:
            if new.computed is not None and not self.column_spec(new).endswith(" STORED"):
                virtual[new.name] = self.rendered(new.computed.sqltext)
        named = names_in(self.wanted_index(thing) if isinstance(thing, sa.Index) else self.wanted_constraint(thing))
        for column in (one for one in virtual if one in named):
            indexed = isinstance(thing, (sa.Index, sa.UniqueConstraint))
            expression = Code(f"[sa.text({f'({virtual[column]})'!r})]")
            unique = True if isinstance(thing, sa.UniqueConstraint) or getattr(thing, "unique", False) else None
            raise self.unsupported(
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
            rewrites = self.rewrites(stands, self.type_sql(Name(PROBE), column))
        except sa.exc.DBAPIError as error:
            if self.is_lock_failure(error) or self.is_cut_short(error):
                raise
            return f"PostgreSQL refuses it: {str(error.orig).splitlines()[0]}"
        return REWRITTEN if rewrites else self._refusal_below(column, stands)

    def _refusal_below(self, column: sa.Column[Any], stands: Table) -> str | None:
        """Say what a partition, or another table that inherits, has to be scanned or rewritten for."""
        for schema, table, _, check, has_indexes in self.read(BELOW, id=stands.id, column=str(column.name)):
            below = Name(table, schema)
            if check is not None:
                return f"check {check} of {below} is checked again on every row under an ACCESS EXCLUSIVE lock"
            if has_indexes and self.rewrites(Table(below, {}), self.type_sql(Name(PROBE), column)):
                return f"PostgreSQL rebuilds an index of {below} under an ACCESS EXCLUSIVE lock"
        return None

    def type_refusal_back(self, column: sa.Column[Any], former: sa.Column[Any], stands: Table) -> str | None:
        statements = (self.type_sql(Name(PROBE), one) for one in (column, former))
        return REWRITTEN if self.rewrites(stands, *statements) else None
