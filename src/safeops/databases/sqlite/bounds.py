"""How long a helper waits for the file: set once, not for each query."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from safeops.databases import server

if TYPE_CHECKING:
    from safeops.databases.sqlite import SQLite


class HelperSession(server.HelperSession):
    """Its steps share their bound."""

    database: SQLite

    def sharing_bounds(self) -> AbstractContextManager[None]:
        return self.database.waiting_throughout()
