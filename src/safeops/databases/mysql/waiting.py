"""How MariaDB and MySQL bound the waiting of statements that no helper sends."""

from __future__ import annotations

import math
from collections.abc import Sequence

from safeops.databases import waiting

VARIABLES = ("lock_wait_timeout", "innodb_lock_wait_timeout")
"""For the lock on a table's definition, by default a day, and for locks on rows."""
COMMITTING = frozenset({"CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "OPTIMIZE", "REPAIR", "ANALYZE"})


class Waiting(waiting.Waiting):
    """By session variables; the server counts whole seconds."""

    def bound(self, seconds: float, *, autocommit: bool) -> str | None:
        value = max(math.ceil(seconds), 1)
        asked = ", ".join(f"@@{scope}.{name}" for name in VARIABLES for scope in ("SESSION", "GLOBAL"))
        found = [int(one) for one in self.send(f"SELECT {asked}")[0]]
        pairs = zip(VARIABLES, found[::2], found[1::2], strict=True)
        own = {name: session for name, session, server in pairs if session == server and session > value}
        if not own:
            return None
        self.send("SET SESSION " + ", ".join(f"{name} = {value}" for name in own))
        return "SET SESSION " + ", ".join(f"{name} = {before}" for name, before in own.items())

    def commits(self, words: Sequence[str]) -> bool:
        return words[0] in COMMITTING and "TEMPORARY" not in words[:3]
