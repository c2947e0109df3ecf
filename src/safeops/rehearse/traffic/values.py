"""The values that traffic writes: those of other rows, and new ones if each row needs another one.

Values that rows have already are valid: they meet the checks, the foreign keys and the conversions of the revisions.
"""

from __future__ import annotations

import itertools
import random
import string
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from safeops.rehearse.traffic.plan import Column

Values = dict[str, Any]

ENOUGH = 6
"""Alphanumeric characters that a text needs, to make another one of it that no row has."""
OTHER = 4
"""How often a value is drawn to differ from the present one."""


class Pool:
    """Values of a table's rows.

    Args:
        columns: The columns that are written.
        rows: Rows of the table, as traffic reads them.
        highest: The highest value of each integer column that must be unique.
    """

    def __init__(self, columns: Sequence[Column], rows: Sequence[Values], highest: Mapping[str, int]) -> None:
        self.columns = {column.name: column for column in columns}
        self.rows = rows
        self._numbers: dict[str, Iterator[int]] = {name: itertools.count(top + 1) for name, top in highest.items()}

    def row(self, names: Sequence[str], chance: random.Random) -> Values:
        """Return values for columns of one row: of an existing row, and new ones for what must be unique."""
        row = chance.choice(self.rows)
        return {name: self._value(self.columns[name], row[name], chance) for name in names}

    def change(self, names: Sequence[str], present: Mapping[str, Any], chance: random.Random) -> Values:
        """Return values for columns of a row that differ from those that it has, if there are such."""
        for _ in range(OTHER):
            drawn = self.row(names, chance)
            if any(present.get(name) != value for name, value in drawn.items()):
                break
        return drawn

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return the columns of which no new row can get a value."""
        return [name for name in names if self.columns[name].unique and not self._can_be_new(self.columns[name])]

    def _can_be_new(self, column: Column) -> bool:
        if column.kind == "text":
            return all(_variable(str(row[column.name])) >= ENOUGH for row in self.rows if row[column.name] is not None)
        return column.makes_new or all(row[column.name] is None for row in self.rows)

    def _value(self, column: Column, value: Any, chance: random.Random) -> Any:
        if not column.unique or value is None:
            return value
        if column.kind == "integer":
            return type(value)(next(self._numbers[column.name]))
        return (
            str(uuid.UUID(int=chance.getrandbits(128), version=4)) if column.kind == "uuid" else shaped(value, chance)
        )


def shaped(text: str, chance: random.Random) -> str:
    """Return a text of the same form: each alphanumeric character is another one.

    Example:
        shaped("ann.lee@example.org", chance)     # "qzu.iev@awtyopl.bnc"
    """
    return "".join(chance.choice(_alike(one)) for one in str(text))


def _alike(character: str) -> str:
    if character in string.digits:
        return string.digits
    if character in string.ascii_uppercase:
        return string.ascii_uppercase
    return string.ascii_lowercase if character in string.ascii_lowercase else character


def _variable(text: str) -> int:
    return sum(len(_alike(one)) > 1 for one in text)
