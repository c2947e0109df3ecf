"""What an insert of many rows needs on MariaDB and MySQL."""

from __future__ import annotations

from collections.abc import Sequence

from safeops.databases.definitions import Table
from safeops.naming import Name
from safeops.rehearse import inserting

TRIGGERS = """
SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = DATABASE() AND EVENT_OBJECT_TABLE = :name
AND EVENT_MANIPULATION = 'INSERT' ORDER BY 1
"""
COLUMN_CHECKS = """
SELECT CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = DATABASE() AND TABLE_NAME = :name AND LEVEL = 'Column' ORDER BY 1
"""
PARTITIONS = """
SELECT PARTITION_METHOD, PARTITION_EXPRESSION, PARTITION_DESCRIPTION FROM information_schema.PARTITIONS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :name AND PARTITION_METHOD IS NOT NULL ORDER BY PARTITION_ORDINAL_POSITION
"""


class Inserts(inserting.Inserts):
    """Foreign keys are not checked: the values of the rows that they refer to are known beforehand."""

    def begin(self) -> None:
        self.run("SET SESSION foreign_key_checks = 0")
        self.run("SET SESSION time_zone = '+00:00'")

    def checks(self, table: Table) -> dict[str, str]:
        found = self.read(PARTITIONS, name=table.name.name)
        if not found or found[-1][2] in (None, "MAXVALUE"):
            return {}
        method, expression = found[0][0].split()[0].upper(), found[0][1]
        if method == "RANGE":
            return {"the bounds of a partition": f"({expression}) < ({found[-1][2]})"}
        listed = ", ".join(str(row[2]) for row in found)
        return {"the values of a partition": f"({expression}) IN ({listed})"} if method == "LIST" else {}

    def firing(self, table: Name) -> list[str]:
        return [row[0] for row in self.read(TRIGGERS, name=table.name)]

    def end(self, tables: Sequence[Table]) -> None:
        self.run("SET SESSION foreign_key_checks = 1")

    def analyze(self, tables: Sequence[Table]) -> None:
        for table in tables:
            self.read(f"ANALYZE TABLE {self.quoted_table(table.name)}")


class MariaDBInserts(Inserts):
    """MariaDB keeps the check of a column apart from those of the table."""

    def checks(self, table: Table) -> dict[str, str]:
        found = self.read(COLUMN_CHECKS, name=table.name.name)
        return {**super().checks(table), **{f"the check {name} of a column": clause for name, clause in found}}
