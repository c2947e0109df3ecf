"""What makes a construct of SQLAlchemy of an index or a constraint as it stands."""

from __future__ import annotations

from typing import Any

from safeops.databases.definitions import Constraint, Index


class Constructs:
    """The options of constructs."""

    def index_options(self, index: Index) -> dict[str, Any]:
        """Return the options with which a construct is the index as it stands."""
        return {}

    def key_options(self, key: Constraint) -> dict[str, Any]:
        """Return the options with which a construct is the unique constraint as it stands."""
        return {}

    def exclusion_parts(self, exclusion: Constraint) -> tuple[str, list[tuple[str, str]], str | None]:
        """Return the method of an exclusion constraint, its elements with their operators, and its condition."""
        raise NotImplementedError
