"""Batches on MariaDB and MySQL, and the load of their servers."""

from __future__ import annotations

import datetime
import enum
import json
import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops.backfilling import port
from safeops.backfilling.port import NewValues, Replica, Target
from safeops.databases.definitions import Column, Table
from safeops.databases.mysql.errors import number_of
from safeops.naming import Name

if TYPE_CHECKING:
    from safeops.databases.mysql import MySQL

BINARY = re.compile(r"(var)?binary|\w*blob", re.I)
TEXT = re.compile(r"(var)?char|\w*text", re.I)
HOLDS_TEXT = re.compile(rf"{TEXT.pattern}|enum|set|json", re.I)
BYTES = (bytes, bytearray, memoryview)
LARGE = re.compile(r"text|blob|json|(char|binary)\(\d{3}", re.I)
NUMBER = re.compile(r"\w*int|decimal|numeric|year", re.I)
INTEGER = re.compile(r"\w*int", re.I)
# ASCII without backslashes, which the SQL mode may give a meaning.
PLAIN = re.compile(r"[\x01-\x5b\x5d-\x7f]*")
# Types whose values a driver returns as texts and integers, and as nothing else.
JOINABLE = re.compile(r"((tiny|small|medium|big)?int|(var)?char|(tiny|medium|long)?text)\b", re.I)
# Of joined values: what separates them, what is there for NULL, and from how many bytes on the server cuts them.
SEPARATOR, NULL = sa.literal_column("X'00'", sa.Text()), sa.literal_column("_utf8mb4 X'01'", sa.Text())
LONGEST = sa.literal_column("LEAST(@@group_concat_max_len, @@max_allowed_packet)", sa.BigInteger())
WAITS = ("lock_wait_timeout", "innodb_lock_wait_timeout")
# A statement that took too long for max_statement_time or max_execution_time; a record that changed since it was read.
TRANSIENT = {1969, 3024, 1020}
COLLATION = """SELECT CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLUMNS
  WHERE TABLE_SCHEMA = COALESCE(:schema, DATABASE()) AND TABLE_NAME = :table AND COLUMN_NAME = :column"""


