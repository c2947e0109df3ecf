"""Edits that ease what stands on a renamed column while it has a twin.

An INSERT of the new application leaves the old column empty for a moment, until a trigger has filled it: NOT NULL and
CHECK let that pass while the new one is given, and hold again as soon as the two are in step.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable

from safeops.databases.pairs import Pair
from safeops.databases.sqlite.edits import Edit
from safeops.databases.sqlite.text import Clause, parse
from safeops.databases.sqlite.tokens import items, quoted, tokens
from safeops.shadow.sqlite.triggers import Keeping, is_constant, names


class _Marks:
    """The comments that enclose what was put in for a pair; other pairs of the table have others."""

    def __init__(self, pair: Pair) -> None:
        key = hashlib.sha256(pair.name.encode()).hexdigest()[:8]
        self.eased, self.was, self.either, self.end = (
            f"/*safeops {key} {word}" for word in ("eased*/", "was ", "or*/", "end*/")
        )


def is_eased(sql: str, pair: Pair) -> bool:
    return _Marks(pair).end in sql


def easing(keeping: Keeping) -> Edit:
    """Let pass what has been written under the new name alone."""

    marks = _Marks(keeping.pair)

    def edit(sql: str) -> str:
        for clause in reversed(_concerned(keeping, sql)):
            start, end = clause.start, clause.end
            if clause.kind == "check":
                start, end = _group(sql, clause)
                eased = f"{marks.eased}({sql[start:end]}){marks.either} OR {_moment(keeping)}{marks.end}"
            else:
                was = json.dumps(sql[start:end]).replace("/", "\\u002f").replace("*", "\\u002a")
                eased = f"{marks.was}{was}*/{_instead(keeping)}{marks.end}"
            sql = f"{sql[:start]}{eased}{sql[end:]}"
        return sql

    return edit


def tightening(pair: Pair) -> Edit:
    """Take out to the letter what ``easing`` put in."""
    marks = _Marks(pair)
    eased, was, either, end = map(re.escape, (marks.eased, marks.was, marks.either, marks.end))

    def edit(sql: str) -> str:
        sql = re.sub(rf"{eased}\((.*?)\){either}.*?{end}", lambda match: match[1], sql, flags=re.S)
        return re.sub(rf"{was}(.*?)\*/.*?{end}", lambda match: str(json.loads(match[1])), sql, flags=re.S)

    return edit


def needs_easing(keeping: Keeping) -> bool:
    return bool(_concerned(keeping, keeping.sql))


def _concerned(keeping: Keeping, sql: str) -> list[Clause]:
    text, source = parse(sql), keeping.pair.source
    found = [one for one in text.clauses if one.kind == "check" and names(one.expression or "", source)]
    kinds = ["not null"] if not keeping.is_numbered and (keeping.default is None or keeping.is_lifted) else []
    kinds += ["default"] if keeping.is_lifted else []
    return _in_order([*found, *(one for one in text.column(source).clauses if one.kind in kinds)])


def _in_order(clauses: Iterable[Clause]) -> list[Clause]:
    return sorted(clauses, key=lambda one: one.start)


def _instead(keeping: Keeping) -> str:
    """Return what stands in the place of NOT NULL, or of a default that was lifted: there the triggers see to both."""
    if keeping.is_lifted:
        return ""
    name = quoted(f"{keeping.pair.name}_not_null")
    return f"CONSTRAINT {name} CHECK ({quoted(keeping.pair.source)} IS NOT NULL OR {_moment(keeping)})"


def _moment(keeping: Keeping) -> str:
    """Return the condition that the new name alone has been written so far."""
    source, twin, default = quoted(keeping.pair.source), quoted(keeping.pair.twin), keeping.shared or "NULL"
    if keeping.is_lifted:
        return f"{source} IS NULL"
    if keeping.is_numbered or not is_constant(default):
        return f"({twin} IS NOT NULL AND {source} IS NOT {twin})"
    return f"({source} COLLATE BINARY IS {default} AND {twin} COLLATE BINARY IS NOT {default})"


def _group(sql: str, clause: Clause) -> tuple[int, int]:
    """Return where the condition of a CHECK begins and ends, without its parentheses."""
    whole = tokens(sql)
    check = next(place for place, one in enumerate(whole) if one.start >= clause.start and one.word == "CHECK")
    return whole[check + 1].end, items(whole, check + 1)[1] - 1
