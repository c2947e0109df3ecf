"""Walking in batches on SQLite."""

from __future__ import annotations

import json
import math
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from safeops.databases import sqltext
from safeops.databases.batches import Target, Values
from safeops.databases.definitions import Column
from safeops.databases.sqlite.session import Session
from safeops.naming import Name


def _event(trigger: str) -> str:
    """Return the event that a trigger runs on."""
    words = (text.lower() for kind, text in sqltext.tokens(trigger) if kind == "word")
    return next((word for word in words if word in ("insert", "update", "delete")), "")


class Batches(Session):
    """See ``safeops.databases.batches``."""

    now = "((julianday('now') - 2440587.5) * 86400.0)"

    @property
    def is_private(self) -> bool:  # type: ignore[override]
        return not next((row[2] for row in self.read("PRAGMA database_list") if row[1] == "main"), "")

    def key_text(self, column: Column) -> str:
        # Any column holds any type here: what quote() writes is a literal again.
        name = self.quoted(column.name)
        # quote() writes an infinity as a name, and in older versions 15 digits of a number.
        number = f"replace(printf('%!.17g', {name}), 'Inf', '9e999')"
        return f"CASE typeof({name}) WHEN 'real' THEN {number} ELSE quote({name}) END"

    def key_literal(self, column: Column, text: str) -> str:
        return text

    def batching(self) -> AbstractContextManager[None]:
        # Whoever waits for the file holds nothing meanwhile.
        return self._waiting(self.patience)

    @contextmanager
    def batch(self, wait: float, flush: bool) -> Iterator[None]:
        with self._waiting(wait), self.transaction():
            yield

    def as_records(self, into: Target, rows: Values) -> tuple[str, Sequence[str], Sequence[str]]:
        listed = [
            [*bound, *(self._literal(value, type_) for value, type_ in zip(values, into.types, strict=True))]
            for bound, values in rows
        ]
        source = ", ".join(f"({', '.join(one)})" for one in listed)
        names = [f"safeops_values.column{place}" for place in range(1, len(into.names) + 1)]
        return f"(VALUES {source}) AS safeops_values", names[: len(into.key)], names[len(into.key) :]

    def _literal(self, value: Any, type_: sa.types.TypeEngine[Any]) -> str:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return f"X'{bytes(value).hex()}'"
        if isinstance(value, float) and math.isinf(value):
            return "9e999" if value > 0 else "-9e999"
        if isinstance(type_, sa.JSON) and value is not None:
            return self.literal(json.dumps(value))
        known = None if isinstance(type_, sa.types.NullType) else type_
        return self.rendered(sa.literal(value, known))

    def estimated_rows(self, table: Name) -> int | None:
        return int(self.scalar(f"SELECT count(*) FROM {self.quoted_table(table)}"))

    def update_triggers(self, table: Name) -> list[str]:
        sql = f"""SELECT name, sql FROM {self.master(table.schema or "main")} WHERE type = 'trigger'
            AND tbl_name = {self.literal(table.name)} COLLATE NOCASE AND name NOT LIKE 'safeops%' ORDER BY name"""
        found = self.read(sql)
        return [f"trigger {self.quoted(name)}" for name, text in found if _event(text) == "update"]

    def session_id(self) -> str:
        return f"pid {os.getpid()} on {socket.gethostname()} since {_started(os.getpid())}"

    def is_gone(self, session: str) -> bool:
        _, pid, _, host, _, start = session.split(" ")
        known = host == socket.gethostname() and _started(os.getpid())
        return bool(known) and _started(int(pid)) != start


def _started(pid: int) -> str:
    """Return when a process began, where the system tells (Linux); empty where it has ended."""
    try:
        # The name of the program, in parentheses, may have blanks. https://man7.org/linux/man-pages/man5/proc.5.html
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else rest[18]
