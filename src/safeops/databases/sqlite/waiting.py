"""How SQLite bounds the waiting of statements that no helper sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from safeops.databases import waiting


class Waiting(waiting.Waiting):
    """By the busy timeout of the connection."""

    def bound(self, seconds: float, *, autocommit: bool) -> str | None:
        own, value = int(self.send("PRAGMA busy_timeout")[0][0]), max(int(seconds * 1000), 1)
        if own <= value:
            return None
        self.send(f"PRAGMA busy_timeout={value}")
        return f"PRAGMA busy_timeout={own}"

    def is_in_transaction(self) -> bool:
        return bool(getattr(self.driver, "in_transaction", False))

    @contextmanager
    def attempt(self) -> Iterator[None]:
        inside = self.is_in_transaction()
        try:
            yield
        except Exception as error:
            # What it has read it keeps locked against writers, and another writer would wait for it as it waits for them.
            if inside and self.database.errors.is_lock_failure(error):
                self.send("ROLLBACK")
                self.send("BEGIN")
            raise
