"""Reads SQL of SQLite as the call that it equals."""

from __future__ import annotations

from typing import ClassVar

from safeops.judging.bound import bound_text
from safeops.judging.replacements import raw
from safeops.judging.replacements.replacement import About
from safeops.judging.replacements.rows import Rows
from safeops.judging.sent import Sent


class RawSql(raw.RawSql):
    """How SQL of SQLite is read."""

    has_writable_views: ClassVar[bool] = False

    def rows_of(self, about: About, sent: Sent, repeated: bool) -> Rows | None:
        from safeops.judging.replacements.trees import rows_of

        return rows_of(bound_text(sent), about, repeated, "sqlite")
