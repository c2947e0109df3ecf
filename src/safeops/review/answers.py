"""Answers to the queries of a revision without a database: from the tables of earlier revisions, or made up.

A made-up row makes a loop over rows send its statements. Its values are unusual, so they identify the statements that were
sent for a row.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from itertools import count
from types import NoneType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from safeops.databases import sqltext
from safeops.databases.statements import Kind, kind_of, words_of
from safeops.judging.existing import KnownColumn, KnownTable
from safeops.naming import Name
from safeops.review.catalogue_reads import Found, is_catalogue, rows_for, value_of
from safeops.review.connection import Answer
from safeops.review.known import Known
from safeops.review.pretended import PretendedServer
from safeops.review.recorder import Recorder

FIRST = 20_011
"""The first made-up number: it fills some batches of any usual size."""
AGAIN = 10
"""How often the same statement on the same line gets rows: a loop that ends without rows must end."""
COUNTING = frozenset({"COUNT", "SUM", "MAX", "MIN", "AVG", "EXISTS", "BOOL_OR", "BOOL_AND"})


@dataclass(frozen=True)
class Manner:
    """How rows are made up.

    Args:
        rows: How many a query returns.
        text: Returns a text, or a value of an unknown type, from a number that identifies it.
        nulls: Every value is NULL, but those that identify the row.
    """

    rows: int = 1
    text: Callable[[int], Any] = " Made Up {} ".format
    nulls: bool = False


FILLED = Manner()
"""The text is one that a clean-up of texts changes."""
EMPTY = Manner(rows=0)
NULLS = Manner(nulls=True)
SEVERAL = Manner(rows=3)
OTHERS: tuple[Manner, ...] = tuple(
    Manner(text=text)
    for text in (
        str,
        lambda number: number,
        lambda number: {"made_up": number},
        '{{"made_up": {}}}'.format,
        '["made up {}"]'.format,
        lambda number: f"2001-01-01 00:00:{number % 60:02}",
    )
)
"""Other texts, for code of a revision that cannot use the first one: numbers, JSON, a date."""


class MadeUpAnswers:
    """Answers each statement of a revision.

    Args:
        recorder: Counts the statements, and gets the made-up values.
        known: What is known of the tables.
        server: The answers about the server itself.
        manner: How rows are made up.
    """

    def __init__(self, recorder: Recorder, known: Known, server: PretendedServer, manner: Manner) -> None:
        self.recorder, self.known, self.server, self.manner = recorder, known, server, manner
        self.made_up = False
        self._numbers = count(FIRST)

    def answer(self, sql: str, parameters: Any, columns: Sequence[tuple[str, Any]]) -> Answer:
        """Return what a statement returns; ``columns`` are those that SQLAlchemy expects, with their types."""
        words = words_of(sql)
        if "RETURNING" in words:
            return self._rows(columns or self._columns_of(_after_returning(sql), None), _inserted(sql))
        if kind_of(sql) is not Kind.READS:
            return Answer(count=-1 if self.recorder.repeats(sql) <= AGAIN else 0)
        if words[:1] in (("SHOW",), ("PRAGMA",)) and not is_catalogue(words):
            return self._of_server(words)
        if is_catalogue(words):
            found = rows_for(sql, parameters, self.known.schema)
            return self._of_catalogue(sql, found, columns)
        return self._query(sql, words, columns)

    def _of_server(self, words: tuple[str, ...]) -> Answer:
        value = self.server.value_of(words[1:])
        return Answer(["value"], [] if value is None else [(value,)])

    def _of_catalogue(self, sql: str, found: Sequence[Found], columns: Sequence[tuple[str, Any]]) -> Answer:
        """Answer a query of the catalogue by what it finds."""
        items = select_list(sql)
        names = [name for name, _ in columns or self._columns_of(items, None)]
        if not items:
            # A PRAGMA: its second column is the name.
            return Answer(["number", "name"], [(number, one.name) for number, one in enumerate(found)])
        if _is_aggregate(items) and "GROUP" not in words_of(sql):
            return Answer(names, [tuple(_counted(item, len(found)) for item in items)[: len(names)]])
        rows = [tuple(self._part(item, one) for item in items) for one in found]
        return Answer(names, [(*row, *([None] * len(names)))[: len(names)] for row in rows])

    def _part(self, item: Sequence[str], found: Found) -> Any:
        plain = item[:-2] if len(item) > 2 and item[-2].upper() == "AS" else item
        value = value_of(plain, found)
        return _literal(plain) if value is None else value

    # Queries ----------------------------------------------------------------------------------------------------

    def none_of(self, sql: str, columns: Sequence[tuple[str, Any]]) -> Answer:
        """Answer a query as if there were no rows left."""
        items = select_list(sql)
        known = columns or self._columns_of(items, self._source(sql))
        is_one_row = _is_aggregate(items) and "GROUP" not in words_of(sql)
        return self._none_of(items, known) if is_one_row else Answer([name for name, _ in known], [])

    def _query(self, sql: str, words: tuple[str, ...], columns: Sequence[tuple[str, Any]]) -> Answer:
        items = select_list(sql)
        known = columns or self._columns_of(items, self._source(sql))
        if "FROM" not in words:
            return self._expressions(items, known)
        self.made_up = True
        alone = _is_aggregate(items) and "GROUP" not in words
        if not self.manner.rows:
            return self._none_of(items, known) if alone else Answer([name for name, _ in known], [])
        again = self.recorder.repeats(sql)
        if alone and again > AGAIN:
            return self._none_of(items, known)
        return self._rows(known, 1 if alone else self.manner.rows if again <= AGAIN else 0)

    def _expressions(self, items: Sequence[Sequence[str]], columns: Sequence[tuple[str, Any]]) -> Answer:
        """Answer a query of no table."""
        values = [*map(self._expression, items), *([1] * len(columns))]
        return Answer([name for name, _ in columns], [tuple(values[: len(columns)])])

    def _expression(self, item: Sequence[str]) -> Any:
        if len(item) > 2 and item[0].upper() == "TO_REGCLASS":
            text = str(_literal(item[2:3]))
            namespace, _, name = text.rpartition(".")
            return text if self.known.schema.table(Name(name, namespace or None)) is not None else None
        value = self.server.value_of([word.upper() for word in item])
        return _literal(item) if value is None else value

    def _none_of(self, items: Sequence[Sequence[str]], columns: Sequence[tuple[str, Any]]) -> Answer:
        """Answer an aggregate of no rows."""
        counts = [bool(item) and item[0].upper() == "COUNT" for item in items]
        counts += [False] * (len(columns) - len(counts))
        return Answer([name for name, _ in columns], [tuple(0 if one else None for one in counts[: len(columns)])])

    def _rows(self, columns: Sequence[tuple[str, Any]], rows: int) -> Answer:
        self.made_up = True
        made = [tuple(self._value(name, type_) for name, type_ in columns) for _ in range(rows)]
        return Answer([name for name, _ in columns], made)

    # Columns ----------------------------------------------------------------------------------------------------

    def _columns_of(self, items: Sequence[Sequence[str]], source: KnownTable | None) -> list[tuple[str, Any]]:
        """Return the columns of a query, whose types are those of the columns of the same names."""
        found: list[tuple[str, Any]] = []
        for item in items:
            if item[-1:] == ["*"]:
                own = source.columns.values() if source is not None and source.columns else [KnownColumn("id")]
                found += [(column.name, self._type_of(column)) for column in own]
            else:
                found.append(self._column(item, source))
        return found or [("value", None)]

    def _column(self, item: Sequence[str], source: KnownTable | None) -> tuple[str, Any]:
        name = sqltext.unquoted(item[-1]) if item and (item[-1][0].isalpha() or item[-1][0] in '"`_') else "value"
        if item and item[0].upper() in COUNTING:
            return name, sa.Integer()
        column = sqltext.unquoted(item[-3] if len(item) > 2 and item[-2].upper() == "AS" else item[-1]) if item else ""
        known = source.columns.get(column) if source is not None else None
        return name, self._type_of(known) if known is not None else _type_by_name(column)

    def _type_of(self, column: KnownColumn) -> Any:
        return type_named(column.type) or _type_by_name(column.name)

    def _source(self, sql: str) -> KnownTable | None:
        """Return the first table that a query reads, if it is known."""
        words = [sqltext.unquoted(text) if kind in ("word", "quoted") else text for kind, text in sqltext.tokens(sql)]
        for place, word in enumerate(words[:-1]):
            if word.upper() == "FROM":
                qualified = words[place + 2 : place + 3] == ["."] and len(words) > place + 3
                name = Name(words[place + 3], words[place + 1]) if qualified else Name(words[place + 1])
                return self.known.table(name)
        return None

    # Values -----------------------------------------------------------------------------------------------------

    def _value(self, name: str, type_: Any) -> Any:
        is_key = name.lower() in ("id", "uuid") or name.lower().endswith("_id")
        number = next(self._numbers)
        self.recorder.made_up.add(number)
        value = None if self.manner.nulls and not is_key else self._made(type_, number)
        if isinstance(value, Hashable) and not isinstance(value, (str, bool, NoneType)):
            self.recorder.made_up.add(value)
        return value

    def _made(self, type_: Any, number: int) -> Any:
        if isinstance(type_, sa.types.TypeDecorator):
            return _processed(type_, self._made(type_.impl_instance, number), self.server.database.dialect)
        if isinstance(type_, sa.Enum):
            return _of_enum(type_, f" Made Up {number} ")
        kind = _python_type(type_)
        made: dict[Any, Any] = {
            int: number,
            float: float(number),
            Decimal: Decimal(number),
            bool: True,
            bytes: f"made up {number}".encode(),
            dict: {},
            list: [],
            datetime.datetime: datetime.datetime(2001, 1, 1) + datetime.timedelta(seconds=number),
            datetime.date: datetime.date(2001, 1, 1) + datetime.timedelta(days=number),
            datetime.time: datetime.time(1, 1, 1, number),
            datetime.timedelta: datetime.timedelta(seconds=number),
            uuid.UUID: uuid.UUID(int=number),
        }
        return made[kind] if kind in made else self.manner.text(number)


def _python_type(type_: Any) -> Any:
    try:
        return type_.python_type if type_ is not None else str
    except (NotImplementedError, AttributeError):
        return str


def _of_enum(type_: sa.Enum, text: str) -> Any:
    if type_.enum_class is not None:
        members: list[Enum] = list(type_.enum_class)
        return members[0] if members else None
    return type_.enums[0] if type_.enums else text


def _processed(type_: sa.types.TypeDecorator[Any], value: Any, dialect: Dialect) -> Any:
    """Return a value as the application's own type gives it; as it is if the type cannot take it."""
    try:
        return type_.process_result_value(value, dialect)
    except Exception:
        return value


