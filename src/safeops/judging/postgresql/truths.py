"""The truths about PostgreSQL: each operation with its locks and the work under them.

The first truth whose traits fit an operation applies. An effect on a table that the operation does not name is ignored.
"""

from __future__ import annotations

from safeops.judging import operations as op
from safeops.judging.truths import BUILD, CATALOGUE, NO_WORK, REWRITE, ROWS, SCAN, Effect, Truth, Version

LOCKS = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
"""Table locks, weakest first."""
AS, RS, RE, SUE, S, SRE, E, AE = LOCKS
BLOCKS = {**dict.fromkeys((S, SRE, E), "writes"), AE: "reads and writes"}
SERVERS = ("14", "15", "18", "19")
"""The servers on which the truths were measured, with the examples of tests/review/postgresql_examples.py."""
DOCUMENTED = "https://www.postgresql.org/docs/current/explicit-locking.html"


def truth(
    kind: str,
    *effects: tuple[str, str, str],
    when: str = "",
    unless: str = "",
    why: str = "",
    rule: str = "",
    since: Version = (),
    before: Version = (),
    source: str = "",
    servers: tuple[str, ...] = SERVERS,
) -> Truth:
    """Return a truth, from traits separated by commas; without a source it was measured on each of its servers."""
    made = tuple(Effect(*effect) for effect in effects)
    measured = () if source else tuple(each for each in servers if _holds_on((int(each),), since, before))
    return Truth(kind, made, _words(when), _words(unless), frozenset(), since, before, why, measured, source, rule)


def _holds_on(version: Version, since: Version, before: Version) -> bool:
    return version >= since and (not before or version < before)


def _words(listed: str) -> frozenset[str]:
    return frozenset(word.strip() for word in listed.split(",") if word.strip())


def on(lock: str, work: str = CATALOGUE, where: str = "table") -> tuple[str, str, str]:
    return where, lock, work


REFERENT = on(SRE, CATALOGUE, "other")
READ = on(AS, SCAN, "other")
_STORED = "each row stores its own value"
_KEPT = "LOCK TABLE holds it until the transaction ends"
_CHECKED = "every row is checked before the constraint is accepted"

