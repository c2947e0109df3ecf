"""Exclusion constraints as keys: rows that differ in some columns do not exclude each other.

Ranges that are made of different numbers do not overlap: each begins at the end of the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from safeops.databases import sqltext
from safeops.databases.definitions import Constraint, Table

RANGES = frozenset({"int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"})
Element = tuple[str | None, str]
"""The column of an element, None for an expression, and its operator."""


def with_keys(table: Table) -> Table:
    """Return a table with unique constraints in the place of the exclusion constraints that such rows meet."""
    keys = {one.name: _as_key(one, table) for one in table.of_kind("exclude")}
    found = {name: keys.get(name) or one for name, one in table.constraints.items()}
    return replace(table, constraints=found)


def is_met_by_ranges(one: Constraint, table: Table) -> bool:
    """Return whether rows that differ in the columns of a key over periods meet it."""
    return table.columns[one.columns[-1]].type in RANGES


def _as_key(one: Constraint, table: Table) -> Constraint | None:
    """Two rows exclude each other if all elements hold: it is enough that they differ in one that is false then."""
    elements = _elements(one.expression or "", table)
    apart = tuple(column for column, operator in elements if column is not None and _is_apart(column, operator, table))
    return replace(one, kind="unique", columns=apart, expression=None) if apart else None


def _is_apart(column: str, operator: str, table: Table) -> bool:
    """Return whether different values of a column do not satisfy an operator."""
    return operator == "=" or (operator == "&&" and table.columns[column].type in RANGES)


def _elements(expression: str, table: Table) -> Iterator[Element]:
    """Yield the elements of ``USING gist (room WITH =, during WITH &&) WHERE ...``."""
    depth, element = 0, list[str]()
    for _, text in sqltext.tokens(expression):
        if depth == 1 and text in (",", ")"):
            yield _element(element, table)
            element = []
        elif depth:
            element.append(text)
        depth += (text == "(") - (text == ")")
        if not depth and text == ")":
            return


def _element(tokens: list[str], table: Table) -> Element:
    place = len(tokens) - 1 - tokens[::-1].index("WITH")
    name = sqltext.unquoted(tokens[0])
    column = name if name in table.columns and "(" not in tokens[:place] else None
    return column, "".join(tokens[place + 1 :])