def type_named(text: str | None) -> Any:
    """Return the type that a server writes as ``character varying(100)``; None if it is not known."""
    if text is None:
        return None
    name, _, rest = text.partition("(")
    arguments = [int(part) for part in rest.partition(")")[0].split(",") if part.strip().isdigit()]
    return _made_type(" ".join(name.lower().split()), arguments)


TYPES: dict[str, Any] = {
    **dict.fromkeys(("int", "integer", "int4", "int2", "smallint", "serial", "smallserial", "mediumint"), sa.Integer),
    **dict.fromkeys(("bigint", "int8", "bigserial"), sa.BigInteger),
    **dict.fromkeys(("text", "mediumtext", "longtext", "clob", "citext"), sa.Text),
    **dict.fromkeys(("varchar", "character varying", "nvarchar"), sa.String),
    **dict.fromkeys(("char", "character", "bpchar"), sa.CHAR),
    **dict.fromkeys(("numeric", "decimal"), sa.Numeric),
    **dict.fromkeys(("real", "float", "float4", "float8", "double", "double precision"), sa.Float),
    **dict.fromkeys(("boolean", "bool"), sa.Boolean),
    **dict.fromkeys(("timestamp", "datetime", "timestamptz"), sa.DateTime),
    **dict.fromkeys(("timestamp with time zone", "timestamp without time zone"), sa.DateTime),
    **dict.fromkeys(("json", "jsonb"), sa.JSON),
    **dict.fromkeys(("bytea", "blob", "longblob", "binary", "varbinary"), sa.LargeBinary),
    "date": sa.Date,
    "time": sa.Time,
    "interval": sa.Interval,
    "uuid": sa.Uuid,
}
SIZED = (sa.String, sa.Numeric, sa.CHAR)


