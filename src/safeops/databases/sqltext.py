"""SQL expressions as text: tokens, and one canonical spelling of what two servers write differently.

A server keeps ``age > 0`` as ``(age > 0)``, ``status IN ('a')`` as ``(status)::text = ANY ...`` or with backticks. Two
spellings with the same canonical form mean the same. Forms that differ prove nothing; then the server is queried.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
  | (?P<string>(?:\b[eE])'(?:[^'\\]|''|\\.)*'|(?:\b[nNxXbB]|_[a-z0-9]+\s?)?'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]\d'][^\]]*\])
  | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
  | (?P<word>[^\W\d][\w$]*)
  | (?P<op>::|<>|!=|<=|>=|\|\||~~\*|!~~\*|!~~|~~|!~\*|!~|~\*|->>|->|\#>>|\#>|@>|<@|&&|\?\||\?&|[-+*/%^<>=~!@\#&|?:.,;()\[\]])
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def parts(sql: str) -> list[tuple[str, str]]:
    """Split SQL into (kind, text) pairs that are together the whole text; white space and comments are "space"."""
    return [(match.lastgroup or "other", match.group()) for match in _TOKEN.finditer(sql)]


@lru_cache(maxsize=512)
def tokens(sql: str) -> tuple[tuple[str, str], ...]:
    """Split SQL into (kind, text) pairs; white space and comments are left out."""
    return tuple((kind, text) for kind, text in parts(sql) if kind != "space")


def without_comments(sql: str) -> str:
    """Return the SQL with a space in the place of each comment."""

    def kept(match: re.Match[str]) -> str:
        comment = match.lastgroup == "space" and not match.group().isspace()
        return " " if comment else match.group()

    return _TOKEN.sub(kept, sql).strip()


def is_one_group(parts: Sequence[str]) -> bool:
    """Return whether the parenthesis that opens tokens is closed by the last of them."""
    depth = 0
    for place, part in enumerate(parts):
        depth += (part == "(") - (part == ")")
        if depth == 0:
            return place == len(parts) - 1
    return False


def with_word(sql: str, word: str, by: str) -> str:
    """Return the SQL with another text in the place of a word, which in strings and quoted names is left alone."""
    return _TOKEN.sub(lambda found: by if found.lastgroup == "word" and found[0] == word else found[0], sql)


def unquoted(token: str) -> str:
    """Return the name that a quoted identifier means."""
    if token[:1] in '"`' and len(token) > 1:
        return token[1:-1].replace(token[0] * 2, token[0])
    return token[1:-1] if token[:1] == "[" else token


def same(one: str | None, other: str | None) -> bool:
    """Return whether two expressions certainly mean the same."""
    if one is None or other is None:
        return one is other
    return one == other or canonical(one) == canonical(other)


@lru_cache(maxsize=512)
def canonical(sql: str) -> str:
    """Return one spelling of an expression: fully parenthesised, without casts and redundant quotes."""
    reader = _Reader(sql)
    try:
        tree = reader.expression(0)
        if reader.peek() is not None:
            raise _Unreadable
    except _Unreadable:
        return _flattened(" ".join(text.lower() if kind == "word" else text for kind, text in tokens(sql)))
    # A default is one literal: a server removes the quotes if the column is a number or a boolean.
    return tree[1:-1] if tree in ("'true'", "'false'") else _number(tree)


def _flattened(spaced: str) -> str:
    """Take away parentheses that just double others."""
    while (simpler := re.sub(r"\( \( ([^()]*) \) \)", r"( \1 )", spaced)) != spaced:
        spaced = simpler
    return spaced


_TAIL = re.compile(r"((?:\s+(?:collate\s+\S+|\w+_ops|asc|desc|nulls\s+(?:first|last)))+)$", re.IGNORECASE)
_DEFAULT_DIRECTIONS = {" asc": "", " asc nulls last": "", " nulls last": "", " asc nulls first": " nulls first"}
_DEFAULT_DIRECTIONS |= {" desc nulls first": " desc"}


@lru_cache(maxsize=512)
def element(text: str) -> str:
    """Return one spelling of an element of an index: its expression, then what follows it, without defaults."""
    text = text.strip()
    tail = _TAIL.search(text)
    if tail is None:
        return canonical(text)
    rest = " " + " ".join(tail.group(1).lower().replace('"', "").split())
    for long, short in sorted(_DEFAULT_DIRECTIONS.items(), key=lambda pair: -len(pair[0])):
        if rest.endswith(long) and not (long == " nulls last" and rest.endswith(" desc nulls last")):
            rest = rest.removesuffix(long) + short
            break
    return canonical(text[: tail.start()]) + rest


class _Unreadable(Exception):
    """The expression has a form that this reader does not know."""


_BINARY = {"or": 1, "and": 2}
_COMPARISONS = {"=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~", "!~", "~*", "!~*", "is"}
_ARITHMETIC = {"+": 7, "-": 7, "*": 8, "/": 8, "%": 8, "^": 9}
_SPELLINGS = {"!=": "<>", "like": "~~", "ilike": "~~*", "regexp": "~", "rlike": "~", "==": "="}
_NOW = {"now", "current_timestamp", "transaction_timestamp"}
_NUMBERS = {"smallint", "integer", "bigint", "numeric", "real", "double precision"}
# Words that mean a value, unless they are quoted and so the name of a column.
_VALUES = {"true", "false", "null", "user", "current_user", "session_user", "current_date", "current_time"} | _NOW
_TYPE_TAIL = {"varying", "precision", "with", "without", "time", "zone", "unsigned"}


class _Reader:
    """Reads an expression by operator precedence and writes it fully parenthesised."""

    def __init__(self, sql: str) -> None:
        self.tokens = tokens(sql)
        self.at = 0

    def peek(self, ahead: int = 0) -> str | None:
        place = self.at + ahead
        if place >= len(self.tokens):
            return None
        kind, text = self.tokens[place]
        if kind in ("word", "op"):
            return _SPELLINGS.get(text.lower(), text.lower())
        return text

    def take(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise _Unreadable
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, *words: str) -> bool:
        if all(self.peek(ahead) == word for ahead, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def expect(self, word: str) -> None:
        if not self.accept(word):
            raise _Unreadable

    def expression(self, floor: int) -> str:
        left = _negated(self.expression(3)) if self.accept("not") else self.operand()
        while (word := self.peek()) is not None:
            strength = _strength(word)
            if strength <= floor:
                return left
            left = self.combined(left, word, strength)
        return left

    def combined(self, left: str, word: str, strength: int) -> str:
        if strength == 4:
            return self.comparison(left)
        self.take()
        right = self.expression(strength)
        if word in ("and", "or"):
            # Servers write a AND b AND c flat or nested.
            left, right = _flat(left, word), _flat(right, word)
        return f"({left} {word} {right})"

    def comparison(self, left: str) -> str:
        if self.accept("is"):
            negative = self.accept("not")
            return f"({left} is{' not' if negative else ''} {self.expression(4)})"
        negative = self.accept("not")
        if self.accept("in"):
            self.expect("(")
            compared = _membership(left, self.items(")"), negative)
        elif self.accept("between"):
            low = self.expression(4)
            self.expect("and")
            high = self.expression(4)
            compared = f"(({left} >= {low}) and ({left} <= {high}))"
            compared = _negated(compared) if negative else compared
        else:
            word = self.take()[1].lower()
            compared = self.compared(left, _SPELLINGS.get(word, word), negative)
        return compared

    def compared(self, left: str, word: str, negative: bool) -> str:
        quantifier = self.peek()
        if quantifier in ("any", "all") and self.peek(1) == "(":
            self.at += 2
            values = self.array()
            self.expect(")")
            if (word, quantifier) in (("=", "any"), ("<>", "all")):
                return _membership(left, values, word == "<>")
            return f"({left} {word} {quantifier} {values})"
        right = self.expression(4)
        return f"({left} {'!' if negative else ''}{word} {right})"

    def array(self) -> list[str]:
        wrapped = self.accept("(")
        self.expect("array")
        self.expect("[")
        values = self.items("]")
        if wrapped:
            self.expect(")")
        self.casts()
        return values

    def items(self, end: str) -> list[str]:
        values: list[str] = []
        while not self.accept(end):
            values.append(self.expression(0))
            self.accept(",")
        return values

    def operand(self) -> str:
        if self.peek() in ("+", "-"):
            sign = self.take()[1]
            return f"{sign}{self.operand()}"
        if self.accept("("):
            inner = self.items(")")
            value = inner[0] if len(inner) == 1 else f"({', '.join(inner)})"
        elif self.accept("cast", "("):
            value = self.expression(0)
            self.expect("as")
            type_name = self.type_name()
            self.expect(")")
            value = value if _is_literal(value) else f"{value}::{type_name}"
        else:
            value = self.atom()
        return self.casts(value)

    def case(self) -> str:
        text = "case"
        while not self.accept("end"):
            word = next((word for word in ("when", "then", "else") if self.accept(word)), "")
            text += f" {word} {self.expression(0)}"
        return text + " end"

    def atom(self) -> str:
        if self.accept("case"):
            return self.case()
        kind, text = self.take()
        if kind == "string":
            return _string(text)
        if kind == "number":
            return text
        if kind not in ("word", "quoted") or text.lower() in ("array", "select", "interval", "collate"):
            raise _Unreadable
        name = text.lower() if kind == "word" else unquoted(text)
        if kind == "quoted" and name in _VALUES:
            return f'"{name}"'
        while self.accept("."):
            name += "." + unquoted(self.take()[1])
        if self.accept("("):
            values = ", ".join(self.items(")"))
            return "now()" if name in _NOW and not values else f"{name}({values})"
        return "now()" if kind == "word" and name in _NOW else name

    def casts(self, value: str = "''") -> str:
        """Read the casts of an operand: a server adds them to literals itself, those of a column are the author's."""
        while self.accept("::"):
            type_name = self.type_name()
            if not _is_literal(value):
                value = f"{value}::{type_name}"
            elif type_name in _NUMBERS:
                value = _number(value)
        return value

    def type_name(self) -> str:
        start = self.at
        self.take()
        while self.peek() == "." or (self.peek() or "") in _TYPE_TAIL or self.peek() in ("(", "["):
            opened = self.take()[1]
            if opened in ("(", "["):
                self.items(")" if opened == "(" else "]")
            elif opened == ".":
                self.take()
        return " ".join(text.lower() for _, text in self.tokens[start : self.at])


