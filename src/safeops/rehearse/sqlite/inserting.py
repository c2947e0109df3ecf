"""What an insert of many rows needs on SQLite."""

from __future__ import annotations

from collections.abc import Sequence

from safeops.databases.definitions import Table
from safeops.naming import Name
from safeops.rehearse import inserting

TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(:name) ORDER BY name"


class Inserts(inserting.Inserts):
    """Foreign keys are not checked: the values of the rows that they refer to are known beforehand."""

    batch = 1_000_000

    def begin(self) -> None:
        self.run("PRAGMA foreign_keys = OFF")

    def firing(self, table: Name) -> list[str]:
        found = self.read(TRIGGERS, name=table.name)
        return [name for name, sql in found if " INSERT " in f" {' '.join(sql.upper().split())} "]

    def analyze(self, tables: Sequence[Table]) -> None:
        self.run("ANALYZE")
