"""Reads SQL of MariaDB and MySQL as the call that it equals."""

from __future__ import annotations

from safeops.judging.bound import bound_text
from safeops.judging.replacements import raw
from safeops.judging.replacements.replacement import About
from safeops.judging.replacements.rows import BATCH, Rows
from safeops.judging.sent import Sent
from safeops.naming import Name


class RawSql(raw.RawSql):
    """How SQL of MariaDB and MySQL is read."""

    def rows_of(self, about: About, sent: Sent, repeated: bool) -> Rows | None:
        from safeops.judging.replacements.trees import rows_of

        return rows_of(bound_text(sent), about, repeated, "mysql")

    def deleted_batch(self, name: Name, key: str | None, condition: str | None) -> str:
        # LIMIT is not allowed in the subquery of IN.
        return f"DELETE FROM {self.quoted_table(name)}{f' WHERE {condition}' if condition else ''} LIMIT {BATCH}"
