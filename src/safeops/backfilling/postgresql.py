"""Walking in batches on PostgreSQL."""

from __future__ import annotations

import datetime
import enum
import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from safeops.backfilling import port as batches
from safeops.backfilling.port import Target, Values
from safeops.databases.definitions import Column
from safeops.databases.postgresql.spelling import sqlstate
from safeops.databases.steps import Step
from safeops.naming import Name

# https://www.postgresql.org/docs/current/errcodes-appendix.html
SERIALIZATION_FAILURE = "40001"


class Batches(batches.Batches):
    """See ``safeops.backfilling.port``."""

    def key_text(self, column: Column) -> str:
        name = self.quoted(column.name)
        # As text a date or a time depends on the session's DateStyle; in JSON it does not.
        return f"to_json({name}) #>> '{{}}'" if re.match(r"date|time", column.type) else f"{name}::text"

    def key_literal(self, column: Column, text: str) -> str:
        return f"{self.literal(text)}::{column.type}"

    def batching(self) -> AbstractContextManager[None]:
        return self.database.timeouts(self.database.patience, None, Step(""))

    def rendered_batching(self) -> tuple[list[str], list[str]]:
        return ["SET row_security = off"], ["RESET row_security"]

    @contextmanager
    def batch(self, wait: float, flush: bool) -> Iterator[None]:
        settings = {
            "lock_timeout": f"{max(int(wait * 1000), 1)}ms",
            # Without statistics the planner may take a range of several columns for a large part of the table.
            "enable_seqscan": "off",
            "idle_in_transaction_session_timeout": "0",
            **({} if flush else {"synchronous_commit": "off"}),
        }
        chosen = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
        with self.database.transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"):
            self.read(f"SELECT {chosen}")
            yield

    def as_records(self, into: Target, rows: Values) -> tuple[str, Sequence[str], Sequence[str]]:
        names = into.names
        spelled = [f"{name} {column.type}" for name, column in zip(names, [*into.key, *into.columns], strict=True)]
        records = [dict(zip(names, [*bound, *map(_encoded, values)], strict=True)) for bound, values in rows]
        source = f"json_to_recordset({self.literal(json.dumps(records))}) AS safeops_values ({', '.join(spelled)})"
        return source, names[: len(into.key)], names[len(into.key) :]

    def is_transient(self, error: BaseException) -> bool:
        return super().is_transient(error) or sqlstate(error) == SERIALIZATION_FAILURE

    def locked_rows(self, table: Name, condition: str) -> int:
        rows = f"SELECT 1 FROM {self.quoted_table(table)} WHERE {condition} FOR NO KEY UPDATE"
        return int(self.scalar(f"SELECT count(*) FROM ({rows}) safeops_rows"))


def _encoded(value: Any) -> Any:
    """Return a value as JSON has it; what JSON lacks becomes the text that the server reads."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"\\x{bytes(value).hex()}"
    if isinstance(value, dict):
        return {str(name): _encoded(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encoded(one) for one in value]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    # Infinity and NaN have no JSON; repr() keeps every digit of a float.
    return value if isinstance(value, float) and math.isfinite(value) else str(value)
