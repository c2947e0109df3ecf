"""How many rows a condition of sqlglot's tree lets through at most, as far as it compares a key with values."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from sqlglot import exp

_MIRRORED = {exp.LT: exp.GT, exp.LTE: exp.GTE, exp.GT: exp.LT, exp.GTE: exp.LTE, exp.EQ: exp.EQ}
_VALUES = (exp.Literal, exp.Placeholder, exp.Parameter, exp.Boolean, exp.Null)


def rows_bound(where: Any, keys: Collection[str]) -> int | None:
    """Return how many rows meet a condition at most; None if it does not bound them.

    A range without a lower end is taken to begin at 0, as keys that a counter gives do.
    """
    found = [bound for part in conjuncts(where) if (bound := _bound(part, keys)) is not None]
    found += [high - low for low, high in _ranges(where, keys)]
    return max(min(found), 0) if found else None


def is_by_key(where: Any, keys: Collection[str]) -> bool:
    """Return whether a condition compares a key with values or a parameter, so an index finds the rows."""
    return any(
        _column(part.this) in keys and _is_listed(part)
        if isinstance(part, exp.In)
        else (compared := comparison(part)) is not None and compared[0] in keys and compared[1] is exp.EQ
        for part in conjuncts(where)
    )


def conjuncts(where: Any) -> list[Any]:
    """Return the conditions that must all hold for one to hold."""
    while isinstance(where, exp.Paren):
        where = where.this
    if isinstance(where, exp.And):
        return [part for one in (where.this, where.expression) for part in conjuncts(one)]
    return [] if where is None else [where]


def comparison(part: Any) -> tuple[str, Any, Any] | None:
    """Return (column, comparison, value) of a condition that compares a column with one value; None of others."""
    if type(part) not in _MIRRORED:
        return None
    left, right = _column(part.this), _column(part.expression)
    if left is not None and is_value(part.expression):
        return left, type(part), part.expression
    return (right, _MIRRORED[type(part)], part.this) if right is not None and is_value(part.this) else None


def is_value(node: Any) -> bool:
    """Return whether an expression is a value that the text shows, or a placeholder."""
    return isinstance(node, _VALUES) or (isinstance(node, (exp.Neg, exp.Cast, exp.Paren)) and is_value(node.this))


def _bound(part: Any, keys: Collection[str]) -> int | None:
    if isinstance(part, exp.In) and _column(part.this) in keys:
        return len(part.expressions) if _is_listed(part) else _limit_within(part.args.get("query"))
    if isinstance(part, exp.Between) and _column(part.this) in keys:
        low, high = _number(part.args["low"]), _number(part.args["high"])
        return None if low is None or high is None else high - low + 1
    compared = comparison(part)
    return 1 if compared is not None and compared[0] in keys and compared[1] is exp.EQ else None


def _is_listed(part: exp.In) -> bool:
    return bool(part.expressions) and all(map(is_value, part.expressions))


def _limit_within(query: Any) -> int | None:
    limit = next(iter(query.find_all(exp.Limit)), None) if query is not None else None
    return _number(limit.expression) if limit is not None else None


def _ranges(where: Any, keys: Collection[str]) -> Iterator[tuple[int, int]]:
    """Return, for each key with an upper end, the last value below its range and the last one in it."""
    compared = [each for part in conjuncts(where) if (each := comparison(part)) is not None]
    for key in keys:
        own = [
            (sign, number)
            for column, sign, value in compared
            if column == key and (number := _number(value)) is not None
        ]
        lows = [number - (sign is exp.GTE) for sign, number in own if sign in (exp.GT, exp.GTE)]
        highs = [number - (sign is exp.LT) for sign, number in own if sign in (exp.LT, exp.LTE)]
        if highs:
            yield max([0, *lows]), min(highs)


def _column(node: Any) -> str | None:
    return node.name if isinstance(node, exp.Column) else None


def _number(node: Any) -> int | None:
    if isinstance(node, exp.Neg):
        value = _number(node.this)
        return None if value is None else -value
    return int(node.name) if isinstance(node, exp.Literal) and node.name.isdigit() else None
