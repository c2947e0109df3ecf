"""How large tables are, as MariaDB and MySQL tell it; and how their statements lock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from safeops.databases import sizes
from safeops.naming import Name
from safeops.planned import ALL, BRIEFLY, LONG, ROWS, WRITES, Lock

METADATA = Lock("the metadata of the table", ALL, BRIEFLY)
INSTANT = Lock("ALGORITHM=INSTANT", ALL, BRIEFLY)
ONLINE = Lock("ALGORITHM=INPLACE, LOCK=NONE", ALL, "briefly at its start and end")
COPY = Lock("the table, which is copied", WRITES, LONG)
BATCH = Lock("the rows of a batch", ROWS)


class Sizes(sizes.Sizes):
    """Asks MariaDB and MySQL."""

    strongest_lock = METADATA

    def estimated_rows(self, table: Name) -> int | None:
        return self.planned_rows(table, "TRUE", (), 0)

    def bytes_of(self, table: Name) -> int | None:
        sql = """SELECT DATA_LENGTH + INDEX_LENGTH FROM information_schema.TABLES
            WHERE TABLE_SCHEMA = :schema AND TABLE_NAME = :name"""
        found: Any = self.scalar(sql, schema=table.schema or self.database.current_schema, name=table.name)
        return None if found is None else int(found)

    def explain(self, sql: str) -> None:
        # Of a session that is to read only the server does not plan an UPDATE either.
        with self.database.trying_out():
            super().explain(sql)

    def planned_rows(self, table: Name, condition: str, columns: Sequence[str], whole: int) -> int | None:
        plan = self.read(
            f"{self.database.abilities.explaining} SELECT 1 FROM {self.quoted_table(table)} WHERE {condition}"
        )
        found = plan[0]._mapping if plan else {}  # type: ignore[attr-defined]
        if found.get("rows") is None:
            return None
        return int(float(found["rows"]) * float(found.get("filtered") or 100) / 100)

    def bytes_of_database(self) -> int | None:
        sql = "SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
        return int(self.scalar(sql) or 0)
