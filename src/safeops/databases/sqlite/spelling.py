"""How SQLite spells what SQLAlchemy constructs request, and which spellings mean the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from safeops.databases import sqltext

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\n\f\r]+|--[^\n]*|/\*.*?(?:\*/|\Z))
  | (?P<string>[xX]?'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
  | (?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<word>(?:[A-Za-z_]|[^\x00-\x7f])(?:[A-Za-z0-9_$]|[^\x00-\x7f])*)
  | (?P<op>.)
    """,
    re.X | re.S,
)


@dataclass(frozen=True)
class Token:
    """A token and its place."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """The keyword that it may be; empty for a quoted name or a string."""
        return self.text.upper() if self.kind in ("word", "op") else ""

    @property
    def name(self) -> str:
        """The name without its quotes."""
        if self.kind == "quoted" and self.text[0] == "[":
            return self.text[1:-1]
        if self.kind in ("quoted", "string"):
            return self.text[1:-1].replace(self.text[0] * 2, self.text[0])
        return self.text


def folded(name: str) -> str:
    """Return a name as SQLite compares it: it ignores the case of A to Z alone."""
    return name.lower() if name.isascii() else re.sub("[A-Z]+", lambda match: match.group().lower(), name)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@lru_cache(maxsize=256)
def tokens(sql: str) -> tuple[Token, ...]:
    """Split SQL into tokens; white space and comments are left out."""
    found = ((match.lastgroup or "op", match) for match in _TOKEN.finditer(sql))
    return tuple(Token(kind, match.group(), match.start(), match.end()) for kind, match in found if kind != "space")


def items_of(sql: str, start: int = 0) -> list[str]:
    """Return the parts of the first list in parentheses at or after a token, and what follows it as the last one."""
    whole = tokens(sql)
    opened = next(place for place, token in enumerate(whole) if token.text == "(" and token.start >= start)
    found, end = items(whole, opened)
    return [*(sql[item[0].start : item[-1].end] for item in found), sql[end:].strip()]


def items(whole: Sequence[Token], opened: int) -> tuple[list[Sequence[Token]], int]:
    """Split a parenthesised list at its commas; return the parts, and the place of its end."""
    found, depth, first = [], 0, opened + 1
    for place in range(opened, len(whole)):
        text = whole[place].text
        depth += (text == "(") - (text == ")")
        if (depth == 1 and text == ",") or depth == 0:
            found.append(whole[first:place])
            first = place + 1
        if depth == 0:
            return found, whole[place].end
    raise ValueError(f"parentheses do not match: {[token.text for token in whole]}")


_SYNONYMS = {
    "integer": ("int", "int4"),
    "bigint": ("int8",),
    "smallint": ("int2",),
    "boolean": ("bool",),
    "varchar": ("character varying", "varying character"),
    "char": ("character",),
    "numeric": ("decimal", "dec"),
    "double precision": ("double", "float8"),
    "real": ("float4",),
}
_NAMES = {synonym: name for name, synonyms in _SYNONYMS.items() for synonym in synonyms}


def type_name(text: str) -> str:
    """Spell a declared type in lower case, by one name for each of the synonyms."""
    text = re.sub(r"\s*([(,)])\s*", r"\1", " ".join(text.lower().split()))
    name, bracket, arguments = text.partition("(")
    name = _NAMES.get(name, name)
    if name == "numeric" and bracket and "," not in arguments:
        arguments = arguments.replace(")", ",0)")
    return f"{name}{bracket}{arguments}"


def affinity(type_: str) -> str:
    """Return the affinity of a declared type: https://www.sqlite.org/datatype3.html#determination_of_column_affinity"""
    text = type_.upper()
    if "INT" in text:
        return "INTEGER"
    if any(part in text for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in text or not text:
        return "BLOB"
    return "REAL" if any(part in text for part in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


def split_collation(type_text: str) -> tuple[str, str | None]:
    """Take ``COLLATE "x"`` off a type."""
    match = re.match(r'^(.*?)\s+COLLATE\s+"?([^"]+)"?$', type_text, re.S | re.I)
    return (match[1], collation(match[2])) if match else (type_text, None)


def collation(name: str | None) -> str | None:
    """Spell a collation; BINARY is what a column has without one."""
    return None if name is None or name.upper() == "BINARY" else name.upper()


def default_value(text: str | None) -> str | None:
    """Spell a default; TRUE and FALSE are numbers to SQLite."""
    if text is None or text.upper() == "NULL":
        return None
    return {"true": "1", "false": "0"}.get(text.lower(), text)


def default_clause(text: str) -> str:
    """Put parentheses around a default that is an expression, as the grammar requires."""
    found = tokens(text)
    signed = len(found) == 2 and found[0].text in ("+", "-") and found[1].kind == "number"
    is_group = sqltext.is_one_group([token.text for token in found])
    return text if len(found) == 1 or signed or is_group else f"({text})"


def computed(expression: str, stored: bool) -> str:
    """Spell a generated column; that it is stored is a part of its definition."""
    return f"{sqltext.canonical(expression)} STORED" if stored else expression


_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def element(text: str, spelled: Callable[[str], str]) -> str:
    """Return one spelling of an index element: its name by ``spelled``, its collation and direction in lower case."""
    found = list(tokens(text))
    tail: list[str] = []
    if found[-1].word in ("ASC", "DESC"):
        tail = [" desc"] if found.pop().word == "DESC" else []
    if len(found) > 2 and found[-2].word == "COLLATE":
        name = collation(found[-1].name)
        tail = [f" collate {name.lower()}" if name else "", *tail]
        found = found[:-2]
    if len(found) > 1 or found[0].kind not in ("word", "quoted"):
        return "".join((text[found[0].start : found[-1].end], *tail))
    name = spelled(found[0].name)
    return "".join((name if _PLAIN.fullmatch(name) else quoted(name), *tail))
