"""What logical replication needs of a table: publications, and the replica identity by which subscribers find a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from safeops.databases import dependents
from safeops.databases.definitions import Published, Table
from safeops.errors import DependentObjects
from safeops.naming import Name, call

# An index of a partitioned table takes those of its partitions along; rows are found by the identity of their partition.
IDENTITIES = """
WITH RECURSIVE going AS (
  SELECT indexrelid AS id FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
  WHERE i.indrelid = :id AND r.relname = ANY (CAST(:indexes AS text[]))
  UNION SELECT h.inhrelid FROM pg_inherits h JOIN going ON h.inhparent = going.id),
lost AS (
  SELECT c.oid AS id, c.relname, n.nspname, r.relname AS index FROM going JOIN pg_index i ON i.indexrelid = going.id
  JOIN pg_class r ON r.oid = going.id JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND (c.relreplident = 'i' AND i.indisreplident OR c.relreplident = 'd' AND i.indisprimary)),
above AS (
  SELECT id AS leaf, id FROM lost UNION SELECT a.leaf, h.inhparent FROM above a JOIN pg_inherits h ON h.inhrelid = a.id),
published AS (
  SELECT DISTINCT a.leaf, p.pubname FROM above a
  JOIN pg_class c ON c.oid = a.id JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_publication_tables t ON t.tablename = c.relname AND t.schemaname = n.nspname
  JOIN pg_publication p ON p.pubname = t.pubname AND (p.pubupdate OR p.pubdelete))
SELECT l.nspname, l.relname, l.index, string_agg(DISTINCT p.pubname, ', ' ORDER BY p.pubname),
  (SELECT min(r.relname) FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
   WHERE i.indrelid = l.id AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
   AND i.indexrelid NOT IN (SELECT id FROM going) AND NOT EXISTS (
     SELECT FROM pg_attribute a WHERE a.attrelid = l.id AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull))
FROM lost l JOIN published p ON p.leaf = l.id GROUP BY l.id, l.nspname, l.relname, l.index ORDER BY 1, 2
"""

# The server refuses NULL in what finds a row.
NEEDED = """
WITH RECURSIVE tables AS (
  SELECT CAST(:id AS oid) AS id UNION SELECT h.inhrelid FROM pg_inherits h JOIN tables ON h.inhparent = tables.id)
SELECT n.nspname, c.relname, r.relname FROM tables JOIN pg_class c ON c.oid = tables.id
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indrelid = c.oid AND i.indisreplident
JOIN pg_class r ON r.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = :column
WHERE c.relreplident = 'i' AND a.attnum = ANY (i.indkey) ORDER BY 1, 2
"""

# A partition is sent as itself or as the whole. A list of columns (from PostgreSQL 15 on) does not grow with the table.
PUBLISHED = """
WITH RECURSIVE above AS (
  SELECT CAST(:id AS oid) AS id UNION SELECT h.inhparent FROM pg_inherits h JOIN above ON h.inhrelid = above.id),
below AS (SELECT CAST(:id AS oid) AS id UNION SELECT h.inhrelid FROM pg_inherits h JOIN below ON h.inhparent = below.id),
tables AS (SELECT id FROM above UNION SELECT id FROM below)
SELECT DISTINCT t.pubname, EXISTS (
  SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid IN (SELECT id FROM tables)
  AND to_jsonb(r) ->> 'prattrs' IS NOT NULL)
FROM tables JOIN pg_class c ON c.oid = tables.id JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_publication_tables t ON t.schemaname = n.nspname AND t.tablename = c.relname
JOIN pg_publication p ON p.pubname = t.pubname
ORDER BY 1
"""
ALL_TABLES = "SELECT pubname, false FROM pg_publication WHERE puballtables"
OF_SCHEMA = """ UNION SELECT p.pubname, false FROM pg_publication p JOIN pg_publication_namespace s ON s.pnpubid = p.oid
JOIN pg_namespace n ON n.oid = s.pnnspid WHERE n.nspname = coalesce(:schema, current_schema())"""
SLOTS = """SELECT slot_name FROM pg_replication_slots
WHERE database = current_database() AND plugin = 'pgoutput' AND NOT temporary ORDER BY 1"""


class Publishing(dependents.Dependents):
    """Says what a change would do to subscribers."""

    def check_identity(self, stands: Table, indexes: Sequence[str]) -> None:
        lost = self.read(IDENTITIES, id=stands.id, indexes=list(indexes)) if indexes else []
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
        )

    def check_takes_null(self, stands: Table, column: str) -> None:
        for schema, table, index in self.read(NEEDED, id=stands.id, column=column):
            name = Name(table, schema)
            raise DependentObjects(
                f"{stands.name}.{column} cannot take NULL: it is in index {index}, the replica identity of {name}.",
                why="Subscribers find a row by these columns, so the server refuses NULL in them.",
                remedy="Give the table another replica identity first:",
                code=call("op.execute", f"ALTER TABLE {self.quoted_table(name)} REPLICA IDENTITY FULL"),
            )

    def published(self, stands: Table) -> Published:
        return self._published(self.read(PUBLISHED, id=stands.id))

    def published_when_new(self, name: Name) -> Published:
        if self.database.version < (15,):
            return self._published(self.read(f"{ALL_TABLES} ORDER BY 1"))
        return self._published(self.read(f"{ALL_TABLES}{OF_SCHEMA} ORDER BY 1", schema=name.schema))

    def _published(self, rows: Sequence[Sequence[Any]]) -> Published:
        whole, listed = (tuple(row[0] for row in rows if row[1] is lists) for lists in (False, True))
        return Published(whole, tuple(row[0] for row in self.read(SLOTS)) if whole else (), listed)

    def _by(self, index: str | None) -> str:
        return "FULL" if index is None else f"USING INDEX {self.quoted(index)}"
