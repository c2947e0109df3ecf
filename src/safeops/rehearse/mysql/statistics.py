"""What MariaDB and MySQL know of the values in their tables."""

from __future__ import annotations

from safeops.databases.definitions import Table
from safeops.naming import Name
from safeops.rehearse import shapes

NAMES = """
SELECT TABLE_NAME FROM information_schema.TABLES
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME
"""


class Statistics(shapes.Statistics):
    """The rows as the storage engine estimates them; the distributions are counted in a few thousand rows."""

    length = "octet_length"

    def names(self) -> list[Name]:
        return [Name(row[0]) for row in self.read(NAMES)]

    def rows_of(self, table: Table) -> int:
        return self.database.sizes.rows_of(table.name) or 0

    def as_text(self, column: str) -> str:
        return column
