"""Reads what was typed behind ``-x``: each value is data, and is written into a revision as a quoted string only."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from safeops.authoring.revisions.types import type_from_text


def plain(text: str) -> str:
    """A name, a value or SQL."""
    return text


class Expression(str):
    """SQL, where a column could stand."""

    __slots__ = ()


def names(text: str) -> list[str]:
    """Names, separated by the commas outside of parentheses; one in double quotes may have anything in it."""
    return [_unquoted(one) for one in _entries(text)]


def names_or_sql(text: str) -> list[str]:
    """Columns, and SQL: what has parentheses or ends as SQL does, unless double quotes say that it is a column."""
    return [Expression(one) if _SQL.search(_QUOTED.sub("", one)) else _unquoted(one) for one in _entries(text)]


_QUOTED = re.compile(r'^"(?:[^"]|"")+"$')
_SQL = re.compile(r"\(.*\)|\s(?:asc|desc|nulls\s+(?:first|last)|collate\s+\S+)$", re.IGNORECASE | re.DOTALL)


def _entries(text: str) -> list[str]:
    parts, depth, quoted = [""], 0, False
    for letter in text:
        # Only one that begins with a quote is quoted: others may be part of a name.
        quoted ^= letter == '"' and f"{parts[-1]}{letter}".lstrip().startswith('"')
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if letter == "," and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
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
    """A whole number from 1 on."""
    if not text.isdecimal() or not int(text):
        raise ValueError("a whole number from 1 on")
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


def type_(text: str) -> str:
    """A type, as code."""
    return type_from_text(text)


@dataclass(frozen=True)
class Argument:
    """An argument of a pattern: its name, an example, what it is, how it is read, and its other names."""

    name: str
    example: str
    help: str
    read: Callable[[str], Any] = plain
    aliases: tuple[str, ...] = ()


class Values:
    """The arguments of a pattern as attributes; one that was not given is None."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None
