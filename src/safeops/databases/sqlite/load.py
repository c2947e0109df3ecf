"""How busy SQLite is."""

from __future__ import annotations

from safeops.databases.base import Database


class Load(Database):
    """See ``safeops.databases.load``."""
