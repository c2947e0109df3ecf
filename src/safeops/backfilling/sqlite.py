"""Batches on SQLite. It has no server, and therefore no server load."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa

from safeops.backfilling import port
from safeops.backfilling.port import NewValues, Target
from safeops.databases.definitions import Column

if TYPE_CHECKING:
    from safeops.databases.sqlite import SQLite


class Batches(port.Batches):
    """See ``safeops.backfilling.port``."""

    database: SQLite

    def key_text(self, column: Column) -> str:
        # A column holds values of any type: quote() writes each as a literal.
        name = self.quoted(column.name)
        # quote() writes an infinity as a name, and older versions write only 15 digits of a number.
        number = f"replace(printf('%!.17g', {name}), 'Inf', '9e999')"
        return f"CASE typeof({name}) WHEN 'real' THEN {number} ELSE quote({name}) END"

    def key_literal(self, column: Column, text: str) -> str:
        return text

    def session(self) -> AbstractContextManager[None]:
        # A session that waits for the file holds no lock.
        return self.database.waiting(self.database.lock_wait)

    @contextmanager
    def transaction(self, lock_timeout: float, flush: bool) -> Iterator[None]:
        with self.database.waiting(lock_timeout), self.database.transaction():
            yield

    def as_records(self, target: Target, rows: NewValues) -> tuple[str, Sequence[str], Sequence[str]]:
        listed = [
            [*bound, *(self._literal(value, type_) for value, type_ in zip(values, target.types, strict=True))]
            for bound, values in rows
        ]
        source = ", ".join(f"({', '.join(one)})" for one in listed)
        names = [f"safeops_values.column{place}" for place in range(1, len(target.names) + 1)]
        return f"(VALUES {source}) AS safeops_values", names[: len(target.key)], names[len(target.key) :]

    def _literal(self, value: Any, type_: sa.types.TypeEngine[Any]) -> str:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return f"X'{bytes(value).hex()}'"
        if isinstance(value, float) and math.isinf(value):
            return "9e999" if value > 0 else "-9e999"
        if isinstance(type_, sa.JSON) and value is not None:
            return self.literal(json.dumps(value))
        known = None if isinstance(type_, sa.types.NullType) else type_
        return self.database.rendered(sa.literal(value, known))


class ServerLoad(port.ServerLoad):
    """See ``safeops.backfilling.port``: a file has neither replicas nor a list of sessions."""

    def active_sessions(self) -> NoReturn:
        raise self.database.unsupported(
            "active_sessions",
            "a server that lists its sessions",
            "Leave the throttle out on SQLite: a batch waits for other writers of the file anyway.",
        )

    def log_position(self) -> NoReturn:
        raise self.database.unsupported(
            "replica_lag", "a server that has replicas", "Leave the throttle out on SQLite."
        )
