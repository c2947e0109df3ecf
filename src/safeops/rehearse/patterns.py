"""Texts that match a pattern: a regular expression, or one of LIKE, as a sequence of places with the characters allowed."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

WORD = string.ascii_lowercase + string.digits
NAMED = {"d": string.digits, "w": WORD, "s": " ", "D": string.ascii_lowercase, "W": "-", "S": WORD}
POSIX = {
    "digit": string.digits,
    "alpha": string.ascii_lowercase,
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "alnum": WORD,
    "space": " ",
    "xdigit": "0123456789abcdef",
}
FREE = 6
"""How often a part without a limit is repeated."""
Places = list[str]
"""The characters that each place of a text may have."""


class Unreadable(Exception):
    """The pattern has a form that is not read here."""


def places_of(pattern: str) -> Places | None:
    """Return the places of texts that match a regular expression; None if it has a form that is not read here."""
    try:
        reader = _Reader(pattern.removeprefix("^").removesuffix("$"))
        places = reader.branch()
        return places if reader.ended and places else None
    except (Unreadable, IndexError, ValueError):
        return None


def places_of_like(pattern: str) -> Places | None:
    """Return the places of texts that match a pattern of LIKE; None if it has no wildcard."""
    if not re.search("[%_]", pattern):
        return None
    places: Places = []
    for part in re.findall(r"\\.|.", pattern, re.DOTALL):
        places += [WORD] * FREE if part == "%" else [string.ascii_lowercase] if part == "_" else [part[-1]]
    return places


class _Reader:
    """Reads a regular expression from left to right; of alternatives it takes the first."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0

    @property
    def ended(self) -> bool:
        return self.at >= len(self.pattern)

    def take(self) -> str:
        self.at += 1
        return self.pattern[self.at - 1]

    def branch(self) -> Places:
        places: Places = []
        while not self.ended and self.pattern[self.at] not in "|)":
            one = self.atom()
            places += one * self.times()
        while not self.ended and self.pattern[self.at] == "|":
            self.at += 1
            self.branch()
        return places

    def atom(self) -> Places:
        found = self.take()
        if found == "(":
            self.at += 2 if self.pattern.startswith("?:", self.at) else 0
            inner = self.branch()
            if self.take() != ")":
                raise Unreadable
            return inner
        if found == "[":
            return [self.characters()]
        if found == "\\":
            escaped = self.take()
            return [NAMED.get(escaped, escaped)]
        if found in "^$*+?{":
            raise Unreadable
        return [WORD if found == "." else found]

    def characters(self) -> str:
        end = self.pattern.index("]", self.at + 1)
        while self.pattern.startswith("[:", self.at) and self.pattern[end - 1] == ":" and self.pattern[end + 1] != "]":
            end = self.pattern.index("]", end + 1)
        end += self.pattern[end - 1] == ":"
        inside, self.at = self.pattern[self.at : end], end + 1
        allowed = "".join(_members(inside.removeprefix("^")))
        if inside.startswith("^"):
            allowed = "".join(one for one in WORD if one not in allowed)
        if not allowed:
            raise Unreadable
        return allowed

    def times(self) -> int:
        if self.ended or self.pattern[self.at] not in "*+?{":
            return 1
        sign = self.take()
        if sign == "{":
            low, _, high = self.pattern[self.at : self.pattern.index("}", self.at)].partition(",")
            self.at = self.pattern.index("}", self.at) + 1
            return min(max(int(low or 0), FREE), int(high or FREE)) if _ else int(low)
        return {"?": 0, "*": 1, "+": FREE}[sign]


def _members(inside: str) -> Iterator[str]:
    for found in re.finditer(r"\[:(\w+):\]|\\(.)|(.)-(.)|(.)", inside, re.DOTALL):
        named, escaped, low, high, single = found.groups()
        if named:
            yield POSIX.get(named, "")
        elif escaped:
            yield NAMED.get(escaped, escaped)
        elif low:
            yield "".join(map(chr, range(ord(low), ord(high) + 1)))
        else:
            yield single
