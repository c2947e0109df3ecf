"""What logical replication sends of a table, by the catalogue."""

# An index of a partitioned table takes those of its partitions along; rows are found by the identity of their partition.
LOST_REPLICA_IDENTITIES = """
WITH RECURSIVE dropped AS (
  SELECT indexrelid AS id FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
  WHERE i.indrelid = :id AND r.relname = ANY (CAST(:indexes AS text[]))
  UNION SELECT h.inhrelid FROM pg_inherits h JOIN dropped ON h.inhparent = dropped.id),
lost AS (
  SELECT c.oid AS id, c.relname, n.nspname, r.relname AS index FROM dropped JOIN pg_index i ON i.indexrelid = dropped.id
  JOIN pg_class r ON r.oid = dropped.id JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
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
   AND i.indexrelid NOT IN (SELECT id FROM dropped) AND NOT EXISTS (
     SELECT FROM pg_attribute a WHERE a.attrelid = l.id AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull))
FROM lost l JOIN published p ON p.leaf = l.id GROUP BY l.id, l.nspname, l.relname, l.index ORDER BY 1, 2
"""

# The server refuses NULL in what finds a row.
REPLICA_IDENTITIES_USING = """
WITH RECURSIVE tables AS (
  SELECT CAST(:id AS oid) AS id UNION SELECT h.inhrelid FROM pg_inherits h JOIN tables ON h.inhparent = tables.id)
SELECT n.nspname, c.relname, r.relname FROM tables JOIN pg_class c ON c.oid = tables.id
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indrelid = c.oid AND i.indisreplident
JOIN pg_class r ON r.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = :column
WHERE c.relreplident = 'i' AND a.attnum = ANY (i.indkey) ORDER BY 1, 2
"""

# A partition is sent as itself or as the whole. A list of columns (from PostgreSQL 15 on) does not grow with the table.
PUBLICATIONS = """
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
PUBLICATIONS_OF_ALL = "SELECT pubname, false FROM pg_publication WHERE puballtables"
PUBLICATIONS_OF_SCHEMA = """ UNION SELECT p.pubname, false FROM pg_publication p
JOIN pg_publication_namespace s ON s.pnpubid = p.oid
JOIN pg_namespace n ON n.oid = s.pnnspid WHERE n.nspname = coalesce(:schema, current_schema())"""
REPLICATION_SLOTS = """SELECT slot_name FROM pg_replication_slots
WHERE database = current_database() AND plugin = 'pgoutput' AND NOT temporary ORDER BY 1"""