def _strength(word: str) -> int:
    if word in _BINARY:
        return _BINARY[word]
    if word in _COMPARISONS or word in ("in", "between", "not"):
        return 4
    if word in _ARITHMETIC:
        return _ARITHMETIC[word]
    return 6 if re.fullmatch(r"[-+*/<>=~!@#%^&|?]+", word) else 0


def _membership(left: str, values: list[str], negative: bool) -> str:
    if len(values) == 1:
        return f"({left} {'<>' if negative else '='} {values[0]})"
    return f"({left} {'not in' if negative else 'in'} [{', '.join(values)}])"


def _negated(inner: str) -> str:
    return f"(not {inner})"


def _flat(side: str, word: str) -> str:
    """Drop the outer parentheses of an operand that is joined by the same word at its top."""
    if not (side.startswith("(") and side.endswith(")")):
        return side
    depth, quoted, joined = 0, False, False
    for place, letter in enumerate(side):
        if letter == "'":
            quoted = not quoted
        elif not quoted:
            depth += (letter == "(") - (letter == ")")
            if depth == 0 and place < len(side) - 1:
                return side
            joined = joined or (depth == 1 and side.startswith(f" {word} ", place))
    return side[1:-1] if joined else side


def _string(text: str) -> str:
    """Drop the name of a character set before a string."""
    return text[text.index("'") :] if text.startswith("_") else text


def _is_literal(value: str) -> bool:
    return re.match(r"[+-]?\d|'", value) is not None


def _number(value: str) -> str:
    """Take the quotes off a number."""
    return value[1:-1] if re.fullmatch(r"'-?\d+(\.\d+)?'", value) else value