class Batches(port.Batches):
    """See ``safeops.backfilling.port``."""

    database: MySQL
    _seconds = ""
    """How long the statements of this session wait for a lock, as ``session`` or the last batch has set it."""

    def exact_text(self, length: int) -> sa.types.TypeEngine[str]:
        return sa.String(length, collation="utf8mb4_bin")

    def key_text(self, column: Column) -> str:
        name = self.quoted(column.name)
        if BINARY.match(column.type):
            return f"HEX({name})"
        return name if TEXT.match(column.type) else f"CAST({name} AS CHAR)"

    def key_literal(self, column: Column, text: str) -> str:
        if BINARY.match(column.type):
            return f"X'{text}'"
        return text if NUMBER.match(column.type) else self.literal(text)

    def unusable_because(self, column: Column) -> str | None:
        if re.match(r"enum|set", column.type, re.I):
            return "an index orders its values by position, a comparison by text"
        if re.match(r"float|double|real", column.type, re.I):
            return "its values lose digits as text"
        if re.match(r"timestamp", column.type, re.I) and not self._has_fixed_zone():
            return "when clocks are set back, two times have the same text; run SET time_zone = '+00:00' first"
        return "its values are not numbers" if re.match(r"bit", column.type, re.I) else None

    def _has_fixed_zone(self) -> bool:
        zone, system = self.read("SELECT @@SESSION.time_zone, @@system_time_zone")[0]
        return bool(re.fullmatch(r"[+-]\d\d?:\d\d|UTC", system if zone == "SYSTEM" else zone))

    def hint(self, index: str) -> str:
        return f" FORCE INDEX ({self.quoted(index)})"

    def checked_row_by_row(self, condition: str) -> str:
        # The hint chooses the index already.
        return condition

    @contextmanager
    def session(self) -> Iterator[None]:
        # The application can insert into the gaps between the rows of a batch.
        seconds = _whole(self.database.lock_wait)
        values = {**self._settings(), **dict.fromkeys(WAITS, seconds)}
        with self.database.triggers.logging_rows(), self.database.setting(values):
            self._seconds = seconds
            yield

    def _settings(self) -> dict[str, str]:
        """Return the session variables of batches."""
        modes = {"sql_mode": self._sql_mode()} if self.database.abilities.batch_modes else {}
        return {self.database.abilities.isolation: "'READ-COMMITTED'", "group_concat_max_len": str(1 << 26), **modes}

    def rendered_session(self) -> tuple[list[str], list[str]]:
        if not self.database.abilities.batch_modes:
            return [], []
        before = ["SET @safeops_sql_mode = @@SESSION.sql_mode", f"SET SESSION sql_mode = {self._sql_mode()}"]
        return before, ["SET SESSION sql_mode = @safeops_sql_mode"]

    def _sql_mode(self) -> str:
        return f"CONCAT(@@SESSION.sql_mode, {self.literal(',' + ','.join(self.database.abilities.batch_modes))})"

    @contextmanager
    def transaction(self, lock_timeout: float, flush: bool) -> Iterator[None]:
        seconds = _whole(lock_timeout)
        if seconds != self._seconds:
            # Nearly all batches have the same; ``session`` restores what was set before it.
            self.run("SET SESSION " + ", ".join(f"{name} = {seconds}" for name in WAITS))
            self._seconds = seconds
        with self.database.transaction("START TRANSACTION"):
            yield

    def check_writes_values(self, table: Table) -> None:
        if self.database.version < self.database.abilities.recordsets_since:
            needed = ".".join(map(str, self.database.abilities.recordsets_since))
            raise self.database.unsupported(
                "A backfill by a Python function", f"JSON_TABLE, which {self.product} {needed} has"
            )

    def read_rows(
        self, query: sa.Select[Any], key: Sequence[Column], columns: Sequence[Column]
    ) -> Sequence[Sequence[Any]]:
        """Read plain columns joined, as one text each: a driver written in Python needs ten times as long for rows."""
        joined = len(key) == 1 and _is_small_integer(key[0]) and all(JOINABLE.match(column.type) for column in columns)
        rows = self._read_joined(query, columns) if joined else None
        return super().read_rows(query, key, columns) if rows is None else rows

    def _read_joined(self, query: sa.Select[Any], columns: Sequence[Column]) -> Sequence[Sequence[Any]] | None:
        """Return the rows; None if their values are ambiguous, or if they are not in the order of their key."""
        values = {label.name: label.element for label in query.selected_columns}
        texts = [
            sa.func.group_concat(sa.func.ifnull(value, NULL).op("SEPARATOR")(SEPARATOR)).label(name)
            for name, value in values.items()
        ]
        selected: list[Any] = [sa.func.count(), LONGEST, *map(sa.func.count, values.values()), *texts]
        [[total, longest, *found]] = super().read_rows(query.with_only_columns(*selected).order_by(None), (), ())
        if not total:
            return []
        filled, joined = found[: len(values)], found[len(values) :]
        split = [_split(text, total, count, longest) for text, count in zip(joined, filled, strict=True)]
        keys, *others = split
        if not all(split) or keys != sorted(keys, key=int):
            return None
        # The last has the bytes of wide rows.
        converted = map(_converted, others, (*(column.type for column in columns), "int"))
        return list(zip(keys, *converted, strict=True))

    def weight(self, column: Column) -> str | None:
        # A value of another type is small: that of the longest CHAR or ENUM has 255 characters.
        return f"OCTET_LENGTH({self.quoted(column.name)})" if LARGE.search(column.type) else None

    def as_records(self, target: Target, values: NewValues) -> tuple[str, Sequence[str], Sequence[str]]:
        names, width = target.names, len(target.key)
        keys = [self._comparable(target.table, name, column) for name, column in zip(names, target.key, strict=False)]
        written = [_decoded(name, column) for name, column in zip(names[width:], target.columns, strict=True)]
        return self._texts(target, values), keys, written

    def _texts(self, target: Target, values: NewValues) -> str:
        """Return a table of the rows as texts. On MySQL 9.7 lists of VALUES are not faster (measured)."""
        paths = ", ".join(f"{name} LONGTEXT CHARACTER SET utf8mb4 PATH '$.{name}'" for name in target.names)
        records = self.literal(self.json_records(target, values, _encoded))
        return f"JSON_TABLE({records}, '$[*]' COLUMNS ({paths})) safeops_values"

    def update_from(self, target: Target, source: str, assigned: str, matched: str) -> str:
        return f"UPDATE {source} STRAIGHT_JOIN {self.quoted_table(target.table)} ON {matched} SET {assigned}"

    def _comparable(self, table: Name, name: str, column: Column) -> str:
        """Return a value that compares with the key's column by its index."""
        if BINARY.match(column.type):
            return f"UNHEX({name})"
        if TEXT.match(column.type):
            found = self.read(COLLATION, schema=table.schema, table=table.name, column=column.name)[0]
            return f"CONVERT({name} USING {found[0]}) COLLATE {found[1]}"
        if re.match(r"decimal|numeric", column.type, re.I):
            return f"CAST({name} AS {column.type.partition(' ')[0]})"
        if NUMBER.match(column.type):
            return f"CAST({name} AS {'UNSIGNED' if 'unsigned' in column.type else 'SIGNED'})"
        # There is no cast to a timestamp.
        return f"CAST({name} AS {re.sub('^timestamp', 'datetime', column.type, flags=re.I)})"

    def is_transient(self, error: BaseException) -> bool:
        return super().is_transient(error) or number_of(error) in TRANSIENT


