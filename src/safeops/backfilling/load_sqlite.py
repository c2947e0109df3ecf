"""How busy SQLite is."""

from __future__ import annotations

from typing import NoReturn

from safeops.backfilling import load


class Load(load.Load):
    """See ``safeops.backfilling.load``: a file has neither replicas nor a server that would know of sessions."""

    def active_sessions(self) -> NoReturn:
        raise self.database.unsupported(
            "active_sessions",
            "a server that knows its sessions",
            "Leave the throttle out here. A batch waits by itself for another writer of the file.",
        )

    def log_position(self) -> NoReturn:
        raise self.database.unsupported("replica_lag", "a server that has replicas", "Leave the throttle out here.")
