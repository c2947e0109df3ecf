"""Answers of SQLite about itself, without a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from safeops.review import pretended

VALUES = {"SQLITE_VERSION": sqlite3.sqlite_version, "FOREIGN_KEYS": 0, "JOURNAL_MODE": "delete"}


class PretendedServer(pretended.PretendedServer):
    version = sqlite3.sqlite_version_info
    isolation_level = "SERIALIZABLE"

    def value_of(self, words: Sequence[str]) -> Any:
        return VALUES.get(words[0]) if words else None
