"""How many rows a condition lets through at most, as far as it compares a key with values."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pglast import ast
from pglast.enums import A_Expr_Kind, SubLinkType

from safeops.judging.postgresql.nodes import (
    column_of,
    comparison,
    conjuncts,
    functions_in,
    is_constant,
    number_of,
    text_of,
    walk,
    words_of,
)


def rows_bound(where: Any, keys: Collection[str]) -> int | None:
    """Return how many rows meet a condition at most; None if it does not bound them.

    A range without a lower end is taken to begin at 0, as keys that a sequence gives do.
    """
    bounds = [_bound(part, keys) for part in conjuncts(where)]
    found = [bound for bound in bounds if bound is not None]
    found += [high - low for low, high in _ranges(where, keys)]
    return max(min(found), 0) if found else None


def is_by_key(where: Any, keys: Collection[str]) -> bool:
    """Return whether a condition compares a key with values or a parameter, so an index finds the rows."""
    return any(_names_key(part, keys) for part in conjuncts(where))


def reads_an_end(query: Any, keys: Collection[str]) -> bool:
    """Return whether a query reads only the ends of a key's index: ``SELECT max(id)``, or ``ORDER BY id LIMIT 10``."""
    if not isinstance(query, ast.SelectStmt) or query.whereClause or query.groupClause or query.distinctClause:
        return False
    if number_of(query.limitCount) is not None and query.sortClause:
        return _is_key(query.sortClause[0].node, keys) and not functions_in(query.targetList)
    ends = [one for one in walk(query.targetList) if _is_end(one, keys)]
    references = [one for one in walk(query.targetList) if isinstance(one, ast.ColumnRef)]
    others = [one for one in functions_in(query.targetList) if one.name not in ("min", "max")]
    return bool(ends) and len(ends) == len(references) and not others


def _is_end(node: Any, keys: Collection[str]) -> bool:
    if not isinstance(node, ast.FuncCall) or words_of(node.funcname)[-1] not in ("min", "max"):
        return False
    arguments = node.args or ()
    return len(arguments) == 1 and _is_key(arguments[0], keys)


def _is_key(node: Any, keys: Collection[str]) -> bool:
    column = column_of(node)
    return column is not None and column in keys


def _names_key(part: Any, keys: Collection[str]) -> bool:
    compared = comparison(part)
    if compared is not None:
        return compared[1] == "=" and compared[0] in keys and is_constant(compared[2])
    return _listed(part, keys) is not None


def _bound(part: Any, keys: Collection[str]) -> int | None:
    if _is_false(part):
        return 0
    compared = comparison(part)
    if compared is not None:
        return 1 if compared[1] == "=" and compared[0] in keys and _is_one_value(compared[2]) else None
    if isinstance(part, ast.SubLink) and column_of(part.testexpr) in keys:
        return _limit_of(part.subselect)
    listed = _listed(part, keys)
    return len(listed) if listed is not None else _between(part, keys)


def _is_false(part: Any) -> bool:
    """Return whether a condition is FALSE, or compares two numbers that differ, as 1 = 0."""
    if isinstance(part, ast.A_Const):
        return isinstance(part.val, ast.Boolean) and not part.val.boolval
    if not isinstance(part, ast.A_Expr) or words_of(part.name) != ["="]:
        return False
    numbers = number_of(part.lexpr), number_of(part.rexpr)
    return None not in numbers and numbers[0] != numbers[1]


def _is_one_value(node: Any) -> bool:
    """Return whether an expression is one value for the whole statement: a constant or a subquery."""
    return is_constant(node) or (isinstance(node, ast.SubLink) and node.subLinkType == SubLinkType.EXPR_SUBLINK)


def joined_values(node: Any, keys: Collection[str]) -> int | None:
    """Return how many rows of values a statement is joined with by a key; None if it is not."""
    sources = [*(getattr(node, "fromClause", None) or ()), *(getattr(node, "usingClause", None) or ())]
    queries: list[Any] = [one.subquery for one in sources if isinstance(one, ast.RangeSubselect)]
    lists = [query.valuesLists for query in queries]
    if len(sources) != 1 or len(lists) != 1 or not lists[0]:
        return None
    joined = any(_joins_key(part, keys) for part in conjuncts(node.whereClause))
    return len(lists[0]) if joined else None


def _joins_key(part: Any, keys: Collection[str]) -> bool:
    if not isinstance(part, ast.A_Expr) or words_of(part.name) != ["="]:
        return False
    columns = [column_of(part.lexpr), column_of(part.rexpr)]
    return None not in columns and any(column in keys for column in columns)


def _listed(part: Any, keys: Collection[str]) -> list[Any] | None:
    """Return the values of ``key IN (...)`` or ``key = ANY (ARRAY[...])``."""
    if not isinstance(part, ast.A_Expr) or column_of(part.lexpr) not in keys or words_of(part.name) != ["="]:
        return None
    if part.kind == A_Expr_Kind.AEXPR_IN:
        values = _elements(part.rexpr)
    elif part.kind == A_Expr_Kind.AEXPR_OP_ANY:
        array = part.rexpr.arg if isinstance(part.rexpr, ast.TypeCast) else part.rexpr
        values = _array(array)
    else:
        return None
    return values if all(is_constant(value) for value in values) else None


def _array(node: Any) -> list[Any]:
    """Return the values of ARRAY[...], or as many as the text of an array has."""
    if isinstance(node, ast.A_ArrayExpr):
        return list(node.elements or ())
    text = text_of(node) or ""
    return [node] * len(text.strip("{}").split(",")) if text.startswith("{") else [None]


def _elements(listed: Any) -> list[Any]:
    return list(listed)


def _between(part: Any, keys: Collection[str]) -> int | None:
    if not isinstance(part, ast.A_Expr) or part.kind != A_Expr_Kind.AEXPR_BETWEEN or column_of(part.lexpr) not in keys:
        return None
    low, high = (number_of(one) for one in _elements(part.rexpr))
    return None if low is None or high is None else high - low + 1


def _limit_of(query: Any) -> int | None:
    return number_of(query.limitCount) if isinstance(query, ast.SelectStmt) else None


def _ranges(where: Any, keys: Collection[str]) -> Iterator[tuple[int, int]]:
    """Return, for each key with an upper end, the last value below its range and the last one in it."""
    for key in keys:
        lows, highs = [0], []
        for part in conjuncts(where):
            column, operator, value = comparison(part) or ("", "", None)
            number = number_of(value)
            if column != key or number is None:
                continue
            if operator in (">", ">="):
                lows.append(number - (operator == ">="))
            elif operator in ("<", "<="):
                highs.append(number - (operator == "<"))
        if highs:
            yield max(lows), min(highs)
