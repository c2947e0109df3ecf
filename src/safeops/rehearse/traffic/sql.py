"""Statements with variables, independent of how a driver writes its parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

WRITES = re.compile(r"\b(insert|update|delete|merge|replace|truncate)\b", re.I)
_QUOTED = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*` | (\$\w*\$).*?\1
    | --[^\n]* | /\*.*?\*/ | :: | (?<![\w:]):([A-Za-z_]\w*)""",
    re.X | re.S,
)


@dataclass(frozen=True)
class Statement:
    """An SQL statement.

    Args:
        parts: The text before, between and after the variables.
        names: The variables, one fewer than the parts; a name can occur more than once.
    """

    parts: tuple[str, ...]
    names: tuple[str, ...] = ()

    @classmethod
    def joined(cls, *pieces: str | Variable) -> Statement:
        """Make a statement of texts and variables in any order."""
        parts, names = [""], []
        for piece in pieces:
            if isinstance(piece, Variable):
                names.append(piece.name)
                parts.append("")
            else:
                parts[-1] += piece
        return cls(tuple(parts), tuple(names))

    @classmethod
    def read(cls, text: str) -> Statement:
        """Read a statement in which ``:name`` is a variable, except in quotes and comments."""
        pieces: list[str | Variable] = []
        begin = 0
        for found in _QUOTED.finditer(text):
            if found[2]:
                pieces += [text[begin : found.start()], Variable(found[2])]
                begin = found.end()
        return cls.joined(*pieces, text[begin:])

    def rendered(self, render: Callable[[int], str]) -> str:
        """Return the text, with what ``render`` returns for the position of each variable."""
        filled = [text for place, part in enumerate(self.parts[1:]) for text in (render(place), part)]
        return "".join([self.parts[0], *filled])

    @cached_property
    def text(self) -> str:
        """The statement with its variables as ``:name``."""
        return self.rendered(lambda place: f":{self.names[place]}")

    @cached_property
    def writes(self) -> bool:
        """Whether it changes rows, as far as its words show."""
        return WRITES.search(_QUOTED.sub(" ", "".join(self.parts))) is not None


@dataclass(frozen=True)
class Variable:
    """The place of a value in a statement."""

    name: str


def listed(pieces: Iterable[Any], between: str = ", ") -> list[Any]:
    """Return the pieces with a text between each two."""
    result: list[Any] = []
    for piece in pieces:
        result += [between, *piece] if result else piece
    return result


def split_statements(text: str) -> list[str]:
    """Split a text at its semicolons, except those in quotes and comments."""
    ends = [0]
    covered = [found.span() for found in _QUOTED.finditer(text)]
    for semicolon in re.finditer(";", text):
        if not any(begin <= semicolon.start() < end for begin, end in covered):
            ends.append(semicolon.end())
    pieces = [
        text[begin:end].rstrip().removesuffix(";") for begin, end in zip(ends, [*ends[1:], len(text)], strict=True)
    ]
    return [piece.strip() for piece in pieces if _QUOTED.sub(_kept, piece).strip()]


def _kept(found: re.Match[str]) -> str:
    return "" if found[0].startswith(("--", "/*")) else found[0]
