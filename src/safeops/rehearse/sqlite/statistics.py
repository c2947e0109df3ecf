"""What is known of the values in tables of SQLite, which keeps hardly any statistics."""

from __future__ import annotations

from safeops.databases.definitions import Table
from safeops.naming import Name
from safeops.rehearse import shapes

NAMES = r"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name"


class Statistics(shapes.Statistics):
    """Rows are counted, which reads an index; the distributions are counted in a few thousand rows."""

    def names(self) -> list[Name]:
        return [Name(row[0]) for row in self.read(NAMES)]

    def rows_of(self, table: Table) -> int:
        return int(self.scalar(f"SELECT count(*) FROM {self.quoted_table(table.name)}"))

    def as_text(self, column: str) -> str:
        return f"CAST({column} AS text)"
