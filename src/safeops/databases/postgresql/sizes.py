"""How large tables are, as PostgreSQL tells it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from safeops.databases import sizes
from safeops.databases.sizes import NOTHING
from safeops.databases.steps import Step
from safeops.naming import Name

# https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
BRIEFLY = "reads and writes, briefly"

MODES = (
    (r"\bALTER TABLE\b(?![^;]*\b(ADD\b[^;]*\bFOREIGN KEY|VALIDATE CONSTRAINT)\b)", "ACCESS EXCLUSIVE", BRIEFLY),
    (r"\bDROP (TABLE|VIEW|TRIGGER|SCHEMA)\b|\bDROP INDEX (?!CONCURRENTLY)", "ACCESS EXCLUSIVE", BRIEFLY),
    (r"\bFOREIGN KEY\b|\bCREATE (OR REPLACE )?(CONSTRAINT )?TRIGGER\b", "SHARE ROW EXCLUSIVE", "writes, briefly"),
    (r"\bLOCK TABLE .* SHARE ROW EXCLUSIVE\b", "SHARE ROW EXCLUSIVE", "writes, briefly"),
    (r"\bINDEX CONCURRENTLY\b|\bVALIDATE CONSTRAINT\b|\bATTACH PARTITION\b", "SHARE UPDATE EXCLUSIVE", NOTHING),
    (r"\bCOMMENT ON (TABLE|COLUMN|INDEX)\b", "SHARE UPDATE EXCLUSIVE", NOTHING),
    (r"^(UPDATE|INSERT|DELETE)\b", "the rows of a batch", "writes to those rows"),
)


class Sizes(sizes.Sizes):
    """Asks PostgreSQL."""

    def bytes_of(self, archive: Name) -> int | None:
        size: Any = self.scalar(f"SELECT pg_total_relation_size({self.database.ddl.regclass(archive)})")
        return None if size is None else int(size)

    def estimated_rows(self, table: Name) -> int | None:
        # The planner counts the pages that the table has now, where the catalogue may know of none.
        plan = self.scalar(f"EXPLAIN SELECT 1 FROM {self.quoted_table(table)}")
        rows = re.search(r"rows=(\d+)", str(plan))
        return int(rows[1]) if rows else None

    def locking_of(self, step: Step) -> tuple[str | None, str]:
        statements = [" ".join(sql.split()) for sql in (step.sql, *step.then)]
        for pattern, mode, blocks in MODES:
            if any(re.search(pattern, sql, re.IGNORECASE) for sql in statements):
                return mode, blocks
        return None, NOTHING

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
