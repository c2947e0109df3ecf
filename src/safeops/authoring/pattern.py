"""A pattern and its arguments, read from ``-x``: each value is data, and a revision has it as a quoted string only."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import sqlalchemy as sa
from sqlalchemy import dialects
from sqlalchemy.types import TypeEngine

from safeops.authoring.layout import literal
from safeops.databases import KINDS
from safeops.naming import Code, call


@dataclass(frozen=True)
class Argument:
    """An argument of a pattern: its name, an example, what it is, how it is read, and its other names."""

    name: str
    example: str
    help: str
    read: Callable[[str], Any] = str
    aliases: tuple[str, ...] = ()


Arguments = tuple[Argument, ...]


class Values:
    """The arguments of a pattern as attributes; the others are None."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None

    def call(self, helper: str, /, *arguments: Any, **keywords: Any) -> Code:
        """Write the call of a helper, in the schema of the pattern."""
        return call(helper, *arguments, **keywords, schema=self.schema)


@dataclass(frozen=True)
class Draft:
    """A revision that a pattern writes: code without layout, and notes for a reviewer.

    Args:
        upgrade: The body of ``upgrade()``.
        downgrade: The body of ``downgrade()``.
        module: What comes before both.
        phase: Which of several deploys it is, and what comes next; "{next}" becomes the command for the next phase.
        roll_back: What a reviewer must know beyond what ``downgrade()`` does.
        engine: The database it is for, if the project has several.
    """

    upgrade: str
    downgrade: str
    module: str = ""
    phase: str = "1 of 1."
    roll_back: str = ""
    engine: str | None = None


Write = Callable[[Values], Any]
"""Writes a ``Draft``, or the code of the value whose methods are the phases."""


@dataclass(frozen=True)
class Pattern:
    """A kind of change: its arguments, and the function that writes each phase."""

    name: str
    summary: str
    required: Arguments
    optional: Arguments
    phases: Mapping[str, Callable[[Values], Draft]]

    @property
    def arguments(self) -> Arguments:
        return (*self.required, *self.optional)


def phased(change: Write, texts: Mapping[str, str]) -> dict[str, Callable[[Values], Draft]]:
    """Return what writes each phase of a change; the texts are filled in with its arguments."""
    return {phase: partial(_phase, change, phase, text) for phase, text in texts.items()}


def _phase(change: Write, phase: str, text: str, given: Values) -> Draft:
    filled = text.format(**vars(given), next="{next}")
    return Draft(f"change.{phase}()", f"change.undo_{phase}()", f"change = {change(given)}", filled)


def sql(text: str | None) -> Code | None:
    """Write SQL with escaped colons: SQLAlchemy would read them as parameters."""
    return None if text is None else call("sa.text", re.sub(r"(?<![:\w\\]):(?=\w+(?!:))", r"\\:", text))


# Values of arguments --------------------------------------------------------------------------------------------------


class Expression(str):
    """SQL in the place of a column."""

    __slots__ = ()


def names(text: str) -> list[str]:
    """Names, separated by the commas outside of parentheses; one in double quotes may have anything in it."""
    return [_unquoted(entry) for entry in _entries(text)]


def names_or_sql(text: str) -> list[str]:
    """Columns, and SQL, which has parentheses or an SQL ending. An entry in double quotes is a column."""
    return [Expression(each) if _SQL.search(_QUOTED.sub("", each)) else _unquoted(each) for each in _entries(text)]


_QUOTED = re.compile(r'^"(?:[^"]|"")+"$')
_SQL = re.compile(r"\(.*\)|\s(?:asc|desc|nulls\s+(?:first|last)|collate\s+\S+)$", re.IGNORECASE | re.DOTALL)


def _entries(text: str) -> list[str]:
    parts, depth, quoted = [""], 0, False
    for character in text:
        # Only one that begins with a quote is quoted: others may be part of a name.
        quoted ^= character == '"' and f"{parts[-1]}{character}".lstrip().startswith('"')
        depth += 0 if quoted else (character == "(") - (character == ")")
        if character == "," and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    found = [part.strip() for part in parts]
    if not all(found) or quoted:
        raise ValueError("names separated by commas")
    return found


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if _QUOTED.match(name) else name


