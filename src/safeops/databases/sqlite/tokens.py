"""SQL as SQLite splits it: tokens with their places, names, and lists in parentheses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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
    """A token, and where it stands."""

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
        """The name that it stands for."""
        if self.kind == "quoted" and self.text[0] == "[":
            return self.text[1:-1]
        if self.kind in ("quoted", "string"):
            return self.text[1:-1].replace(self.text[0] * 2, self.text[0])
        return self.text


def folded(name: str) -> str:
    """Return a name as SQLite compares it: only the letters of ASCII have no case."""
    return re.sub("[A-Z]+", lambda match: match.group().lower(), name)


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
    """Split a parenthesised list at its commas; return the parts, and where the text goes on behind it."""
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
