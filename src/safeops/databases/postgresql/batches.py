"""Walking in batches on PostgreSQL."""

from __future__ import annotations

from safeops.databases.base import Database


class Batches(Database):
    """See ``safeops.databases.batches``."""
