"""Batches on SQLite. It has no server, and therefore no server load."""

from __future__ import annotations

import decimal
import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import repeat
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa

from safeops.backfilling import port
from safeops.backfilling.port import NewValues, Target
from safeops.databases.definitions import Column

if TYPE_CHECKING:
    from safeops.databases.sqlite import SQLite


INFINITIES = (float("inf"), float("-inf"))


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

    def weight(self, column: Column) -> str:
        # A column holds values of any type. Python keeps a character in 1 to 4 bytes.
        return f"length({self.quoted(column.name)})"

    def write(self, target: Target, values: NewValues) -> int:
        # One statement for all: sqlite3 keeps the last 128, with their literals.
        update, width = self.update_of(target, *self.as_records(target, values)), len(target.key)
        keys = (map(_key_value, column) for column in values[:width])
        written = zip(values[width:], target.types, strict=True)
        new = (map(self._bound, column, repeat(type_)) for column, type_ in written)
        return self.database.connection.exec_driver_sql(update, list(zip(*keys, *new, strict=True))).rowcount

    def as_records(self, target: Target, values: NewValues) -> tuple[str, Sequence[str], Sequence[str]]:
        names, width = [f"safeops_values.{name}" for name in target.names], len(target.key)
        source = ", ".join(f"? AS {name}" for name in target.names)
        return f"(SELECT {source}) AS safeops_values", names[:width], names[width:]

    def _bound(self, value: Any, type_: sa.types.TypeEngine[Any]) -> Any:
        """Return a value as the driver takes it, or raise ValueError."""
        if isinstance(value, (float, decimal.Decimal)) and math.isnan(value):
            raise ValueError("SQLite has no NaN, and would store NULL")
        if isinstance(type_, sa.Integer) and isinstance(value, (str, float)) and value not in INFINITIES:
            return int(value)
        if value is None or isinstance(value, (bytes, bytearray, memoryview, float)):
            return value
        if isinstance(type_, sa.JSON):
            return json.dumps(value)
        known = sa.literal(value).type if isinstance(type_, sa.types.NullType) else type_
        process = known.dialect_impl(self.database.dialect).bind_processor(self.database.dialect)
        return process(value) if process else value


def _key_value(text: str) -> Any:
    """Return the value of a key that is written as a literal."""
    if text.startswith("X'"):
        return bytes.fromhex(text[2:-1])
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    return float(text) if re.search(r"[.e]", text) else int(text)


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
