"""The words of a statement, and a reader for them: for DDL that the parser does not support.

sqlglot's lexer finds the words, so strings, quoted names and comments are read as the server reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot.tokenizer_core import TokenType

from safeops.judging import operations as op
from safeops.judging.operations import Operation
from safeops.naming import Name

PLAIN, QUOTED, STRING, NUMBER, SIGN = "plain", "quoted", "string", "number", "sign"
_KINDS = {
    TokenType.IDENTIFIER: QUOTED,
    TokenType.NUMBER: NUMBER,
    **dict.fromkeys(
        (TokenType.STRING, TokenType.NATIONAL_STRING, TokenType.HEX_STRING, TokenType.BIT_STRING, TokenType.RAW_STRING),
        STRING,
    ),
}
_OPENS, _CLOSES = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True)
class Word:
    """A word of a statement.

    Args:
        text: Its text; of a quoted name or a string the part between the quotes.
        kind: "plain", "quoted", "string", "number" or "sign".
        start: The position of its first character.
        end: The position after its last character.
    """

    text: str
    kind: str
    start: int
    end: int

    @property
    def key(self) -> str:
        """The keyword or sign in capitals; empty for a quoted name and a string."""
        return self.text.upper() if self.kind in (PLAIN, SIGN, NUMBER) else ""


def words_of(sql: str, tokenizer: Any) -> list[Word]:
    """Return the words of a text; raise if a string or a comment is not closed."""
    return [word for token in tokenizer.tokenize(sql) for word in _words(token, sql)]


def _words(token: Any, sql: str) -> Iterator[Word]:
    start, end = token.start, token.end + 1
    if token.token_type in _KINDS:
        yield Word(token.text, _KINDS[token.token_type], start, end)
        return
    # A keyword of several words, as CHARACTER SET, is one token.
    for part in sql[start:end].split():
        at = sql.index(part, start)
        yield Word(part, PLAIN if part[0].isalpha() or part[0] in "_$@" else SIGN, at, at + len(part))
        start = at + len(part)


def split(words: Sequence[Word], sign: str) -> list[list[Word]]:
    """Split words at a sign that is not in parentheses."""
    parts: list[list[Word]] = [[]]
    depth = 0
    for word in words:
        depth += (word.key in _OPENS) - (word.key in _CLOSES)
        if word.key == sign and depth == 0:
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]


class Reader:
    """Reads the words of a statement or a part of it.

    Args:
        words: The words.
        sql: The text that they are of.
    """

    def __init__(self, words: Iterable[Word], sql: str) -> None:
        self.words, self.sql, self.place = list(words), sql, 0

    def __bool__(self) -> bool:
        return self.place < len(self.words)

    @property
    def rest(self) -> list[Word]:
        return self.words[self.place :]

    def key(self, ahead: int = 0) -> str:
        """Return the next keyword or sign, in capitals; empty at the end, and for a name in quotes or a string."""
        at = self.place + ahead
        return self.words[at].key if at < len(self.words) else ""

    def at(self, *keys: str) -> bool:
        """Return whether these keywords are next, one after the other."""
        return all(self.key(ahead) == key for ahead, key in enumerate(keys))

    def accept(self, *keys: str) -> bool:
        """Go past these keywords if they are next, one after the other."""
        found = self.at(*keys)
        self.place += len(keys) if found else 0
        return found

    def accept_any(self, *keys: str) -> str:
        """Go past the next word if it is one of these keywords, and return it; else an empty text."""
        return self.next() if self.key() in keys and self else ""

    def next(self) -> str:
        """Go past the next word, and return its text; of a keyword in capitals."""
        word = self.take()
        return (word.key or word.text) if word is not None else ""

    def take(self) -> Word | None:
        """Go past the next word, and return it; None at the end."""
        self.place += 1
        return self.words[self.place - 1] if self.place <= len(self.words) else None

    def name(self) -> str | None:
        """Go past a name, and return it; None if there is none."""
        if not self or self.words[self.place].kind in (SIGN, NUMBER):
            return None
        word = self.take()
        return word.text if word is not None else None

    def table(self) -> Name | None:
        """Go past the name of a table with its schema if it has one, and return it."""
        name = self.name()
        if name is None:
            return None
        return Name(self.name() or "", name) if self.accept(".") else Name(name)

    def group(self) -> list[Word] | None:
        """Go past what is in parentheses, and return it without them; None if no parenthesis is next."""
        if self.key() != "(":
            return None
        depth, first = 0, self.place + 1
        while word := self.take():
            depth += (word.key in _OPENS) - (word.key in _CLOSES)
            if depth == 0:
                break
        return self.words[first : self.place - 1]

    def names(self) -> tuple[str, ...]:
        """Go past names in parentheses, and return them, without expressions."""
        parts = split(self.group() or [], ",")
        return tuple(part[0].text for part in parts if part[0].kind in (PLAIN, QUOTED))

    def text(self, words: Sequence[Word]) -> str:
        """Return the text of some words as it is written."""
        return self.sql[words[0].start : words[-1].end] if words else ""


def read_by(readers: Mapping[str, Callable[[Reader], Iterable[Operation]]], reader: Reader) -> list[Operation]:
    """Return what a statement does by the reader of its first word; one OPAQUE if there is none."""
    word = reader.next()
    read = readers.get(word)
    found = list(read(reader)) if read is not None else []
    return found or [Operation(op.OPAQUE, opaque=f"the parser does not understand this statement ({word} ...)")]
