"""What plain statements of the revisions change in place, as ``UPDATE t SET n = n + 1``: nothing is lost by that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from safeops.databases.sqltext import tokens, unquoted
from safeops.databases.statements import words_of
from safeops.naming import Name
from safeops.rehearse.effects import Statement
from safeops.rehearse.traffic import Replacements
from safeops.rehearse.traffic.plan import TableTraffic

Tokens = Sequence[tuple[str, str]]

ELSEWHERE = frozenset({"SELECT", "FROM", "JOIN", "USING"})
"""Words of a statement that may write what was read earlier, which overwrites what was written since."""
BEFORE_TABLE = frozenset({"FROM", "INTO", "ONLY", "LOW_PRIORITY", "IGNORE"})
"""Words between the first one of a statement and its table."""
PLACEHOLDER = re.compile(r"%\(\w+\)s|%s|(?<!:):\w+|\$\d+")


def with_in_place(
    replacements: Replacements, statements: Iterable[Statement], tables: Sequence[TableTraffic]
) -> Replacements:
    """Return the replacements with what the statements change in place.

    Args:
        replacements: What the revisions replace.
        statements: What they have sent.
        tables: The tables that the traffic writes.
    """
    sent = list(statements)
    synced = {(one.table.name, column) for one in replacements.columns for column in (one.column, one.replaced_by)}
    filled = {(table.name, column) for table, column in replacements.rewritten} | synced
    in_place = {
        (table.table, column)
        for table in tables
        for one in sent
        for column in _updated(one.sql, table)
        if (table.table.name, column) not in filled
    }
    emptied = {table.table for table in tables for one in sent if _deletes(one.sql, table)}
    filled_again = {table.table for table in tables for one in sent if _target(one.sql, "INSERT", table)}
    return Replacements(
        replacements.columns, replacements.tables, replacements.rewritten, in_place, emptied - filled_again
    )


def _updated(sql: str, table: TableTraffic) -> Iterator[str]:
    """Yield the columns that are computed from their own value, or that rows get which their key does not choose."""
    found = _target(sql, "UPDATE", table)
    if not found or not ELSEWHERE.isdisjoint(words_of(sql)):
        return
    assigned, chosen = _split(found, "WHERE")
    names = {column.name for column in table.columns}
    by_key = not set(table.key).isdisjoint(_names(chosen))
    for part in _listed(_split(assigned, "SET")[1]):
        column, used = _name(part[0]), _names(part[1:]) & names
        if column in names and (column in used or not (used or by_key)):
            yield column


def _deletes(sql: str, table: TableTraffic) -> bool:
    found = _target(sql, "DELETE", table)
    others = words_of(sql)[2:]
    return bool(found) and ELSEWHERE.isdisjoint(others) and set(table.key).isdisjoint(_names(_split(found, "WHERE")[1]))


def _target(sql: str, verb: str, table: TableTraffic) -> Tokens:
    """Return the tokens of a statement that changes the rows of a table so; none of another statement."""
    name = changed_table(sql, verb)
    same = name is not None and name.name == table.table.name and name.schema in (None, table.table.schema)
    return tokens(PLACEHOLDER.sub("0", sql)) if same else ()


def changed_table(sql: str, verb: str) -> Name | None:
    """Return the table whose rows a statement inserts, updates or deletes, as it names it; None of another statement."""
    found = tokens(sql)
    if words_of(sql)[:1] != (verb,):
        return None
    return next((_qualified(found[place:]) for place, one in enumerate(found) if place and _is_name(one)), None)


def _is_name(token: tuple[str, str]) -> bool:
    return token[0] in ("word", "quoted") and token[1].upper() not in BEFORE_TABLE


def _qualified(found: Tokens) -> Name:
    texts = [text for _, text in found[:3]]
    return Name(unquoted(texts[2]), unquoted(texts[0])) if texts[1:2] == ["."] else Name(unquoted(texts[0]))


def _split(found: Tokens, word: str) -> tuple[Tokens, Tokens]:
    """Split tokens at a word."""
    place = next((place for place, (kind, text) in enumerate(found) if kind == "word" and text.upper() == word), None)
    return (found, ()) if place is None else (found[:place], found[place + 1 :])


def _listed(found: Tokens) -> Iterator[Tokens]:
    """Split what is assigned at the commas between columns."""
    depth = 0
    part: list[tuple[str, str]] = []
    for one in found:
        depth += (one[1] == "(") - (one[1] == ")")
        if one[1] == "," and not depth:
            yield part
            part = []
        else:
            part.append(one)
    if part:
        yield part


def _names(found: Tokens) -> set[str]:
    return {_name(one) for one in found if one[0] in ("word", "quoted")}


def _name(token: tuple[str, str]) -> str:
    return unquoted(token[1])
