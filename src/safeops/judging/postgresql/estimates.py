"""Queries that estimate how many rows a statement works on, without running it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pglast import ast

from safeops.judging.postgresql.functions import is_volatile
from safeops.judging.postgresql.nodes import columns_in, functions_in, is_null, name_of, sql_of, walk
from safeops.judging.postgresql.splitting import statements
from safeops.naming import Name


@dataclass(frozen=True)
class Question:
    """Queries about one statement.

    Args:
        plan: The statement, to be planned; empty if a value of it is not known.
        whole: A query for all rows of its table; empty if there are several tables.
        counted: A query that counts the rows that meet its condition; empty if only the statement itself shows that.
        table: The table of the condition.
        columns: The columns that the condition is about.
    """

    plan: str
    whole: str = ""
    counted: str = ""
    table: Name = Name("")
    columns: tuple[str, ...] = ()


_PLANNED = (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)


def question(sql: str) -> Question | None:
    """Return the queries about a text; None if it is not a single statement with a plan."""
    found = statements(sql)
    node: Any = found[0].node if len(found) == 1 else None
    if not isinstance(node, _PLANNED):
        return None
    # The server cannot plan with parameters, and for an unknown value it would expect no rows.
    plan = "" if _has_unknown_values(node) else found[0].sql
    relation = _only_table(node)
    if relation is None:
        return Question(plan)
    table = sql_of(relation) or ""
    where = getattr(node, "whereClause", None)
    condition = f" WHERE {sql_of(where)}" if where is not None else ""
    can_count = not any(is_volatile(one) is not False for one in functions_in(where)) and bool(plan)
    counted = f"SELECT count(*) FROM {table}{condition}" if can_count else ""
    return Question(plan, f"SELECT FROM {table}", counted, name_of(relation), columns_in(where))


def _only_table(node: Any) -> Any:
    """Return the one table that a statement works on, if its condition is all that chooses the rows."""
    if isinstance(node, (ast.UpdateStmt, ast.DeleteStmt)):
        alone = (
            not (getattr(node, "fromClause", None) or getattr(node, "usingClause", None)) and node.withClause is None
        )
        return node.relation if alone else None
    return None


def _has_unknown_values(node: Any) -> bool:
    for one in walk(node):
        compares_null = isinstance(one, ast.A_Expr) and (is_null(one.lexpr) or is_null(one.rexpr))
        if isinstance(one, ast.ParamRef) or compares_null:
            return True
    return False