class MariaDBBatches(Batches):
    """Likewise, with lists of VALUES: they take a fifth less CPU than JSON_TABLE (10.11, measured)."""

    def _settings(self) -> dict[str, str]:
        # With this, which is the default, the server finds a row of VALUES by an index that it makes.
        return {**super()._settings(), "optimizer_switch": "'derived_with_keys=on'"}

    def update_from(self, target: Target, source: str, assigned: str, matched: str) -> str:
        """Update the rows as they are read, if no others are read.

        Otherwise the server first collects the places of the rows, and then looks each of them up again. To read others
        would lock them, too.
        """
        if not target.rows or not all(map(_is_small_integer, target.key)):
            return super().update_from(target, source, assigned, matched)
        table = f"{self.quoted_table(target.table)}{self.hint(target.index)}"
        return f"UPDATE {table} STRAIGHT_JOIN {source} ON {matched} SET {assigned} WHERE {target.rows}"

    def as_records(self, target: Target, values: NewValues) -> tuple[str, Sequence[str], Sequence[str]]:
        source, keys, written = super().as_records(target, values)
        if target.keeps_values:
            # Next to the column's own value, the server converts texts of VALUES to the character set of the column:
            # it refuses those that are not ASCII.
            texts = [bool(HOLDS_TEXT.match(column.type)) for column in target.columns]
            exact = "CONVERT({} USING utf8mb4) COLLATE utf8mb4_bin"
            written = [exact.format(one) if text else one for one, text in zip(written, texts, strict=True)]
        return source, keys, written

    def _comparable(self, table: Name, name: str, column: Column) -> str:
        # The index of VALUES is on what they hold, not on a cast of it.
        return name if _is_small_integer(column) else super()._comparable(table, name, column)

    def _texts(self, target: Target, values: NewValues) -> str:
        width = len(target.key)
        literals = [*map(_key_literals, values[:width], target.key), *map(_literals, values[width:], target.columns)]
        listed = "), (".join(map(", ".join, zip(*literals, strict=True)))
        # There is no other way to name the columns of such a list.
        named = f"safeops_values ({', '.join(target.names)}) AS (VALUES ({listed}))"
        return f"(WITH {named} SELECT * FROM safeops_values) safeops_values"


def _whole(seconds: float) -> str:
    """Return the seconds of a lock timeout, which the server counts in whole ones."""
    return str(max(math.ceil(seconds), 1))


def _is_small_integer(column: Column) -> bool:
    """Return whether a list of values of a column, written without quotes, has one integer type."""
    return bool(INTEGER.match(column.type)) and not re.match("bigint.*unsigned", column.type, re.I)


def _split(joined: Any, total: int, filled: int, longest: int) -> list[Any]:
    """Return the values that were joined; none if they may have been cut, or if one has a separator in it."""
    if not isinstance(joined, str) or 4 * (len(joined) + 1) >= longest:
        return []
    values: list[str | None] = [*joined.split("\0")]
    if filled < total:
        values = [None if value == "\1" else value for value in values]
    return values if len(values) == total and values.count(None) == total - filled else []


def _converted(values: list[Any], type_: str) -> list[Any]:
    return [None if value is None else int(value) for value in values] if INTEGER.match(type_) else values


def _key_literals(texts: Sequence[str], column: Column) -> Sequence[str]:
    return texts if _is_small_integer(column) else _quoted(texts)


def _literals(values: Sequence[Any], column: Column) -> Sequence[str]:
    """Write the new values of a column. All at once is several times as fast as one after the other."""
    as_they_are = set(map(type, values)) == {str} and not _is_bits(column) and not BINARY.match(column.type)
    texts: Sequence[Any] = values if as_they_are else [_encoded(value, column) for value in values]
    return [*map(_literal, texts)] if None in texts else _quoted(texts)


def _quoted(texts: Sequence[str]) -> Sequence[str]:
    if not PLAIN.fullmatch("".join(texts)):
        return [*map(_literal, texts)]
    # No plain text has the character that separates them.
    escaped = "\0".join(texts).replace("'", "''").split("\0")
    return [f"_utf8mb4'{text}'" for text in escaped]


def _literal(text: str | None) -> str:
    """Write a text that means the same under every SQL mode and every character set of the connection."""
    if text is None:
        return "NULL"
    if PLAIN.fullmatch(text):
        return "_utf8mb4'" + text.replace("'", "''") + "'"
    return f"_utf8mb4 X'{text.encode().hex()}'"


