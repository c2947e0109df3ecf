"""MariaDB and MySQL: a hash of a row, and an index on its key."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from safeops.rehearse import saved_rows


class SavedRows(saved_rows.SavedRows):
    """By SHA-2 of each value, because ``max_allowed_packet`` limits what a function is given."""

    def hashed(self, values: Sequence[str]) -> str:
        hashes = (f"COALESCE(SHA2(CAST({value} AS BINARY), 256), 'N')" for value in values)
        return f"SHA2({self.joined([*hashes])}, 256)"

    def joined(self, texts: Sequence[str]) -> str:
        return f"CONCAT({', '.join(texts)})"

    def index(self, saved: str, columns: Sequence[str]) -> None:
        # A key with a long text cannot be indexed whole.
        with suppress(DBAPIError):
            if columns:
                self.run(f"ALTER TABLE {saved} ADD INDEX ({', '.join(columns)})")
