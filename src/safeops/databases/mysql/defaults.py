"""Server defaults as MySQL takes them: it copies the table to add a column whose default is in parentheses.

https://dev.mysql.com/doc/refman/9.7/en/data-type-defaults.html
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler

from safeops.databases.mysql import spelling
from safeops.databases.mysql.showcreate import Definition

LITERAL = re.compile(
    r"""(?:[nxb]|_[a-z0-9]+\s*)?'(?:[^'\\]|''|\\.)*' | "(?:[^"\\]|""|\\.)*" | 0x[0-9a-f]+ | 0b[01]+
    | [+-]?\s*(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)? | NULL | TRUE | FALSE""",
    re.I | re.S | re.X,
)
NOW = re.compile(r"(?:now|current_timestamp|localtimestamp|localtime)(?:\s*\(\s*(\d?)\s*\))?", re.I)
_MOMENT = re.compile(r"(?:datetime|timestamp)(?:\((\d)\))?$")
_EXPRESSIONS_ONLY = re.compile(r"(?:tiny|medium|long)?(?:text|blob)|json|geom|point|linestring|polygon|multi", re.I)


def clause(default: str, type_: str) -> str:
    """Spell a default for a column: without parentheses where MySQL takes that."""
    bare = spelling.without_parentheses(default.strip())
    if re.search(r"\bON\s+UPDATE\b", default, re.I):
        return default
    return bare if _is_taken_bare(bare, type_) else f"({bare})"


def _is_taken_bare(default: str, type_: str) -> bool:
    if now := NOW.fullmatch(default):
        moment = _MOMENT.match(spelling.type_name(type_))
        return moment is not None and (moment[1] or "0") == (now[1] or "0")
    if default.upper() == "NULL":
        return True
    return LITERAL.fullmatch(default) is not None and not needs_expression(type_)


def needs_expression(type_: str) -> bool:
    """Tell whether columns of the type take a default as an expression alone."""
    return _EXPRESSIONS_ONLY.match(type_.strip()) is not None


def respelled(found: Definition) -> Definition:
    """Spell the default of a definition as its type takes it: TEXT wants an expression, a moment its own digits."""
    type_, default, on_update = found.clauses["type"], found.get("DEFAULT"), found.get("ON UPDATE")
    if default is None:
        return found
    moment = _MOMENT.match(spelling.type_name(type_))
    digits = f"({moment[1]})" if moment and moment[1] else ""
    if moment and NOW.fullmatch(default):
        default, on_update = f"CURRENT_TIMESTAMP{digits}", on_update and f"CURRENT_TIMESTAMP{digits}"
    return found.with_(DEFAULT=clause(default, type_), ON_UPDATE=on_update)


def needs_definition(default: str | None, type_: str) -> bool:
    """Tell whether the default can be set, or be taken away, by the column's whole definition alone."""
    if default is None:
        return needs_expression(type_)
    bare = spelling.without_parentheses(default.strip())
    takes = LITERAL if needs_expression(type_) else NOW
    return takes.fullmatch(bare) is not None


def is_constant(expression: str) -> bool:
    """Tell whether an expression is sure to have the same value for each row: it calls nothing."""
    strings = r"'(?:[^'\\]|''|\\.)*'"
    return not re.search(r"\w\s*\(|\bcurrent_|\blocaltime|\butc_", re.sub(strings, "", expression), re.I)


class SpelledDDL(MySQLDDLCompiler):
    """Compiles columns as SQLAlchemy does, with each default as ``clause`` spells it."""

    def get_column_specification(self, column: sa.Column[Any], **kw: Any) -> str:
        whole = super().get_column_specification(column, **kw)
        default = self.get_column_default_string(column)
        written = (f"DEFAULT ({default})", f"DEFAULT {default}")
        tail = next((one for one in written if default is not None and whole.endswith(one)), None)
        if default is None or tail is None:
            return whole
        type_ = self.dialect.type_compiler_instance.process(column.type)
        return f"{whole.removesuffix(tail)}DEFAULT {clause(default, type_)}"
