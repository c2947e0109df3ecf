"""Answers of PostgreSQL about itself, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from safeops import _sqlalchemy
from safeops.review import pretended

VALUES = {
    "VERSION": "PostgreSQL 18.1 on x86_64-pc-linux-gnu, 64-bit",
    "CURRENT_SCHEMA": "public",
    "CURRENT_DATABASE": "app",
    "CURRENT_USER": "app",
    "SESSION_USER": "app",
    "SERVER_VERSION": "18.1",
    "SERVER_VERSION_NUM": "180001",
    "SEARCH_PATH": '"$user", public',
    "STANDARD_CONFORMING_STRINGS": "on",
    "TRANSACTION_ISOLATION": "read committed",
    "LOCK_TIMEOUT": "0",
    "STATEMENT_TIMEOUT": "0",
    "TIMEZONE": "Etc/UTC",
    "TRANSACTION ISOLATION LEVEL": "read committed",
    "PG_TRY_ADVISORY_LOCK": True,
    "PG_TRY_ADVISORY_XACT_LOCK": True,
    "PG_ADVISORY_UNLOCK": True,
    "PG_IS_IN_RECOVERY": False,
}


class PretendedServer(pretended.PretendedServer):
    version = (18, 1)
    home = "public"

    def begins_again(self, driver: str) -> bool:
        # The others begin one only after their commit().
        return driver.startswith("psycopg") and driver != "psycopg2"

    def value_of(self, words: Sequence[str]) -> Any:
        plain = [word.strip('"') for word in words if word not in ("PG_CATALOG", ".")]
        return VALUES.get(" ".join(plain), VALUES.get(plain[0]) if plain else None)

    def prepare(self, dialect: Any) -> None:
        super().prepare(dialect)
        _sqlalchemy.keep_backslashes(dialect)
        dialect.supports_smallserial = dialect.supports_identity_columns = True
        dialect.supports_virtual_generated_columns = True
