"""What the constraints of a table prove of its rows."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pglast import ast
from pglast.enums import BoolExprType, NullTestType

from safeops.judging.existing import KnownTable
from safeops.judging.postgresql.nodes import column_of, comparison, conjuncts, value_of

expression = lru_cache(maxsize=512)(value_of)


def valid_checks(table: KnownTable) -> list[Any]:
    """Return the conditions of the valid checks of a table, split at AND."""
    checks = [each for each in table.constraints.values() if each.kind == "check" and each.valid]
    return [part for each in checks for part in conjuncts(expression(each.expression))]


def has_check(table: KnownTable, column: str) -> bool:
    """Return whether a check is about a column; one that is not valid is not verified again either."""
    checks = [each for each in table.constraints.values() if each.kind == "check" and each.valid]
    return any(column in each.columns for each in checks)


def proves_not_null(table: KnownTable, column: str) -> bool:
    """Return whether a valid check proves that a column is not null, by PostgreSQL's own criteria."""
    valid = [each for each in table.constraints.values() if each.kind == "not null" and each.valid]
    return any(column in each.columns for each in valid) or any(
        _says_not_null(part, column) for part in valid_checks(table)
    )


def _says_not_null(part: Any, column: str) -> bool:
    if isinstance(part, ast.NullTest):
        return part.nulltesttype == NullTestType.IS_NOT_NULL and column_of(part.arg) == column
    if isinstance(part, ast.BoolExpr) and part.boolop == BoolExprType.NOT_EXPR:
        inner = (part.args or (None,))[0]
        return (
            isinstance(inner, ast.NullTest)
            and inner.nulltesttype == NullTestType.IS_NULL
            and column_of(inner.arg) == column
        )
    return False


def comparisons(table: KnownTable) -> list[tuple[str, str, Any]]:
    """Return the comparisons of a column with one value in the valid checks of a table."""
    return [found for part in valid_checks(table) if (found := comparison(part)) is not None]
