"""A fifth family of databases, as small as one can be: what it has of the schema it has from SQLite, and it has no wings."""

from __future__ import annotations

from safeops.databases.sqlite import SQLite


class Fifth(SQLite):
    """Speaks SQLite."""

    family = "fifth"
    product = "Fifth"