def _made_type(name: str, arguments: list[int]) -> Any:
    found = TYPES.get(name)
    if found is None:
        return None
    if name.endswith(("tz", "with time zone")):
        return found(timezone=True)
    return found(*arguments) if arguments and issubclass(found, SIZED) else found()


def _type_by_name(name: str) -> Any:
    """Return the type that a column with such a name usually has."""
    lower = name.lower()
    if lower == "id" or lower.endswith(("_id", "count", "_no")) or lower in ("n", "max", "min", "total"):
        return sa.Integer()
    return sa.DateTime() if lower.endswith(("_at", "_date")) else sa.Text()


# The columns of a query -----------------------------------------------------------------------------------------


def select_list(sql: str) -> list[list[str]]:
    """Return the words of each column between SELECT and FROM of a query."""
    tokens = [text for _, text in sqltext.tokens(sql)]
    depth, start = 0, None
    for place, token in enumerate(tokens):
        depth += (token == "(") - (token == ")")
        if depth == 0 and token.upper() == "SELECT":
            start = place + 1
            break
    return list(_columns(tokens[start:] if start is not None else []))


def _after_returning(sql: str) -> list[list[str]]:
    tokens = [text for _, text in sqltext.tokens(sql)]
    place = next(place for place, token in enumerate(tokens) if token.upper() == "RETURNING")
    return list(_columns(tokens[place + 1 :]))


