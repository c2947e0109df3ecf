"""Batches on PostgreSQL, and the load of its server."""

from __future__ import annotations

import datetime
import enum
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DataError

from safeops.backfilling import pages, port
from safeops.backfilling.pages import Position, Size
from safeops.backfilling.port import Bound, NewValues, Replica, Target
from safeops.databases.definitions import Column, Table
from safeops.databases.postgresql.types import sqlstate
from safeops.databases.steps import Step
from safeops.naming import Name

# https://www.postgresql.org/docs/current/errcodes-appendix.html
SERIALIZATION_FAILURE = "40001"


SMALL = re.compile(
    r"smallint|integer|bigint|boolean|real|double precision|date|uuid|oid|money|interval.*|time.*|numeric\(.*"
    r"|(character|bit)( varying)?\(\d{1,2}\)",
)
"""Types whose values are small."""
OF_TEXTS = re.compile(r"text|character|name|citext|json")
"""Types that would take the hexadecimal digits of bytes as a text."""
PARSED = 4
"""A value that Python parses takes several times as much as on the server."""
# The number -1 means no length: a cast to a type with one would cut what is too long, and an assignment refuses it.
# Domains, ranges, arrays and records have separate rules in JSON. The elements of few types are separated by another
# character. https://www.postgresql.org/docs/current/catalog-pg-type.html
ARRAY_TYPES = """
SELECT a.attname, format_type(t.oid, -1) || '[]'
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass(:table) AND NOT a.attisdropped
  AND t.typtype IN ('b', 'e') AND t.typcategory <> 'A' AND t.typarray <> 0 AND t.typdelim = ','
"""


HAS_CHILDREN = "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhparent = to_regclass(:table))"

RECORDS = "/*safeops_records*/"


class Batches(port.Batches):
    """See ``safeops.backfilling.port``."""

    aim = 0.2
    """A commit does not wait for the disk: shorter batches cost little, and the application waits less."""

    def key_text(self, column: Column) -> str:
        name = self.quoted(column.name)
        # As text a date or a time depends on the session's DateStyle; in JSON it does not.
        return f"to_json({name}) #>> '{{}}'" if re.match(r"date|time", column.type) else f"{name}::text"

    def key_literal(self, column: Column, text: str) -> str:
        return f"{self.literal(text)}::{column.type}"

    def session(self) -> AbstractContextManager[None]:
        return self.database.timeouts(self.database.lock_wait, None, Step(""))

    def rendered_session(self) -> tuple[list[str], list[str]]:
        return ["SET row_security = off"], ["RESET row_security"]

    @contextmanager
    def transaction(self, lock_timeout: float, flush: bool) -> Iterator[None]:
        settings = {
            "lock_timeout": f"{max(int(lock_timeout * 1000), 1)}ms",
            # Without statistics the planner may take a range of several columns for a large part of the table.
            "enable_seqscan": "off",
            "idle_in_transaction_session_timeout": "0",
            **({} if flush else {"synchronous_commit": "off"}),
        }
        chosen = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
        with self.database.transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"):
            self.read(f"SELECT {chosen}")
            yield

    def weight(self, column: Column) -> str | None:
        name, is_array = self.quoted(column.name), column.type.endswith("]")
        if SMALL.fullmatch(column.type) and not is_array:
            return None
        if re.match(r"text|character varying|bytea", column.type) and not is_array:
            # Known without reading it from its TOAST table.
            return f"octet_length({name})"
        size = f"CASE WHEN pg_column_compression({name}) IS NULL THEN pg_column_size({name})"
        return f"{size} ELSE octet_length(CAST({name} AS text)) END * {PARSED}"

    def read_rows(
        self, query: sa.Select[Any], key: Sequence[Column], columns: Sequence[Column]
    ) -> Sequence[Sequence[Any]]:
        try:
            return super().read_rows(query, key, columns)
        except DataError as error:
            if sqlstate(error):
                raise
            # psycopg 3 raises it for what the others raise a ValueError for, and also for infinity.
            raise ValueError(str(error.orig)) from error

    def write(self, target: Target, values: NewValues) -> int:
        # As parameters: psycopg keeps the text of the last hundred statements.
        source, texts = self._records(target, values)
        for text in texts:
            # pg8000 would fail in the middle of a message, and lose its connection.
            text.encode()
        parameters = {f"safeops_{place}": text for place, text in enumerate(texts)}
        update = self.update_of(target, *self.as_records(target, ())).replace(":", r"\:").replace(RECORDS, source)
        return self.database.connection.execute(sa.text(update), parameters).rowcount

    def update_from(self, target: Target, source: str, assigned: str, matched: str) -> str:
        update = super().update_from(target, source, assigned, matched)
        return update.replace("UPDATE", f"UPDATE {Heap.hint}", 1) if target.key == Heap.version else update

    def check_writes_values(self, table: Table) -> None:
        if table.kind == "table" and self.scalar(HAS_CHILDREN, table=self.quoted_table(table.name)):
            # A key is unique within each of them only: a row would get the value of another table's row.
            raise self.database.unsupported(
                f"A backfill by a Python function of {table.name}, which has child tables",
                "a table without child tables",
                "Fill it by an expression in SQL; what SQL cannot compute, it can read from a table that you fill before.",
            )

    def as_records(self, target: Target, values: NewValues) -> tuple[str, Sequence[str], Sequence[str]]:
        return RECORDS, target.names[: len(target.key)], target.names[len(target.key) :]

    def _records(self, target: Target, values: NewValues) -> tuple[str, Sequence[str]]:
        """Return what follows FROM, and its parameters."""
        columns = (*target.key, *target.columns)
        types = self._array_types(target.table, columns)
        if not all(column.name in types for column in columns):
            listed = ", ".join(f"{name} {column.type}" for name, column in zip(target.names, columns, strict=True))
            source = f"json_to_recordset(CAST(:safeops_0 AS json)) AS safeops_values ({listed})"
            return source, [self.json_records(target, values, _encoded)]
        # A planner that knew the number of rows could read all of the table for them.
        arrays = (
            f"(SELECT CAST(CAST(:safeops_{place} AS text) AS {types[column.name]}))"
            for place, column in enumerate(columns)
        )
        source = f"unnest({', '.join(arrays)}) AS safeops_values ({', '.join(target.names)})"
        return source, list(map(_array_text, columns, values))

    def _array_types(self, table: Name, columns: tuple[Column, ...]) -> Mapping[str, str]:
        """Return the types of the arrays by column. Each batch needs them; a migration can change a type between two."""
        if (table, columns) not in self._found_types:
            found = self.read(ARRAY_TYPES, table=self.quoted_table(table))
            self._found_types[table, columns] = dict(map(tuple, found))
        return self._found_types[table, columns]

    @cached_property
    def _found_types(self) -> dict[tuple[Name, tuple[Column, ...]], Mapping[str, str]]:
        return {}

    def is_transient(self, error: BaseException) -> bool:
        return super().is_transient(error) or sqlstate(error) == SERIALIZATION_FAILURE

    def lock_and_count(self, table: Name, condition: str) -> int:
        rows = f"SELECT 1 FROM {self.quoted_table(table)} WHERE {condition} FOR NO KEY UPDATE"
        return int(self.scalar(f"SELECT count(*) FROM ({rows}) safeops_rows"))


