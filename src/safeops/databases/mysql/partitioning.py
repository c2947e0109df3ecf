"""What MariaDB and MySQL ask of the keys of partitioned tables.

https://dev.mysql.com/doc/refman/9.7/en/partitioning-limitations-partitioning-keys-unique-keys.html
"""

from __future__ import annotations

import sqlalchemy as sa

from safeops.databases import safety
from safeops.databases.definitions import Table
from safeops.databases.mysql import showcreate
from safeops.databases.mysql.spelling import names
from safeops.databases.partition_keys import equal_columns, is_key, lacking
from safeops.naming import Name

_KEYS = """SELECT DISTINCT PARTITION_METHOD, PARTITION_EXPRESSION, SUBPARTITION_METHOD, SUBPARTITION_EXPRESSION
    FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = :schema AND TABLE_NAME = :name"""


class Partitioning(safety.Safety):
    """Keys and partitions."""

    def check_partition_keys(self, name: Name, stands: Table, wanted: sa.Index | sa.Constraint) -> None:
        if not showcreate.read(stands.sql).is_partitioned:
            return
        if isinstance(wanted, sa.ForeignKeyConstraint):
            raise self.database.unsupported(
                f"Foreign key {wanted.name}, while {name} is partitioned,",
                f"PostgreSQL: {self.product} has no foreign keys of or to partitioned tables",
                "Leave the key out, or use tables that are not partitioned.",
            )
        if is_key(wanted):
            columns = equal_columns(wanted)
            has = {one.casefold() for one in columns}
            missing = [one for one in self.partition_columns(stands) if one.casefold() not in has]
            if missing:
                raise lacking(self.product, name, wanted, columns, missing)

    def partition_columns(self, stands: Table) -> list[str]:
        """Return the columns that decide in which partition a row is kept."""
        if not showcreate.read(stands.sql).is_partitioned:
            return []
        rows = self.read(_KEYS, schema=stands.name.schema, name=stands.name.name)
        keys = {(method, key or "") for row in rows for method, key in (row[:2], row[2:]) if method}
        # KEY () names no column: it takes the primary key.
        by_primary = any(method.endswith("KEY") and not key for method, key in keys)
        used = [one for one in stands.columns if any(names(key, one) for _, key in keys)]
        return [*used, *(one for one in stands.primary_key if by_primary and one not in used)]
