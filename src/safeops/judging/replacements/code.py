"""Writes columns, types, defaults and expressions out as code, as a revision has them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import conv

from safeops import naming
from safeops.databases import Database
from safeops.naming import Code, call


def with_imports(code: str) -> str:
    """Return code that imports the modules of its types itself, other than ``sa`` and ``op``."""
    modules = sorted({match[1] for match in _MODULE.finditer(code) if match[1]} - {"sa", "op"})
    return "\n".join([*(_import_of(module) for module in modules), code])


_MODULE = re.compile(r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|#[^\n]*)|(?<![\w.)\]])([a-z_][\w.]*)\.[A-Z]\w*(?=\()""")


def _import_of(module: str) -> str:
    return f"import {module}" if "." in module else f"from sqlalchemy.dialects import {module}"


def type_code(type_: Any) -> Code:
    """Write a type as an author would: its length without a keyword, its strings in double quotes."""
    code = str(naming.type_code(sa.types.to_instance(type_)))
    code = code.replace("(length=", "(").replace("(astext_type=sa.Text())", "()")
    return Code(_PLAIN_STRING.sub(r'"\1"', code))


_PLAIN_STRING = re.compile(r"""'([^'"\\]*)'""")


def columns_code(columns: Iterable[Any], database: Database) -> list[Any]:
    """Write the columns and expressions of an index."""
    return [element_code(element, database) for element in columns]


def element_code(element: Any, database: Database) -> Any:
    """Return a name as it is, and write an expression as text."""
    if isinstance(element, str):
        return str(element)
    return element.name if isinstance(element, sa.Column) else text_code(element, database)


def text_code(expression: Any, database: Database) -> Code:
    """Write an expression as ``sa.text()``, or as the function of SQLAlchemy that it is."""
    if isinstance(expression, sa.sql.functions.FunctionElement) and not list(expression.clauses):
        return Code(f"sa.func.{getattr(expression, 'name', 'now')}()")
    if isinstance(expression, (sa.sql.elements.True_, sa.sql.elements.False_)):
        return Code(f"sa.{str(expression).lower()}()")
    return Code(call("sa.text", escaped(sql_of(expression, database))))


def sql_of(expression: Any, database: Database) -> str:
    """Return an expression as the server reads it; text is kept as it is written."""
    if isinstance(expression, str):
        return expression
    if isinstance(expression, sa.TextClause) and not _has_parameters(expression):
        return _ESCAPED.sub(":", expression.text)
    return database.part_text(expression)


def _has_parameters(text: sa.TextClause) -> bool:
    return bool(text.compile().params)


_ESCAPED = re.compile(r"\\:")
_PARAMETER = re.compile(r"(?<![:\w$\\]):(?=[\w$]+(?![:\w$]))")


def escaped(sql: str) -> str:
    """Return what ``sa.text()`` reads as this very text."""
    return _PARAMETER.sub(r"\\:", sql)


def default_code(default: Any, database: Database) -> Code | None:
    """Write a server default; None if there is none."""
    arg = getattr(default, "arg", default)
    if arg is None or arg is False:
        return None
    return constant_code(arg) if isinstance(arg, str) else text_code(arg, database)


def constant_code(value: Any) -> Code:
    """Write a constant of Python."""
    return Code(call("", value)[1:-1])


def value_code(default: Any, database: Database) -> Code | None:
    """Write a server default as the value that rows are filled with."""
    code = default_code(default, database)
    return (
        Code(f"sa.literal({code})") if code is not None and isinstance(getattr(default, "arg", default), str) else code
    )


def name_code(name: Any, *, of_check: bool = False) -> Any:
    """Write the name of a constraint; that of a check keeps ``op.f()``, which no naming convention changes."""
    if name is None or not isinstance(name, str):
        return None
    return Code(call("op.f", str(name))) if of_check and isinstance(name, conv) else str(name)


def options_code(options: dict[str, Any], database: Database) -> dict[str, Any]:
    """Write the keywords of a call, without those that have no effect."""
    return {key: _option(value, database) for key, value in options.items() if value is not None and value is not False}


def _option(value: Any, database: Database) -> Any:
    if isinstance(value, sa.sql.ClauseElement):
        return text_code(value, database)
    if isinstance(value, dict):
        return {str(key): str(one) for key, one in value.items()}
    return value


# Columns --------------------------------------------------------------------------------------------------------


def column_code(column: sa.Column[Any], database: Database, **changes: Any) -> Code:
    """Write a column with all that belongs to it.

    Args:
        column: The column.
        database: The database that its expressions are for.
        changes: Keywords that replace those of the column; None removes one.
    """
    return Code(
        call(
            "sa.Column",
            str(column.name),
            type_code(column.type),
            *_parts(column, database),
            **{**_keywords(column, database), **changes},
        )
    )


def _parts(column: sa.Column[Any], database: Database) -> list[Code]:
    keys = sorted(column.foreign_keys, key=lambda key: key.target_fullname)
    checks = [check for check in column.constraints if isinstance(check, sa.CheckConstraint)]
    return [
        *(_foreign_key(key) for key in keys),
        *(_check(check, database) for check in checks),
        *([generated_code(column, database)] if column.computed is not None or column.identity is not None else []),
    ]


def _foreign_key(key: sa.ForeignKey) -> Code:
    words = ("onupdate", "ondelete", "deferrable", "initially", "match")
    named = {"name": name_code(key.name), **{word: getattr(key, word) for word in words}}
    return call("sa.ForeignKey", key.target_fullname, **named)


def _check(check: sa.CheckConstraint, database: Database) -> Code:
    return call("sa.CheckConstraint", sql_of(check.sqltext, database), name=name_code(check.name, of_check=True))


def generated_code(column: sa.Column[Any], database: Database) -> Code:
    """Write the identity or the expression of a column whose values are the server's."""
    if column.computed is not None:
        return call("sa.Computed", sql_of(column.computed.sqltext, database), persisted=column.computed.persisted)
    identity: Any = column.identity
    words = ("start", "increment", "minvalue", "maxvalue", "nominvalue", "nomaxvalue", "cycle", "cache")
    return call(
        "sa.Identity", always=identity.always or None, **{word: getattr(identity, word, None) for word in words}
    )


def _keywords(column: sa.Column[Any], database: Database) -> dict[str, Any]:
    is_generated = column.computed is not None or column.identity is not None
    return {
        "primary_key": column.primary_key or None,
        "nullable": None if column.nullable or column.primary_key else False,
        "server_default": None if is_generated else default_code(column.server_default, database),
        "index": column.index or None,
        "unique": column.unique or None,
        "comment": column.comment,
    }
