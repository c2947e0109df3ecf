"""Walking in batches on MariaDB and MySQL."""

from __future__ import annotations

from safeops.databases.base import Database


class Batches(Database):
    """See ``safeops.databases.batches``."""
