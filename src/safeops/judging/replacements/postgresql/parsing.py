"""Parses SQL of PostgreSQL, with the values of its placeholders, and writes parts of it as text again."""

from __future__ import annotations

import datetime
import decimal
import uuid
from dataclasses import dataclass, field
from typing import Any

from pglast import ast, parse_sql
from pglast.parser import ParseError
from pglast.stream import RawStream
from pglast.visitors import Visitor

from safeops.judging.replacements.placeholders import UNKNOWN, numbered
from safeops.naming import Name


@dataclass(frozen=True)
class Parsed:
    """The statements of a text, and the values of its placeholders."""

    statements: tuple[Any, ...] = ()
    values: list[Any] = field(default_factory=list)


def parsed(sql: str, parameters: Any) -> Parsed:
    """Parse a text; nothing if PostgreSQL would not understand it."""
    made = numbered(sql, parameters)
    try:
        return Parsed(tuple(statement.stmt for statement in parse_sql(made.sql)), made.values)
    except ParseError:
        return Parsed()


def text(node: Any) -> str:
    """Write a part of a statement as text."""
    return str(RawStream()(node))


def name_of(relation: Any) -> Name:
    return Name(relation.relname, relation.schemaname or None)


def columns_in(node: Any) -> list[str]:
    """Return the columns that an expression names."""
    found = _Columns()
    found(node)
    return list(dict.fromkeys(found.names))


class _Columns(Visitor):
    def __init__(self) -> None:
        self.names: list[str] = []

    def visit_ColumnRef(self, ancestors: Any, node: Any) -> None:
        self.names += [str(part.sval) for part in node.fields[-1:] if isinstance(part, ast.String)]


class _Unknown(Exception):
    """The value of a placeholder cannot be written as SQL."""


def constant(value: Any) -> Any:
    """Return the node of a value of Python."""
    match value:
        case None:
            return ast.A_Const(isnull=True)
        case bool():
            return ast.A_Const(val=ast.Boolean(boolval=value), isnull=False)
        case int() if abs(value) < 2**31:
            return ast.A_Const(val=ast.Integer(ival=value), isnull=False)
        case int() | float() | decimal.Decimal():
            return ast.A_Const(val=ast.Float(fval=str(value)), isnull=False)
        case str() | uuid.UUID() | datetime.date() | datetime.time():
            return ast.A_Const(val=ast.String(sval=str(value)), isnull=False)
    raise _Unknown


class Bound(Visitor):
    """Puts the values of the placeholders into a statement, and the name of the table in place of its alias."""

    def __init__(self, values: list[Any], alias: str | None, table: str) -> None:
        self.values, self.alias, self.table, self.complete = values, alias, table, True

    def visit_ParamRef(self, ancestors: Any, node: Any) -> Any:
        value = self.values[node.number - 1] if node.number <= len(self.values) else UNKNOWN
        try:
            return constant(value)
        except _Unknown:
            self.complete = False
            return None

    def visit_ColumnRef(self, ancestors: Any, node: Any) -> Any:
        first = node.fields[0]
        if self.alias and len(node.fields) > 1 and isinstance(first, ast.String) and first.sval == self.alias:
            return ast.ColumnRef(fields=(ast.String(sval=self.table), *node.fields[1:]))
        return None