def _array_text(column: Column, values: Sequence[Any]) -> str:
    """Return the values of a column as an array that the server reads."""
    if column.type in ("json", "jsonb"):
        values = [None if value is None else json.dumps(_encoded(value, column)) for value in values]
    if set(map(type, values)) == {str}:
        joined = '","'.join(values)
        # Most values need no escapes, and joining them is several times as fast.
        if "\\" not in joined and joined.count('"') == 2 * (len(values) - 1):
            return f'{{"{joined}"}}'
    return f"{{{','.join(_element(value, column) for value in values)}}}"


def _element(value: Any, column: Column) -> str:
    if value is None:
        return "NULL"
    encoded = _encoded(value, column)
    text = encoded if isinstance(encoded, str) else json.dumps(encoded)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# A line of a page has a pointer of 4 bytes, and a row at least 24: its header. The hash came with 14, as did reading the
# pages of a range alone. https://www.postgresql.org/docs/14/release-14.html
SIZE_OF_HEAP = """
SELECT pg_relation_size(c.oid) / b.size, b.size / 28
FROM pg_class c JOIN pg_am a ON a.oid = c.relam
  CROSS JOIN (SELECT CAST(current_setting('block_size') AS bigint) AS size) b
WHERE c.oid = to_regclass(:table) AND c.relkind = 'r' AND NOT c.relhassubclass
  AND a.amhandler = CAST('heap_tableam_handler' AS regproc) AND to_regproc('pg_catalog.hashtid') IS NOT NULL
"""
SHARES = 1024


