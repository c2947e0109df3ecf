"""The texts and numbers that a check mentions: values near them are likely to meet it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from safeops.databases import sqltext


def literals_in(sql: str) -> list[str]:
    """Return the texts and the numbers that an expression mentions, in order; a minus before a number belongs to it."""
    found: list[str] = []
    before = ""
    for kind, text in sqltext.tokens(sql):
        if kind == "string":
            found.append(text[text.index("'") + 1 : -1].replace("''", "'"))
        elif kind == "number":
            found.append(f"-{text}" if before == "-" else text)
        before = text
    return list(dict.fromkeys(found))


def numbers_in(literals: Iterable[str]) -> list[Decimal]:
    return [Decimal(one) for one in literals if re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", one)]


def days_in(literals: Iterable[str]) -> list[str]:
    days = [match[0] for one in literals if (match := re.match(r"\d{4}-\d\d-\d\d", one))]
    return sorted(set(days))


def plain(text: str) -> str:
    """Return a pattern without its wildcards."""
    return re.sub(r"\\.|\[[^\]]*\]|\{[^}]*\}|[%_^$*+?.()|~\\]", "", text)
