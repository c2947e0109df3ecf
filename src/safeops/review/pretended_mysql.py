"""Answers of MySQL and MariaDB about themselves, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from safeops.review import pretended

VALUES = {
    "VERSION": "8.4.0",
    "DATABASE": "app",
    "SCHEMA": "app",
    "CURRENT_USER": "app@localhost",
    "GET_LOCK": 1,
    "RELEASE_LOCK": 1,
    "SQL_MODE": "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION",
    "LOCK_WAIT_TIMEOUT": "86400",
}


class PretendedServer(pretended.PretendedServer):
    version = (8, 4, 0)
    isolation_level = "REPEATABLE READ"

    def value_of(self, words: Sequence[str]) -> Any:
        plain = [word for word in words if word not in ("@", "@@", "SESSION", "GLOBAL", ".", "VARIABLES", "LIKE")]
        return VALUES.get(plain[0]) if plain else None


class MariaDBPretendedServer(PretendedServer):
    version = (11, 4, 0)

    def value_of(self, words: Sequence[str]) -> Any:
        value = super().value_of(words)
        return "11.4.0-MariaDB" if value == VALUES["VERSION"] else value