def flag(text: str) -> bool:
    """Yes or no."""
    words = {"yes": True, "true": True, "1": True, "on": True, "no": False, "false": False, "0": False, "off": False}
    if text.lower() not in words:
        raise ValueError("yes or no")
    return words[text.lower()]


def number(text: str) -> int:
    """A whole number, at least 1."""
    if not text.isdecimal() or not int(text):
        raise ValueError("a whole number, at least 1")
    return int(text)


def one_of(*words: str) -> Callable[[str], str]:
    """One of some words, in any case, with spaces or underscores."""

    def read(text: str) -> str:
        word = " ".join(re.split(r"[\s_-]+", text.upper()))
        if word not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return word

    return read


def referent(text: str) -> tuple[str | None, str, list[str]]:
    """A table, ``table.column``, ``schema.table.column`` or ``table(a, b)``: its schema, name and columns."""
    if whole := re.fullmatch(rf"(?:{_PART}\.)?{_PART}\((.+)\)", text):
        return whole[1] and _unquoted(whole[1]), _unquoted(whole[2]), names(whole[3])
    match = re.fullmatch(rf"{_PART}(?:\.{_PART})?(?:\.{_PART})?", text)
    if not match:
        raise ValueError("table.column, schema.table.column or table(a, b)")
    parts = [_unquoted(part) for part in match.groups() if part]
    schema = parts.pop(0) if len(parts) == 3 else None
    return schema, parts[0], parts[1:]


_PART = r'("(?:[^"]|"")+"|[^.()]+)'


# Types ----------------------------------------------------------------------------------------------------------------


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
    """Return a type as code; raise ValueError with what is expected if SQLAlchemy has no such type."""
    spoken, bracket, arguments = (part.strip() for part in text.partition("("))
    known = _SPOKEN.get(re.sub(r"\s+", " ", spoken.lower()))
    if known:
        text = known if "(" in known else known + (bracket + arguments or "()")
    try:
        return _typed(ast.parse(text, mode="eval").body)[0]
    except (SyntaxError, ValueError, TypeError, sa.exc.SQLAlchemyError) as error:
        raise ValueError(_EXPECTED) from error


def _typed(node: ast.expr) -> tuple[str, Any]:
    """Return a type, or an argument of one, as code and as a value; only types are called."""
    if isinstance(node, (ast.Name, ast.Attribute)):
        code, class_ = _class(node)
        return f"{code}()", class_()
    if isinstance(node, ast.Call):
        code, class_ = _class(node.func)
        given = [_argument(argument) for argument in node.args]
        named = {str(keyword.arg): _argument(keyword.value) for keyword in node.keywords if keyword.arg}
        if len(named) < len(node.keywords):
            raise ValueError
        type_ = class_(*(value for _, value in given), **{name: value for name, (_, value) in named.items()})
        texts = [*(text for text, _ in given), *(f"{name}={text}" for name, (text, _) in named.items())]
        return f"{code}({', '.join(texts)})", type_
    raise ValueError


def _argument(node: ast.expr) -> tuple[str, Any]:
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_argument(item) for item in node.elts]
        return f"[{', '.join(text for text, _ in items)}]", [value for _, value in items]
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return _typed(node)
    return literal(value) if isinstance(value, str) else repr(value), value


def _class(node: ast.expr) -> tuple[str, type[Any]]:
    words = ast.unparse(node).removeprefix("sqlalchemy.").removeprefix("dialects.").split(".")
    for home, module in _homes(words):
        folded = words[0].lower() if len(words) == 1 else None
        alike = [name for name in dir(module) if name == words[-1] or name.lower() == folded]
        # As typed; else Text rather than TEXT.
        for name in sorted(alike, key=lambda name: (name != words[-1], name.isupper())):
            class_ = getattr(module, name)
            if isinstance(class_, type) and issubclass(class_, TypeEngine):
                return f"{home}.{name}", class_
    raise ValueError


def _homes(words: list[str]) -> Iterator[tuple[str, Any]]:
    if len(words) > 2:
        return
    if len(words) == 1 or words[0] == "sa":
        yield "sa", sa
    for name in (kind for kind in KINDS if kind in dialects.__all__):
        if len(words) == 1 or words[0] == name:
            yield name, import_module(f"sqlalchemy.dialects.{name}")
