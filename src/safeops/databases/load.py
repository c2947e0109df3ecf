"""What a database tells of its load: how far its replicas are behind, how many sessions are at work."""

from __future__ import annotations

from safeops.databases.sessions import DatabaseSession


class Load(DatabaseSession):
    """The questions that the throttles of a backfill ask; None is "cannot tell"."""
