"""Reads the type of a column as a person types it: ``bigint``, ``varchar(50)``, ``sa.Numeric(10, 2)``, ``jsonb``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import sqlalchemy as sa
from sqlalchemy import dialects
from sqlalchemy.types import TypeEngine

from safeops.authoring.revisions.layout import literal
from safeops.databases import KINDS

_SPOKEN = {
    "bigint": "BigInteger",
    "binary": "LargeBinary",
    "blob": "LargeBinary",
    "bool": "Boolean",
    "bytea": "LargeBinary",
    "bytes": "LargeBinary",
    "char": "CHAR",
    "character varying": "String",
    "decimal": "Numeric",
    "double precision": "Double",
    "int": "Integer",
    "int2": "SmallInteger",
    "int4": "Integer",
    "int8": "BigInteger",
    "smallint": "SmallInteger",
    "str": "String",
    "timestamp": "DateTime",
    "timestamp with time zone": "DateTime(timezone=True)",
    "timestamp without time zone": "DateTime",
    "timestamptz": "DateTime(timezone=True)",
    "uuid": "Uuid",
    "varchar": "String",
}
_EXPECTED = (
    "a type of SQLAlchemy, such as bigint, text, varchar(50), numeric(10,2), timestamptz, jsonb, sa.BigInteger() or"
    ' sa.Enum("new", "old", name="state")'
)


def type_from_text(text: str) -> str:
    """Return a type as code; raise ValueError, saying what is expected, where it is not one that SQLAlchemy has."""
    spoken, bracket, arguments = (part.strip() for part in text.partition("("))
    known = _SPOKEN.get(re.sub(r"\s+", " ", spoken.lower()))
    if known:
        text = known if "(" in known else known + (bracket + arguments or "()")
    try:
        return _written(ast.parse(text, mode="eval").body)[0]
    except (SyntaxError, ValueError, TypeError, sa.exc.SQLAlchemyError) as error:
        raise ValueError(_EXPECTED) from error


def _written(node: ast.expr) -> tuple[str, Any]:
    """Return a type, or an argument of one, as code and as what it is; nothing is called but types."""
    if isinstance(node, (ast.Name, ast.Attribute)):
        code, class_ = _class(node)
        return f"{code}()", class_()
    if isinstance(node, ast.Call):
        code, class_ = _class(node.func)
        given = [_argument(one) for one in node.args]
        named = {str(one.arg): _argument(one.value) for one in node.keywords if one.arg}
        if len(named) < len(node.keywords):
            raise ValueError
        type_ = class_(*(value for _, value in given), **{name: value for name, (_, value) in named.items()})
        written = [*(text for text, _ in given), *(f"{name}={text}" for name, (text, _) in named.items())]
        return f"{code}({', '.join(written)})", type_
    raise ValueError


def _argument(node: ast.expr) -> tuple[str, Any]:
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_argument(one) for one in node.elts]
        return f"[{', '.join(text for text, _ in items)}]", [value for _, value in items]
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return _written(node)
    return literal(value) if isinstance(value, str) else repr(value), value


def _class(node: ast.expr) -> tuple[str, type[Any]]:
    words = ast.unparse(node).removeprefix("sqlalchemy.").removeprefix("dialects.").split(".")
    for home, module in _homes(words):
        alike = [
            one for one in dir(module) if one == words[-1] or (len(words) == 1 and one.lower() == words[0].lower())
        ]
        # As typed; else Text rather than TEXT.
        for name in sorted(alike, key=lambda one: (one != words[-1], one.isupper())):
            class_ = getattr(module, name)
            if isinstance(class_, type) and issubclass(class_, TypeEngine):
                return f"{home}.{name}", class_
    raise ValueError


def _homes(words: list[str]) -> Iterator[tuple[str, Any]]:
    if len(words) > 2:
        return
    if len(words) == 1 or words[0] == "sa":
        yield "sa", sa
    for name in (one for one in KINDS if one in dialects.__all__):
        if len(words) == 1 or words[0] == name:
            yield name, import_module(f"sqlalchemy.dialects.{name}")