# fmt: off
COLUMNS = (
    truth(op.ADD_COLUMN, on(AE), when="if exists, already", why="the column already exists"),
    truth(op.ADD_COLUMN, on(AE, REWRITE), REFERENT, when="volatile default", rule="column-rewrites",
          why="the default differs from row to row"),
    truth(op.ADD_COLUMN, on(AE, REWRITE), REFERENT, when="identity", rule="column-rewrites", why=_STORED),
    truth(op.ADD_COLUMN, on(AE, REWRITE), REFERENT, when="serial", rule="column-rewrites", why=_STORED),
    truth(op.ADD_COLUMN, on(AE, REWRITE), REFERENT, when="stored", rule="column-rewrites", why=_STORED),
    truth(op.ADD_COLUMN, on(AE, REWRITE), REFERENT, when="checked domain", rule="column-rewrites",
          why="for a domain with constraints PostgreSQL rewrites every row to check them, even if all values are NULL"),
    truth(op.ADD_COLUMN, on(AE, BUILD), REFERENT, when="inline unique", rule="key-builds",
          why="the index of the key is built under the lock of ADD COLUMN"),
    truth(op.ADD_COLUMN, on(AE, SCAN), REFERENT, when="inline check", unless="not enforced", rule="column-scans",
          why=_CHECKED),
    truth(op.ADD_COLUMN, on(AE, SCAN), REFERENT, when="inline references, constant default", rule="column-scans",
          why="a new column with a default has a value in each row, which is looked up in the other table"),
    truth(op.ADD_COLUMN, on(AE, SCAN), when="virtual, not null", since=(18,), rule="column-scans", why=_CHECKED),
    truth(op.ADD_COLUMN, on(AE), REFERENT, when="inline references",
          why="a new column without a default is NULL in each row, so nothing is looked up"),
    truth(op.ADD_COLUMN, on(AE), when="virtual", since=(18,), why="its values are computed when they are read"),
    truth(op.ADD_COLUMN, on(AE), when="constant default", why="the default is stored once, in the catalogue"),
    truth(op.ADD_COLUMN, on(AE)),
    truth(op.DROP_COLUMN, on(AE), rule="drop-column", why="the column is only hidden, but queries that name it fail"),
    truth(op.RENAME_COLUMN, on(AE), rule="rename-column", why="queries that use the old name fail"),
    truth(op.SET_NOT_NULL, on(AE), when="already", why="the column is already NOT NULL"),
    truth(op.SET_NOT_NULL, on(AE), when="proven not null", why="a valid CHECK proves that no row is NULL"),
    truth(op.SET_NOT_NULL, on(AE, SCAN), rule="not-null-scans", why="every row is checked"),
    truth(op.DROP_NOT_NULL, on(AE)),
    truth(op.SET_DEFAULT, on(AE), why="existing rows keep their values"),
    truth(op.DROP_DEFAULT, on(AE)),
)
TYPES = (
    truth(op.CHANGE_TYPE, on(AE, SCAN), when="already, checked", unless="using", rule="type-rewrites",
          why="a CHECK of the column is verified again for every row"),
    truth(op.CHANGE_TYPE, on(AE), when="already", unless="using", why="the column already has the type"),
    truth(op.CHANGE_TYPE, on(AE, BUILD), when="widens, rebuilds index", unless="using", rule="type-rewrites",
          why="the rows are unchanged, but the indexes of the column are rebuilt"),
    truth(op.CHANGE_TYPE, on(AE, SCAN), when="widens, checked", unless="using", rule="type-rewrites",
          why="the rows are unchanged, but a CHECK of the column is verified again for every row"),
    truth(op.CHANGE_TYPE, on(AE), when="widens", unless="using", why="both types are stored in the same way"),
    truth(op.CHANGE_TYPE, on(AE, REWRITE), rule="type-rewrites",
          why="the types are stored differently, and every index is rebuilt too"),
)
CONSTRAINTS = (
    truth(op.ADD_CHECK, on(AE), when="not enforced", since=(18,), why="nothing is checked"),
    truth(op.ADD_CHECK, on(AE), when="not valid", why="existing rows are not checked"),
    truth(op.ADD_CHECK, on(AE, SCAN), rule="check-scans", why=_CHECKED),
    truth(op.ADD_FOREIGN_KEY, on(SRE), REFERENT, when="inline"),
    truth(op.ADD_FOREIGN_KEY, on(SRE), REFERENT, when="new table"),
    truth(op.ADD_FOREIGN_KEY, on(SRE), REFERENT, when="empty table"),
    truth(op.ADD_FOREIGN_KEY, on(SRE), REFERENT, when="not enforced", since=(18,), why="nothing is checked"),
    truth(op.ADD_FOREIGN_KEY, on(SRE), REFERENT, when="not valid", why="existing rows are not checked"),
    truth(op.ADD_FOREIGN_KEY, on(SRE, SCAN), REFERENT, rule="foreign-key-scans",
          why="every row is looked up in the other table, and writes to both tables are blocked"),
    truth(op.ADD_UNIQUE, on(AE), when="using index", why="the index already exists"),
    truth(op.ADD_UNIQUE, on(AE, BUILD), rule="key-builds", why="its index is built under the lock of ALTER TABLE"),
    truth(op.ADD_PRIMARY_KEY, on(AE), when="using index, proven not null", why="the index already exists"),
    truth(op.ADD_PRIMARY_KEY, on(AE, SCAN), when="using index", rule="not-null-scans",
          why="its columns become NOT NULL, so every row is checked"),
    truth(op.ADD_PRIMARY_KEY, on(AE, BUILD), rule="key-builds", why="its index is built under the lock of ALTER TABLE"),
    truth(op.ADD_EXCLUSION, on(AE, BUILD), rule="key-builds", why="its index is built under the lock of ALTER TABLE"),
    truth(op.ADD_NOT_NULL_CONSTRAINT, on(AE), when="not valid", since=(18,), why="existing rows are not checked"),
    truth(op.ADD_NOT_NULL_CONSTRAINT, on(AE), when="proven not null", since=(18,),
          why="a valid CHECK proves that no row is NULL"),
    truth(op.ADD_NOT_NULL_CONSTRAINT, on(AE, SCAN), rule="not-null-scans", since=(18,), why=_CHECKED),
    truth(op.VALIDATE_CONSTRAINT, on(SUE), when="already", why="the constraint is already valid"),
    truth(op.VALIDATE_CONSTRAINT, on(SUE, SCAN), on(RS, CATALOGUE, "other"),
          why="reads and writes are not blocked while the rows are checked"),
    truth(op.DROP_CONSTRAINT, on(AE), on(AE, CATALOGUE, "other")),
    truth(op.RENAME_CONSTRAINT, on(AE)),
)
INDEXES = (
    truth(op.CREATE_INDEX, on(S), when="if exists, already", unless="concurrently", why="the index already exists"),
    truth(op.CREATE_INDEX, on(SUE), when="if exists, already, concurrently", why="the index already exists"),
    truth(op.CREATE_INDEX, on(SUE, BUILD), when="concurrently", why="reads and writes are not blocked during the build"),
    truth(op.CREATE_INDEX, on(S), when="only, partitioned", why="only the empty index of the parent is created"),
    truth(op.CREATE_INDEX, on(S, BUILD), rule="index-blocks-writes",
          why="without CONCURRENTLY the lock is held during the whole build"),
    truth(op.DROP_INDEX, on(SUE), when="concurrently", why="reads and writes are not blocked"),
    truth(op.DROP_INDEX, on(AE)),
    truth(op.RENAME_INDEX, on(SUE, CATALOGUE, "index")),
    truth(op.REINDEX, on(AE, REWRITE, "index"), when="tablespace", rule="table-rewrites",
          why="the index is copied while it is locked", servers=SERVERS[1:]),
    truth(op.REINDEX, on(SUE, BUILD), when="concurrently", why="reads and writes are not blocked during the build"),
    truth(op.REINDEX, on(S, BUILD), on(AE, BUILD, "index"), rule="index-blocks-writes",
          why="without CONCURRENTLY the locks on the table and the index are held during the whole build"),
)
PARTITIONS = (
    truth(op.ATTACH_PARTITION, on(AE), on(AE, CATALOGUE, "default partition"), when="inline, default excludes"),
    truth(op.ATTACH_PARTITION, on(AE), on(AE, SCAN, "default partition"), when="inline", rule="partition-scans",
          why="the rows of the default partition are searched for rows of the new one"),
    truth(op.ATTACH_PARTITION, on(SUE), on(AE, BUILD, "other"), on(AE, CATALOGUE, "default partition"),
          when="builds index, default excludes", rule="partition-scans",
          why="the new partition lacks an index of its parent, which is built under the lock"),
    truth(op.ATTACH_PARTITION, on(SUE), on(AE, BUILD, "other"), on(AE, SCAN, "default partition"),
          when="builds index", rule="partition-scans",
          why="the new partition lacks an index of its parent, which is built under the lock"),
    truth(op.ATTACH_PARTITION, on(SUE), on(AE, CATALOGUE, "other"), on(AE, CATALOGUE, "default partition"),
          when="bounds proven, default excludes", why="valid CHECKs prove the bounds, so no row is read"),
    truth(op.ATTACH_PARTITION, on(SUE), on(AE, CATALOGUE, "other"), on(AE, SCAN, "default partition"),
          when="bounds proven", rule="partition-scans",
          why="the rows of the default partition are searched for rows of the new one"),
    truth(op.ATTACH_PARTITION, on(SUE), on(AE, SCAN, "other"), on(AE, CATALOGUE, "default partition"),
          when="default excludes", rule="partition-scans",
          why="every row of the new partition is compared with its bounds"),
    truth(op.ATTACH_PARTITION, on(SUE), on(AE, SCAN, "other"), on(AE, SCAN, "default partition"), rule="partition-scans",
          why="every row of the new partition is compared with its bounds"),
    truth(op.DETACH_PARTITION, on(SUE), on(AE, CATALOGUE, "other"), when="concurrently"),
    truth(op.DETACH_PARTITION, on(SUE), on(AE, CATALOGUE, "other"), when="FINALIZE", source=DOCUMENTED),
    truth(op.DETACH_PARTITION, on(AE), on(AE, CATALOGUE, "other"), on(AE, CATALOGUE, "default partition")),
)
REWRITES = (
    truth(op.REWRITE_TABLE, on(AE), when="already", why="the table already has this setting"),
    truth(op.REWRITE_TABLE, on(AE), when="expression, virtual", since=(18,),
          why="its values are computed when they are read"),
    truth(op.REWRITE_TABLE, on(AE), when="partitioned, tablespace", servers=SERVERS[1:],
          why="a partitioned table itself stores no rows"),
    truth(op.REWRITE_TABLE, on(AE, REWRITE), rule="table-rewrites", why="the table is copied while it is locked"),
    truth(op.CLUSTER, on(AE, REWRITE), rule="table-rewrites", why="the table is copied while it is locked"),
    truth(op.VACUUM, on(AE, REWRITE), when="full", rule="table-rewrites", why="the table is copied while it is locked"),
    truth(op.VACUUM, on(SUE, SCAN)),
    truth(op.ANALYZE, on(SUE, NO_WORK), why="it reads a sample of the rows"),
    truth(op.REFRESH_VIEW, on(AE), when="no data"),
    truth(op.REFRESH_VIEW, on(E, NO_WORK), on(AS, SCAN, "sources"), when="concurrently",
          why="reads of the view are not blocked"),
    truth(op.REFRESH_VIEW, on(AE, REWRITE), on(AS, SCAN, "sources"), rule="table-rewrites",
          why="without CONCURRENTLY the view cannot be read until it is filled"),
)
TABLES = (
    truth(op.CREATE_TABLE),
    truth(op.DROP_TABLE, on(AE), on(AE, CATALOGUE, "referents"), on(AE, CATALOGUE, "parent"),
          on(AE, CATALOGUE, "default partition"), rule="drop-table", why="queries that use the table fail"),
    truth(op.DROP_SCHEMA, on(AE), rule="drop-table", why="all tables of the schema are dropped", source=DOCUMENTED),
    truth(op.RENAME_TABLE, on(AE), rule="rename-table", why="queries that use the old name fail"),
    truth(op.TRUNCATE, on(AE), rule="truncate", why="the rows are permanently deleted"),
    truth(op.ALTER_TABLE, on(SUE), when="statistics"),
    truth(op.ALTER_TABLE, on(SUE), when="column option"),
    truth(op.ALTER_TABLE, on(SUE), when="storage option"),
    truth(op.ALTER_TABLE, on(SUE), when="cluster option"),
    truth(op.ALTER_TABLE, on(SRE), when="trigger", unless="drop, rename"),
    truth(op.ALTER_TABLE, on(AE), on(SUE, CATALOGUE, "other"), when="inherit"),
    truth(op.ALTER_TABLE, on(SUE), when="inherited by"),
    truth(op.ALTER_TABLE, on(SUE, CATALOGUE, "index"), when="index option"),
    truth(op.ALTER_TABLE, on(AS), when="attach index"),
    truth(op.ALTER_TABLE, on(AE, SCAN), on(AE, CATALOGUE, "other"), when="constraint option, enforced", since=(18,),
          rule="foreign-key-scans", why=_CHECKED),
    truth(op.ALTER_TABLE, on(AE), on(AE, CATALOGUE, "other"), when="constraint option, not enforced", since=(18,)),
    truth(op.ROW_LEVEL_SECURITY, on(AE), rule="row-level-security",
          why="roles that do not own the table see no rows until a policy allows it"),
    truth(op.ALTER_TABLE, on(AE)),
    truth(op.CREATE_TRIGGER, on(SRE)),
    truth(op.DROP_TRIGGER, on(AE)),
    truth(op.COMMENT, on(SUE, CATALOGUE, "index"), when="on index"),
    truth(op.COMMENT, on(SUE)),
    truth(op.LOCK_TABLE, on(AE, NO_WORK), when="mode access exclusive", why=_KEPT),
    truth(op.LOCK_TABLE, on(E, NO_WORK), when="mode exclusive", why=_KEPT),
    truth(op.LOCK_TABLE, on(SRE, NO_WORK), when="mode share row exclusive", why=_KEPT),
    truth(op.LOCK_TABLE, on(S, NO_WORK), when="mode share", why=_KEPT),
    truth(op.LOCK_TABLE, on(SUE, NO_WORK), when="mode share update exclusive"),
    truth(op.LOCK_TABLE, on(RE, NO_WORK), when="mode row exclusive"),
    truth(op.LOCK_TABLE, on(RS, NO_WORK), when="mode row share"),
    truth(op.LOCK_TABLE, on(AS, NO_WORK), when="mode access share"),
)
OBJECTS = (
    truth(op.CREATE_TYPE),
    truth(op.RENAME_ENUM_VALUE, rule="rename-enum-value", why="queries that use the old value fail"),
    truth(op.ALTER_TYPE, when="domain add constraint, not valid"),
    truth(op.ALTER_TYPE, on(S, SCAN, "tables of the type"), when="domain add constraint", rule="check-scans",
          why="every row of each table that uses the domain is checked"),
    truth(op.ALTER_TYPE, on(S, SCAN, "tables of the type"), when="domain set not null", rule="not-null-scans",
          why="every row of each table that uses the domain is checked"),
    truth(op.ALTER_TYPE, on(S, SCAN, "tables of the type"), when="domain validate constraint", rule="check-scans",
          why="every row of each table that uses the domain is checked"),
    truth(op.ALTER_TYPE),
    truth(op.DROP_TYPE, on(AE, CATALOGUE, "tables of the type"), when="cascade"),
    truth(op.DROP_TYPE),
    truth(op.CREATE_VIEW, on(AE), when="replace, already"),
    truth(op.CREATE_VIEW),
    truth(op.DROP_VIEW, on(AE), rule="drop-table", why="queries that use the view fail"),
    truth(op.GRANT),
    truth(op.REVOKE, rule="revoke", why="queries that need the privilege fail"),
    truth(op.OTHER, source=DOCUMENTED),
    truth(op.SET_SESSION),
    truth(op.BEGIN, source=DOCUMENTED),
    truth(op.COMMIT, source=DOCUMENTED),
    truth(op.ROLLBACK, source=DOCUMENTED),
    truth(op.SAVEPOINT),
)
QUERIES = (
    truth(op.SELECT, on(AS), when="planned only"),
    truth(op.SELECT, on(RS, ROWS), when="for update", rule="locks-rows",
          why="each row that it reads is locked until the transaction ends"),
    truth(op.SELECT, on(AS, NO_WORK), when="by key"),
    truth(op.SELECT, on(AS, NO_WORK), when="end of key"),
    truth(op.SELECT, on(AS, SCAN)),
    truth(op.INSERT, on(RE, ROWS), READ, when="on conflict update", rule="mass-update",
          why="each row that it updates is locked until the transaction ends"),
    truth(op.INSERT, on(RE, NO_WORK), READ, why="new rows block no other session"),
    truth(op.UPDATE, on(RE, ROWS), READ, rule="mass-update",
          why="each row that it changes is locked until the transaction ends"),
    truth(op.DELETE, on(RE, ROWS), READ, rule="mass-update",
          why="each row that it deletes is locked until the transaction ends"),
    truth(op.MERGE, on(RE, ROWS), READ, rule="mass-update", since=(15,),
          why="each row that it changes is locked until the transaction ends"),
)
# fmt: on
TRUTHS = (
    *COLUMNS,
    *TYPES,
    *CONSTRAINTS,
    *INDEXES,
    *PARTITIONS,
    *REWRITES,
    *TABLES,
    *OBJECTS,
    *QUERIES,
)
