"""Reads what an UPDATE or a DELETE of PostgreSQL does to which rows."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from pglast import ast, enums

from safeops.judging import operations
from safeops.judging.replacements.postgresql.parsing import Bound, Parsed, name_of, text
from safeops.judging.replacements.replacement import About, keys_of
from safeops.judging.replacements.rows import Rows


def of(parsed: Parsed, about: About, repeated: bool) -> Rows | None:
    """Return what the first statement on the table of an operation does; None if it has parts that no backfill has."""
    name = about.operation.table
    kind = ast.UpdateStmt if about.operation.kind == operations.UPDATE else ast.DeleteStmt
    key = {column for columns in (keys_of(about, name) if name else None) or () for column in columns}
    for statement in parsed.statements:
        if isinstance(statement, kind) and name_of(statement.relation).name == getattr(name, "name", None):
            return _read(statement, parsed.values, repeated or _is_batch(statement.whereClause, key))
    return None


def _is_batch(where: Any, key: set[str]) -> bool:
    """Return whether a condition takes a range of the key between two placeholders, as a loop over batches does."""
    ranges = [part for part in _parts(where) if _is_range(part) and part.lexpr.fields[-1].sval in key]
    signs = {part.name[0].sval for part in ranges}
    return "BETWEEN" in signs or {"<", ">"} <= {sign[0] for sign in signs}


def _read(statement: Any, values: list[Any], repeated: bool) -> Rows | None:
    targets = getattr(statement, "targetList", None) or ()
    if any(isinstance(target.val, ast.MultiAssignRef) or target.indirection for target in targets):
        return None
    where = statement.whereClause
    if repeated:
        if any(_names_one_row(part) for part in _parts(where)) or any(_varies(target.val) for target in targets):
            return None
        statement.whereClause = _joined([part for part in _parts(where) if not _is_range(part)])
    alias = statement.relation.alias.aliasname if statement.relation.alias else None
    bound = Bound(values, alias, statement.relation.relname)
    bound(statement)
    return _rows(statement, targets) if bound.complete else None


def _rows(statement: Any, targets: Any) -> Rows | None:
    others = getattr(statement, "fromClause", None) or getattr(statement, "usingClause", None)
    where = text(statement.whereClause) if statement.whereClause else None
    before = _with(statement.withClause) if statement.withClause else ""
    if before and (not others or _writes(statement.withClause)):
        return None
    if not others:
        return Rows({target.name: value_of(target.val) for target in targets}, where)
    source = f"FROM {', '.join(map(text, others))}" + (f" WHERE {where}" if where else "")
    values = {target.name: value_of(target.val) for target in targets}
    read = {
        column: sa.text(f"({before}SELECT {value.text} {source})") if isinstance(value, sa.TextClause) else value
        for column, value in values.items()
    }
    return Rows(read, f"EXISTS ({before}SELECT 1 {source})")


def _with(clause: Any) -> str:
    return f"WITH {'RECURSIVE ' if clause.recursive else ''}{', '.join(map(text, clause.ctes))} "


def _writes(clause: Any) -> bool:
    """Return whether a WITH changes rows itself."""
    return not all(isinstance(one.ctequery, ast.SelectStmt) for one in clause.ctes)


def value_of(node: Any) -> Any:
    """Return a value as a constant of Python, or as SQL."""
    match node:
        case ast.A_Const(isnull=True):
            return None
        case ast.A_Const(val=ast.String(sval=value)) | ast.A_Const(val=ast.Integer(ival=value)):
            return value
        case ast.A_Const(val=ast.Boolean(boolval=value)):
            return value
        case ast.TypeCast(arg=ast.A_Const(val=ast.String(sval=value)), typeName=type_) if text(type_).startswith(
            ("varchar", "text", "char")
        ):
            return value
    return sa.text(text(node))


# A loop over the keys -------------------------------------------------------------------------------------------


def _parts(where: Any) -> list[Any]:
    """Return the conditions that must all hold."""
    if isinstance(where, ast.BoolExpr) and where.boolop == enums.BoolExprType.AND_EXPR:
        return [inner for part in where.args or () for inner in _parts(part)]
    return [] if where is None else [where]


def _joined(parts: list[Any]) -> Any:
    if len(parts) < 2:
        return parts[0] if parts else None
    return ast.BoolExpr(boolop=enums.BoolExprType.AND_EXPR, args=tuple(parts))


def _is_range(part: Any) -> bool:
    """Return whether a condition compares a column with values that each round of a loop gives."""
    if not isinstance(part, ast.A_Expr) or not isinstance(part.lexpr, ast.ColumnRef):
        return False
    right = part.rexpr if isinstance(part.rexpr, tuple) else (part.rexpr,)
    return all(_varies(one) for one in right)


def _names_one_row(part: Any) -> bool:
    return _is_range(part) and part.kind == enums.A_Expr_Kind.AEXPR_OP and part.name[0].sval == "="


def _varies(node: Any) -> bool:
    """Return whether a value is a placeholder, which a loop may fill differently each time."""
    while isinstance(node, ast.TypeCast):
        node = node.arg
    return isinstance(node, ast.ParamRef)
