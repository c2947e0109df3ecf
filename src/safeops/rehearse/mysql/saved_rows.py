"""MariaDB and MySQL: a hash of a row, and an index on its key."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from safeops.rehearse import saved_rows


class SavedRows(saved_rows.SavedRows):
    """By SHA-2 of each value, because ``max_allowed_packet`` limits what a function is given."""

    def hashed(self, columns: Sequence[str]) -> str:
        values = (f"COALESCE(SHA2(CAST(t.{self.quoted(name)} AS BINARY), 256), 'N')" for name in columns)
        return f"SHA2(CONCAT({', '.join(values)}), 256)"

    def index(self, saved: str, columns: Sequence[str]) -> None:
        # A key with a long text cannot be indexed whole.
        with suppress(DBAPIError):
            if columns:
                self.run(f"ALTER TABLE {saved} ADD INDEX ({', '.join(columns)})")
