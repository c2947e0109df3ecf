"""How large tables are, as SQLite tells it; and how its statements lock."""

from __future__ import annotations

from safeops.databases import sizes
from safeops.databases.steps import Step
from safeops.naming import Name
from safeops.planned import BRIEFLY, WRITES, Lock

COUNTED_BYTES = 1 << 28
"""The size of a file in whose tables rows are still counted."""


class Sizes(sizes.Sizes):
    """Asks SQLite."""

    strongest_lock = Lock("the file", WRITES, BRIEFLY)

    def estimated_rows(self, table: Name) -> int | None:
        return int(self.scalar(f"SELECT count(*) FROM {self.quoted_table(table)}"))

    def rows_of(self, table: Name) -> int | None:
        if (self.bytes_of_database() or 0) > COUNTED_BYTES:
            return None
        return super().rows_of(table)

    def lock_of(self, step: Step) -> Lock:
        return self.strongest_lock.for_long() if step.scans else self.strongest_lock

    def bytes_of_database(self) -> int | None:
        return int(self.scalar("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))
