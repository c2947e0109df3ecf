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

from safeops.databases.base import Database
from safeops.databases.batches import Target, Values
from safeops.databases.definitions import Column
from safeops.databases.postgresql.spelling import sqlstate
from safeops.databases.steps import Step
from safeops.naming import Name

# https://www.postgresql.org/docs/current/errcodes-appendix.html
SERIALIZATION_FAILURE = "40001"
# A pid comes again; together with the time of the connection it does not.
SESSION = """SELECT 'pid ' || pid || ' since ' ||
  to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM pg_stat_activity"""
# On a partitioned table those of its partitions run too. One of the server's own cancels only what changes nothing.
UPDATED = """
WITH tables AS (SELECT CAST(to_regclass(:table) AS oid) AS id UNION SELECT relid FROM pg_partition_tree(to_regclass(:table)))
SELECT DISTINCT 'trigger', g.tgname FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
WHERE g.tgrelid IN (SELECT id FROM tables) AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A') AND g.tgtype & 16 > 0
  AND NOT starts_with(p.proname, 'safeops') AND p.oid <> 'pg_catalog.suppress_redundant_updates_trigger()'::regprocedure
UNION SELECT 'rule', r.rulename FROM pg_rewrite r
WHERE r.ev_class IN (SELECT id FROM tables) AND r.ev_type = '2' AND r.is_instead ORDER BY 1, 2
"""


class Batches(Database):
    """See ``safeops.databases.batches``."""

    now = "extract(epoch FROM clock_timestamp())::float8"

    def key_text(self, column: Column) -> str:
        name = self.quoted(column.name)
        # As text a date or a time depends on the session's DateStyle; in JSON it does not.
        return f"to_json({name}) #>> '{{}}'" if re.match(r"date|time", column.type) else f"{name}::text"

    def key_literal(self, column: Column, text: str) -> str:
        return f"{self.literal(text)}::{column.type}"

    def batching(self) -> AbstractContextManager[None]:
        return self.timeouts(self.patience, None, Step(""))

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
        with self.transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"):
            self.read(f"SELECT {chosen}")
            yield

    def unbounded(self) -> AbstractContextManager[None]:
        return self.timeouts(self.patience, None, Step("", scans=True))

    def as_records(self, into: Target, rows: Values) -> tuple[str, Sequence[str], Sequence[str]]:
        names = into.names
        spelled = [f"{name} {column.type}" for name, column in zip(names, [*into.key, *into.columns], strict=True)]
        records = [dict(zip(names, [*bound, *map(_encoded, values)], strict=True)) for bound, values in rows]
        source = f"json_to_recordset({self.literal(json.dumps(records))}) AS safeops_values ({', '.join(spelled)})"
        return source, names[: len(into.key)], names[len(into.key) :]

    def estimated_rows(self, table: Name) -> int | None:
        # The planner counts the pages that the table has now, where the catalogue may know of none.
        plan = self.scalar(f"EXPLAIN SELECT 1 FROM {self.quoted_table(table)}")
        rows = re.search(r"rows=(\d+)", str(plan))
        return int(rows[1]) if rows else None

    def is_transient(self, error: BaseException) -> bool:
        return super().is_transient(error) or sqlstate(error) == SERIALIZATION_FAILURE

    def locked_rows(self, table: Name, condition: str) -> int:
        rows = f"SELECT 1 FROM {self.quoted_table(table)} WHERE {condition} FOR NO KEY UPDATE"
        return int(self.scalar(f"SELECT count(*) FROM ({rows}) safeops_rows"))

    def update_triggers(self, table: Name) -> list[str]:
        rows = self.read(UPDATED, table=self.quoted_table(table))
        return [f"{kind} {self.quoted(name)}" for kind, name in rows]

    def session_id(self) -> str:
        return str(self.read(f"{SESSION} WHERE pid = pg_backend_pid()")[0][0])

    def is_gone(self, session: str) -> bool:
        stands = self.read(f"{SESSION} WHERE pid = {int(session.split()[1])}")
        # Of the sessions of others some roles see no more than that they are there.
        return not stands or stands[0][0] not in (None, session)


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
