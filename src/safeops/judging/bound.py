"""The text of a statement with its values inserted, as a parser needs it."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from safeops.databases import sqltext
from safeops.judging.sent import Sent


def bound_text(sent: Sent) -> str:
    """Return the text of a statement with literals instead of placeholders; unchanged without parameters."""
    if not sent.parameters:
        return sent.sql
    values = _Values(sent.parameters)
    return "".join(_written(sqltext.parts(sent.sql), values))


class _Values:
    """The parameters of a statement, by name, by number, or one after another."""

    def __init__(self, parameters: Mapping[str, Any] | Sequence[Any]) -> None:
        self._named = parameters if isinstance(parameters, Mapping) else {}
        self._listed = [] if isinstance(parameters, Mapping) else list(parameters)
        self._next = 0

    def named(self, name: str) -> str | None:
        return literal(self._named[name]) if name in self._named else None

    def numbered(self, number: int) -> str | None:
        return literal(self._listed[number - 1]) if 0 < number <= len(self._listed) else None

    def next(self) -> str | None:
        self._next += 1
        return self.numbered(self._next)


def _written(parts: list[tuple[str, str]], values: _Values) -> Iterator[str]:
    place = 0
    while place < len(parts):
        value, used = _value(parts[place : place + 5], values)
        yield parts[place][1] if value is None else value
        place += used


def _value(ahead: list[tuple[str, str]], values: _Values) -> tuple[str | None, int]:
    """Return the value of the placeholder that the parts begin with, and how many parts it is; None if there is none."""
    texts = [text for _, text in ahead] + [""] * 5
    kind, text = ahead[0]
    if kind in ("string", "quoted", "space"):
        return None, 1
    if text == "%" and texts[1] == "(" and texts[3:5] == [")", "s"]:
        return values.named(texts[2]) or "NULL", 5
    if text == "%" and texts[1] == "s":
        return values.next() or "NULL", 2
    if text == ":" and ahead[1:2] and ahead[1][0] == "word":
        value = values.named(texts[1])
        return value, 2 if value is not None else 1
    if text == "$" and ahead[1:2] and ahead[1][0] == "number":
        return values.numbered(int(texts[1])) or "NULL", 2
    if text == "?":
        value = values.next()
        return value, 1
    return None, 1


def literal(value: Any) -> str:
    """Return a value as SQL; NULL for a type without a plain literal: no decision depends on it."""
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float() | decimal.Decimal():
            return str(value)
        case str():
            return "'" + value.replace("'", "''") + "'"
        case datetime.datetime() | datetime.date() | datetime.time() | uuid.UUID():
            return f"'{value}'"
        case list() | tuple():
            return f"ARRAY[{', '.join(map(literal, value))}]"
    return "NULL"
