"""SQLite: a hash of a row by a function of Python."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from safeops.rehearse import saved_rows


class SavedRows(saved_rows.SavedRows):
    """SQLite has no hash: the session gets a function for it."""

    def prepare(self) -> None:
        driver: Any = self.database.connection.connection.driver_connection
        driver.create_function("safeops_hash", 1, _hashed, deterministic=True)

    def hashed(self, values: Sequence[str]) -> str:
        # quote() distinguishes a text from a number, and 1.0 from 1.
        return f"safeops_hash({' || char(31) || '.join(f'quote({value})' for value in values)})"

    def index(self, saved: str, columns: Sequence[str]) -> None:
        if columns:
            self.run(f"CREATE INDEX temp.{saved}_key ON {saved} ({', '.join(columns)})")


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)
