"""What a walk over a table in batches asks of a database."""

from __future__ import annotations

from safeops.databases.sessions import DatabaseSession


class Batches(DatabaseSession):
    """The verbs of a backfill that differ from database to database."""
