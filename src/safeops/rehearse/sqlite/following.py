"""SQLite: a statement that writes locks the whole file until its transaction ends."""

from __future__ import annotations

from typing import ClassVar

from safeops.databases.statements import Kind, kind_of
from safeops.databases.waiting import send
from safeops.judging.sqlite.truths import EXCLUSIVE, RESERVED
from safeops.rehearse import following
from safeops.rehearse.effects import FILE, Effects


class Observer(following.Observer):
    """By the text of a statement, and the journal mode."""

    holds_after: ClassVar[bool] = True
    how: ClassVar[str] = "SQLite counts neither what it writes to its log nor the bytes of temporary files."

    def begin(self) -> None:
        mode = send(self.database.connection, "PRAGMA journal_mode")[0][0]
        # In WAL mode readers do not wait for a writer.
        self._lock = RESERVED if mode == "wal" else EXCLUSIVE

    def after(self, sql: str) -> Effects | None:
        return Effects({FILE: self._lock}) if kind_of(sql) is Kind.WRITES else Effects()
