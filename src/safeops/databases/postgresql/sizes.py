"""How large tables are, as PostgreSQL tells it; and how its statements lock."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from safeops.databases import sizes
from safeops.databases.steps import Step
from safeops.naming import Name
from safeops.planned import ALL, BRIEFLY, FREE, NOTHING, WRITES, Lock

ACCESS_EXCLUSIVE = Lock("ACCESS EXCLUSIVE", ALL, BRIEFLY)
SHARE_ROW_EXCLUSIVE = Lock("SHARE ROW EXCLUSIVE", WRITES, BRIEFLY)
SHARE = Lock("SHARE", WRITES, BRIEFLY)
SHARE_UPDATE_EXCLUSIVE = Lock("SHARE UPDATE EXCLUSIVE", NOTHING)


PARTITIONS = """SELECT n.nspname, c.relname FROM pg_partition_tree(to_regclass(:table)) p
    JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.level > 0 ORDER BY 1, 2"""


class Sizes(sizes.Sizes):
    """Asks PostgreSQL."""

    strongest_lock = ACCESS_EXCLUSIVE

    def bytes_of(self, archive: Name) -> int | None:
        size: Any = self.scalar(f"SELECT pg_total_relation_size({self.database.ddl.regclass(archive)})")
        return None if size is None else int(size)

    def estimated_rows(self, table: Name) -> int | None:
        # The planner counts the pages that the table has now, where the catalogue may know of none.
        plan = self.scalar(f"EXPLAIN SELECT 1 FROM {self.quoted_table(table)}")
        rows = re.search(r"rows=(\d+)", str(plan))
        return int(rows[1]) if rows else None

    def partitions_locked(self, step: Step) -> tuple[Name, ...]:
        tables = () if step.only or step.lock is FREE else step.locks
        rows = [row for table in tables for row in self.read(PARTITIONS, table=self.quoted_table(table))]
        return tuple(Name(name, schema) for schema, name in rows)

    def planned_rows(self, table: Name, condition: str, columns: Sequence[str], whole: int) -> int | None:
        sql = """SELECT count(DISTINCT attname) FROM pg_stats WHERE tablename = :table
            AND CASE WHEN :schema = '' THEN schemaname = ANY (current_schemas(false)) ELSE schemaname = :schema END
            AND attname = ANY (:columns)"""
        known = self.scalar(sql, table=table.name, schema=table.schema or "", columns=list(columns))
        if known < len(columns):
            # Of a column that it knows nothing of, as one that is new, the planner takes one row in 200 to be NULL.
            return whole
        plan = self.scalar(f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {self.quoted_table(table)} WHERE {condition}")
        return int((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]["Plan Rows"])

    def bytes_of_database(self) -> int | None:
        return int(self.scalar("SELECT pg_database_size(current_database())"))