class Heap(pages.Heap):
    """See ``safeops.backfilling.pages``. The place of a row is its ``ctid``."""

    # Vacuum may give the place to another row, of another transaction.
    # https://www.postgresql.org/docs/current/ddl-system-columns.html
    version = (Column("ctid", "tid"), Column("xmin", "xid"))
    # The table may get partitions or children during the backfill, with rows that one transaction has inserted.
    hint = "ONLY"

    def size(self, table: Name) -> Size | None:
        rows = self.read(SIZE_OF_HEAP, table=self.quoted_table(table))
        # The size of a table that was dropped since the server looked its name up is NULL.
        return Size(*map(int, rows[0])) if rows and rows[0][0] is not None else None

    def within(self, start: Position, stop: Position, share: float) -> str:
        condition = f"ctid >= {_place(start)} AND ctid < {_place(stop)}"
        if share == 1:
            return condition
        hashed = f"pg_catalog.int4and(pg_catalog.hashtid(ctid), {SHARES - 1})"
        return f"{condition} AND {hashed} < {round(share * SHARES)}"

    def sample(self, table: Name, share: float) -> tuple[int, int]:
        sample = f"{self.quoted_table(table)} TABLESAMPLE SYSTEM ({100 * share:.6f})"
        rows = f"SELECT count(*) AS rows FROM {sample} GROUP BY (CAST(CAST(ctid AS text) AS point))[0]"
        [[number, most]] = self.read(f"SELECT coalesce(sum(rows), 0), coalesce(max(rows), 0) FROM ({rows}) AS pages")
        return int(number), int(most)

    def place_of(self, table: Name, start: Position, stop: Position, number: int) -> Bound | None:
        within = self.within(start, stop, 1)
        rows = self.read(
            f"SELECT ctid::text FROM {self.quoted_table(table)} WHERE {within} LIMIT 1 OFFSET {number - 1}"
        )
        return (str(rows[0][0]),) if rows else None

    def written_now(self) -> str:
        return "xmin = CAST(pg_catalog.pg_current_xact_id() AS xid)"

    def key_at(self, table: Name, key: tuple[Column, ...], position: Position) -> Bound | None:
        batches = Batches.of(self.database)
        texts = ", ".join(map(batches.key_text, key))
        rows = self.read(f"SELECT {texts} FROM {self.quoted_table(table)} WHERE ctid = {_place(position)}")
        return tuple(map(str, rows[0])) if rows else None


def _place(position: Position) -> str:
    return f"'({position[0]},{position[1]})'::tid"


def _encoded(value: Any, column: Column) -> Any:
    """Return a value for JSON; types that JSON lacks become text that the server reads."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (bytes, bytearray, memoryview)):
        if OF_TEXTS.match(column.type):
            raise TypeError(f"bytes for {column.name}, which is {column.type}")
        return f"\\x{bytes(value).hex()}"
    if isinstance(value, dict):
        return {str(name): _encoded(part, column) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encoded(part, column) for part in value]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    # Infinity and NaN have no JSON; repr() keeps every digit of a float.
    return value if isinstance(value, float) and math.isfinite(value) else str(value)


# A transaction sees the sessions as of its first query of them, until this call.
# https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-STATS-VIEWS
LOOK_AGAIN = "SELECT pg_stat_clear_snapshot()"
# The state and the kind of a hidden session are NULL; without track_activities the state is "disabled".
ACTIVE = """
SELECT count(*) FILTER (WHERE state IN ('active', 'fastpath function call') AND backend_type = 'client backend'),
  count(*) FILTER (WHERE backend_type IS NULL OR (backend_type = 'client backend' AND state = 'disabled'))
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# Subscribers of logical replication have a database, replicas have none. A base backup is neither, and pg_receivewal writes
# the log to files and replays nothing.
# https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW
REPLICAS = """
SELECT CASE WHEN r.application_name IN ('', 'walreceiver') THEN coalesce(host(r.client_addr), 'walreceiver')
    ELSE r.application_name END,
  r.state, CAST(r.replay_lsn - '0/0' AS bigint), CAST(extract(epoch FROM r.replay_lag) AS float)
FROM pg_stat_replication r JOIN pg_stat_activity a ON a.pid = r.pid
WHERE a.datid IS NULL AND r.state IS DISTINCT FROM 'backup' AND (r.replay_lsn IS NOT NULL OR r.write_lsn IS NULL)
"""
# Replicas receive only what was flushed.
POSITION = "SELECT CAST(pg_current_wal_flush_lsn() - '0/0' AS bigint)"
CLUSTER = "SELECT system_identifier FROM pg_control_system()"
AS_REPLICA = f"SELECT pg_is_in_recovery(), CAST(pg_last_wal_replay_lsn() - '0/0' AS bigint), ({CLUSTER})"


class ServerLoad(port.ServerLoad):
    """See ``safeops.backfilling.port``. Positions are bytes of the write-ahead log."""

    def active_sessions(self) -> tuple[int, float]:
        self.read(LOOK_AGAIN)
        active, hidden = map(int, self.read(ACTIVE)[0])
        return active, active + hidden

    def log_position(self) -> int:
        return int(self.scalar(POSITION))

    def cluster(self) -> str:
        return str(self.scalar(CLUSTER))

    def replicas(self) -> list[Replica]:
        self.read(LOOK_AGAIN)
        return [_connected(*row) for row in self.read(REPLICAS)]

    def as_replica(self, name: str) -> Replica:
        in_recovery, position, cluster = self.read(AS_REPLICA)[0]
        if not in_recovery:
            return Replica(name, unknown="it is not in recovery, so it is not a replica")
        if position is None:
            return Replica(name, unknown="it has replayed nothing yet")
        return Replica(name, position, cluster=str(cluster))


def _connected(name: str, state: str | None, position: int | None, lag: float | None) -> Replica:
    if state is None:
        return Replica(name, unknown="this user cannot see its lag: grant it the role pg_monitor")
    if position is None:
        return Replica(name, unknown=f"it has not reported its position, and is in state {state}")
    return Replica(name, position, lag)
