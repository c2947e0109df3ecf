"""What the nodes of PostgreSQL's parser mean: names, types, conditions, and SQL as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType
from pglast.parser import ParseError
from pglast.stream import RawStream

from safeops.naming import Name

_INTERNAL = {
    "int2": "smallint",
    "int4": "integer",
    "int": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "bpchar": "character",
    "char": '"char"',
    "varchar": "character varying",
    "varbit": "bit varying",
    "decimal": "numeric",
}
_TIMES = {
    "timestamp": "without time zone",
    "timestamptz": "with time zone",
    "time": "without time zone",
    "timetz": "with time zone",
}
SERIAL = {
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
    "smallserial": "smallint",
    "serial2": "smallint",
}


def name_of(relation: Any) -> Name:
    """Return the name of a table as a RangeVar has it."""
    return Name(relation.relname, relation.schemaname or None)


def dotted(parts: Any) -> Name:
    """Return the name that a list of strings means, with its schema if there is one."""
    words = words_of(parts)
    return Name(words[-1], words[-2] if len(words) > 1 else None)


def words_of(parts: Any) -> list[str]:
    """Return the texts of a list of strings, or of one."""
    listed = parts if isinstance(parts, (list, tuple)) else [parts]
    return [str(one.sval) for one in listed or () if isinstance(one, ast.String)]


def sql_of(node: Any) -> str | None:
    """Return the SQL of an expression; None of none."""
    return None if node is None else str(RawStream()(node))


def walk(node: Any) -> Iterator[Any]:
    """Go through a node and all below it."""
    if isinstance(node, (list, tuple)):
        for one in node:
            yield from walk(one)
    elif isinstance(node, ast.Node):
        yield node
        for attribute in node:
            yield from walk(getattr(node, attribute))


def functions_in(node: Any) -> list[Name]:
    """Return the functions that an expression calls, in order."""
    return [_without_catalogue(dotted(one.funcname)) for one in walk(node) if isinstance(one, ast.FuncCall)]


def columns_in(node: Any) -> tuple[str, ...]:
    """Return the columns that an expression names, each once; "*" for all of a table."""
    found = [one for one in walk(node) if isinstance(one, ast.ColumnRef)]
    names = [(words_of(one.fields) or ["*"])[-1] if not _is_whole(one) else "*" for one in found]
    return tuple(dict.fromkeys(names))


def _is_whole(reference: Any) -> bool:
    return isinstance(reference.fields[-1], ast.A_Star)


def _without_catalogue(name: Name) -> Name:
    return name.at("pg_catalog")


def value_of(sql: str) -> Any:
    """Return the node of an expression; None if the parser does not understand it."""
    try:
        statement: Any = parse_sql(f"SELECT {sql}")[0].stmt
        return statement.targetList[0].val
    except (ParseError, TypeError, IndexError):
        return None


# Types ---------------------------------------------------------------------------------------------------------------


def type_text(type_: Any) -> str | None:
    """Return a type as the server itself writes it: "character varying(100)"."""
    if type_ is None:
        return None
    words = words_of(type_.names)
    plain = words[-1] if len(words) == 1 or words[0] == "pg_catalog" else ".".join(words)
    modifiers = [number_of(one) for one in type_.typmods or ()]
    written = "(" + ",".join(str(one) for one in modifiers) + ")" if None not in modifiers and modifiers else ""
    return _spelt(SERIAL.get(plain, plain), written) + "[]" * len(type_.arrayBounds or ())


def _spelt(plain: str, modifiers: str) -> str:
    if plain in _TIMES:
        return f"{plain.removesuffix('tz')}{modifiers} {_TIMES[plain]}"
    return f"{_INTERNAL.get(plain, plain)}{modifiers}" if plain != "interval" else plain


def is_serial(type_: Any) -> bool:
    return type_ is not None and words_of(type_.names)[-1:] != [] and words_of(type_.names)[-1] in SERIAL


# Values and conditions -----------------------------------------------------------------------------------------------


def number_of(node: Any) -> int | None:
    """Return the whole number that a constant is; None if it is something else."""
    if isinstance(node, ast.TypeCast):
        return number_of(node.arg)
    if isinstance(node, ast.A_Expr) and words_of(node.name) == ["-"] and node.lexpr is None:
        positive = number_of(node.rexpr)
        return None if positive is None else -positive
    value: Any = node.val if isinstance(node, ast.A_Const) else None
    if isinstance(value, ast.Integer):
        return int(value.ival or 0)
    text = getattr(value, "fval", None) or getattr(value, "sval", None) or ""
    return int(text) if text.lstrip("-").isdigit() else None


def text_of(node: Any) -> str | None:
    """Return the text of a constant as a setting takes it; None if it is something else."""
    if isinstance(node, ast.TypeCast):
        return text_of(node.arg)
    value = node.val if isinstance(node, ast.A_Const) else None
    if isinstance(value, ast.Integer):
        return str(value.ival or 0)
    for attribute in ("sval", "fval"):
        if hasattr(value, attribute):
            return str(getattr(value, attribute))
    return str(value.boolval).lower() if isinstance(value, ast.Boolean) else None


def is_constant(node: Any) -> bool:
    """Return whether an expression is a value that the text shows, or a parameter."""
    if isinstance(node, ast.TypeCast):
        return is_constant(node.arg)
    if isinstance(node, ast.A_Expr) and node.lexpr is None:
        return is_constant(node.rexpr)
    return isinstance(node, (ast.A_Const, ast.ParamRef))


def is_null(node: Any) -> bool:
    if isinstance(node, ast.TypeCast):
        return is_null(node.arg)
    return isinstance(node, ast.A_Const) and bool(node.isnull)


def column_of(node: Any) -> str | None:
    """Return the column that an expression is, without its table; None if it is something else."""
    if isinstance(node, ast.TypeCast):
        return column_of(node.arg)
    words = words_of(node.fields) if isinstance(node, ast.ColumnRef) else []
    return words[-1] if words else None


def conjuncts(node: Any) -> list[Any]:
    """Return the conditions that must all hold for one to hold."""
    if isinstance(node, ast.BoolExpr) and node.boolop == BoolExprType.AND_EXPR:
        return [part for one in node.args or () for part in conjuncts(one)]
    return [] if node is None else [node]


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}


def comparison(node: Any) -> tuple[str, str, Any] | None:
    """Return (column, operator, value) of a condition that compares a column with one value; None of others."""
    if not isinstance(node, ast.A_Expr) or node.kind != A_Expr_Kind.AEXPR_OP:
        return None
    operator = words_of(node.name)[-1]
    left, right = column_of(node.lexpr), column_of(node.rexpr)
    if operator not in _MIRRORED or (left is None) == (right is None):
        return None
    return (left, operator, node.rexpr) if left is not None else (str(right), _MIRRORED[operator], node.lexpr)