def _decoded(name: str, column: Column) -> str:
    if _is_bits(column):
        return f"CAST(CONV({name}, 16, 10) AS UNSIGNED)"
    return f"UNHEX({name})" if BINARY.match(column.type) else name


def _is_bits(column: Column) -> bool:
    return column.type.lower().startswith("bit")


def _encoded(value: Any, column: Column) -> str | None:
    """Return a value as the text that the server reads into a column; of bytes and bits, their hexadecimal digits."""
    if value is None:
        return None
    if _is_bits(column) and not isinstance(value, BYTES):
        return f"{int(value):x}"
    if BINARY.match(column.type):
        return _bytes_of(value).hex()
    if isinstance(value, BYTES):
        return _bytes_of(value).decode() if HOLDS_TEXT.match(column.type) else _bytes_of(value).hex()
    if isinstance(value, bool):
        return str(value).lower() if column.type.lower() == "json" else str(int(value))
    return _text(value)


def _bytes_of(value: Any) -> bytes:
    if isinstance(value, BYTES):
        return bytes(value)
    return value.bytes if isinstance(value, uuid.UUID) else _text(value).encode()


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (set, frozenset)):
        # The driver's value of a SET.
        return ",".join(value)
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, datetime.timedelta):
        return _time(value)
    return repr(value) if isinstance(value, float) else str(value)


def _time(value: datetime.timedelta) -> str:
    """Write a TIME. It may be negative, or longer than a day: Python counts the days of those apart."""
    minutes, seconds = divmod(abs(value).seconds, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if value.days < 0 else ""
    return f"{sign}{hours + 24 * abs(value).days}:{minutes:02}:{seconds:02}.{abs(value).microseconds:06}"


# The appliers of a replica work as "system user".
ACTIVE = """SELECT COUNT(*) FROM information_schema.PROCESSLIST
  WHERE DB = DATABASE() AND ID <> CONNECTION_ID() AND COMMAND NOT IN ('Sleep', 'Daemon') AND USER <> 'system user'"""
# The first is MariaDB's, with each of its sources; the next MySQL's from 8.0.22 on; the last that of older ones.
# https://mariadb.com/kb/en/show-replica-status/ https://dev.mysql.com/doc/refman/8.4/en/show-replica-status.html
STATUS = ("SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS")
SYNTAX_ERROR = 1064


class ServerLoad(port.ServerLoad):
    """See ``safeops.backfilling.port``. The primary knows who reads its log, but not what of it was applied."""

    database: MySQL

    def active_sessions(self) -> tuple[int, float]:
        active = int(self.scalar(ACTIVE))
        return active, active if self.database.sees_all_sessions() else float("inf")

    def replicas(self) -> NoReturn:
        raise self.database.unsupported(
            "replica_lag without urls",
            "a primary that knows how far its replicas are",
            "Name the replicas, each with a user that can read its state (REPLICATION CLIENT, on MariaDB SLAVE MONITOR):",
            'replica_lag(10, urls=["mysql+pymysql://user:password@replica/database"])',
        )

    def as_replica(self, name: str) -> Replica:
        sources = self._sources()
        if not sources:
            return Replica(name, unknown="it is not a replica, or does not show that it is")
        lags = list(map(_seconds_behind, sources))
        known = [lag for lag in lags if lag is not None]
        if len(known) < len(lags):
            return Replica(name, unknown=f"its replication is not running{_error_of(sources)}")
        return Replica(name, lag=max(known))

    def _sources(self) -> Sequence[Mapping[str, Any]]:
        *newer, oldest = STATUS
        for statement in newer:
            try:
                return self._mappings(statement)
            except DBAPIError as error:
                if number_of(error) != SYNTAX_ERROR:
                    raise
        return self._mappings(oldest)

    def _mappings(self, statement: str) -> Sequence[Mapping[str, Any]]:
        result = self.database.connection.exec_driver_sql(statement)
        return [dict(row) for row in result.mappings()]


def _seconds_behind(source: Mapping[str, Any]) -> float | None:
    """Return the lag behind one source; None if the server does not report it, or reports that of an old log only."""
    runs = [str(value) == "Yes" for key, value in source.items() if key.endswith(("_IO_Running", "_SQL_Running"))]
    lag = next((value for key, value in source.items() if key.startswith("Seconds_Behind")), None)
    return float(lag) if lag is not None and all(runs) else None


def _error_of(sources: Sequence[Mapping[str, Any]]) -> str:
    errors = [str(source[key]) for source in sources for key in ("Last_IO_Error", "Last_SQL_Error") if source.get(key)]
    return f": {errors[0]}" if errors else ""
