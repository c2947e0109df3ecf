"""How PostgreSQL bounds the waiting of statements that no helper sends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from safeops.databases import waiting
from safeops.databases.postgresql.session import announced_session

SETTING = "lock_timeout"
SAVEPOINT = "safeops_plain"
IDLE = 0
"""The transaction status of libpq for a session without a transaction."""


class Waiting(waiting.Waiting):
    """By ``lock_timeout``: of the transaction, or in autocommit of the session."""

    ends_with_transaction: ClassVar[bool] = True
    aborts_transactions: ClassVar[bool] = True

    def bound(self, seconds: float, *, autocommit: bool) -> str | None:
        value = max(int(seconds * 1000), 1)
        if not autocommit:
            ours = self._set(value, local=True)
            # After a raw COMMIT some drivers begin no transaction: a local setting ends with the statement that set it.
            if not ours or self.is_in_transaction():
                return "" if ours else None
        else:
            self.database.check_session()
        return f"SET {SETTING} = 0" if self._set(value, local=False) else None

    def _set(self, value: int, *, local: bool) -> bool:
        """Set it unless it is set; a revision may still choose its isolation level after SHOW and SET."""
        if self.send(f"SHOW {SETTING}")[0][0] != "0":
            return False
        self.send(f"SET {'LOCAL ' if local else ''}{SETTING} = {value}")
        return True

    def touches_bound(self, sql: str, words: Sequence[str]) -> bool:
        return SETTING in sql.lower() or not {"RESET", "DISCARD"}.isdisjoint(words)

    def waits_inside(self, words: Sequence[str]) -> bool:
        # REFRESH MATERIALIZED VIEW CONCURRENTLY waits at its beginning only.
        return "CONCURRENTLY" in words and words[0] in ("CREATE", "DROP", "REINDEX", "ALTER")

    def is_in_transaction(self) -> bool:
        driver = self.driver
        status: Any = getattr(getattr(driver, "info", None), "transaction_status", None)
        if status is not None:
            return int(status) != IDLE
        asked = getattr(driver, "is_in_transaction", None)
        return bool(asked()) if asked is not None else super().is_in_transaction()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        self.send(f"SAVEPOINT {SAVEPOINT}")
        try:
            yield
        except Exception as error:
            # After any other error the transaction is left as the revision would find it without us.
            if self.database.errors.is_lock_failure(error):
                self.send(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
            raise
        self.send(f"RELEASE SAVEPOINT {SAVEPOINT}")

    def session(self) -> int | None:
        return announced_session(self.driver)
