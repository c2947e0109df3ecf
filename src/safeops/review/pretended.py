"""Answers about the server itself, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import Self

from safeops.databases import database_for
from safeops.databases.ports import Port


class PretendedServer(Port):
    """The answers of a family's server about itself."""

    place = "safeops.review.pretended_{family}:PretendedServer"
    asked = "A review"

    version: tuple[int, ...] = ()
    home: str | None = None
    isolation_level: str = "READ COMMITTED"

    @classmethod
    def for_dialect(cls, dialect: Any) -> Self:
        """Return the answers of a dialect's server about itself."""
        return cls.of(database_for(dialect, None))

    def begins_again(self, driver: str) -> bool:
        """Return whether a driver implicitly begins a transaction after a COMMIT that was sent as text."""
        return True

    def value_of(self, words: Sequence[str]) -> Any:
        """Return what an expression or a setting is, by its words in upper case; None if it is not known."""
        return None

    def prepare(self, dialect: Any) -> None:
        """Give a dialect the facts about the server, as if it had connected."""
        dialect.server_version_info = self.version
        dialect.default_schema_name = self.home
        dialect.default_isolation_level = self.isolation_level
