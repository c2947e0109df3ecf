"""The values that the models of a release write: new ones that no row has, and those at the limits of their types."""

from __future__ import annotations

import datetime
import os
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from safeops.rehearse.traffic.values import shaped

LONG = 2000
"""Characters of a long text in a column without a limit."""
SPREAD = 100_000_000
"""From how many seconds, days or units a new value is drawn."""

Column = sa.Column[Any]


@dataclass(frozen=True)
class Edge:
    """A value that the models allow.

    Args:
        what: What it is, as the end of "users.name to ...".
        value: The value.
        is_certain: The models name it. A value that only fits the type may be one that the application never writes: then
            only a type that is too small for it counts, not a constraint.
    """

    what: str
    value: Any
    is_certain: bool


def edges_of(column: Column, present: Any) -> Iterator[Edge]:
    """Yield the values at the limits of what models allow in a column.

    Args:
        column: The column.
        present: The value of a row; a long text begins with it, to have the same form.
    """
    if column.nullable and not column.primary_key:
        yield Edge("NULL", sa.null(), True)
    type_ = column.type
    if column.primary_key or column.foreign_keys:
        return
    if isinstance(type_, sa.Enum):
        yield from (Edge(repr(label), label, True) for label in type_.enums)
    elif isinstance(type_, sa.String):
        length = type_.length or LONG
        text = str(present) if isinstance(present, str) else ""
        yield Edge(f"a text of {length} characters", (text + "x" * length)[:length], False)
    elif isinstance(type_, (sa.Integer, sa.Numeric)) and not isinstance(type_, sa.Float):
        highest = _highest(type_)
        if highest is not None:
            yield Edge(f"the number {highest}", highest, False)


def _highest(type_: sa.Integer | sa.Numeric[Any]) -> int | Decimal | None:
    if isinstance(type_, sa.Numeric):
        if type_.precision is None:
            return None
        return Decimal("9" * type_.precision).scaleb(-(type_.scale or 0))
    bits = 15 if isinstance(type_, sa.SmallInteger) else 63 if isinstance(type_, sa.BigInteger) else 31
    return int(2**bits - 1)


# A row that is new ------------------------------------------------------------------------------------------------


def made_up(column: Column) -> Any:
    """Return a value for a column of a table that has no rows; None if none of its type is known."""
    type_ = column.type
    if isinstance(type_, sa.Enum):
        return type_.enums[0] if type_.enums else None
    if isinstance(type_, sa.Uuid):
        return uuid.uuid4() if type_.as_uuid else str(uuid.uuid4())
    try:
        python = type_.python_type
    except NotImplementedError:
        return None
    if python is str:
        return "a" * min(8, getattr(type_, "length", None) or 8)
    zone = datetime.timezone.utc if getattr(type_, "timezone", False) else None
    known: dict[type, Any] = {
        bool: True,
        int: 1,
        float: 1.0,
        Decimal: Decimal(1),
        bytes: b"a",
        datetime.datetime: datetime.datetime(2020, 1, 1, 12, tzinfo=zone),
        datetime.date: datetime.date(2020, 1, 1),
        datetime.time: datetime.time(12),
        datetime.timedelta: datetime.timedelta(hours=1),
        dict: {},
        list: [],
    }
    return known.get(python)


def another(column: Column, value: Any, highest: int, chance: random.Random) -> Any:
    """Return a value of the same kind, which most likely no row has.

    Args:
        column: The column.
        value: The value of a row.
        highest: The highest value of an integer column.
        chance: Draws it.
    """
    if isinstance(column.type, sa.Enum) or isinstance(value, bool):
        return value
    if isinstance(column.type, sa.Uuid) and isinstance(value, str):
        return str(uuid.uuid4())
    if isinstance(value, datetime.datetime):
        return value + datetime.timedelta(seconds=chance.randrange(1, SPREAD))
    if isinstance(value, datetime.date):
        return value + datetime.timedelta(days=chance.randrange(1, 100_000))
    match value:
        case int():
            return highest + 1
        case Decimal() | float():
            return value + chance.randrange(1, 1000)
        case str():
            return shaped(value, chance)
        case bytes():
            return os.urandom(len(value) or 8)
        case uuid.UUID():
            return uuid.uuid4()
    return value


# What is read ------------------------------------------------------------------------------------------------------

_WORDS: dict[type, str] = {
    bool: "numbers",
    int: "numbers",
    float: "numbers",
    Decimal: "numbers",
    str: "texts",
    bytes: "bytes",
    datetime.datetime: "times",
    datetime.date: "dates",
    uuid.UUID: "UUIDs",
}


def kind_read(value: Any) -> str | None:
    """Return what kind of value an application reads; None if another kind may serve it as well."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        # Python compares none of these with a time without a zone.
        return "times with a zone"
    return _WORDS.get(type(value))