def _inserted(sql: str) -> int:
    """Return how many rows a statement lists after VALUES; 1 if it lists none."""
    tokens = [text for _, text in sqltext.tokens(sql)]
    depth, groups, is_listing = 0, 0, False
    for token in tokens:
        is_listing = (is_listing or token.upper() == "VALUES") and token.upper() not in ("RETURNING", "ON")
        groups += is_listing and depth == 0 and token == "("
        depth += (token == "(") - (token == ")")
    return max(groups, 1)


def _columns(tokens: Sequence[str]) -> Iterator[list[str]]:
    depth = 0
    column: list[str] = []
    for token in tokens:
        if depth == 0 and token.upper() in ("FROM", "WHERE", "UNION", "LIMIT", "ORDER", "INTO", ";"):
            break
        depth += (token == "(") - (token == ")")
        if token == "," and depth == 0:
            yield column
            column = []
        elif not (token.upper() in ("DISTINCT", "ALL") and not column):
            column.append(token)
    if column:
        yield column


def _is_aggregate(items: Sequence[Sequence[str]]) -> bool:
    """Return whether a query always returns one row."""
    firsts = [next((word.upper() for word in item if word != "("), "") for item in items]
    wrapped = {"COALESCE", "NOT", "CAST", "GREATEST", "LEAST"}
    return bool(items) and all(
        first in COUNTING or (first in wrapped and not COUNTING.isdisjoint(word.upper() for word in item))
        for first, item in zip(firsts, items, strict=True)
    )


def _counted(item: Sequence[str], rows: int) -> Any:
    return bool(rows) if any(word.upper() == "EXISTS" for word in item) else rows


def _literal(item: Sequence[str]) -> Any:
    """Return a constant that is selected; 1 for what is none."""
    if len(item) == 1 and item[0].startswith("'"):
        return item[0][1:-1].replace("''", "'")
    return int(item[0]) if item and item[0].isdigit() else 1
