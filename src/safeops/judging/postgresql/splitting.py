"""The statements of a text, with the placeholders of any driver as parameters that PostgreSQL's own parser takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pglast import parse_sql
from pglast.parser import ParseError, Token, scan

_COMMENTS = ("SQL_COMMENT", "C_COMMENT")
_AFTER_OPERAND = ("IDENT", "ICONST", "FCONST", "SCONST", "PARAM", "ASCII_41", "ASCII_93")
"""After these tokens a percent sign or a question mark is an operator, not a placeholder."""


@dataclass(frozen=True)
class Statement:
    """A statement of a text; ``node`` is None if it has a syntax error; ``error`` is its message."""

    sql: str
    node: Any = None
    error: str = ""


def statements(sql: str) -> list[Statement]:
    """Return the statements of a text; a syntax error in one of them leaves the others as they are."""
    try:
        plain, tokens = _prepared(sql)
    except ParseError as error:
        return [Statement(sql.strip(), error=str(error.args[0]))]
    try:
        return [Statement(_text(plain, raw), raw.stmt) for raw in parse_sql(plain)]
    except ParseError:
        return [_parsed(one) for one in _split(plain, tokens)]


def _text(plain: str, raw: Any) -> str:
    end = raw.stmt_location + raw.stmt_len if raw.stmt_len else len(plain)
    return plain[raw.stmt_location : end].strip()


def _parsed(sql: str) -> Statement:
    try:
        found = parse_sql(sql)
    except ParseError as error:
        return Statement(sql, error=str(error.args[0]))
    return Statement(sql, found[0].stmt) if found else Statement(sql, error="there is no statement in it")


# Placeholders --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Placeholder:
    """The position of a placeholder, and the name or number of its value; None if it is the next one."""

    start: int
    end: int
    key: str | int | None


def _prepared(sql: str) -> tuple[str, list[Token]]:
    """Return the text with numbered parameters in the place of placeholders, and its tokens."""
    found = list(placeholders(sql, scan(sql)))
    if not found:
        return sql, scan(sql)
    plain = replaced(sql, found, [f"${number}" for number in range(1, len(found) + 1)])
    return plain, scan(plain)


def replaced(sql: str, found: list[Placeholder], by: list[str]) -> str:
    """Return the text with others in the place of its placeholders."""
    pieces, end = [], 0
    for one, text in zip(found, by, strict=True):
        # The space keeps the tokens around the placeholder apart.
        pieces += [sql[end : one.start], f" {text} "]
        end = one.end
    return "".join([*pieces, sql[end:]])


def placeholders(sql: str, tokens: list[Token]) -> Iterator[Placeholder]:
    """Find ``%(a)s``, ``%s``, ``:a``, ``:1``, ``?`` and ``$1`` outside of strings, comments and operators."""
    depth, skipped = 0, 0
    for at, token in enumerate(tokens):
        depth += (token.name == "ASCII_91") - (token.name == "ASCII_93")
        if at < skipped or token.name in _COMMENTS:
            continue
        found = _placeholder_at(sql, tokens, at, in_brackets=depth > 0)
        if found is not None:
            yield found
            skipped = next((place for place, later in enumerate(tokens) if later.start >= found.end), len(tokens))


def _placeholder_at(sql: str, tokens: list[Token], at: int, *, in_brackets: bool) -> Placeholder | None:
    token, following = tokens[at], tokens[at + 1 : at + 5]
    text = sql[token.start : token.end + 1]
    if token.name == "PARAM":
        return Placeholder(token.start, token.end + 1, int(text[1:]) - 1)
    # "=%s": the parser takes the sign of a placeholder together with the operator before it.
    if text.endswith("%") and following:
        return _percent(sql, tokens, at)
    if text == ":" and following and not in_brackets and following[0].start == token.end + 1:
        word = sql[following[0].start : following[0].end + 1]
        key = int(word) - 1 if word.isdigit() else word
        return Placeholder(token.start, following[0].end + 1, key)
    if token.name == "Op" and text.endswith("?") and (text != "?" or not _follows_operand(tokens, at)):
        return Placeholder(token.end, token.end + 1, None)
    return None


def _percent(sql: str, tokens: list[Token], at: int) -> Placeholder | None:
    start, rest = tokens[at].end, tokens[at + 1 :]
    texts = [sql[token.start : token.end + 1] for token in rest[:4]]
    if len(texts) == 4 and (texts[0], texts[2]) == ("(", ")") and texts[3] in ("s", "b", "t"):
        touching = sql[rest[2].end + 1 : rest[3].end + 1] == texts[3]
        return Placeholder(start, rest[3].end + 1, texts[1].strip('"')) if touching else None
    touching = rest[0].start == start + 1 and texts[0] in ("s", "b", "t")
    alone = start == tokens[at].start
    return (
        Placeholder(start, rest[0].end + 1, None) if touching and not (alone and _follows_operand(tokens, at)) else None
    )


def _follows_operand(tokens: list[Token], at: int) -> bool:
    before = next((token for token in reversed(tokens[:at]) if token.name not in _COMMENTS), None)
    return before is not None and before.name in _AFTER_OPERAND


# Splitting what does not parse as a whole ----------------------------------------------------------------------------


def _split(sql: str, tokens: list[Token]) -> Iterator[str]:
    """Split a text at its semicolons, but not inside parentheses or the body of a function (BEGIN ATOMIC ... END)."""
    start, depth, ends = 0, 0, 0
    for at, token in enumerate(tokens):
        depth += (token.name == "ASCII_40") - (token.name == "ASCII_41")
        ends = _open_ends(tokens, at, ends)
        if token.name == "ASCII_59" and depth <= 0 and not ends:
            yield from _unless_blank(sql[start : token.start])
            start, depth = token.end + 1, 0
    yield from _unless_blank(sql[start:])


def _open_ends(tokens: list[Token], at: int, ends: int) -> int:
    """Return how many END are still missing after a token."""
    name = tokens[at].name
    opens = name == "BEGIN_P" and at + 1 < len(tokens) and tokens[at + 1].name == "ATOMIC"
    if opens or (ends and name == "CASE"):
        return ends + 1
    return ends - 1 if ends and name == "END_P" else ends


def _unless_blank(sql: str) -> list[str]:
    says_something = any(token.name not in _COMMENTS for token in scan(sql))
    return [sql.strip()] if says_something else []
